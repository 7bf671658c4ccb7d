"""HAPPO and MAPPO on the twin network: from episodes to improved actors and critics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from dtlib.algorithms.batch import ActorBatch, ActorData, Head, actor_data, standardise
from dtlib.algorithms.credit import difference_reward, reward_streams
from dtlib.algorithms.critic import Critics
from dtlib.algorithms.happo import ActorUpdate, UpdateStats, agent_order, update_actors
from dtlib.algorithms.mappo import update_together
from dtlib.algorithms.trainee import Trainee
from dtlib.checkpoint import check_arrays
from dtlib.config import EnvConfig, TrainConfig
from dtlib.networks import MLPStack
from dtlib.observations import columns, global_state, state_size
from dtlib.policies import Decision, Policies, station_mask
from dtlib.simulator import Outcome
from dtlib.world import World


@dataclass(frozen=True)
class Episode:
    """What one run's policies saw, did and caused, in W worlds side by side."""

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
        agents = sum(stack.count for stack in self.policies[0].stacks.values())
        shared = config.critic == "shared"
        self.critic_of = [0] * (agents - 1) + [1] if shared else list(range(agents))
        self.critics = Critics(
            2 if shared else agents,
            state_size(env, config.critic_sees_queue),
            1 if config.credit == "joint" else env.num_users,
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

    @staticmethod
    def stretch(env: EnvConfig) -> int:
        """Slots that one policy plays before it is improved: an episode."""
        return env.slots

    def update(
        self, episodes: Sequence[Episode], generator: Generator, progress: float = 0.0
    ) -> list[dict[str, float]]:
        """Learn from one episode of each run (lines 17–26 of Algorithm 1).

        A world's last slot serves to bootstrap; the slots before it are the data. Between the first
        epoch and the last, nothing waits for the device.

        Args:
            episodes: one per run.
            generator: of the agents' order, which is the same in all runs.
            progress: how much of the training is over, from 0 to 1.

        Returns:
            Diagnostics by name, one record per run.
        """
        config = self.config
        for trainee in (*self.actors, *self.critics.trainees):
            trainee.rate = config.learning_rate * config.left(progress)
        states = [self._state(one) for one in episodes]
        trace = self.critics.look(states)
        reward = torch.stack([self._rewards(one.outcome) for one in episodes], dim=1)
        advantage = self.critics.advantages(trace, reward)
        slots = advantage[0, 0, 0].numel()
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
            if config.algorithm == "beta-mappo":
                update_together(updates, slots, stats)
            else:
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
        """[W, N, d]."""
        queue = episode.outcome.frame_queue if self.config.critic_sees_queue else None
        decision = episode.decision
        return global_state(episode.world, decision.deployment, decision.env, queue)

    def _rewards(self, outcome: Outcome) -> Tensor:
        """[C, outputs, W, N−1]: each critic's reward, whole or by user."""
        streams = reward_streams(self.config.credit, outcome)
        last = self.critics.count - 1
        rows = [streams.centre if index == last else streams.users for index in range(last + 1)]
        return torch.stack(rows)[..., :-1]

    def _batches(self, episodes: Sequence[Episode], advantage: Tensor) -> list[ActorBatch]:
        """Lay out each agent's data in all runs."""
        by_kind = columns(self.config.env, shared=self.config.twin_by_twin)
        slots = advantage[0, 0, 0].numel()
        runs = [self._data(one, advantage[:, run].flatten(2)) for run, one in enumerate(episodes)]
        kinds = [
            kind for kind, stack in self.policies[0].stacks.items() for _ in range(stack.count)
        ]
        return [
            ActorBatch(data, slots, actor.stack.sizes[-1], by_kind[kind])
            for data, actor, kind in zip(zip(*runs, strict=True), self.actors, kinds, strict=True)
        ]

    def _data(self, episode: Episode, advantage: Tensor) -> list[ActorData]:
        """Each agent's data in one run, world after world; ``advantage`` is [C, outputs, slots]."""
        env, decision, config = episode.decision.env, episode.decision, self.config
        world, users = episode.world, env.num_users
        scale = standardise if config.normalize_advantage else (lambda array: array)

        def data(array: Tensor) -> Tensor:
            return array[:, :-1].flatten(0, 1)

        if config.credit == "difference":
            power, mean = decision.actions.power, decision.mean_power
            own = data(difference_reward(world, power, mean, episode.outcome, env))
        else:
            joint = advantage.sum(1)
            critics = [0] * users if config.shares_users else self.critic_of[:users]
            own = torch.stack([joint[c] for c in critics], dim=-1)
        by_user = config.credit != "joint"
        others = self.critic_of[-env.num_bs - 1 :]
        fine = [scale(advantage[c].mT if by_user else advantage[c, 0]) for c in others]
        weight, station_obs = data(decision.weight_unit), data(decision.station_obs)
        mask = data(station_mask(world.association, decision.deployment, decision.served, env))

        mine = data(decision.user_obs), data(decision.power_unit), data(decision.sending), own
        choice = data(decision.centre_obs), data(decision.actions.deployment), data(world.request)
        if config.twin_by_twin:
            by_twin = fine[-1] if by_user else fine[-1][:, None].expand(-1, users)
            centre = _all_users("categorical", *choice, by_twin)
        else:
            centre = actor_data("categorical", *choice, fine[-1], users)
        if config.shares_users:
            found = [_all_users(config.head, *mine[:3], scale(own))]
        else:
            found = [
                actor_data(
                    config.head, mine[0][:, k], mine[1][:, k, None], mine[2][:, k, None],
                    scale(own[:, k]),
                )
                for k in range(users)
            ]  # fmt: skip
        found += [
            actor_data(config.head, station_obs[:, m], weight[:, m], mask[:, m], fine[m], users)
            for m in range(env.num_bs)
        ]
        return [*found, centre]

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
        check_arrays(own, state)
        for name, tensor in own.items():
            tensor.copy_(state[name])


def _all_users(head: Head, obs: Tensor, value: Tensor, mask: Tensor, gain: Tensor) -> ActorData:
    """Collect what one network decided for K users: [slots, K, d] and three times [slots, K].

    One user after another, so that an observation's first columns repeat.
    """
    rows = [one.transpose(0, 1).flatten(0, 1) for one in (obs, value, mask, gain)]
    found = actor_data(head, rows[0], rows[1][:, None], rows[2][:, None], rows[3])
    return replace(found, slot=found.slot % len(gain))
