"""Variants of one experiment beside each other: their numbers, their runs, what each changes."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report import columns
from dtlib.report.columns import OverSeeds
from dtlib.report.figures import by_ratio
from dtlib.report.style import COLUMN, PALETTE
from dtlib.studies.comparison import ALL, WORST
from dtlib.verdicts.statistics import interval_text

FORMATS = dict.fromkeys(("reward_global", "reward_centre", ENERGY, ALL, WORST), ".3g")
"""What is told of a run on held-out worlds, with formats."""


def table(
    runs: pd.DataFrame, forms: Mapping[str, str] = FORMATS, text: OverSeeds = interval_text
) -> pd.DataFrame:
    """Return what each variant of :func:`.datasets.run_means` has over seeds.

    By default means and 95 % intervals.
    """
    return columns.summary(runs.groupby("variant", sort=False), forms, text)


def within_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how much more than the first variant the others need and fail, seed by seed.

    Means over the seeds that both have, with their 95 % intervals.
    """
    first = runs.index[0][0]
    was = runs.loc[first].reindex(runs.index, level="seed")
    more = pd.DataFrame(
        {
            "more energy (%)": runs[ENERGY] / was[ENERGY] - 1,
            "more failed slots (points)": runs[ALL] - was[ALL],
            "more failed slots, worst user (points)": runs[WORST] - was[WORST],
        }
    )
    others = 100 * more.drop(index=first, level="variant").dropna()
    return others.groupby("variant", sort=False).agg(interval_text, ".1f")


def on_tuning_worlds(tuning: pd.DataFrame) -> pd.DataFrame:
    """Return each run's failures and energy on tuning worlds, by variant and seed."""
    named = tuning.rename(columns={"energy_per_slot_j": ENERGY})
    return named.groupby(["variant", "seed"], sort=False)[[FAILED, ENERGY]].mean()


def draw(runs: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Draw each run as a point and the mean of each variant as a stroke, what is wide by ratio.

    Args:
        metrics: two of ``columns.COLUMNS``.
    """
    variants = list(runs.index.unique("variant"))
    size = (COLUMN, 0.8 + 0.19 * len(variants))
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True)
    for ax, metric in zip(axes, metrics, strict=True):
        label, unit = columns.COLUMNS[metric]
        for place, variant in enumerate(variants):
            values = unit * runs.loc[variant][metric]
            ax.plot(values, [place] * len(values), "o", color=PALETTE[0], alpha=0.5)
            ax.plot(values.mean(), place, "|", color=PALETTE[3], markersize=14)
        ax.set_xlabel(fill(label, 18))
        if runs[metric].max() > 5 * runs[metric].min() > 0:
            by_ratio(ax, "x")
    axes[0].set_yticks(range(len(variants)), variants)
    axes[0].set_ylim(len(variants) - 0.5, -0.5)
    return figure


def changes(settings: Mapping[str, Mapping[str, Any]]) -> Styler:
    """Return a table of what each variant changes, by its name."""
    words = {
        name: ", ".join(f"{setting} = {value}" for setting, value in changed.items())
        for name, changed in settings.items()
    }
    left = {"text-align": "left", "white-space": "normal"}
    shown = pd.Series(words, name="changed").to_frame().style.set_properties(**left)
    return shown.set_uuid(f"changes{len(settings)}")
