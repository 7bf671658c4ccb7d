"""Checks of sentences: the evidence that a figure's committed data hold, for or against."""

import math
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import pandas as pd

from dtlib.experiments import committed, results
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.experiment import OTHERS, OWN
from dtlib.experiments.grids import find
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.verdicts.judgement import Evidence, Finding, Part
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import change, gap, height, points, sooner, tenths, unrest
from dtlib.verdicts.statistics import improvement
from dtlib.verdicts.words import amount

TRAINING, HELD_OUT, BENCHMARKS = "end of training", "held-out worlds", "benchmarks"
"""Ways of measuring: the last tenth of learning curves, as the paper does, whose actions are drawn
at random; mean actions in worlds that no training has seen; the speed of one machine."""
SAVINGS = {"beta-mappo": 20.28, "gaussian-happo": 29.52, "maddpg": 41.08}
"""Energy that Beta-HAPPO saves according to Section V-B, in % of each benchmark's."""
SIZE = min(SAVINGS.values())
"""An effect "of the paper's size" where it gives no number: the least that it reports, %."""
SIZE_POINTS = 5.0
"""The same for failed requests, whose order and trends it gives no number for, in points."""
BY_PAPER, BY_CHOICE = "the paper's number", "chosen, for want of a number"
"""Where a true effect's size is from."""
RELEVANT, RELEVANT_POINTS = 2.0, 1.0
"""Margins of relevance: % of energy, of unrest, of a figure's height, of a training's length; and
percentage points of failed requests. Less is not seen in the paper's figures."""
HEIGHT = "% of the figure's height"
SYMBOLS = {"reward_global": "r_g", "reward_centre": "r_c"}
"""Both rewards, with what the paper calls them."""
TEXTS = {ENERGY: ("energy", "%", RELEVANT), FAILED: ("failed requests", "points", RELEVANT_POINTS)}
"""Of what sweeps show: name, unit of a difference, margin of relevance."""


@dataclass(frozen=True)
class Source:
    """The committed tables of an experiment in one preset, and which of them is looked at."""

    preset: str
    tables: dict[str, pd.DataFrame]
    way: str = HELD_OUT
    _: KW_ONLY
    drawn: pd.DataFrame | None = None
    """The learning curves of the figure whose height is the unit of rewards; by default its own."""

    @property
    def data(self) -> pd.DataFrame:
        """The experiment's first table."""
        return self.tables[DATA]

    def final(self, metric: str) -> pd.DataFrame:
        """Return what trained learners have, a row per seed and a column per algorithm."""
        if self.way == TRAINING:
            return tenths(self.data, metric)["last"].unstack("algorithm")
        return self.tables[EVALUATION].pivot_table(metric, "seed", "algorithm")


def lacking(figure: str, preset: str) -> str:
    """Say how many of a figure's planned runs are committed; empty if all of them are.

    Until then nobody judges it: who may look again with each seed will find something in the end.
    """
    experiment = find(figure)
    there, planned = (
        {(run.spot, run.config.seed) for run in committed.learnt(runs)}
        for runs in (committed.runs_of(experiment, preset), experiment.runs(preset))
    )
    if not (known := len(planned & there)):
        return "no run is committed"
    whole = f"{known} of {len(planned)} planned runs are committed"
    return whole if known < len(planned) else ""


def whole_table(name: str, preset: str, file: str = DATA) -> pd.DataFrame | None:
    """Return a committed table of an experiment; None as long as a planned run of it is lacking."""
    table = results.table(preset, name, file)
    return None if table is None or lacking(name, preset) else table


def source(figure: str, preset: str, way: str = HELD_OUT) -> Source | None:
    """Return the committed data of a figure if none of the planned runs is lacking."""
    if lacking(figure, preset):
        return None
    experiment = find(figure)
    runs = committed.runs_of(experiment, preset)
    names = committed.tables_of(experiment)
    tables = {name: committed.rows_of(experiment, runs, preset, name=name) for name in names}
    return Source(preset, tables, way)


Check = Callable[[Source], Evidence]
Remark = Callable[[Source, Finding], str]
"""Says what is known of a sentence that does not hold; empty if nothing is."""


@dataclass(frozen=True)
class Change:
    """What came of changing one thing; true if that is why a sentence does not hold."""

    why: str
    """The cause that it would show."""
    measured: str
    shown: bool

    def __bool__(self) -> bool:
        return bool(self.shown)  # not NumPy's

    @property
    def said(self) -> str:
        """Cause and measurement, where it is one."""
        return f"{self.why}: {self.measured}" if self.shown else ""


Why = Callable[[Source, Finding], Change | None]
"""Says what came of a change that could be why a sentence does not hold; None if none was made."""


def versus(
    table: pd.DataFrame, others: Iterable[str], lead: Callable[[pd.Series, pd.Series], pd.Series],
    effect: Callable[[str], float], *, sign: int = 1, where: str = "", at: float | None = None,
) -> tuple[Part, ...]:  # fmt: skip
    """Return one part for each other algorithm: Beta-HAPPO's lead, paired by seed.

    Args:
        table: a row per seed, a column per algorithm.
        others: whom it is compared with.
        lead: of Beta-HAPPO's values and another's, positive where Beta-HAPPO is better.
        effect: the lead over another that the paper's would be.
        sign: 1 if more is better, −1 if less is.
        where: added to the part's name.
        at: the point that they are compared at.
    """
    parts = []
    for other in (name for name in others if name in table):
        ahead = tuple(lead(table[OWN], table[other]).dropna())
        wins = improvement(sign * table[OWN].dropna(), sign * table[other].dropna())
        name = f"against {label(other)}{where}"
        part = Part(
            name, ahead, (OWN, other), effect=effect(other), wins=wins if ahead else None, at=at
        )
        parts.append(part)
    return tuple(parts)


def learns(metric: str) -> Check:
    """Check that a reward is higher at the end of every learner's training than at its start."""

    def check(found: Source) -> Evidence:
        ends, scale = tenths(found.data, metric), height(found.data, metric)
        parts = _each(100 * (ends["last"] - ends["first"]) / scale)
        return Evidence("rise of the reward,", HEIGHT, parts, metric=metric, margin=RELEVANT)

    return check


def energy_falls(found: Source) -> Evidence:
    """Check that every learner's energy falls during training."""
    ends = tenths(found.data, ENERGY)
    parts = _each(100 * (ends["last"] / ends["first"] - 1))
    return Evidence("change of energy,", "%", parts, metric=ENERGY, sign=-1, margin=RELEVANT)


def _each(values: pd.Series) -> tuple[Part, ...]:
    """Return one part for each learner, of values by algorithm and seed."""
    return tuple(
        Part(label(name), tuple(of.dropna()), (name, name), effect=SIZE)
        for name, of in values.groupby("algorithm", sort=False)
    )


def leads(metric: str, *others: str) -> Check:
    """Check that Beta-HAPPO's reward ends above others'."""

    def check(found: Source) -> Evidence:
        scale = height(found.data if found.drawn is None else found.drawn, metric)
        parts = versus(
            found.final(metric), others, lambda own, other: 100 * (own - other) / scale,
            effect=lambda other: SIZE,
        )  # fmt: skip
        return Evidence("lead", HEIGHT, parts, metric=metric, margin=RELEVANT)

    return check


def steadier(metric: str) -> Check:
    """Check that a reward of Beta-HAPPO is steadier than all others'."""

    def check(found: Source) -> Evidence:
        steps = unrest(found.data, metric).unstack("algorithm")
        parts = versus(steps, OTHERS, gap, effect=lambda other: SIZE, sign=-1)
        return Evidence("unrest avoided", "%", parts, metric=metric, margin=RELEVANT)

    return check


def faster(found: Source) -> Evidence:
    """Check that schemes with HAPPO get where MADDPG ends sooner than it does, in both rewards."""
    parts = tuple(
        Part(
            f"{label(learner)}'s {name}",
            tuple(sooner(found.data, metric, learner, other="maddpg")), (learner, "maddpg"),
            effect=100.0,
        )
        for metric, name in SYMBOLS.items()
        for learner in (OWN, "gaussian-happo")
    )  # fmt: skip
    return Evidence(
        "sooner where MADDPG ends,", "% of its training", parts, metric="x", margin=RELEVANT,
        exact=True, basis=BY_CHOICE,
    )  # fmt: skip


def saves(other: str) -> Check:
    """Check how much energy Beta-HAPPO saves of another learner's."""

    def check(found: Source) -> Evidence:
        parts = versus(found.final(ENERGY), [other], gap, effect=paper_gap, sign=-1)
        return Evidence(
            "energy saved", "%", parts, metric=ENERGY, margin=RELEVANT, reported=paper_gap(other),
            show=as_saving, basis=BY_PAPER,
        )  # fmt: skip

    return check


def paper_gap(other: str) -> float:
    """Return the paper's saving over another learner as a gap, in % of the mean of the two.

    Over a learner that the paper does not have: the least of its savings.
    """
    saving = SAVINGS.get(other, SIZE)
    return 200 * saving / (200 - saving)


def as_saving(found: float) -> float:
    """Return a gap, in % of the mean of two energies, as a saving, in % of the other one.

    >>> round(as_saving(paper_gap("beta-mappo")), 2)
    20.28
    """
    if found <= -200:  # the other one is below 0, which no energy is: an interval reaches so far
        return -math.inf
    found = min(found, 200)
    return 200 * found / (200 + found)


def lowest(metric: str, symbol: str, some: str = "") -> Check:
    """Check that a metric of Beta-HAPPO is below all others' at every point.

    Args:
        metric: energy or failed requests.
        symbol: of what is swept.
        some: a query for points; all if empty.
    """
    energy = metric == ENERGY
    lead, show = (gap, as_saving) if energy else (lambda own, other: 100 * (other - own), float)

    def check(found: Source) -> Evidence:
        parts: list[Part] = []
        for x, rows in (found.data.query(some) if some else found.data).groupby("x"):
            table, where = rows.pivot_table(metric, "seed", "algorithm"), f" at {symbol} = {x:g}"
            effect = paper_gap if energy else lambda other: SIZE_POINTS
            parts += versus(table, OTHERS, lead, effect=effect, sign=-1, where=where, at=x)
        _, unit, margin = TEXTS[metric]
        what = "energy saved" if energy else "fewer failed requests"
        basis = "the paper's savings in Fig. 6" if energy else BY_CHOICE
        return Evidence(
            what, unit, tuple(parts), metric=metric, margin=margin, show=show, basis=basis
        )

    return check


def trend(
    metric: str, sign: int = 1, *, axis: str = "x", other: str = "", some: str = "",
    effect: float | None = None, basis: str = "",
) -> Check:  # fmt: skip
    """Check that a metric of every learner rises, or falls, along an axis, and at no step turns.

    Args:
        metric: energy or failed requests.
        sign: 1 if it is to rise, −1 if it is to fall.
        axis: column of what is swept.
        other: column of what else is swept; each of its values is a part.
        some: a query for rows; all if empty.
        effect: the size of the change from end to end, in % or points; see ``SIZE``.
        basis: where that size is from.
    """
    text, unit, margin = TEXTS[metric]
    unit = f"{unit} of the mean" if metric == ENERGY else unit  # over all points: change()
    size = effect or (SIZE if metric == ENERGY else SIZE_POINTS)
    basis = basis or (Evidence.basis if metric == ENERGY else BY_CHOICE)

    def check(found: Source) -> Evidence:
        table = points(found.data.query(some) if some else found.data, metric, axis, other=other)
        at = list(table.columns)
        whole = _changes(table, [(at[0], at[-1])] if len(at) > 1 else [], metric, effect=size)
        steps = _changes(table, zip(at, at[1:], strict=False), metric, effect=size)
        return Evidence(
            f"change of {text},", unit, whole, metric=metric, sign=sign, margin=margin, basis=basis,
            steps=steps if len(at) > 2 else (),
        )  # fmt: skip

    return check


def _changes(
    table: pd.DataFrame, pairs: Iterable[tuple[float, float]], metric: str, effect: float
) -> tuple[Part, ...]:
    """Return a part for each learner, value of the other axis, and pair of points."""
    axis, other = str(table.columns.name), str(table.index.names[1])

    def named(who: str, value: Any, ends: Iterable[float]) -> str:
        first, last = (amount(axis, end) for end in ends)
        where = "" if value == "" else f" at {amount(other, value)}"
        return f"{label(who)}{where} from {first} to {last}"

    return tuple(
        Part(
            named(name, value, (first, last)),
            tuple(change(rows, first, last, relative=metric == ENERGY)),
            (name, name), effect=effect,
            ratios=tuple((rows[last] / rows[first]).dropna()) if metric == ENERGY else (),
            at=None if value == "" else value,
        )
        for first, last in pairs
        for (name, value), rows in table.groupby(level=[0, 1], sort=False)
    )  # fmt: skip


def failing(
    level: float, some: str, *, short: bool = False, effect: float = RELEVANT_POINTS,
    basis: str = BY_PAPER,
) -> Check:  # fmt: skip
    """Check that none, or all, of Beta-HAPPO's requests fail at every one of some points.

    Args:
        level: 0 or 100 %. What is within the margin of it counts as it.
        some: a query for the points.
        short: check instead that fewer than all fail.
        effect: how far beyond the margin they would be if the paper's were true, in points.
        basis: where that effect is from.
    """

    def check(found: Source) -> Evidence:
        rows = found.data[found.data["algorithm"] == OWN].query(some)
        parts = tuple(
            Part(f"K = {x:g}", tuple(100 * of[FAILED]), (OWN,), effect=effect, at=x)
            for x, of in rows.groupby("x")
        )
        bound = level - RELEVANT_POINTS if level else RELEVANT_POINTS
        sign = 1 if level and not short else -1
        return Evidence(
            "failed requests,", "%", parts, metric=FAILED, sign=sign, level=bound, basis=basis
        )

    return check
