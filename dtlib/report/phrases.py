"""Numbers of what a page shows, as phrases: every number is computed from the rows."""

from collections.abc import Mapping

import pandas as pd

from dtlib.experiments.experiment import OFF_POLICY, OWN
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.shown import Shown
from dtlib.verdicts.checks import SAVINGS, as_saving
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import gap, tenths, trained_for
from dtlib.verdicts.statistics import estimate, in_brackets
from dtlib.verdicts.words import GAP, listed, minus, number, steps, told

UNITS = {ENERGY: (f"{GAP}mJ", 1e3), FAILED: (f"{GAP}%", 100)}
"""Of each column: its unit's name, and the factor to it."""


def path(shown: Shown, metric: str, where: pd.Series | None = None) -> str:
    """Return Beta-HAPPO's medians over seeds from point to point, such as ``1 → 2 mJ at K = 5, 9``.

    Args:
        shown: of a sweep.
        metric: a column of ``UNITS``.
        where: the medians, if they are not those of all points.
    """
    found = shown.points(metric) if where is None else where
    unit, factor = UNITS[metric]
    return (
        f"{steps(factor * found)}{unit} at {told(next(iter(shown.experiment.axes)), found.index)}"
    )


def ends(shown: Shown, metric: str) -> str:
    """Return the first and the last step of :func:`path`, and what lies beyond both in between."""
    found = shown.points(metric)
    kept = {0, len(found) - 1}
    low, high = (extreme(found.iloc[[0, -1]]) for extreme in (min, max))
    kept |= {i for i in (found.argmin(), found.argmax()) if not low <= found.iloc[i] <= high}
    return path(shown, metric, found.iloc[sorted(kept)])


def lowest_at(shown: Shown, metric: str) -> str:
    """Return at how many points of a sweep Beta-HAPPO's median is the lowest of all learners'."""
    table = pd.DataFrame({name: shown.points(metric, name) for name in shown.learners}).dropna()
    if OWN not in table or len(table.columns) < 2:
        return "not compared, as no other learner was run"
    first = (table[OWN] < table.drop(columns=OWN).min(axis=1)).sum()
    return f"the lowest of {len(table.columns)} learners at {first} of {len(table)} points"


def rising(shown: Shown, metric: str, sign: int = 1) -> str:
    """Return in how many runs a metric's last tenth is above its first; below for ``sign`` −1."""
    found = tenths(shown.data, metric)
    good = sign * (found["last"] - found["first"]) > 0
    return f"{good.sum()} of {len(good)} runs"


def final(shown: Shown, metric: str) -> pd.Series:
    """Return the median over seeds of the last tenth of training, by learner."""
    return tenths(shown.data, metric)["last"].groupby("algorithm").median()[shown.learners]


def each(values: Mapping[str, float] | pd.Series, unit: str = "", factor: float = 1) -> str:
    """Return numbers by learner as a list, those that are defined."""
    return named({name: f"{number(factor * v)}{unit}" for name, v in values.items() if v == v})


def named(texts: Mapping[str, str]) -> str:
    """Return texts by learner as a list."""
    return listed([f"{label(name)}{GAP}{text}" for name, text in texts.items()])


def ahead(shown: Shown, other: str) -> str:
    """Return in how many seeds Beta-HAPPO's r_g ends above another learner's."""
    last = tenths(shown.data, "reward_global")["last"].unstack("algorithm")
    if not {OWN, other} <= set(last):
        return "not run"
    pair = last[[OWN, other]].dropna()
    higher = (pair[OWN] > pair[other]).sum()
    return f"{label(OWN)}'s $r_g$ is higher in {higher} of {seeds(len(pair))}"


def seeds(count: int) -> str:
    """Return so many seeds as text."""
    return f"{count} seed{'s' * (count != 1)}"


def savings(energy: pd.DataFrame) -> dict[str, str]:
    """Return how much energy Beta-HAPPO saves of each other's, as judged, with 95 % intervals.

    Args:
        energy: a row per seed and a column per algorithm.
    """
    known = [name for name in SAVINGS if {name, OWN} <= set(energy)]
    saved = {name: estimate(gap(energy[OWN], energy[name])) for name in known}
    return {name: minus(in_brackets(of, f"{GAP}%", show=as_saving)) for name, of in saved.items()}


def equal_slots(shown: Shown) -> str:
    """Return how Beta-HAPPO and MADDPG compare after as many slots; empty if all have as many.

    By the last tenth before MADDPG's end of training, means over the seeds of both.
    """
    slots = trained_for(shown.data)
    other, pair = OFF_POLICY, [OWN, OFF_POLICY]
    if not {*pair} <= set(slots.index) or slots[OWN] == slots[other]:
        return ""
    data = shown.data[shown.data["x"] <= slots.min()]
    reward, energy, lost = (
        tenths(data, metric)["last"].unstack("algorithm")[pair].dropna()
        for metric in ("reward_global", ENERGY, FAILED)
    )
    saved = as_saving(gap(energy[OWN], energy[other]).mean())
    less = f"saves {number(saved)}{GAP}%" if saved > 0 else f"needs {number(-saved)}{GAP}% more"
    return (
        f"{label(other)} is trained for {slots[other]:,} slots, {label(OWN)} for {slots[OWN]:,}. "
        f"After {slots[other]:,} each, $r_g$ is {each(reward.mean())}, the energy "
        f"{each(energy.mean(), *UNITS[ENERGY])}, failed requests "
        f"{each(lost.mean(), *UNITS[FAILED])}: {label(OWN)} {less} there"
    )


def held_out(shown: Shown, metric: str) -> pd.Series:
    """Return a metric's mean over seeds on held-out worlds, by learner."""
    return shown.measured.groupby("algorithm")[metric].mean()[shown.learners]
