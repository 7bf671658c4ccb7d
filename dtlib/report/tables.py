"""Tables beside the figures: a sweep's numbers, and claims with their verdicts in colour."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from dtlib.report.claims import PRESETS
from dtlib.report.figures import FAILED_LABEL, SWEEPS
from dtlib.report.scoreboard import kept, verdicts
from dtlib.report.style import ALARM, FAINT, PALETTE, label


def numbers(
    data: pd.DataFrame, swept: Sequence[str] = ("x",), over_seeds: str = "mean"
) -> pd.DataFrame:
    """Return a sweep's energy in mJ and failed requests in % by algorithm, over seeds.

    Args:
        data: of a sweep.
        swept: columns of what is swept.
        over_seeds: ``mean`` or ``median``.
    """
    swept_label = SWEEPS.get(data["figure"].iloc[0], ("x",))[0]
    table = data.assign(
        algorithm=data["algorithm"].map(label),
        energy=1e3 * data["energy_per_user_slot_j"],
        failed=100 * data["failure_ratio_requests"],
    ).rename(columns={"energy": "energy (mJ)", "failed": FAILED_LABEL})
    values = ["energy (mJ)", FAILED_LABEL]
    found = table.pivot_table(
        index="algorithm", columns=list(swept), sort=False, values=values, aggfunc=over_seeds
    )
    found = found.map("{:.3g}".format).replace("nan", "").T
    return found.rename_axis(index={"x": swept_label}, columns=None)


VERDICTS = {
    "reproduced": PALETTE[2], "reproduced in part": PALETTE[9], "not reproduced": PALETTE[1],
    "contradicted": ALARM, "not testable": FAINT, "not counted": FAINT,
}  # fmt: skip
"""Colours of verdicts."""


def scoreboard(*figures: str, only: str = "") -> Styler:
    """Return the sentences of these figures, such as ``Fig. 7``, with verdicts in colour.

    Below a verdict stand what was measured, and how often such a verdict errs and finds what is
    true. Where a sentence is measured in two ways, it is written once.

    Args:
        figures: all if none is named.
        only: a verdict that either preset has; all if empty.
    """
    table = verdicts()
    shown = table["figure"].isin(figures) if figures else table["figure"] != ""
    shown &= table[list(PRESETS)].eq(only).any(axis=1) | (not only)
    table = table[shown].reset_index(drop=True)
    known = kept("claims_rates.csv")
    for preset in PRESETS:
        table[preset] = [_cell(row, preset, known) for row in table.to_dict("records")]
    again = table.duplicated("the paper says")
    table.loc[again, ["figure", "the paper says", "its number"]] = ""
    table = table.drop(columns=[f"measured, {preset}" for preset in PRESETS])
    styled = table.style.hide().set_uuid("claims").format(escape="html")
    styled = styled.set_properties(**{"text-align": "left", "white-space": "pre-line"})
    return styled.format(_coloured, list(PRESETS))


def _cell(row: dict[str, Any], preset: str, known: pd.DataFrame) -> str:
    """Return a verdict, what was measured, and the rates of such a verdict, a line each."""
    lines = [row[preset], row[f"measured, {preset}"]]
    if not known.empty:
        same = known["the paper says"].eq(row["the paper says"]) & known["preset"].eq(preset)
        for found in known[same & known["measured on"].eq(row["measured on"])].to_dict("records"):
            if found["finds, %"]:
                lines.append(
                    f"errs in {found['errs, %']} % of families, "
                    f"finds {found['finds, %']} % of true effects"
                )
    return "\n".join(filter(None, lines))


def _coloured(cell: str) -> str:
    """Return a cell as HTML, with its verdict bold and in colour."""
    verdict, *rest = html.escape(cell).split("\n")
    return "\n".join([f'<b style="color: {VERDICTS[verdict]}">{verdict}</b>', *rest])


def rates() -> pd.DataFrame:
    """Return error rates and powers of all verdicts, as they are kept, without row numbers."""
    table = kept("claims_rates.csv")
    return table.set_index(["figure", "the paper says", "measured on", "preset"])
