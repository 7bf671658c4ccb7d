"""What a policy is worth: metrics of an outcome, held-out worlds, intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from dtlib.model.simulator import Actions, Carry, Outcome, initial_carry, simulate
from dtlib.model.world import World, sample_world
from dtlib.runtime.devices import torch_threads
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.seeds import stream_seed
from dtlib.settings.env import EnvConfig

WORLDS = {"held-out": 20, "tuning": 10}
"""Worlds of an evaluation, unless told otherwise: to report on, and to choose parameters on."""
FRAMES = 50
"""Frames of each, whatever the length of the training episodes: 5000 slots in Table I's units."""


def outcome_metrics(outcome: Outcome, env: EnvConfig) -> dict[str, float]:
    """Return an episode's results as numbers, means over replicas and users.

    ``reward_global`` is minus the drift-plus-penalty objective (19).

    Args:
        outcome: of whole episodes.
        env: their network.
    """
    served = outcome.request & ~outcome.failure
    slot_ratio = outcome.failure_ratio_slots
    return {
        "reward_global": outcome.reward_global.mean().item(),
        "reward_centre": outcome.reward_centre.mean().item(),
        "energy_per_user_slot_j": outcome.energy_per_slot_j.mean().item(),
        "energy_per_served_request_j": (
            outcome.energy_j.double().sum() / served.sum().clamp_min(1)
        ).item(),
        "failure_ratio_slots": slot_ratio.mean().item(),
        "failure_ratio_slots_worst_user": slot_ratio.max(-1).values.mean().item(),
        "failure_ratio_requests": (
            outcome.failure.sum() / outcome.request.sum().clamp_min(1)
        ).item(),
        "migrations_per_frame": (outcome.migrations.mean() / max(env.frames - 1, 1)).item(),
        "queue_rate": (outcome.queue[:, -1].mean() / env.slots).item(),
    }


class Acts(Protocol):
    """Anything that decides for a whole world: learnt policies, reference policies."""

    def act(self, world: World, *, carry: Carry, env: EnvConfig) -> Actions:
        """Return mean actions in every slot, given the state before the first."""


@dataclass(frozen=True)
class Evaluation:
    """A policy's results on worlds that it has never seen."""

    worlds: pd.DataFrame
    """One row per world, the columns of :func:`outcome_metrics`."""
    users: pd.DataFrame
    """One row per user, over all worlds: ``energy_per_slot_j``, ``failure_ratio_slots`` as (14b)
    counts it and ``failure_ratio_requests``."""

    @property
    def worst_user(self) -> float:
        """The largest slot failure ratio of a user: (14b) holds if it is at most ε."""
        return self.users.failure_ratio_slots.max()

    def summary(self) -> dict[str, float]:
        """Return the means over worlds, and the worst user over all of them."""
        means = self.worlds.drop(columns="world").mean().to_dict()
        return means | {"failure_ratio_slots_user_max": self.worst_user}


def evaluate_policy(
    policy: Acts,
    env: EnvConfig,
    worlds: int = WORLDS["held-out"],
    stream: str = "held-out",
    progress: bool = False,
    threads: int = 1,
    carry_queue: bool = False,
) -> Evaluation:
    """Evaluate a policy on worlds that no training run ever sees.

    Args:
        policy: what acts.
        env: the network, with the length of the worlds.
        worlds: how many; the first n are always the same.
        stream: ``held-out``, or ``tuning`` for worlds on which parameters are chosen.
        progress: show a bar on standard error.
        threads: torch threads.
        carry_queue: whether a world begins with the queue that the one before has left.
    """
    if worlds < 1:
        raise ConfigError(f"worlds = {worlds}: must be at least 1")
    rows, queue = [], None
    energy, failed, asked = np.zeros((3, env.num_users))
    with torch_threads(threads):
        for number in tqdm(range(worlds), unit="world", disable=not progress, desc="evaluate"):
            world = sample_world(env, stream_seed(stream, number))
            carry = initial_carry(world, queue)
            outcome = simulate(world, policy.act(world, carry=carry, env=env), env, carry)
            queue = outcome.carry.queue if carry_queue else None
            rows.append({"world": number} | outcome_metrics(outcome, env))
            energy += outcome.energy_j[0].double().sum(0).numpy()
            failed += outcome.failure[0].sum(0).numpy()
            asked += outcome.request[0].sum(0).numpy()
    slots = worlds * env.slots
    users = {
        "user": np.arange(env.num_users),
        "energy_per_slot_j": energy / slots,
        "failure_ratio_slots": failed / slots,
        "failure_ratio_requests": failed / np.maximum(asked, 1),
    }
    return Evaluation(pd.DataFrame(rows), pd.DataFrame(users))


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean over seeds and its bootstrap interval (percentiles of 9999 resamples).

    Args:
        values: one per seed; the interval is the value itself if there is only one.
        level: of the interval.
    """
    array = np.asarray(values, dtype=float)
    mean = float(array.mean())
    if len(array) < 2 or np.ptp(array) == 0:
        return mean, mean, mean
    found = stats.bootstrap(
        (array,), np.mean, confidence_level=level, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return mean, float(found.low), float(found.high)


def interval_text(values: Sequence[float], form: str = ".3g") -> str:
    """Return the mean over seeds and its 95 % interval as text; see :func:`interval`.

    A single value stands alone. The space between the brackets does not break, so that narrow
    tables stay readable.
    """
    mean, low, high = (format(one, form) for one in interval(values))
    return mean if len(values) == 1 else f"{mean} [{low},\N{NO-BREAK SPACE}{high}]"


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half (Agarwal et al. 2021); nan for fewer than 5 values."""
    return float(stats.trim_mean(values, 0.25)) if len(values) >= 5 else float("nan")
