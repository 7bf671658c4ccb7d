"""Rules of judgement: from a number per replicate to a verdict.

A verdict follows from a number per replicate (a seed; for a trend, an algorithm's seed) and the
bootstrap 95 % interval of its mean. It is never tuned: a claim whose data are fewer than three
replicates cannot be judged, whatever they show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dtlib.report.statistics import interval, interval_text

Verdict = Literal["reproduced", "direction only", "not reproduced", "contradicted", "not testable"]
REPLICATES = 3
"""Fewer are no basis for an interval."""


@dataclass(frozen=True)
class Finding:
    """What the data say of a claim."""

    verdict: Verdict
    quantity: str
    """What ``values`` are, with the unit."""
    values: tuple[float, ...] = ()
    """One per replicate."""

    @property
    def measured(self) -> str:
        """The quantity with its mean and 95 % interval as text."""
        if not self.values:
            return self.quantity
        found = interval_text(self.values).replace("\N{NO-BREAK SPACE}", " ")
        return f"{self.quantity}: {found} (n = {len(self.values)})"


def judge_sign(values: Sequence[float], quantity: str, steady: bool = True) -> Finding:
    """Return whether values are positive: reproduced if so by their interval.

    Args:
        values: positive ones agree with the claim.
        quantity: what they are.
        steady: what else the claim says holds too; otherwise only the direction is had.
    """
    values = tuple(float(value) for value in values)
    if len(values) < REPLICATES:
        return Finding("not testable", quantity, values)
    _, low, high = interval(values)
    if high < 0:
        return Finding("contradicted", quantity, values)
    if low <= 0:
        return Finding("not reproduced", quantity, values)
    return Finding("reproduced" if steady else "direction only", quantity, values)


def judge_all(values: Mapping[str, Sequence[float]], quantity: str) -> Finding:
    """Return whether values are positive against every other algorithm; the worst case is shown.

    Each is judged by itself: the best of several equals would look better than it is.
    """
    found = [judge_sign(part, quantity.format(other)) for other, part in values.items()]
    order = ("contradicted", "not testable", "not reproduced", "direction only", "reproduced")
    return min(found, key=lambda case: (order.index(case.verdict), np.mean(case.values or (0,))))


def judge_number(values: Sequence[float], reported: float, quantity: str) -> Finding:
    """Return whether the interval of the mean holds the paper's number, or at least its sign."""
    found = judge_sign(values, quantity, steady=False)
    if found.verdict in ("not testable", "contradicted"):
        return found
    _, low, high = interval(found.values)
    return Finding("reproduced", quantity, found.values) if low <= reported <= high else found


def judge_level(values: Sequence[float], reached: Callable[[float, float], bool], quantity: str,
                missed: Callable[[float, float], bool]) -> Finding:  # fmt: skip
    """Return whether the interval [low, high] of the mean reaches a level or clearly misses it."""
    values = tuple(float(value) for value in values)
    if len(values) < REPLICATES:
        return Finding("not testable", quantity, values)
    _, low, high = interval(values)
    if reached(low, high):
        return Finding("reproduced", quantity, values)
    return Finding("contradicted" if missed(low, high) else "not reproduced", quantity, values)
