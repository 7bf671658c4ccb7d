"""Formulas that Python and a browser both compute: operators only, on numbers or expressions.

A chart with sliders is given these with its sliders' values in place of numbers, so that what a
browser computes is what the tests compare with the model.
"""

import math
from collections.abc import Callable
from typing import Any

from dtlib.model.synchronization import compute_delay


def threshold(cpu_hz: Any, seconds: Any, *, bits: Any, cycles_per_bit: Any) -> Any:
    """Return the K at which a request takes so many seconds on a slice f_max/K of a server.

    >>> round(threshold(10e9, 0.05, bits=25e3, cycles_per_bit=700), 1)
    28.6
    """
    return seconds / compute_delay(bits, cycles_per_bit=cycles_per_bit, cpu_hz=cpu_hz)


def share_too_big(
    cycles: Any,
    bits: tuple[Any, Any],
    cycles_per_bit: tuple[Any, Any],
    *,
    log: Callable[[Any], Any] = math.log,
    clamp: Callable[[Any, Any, Any], Any] = lambda x, low, high: min(max(x, low), high),
) -> Any:
    """Return the share of requests that need more CPU cycles than these, D·C > ``cycles``.

    D and C are uniform. Above ``all`` a data size is too big at any C, below ``none`` at no C; in
    between, C is too large above cycles/D.

    Args:
        cycles: that fit into the time on a slice.
        bits: range of D; its ends differ.
        cycles_per_bit: range of C; its ends differ.
        log: natural logarithm of what the others are.
        clamp: a number, held between two others.

    >>> share_too_big(17e6, (15e3, 25e3), (550, 700)) < share_too_big(9e6, (15e3, 25e3), (550, 700))
    True
    """
    (small, big), (few, many) = bits, cycles_per_bit
    none, all_ = clamp(cycles / many, small, big), clamp(cycles / few, small, big)
    between = many * (all_ - none) - cycles * log(all_ / none)
    return (between / (many - few) + big - all_) / (big - small)


def least_power(bits: Any, seconds: Any, *, bandwidth_hz: Any, gain: Any, noise_w: Any) -> Any:
    """Return the power that sends so many bits in so many seconds by (8), nobody else sending."""
    return (2 ** (bits / (bandwidth_hz * seconds)) - 1) * noise_w / gain


def beta_moments(first: Any, second: Any) -> tuple[Any, Any]:
    """Return the mean and the variance of Beta(first, second)."""
    both = first + second
    return first / both, first * second / (both**2 * (both + 1))
