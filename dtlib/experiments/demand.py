"""Energy against failures of *demand or silence*: what a learner is held against at equal failures.

The rule learns nothing. The lower its level of power, the less energy it needs, and the more
requests fail.
"""

from __future__ import annotations

import pandas as pd

from dtlib.experiments.baseline import DEMAND_LEVELS, at_level
from dtlib.experiments.grids import find
from dtlib.experiments.keys import digest, env_key
from dtlib.experiments.measured_table import MeasuredTable
from dtlib.experiments.results import FAILED
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig
from dtlib.training.evaluation import WORLDS, evaluate_policy, evaluation_env

MEASURED_AT = "companion"
"""The preset whose table is committed; ``quick`` and ``paper`` have the same network."""
FEW = 2
"""Held-out worlds where the curve is measured for a page."""


def curve(env: EnvConfig, worlds: int) -> pd.DataFrame:
    """Return energy against failures on held-out worlds, level by level.

    Levels end where failures begin to rise: beyond, users drown in each other's interference.

    Args:
        env: the network, whatever the length of its episodes.
        worlds: how many.

    Returns:
        A row per level, ascending: ``level`` and the columns of :meth:`Evaluation.summary`.
    """
    env = evaluation_env(env)
    rows: list[dict[str, float]] = []
    for level in DEMAND_LEVELS:
        rule = at_level(env, "demand-or-silence", level)
        row = evaluate_policy(rule, env, worlds).summary()
        if rows and row[FAILED] > rows[-1][FAILED]:
            break
        rows.append({"level": level} | row)
    table = pd.DataFrame(rows)
    return table.iloc[: 1 + table[FAILED].argmin()]


def known_curve(env: EnvConfig, preset: str = MEASURED_AT) -> pd.DataFrame:
    """Return a network's curve: the committed one, or one on ``FEW`` worlds if it has none.

    Args:
        env: the network, whatever the length of its episodes.
        preset: whose sizes it has.
    """
    preset = "smoke" if preset == "smoke" else MEASURED_AT
    if env.num_users in _users(preset):
        of_table = evaluation_env(_env(preset, env.num_users))
        if evaluation_env(env) == of_table.replace(control_factor=env.control_factor):
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


def table_key(preset: str, version: int | None = None) -> str:
    """Return the sha256 of what a preset's table is of, in an older version if one is given."""
    networks = [env_key(_env(preset, users), version) for users in _users(preset)]
    return digest([networks, DEMAND_LEVELS, _worlds(preset)])


def _rows(preset: str, users: int) -> pd.DataFrame:
    found = curve(_env(preset, users), _worlds(preset))
    found.insert(0, "num_users", users)
    return found


TABLE = MeasuredTable(
    "demand",
    table_key,
    lambda preset: [(preset, users) for users in _users(preset)],
    _rows,
    lambda preset: {"worlds": _worlds(preset)},
)
"""The curves of a preset at each K of the experiment ``outage``."""
