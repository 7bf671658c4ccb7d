"""Beta-HAPPO on the twin network: from episodes to improved actors and critics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from dtlib.algorithms.batch import ActorBatch, ActorData, actor_data, standardise
from dtlib.algorithms.critic import Critics
from dtlib.algorithms.happo import ActorUpdate, UpdateStats, agent_order, update_actors
from dtlib.algorithms.trainee import Trainee
from dtlib.config import TrainConfig
from dtlib.networks import MLPStack
from dtlib.observations import columns, global_state, state_size
from dtlib.policies import Decision, Policies, station_mask
from dtlib.simulator import Outcome
from dtlib.world import World


@dataclass(frozen=True)
class Episode:
    """What one run's policies saw, did and caused; one replica."""

    world: World
    decision: Decision
    outcome: Outcome


class Learner:
    """Actors, critics and optimisers of R runs that learn side by side, each from its own episodes.

    Agents are MUs, base stations, then the centre.

    Args:
        config: the settings that all runs have in common; of the network, sizes only.
        generators: of the initial weights, one per run.
        device: where networks and data are.
    """

    def __init__(
        self,
        config: TrainConfig,
        generators: Sequence[Generator],
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, env, runs = config, config.env, len(generators)
        self.policies = [Policies(config, one) for one in generators]
        """One per run."""
        shared = config.critic == "shared"
        agents = env.num_users + env.num_bs + 1
        self.critic_of = [0] * (agents - 1) + [1] if shared else list(range(agents))
        self.critics = Critics(
            2 if shared else agents,
            state_size(env, config.critic_sees_queue),
            env.num_users if config.credit == "per-user" else 1,
            config,
            generators,
            columns(env, config.critic_sees_queue)["state"],
            device,
        )
        for policies in self.policies:
            policies.to(device)
        self.actors: list[Trainee] = []
        for kind in self.policies[0].stacks:
            joint = MLPStack.join([one.stacks[kind] for one in self.policies])
            count = joint.count // runs
            self.actors += [Trainee(joint, i, config, runs) for i in range(count)]

    def update(self, episodes: Sequence[Episode], generator: Generator) -> list[dict[str, float]]:
        """Learn from one episode of each run (lines 17–26 of Algorithm 1).

        The last slot serves to bootstrap; the slots before it are the data. Between the first
        epoch and the last, nothing waits for the device.

        Args:
            episodes: one per run.
            generator: of the agents' order, which is the same in all runs.

        Returns:
            Diagnostics by name, one record per run.
        """
        config = self.config
        states = [self._state(one) for one in episodes]
        slots = len(states[0]) - 1
        trace = self.critics.look(states)
        reward = torch.stack([self._rewards(one.outcome) for one in episodes], dim=1)
        advantage = self.critics.advantages(trace, reward)
        updates = [
            ActorUpdate(actor, batch, config)
            for actor, batch in zip(self.actors, self._batches(episodes, advantage), strict=True)
        ]
        stats = UpdateStats()
        team = [0] * (len(self.actors) - 1) + [int(config.factor == "by-reward")]
        orders = [agent_order(len(self.actors), generator) for _ in range(config.epochs)]
        for order in orders:
            for _ in range(config.critic_passes):
                for index in range(self.critics.count):
                    self.critics.step(index, trace, reward)
            update_actors(updates, order, slots, stats, team)
        return [
            stats.summary(run)
            | {
                "explained_variance_global": self.critics.explained[0][run],
                "explained_variance_centre": self.critics.explained[-1][run],
            }
            for run in range(len(episodes))
        ]

    def _state(self, episode: Episode) -> Tensor:
        """[N, d]."""
        queue = episode.outcome.frame_queue if self.config.critic_sees_queue else None
        decision = episode.decision
        return global_state(episode.world, decision.deployment, decision.env, queue)[0]

    def _rewards(self, outcome: Outcome) -> Tensor:
        """[C, outputs, N−1]: each critic's reward, whole or by user."""
        if self.config.credit == "per-user":
            both = outcome.reward_global_user[0].mT, outcome.reward_centre_user[0].mT
        else:
            both = outcome.reward_global, outcome.reward_centre
        last = self.critics.count - 1
        rows = [both[int(index == last)][:, :-1] for index in range(last + 1)]
        return torch.stack([row.to(outcome.energy_j.dtype) for row in rows])

    def _batches(self, episodes: Sequence[Episode], advantage: Tensor) -> list[ActorBatch]:
        """Lay out each agent's data in all runs."""
        by_kind, slots = columns(self.config.env), advantage.shape[-1]
        runs = [self._data(one, advantage[:, run]) for run, one in enumerate(episodes)]
        kinds = [
            kind for kind, stack in self.policies[0].stacks.items() for _ in range(stack.count)
        ]
        return [
            ActorBatch(data, slots, actor.stack.sizes[-1], by_kind[kind])
            for data, actor, kind in zip(zip(*runs, strict=True), self.actors, kinds, strict=True)
        ]

    def _data(self, episode: Episode, advantage: Tensor) -> list[ActorData]:
        """Each agent's data in one run; ``advantage`` is [C, outputs, N−1]."""
        env, decision = episode.decision.env, episode.decision
        world, actions, users = episode.world, decision.actions, env.num_users
        per_user = self.config.credit == "per-user"
        scale = standardise if self.config.normalize_advantage else (lambda array: array)
        joint = [scale(one) for one in advantage.sum(1)]
        fine = [scale(one.mT) for one in advantage] if per_user else joint
        sending = decision.sending[0, :-1]
        mask = station_mask(world.association, decision.deployment, decision.served, env)[0, :-1]
        weights = torch.cat([actions.cpu_share, actions.wired_share], dim=-1)[0, :-1]

        data = [
            actor_data(
                "beta", decision.user_obs[0, :-1, k], decision.power_unit[0, :-1, k, None],
                sending[:, k, None], joint[self.critic_of[k]],
            )
            for k in range(users)
        ]  # fmt: skip
        data += [
            actor_data(
                "beta", decision.station_obs[0, :-1, m], weights[:, m], mask[:, m],
                fine[self.critic_of[users + m]], users,
            )
            for m in range(env.num_bs)
        ]  # fmt: skip
        data.append(
            actor_data(
                "categorical", decision.centre_obs[0, :-1], actions.deployment[0, :-1],
                world.request[0, :-1], fine[self.critic_of[-1]], users,
            )
        )  # fmt: skip
        return data

    def state(self, run: int = 0) -> dict[str, Tensor]:
        """Return every array of one run that learning changes, by name."""
        stacks = {f"actors.{kind}": one for kind, one in self.policies[run].stacks.items()}
        stacks["critics"] = self.critics.runs[run]
        parts = {prefix: stack.state() for prefix, stack in stacks.items()}
        parts["value_norm"] = self.critics.norm.state(run)
        parts |= {f"adam.actor{i}": one.state(run) for i, one in enumerate(self.actors)}
        parts |= {f"adam.critic{i}": one.state(run) for i, one in enumerate(self.critics.trainees)}
        return {
            f"{prefix}.{name}": tensor
            for prefix, part in parts.items()
            for name, tensor in part.items()
        }

    def load(self, state: dict[str, Tensor], run: int = 0) -> None:
        """Copy arrays of :meth:`state` into place.

        Raises:
            ValueError: names, shapes or types differ; nothing is changed then.
        """
        own = self.state(run)
        if wrong := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"array {wrong[0]!r} is missing or not expected")
        for name, tensor in own.items():
            given = state[name]
            if given.shape != tensor.shape or given.dtype != tensor.dtype:
                raise ValueError(
                    f"array {name!r} is {given.dtype} {tuple(given.shape)}: "
                    f"must be {tensor.dtype} {tuple(tensor.shape)}"
                )
        for name, tensor in own.items():
            tensor.copy_(state[name])
