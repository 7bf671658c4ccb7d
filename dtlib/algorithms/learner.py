"""Beta-HAPPO on the twin network: from an episode to improved actors and critics."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from dtlib.algorithms.batch import ActorBatch, actor_batch, standardise
from dtlib.algorithms.critic import Critics
from dtlib.algorithms.happo import (
    UpdateStats,
    agent_order,
    behaviour_log_prob,
    update_actors,
)
from dtlib.algorithms.trainee import Trainee
from dtlib.config import TrainConfig
from dtlib.observations import global_state, state_size
from dtlib.policies import Decision, Policies, station_mask
from dtlib.simulator import Outcome
from dtlib.world import World


class Learner:
    """Actors, critics and optimisers of one run. Agents are MUs, base stations, then the centre.

    Args:
        config: the run's settings.
        generator: of the initial weights.
    """

    def __init__(self, config: TrainConfig, generator: Generator) -> None:
        self.config, env = config, config.env
        self.policies = Policies(config, generator)
        self.actors = [
            Trainee.of(stack, i, config)
            for stack in self.policies.stacks.values()
            for i in range(stack.count)
        ]
        agents = len(self.actors)
        shared = config.critic == "shared"
        self.critic_of = [0] * (agents - 1) + [1] if shared else list(range(agents))
        self.critics = Critics(
            2 if shared else agents,
            state_size(env, config.critic_sees_queue),
            env.num_users if config.credit == "per-user" else 1,
            config,
            generator,
        )

    def update(
        self, world: World, decision: Decision, outcome: Outcome, generator: Generator
    ) -> dict[str, float]:
        """Learn from one episode (lines 17–26 of Algorithm 1).

        The last slot serves to bootstrap; the slots before it are the data.

        Args:
            world: with one replica.
            decision: what the policies did in it.
            outcome: what came of it.
            generator: of the agents' order.

        Returns:
            Diagnostics by name.
        """
        queue = outcome.frame_queue if self.config.critic_sees_queue else None
        state = global_state(world, decision.deployment, self.config.env, queue)[0]
        reward = self._rewards(outcome)
        advantage = self.critics.advantages(state, reward)
        batches = self._batches(world, decision, advantage)
        pairs = zip(self.actors, batches, strict=True)
        behaviour = [behaviour_log_prob(actor, batch) for actor, batch in pairs]

        stats = UpdateStats()
        team = [0] * (len(self.actors) - 1) + [int(self.config.factor == "by-reward")]
        for _ in range(self.config.epochs):
            order = agent_order(len(self.actors), generator)
            for _ in range(self.config.critic_passes):
                for index in range(self.critics.stack.count):
                    self.critics.step(index, state, reward[index])
            update_actors(
                self.actors, batches, behaviour, order, len(state) - 1, self.config, stats, team
            )
        return stats.summary() | {
            "explained_variance_global": self.critics.explained[0],
            "explained_variance_centre": self.critics.explained[-1],
        }

    def _rewards(self, outcome: Outcome) -> Tensor:
        """[C, N−1, outputs]: each critic's reward, whole or by user."""
        if self.config.credit == "per-user":
            both = outcome.reward_global_user[0], outcome.reward_centre_user[0]
        else:
            both = outcome.reward_global[0, :, None], outcome.reward_centre[0, :, None]
        last = self.critics.stack.count - 1
        rows = [both[int(index == last)][:-1] for index in range(last + 1)]
        return torch.stack([row.to(torch.float32) for row in rows])

    def _batches(self, world: World, decision: Decision, advantage: Tensor) -> list[ActorBatch]:
        env, actions = self.config.env, decision.actions
        users = env.num_users
        per_user = self.config.credit == "per-user"
        scale = standardise if self.config.normalize_advantage else (lambda array: array)
        joint = [scale(one) for one in advantage.sum(-1)]
        fine = [scale(one) for one in advantage] if per_user else joint
        sending = decision.sending[0, :-1]
        mask = station_mask(world.association, decision.deployment, decision.served, env)[0, :-1]
        weights = torch.cat([actions.cpu_share, actions.wired_share], dim=-1)[0, :-1]

        batches = [
            actor_batch(
                "beta", decision.user_obs[0, :-1, k], decision.power_unit[0, :-1, k, None],
                sending[:, k, None], joint[self.critic_of[k]],
            )
            for k in range(users)
        ]  # fmt: skip
        batches += [
            actor_batch(
                "beta", decision.station_obs[0, :-1, m], weights[:, m], mask[:, m],
                fine[self.critic_of[users + m]], users,
            )
            for m in range(env.num_bs)
        ]  # fmt: skip
        batches.append(
            actor_batch(
                "categorical", decision.centre_obs[0, :-1], actions.deployment[0, :-1],
                world.request[0, :-1], fine[self.critic_of[-1]], users,
            )
        )  # fmt: skip
        return batches

    def state(self) -> dict[str, Tensor]:
        """Return every array that learning changes, by name."""
        parts = {f"actors.{kind}": stack for kind, stack in self.policies.stacks.items()}
        parts |= {"critics": self.critics.stack, "value_norm": self.critics.norm}
        parts |= {f"adam.actor{i}": trainee for i, trainee in enumerate(self.actors)}
        parts |= {f"adam.critic{i}": one for i, one in enumerate(self.critics.trainees)}
        return {
            f"{prefix}.{name}": tensor
            for prefix, part in parts.items()
            for name, tensor in part.state().items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Copy arrays of :meth:`state` into place.

        Raises:
            ValueError: names, shapes or types differ; nothing is changed then.
        """
        own = self.state()
        if wrong := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"array {wrong[0]!r} is missing or not expected")
        for name, tensor in own.items():
            given = state[name]
            if given.shape != tensor.shape or given.dtype != tensor.dtype:
                raise ValueError(
                    f"array {name!r} is {given.dtype} {tuple(given.shape)}: "
                    f"must be {tensor.dtype} {tuple(tensor.shape)}"
                )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])
