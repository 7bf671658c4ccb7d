"""The training loop: draw worlds, act, simulate, learn, and note what came of it."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from dtlib.agents.episode import Episode
from dtlib.agents.policies import Policies
from dtlib.model.simulator import Outcome, initial_carry, join
from dtlib.model.world import sample_world
from dtlib.runtime.checkpoint import check_arrays, overwrite
from dtlib.runtime.devices import timed
from dtlib.runtime.seeds import seeded, stream_seed
from dtlib.settings.train import TrainConfig
from dtlib.training.algorithms import learning_of
from dtlib.training.averaging import Average
from dtlib.training.finite import check_finite, simulate_finite
from dtlib.training.metrics import outcome_metrics
from dtlib.training.side_by_side import check_alike
from dtlib.training.size import check_size

TIMINGS = ("world_s", "act_s", "simulate_s", "update_s")
"""Columns of a history that differ between equal runs."""


@dataclass(frozen=True)
class Run:
    """A training run, finished or not."""

    config: TrainConfig
    policies: Policies
    history: pd.DataFrame
    """One row per finished episode."""


class Rollout:
    """One run's next episode, played a stretch of slots at a time.

    Args:
        number: of the episode, counted from 0.
        queue: Y before the first slot, [R, K].
    """

    def __init__(
        self, config: TrainConfig, number: int, *, queue: Tensor, device: torch.device
    ) -> None:
        self.config, self.number, self.device = config, number, device
        self.seconds: dict[str, float] = {}
        """Spent so far, by the first three of ``TIMINGS``."""
        worlds = range(number * config.worlds, (number + 1) * config.worlds)
        seeds = [stream_seed("world", config.seed, world) for world in worlds]
        with timed(self.seconds, "world_s", device):
            self.world = sample_world(config.env, seeds, device=device)
        self.generator = seeded("actions", config.seed, number, device=device)
        self.carry = initial_carry(self.world, queue)
        self.outcomes: list[Outcome] = []

    def play(self, policies: Policies, start: int, stop: int) -> Episode:
        """Act and simulate in slots ``start`` to ``stop − 1``.

        Raises:
            ConfigError: actions are not finite.
        """
        world, env = self.world.window(start, stop), self.config.env
        with timed(self.seconds, "act_s", self.device):
            decision = policies.decide(world, [self.generator], carry=self.carry, env=env)
        with timed(self.seconds, "simulate_s", self.device):
            where, actions = f"episode {self.number}", decision.actions
            outcome = simulate_finite(world, actions, env, carry=self.carry, where=where)
        self.carry = outcome.carry
        self.outcomes.append(outcome)
        return Episode(decision, outcome)

    def row(self) -> dict[str, float]:
        """Return the episode's row of the history, once it is played; learning adds to it."""
        env = self.config.env
        slots = (self.number + 1) * env.slots * self.config.worlds
        return {"episode": self.number, "slots": slots} | outcome_metrics(join(self.outcomes), env)


class Trainer:
    """Runs in progress that learn side by side. A run's index is its place among them.

    Args:
        configs: one per run; seeds may differ, and networks of one size.
        device: where they learn.
        order_seed: of the agents' order and of mini-batches, which the runs have in common; the
            first one's seed if absent.

    Raises:
        ConfigError: the settings do not fit together, or not into memory.
    """

    def __init__(
        self,
        configs: Sequence[TrainConfig],
        device: torch.device | str = "cpu",
        order_seed: int | None = None,
    ) -> None:
        check_alike(configs)
        self.order_seed = configs[0].seed if order_seed is None else order_seed
        self.configs, self.device = list(configs), torch.device(device)
        check_size(configs, self.device)
        weights = [seeded("weights", config.seed) for config in configs]
        self.learner = learning_of(configs[0]).learner(configs[0], weights, device)
        self.queues = [
            torch.zeros(config.worlds, config.env.num_users, dtype=torch.float64, device=device)
            for config in configs
        ]
        self.rows: list[list[dict[str, float]]] = [[] for _ in configs]
        """The history of each run, a row per finished episode."""
        self.averages = [Average(config, device) for config in configs if config.averaged]
        """One per run, if weights are averaged."""

    def episode(self) -> list[dict[str, float]]:
        """Act, simulate and learn for one episode; return each run's row of the history.

        Raises:
            ConfigError: numbers have stopped being finite; the runs cannot go on.
        """
        number = len(self.rows[0])
        rollouts = [
            Rollout(config, number, queue=queue, device=self.device)
            for config, queue in zip(self.configs, self.queues, strict=True)
        ]
        learnt, update_s = self._play_and_learn(rollouts)
        played = [rollout.row() for rollout in rollouts]
        for index, row in enumerate(played):
            check_finite(f"episode {number}", row, self.state(index))
        for index, rollout in enumerate(rollouts):
            timings = rollout.seconds | {"update_s": update_s}
            self.rows[index].append(played[index] | learnt[index] | timings)
            if not rollout.config.env.queue_reset:
                self.queues[index].copy_(rollout.carry.queue)
        for average, policies in zip(self.averages, self.learner.policies, strict=False):
            average.take(policies, number)
        return [rows[-1] for rows in self.rows]

    def _play_and_learn(self, rollouts: Sequence[Rollout]) -> tuple[list[dict[str, float]], float]:
        """Play an episode, and learn after each stretch of it.

        Returns:
            What learning tells of each run, means over the stretches, and each run's share of the
            seconds that it took.
        """
        number, config = rollouts[0].number, self.configs[0]
        slots, stretch = config.env.slots, self.learner.stretch(config.env)
        order, told = seeded("order", self.order_seed, number), []
        seconds: dict[str, float] = {}
        for start in range(0, slots, stretch):
            progress = (number + start / slots) / config.episodes
            for policies in self.learner.policies:
                policies.progress = progress
            episodes = [
                rollout.play(policies, start, min(start + stretch, slots))
                for rollout, policies in zip(rollouts, self.learner.policies, strict=True)
            ]
            with timed(seconds, "update_s", self.device):
                told.append(self.learner.update(episodes, order, progress))
        means = [pd.DataFrame(stats).mean().to_dict() for stats in zip(*told, strict=True)]
        return means, seconds["update_s"] / len(rollouts)

    def state(self, index: int) -> dict[str, Tensor]:
        """Return every array of one run that an episode changes, by name."""
        return self.learner.state(index) | self._beside(index)

    def load(self, index: int, state: Mapping[str, Tensor], rows: list[dict[str, float]]) -> None:
        """Take up one run where its history ends, with arrays of :meth:`state`.

        Raises:
            ValueError: names, shapes or types of arrays differ; nothing is changed then.
        """
        own = self._beside(index)
        beside = {name: state[name] for name in state if name in own}
        check_arrays(own, beside)
        self.learner.load({name: state[name] for name in state if name not in own}, index)
        overwrite(own, beside)
        self.rows[index] = rows

    def _beside(self, index: int) -> dict[str, Tensor]:
        """Return the arrays of one run that its learner does not know."""
        average = self.averages[index].state() if self.averages else {}
        return {"queue": self.queues[index]} | average

    def run_so_far(self, index: int) -> Run:
        """Return one run as it stands, its policies averaged once that has begun."""
        policies, rows = copy(self.learner.policies[index]), self.rows[index]
        policies.config = self.configs[index]  # the learner's all have the first run's
        if self.averages and len(rows) > self.averages[index].first:
            policies = self.averages[index].policies
        return Run(config=self.configs[index], policies=policies, history=pd.DataFrame(rows))
