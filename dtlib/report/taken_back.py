"""What the preset ``companion`` changes, one setting at a time: the tables and the picture."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from dtlib.experiments import grids
from dtlib.experiments.results import FAILED
from dtlib.report.figures import by_ratio
from dtlib.report.quantities import tenths
from dtlib.report.style import PALETTE
from dtlib.settings.train import TrainConfig

SHORTER = "25 epochs"
"""On the way from ``paper``, what short episodes lead to: the companion but for this."""
ORDER = (*grids.FORWARD, SHORTER, "companion", *(v for v in grids.TAKEN_BACK if v != SHORTER))
"""The way from ``paper`` to ``companion``, then what is taken back."""
SHOWN = {
    "failed": "failed requests (%)",
    "energy": "energy (mJ)",
    "centre": "r_c, end of training",
}


def differences() -> pd.DataFrame:
    """Return the settings that ``paper`` and ``companion`` have otherwise, a row for each."""
    paper, companion = (TrainConfig.from_preset(name) for name in ("paper", "companion"))
    pairs: dict[str, tuple[Any, Any]] = {
        f"{where}{name}": (getattr(one, name), getattr(other, name))
        for where, one, other in (("", paper, companion), ("env.", paper.env, companion.env))
        for name in type(one).model_fields
        if name not in ("preset", "env")
    }
    differ = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    return pd.DataFrame.from_dict(differ, orient="index", columns=["paper", "companion"])


def by_run(curves: pd.DataFrame, tuning: pd.DataFrame) -> pd.DataFrame:
    """Return each run's failures and energy on tuning worlds, and r_c at the end of training.

    Args:
        curves: learning curves of the experiment ``steps``.
        tuning: its results on tuning worlds.

    Returns:
        Columns of ``SHOWN``, by variant and seed.
    """
    measured = tuning.groupby(["variant", "seed"])[[FAILED, "energy_per_slot_j"]].mean()
    ends = tenths(curves.assign(algorithm=curves["variant"]), "reward_centre")["last"]
    ends.index = ends.index.set_names(["variant", "seed"])
    failed, energy = 100 * measured[FAILED], 1e3 * measured["energy_per_slot_j"]
    return pd.DataFrame({"failed": failed, "energy": energy, "centre": ends})


def means(runs: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds in a reader's words, in the order of ``ORDER``."""
    found = runs.groupby("variant")[list(SHOWN)].mean().loc[list(ORDER)]
    place = len(grids.FORWARD)
    names = [*found.index[:place], f"+ episodes of 1000 slots ({SHORTER})"]
    return found.set_axis([*names, *found.index[place + 1 :]]).round(2).rename(columns=SHOWN)


def draw(runs: pd.DataFrame) -> Figure:
    """Draw each run's failures and energy as points, the way to ``companion`` above a line."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 4.2), sharey=True)
    for ax, column in zip(axes, ["failed", "energy"], strict=True):
        for place, variant in enumerate(ORDER):
            values = runs.loc[variant][column]
            ax.plot(values, [place] * len(values), "o", color=PALETTE[0], alpha=0.6)
        ax.axhline(len(grids.FORWARD) + 1.5, color="0.7", linewidth=0.8)
        ax.set_xlabel(SHOWN[column])
    by_ratio(axes[1], "x")
    axes[0].set_yticks(range(len(ORDER)), means(runs).index)
    axes[0].invert_yaxis()
    return figure
