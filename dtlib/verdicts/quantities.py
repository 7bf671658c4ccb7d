"""Quantities that sentences are about, each a number per seed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.api.typing import DataFrameGroupBy, SeriesGroupBy

from dtlib.experiments.experiment import LEARNERS, OWN


def curves(data: pd.DataFrame, metric: str) -> SeriesGroupBy:
    """Return each run's values in their order, by algorithm and seed."""
    return data.sort_values("x").groupby(["algorithm", "seed"])[metric]


def by_point(data: pd.DataFrame, algorithm: str = OWN, *, axis: str = "x") -> DataFrameGroupBy:
    """Return an algorithm's rows by what is swept."""
    return data[data["algorithm"] == algorithm].groupby(axis)


def best_rule(failed: Mapping[str, pd.Series]) -> str:
    """Return which rule, of those with points, fails least at the first one."""
    known = [name for name, points in failed.items() if len(points)]
    return min(known, key=lambda name: failed[name].iloc[0])


def gap(own: pd.Series, other: pd.Series) -> pd.Series:
    """Return by how much one number is below another, % of their mean, where there are both.

    Two equal learners have it with either sign.
    """
    return (200 * (other - own) / (other + own)).dropna()


def trained_for(data: pd.DataFrame) -> pd.Series:
    """Return the time slots of each learner's training, of learning curves."""
    return data.groupby("algorithm")["x"].max()


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


def height(data: pd.DataFrame, metric: str) -> float:
    """Return how high a figure of learning curves is, in the metric's unit.

    That is the range of the learners' means over the first and the last tenth of training. What is
    a small part of it, no reader sees.
    """
    means = tenths(data, metric).groupby("algorithm").mean().to_numpy()
    return float(np.ptp(means))


def unrest(data: pd.DataFrame, metric: str) -> pd.Series:
    """Return the standard deviation of the steps in the last half of runs, by algorithm, seed."""
    return curves(data, metric).agg(lambda run: run.iloc[len(run) // 2 :].diff().std())


NEVER = -100.0
"""The least that :func:`sooner` says: never, or later by all of the other's training."""


def sooner(data: pd.DataFrame, metric: str, learner: str, other: str) -> pd.Series:
    """Return how much sooner a learner gets where another one ends, per seed in common.

    Where the other ends is its mean over the last tenth of its training. Either is there when its
    mean over so many episodes first is as high. In % of the other's training, by time slots, and
    at least ``NEVER``.
    """
    runs = {key: run.set_axis(data.loc[run.index, "x"]) for key, run in curves(data, metric)}
    found = {}
    for seed in sorted({seed for _, seed in runs}):
        if (other, seed) in runs and (learner, seed) in runs:
            tenth = max(1, len(runs[other, seed]) // 10)
            level = runs[other, seed].iloc[-tenth:].mean()
            there = [_reaches(runs[name, seed], level, tenth) for name in (learner, other)]
            lead = 100 * (there[1] - there[0]) / runs[other, seed].index[-1]
            found[seed] = max(lead, NEVER)
    return pd.Series(found, dtype=float)


def _reaches(run: pd.Series, level: float, width: int) -> float:
    """Return the slot at which the mean over so many episodes first is at the level, or never."""
    smooth = run.rolling(width).mean()
    high = smooth.index[smooth >= level - 1e-9 * abs(level)]
    return float(high[0]) if len(high) else float("inf")


def points(data: pd.DataFrame, metric: str, axis: str, other: str = "") -> pd.DataFrame:
    """Return a sweep of learners with a column per point, by algorithm, other axis and seed.

    ``other`` is the column of what else is swept, if anything is.
    """
    learnt = data[data["algorithm"].isin(LEARNERS)]
    index = ["algorithm", other or "figure", "seed"]
    return learnt.assign(figure="").pivot_table(index=index, columns=axis, values=metric)


def change(table: pd.DataFrame, first: float, last: float, relative: bool) -> pd.Series:
    """Return the change from one point to another, per row that has both.

    In % of the mean over all points; if not relative, that of a ratio in percentage points.
    """
    found = 100 * (table[last] - table[first])
    return (found / table.mean(axis=1) if relative else found).dropna()
