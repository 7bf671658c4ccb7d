"""Energy against failures of a rule: what a learner is held against where as many requests fail.

The rule is *demand or silence* with two numbers. It sends what a request needs, times a level, or
nothing where that is more than a limit. The lower both are, the less energy it needs, and the more
requests fail.
"""

import math

import pandas as pd

from dtlib.baselines.tuning import measure
from dtlib.experiments import sealed
from dtlib.experiments.baseline import DEMAND_LEVELS, TUNED_ON
from dtlib.experiments.families import BEST, families
from dtlib.experiments.grids import find
from dtlib.experiments.keys import digest, env_key
from dtlib.experiments.streams import sample_stream
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training.evaluation import WORLDS, evaluate_policy, evaluation_env

NAME, MEASURED_AT = "demand", "companion"
"""Of the table; and the preset of the one that is committed, whose network ``quick`` and ``paper``
have, too."""
LIMITS = tuple(10 ** (db / 10) for db in range(-20, 1, 2))
"""Of what the rule spends on a request, in multiples of P_max."""
FEW = 2
"""Held-out worlds where the curve is measured for a page."""


def curve(env: EnvConfig, worlds: int) -> pd.DataFrame:
    """Return the rule's energy against its failures on held-out worlds.

    Pairs of level and limit are chosen on tuning worlds: those for which no other pair needs less
    energy and fails no more.

    Args:
        env: the network, whatever the length of its episodes.
        worlds: how many.

    Returns:
        A row per pair, from the fewest failures on tuning worlds, with ``level``, ``limit_w`` and
        the columns of :meth:`Evaluation.summary`.
    """
    env = evaluation_env(env)
    tuning = sample_stream(env, "tuning", TUNED_ON)
    make = families(env)[BEST].make
    tried = [
        (measure(make(level, limit), tuning), level, limit)
        for level in DEMAND_LEVELS
        for limit in (share * env.max_power_w for share in LIMITS)
    ]
    tried.sort(key=lambda one: (one[0].failed_requests, one[0].energy_j))
    least, rows = math.inf, []
    for found, level, limit in tried:
        if found.energy_j < least:
            least = found.energy_j
            measured = evaluate_policy(found.policy, env, worlds=worlds).summary()
            rows.append({"level": level, "limit_w": limit} | measured)
    return pd.DataFrame(rows)


def known_curve(env: EnvConfig, preset: str = MEASURED_AT) -> pd.DataFrame:
    """Return a network's curve: the committed one, or one on ``FEW`` worlds if it has none.

    The rule uses slices of the CPU whole in any case.

    Args:
        env: the network, whatever the length of its episodes.
        preset: whose sizes it has.
    """
    preset = "smoke" if preset == "smoke" else MEASURED_AT
    if env.num_users in _users(preset):
        of_table = _env(preset, env.num_users)
        asked = env.replace(cpu_sharing="slices") if env.cpu_sharing == "whole" else env
        if asked == of_table.replace(frames=env.frames, control_factor=env.control_factor):
            table = TABLE.read(preset)
            return table[table["num_users"] == env.num_users].reset_index(drop=True)
    return curve(env, FEW)


def _users(preset: str) -> tuple[int, ...]:
    """Return the numbers of users of a preset's table: those of the experiment ``outage``."""
    return tuple(map(int, find("outage").axes["num_users"].of(preset)))


def _env(preset: str, users: int) -> EnvConfig:
    return TrainConfig.from_preset(preset, env={"num_users": users}).env


def _worlds(preset: str) -> int:
    return FEW if preset == "smoke" else WORLDS["held-out"]


def _rows(preset: str, users: int) -> pd.DataFrame:
    """Return a network's rows, from the store or measured now."""
    env, worlds = _env(preset, users), _worlds(preset)

    def compute() -> pd.DataFrame:
        found = curve(env, worlds)
        found.insert(0, "num_users", users)
        return found

    return sealed.table(NAME, digest([env_key(env), DEMAND_LEVELS, LIMITS, worlds]), compute)


TABLE = MeasuredTable(
    name=NAME,
    key=lambda preset, version: digest([
        [env_key(_env(preset, users), version) for users in _users(preset)],
        DEMAND_LEVELS, LIMITS, _worlds(preset),
    ]),
    tasks=lambda preset: [(preset, users) for users in _users(preset)],
    rows=_rows,
    facts=lambda preset: {"worlds": _worlds(preset)},
)  # fmt: skip
"""The curves of a preset at each K of the experiment ``outage``."""
