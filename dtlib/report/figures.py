"""The paper's figures, drawn from tidy data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from dtlib.experiments.experiment import BASELINES, LEARNERS
from dtlib.experiments.families import BEST
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.columns import COLUMNS, ENERGY_LABEL, FAILED_LABEL
from dtlib.report.curves import how_drawn, inset_of, legend_below, spread, with_millijoules
from dtlib.report.style import ALARM, COLUMN, FAINT, INK, PALETTE, line_style

KB = 1e5
"""Data sizes of Fig. 11 below this are in Kb, those above are as printed, bit."""

REFERENCES: dict[str, dict[str, Any]] = {
    "equal power": {"color": PALETTE[7], "linestyle": "--", "marker": "x"},
    "channel inversion": {"color": PALETTE[3], "linestyle": "--", "marker": "v"},
    BEST: {"color": PALETTE[5], "linestyle": "-", "marker": "2"},
    "informed limit": {"color": PALETTE[9], "linestyle": "-.", "marker": "P"},
    "genie bound": {"color": INK, "linestyle": "-", "marker": ""},
}
"""What is drawn beside learners of what is not learnt; others lie on these lines or between."""
ZOOM = (0.02, 0.2)
"""mJ, where on-policy learners and good rules are; what needs more has a panel of its own."""


def tradeoff(learners: pd.DataFrame, others: pd.DataFrame) -> Figure:
    """Draw energy against failures: learners at several η, reference policies, limits.

    Args:
        learners: one row per run: ``algorithm``, ``control_factor``, ``seed`` and metrics.
        others: one row per policy and threshold it was tuned for, as ``dtlib references`` writes.
    """
    figure, (above, near) = plt.subplots(
        2, 1, figsize=(COLUMN, 1.25 * COLUMN), sharex=True, height_ratios=[1, 3]
    )
    x, y = "failure_ratio_slots", "energy_per_user_slot_mj"
    learners, others = with_millijoules(learners), with_millijoules(others)
    others = others.assign(**{x: others[x].fillna(others["threshold"])})  # of a bound
    tuned = others.dropna(subset="threshold").sort_values(x)
    for ax in (above, near):
        for policy, style in REFERENCES.items():
            part = tuned[tuned["policy"] == policy]
            ax.plot(100 * part[x], part[y], label=policy, **style)
        for algorithm, part in learners.groupby("algorithm", sort=False):
            style = line_style(algorithm)
            ax.plot(100 * part[x], part[y], style["marker"], color=style["color"], alpha=0.3, ms=4)
            mean = part.groupby("control_factor")[[x, y]].mean()
            ax.plot(100 * mean[x], mean[y], **style)
        ax.axvline(20, color=FAINT, linewidth=1, zorder=0)
    near.set(
        ylim=ZOOM,
        xlabel="failed slots, mean of users (%); (14b) allows each 20",
        ylabel=ENERGY_LABEL,
    )
    above.set_ylim(ZOOM[1], max(5.0, above.dataLim.y1))
    for ax in (above, near):
        by_ratio(ax)
    above.set_title("What needs more than 0.2 mJ")
    figure.legend(*near.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


BANDWIDTHS = (PALETTE[9], PALETTE[0], INK)
"""Colours of Fig. 11, the narrowest first."""

SWEPT_METRICS = (ENERGY, FAILED)
"""Columns that sweeps show."""
FEW_FAIL, MANY_FAIL = 15.0, 60.0
"""Failures in %: a scale up to more than the second hides what happens below the first."""


@dataclass(frozen=True)
class Sweep:
    """Draws energy above failures against what is swept: medians over seeds and their spread."""

    swept: str
    """What is swept, as the abscissa names it."""
    energy: str
    """Title of the upper panel."""
    failures: str
    """Title of the lower one."""

    def __call__(self, data: pd.DataFrame) -> Figure:
        """Draw a sweep.

        A policy that is not learnt is drawn where :func:`fair` lets it stand. The scale of energy
        is logarithmic where learners' values differ fivefold.
        """
        data, titles = fair(data), (self.energy, self.failures)
        figure, axes = plt.subplots(2, 1, figsize=(COLUMN, 1.25 * COLUMN), sharex=True)
        for ax, title, metric in zip(axes, titles, SWEPT_METRICS, strict=True):
            draw_lines(ax, data, metric)
            ax.set(ylabel=COLUMNS[metric][0], title=title)
            ax.set_xticks(apart(sorted(data["x"].unique())))
        axes[1].set_xlabel(self.swept)
        energy = data.loc[data["algorithm"].isin(LEARNERS), ENERGY]
        if energy.max() > 5 * energy.min() > 0:
            by_ratio(axes[0])
            axes[0].set_ylabel(f"{ENERGY_LABEL}\nlogarithmic scale")
        else:
            from_zero(axes[0])
        from_zero(axes[1])
        enlarge_the_few(axes[1], data)
        legend_below(figure, axes[0], title=how_drawn(data))
        return figure


def draw_lines(ax: Axes, data: pd.DataFrame, metric: str) -> None:
    """Draw a line of one metric for each algorithm."""
    for algorithm, part in data.groupby("algorithm", sort=False):
        draw_points(ax, part.assign(y=COLUMNS[metric][1] * part[metric]), line_style(algorithm))


def enlarge_the_few(ax: Axes, data: pd.DataFrame) -> None:
    """Draw failures once more where a learner has few, if the scale hides them."""
    learnt = data[data["algorithm"].isin(LEARNERS)]
    failed = 100 * learnt.groupby(["x", "algorithm"])[FAILED].median()
    least = failed.groupby("x").min()
    few = least.index[least < FEW_FAIL]
    if failed.max() < MANY_FAIL or len(few) < 3:
        return
    inset = inset_of(ax, (0.07, 0.48, 0.36, 0.42))
    draw_lines(inset, data[data["x"].isin(few)], FAILED)
    inset.set_ylim(0, FEW_FAIL)
    inset.set_xticks(apart(list(few), 0.15))
    inset.set_title("where few fail, enlarged", fontsize=8, loc="left", pad=3)


def apart(values: Sequence[float], share: float = 0.07) -> list[float]:
    """Return those of ascending values whose labels have room: so far apart, of the whole range."""
    kept: list[float] = []
    for value in values:
        if not kept or value - kept[-1] >= share * (values[-1] - values[0]):
            kept.append(value)
    return kept


def fair(data: pd.DataFrame) -> pd.DataFrame:
    """Return a sweep's rows without what is not learnt where it fails more than a learner.

    There its energy is no measure: who gives up requests saves energy. The genie's bound, which
    knows no failures, is left to tables.
    """
    points = [name for name in ("x", "bandwidth_hz") if name in data]
    learnt = data["algorithm"].isin(LEARNERS)
    medians = data[learnt].groupby(["algorithm", *points])[FAILED].median()
    least = medians.groupby(points).min().rename("least")
    return data[learnt | (data[FAILED] <= data.join(least, on=points)["least"])]


REPORTED = {25: 0.0, 58: 100.0}
"""Failed requests in % that Section V states, by K."""


def outage(rows: pd.DataFrame, names: Sequence[str], rule: str) -> Figure:
    """Draw a rule's failures against the number of users, from :mod:`dtlib.studies.readings`."""
    figure, ax = plt.subplots(figsize=(COLUMN, 0.9 * COLUMN))
    shown = rows[(rows["axis"] == "K") & (rows["rule"] == rule)]
    failed = 100 * shown.pivot(index="x", columns="reading", values=FAILED)
    for number, name in enumerate(names):
        ax.plot(failed[name], color=PALETTE[number], marker="osD^vP"[number % 6], label=name)
    ax.plot(
        *zip(*REPORTED.items(), strict=True), "*", color=ALARM, markersize=14, label="the paper"
    )
    ax.set(xlabel="mobile users K", ylabel=FAILED_LABEL, ylim=(-3, 106))
    legend_below(figure, ax)
    return figure


def by_ratio(ax: Axes, which: Literal["x", "y"] = "y") -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 of each decade.

    Beyond three decades these would cover each other: Matplotlib's powers of ten stay. Limits that
    are not the data's are to be set before.
    """
    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    if high > 1000 * low:
        return
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def from_zero(ax: Axes) -> None:
    """Let the ordinate begin at zero and end above the data."""
    ax.set_ylim(0, 1.08 * ax.dataLim.y1 or 1)


def draw_points(ax: Axes, part: pd.DataFrame, style: dict[str, Any]) -> None:
    """Draw ``y`` against ``x``: the median over seeds, and the spread if there are several.

    What is infinite, as some bounds are, or not defined is left out.
    """
    part = part[np.isfinite(part["y"])]
    if part.empty:
        return
    found = spread(part, "y")
    ax.plot(found.index, found["median"], **style)
    ax.fill_between(
        found.index, found["low"], found["high"], color=style["color"], alpha=0.2, linewidth=0
    )


def data_size(data: pd.DataFrame) -> Figure:
    """Draw Fig. 11: energy and failures against the largest data size, a line for each bandwidth.

    What is not learnt is drawn thinly, where :func:`fair` lets it stand. A reading of the data size
    with data, in Kb or as printed, has a column.
    """
    data = fair(data)
    small = data["x"] < KB
    readings = {"in Kb": (small, 1e3, "Kb"), "in Mb, as printed": (~small, 1e6, "Mb")}
    readings = {title: reading for title, reading in readings.items() if reading[0].any()}
    figure, axes = plt.subplots(
        2, len(readings), figsize=(COLUMN, 1.25 * COLUMN), sharex="col", squeeze=False
    )
    widths = sorted(data["bandwidth_hz"].unique())
    for column, (title, (some, bits, unit_of_size)) in zip(axes.T, readings.items(), strict=True):
        for ax, metric in zip(column, SWEPT_METRICS, strict=True):
            name, unit = COLUMNS[metric]
            part = data[some]
            part = part.assign(x=part["x"] / bits, y=unit * part[metric])
            for (who, width), line in part.groupby(["algorithm", "bandwidth_hz"], sort=False):
                draw_points(ax, line, _of_bandwidth(who, width, widths))
            scale = "\nlogarithmic scale" if metric == ENERGY else ""
            ax.set_ylabel(name + scale if ax in axes[:, 0] else "")
        from_zero(column[1])
        column[0].set_title(f"Fig. 11 {title}")
        by_ratio(column[0])
        column[1].set_xlabel(f"largest data size\n$D_{{max}}$ ({unit_of_size})")
        column[1].set_xticks(sorted(data.loc[some, "x"].unique() / bits))
    legend_below(figure, *axes[0], title=how_drawn(data))
    return figure


def _of_bandwidth(who: str, width: float, widths: list[float]) -> dict[str, Any]:
    """Return how a line of Fig. 11 is drawn; of what is not learnt, one is in the legend."""
    place, style = widths.index(width), line_style(who)
    if who in BASELINES:
        label = f"{style['label']}, each B" if width == widths[-1] else "_"
        return style | {"color": FAINT, "label": label, "linewidth": 1.0, "markersize": 4}
    look = {"marker": "osD"[place % 3], "linestyle": ("--", "-", "-.")[place % 3]}
    name = f"{style['label']}, B = {width / 1e6:g} MHz"
    return style | look | {"color": BANDWIDTHS[place % 3], "label": name}
