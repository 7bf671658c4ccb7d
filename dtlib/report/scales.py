"""Numbers that explain what is measured, from settings alone: time on the CPU, distances."""

from typing import Any

import numpy as np

from dtlib.model.synchronization import compute_delay
from dtlib.model.world import bs_positions
from dtlib.settings.env import EnvConfig

GRID = 201
"""Values of each of two uniform numbers, at the middle of as many equal parts."""


def middles(low: float, high: float) -> np.ndarray:
    """Return the middles of ``GRID`` equal parts of a range, [GRID]."""
    return low + (high - low) * (np.arange(GRID) + 0.5) / GRID


def slice_seconds(bits: Any, cycles_per_bit: Any, env: EnvConfig) -> Any:
    """Return how long a request computes on one user's slice f_max/K of a server, s."""
    return compute_delay(bits, cycles_per_bit=cycles_per_bit, cpu_hz=env.cpu_hz / env.num_users)


def too_big(env: EnvConfig) -> float:
    """Return the share of requests that a whole slice computes for longer than any deadline.

    They fail whatever is sent, where the CPU is divided into slices.

    >>> [round(too_big(EnvConfig(num_users=k)), 2) for k in (25, 40, 61)]
    [0.0, 0.49, 1.0]
    """
    bits, cycles = np.meshgrid(middles(*env.data_bits), middles(*env.cycles_per_bit))
    return float((slice_seconds(bits, cycles, env) > env.deadline_s[1]).mean())


def nearest_metres(env: EnvConfig) -> float:
    """Return the mean distance to the nearest base station over the whole area, m."""
    places = middles(0.0, env.area_m)
    x, y = np.meshgrid(places, places)
    sites = np.asarray(bs_positions(env))
    return float(np.min([np.hypot(x - a, y - b) for a, b in sites], axis=0).mean())
