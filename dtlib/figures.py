"""The paper's figures, drawn from tidy data."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtlib.plots import ALGORITHMS, WIDTH, use_style

VARIANTS = {
    "published": {"linestyle": (0, (4, 1.5)), "label": "as published"},
    "companion": {"linestyle": "-", "label": "companion settings"},
}
"""How the variants of one algorithm differ in a figure: its colour stays."""

CONVERGENCE = {
    "reward_global": ("Fig. 4", "reward $r_g$ (MUs, BSs)"),
    "reward_centre": ("Fig. 5", "reward $r_c$ (centre)"),
    "energy_per_user_slot_mj": ("Fig. 6", "energy per user and slot (mJ)"),
}
"""Columns that Figs. 4–6 show."""


def with_millijoules(data: pd.DataFrame) -> pd.DataFrame:
    """Return the data with the energy in mJ as one more column."""
    return data.assign(energy_per_user_slot_mj=1e3 * data["energy_per_user_slot_j"])


def learning_curve(ax: Axes, data: pd.DataFrame, metric: str, window: int) -> None:
    """Draw one metric against slots: each seed faintly, the mean over seeds and a running window.

    Args:
        ax: where to.
        data: tidy, of one experiment.
        metric: a column.
        window: episodes that the running mean covers.
    """
    for (algorithm, variant), part in data.groupby(["algorithm", "variant"], sort=False):
        style = {**ALGORITHMS[algorithm], **VARIANTS.get(variant, {"label": variant})}
        colour = style["color"]
        for _, run in part.groupby("seed"):
            ax.plot(run["x"] / 1e3, run[metric], color=colour, linewidth=0.5, alpha=0.3)
        smooth = part.assign(
            value=part.groupby("seed")[metric].transform(
                lambda run: run.rolling(window, min_periods=1).mean()
            )
        )
        sns.lineplot(
            smooth.assign(x=smooth["x"] / 1e3), x="x", y="value", ax=ax, color=colour,
            linestyle=style["linestyle"], errorbar=("ci", 95), seed=0,
            label=f"{ALGORITHMS[algorithm]['label']}, {style['label']}",
        )  # fmt: skip
    ax.set(xlabel="time slots (thousands)", ylabel=CONVERGENCE.get(metric, ("", metric))[1])


def convergence(data: pd.DataFrame, window: int | None = None) -> Figure:
    """Draw Figs. 4, 5 and 6 one below the other.

    Args:
        data: of the experiment ``fig04_06``.
        window: episodes that the running mean covers; a tenth of the run if absent.
    """
    data = with_millijoules(data)
    if window is None:
        window = max(1, data["x"].nunique() // 10)
    figure, axes = plt.subplots(3, 1, figsize=(WIDTH, 1.1 * WIDTH), sharex=True)
    for ax, (metric, (name, _)) in zip(axes, CONVERGENCE.items(), strict=True):
        learning_curve(ax, data, metric, window)
        ax.set_title(name)
        if metric.endswith("_mj"):
            ax.set_ylim(bottom=0)
        if ax is not axes[0]:
            ax.get_legend().remove()
        if ax is not axes[-1]:
            ax.set_xlabel("")
    return figure


DRAW = {"fig04_06": convergence}
"""How each experiment is drawn."""


def save(name: str, data: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw an experiment into ``folder`` as PNG and SVG; return the files."""
    use_style()
    figure = DRAW[name](data)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for file in files:
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)
    return files
