"""Numbers that explain what is measured, from settings alone: time on the CPU, distances."""

from typing import Any

import numpy as np

from dtlib.model.synchronization import compute_delay
from dtlib.model.world import bs_positions
from dtlib.report.formulas import share_too_big
from dtlib.settings.env import EnvConfig

GRID = 201
"""Places along either side of the area, at the middle of as many equal parts."""


def slice_seconds(bits: Any, cycles_per_bit: Any, env: EnvConfig) -> Any:
    """Return how long a request computes on one user's slice f_max/K of a server, s."""
    return compute_delay(bits, cycles_per_bit=cycles_per_bit, cpu_hz=env.cpu_hz / env.num_users)


def too_big(env: EnvConfig) -> float:
    """Return the share of requests that a whole slice computes for longer than any deadline.

    They fail whatever is sent, where the CPU is divided into slices.

    >>> [round(too_big(EnvConfig(num_users=k)), 2) for k in (25, 40, 61)]
    [0.0, 0.49, 1.0]
    """
    bits, work = (
        (min(low, high * (1 - 1e-6)), high) for low, high in (env.data_bits, env.cycles_per_bit)
    )
    return share_too_big(env.cpu_hz * env.deadline_s[1] / env.num_users, bits, work)


def nearest_metres(env: EnvConfig) -> float:
    """Return the mean distance to the nearest base station over the whole area, m."""
    places = env.area_m * (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(places, places)
    sites = np.asarray(bs_positions(env))
    return float(np.min([np.hypot(x - a, y - b) for a, b in sites], axis=0).mean())
