"""What a policy is worth on worlds that no training run ever sees."""

from dataclasses import dataclass
from inspect import signature
from typing import Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from dtlib.model.simulator import Actions, Carry, initial_carry
from dtlib.model.world import World, sample_world
from dtlib.runtime.devices import torch_threads
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_type
from dtlib.runtime.memory import memory_told
from dtlib.runtime.messages import check_count, check_name, show
from dtlib.runtime.seeds import stream_seed
from dtlib.settings.env import EnvConfig
from dtlib.training.finite import check_finite, simulate_finite
from dtlib.training.loop import Run
from dtlib.training.metrics import outcome_metrics

WORLDS = {"held-out": 20, "tuning": 10}
"""How many an evaluation has, unless told otherwise: to report on, and to choose parameters on."""
MOST_WORLDS = 1_000_000
"""More would take months."""
EVALUATION_FRAMES = 50
"""Of each, whatever the length of the training episodes: 5000 slots in Table I's units."""


class Acts(Protocol):
    """Anything that decides for a whole world: learnt policies, reference policies."""

    def act(self, world: World, *, carry: Carry, env: EnvConfig) -> Actions:
        """Return mean actions in every slot, given the state before the first."""


@dataclass(frozen=True)
class Evaluation:
    """A policy's results on worlds that it has never seen."""

    worlds: pd.DataFrame
    """One row per world, the columns of :func:`~dtlib.training.metrics.outcome_metrics`."""
    users: pd.DataFrame
    """One row per ``user``, from 0, over all worlds: ``energy_per_slot_j``, ``failure_ratio_slots``
    as (14b) counts it and ``failure_ratio_requests``."""

    @property
    def worst_user(self) -> float:
        """The largest slot failure ratio of a user: (14b) holds if it is at most ε."""
        return float(self.users.failure_ratio_slots.max())

    def summary(self) -> dict[str, float]:
        """Return the means over worlds, and the worst user over all of them."""
        means = self.worlds.drop(columns="world").mean().to_dict()
        return means | {"failure_ratio_slots_user_max": self.worst_user}


def evaluate(
    run: Run,
    *,
    worlds: int = WORLDS["held-out"],
    stream: str = "held-out",
    progress: bool = False,
    threads: int = 1,
) -> Evaluation:
    """Evaluate a run's mean actions on worlds of Table I's length that no run is trained on.

    Args:
        run: trained policies.
        worlds: how many; the first n are always the same.
        stream: ``held-out``, or ``tuning`` to choose settings and parameters by.
        progress: show a bar on standard error.
        threads: torch threads.

    Raises:
        ConfigError: no run, no worlds, no such stream or threads, memory runs out, or numbers stop
            being finite.
    """
    check_type("run", run, Run, such="load_run(folder)")
    env = evaluation_env(run.config.env)
    return evaluate_policy(
        run.policies, env, worlds=worlds, stream=stream, progress=progress, threads=threads
    )


def evaluation_env(env: EnvConfig) -> EnvConfig:
    """Return a network with worlds of Table I's length, or of its own if they are longer.

    >>> evaluation_env(EnvConfig(num_users=12, frames=4)).frames
    50
    """
    return env.replace(frames=max(EVALUATION_FRAMES, env.frames))


def evaluate_policy(
    policy: Acts,
    env: EnvConfig,
    *,
    worlds: int = WORLDS["held-out"],
    stream: str = "held-out",
    progress: bool = False,
    threads: int = 1,
    carry_queue: bool = False,
) -> Evaluation:
    """Evaluate a policy; what is not told here is as for :func:`evaluate`.

    Args:
        policy: what acts: an object with ``act(world, *, carry, env)`` that returns actions, such
            as ``run.policies`` or ``Reference(env, rule)``.
        env: the network, with the length of the worlds: of a run's, :func:`evaluation_env` has
            that of :func:`evaluate`.
        carry_queue: whether a world begins with the queue that the one before has left.

    Raises:
        ConfigError: as for :func:`evaluate`, or the policy cannot act.
        ValueError: its actions do not fit the network, or leave their bounds.
    """
    try:
        signature(policy.act).bind(None, carry=None, env=None)
    except (AttributeError, TypeError):
        such = "run.policies, Reference(env, rule) or an object with act(world, *, carry, env)"
        raise ConfigError(f"policy = {show(policy)}: cannot act: must be {such}") from None
    check_type("env", env, EnvConfig, such="run.config.env")
    check_count("worlds", worlds, most=MOST_WORLDS)
    check_name("stream", stream, WORLDS)
    rows, queue = [], None
    energy, failed, asked = np.zeros((3, env.num_users))
    with torch_threads(threads), memory_told(), np.errstate(all="ignore"):  # `finite` tells once
        for number in tqdm(range(worlds), unit="world", disable=not progress, desc="evaluate"):
            world = sample_world(env, stream_seed(stream, number))
            carry = initial_carry(world, queue)
            actions = policy.act(world, carry=carry, env=env)
            outcome = simulate_finite(world, actions, env, carry=carry, where=f"world {number}")
            queue = outcome.carry.queue if carry_queue else None
            rows.append({"world": number} | outcome_metrics(outcome, env))
            check_finite(f"world {number}", rows[-1], {})
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
    return Evaluation(worlds=pd.DataFrame(rows), users=pd.DataFrame(users))
