"""Checks of claims: a quantity of a figure's committed data, and the rule that judges it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from dtlib.experiments import committed
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.experiment import OTHERS, OWN
from dtlib.experiments.grids import find
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.report.judgement import Finding, judge_all, judge_level, judge_number, judge_sign
from dtlib.report.quantities import (
    below,
    gap,
    saving,
    settled,
    tenths,
    trend,
    unrest,
)

PRESETS = ("companion", "quick")
"""Where data are looked for: the first preset that has every point of a figure is taken."""


@dataclass(frozen=True)
class Source:
    """The finest committed tables of an experiment."""

    preset: str
    tables: dict[str, pd.DataFrame]

    @property
    def data(self) -> pd.DataFrame:
        """The experiment's first table."""
        return self.tables[DATA]


def source(figure: str, presets: Sequence[str] = PRESETS) -> Source | None:
    """Return the finest committed data of a figure that cover its whole grid, if there are any."""
    experiment = find(figure)
    for preset in presets:
        runs = committed.runs_of(experiment, preset)
        whole = experiment.runs(preset)
        if {planned.spot for planned in runs} == {planned.spot for planned in whole}:
            names = committed.tables_of(experiment)
            tables = (committed.rows_of(experiment, runs, preset, name) for name in names)
            return Source(preset, dict(zip(names, tables, strict=True)))
    return None


Check = Callable[[Source], Finding]


def learns(metric: str) -> Check:
    """Check that a reward is higher at the end of training than at its beginning."""

    def check(found: Source) -> Finding:
        ends = tenths(found.data, metric)
        return judge_sign(ends["last"] - ends["first"], f"change of {metric}")

    return check


def highest(found: Source) -> Finding:
    """Check that Beta-HAPPO's reward ends above all others'."""
    last = tenths(found.data, "reward_global")["last"].unstack("algorithm")
    leads = {other: (last[OWN] - last[other]).dropna() for other in OTHERS}
    return judge_all(leads, "lead over {}, r_g")


def ends_above(other: str) -> Check:
    """Check that Beta-HAPPO's reward ends above another learner's."""

    def check(found: Source) -> Finding:
        last = tenths(found.data, "reward_global")["last"].unstack("algorithm")
        return judge_sign((last[OWN] - last[other]).dropna(), f"lead over {other}, r_g")

    return check


def steadier(found: Source) -> Finding:
    """Check that Beta-HAPPO's reward is steadier than all others'."""
    steps = unrest(found.data, "reward_global").unstack("algorithm")
    gaps = {other: gap(steps[other], steps[OWN]) for other in OTHERS}
    return judge_all(gaps, "unrest below {}'s, %")


def sooner(found: Source) -> Finding:
    """Check that schemes with HAPPO settle sooner than MADDPG, in both rewards."""
    leads = {}
    for name, metric in {"r_g": "reward_global", "r_c": "reward_centre"}.items():
        since = settled(found.data, metric).unstack("algorithm")
        for learner in (OWN, "gaussian-happo"):
            leads[f"{learner}, {name}"] = (since["maddpg"] - since[learner]).dropna()
    return judge_all(leads, "{} settles sooner, % of training")


def energy_falls(found: Source) -> Finding:
    """Check that learning saves energy."""
    ends = tenths(found.data, ENERGY)
    return judge_sign(100 * (1 - ends["last"] / ends["first"]), "energy saved by learning, %")


def saves(other: str, reported: float) -> Check:
    """Check how much energy, in %, Beta-HAPPO saves of another learner's."""

    def check(found: Source) -> Finding:
        values = saving(found.tables[EVALUATION], other)
        return judge_number(values, reported, f"energy below {other}'s, %")

    return check


def rises(metric: str, some: str = "", axis: str = "x", sign: int = 1) -> Check:
    """Check that a metric rises along an axis.

    Args:
        metric: energy or failed requests.
        some: a query for rows; all if empty.
        axis: column of what is swept.
        sign: −1 if the metric is to fall.
    """

    def check(found: Source) -> Finding:
        data = found.data.query(some) if some else found.data
        values, steady = trend(data.assign(**{metric: sign * data[metric]}), metric, axis)
        what = "energy" if metric == ENERGY else "failed requests"
        return judge_sign([sign * value for value in values], f"{what}, change / mean, %", steady)

    return check


def falls(metric: str, axis: str = "x") -> Check:
    """Check that a metric falls along an axis; see :func:`rises`."""
    return rises(metric, axis=axis, sign=-1)


def lowest(metric: str) -> Check:
    """Check that a metric of Beta-HAPPO is below all others', point by point."""

    def check(found: Source) -> Finding:
        what = "energy" if metric == ENERGY else "failures"
        gaps = {other: below(found.data, other, metric) for other in OTHERS}
        return judge_all(gaps, what + " below {}'s, %")

    return check


def none_fail_up_to_25(found: Source) -> Finding:
    """Check that no request fails with up to 25 users."""
    rows = found.data[(found.data["algorithm"] == OWN) & (found.data["x"] <= 25)]
    return judge_level(
        100 * rows[FAILED], lambda low, high: high <= 0.5, "failed requests, %",
        lambda low, high: low > 0.5,
    )  # fmt: skip


def outage_at_58(found: Source) -> Finding:
    """Check that every request fails with 58 users."""
    rows = found.data[(found.data["algorithm"] == OWN) & (found.data["x"] == 58)]
    return judge_level(
        100 * rows[FAILED], lambda low, high: low >= 99, "failed requests, %",
        lambda low, high: high < 50,
    )  # fmt: skip


def untestable(found: Source) -> Finding:
    """Say that this machine cannot tell."""
    return Finding("not testable", "another machine")
