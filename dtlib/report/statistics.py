"""Statistics over seeds: the mean, its interval, and the mean of the middle half."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats


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
    mean, low, high = (format(value, form) for value in interval(values))
    return mean if len(values) == 1 else f"{mean} [{low},\N{NO-BREAK SPACE}{high}]"


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half (Agarwal et al. 2021); nan for fewer than 5 values."""
    return float(stats.trim_mean(values, 0.25)) if len(values) >= 5 else float("nan")
