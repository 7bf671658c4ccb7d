"""The paper's numbers beside ours: one row for each sentence that gives a share in %."""

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from dtlib.report.style import COLUMN, INK, PALETTE
from dtlib.verdicts.claims import CLAIMS, JUDGED_PRESETS, Judged, judged
from dtlib.verdicts.statistics import estimate
from dtlib.verdicts.words import minus

LINEAR = 100
"""Beyond ± so many % the axis is logarithmic: energy can fall by all at most, but rise by any."""
TICKS = (-1000, -100, -50, 0, 50, 100)
LOOKS = dict(zip(JUDGED_PRESETS, ((PALETTE[0], "o"), (PALETTE[3], "s")), strict=True))
"""Colour and marker of each preset."""
EACH = 3
"""Lines of a sentence: its words, and one for each preset."""


def shares() -> pd.DataFrame:
    """Return the paper's shares and ours, by the way of measuring that counts.

    Returns:
        A row per sentence and preset, with ``figure``, ``sentence``, ``preset``, ``verdict``;
        ``paper``, ``mean``, ``low`` and ``high`` in %, the last three nan where nothing is judged;
        ``seeds``.
    """
    known = {(row.claim.sentence, row.way, of): row for of in JUDGED_PRESETS for row in judged(of)}
    return pd.DataFrame(
        _row(known[claim.sentence, claim.ways[0], preset], preset)
        for claim in CLAIMS
        if claim.reported.endswith("%")
        for preset in JUDGED_PRESETS
    )


def _row(row: Judged, preset: str) -> dict[str, str | float]:
    evidence, part = row.finding.evidence, row.finding.part
    mean, low, high = map(evidence.show, estimate(part.values)) if part.values else [math.nan] * 3
    return {
        "figure": row.claim.shown, "sentence": row.claim.sentence, "preset": preset,
        "verdict": row.finding.verdict, "paper": float(row.claim.reported.removesuffix("%")),
        "mean": mean, "low": low, "high": high, "seeds": evidence.seeds,
    }  # fmt: skip


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of :func:`shares` as a table to read, a column for each preset."""
    said = "{0.mean:.1f} [{0.low:.1f}, {0.high:.1f}], {0.seeds} seeds"
    texts = [
        minus(said.format(row)) if math.isfinite(row.mean) else "–" for row in rows.itertuples()
    ]
    named = {
        "figure": rows["figure"], "the paper says": rows["sentence"],
        "its number (%)": rows["paper"].map("{:g}".format), "preset": rows["preset"] + " (%)",
    }  # fmt: skip
    ours = pd.Series(texts, pd.MultiIndex.from_frame(pd.DataFrame(named)))
    return ours.unstack(sort=False).reset_index(level=[1, 2]).rename_axis(columns=None)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw the paper's numbers of :func:`shares` as hollow diamonds, ours with 95 % intervals."""
    sentences = rows.groupby("sentence", sort=False)
    height = 1.0 + 0.17 * EACH * len(sentences)
    figure, ax = plt.subplots(figsize=(COLUMN, height))
    for place, (sentence, of) in enumerate(sentences):
        top = EACH * place
        figure_name, paper = of[["figure", "paper"]].iloc[0]
        ax.text(0, top, f"{figure_name}: {sentence}", transform=ax.get_yaxis_transform(),
                va="center", fontsize=9, bbox={"fc": "white", "lw": 0, "pad": 1})  # fmt: skip
        ax.plot(paper, top + 1.5, "D", mfc="none", mec=INK, ls="", label="the paper", zorder=5)
        for line, row in enumerate(of.itertuples(), start=1):
            colour, marker = LOOKS[row.preset]
            ax.hlines(top + line, row.low, row.high, colors=colour)
            ax.plot(row.mean, top + line, marker, color=colour, ls="", label=f"here, {row.preset}")
            ax.text(1.02, top + line, row.verdict, transform=ax.get_yaxis_transform(),
                    color=colour, va="center", fontsize=9)  # fmt: skip
    ax.set_xscale("symlog", linthresh=LINEAR, linscale=1.5)
    ax.set_xticks(TICKS, [minus(f"{tick}") for tick in TICKS])
    ax.set(
        ylim=(EACH * len(sentences) - 0.4, -0.8), yticks=[],
        xlim=(min(TICKS[0], rows["low"].min()), 1.3 * LINEAR),
        xlabel=f"energy saved, or failed requests (%)\n(logarithmic left of −{LINEAR})",
    )  # fmt: skip
    ax.spines["left"].set_visible(False)
    drawn = {line.get_label(): line for line in ax.lines}
    figure.legend(handles=list(drawn.values()), ncols=3, loc="outside lower center")
    return figure
