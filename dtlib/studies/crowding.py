"""Why energy rises with the number of users: more interference, or less CPU for each of them.

Section V-B names interference. *Power on demand*, which learns nothing, pulls the two apart: either
the slices of the CPU stay as large as few users have them, or few users have slices as small as
many. It knows the time that its slice leaves and no interference, which so costs time on air alone.
"""

from typing import Any

import pandas as pd

from dtlib.experiments.baseline import at_level
from dtlib.experiments.streams import sample_stream
from dtlib.model.simulator import simulate
from dtlib.settings.env import EnvConfig

LEVELS_DB = (10, 14, 18)
"""Received power over what a request needs without interference."""


def growth(env: EnvConfig, few: int = 10, many: int = 25) -> pd.DataFrame:
    """Return how many times as much energy per user and slot many users need as few.

    Measured in eight held-out worlds of five frames.

    Args:
        env: the network, whatever its number of users and the length of its episodes.

    Returns:
        A row for each of ``LEVELS_DB``, and a column for each thing that grows.
    """
    least, most = ({"num_users": users} for users in (few, many))
    divided = {"cpu_sharing": "served"}
    alone = _energies(env, least)
    grown = {
        "interference alone": _energies(env, most | {"cpu_hz": env.cpu_hz * many / few}) / alone,
        "smaller slices alone": _energies(env, least | {"cpu_hz": env.cpu_hz * few / many}) / alone,
        "both": _energies(env, most) / alone,
        "servers divide their CPU": _energies(env, most | divided)
        / _energies(env, least | divided),
    }
    return pd.DataFrame(grown).rename_axis("level, dB")


def _energies(env: EnvConfig, changes: dict[str, Any]) -> pd.Series:
    """Return the energy per user and slot, J, by level."""
    changed = env.replace(frames=5, **changes)
    world, energies = sample_stream(changed, "held-out", 8), {}
    for level in LEVELS_DB:
        policy = at_level(changed, "power-on-demand", 10 ** (level / 10))
        energies[level] = float(simulate(world, policy.act(world), changed).energy_j.mean())
    return pd.Series(energies)
