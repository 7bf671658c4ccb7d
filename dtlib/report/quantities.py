"""Quantities that claims are about, each a number per run, point or replicate."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from dtlib.experiments.experiment import LEARNERS, OWN
from dtlib.experiments.results import ENERGY


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
    """Return the means of the first and the last tenth of each run, by algorithm and seed.

    Runs may be of different lengths: MADDPG's are shorter.
    """

    def tenth(run: pd.Series) -> int:
        return max(1, len(run) // 10)

    return curves(data, metric).agg(
        first=lambda run: run.iloc[: tenth(run)].mean(),
        last=lambda run: run.iloc[-tenth(run) :].mean(),
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
    others = [name for name in ("data_bits_max", "bandwidth_hz") if name in data and name != axis]
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
