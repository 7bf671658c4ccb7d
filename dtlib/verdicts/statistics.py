"""Statistics over seeds: estimates, tests, families of tests. The unit of replication is a seed.

All tests are one-sided and vectorised: the last axis of ``values`` is the seed, n long, and all
others are kept. Comparisons are of differences within a seed, which shares its worlds. How often
these tests err at the n used here is simulated in :mod:`dtlib.verdicts.rates`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from dtlib.verdicts.words import GAP

FEWEST = 3
"""Seeds that a t interval needs to say anything; with two it has 12.7 standard errors to
either side."""
IQM_FROM = 10
"""Seeds from which on the interquartile mean is shown beside the mean."""


def estimate(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean over seeds and its t interval (Student 1908), in the unit of the values.

    Args:
        values: [n], one per seed; of a single one both bounds are nan.
        level: of the interval.

    >>> [round(value, 2) for value in estimate([1.0, 2.0, 3.0])]
    [2.0, -0.48, 4.48]
    """
    array = np.asarray(values, dtype=float)
    mean = float(array.mean())
    if array.size < 2 or np.ptp(array) == 0:
        bound = mean if array.size > 1 else math.nan
        return mean, bound, bound
    low, high = stats.t.interval(level, array.size - 1, loc=mean, scale=stats.sem(array))
    return mean, float(low), float(high)


def detectable(values: ArrayLike, error: float) -> float:
    """Return the least mean that so many seeds show with a power of 80 %, as much as they scatter.

    Args:
        values: [n], one per seed.
        error: of a test to either side together.

    >>> round(detectable([-1.0, 0.0, 1.0], 0.05), 2)
    3.26
    """
    array = np.asarray(values, dtype=float)
    bar = stats.t.isf(error / 2, array.size - 1)
    return float(stats.sem(array) * special.nctdtrinc(array.size - 1, 0.2, bar))


def interval_text(
    values: Sequence[float], form: str = ".3g", show: Callable[[float], float] = float
) -> str:
    """Return the mean over seeds and its 95 % interval as text; see :func:`estimate`.

    A single value stands alone. The space between the brackets does not break, so that narrow
    tables stay readable.

    Args:
        values: one per seed.
        form: of each number; what rounds to 0 has no sign.
        show: turns each of the three into what a reader sees.
    """
    return in_brackets(estimate(values), "", f"z{form}", show=show, gap=GAP)


def range_text(values: Sequence[float], form: str = ".3g") -> str:
    """Return the mean over seeds and, if there are several, the least and the greatest as text."""
    shown = np.asarray(values)
    ends = (shown.min(), shown.max()) if len(shown) > 1 else (math.nan, math.nan)
    return in_brackets((shown.mean(), *ends), "", f"z{form}", gap=GAP)


def _without_exponent(number: float, form: str) -> str:
    text = format(number, form)
    return f"{number:.0f}" if "e+" in text else text


def in_brackets(
    numbers: Sequence[float],
    unit: str = " %",
    form: str = ".3g",
    *,
    show: Callable[[float], float] = float,
    gap: str = " ",
) -> str:
    """Return what :func:`estimate` gave as text, the unit behind the mean, bounds if defined.

    >>> in_brackets((2.0, -0.48, 4.48))
    '2 % [-0.48, 4.48]'
    """
    mean, low, high = (_without_exponent(show(number), form) for number in numbers)
    return f"{mean}{unit}" if math.isnan(numbers[1]) else f"{mean}{unit} [{low},{gap}{high}]"


def t_test(values: ArrayLike, at: ArrayLike = 0.0) -> NDArray[Any]:
    """Return p, [...], of the hypothesis that the mean is at most ``at``, by Student's t.

    Exact for values that are normal. Where all seeds agree to the last digit, p is 0 or 1.

    Args:
        values: [..., n], one per seed, at least two of them.
        at: [...], in the same unit.

    >>> float(t_test([1.0, 2.0, 3.0]).round(4))
    0.0371
    """
    array = np.asarray(values, dtype=float)
    lead, n = array.mean(-1) - at, array.shape[-1]
    error = array.std(-1, ddof=1) / np.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.t.sf(lead / error, n - 1)
    return np.where(error > 0, p, np.where(lead > 0, 0.0, 1.0))


def sign_test(values: ArrayLike, at: ArrayLike = 0.0) -> NDArray[Any]:
    """Return p, [...], of the hypothesis that at most half of all seeds are above ``at``.

    Exact whatever the distribution (Arbuthnott 1710): the count is binomial. A tie is not above.

    Args:
        values: [..., n], one per seed.
        at: [...], in the same unit.

    >>> float(sign_test([1.0, 2.0, 3.0, 0.5, 2.0])), float(sign_test([1.0, -2.0, 0.0]))
    (0.03125, 0.875)
    """
    array = np.asarray(values, dtype=float)
    above = (array > np.expand_dims(np.asarray(at), -1)).sum(-1)
    return np.asarray(stats.binom.sf(above - 1, array.shape[-1], 0.5))


def holm(p: ArrayLike) -> NDArray[Any]:
    """Return p, [..., C], corrected for C tests at once (Holm 1979), whatever their dependence.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    array = np.asarray(p, dtype=float)
    order = np.argsort(array, axis=-1)
    weights = np.arange(array.shape[-1], 0, -1)
    stepped = np.maximum.accumulate(np.take_along_axis(array, order, -1) * weights, axis=-1)
    return np.take_along_axis(np.minimum(stepped, 1.0), np.argsort(order, axis=-1), axis=-1)


def all_hold(p: ArrayLike, starts: Sequence[int] = (0,)) -> NDArray[Any]:
    """Return p, [..., C], of "holds in every part" (intersection-union, Berger 1982).

    A sentence on every part is shown only where each is, so that nothing need be corrected.

    Args:
        p: [..., P], of the parts.
        starts: [C], where each sentence's parts begin.

    >>> all_hold([0.01, 0.2, 0.03], starts=[0, 2]).tolist()
    [0.2, 0.03]
    """
    return np.maximum.reduceat(np.asarray(p), list(starts), axis=-1)


def some_holds(p: ArrayLike, starts: Sequence[int] = (0,)) -> NDArray[Any]:
    """Return p, [..., C], of "holds in some part": the least, by Bonferroni; see :func:`all_hold`.

    >>> some_holds([0.01, 0.2, 0.03], starts=[0, 2]).tolist()
    [0.02, 0.03]
    """
    array = np.asarray(p)
    counts = np.diff([*starts, array.shape[-1]])
    return np.minimum(np.minimum.reduceat(array, list(starts), axis=-1) * counts, 1.0)


def share(hits: int, n: int, level: float = 0.95) -> tuple[float, float, float]:
    """Return hits / n and its exact interval (Clopper and Pearson 1934), none with a unit.

    >>> [round(value, 3) for value in share(5, 5)]
    [1.0, 0.478, 1.0]
    """
    found = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    return hits / n, float(found.low), float(found.high)


def improvement(own: ArrayLike, other: ArrayLike) -> float:
    """Return the probability that a seed of one exceeds a seed of the other; a tie counts half.

    Over all pairs (Mann and Whitney 1947; "probability of improvement", Agarwal et al. 2021). It
    describes, and decides nothing.

    Args:
        own: [n], one per seed.
        other: [m], one per seed.

    >>> improvement([3.0, 5.0], [1.0, 4.0])
    0.75
    """
    gaps = np.subtract.outer(np.asarray(own, dtype=float), np.asarray(other, dtype=float))
    return float(((1 + np.sign(gaps)) / 2).mean()) if gaps.size else float("nan")


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half (Agarwal et al. 2021); nan for fewer than 5 values.

    At either end ⌊n/4⌋ of the n values are left out.

    >>> interquartile_mean([9, 2, 4, 3, -70])
    3.0
    """
    return float(stats.trim_mean(values, 0.25)) if len(values) >= 5 else float("nan")
