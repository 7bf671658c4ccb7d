"""The figures' house style and the algorithms' colours."""

import sys
from typing import Any

import seaborn as sns

from dtlib.verdicts.names import label

WIDTH = 7.0
"""Width of a figure, in: the book's column is about 700 px wide at 100 px per inch."""

PALETTE: list[str] = list(sns.color_palette("colorblind").as_hex())
"""Ten colours that colour-blind readers can tell apart (seaborn's)."""

COLUMN = 5.0
"""Width of a figure whose panels stand one below the other, in: on a phone's 360 px its text stays
readable."""

INK, FAINT, ALARM = "#222222", "#b8b8b8", "#c1121f"
"""Colours of text, of what stays in the background, and of failures and limits."""

ALGORITHMS: dict[str, dict[str, Any]] = {
    name: {"color": color, "marker": marker, "linestyle": line, "label": label(name)}
    for name, color, marker, line in (
        ("beta-happo", PALETTE[0], "o", "-"),
        ("gaussian-happo", PALETTE[1], "s", "--"),
        ("beta-mappo", PALETTE[2], "^", "-."),
        ("maddpg", PALETTE[4], "D", ":"),
        ("genie", INK, "*", (0, (1, 4))),
        ("channel-inversion", PALETTE[3], "v", (0, (1, 2))),
        ("power-on-demand", PALETTE[5], "P", (0, (5, 2, 1, 2))),
        ("demand-or-silence", PALETTE[9], "X", (0, (5, 2))),
        ("equal-power", PALETTE[7], "x", (0, (3, 3))),
    )
}
"""How each learner and each reference policy is drawn: keywords of ``Axes.plot``."""

IN_FRONT = 10
"""Beta-HAPPO is drawn over all else; the order of the others is that of ``ALGORITHMS``."""


def line_style(name: str, points: int = 1) -> dict[str, Any]:
    """Return how a line is drawn: ``ALGORITHMS``, its place in front of or behind others, markers.

    Args:
        name: one of ``ALGORITHMS``; any other is a thin dotted line of that name.
        points: of the line; eight of them get a marker, each algorithm's at other places.
    """
    if name not in ALGORITHMS:
        return {
            "label": label(name),
            "color": INK,
            "linestyle": ":",
            "linewidth": 1.2,
            "marker": "",
        }
    place, every = list(ALGORITHMS).index(name), max(1, points // 8)
    learner = list(ALGORITHMS).index("genie") > place
    width = (1.6 if place == 0 else 2.0) if learner else 1.2  # a learner shows below Beta-HAPPO
    more = {"zorder": IN_FRONT - place, "markevery": (place * every // 4 % every, every)}
    return {"linewidth": width} | ALGORITHMS[name] | more


def use_style() -> None:
    """Set the house style for all figures that follow; in a notebook, with sharp pictures."""
    sns.set_theme(
        context="paper",
        style="ticks",
        palette=PALETTE,
        rc={
            "figure.figsize": (WIDTH, 3.4),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "savefig.dpi": 200,
            "svg.hashsalt": "dtlib",
            "font.size": 10,
            "axes.labelsize": 10,
            "axes.titlesize": 10.5,
            "axes.titlelocation": "left",
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "legend.title_fontsize": 9,
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.8,
            "lines.linewidth": 1.6,
            "lines.markersize": 5,
        },
    )
    if "ipykernel" in sys.modules:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def site_colours(count: int) -> list[str]:
    """Return one colour for each of ``count`` base stations; they repeat after ten."""
    return [PALETTE[i % len(PALETTE)] for i in range(count)]
