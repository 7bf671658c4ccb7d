"""Tables beside the figures: a sweep's numbers, and claims with their verdicts in colour."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from dtlib.report.claims import verdicts
from dtlib.report.figures import FAILED_LABEL, SWEEPS
from dtlib.report.style import ALARM, ALGORITHMS, FAINT, PALETTE


def numbers(
    data: pd.DataFrame, swept: Sequence[str] = ("x",), over_seeds: str = "mean"
) -> pd.DataFrame:
    """Return a sweep's energy in mJ and failed requests in % by algorithm, over seeds.

    Args:
        data: of a sweep.
        swept: columns of what is swept.
        over_seeds: ``mean`` or ``median``.
    """
    label = SWEEPS.get(data["figure"].iloc[0], ("x",))[0]
    table = data.assign(
        algorithm=data["algorithm"].map(lambda name: ALGORITHMS[name]["label"]),
        energy=1e3 * data["energy_per_user_slot_j"],
        failed=100 * data["failure_ratio_requests"],
    ).rename(columns={"energy": "energy (mJ)", "failed": FAILED_LABEL})
    values = ["energy (mJ)", FAILED_LABEL]
    found = table.pivot_table(
        index="algorithm", columns=list(swept), sort=False, values=values, aggfunc=over_seeds
    )
    found = found.map("{:.3g}".format).replace("nan", "").T
    return found.rename_axis(index={"x": label}, columns=None)


VERDICTS = {
    "reproduced": PALETTE[2], "direction only": PALETTE[9], "not reproduced": PALETTE[1],
    "contradicted": ALARM, "not testable": FAINT,
}  # fmt: skip
"""Colours of verdicts."""


def scoreboard(*figures: str, only: str = "") -> Styler:
    """Return the claims of these figures, such as ``Fig. 7``, with verdicts in colour.

    Args:
        figures: all if none is named.
        only: a verdict; all if empty.
    """
    table = verdicts()
    shown = table["figure"].isin(figures) if figures else table["figure"] != ""
    shown &= (table["verdict"] == only) | (not only)
    bold = "color: {}; font-weight: bold".format
    left = {"text-align": "left", "white-space": "normal"}
    styled = table[shown].style.hide().set_uuid("claims").set_properties(**left)
    return styled.map(lambda verdict: bold(VERDICTS[verdict]), ["verdict"])
