"""Every checkable sentence of Section V: what the paper says, what was measured, and a verdict.

A verdict follows from a number per replicate (a seed; for a trend, an algorithm's seed) and the
bootstrap 95 % interval of its mean. It is never tuned: a claim whose data are fewer than three
replicates cannot be judged, whatever they show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from dtlib.experiments import datasets
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.grids import find
from dtlib.report.statistics import interval, interval_text
from dtlib.runtime import paths
from dtlib.runtime.files import write_text

Verdict = Literal["reproduced", "direction only", "not reproduced", "contradicted", "not testable"]
PRESETS = ("companion", "quick")
"""Where data are looked for: the first preset that has every point of a figure is taken."""
REPLICATES = 3
"""Fewer are no basis for an interval."""
OWN, OTHERS = LEARNERS[0], LEARNERS[1:]
ENERGY, FAILED = "energy_per_user_slot_j", "failure_ratio_requests"


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


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper."""

    figure: str
    sentence: str
    reported: str
    """The paper's number, if it gives one."""
    check: Callable[[Source], Finding]


@dataclass(frozen=True)
class Source:
    """The finest committed tables of an experiment."""

    preset: str
    tables: dict[str, pd.DataFrame]

    @property
    def data(self) -> pd.DataFrame:
        """The experiment's first table."""
        return self.tables[datasets.DATA]


def source(figure: str, presets: Sequence[str] = PRESETS) -> Source | None:
    """Return the finest committed data of a figure that cover its whole grid, if there are any."""
    experiment = find(figure)
    for preset in presets:
        runs = datasets.kept(experiment, preset)
        if {one.spot for one in runs} == {one.spot for one in experiment.runs(preset)}:
            names = datasets.tables_of(experiment)
            tables = (datasets.committed(experiment, runs, preset, name) for name in names)
            return Source(preset, dict(zip(names, tables, strict=True)))
    return None


# --- rules --------------------------------------------------------------------------------------


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
    return min(found, key=lambda one: (order.index(one.verdict), np.mean(one.values or (0,))))


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


# --- quantities ---------------------------------------------------------------------------------


def saving(data: pd.DataFrame, other: str, metric: str = ENERGY) -> list[float]:
    """Return by how much Beta-HAPPO is below another algorithm, %, per seed in common."""
    means = data.groupby(["algorithm", "seed"])[metric].mean()
    pair = pd.concat([means[OWN], means[other]], axis=1, keys=["own", "other"]).dropna()
    return list(100 * (1 - pair["own"] / pair["other"]))


def curves(data: pd.DataFrame, metric: str) -> SeriesGroupBy:
    """Return each run's values in their order, by algorithm and seed."""
    return data.sort_values("x").groupby(["algorithm", "seed"])[metric]


def gap(other: pd.Series, own: pd.Series) -> pd.Series:
    """Return by how much one number is below another, % of their mean, where there are both."""
    return (200 * (other - own) / (other + own)).dropna()


def tenths(data: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the means of the first and the last tenth of each run, by algorithm and seed."""
    count = max(1, data["x"].nunique() // 10)
    return curves(data, metric).agg(
        first=lambda run: run.iloc[:count].mean(), last=lambda run: run.iloc[-count:].mean()
    )


def settled(data: pd.DataFrame, metric: str) -> pd.Series:
    """Return from when on runs have settled, in % of their training, by algorithm and seed.

    That is when the mean over a tenth of the training has come within a tenth of the way from the
    first value to its last, for good.
    """

    def since(run: pd.Series) -> float:
        smooth = run.rolling(max(1, len(run) // 10), min_periods=1).mean()
        way = (smooth - smooth.iloc[-1]).abs()
        return 100 * (1 + np.flatnonzero(way > way.iloc[0] / 10).max(initial=-1)) / len(run)

    return curves(data, metric).agg(since)


def unrest(data: pd.DataFrame, metric: str) -> pd.Series:
    """Return the standard deviation of the steps in the last half of runs, by algorithm, seed."""
    return curves(data, metric).agg(lambda run: run.iloc[len(run) // 2 :].diff().std())


def trend(data: pd.DataFrame, metric: str, axis: str = "x") -> tuple[list[float], bool]:
    """Return the change from the first to the last point in units of the mean, %, and monotony.

    Args:
        data: of a sweep; each algorithm's seed, at each value of another axis, is a replicate.
        metric: what changes.
        axis: along which.

    Returns:
        One number per replicate, none if there is but one point; whether the mean over replicates
        rises at every step.
    """
    learnt = data[data["algorithm"].isin(LEARNERS)]
    others = [n for n in ("data_bits_max", "bandwidth_hz") if n in data and n != axis]
    others = [name for name in others if not (axis == "x" and name == "data_bits_max")]
    table = learnt.pivot_table(index=["algorithm", "seed", *others], columns=axis, values=metric)
    if len(table.columns) < 2:
        return [], False
    change = 100 * (table.iloc[:, -1] - table.iloc[:, 0]) / table.mean(axis=1)
    return list(change.dropna()), bool((np.diff(table.mean()) > 0).all())


def below(data: pd.DataFrame, other: str, metric: str) -> list[float]:
    """Return by how much Beta-HAPPO is below another learner, % of their mean, per point, seed."""
    table = data.pivot_table(index=["x", "seed"], columns="algorithm", values=metric)
    return list(gap(table[other], table[OWN]))


# --- the claims ---------------------------------------------------------------------------------


def _rises(metric: str) -> Callable[[Source], Finding]:
    def check(found: Source) -> Finding:
        ends = tenths(found.data, metric)
        return judge_sign(ends["last"] - ends["first"], f"change of {metric}")

    return check


def _highest(found: Source) -> Finding:
    last = tenths(found.data, "reward_global")["last"].unstack("algorithm")
    leads = {other: (last[OWN] - last[other]).dropna() for other in OTHERS}
    return judge_all(leads, "lead over {}, r_g")


def _above(other: str) -> Callable[[Source], Finding]:
    def check(found: Source) -> Finding:
        last = tenths(found.data, "reward_global")["last"].unstack("algorithm")
        return judge_sign((last[OWN] - last[other]).dropna(), f"lead over {other}, r_g")

    return check


def _steadier(found: Source) -> Finding:
    steps = unrest(found.data, "reward_global").unstack("algorithm")
    gaps = {other: gap(steps[other], steps[OWN]) for other in OTHERS}
    return judge_all(gaps, "unrest below {}'s, %")


def _sooner(found: Source) -> Finding:
    leads = {}
    for name, metric in {"r_g": "reward_global", "r_c": "reward_centre"}.items():
        since = settled(found.data, metric).unstack("algorithm")
        for one in (OWN, "gaussian-happo"):
            leads[f"{one}, {name}"] = (since["maddpg"] - since[one]).dropna()
    return judge_all(leads, "{} settles sooner, % of training")


def _energy_falls(found: Source) -> Finding:
    ends = tenths(found.data, ENERGY)
    return judge_sign(100 * (1 - ends["last"] / ends["first"]), "energy saved by learning, %")


def _saves(other: str) -> Callable[[Source], Finding]:
    def check(found: Source) -> Finding:
        values = saving(found.tables["evaluation.csv"], other)
        return judge_number(values, SAVINGS[other], f"energy below {other}'s, %")

    return check


def _trend(
    metric: str, sign: int = 1, axis: str = "x", some: str | None = None
) -> Callable[[Source], Finding]:
    def check(found: Source) -> Finding:
        data = found.data.query(some) if some else found.data
        values, _ = trend(data, metric, axis)
        _, steady = trend(data.assign(**{metric: sign * data[metric]}), metric, axis)
        what = "energy" if metric == ENERGY else "failed requests"
        return judge_sign([sign * value for value in values], f"{what}, change / mean, %", steady)

    return check


def _lowest(metric: str) -> Callable[[Source], Finding]:
    def check(found: Source) -> Finding:
        what = "energy" if metric == ENERGY else "failures"
        gaps = {other: below(found.data, other, metric) for other in OTHERS}
        return judge_all(gaps, what + " below {}'s, %")

    return check


def _none_up_to_25(found: Source) -> Finding:
    rows = found.data[(found.data["algorithm"] == OWN) & (found.data["x"] <= 25)]
    return judge_level(
        100 * rows[FAILED], lambda low, high: high <= 0.5, "failed requests, %",
        lambda low, high: low > 0.5,
    )  # fmt: skip


def _outage_at_58(found: Source) -> Finding:
    rows = found.data[(found.data["algorithm"] == OWN) & (found.data["x"] == 58)]
    return judge_level(
        100 * rows[FAILED], lambda low, high: low >= 99, "failed requests, %",
        lambda low, high: high < 50,
    )  # fmt: skip


def _untestable(found: Source) -> Finding:
    return Finding("not testable", "another machine")


SAVINGS = {"beta-mappo": 20.28, "gaussian-happo": 29.52, "maddpg": 41.08}
"""Energy that Beta-HAPPO saves according to Section V-B, in % of each benchmark's."""

CLAIMS = (
    Claim("fig04", "The reward of MUs and BSs rises during training.", "", _rises("reward_global")),
    Claim("fig05", "The centre's reward rises during training.", "", _rises("reward_centre")),
    Claim("fig04", "Beta-HAPPO has the highest reward of all.", "", _highest),
    Claim("fig04", "Beta-HAPPO converges more stably than all others.", "", _steadier),
    Claim("fig04", "Beta-HAPPO ends above Beta-MAPPO.", "", _above("beta-mappo")),
    Claim("fig04", "HAPPO-based schemes converge faster than MADDPG.", "", _sooner),
    Claim("fig04", "Beta-HAPPO ends above Gaussian-HAPPO.", "", _above("gaussian-happo")),
    Claim("fig04", "Beta-HAPPO ends above MADDPG.", "", _above("maddpg")),
    Claim("fig06", "Energy falls during training.", "", _energy_falls),
    Claim("fig06", "Beta-HAPPO needs less energy than Beta-MAPPO.",
          f"{SAVINGS['beta-mappo']} %", _saves("beta-mappo")),
    Claim("fig06", "Beta-HAPPO needs less energy than Gaussian-HAPPO.",
          f"{SAVINGS['gaussian-happo']} %", _saves("gaussian-happo")),
    Claim("fig06", "Beta-HAPPO needs less energy than MADDPG.",
          f"{SAVINGS['maddpg']} %", _saves("maddpg")),
    Claim("fig06", "Training takes 87 minutes on a laptop.", "87 min", _untestable),
    Claim("fig07", "Energy rises with the number of users.", "", _trend(ENERGY)),
    Claim("fig07", "Beta-HAPPO needs the least energy at every K.", "", _lowest(ENERGY)),
    Claim("fig08", "No request fails up to K = 25.", "0 %", _none_up_to_25),
    Claim("fig08", "Beyond K = 30 failures rise with K.", "", _trend(FAILED, some="x >= 30")),
    Claim("fig08", "Beta-HAPPO fails least at every K.", "", _lowest(FAILED)),
    Claim("fig09", "Energy falls with the number of base stations.", "", _trend(ENERGY, -1)),
    Claim("fig09", "Beta-HAPPO needs the least energy at every M.", "", _lowest(ENERGY)),
    Claim("fig10", "Energy rises with the request probability.", "", _trend(ENERGY)),
    Claim("fig11", "Energy rises with the data size (20–30 Kb).", "",
          _trend(ENERGY, some="x < 1e5")),
    Claim("fig11", "Energy rises with the data size (0.2–0.3 Mb, as printed).", "",
          _trend(ENERGY, some="x >= 1e5")),
    Claim("fig11", "Energy falls with the bandwidth.", "", _trend(ENERGY, -1, "bandwidth_hz")),
    Claim("fig12", "Energy rises with the control factor.", "", _trend(ENERGY)),
    Claim("fig12", "Failures fall with the control factor.", "", _trend(FAILED, -1)),
    Claim("fig13", "Energy rises from K = 50 to 60.", "", _trend(ENERGY)),
    Claim("fig14", "At K = 58 every request fails.", "100 %", _outage_at_58),
)  # fmt: skip
"""In the order of Section V-B."""


def verdicts() -> pd.DataFrame:
    """Return one row per claim: figure, sentence, the paper's number, ours, verdict, preset."""
    rows = []
    for claim in CLAIMS:
        known = source(claim.figure)
        found = Finding("not testable", "no data yet") if known is None else claim.check(known)
        rows.append(
            {
                "figure": claim.figure.replace("fig", "Fig. ").replace(" 0", " "),
                "the paper says": claim.sentence,
                "its number": claim.reported,
                "measured": found.measured,
                "verdict": found.verdict,
                "preset": "" if known is None else known.preset,
            }
        )
    return pd.DataFrame(rows)


def place() -> Path:
    """Return where the table of verdicts is kept."""
    return paths.results() / "claims.csv"


def text(found: pd.DataFrame) -> str:
    """Return a table of verdicts as it is kept."""
    return found.to_csv(index=False, lineterminator="\n")


def kept() -> str:
    """Return the table that is kept; empty if there is none."""
    return place().read_text(encoding="utf-8") if place().is_file() else ""


def write() -> Path:
    """Judge all claims from the committed results and keep the table."""
    if (found := text(verdicts())) != kept():
        write_text(place(), found)
    return place()
