"""What is measured at a point of a sweep without being learnt: rules and the genie's bound."""

import math
from functools import partial

from dtlib.baselines.admission import genie_under_threshold
from dtlib.baselines.rules import Reference
from dtlib.baselines.tuning import tune_failures
from dtlib.experiments.families import BEST, families
from dtlib.experiments.streams import sample_stream
from dtlib.settings.env import EnvConfig
from dtlib.training.evaluation import evaluate_policy, evaluation_env

TUNED_ON, GENIE_STRIDE = 2, 50
"""Worlds that a rule's level is tuned on, and every how many slots the genie is asked."""
DEMAND_LEVELS = tuple(10 ** (db / 10) for db in range(-4, 31, 2))
"""Received power in multiples of what a request needs, linear, among which a rule is tuned."""
ON_DEMAND = {"power-on-demand": math.inf, "demand-or-silence": 1.0}
"""Up to which part of P_max a request may need to be sent at all."""


def measure_baseline(name: str, env: EnvConfig, worlds: int) -> dict[str, float]:
    """Return what a baseline achieves on held-out worlds of a network.

    Args:
        name: ``power-on-demand`` and ``demand-or-silence`` are at the level of fewest failures on
            tuning worlds; ``genie`` is the bound under (14b).
        env: the network, whatever the length of its episodes.
        worlds: how many.
    """
    env = evaluation_env(env)
    if name == "genie":
        world = sample_stream(env, "held-out", worlds).every(GENIE_STRIDE)
        bound = genie_under_threshold(world, env, env.failure_threshold).bound_j
        return {"energy_per_user_slot_j": bound}
    return evaluate_policy(on_demand(env, name), env, worlds=worlds).summary()


def on_demand(env: EnvConfig, name: str) -> Reference:
    """Return a rule that sends what a request needs, at the level of fewest failures.

    Args:
        env: the network, with the length of its tuning worlds.
        name: ``power-on-demand`` sends at P_max where that is not enough or no time is left, and
            ``demand-or-silence`` does not send there.
    """
    tuning = sample_stream(env, "tuning", TUNED_ON)
    return tune_failures(partial(at_level, env, name), tuning, DEMAND_LEVELS).policy


def at_level(env: EnvConfig, name: str, level: float) -> Reference:
    """Return one of ``ON_DEMAND`` at a level, in multiples of what a request needs."""
    most = ON_DEMAND[name] * env.max_power_w
    return families(env)[BEST].make(level, most)
