"""Variants of one experiment beside each other: their numbers, their runs, what each changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from dtlib.experiments.comparison import ALL, WORST
from dtlib.experiments.results import ENERGY
from dtlib.report.figures import by_ratio
from dtlib.report.statistics import interval_text
from dtlib.report.style import PALETTE

COLUMNS = {
    "reward_global": ("r_g", 1),
    "reward_centre": ("r_c", 1),
    ENERGY: ("energy (mJ)", 1e3),
    ALL: ("failed slots (%)", 100),
    WORST: ("worst user (%)", 100),
}
"""What is told of a run on held-out worlds: name, factor to the unit."""


def means(runs: pd.DataFrame, columns: Iterable[str] = tuple(COLUMNS)) -> dict[str, str]:
    """Return means over seeds with their 95 % intervals, by name.

    Args:
        runs: a row per seed.
        columns: of ``COLUMNS``.
    """
    return {
        label: interval_text(unit * runs[name])
        for name, (label, unit) in ((name, COLUMNS[name]) for name in columns)
    }


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return :func:`means` of each variant.

    Args:
        runs: by variant and seed, as :func:`.datasets.run_means` has them.
    """
    parts = runs.groupby("variant", sort=False)
    return pd.DataFrame.from_dict({name: means(part) for name, part in parts}, orient="index")


def draw(runs: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Draw each run as a point and their means as strokes, on logarithmic axes.

    Args:
        runs: by variant and seed.
        metrics: two of ``COLUMNS``.
    """
    names = list(runs.index.unique("variant"))
    figure, axes = plt.subplots(1, 2, figsize=(7, 0.7 + 0.19 * len(names)), sharey=True)
    for ax, metric in zip(axes, metrics, strict=True):
        label, unit = COLUMNS[metric]
        for place, name in enumerate(names):
            values = unit * runs.loc[name][metric]
            ax.plot(values, [place] * len(values), "o", color=PALETTE[0], alpha=0.5)
            ax.plot(values.mean(), place, "|", color=PALETTE[3], markersize=14)
        ax.set_xlabel(label)
        by_ratio(ax, "x")
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
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
