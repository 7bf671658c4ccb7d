"""Rules of judgement: from numbers per seed to verdicts on a family of sentences.

A sentence speaks of one part or of several: each algorithm, each point. It is *reproduced* where
every part is shown, and *contradicted* where some part is shown to go the other way by more than a
margin of relevance. Both are corrected (Holm) for all sentences of a family: those on one
experiment, in one preset, measured in one way. Half of the error goes to either side. The rules
look at no verdict: who has too few seeds cannot be judged, whatever they show.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import accumulate
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtlib.verdicts.statistics import (
    FEWEST,
    IQM_FROM,
    all_hold,
    estimate,
    holm,
    in_brackets,
    interquartile_mean,
    share,
    sign_test,
    some_holds,
    t_test,
)

Verdict = Literal[
    "reproduced", "reproduced in part", "not reproduced", "contradicted", "not testable",
    "not counted",
]  # fmt: skip
ERROR = 0.05
"""How often at most a family of true nulls gets any verdict but "not reproduced"."""


@dataclass(frozen=True)
class Part:
    """What a sentence says at one point of one algorithm."""

    name: str
    values: tuple[float, ...]
    """One per seed, in the unit of the evidence."""
    learners: tuple[str, ...]
    """Whose seeds scatter in it, as often as they do; see :mod:`dtlib.verdicts.rates`."""
    _: KW_ONLY
    effect: float
    """What it would be if the paper's were true, in the unit of the evidence."""
    wins: float | None = None
    """Of a comparison: how probably a seed of Beta-HAPPO is better than one of the other."""
    ratios: tuple[float, ...] = ()
    """Of a change in energy: the last over the first, one per seed, which a reader sees."""
    at: float | None = None
    """The point of a sweep that it is of, such as 30 users; of a trend, that of the other axis."""


@dataclass(frozen=True)
class Evidence:
    """What the data have to say of a sentence, before anybody judges."""

    quantity: str
    """What the values are."""
    unit: str
    """Of values, level and margin."""
    parts: tuple[Part, ...]
    """The sentence speaks of all of them."""
    _: KW_ONLY
    metric: str
    """The column that they are made of."""
    sign: int = 1
    """1 if the sentence says "more", −1 if it says "less"."""
    level: float = 0.0
    """More or less than that."""
    margin: float = 0.0
    """How far the other way a part must be, beyond the level, before it contradicts. Of what is
    only counted, less than that is a tie."""
    exact: bool = False
    """Whether it only counts in how many seeds the sentence is right, not by how much."""
    reported: float = math.nan
    """The paper's number, on the scale of the values; nan if it gives none."""
    show: Callable[[float], float] = float
    """From the scale of the values, on which they are judged, to that which a reader sees."""
    basis: str = "the paper's least saving, for want of a number"
    """Where the effect comes from that its parts would have if the paper's were true."""
    steps: tuple[Part, ...] = ()
    """From point to point, where a trend is said to be gradual: none may go the other way."""

    @property
    def seeds(self) -> int:
        """The number of seeds of the part that has the fewest."""
        return min((len(part.values) for part in self.parts), default=0)

    @property
    def needed(self) -> int:
        """The least number of seeds that could show anything."""
        return int(np.ceil(np.log2(2 / ERROR))) if self.exact else FEWEST

    def against_and_for(self, values: ArrayLike) -> NDArray[Any]:
        """Return two p, [2, …], of parts: that they go the other way, and that they agree.

        Args:
            values: [..., n], one per seed, in the unit of the evidence.
        """
        agreement = self.sign * (np.asarray(values, dtype=float) - self.level)
        if self.exact:
            return np.stack([sign_test(side, self.margin) for side in (-agreement, agreement)])
        return np.stack([t_test(-agreement, self.margin), t_test(agreement)])

    def hits(self, part: Part) -> int:
        """Return in how many seeds the sentence is right, where that is counted."""
        return sum(self.sign * (value - self.level) > self.margin for value in part.values)


NO_EVIDENCE = Evidence("", "", (), metric="")
NO_PART = Part("", (), (), effect=math.nan)
"""Of what is not judged."""


@dataclass(frozen=True)
class Finding:
    """A verdict, and what it rests on."""

    verdict: Verdict
    evidence: Evidence = NO_EVIDENCE
    p: float = 1.0
    """Of the verdict, or of "reproduced" where there is none; two-sided, corrected."""
    _: KW_ONLY
    part: Part = NO_PART
    """The part that decides: the least sure, or the one that goes the other way most surely."""
    note: str = ""
    """What is said instead of a number."""
    open: int = 1
    """How many sentences of its family are not shown: a true one is corrected for so many."""

    @property
    def measured(self) -> str:
        """The deciding part's mean over seeds and its own 95 % interval, as text, and p.

        A trend of energy is tested as % of its mean, and shown as the geometric mean of ratios.
        """
        values = self.part.values
        if not values:
            return self.note
        parts, name = len(self.evidence.parts), self.part.name
        if parts > 1:
            which = "most against it" if self.verdict == "contradicted" else "weakest"
            name += f" ({which} of {parts})"
        number = number_text(self.evidence, self.part)
        alike = not self.evidence.exact and len(set(values)) == 1
        p = f"all {len(values)} the same" if alike else f"p = {self.p:.2g}"
        text = f"{self.evidence.quantity} {name}: {number}, {p}"
        if self.part.wins is not None:
            text += f", better in {100 * self.part.wins:.0f} % of pairs"
        return text


def number_text(evidence: Evidence, part: Part) -> str:
    """Return a part's mean or, of what is only counted, a number of seeds, with its interval.

    A change in energy is shown as the geometric mean of its ratios: none can fall by more than all.
    """
    values, seeds = part.values, f"{len(part.values)} seeds"
    if evidence.exact:
        hits = evidence.hits(part)
        _, low, high = (100 * value for value in share(hits, len(values)))
        return f"in {hits} of {seeds} [{low:.0f}, {high:.0f} %]"
    if part.ratios and min(part.ratios) > 0:
        return f"times {in_brackets(tuple(np.exp(estimate(np.log(part.ratios)))), '')}, {seeds}"
    show = evidence.show
    text = f"{in_brackets(estimate(values), f' {evidence.unit}', show=show)}, {seeds}"
    if len(values) >= IQM_FROM:
        text += f", interquartile mean {show(interquartile_mean(values)):.3g}"
    return text


def for_family(
    against: NDArray[Any], agree: NDArray[Any], starts: Sequence[int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two p of each sentence of a family, [..., C]: contradicted, and reproduced.

    Args:
        against: [..., P], of the parts of all sentences in a row.
        agree: [..., P].
        starts: [C], where each sentence's parts begin.
    """
    return holm(some_holds(against, starts)), holm(all_hold(agree, starts))


def starts_of(family: Sequence[Evidence]) -> list[int]:
    """Return where each sentence's parts begin, [C], if all stand in a row."""
    return [0, *accumulate(len(evidence.parts) for evidence in family)][:-1]


def judge(family: Sequence[Evidence]) -> list[Finding]:
    """Return the findings on a family of sentences, in its order."""
    tested = [evidence for evidence in family if evidence.seeds >= evidence.needed]
    if not tested:
        return [_untested(evidence) for evidence in family]
    parts = [np.stack([of.against_and_for(part.values) for part in of.parts]) for of in tested]
    against, agree = np.concatenate(parts).T
    p = list(zip(*for_family(against, agree, starts_of(tested)), strict=True))
    still_open = sum(2 * float(agree) > ERROR for _, agree in p)
    found = (replace(one, open=max(still_open, 1)) for one in map(_finding, tested, parts, p))
    return [next(found) if e.seeds >= e.needed else _untested(e) for e in family]


NO_VALUE = "no seed has a value"


def _untested(evidence: Evidence) -> Finding:
    seeds = f"{evidence.seeds} seed{'s' * (evidence.seeds != 1)}" if evidence.seeds else NO_VALUE
    return Finding("not testable", evidence, note=f"{seeds}; {evidence.needed} are needed")


def _finding(evidence: Evidence, rows: NDArray[Any], p: tuple[float, float]) -> Finding:
    """Return the finding on one sentence.

    Args:
        rows: [P, 2], p of its parts.
        p: that it is contradicted, and that it is reproduced, corrected for the family.
    """
    against, agree = (min(1.0, 2 * float(side)) for side in p)
    if against <= ERROR:
        part = evidence.parts[int(rows[:, 0].argmin())]
        return Finding("contradicted", evidence, against, part=part)
    part = evidence.parts[int(rows[:, 1].argmax())]
    if agree > ERROR:
        return Finding("not reproduced", evidence, agree, part=part)
    whole = holds_number(evidence, part) and not reversed_steps(evidence)
    return Finding("reproduced" if whole else "reproduced in part", evidence, agree, part=part)


def holds_number(evidence: Evidence, part: Part) -> bool:
    """Return whether the part's 95 % interval holds the paper's number, if there is one."""
    _, low, high = estimate(part.values)
    return math.isnan(evidence.reported) or low <= evidence.reported <= high


def reversed_steps(evidence: Evidence) -> list[Part]:
    """Return the steps that are shown to go the other way, corrected for all steps."""
    steps = [part for part in evidence.steps if len(part.values) >= FEWEST]
    p = [evidence.against_and_for(part.values)[0] for part in steps]
    return [part for part, one in zip(steps, holm(p), strict=True) if one <= ERROR / 2] if p else []
