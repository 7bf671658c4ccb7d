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
    cases: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "interference alone": (least, most | {"cpu_hz": env.cpu_hz * many / few}),
        "smaller slices alone": (least, least | {"cpu_hz": env.cpu_hz * few / many}),
        "both": (least, most),
        "servers divide their CPU": (least | divided, most | divided),
    }
    return pd.DataFrame(
        {
            name: [_energy(env, last, level) / _energy(env, first, level) for level in LEVELS_DB]
            for name, (first, last) in cases.items()
        },
        index=pd.Index(LEVELS_DB, name="level, dB"),
    )


def _energy(env: EnvConfig, changes: dict[str, Any], level_db: float) -> float:
    changed = env.replace(frames=5, **changes)
    world = sample_stream(changed, "held-out", 8)
    policy = at_level(changed, "power-on-demand", 10 ** (level_db / 10))
    return float(simulate(world, policy.act(world), changed).energy_j.mean())
