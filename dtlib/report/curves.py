"""Learning curves, Figs. 4–6: the median over seeds of a moving mean, the spread, single episodes.

All scales are linear. The on-policy learners share a panel. MADDPG has one of its own beside it
where its range would hide theirs.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtlib.experiments.experiment import LEARNERS, OFF_POLICY
from dtlib.experiments.results import FAILED
from dtlib.report.style import ALGORITHMS, COLUMN, line_style

CONVERGENCE = {
    "reward_global": ("Fig. 4", "reward $r_g$ (MUs, BSs)"),
    "reward_centre": ("Fig. 5", "reward $r_c$ (centre)"),
    "energy_per_user_slot_mj": ("Fig. 6", "energy per user\nand slot (mJ)"),
}
"""Columns that Figs. 4–6 show."""

QUARTILES_FROM = 5
"""Seeds from which on the spread is the middle half; below, it is the whole range."""
HIDES = 1.5
"""MADDPG hides the others where it makes the range of a panel so many times as large."""
FLAT = 0.12
"""Where the last half's range is a smaller share of the whole, it is drawn once more, enlarged."""


def with_millijoules(data: pd.DataFrame) -> pd.DataFrame:
    """Return the data with the energy in mJ as one more column."""
    return data.assign(energy_per_user_slot_mj=1e3 * data["energy_per_user_slot_j"])


def window_of(data: pd.DataFrame) -> int:
    """Return how many episodes the moving mean covers: about a twentieth of the longest run.

    The number is odd: a centred window has as many episodes before as after its own.
    """
    return data["x"].nunique() // 40 * 2 + 1


def spread(data: pd.DataFrame, metric: str, window: int = 1) -> pd.DataFrame:
    """Return the median and the spread over seeds of each run's centred moving mean.

    Args:
        data: tidy, of one algorithm: ``seed``, ``x`` and metrics.
        window: episodes that the mean covers, an odd number; fewer at both ends of a run. A run of
            fewer episodes is left as it is.

    Returns:
        ``low``, ``median`` and ``high`` by ``x``, quartiles from ``QUARTILES_FROM`` seeds on, the
        least and the greatest below.
    """
    runs = data.pivot_table(index="x", columns="seed", values=metric)
    smooth = runs.rolling(window, center=True, min_periods=1).mean().where(runs.notna())
    short = runs.columns[runs.count() < window]
    smooth[short] = runs[short]
    tail = 0.25 if runs.shape[1] >= QUARTILES_FROM else 0.0
    found = smooth.quantile([tail, 0.5, 1 - tail], axis=1).T
    return found.set_axis(["low", "median", "high"], axis=1)


def how_drawn(data: pd.DataFrame, window: int = 1) -> str:
    """Return what lines and bands of learners are, for a legend.

    Args:
        data: tidy, of one experiment.
        window: episodes that the moving mean covers; 1 where points are drawn and no curves.
    """
    learnt = data[data["algorithm"].isin(LEARNERS)]
    counts = sorted(learnt.groupby("algorithm")["seed"].nunique().unique())
    mean = f", moving mean of {window} episodes" if window > 1 else ""
    if learnt.groupby("algorithm")["x"].nunique().min() < window:
        mean += " (none of fewer)"
    alone = " Faint: single episodes." if window > 1 else ""
    if max(counts, default=1) < 2:
        return f"Line: one seed{mean}.{alone}"
    band = "least to greatest of the seeds"
    if max(counts) >= QUARTILES_FROM:
        band = "middle half of the seeds"
        band += f", all of fewer than {QUARTILES_FROM}" if min(counts) < QUARTILES_FROM else ""
    line = f"Line: median of {' or '.join(map(str, counts))} seeds{mean}."
    return f"{line}\nBand: {band}.{alone}"


def learning_curve(ax: Axes, data: pd.DataFrame, metric: str, window: int) -> None:
    """Draw one metric against thousands of slots and fit the ordinate to the moving means.

    A mean covers ``window`` episodes.
    """
    ends = []
    for algorithm, part in data.groupby("algorithm", sort=False):
        style = line_style(algorithm, part["x"].nunique())
        raw, smooth = (spread(part, metric, episodes) for episodes in (1, window))
        faint, edge = (0.12, 0) if part["seed"].nunique() > 1 else (0.5, 0.5)  # a band, or a line
        for band, alpha in ((raw, faint), (smooth, 0.3)):
            ax.fill_between(
                band.index / 1e3, band["low"], band["high"], color=style["color"], alpha=alpha,
                linewidth=edge, zorder=style["zorder"],
            )  # fmt: skip
        ax.plot(smooth.index / 1e3, smooth["median"], **style)
        ends += [smooth["low"].min(), smooth["high"].max()]
    room = 0.06 * (max(ends) - min(ends))
    low = 0 if metric.endswith("_mj") else min(ends) - room
    if max(ends) > low:
        ax.set_ylim(low, max(ends) + room)


def hides(data: pd.DataFrame, metric: str, window: int) -> bool:
    """Return whether MADDPG's curve is far out of the range of the others' curves."""
    ranges = {
        name: spread(part, metric, window)["median"].agg(["min", "max"])
        for name, part in data.groupby("algorithm")
    }
    own, others = ranges.pop(OFF_POLICY, None), pd.DataFrame(ranges)
    if own is None or others.empty:
        return False
    high = others.loc["max"].max()
    low = 0 if metric.endswith("_mj") else others.loc["min"].min()
    return max(high, own["max"]) - min(low, own["min"]) > HIDES * (high - low) > 0


def enlarge_the_end(ax: Axes, data: pd.DataFrame, metric: str, window: int) -> None:
    """Draw the last half once more where the scale hides what happens there."""
    low, high = ax.get_ylim()
    last = data[data["x"] > data["x"].max() / 2]
    bands = [spread(part, metric, window) for _, part in last.groupby("algorithm")]
    ends = [band["low"].min() for band in bands], [band["high"].max() for band in bands]
    if not 0 < max(ends[1]) - min(ends[0]) < FLAT * (high - low):
        return
    inset = inset_of(ax, (0.42, 0.14, 0.56, 0.52))
    learning_curve(inset, last, metric, window=window)
    inset.set_title("the last half, enlarged", fontsize=8, loc="right", pad=3)


def inset_of(ax: Axes, bounds: tuple[float, float, float, float]) -> Axes:
    """Return an axes with small numbers in front of another, at left, bottom, width and height."""
    inset = ax.inset_axes(bounds)
    inset.tick_params(labelsize=8)
    inset.set_zorder(20)
    return inset


def convergence(data: pd.DataFrame) -> Figure:
    """Draw Figs. 4, 5 and 6 one below the other."""
    data, window = with_millijoules(data), window_of(data)
    apart = {metric for metric in CONVERGENCE if hides(data, metric, window)}
    rest = data[data["algorithm"] != OFF_POLICY] if apart else data
    figure, grid = plt.subplots(
        3, 1 + bool(apart), figsize=(COLUMN, 1.55 * COLUMN), sharex="col", squeeze=False,
        width_ratios=[3, 1] if apart else [1],
    )  # fmt: skip
    for row, (metric, (name, label)) in zip(grid, CONVERGENCE.items(), strict=True):
        learning_curve(row[0], rest, metric, window=window)
        enlarge_the_end(row[0], rest, metric, window=window)
        row[0].set(title=name, ylabel=label)
        for ax in row[1:]:
            learning_curve(ax, data[data["algorithm"] == OFF_POLICY], metric, window=window)
            ax.set_title("MADDPG,\nown scale" if metric in apart else "MADDPG")
            if metric not in apart:
                bounds = [*row[0].get_ylim(), *ax.get_ylim()]
                ax.set_ylim(min(bounds), max(bounds))
                row[0].set_ylim(min(bounds), max(bounds))
    for ax, what in zip(grid[-1], ("time slots (thousands)", "(thousands)"), strict=False):
        ax.set_xlabel(what)
    legend_below(figure, *grid[0], title=how_drawn(data, window))
    return figure


def draw_failures(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the failed requests of several trainings beside each other, on one scale.

    Args:
        tables: learning curves, by the title of their panel.
    """
    figure, axes = plt.subplots(
        1, len(tables), figsize=(COLUMN, 0.75 * COLUMN), sharey=True, squeeze=False
    )
    for ax, (title, data) in zip(axes[0], tables.items(), strict=True):
        percent = data.assign(failed=100 * data[FAILED])
        learning_curve(ax, percent, "failed", window=window_of(data))
        ax.set(title=title, xlabel="time slots (thousands)")
    axes[0, 0].set(ylabel="failed requests (%)", ylim=(0, 100))
    what = (
        "Line: median over seeds of the moving mean. Band: their spread.\nFaint: single episodes."
    )
    legend_below(figure, *axes[0], title=what)
    return figure


def legend_below(figure: Figure, *axes: Axes, title: str = "") -> None:
    """Put the legend of all these axes below the whole figure, in the order of ``ALGORITHMS``."""
    lines = {str(line.get_label()): line for ax in axes for line in ax.lines}
    order = [style["label"] for style in ALGORITHMS.values()]
    labels = [label for label in lines if not label.startswith("_")]
    labels.sort(key=lambda label: order.index(label) if label in order else -1)
    figure.legend(
        [lines[label] for label in labels], labels, ncols=2, loc="outside lower center",
        title=title, title_fontsize=8,
    )  # fmt: skip
