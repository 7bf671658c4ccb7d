"""Tables beside the figures: a sweep's numbers, and claims with their verdicts in colour."""

import html
import re
from collections.abc import Sequence

import pandas as pd
from IPython.display import HTML

from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.columns import ENERGY_LABEL, FAILED_LABEL
from dtlib.report.pictures import SWEEPS
from dtlib.report.style import ALARM
from dtlib.runtime.messages import check_name
from dtlib.verdicts.claims import CLAIMS, JUDGED_PRESETS
from dtlib.verdicts.names import label
from dtlib.verdicts.rates import POWER
from dtlib.verdicts.scoreboard import kept
from dtlib.verdicts.words import GAP, minus, number


def numbers(data: pd.DataFrame, swept: Sequence[str] = ("x",)) -> pd.DataFrame:
    """Return a sweep's energy in mJ and failed requests in % by algorithm, medians over seeds."""
    sweep = SWEEPS.get(data["figure"].iloc[0])
    values = {ENERGY_LABEL: 1e3 * data[ENERGY], FAILED_LABEL: 100 * data[FAILED]}
    found = data.assign(algorithm=data["algorithm"].map(label), **values).pivot_table(
        index="algorithm", columns=list(swept), sort=False, values=list(values), aggfunc="median"
    )
    found = found.map(number).replace("nan", "").T
    return found.rename_axis(index={"x": sweep.swept if sweep else "x"}, columns=None)


NAMED = ["figure", "the paper says"]
"""Columns that tell sentences apart. Of each, the first way of measuring counts."""
VERDICTS = {
    "reproduced": "#17694b", "reproduced in part": "#1f6391", "not reproduced": "#8a5300",
    "contradicted": ALARM, "not testable": "#63666b", "not counted": "#63666b",
}  # fmt: skip
"""Colours of verdicts: white text on them can be read in light and dark books."""


def chip(verdict: str, text: str = "") -> str:
    """Return a verdict, or a text about it, as HTML in white on the verdict's colour."""
    style = (
        f"background: {VERDICTS[verdict]}; color: #fff; border-radius: 0.8em; "
        "padding: 0.1em 0.6em; white-space: nowrap"
    )
    return f'<span class="verdict" style="{style}">{text or verdict}</span>'


def chips(counts: pd.Series) -> str:
    """Return how many sentences have which verdict, a chip for each that any has."""
    some = [verdict for verdict in VERDICTS if counts.get(verdict)]
    return " ".join(chip(verdict, f"{counts[verdict]} {verdict}") for verdict in some)


def of_experiment(name: str) -> pd.DataFrame:
    """Return the kept rows of sentences on an experiment's figures, each by its first way."""
    figures, rows = {one.shown for one in CLAIMS if one.experiment == name}, kept("claims.csv")
    return rows[rows["figure"].isin(figures)].drop_duplicates(NAMED)


def scoreboard(*figures: str, only: str = "") -> HTML:
    """Return the sentences of these figures, such as ``Fig. 7``, with kept verdicts in colour.

    Sentences on the same figure are folded into one block, which is open if it was asked for.
    Beside a verdict stands what was measured, and below it what is known where a sentence does not
    hold. A sentence that is measured in two ways is written once.

    Args:
        figures: all if none is named.
        only: a verdict that either preset has; all if empty.
    """
    if only:
        check_name("only", only, VERDICTS)
    table = kept("claims.csv")
    shown = table["figure"].isin(figures) if figures else table["figure"] != ""
    shown &= table[list(JUDGED_PRESETS)].eq(only).any(axis=1) | (not only)
    blocks = []
    for figure, rows in table[shown].groupby("figure", sort=False):
        counts = rows.drop_duplicates("the paper says")[JUDGED_PRESETS[0]].value_counts()
        said = (_sentence(part) for _, part in rows.groupby("the paper says", sort=False))
        blocks.append(
            f'<details class="sentences"{" open" * bool(figures or only)}>'
            f"<summary><b>{figure}</b> {chips(counts)}</summary>\n" + "\n".join(said) + "</details>"
        )
    return HTML("\n".join(blocks))


def _sentence(rows: pd.DataFrame) -> str:
    """Return a sentence and its number, and a verdict for each preset and way of measuring."""
    first, *_ = found = rows.to_dict("records")
    beside = filter(None, [first["its number"], first["not its words"]])
    notes = "".join(f" <i>{html.escape(note)}</i>" for note in beside)
    lines = [f"<p><b>{html.escape(first['the paper says'])}</b>{notes}</p>", "<ul>"]
    for row in found:
        for preset in JUDGED_PRESETS:
            measured, remark = (
                html.escape(row[f"{what}, {preset}"]) for what in ("measured", "remark")
            )
            parts = re.split("; (?=because|cause not|tried|beside it)", remark) if remark else []
            lines.append(
                f"<li><code>{preset}</code>, {row['measured on']}: {chip(row[preset])} {measured}"
                + "".join(f"<br>{part[0].upper()}{part[1:]}." for part in parts)
                + "</li>"
            )
    return minus("\n".join([*lines, "</ul>"]))


def overview() -> HTML:
    """Return all sentences in a table: a verdict in either preset, and the number that decides."""
    rows = kept("claims.csv").drop_duplicates(NAMED)
    first = f"measured, {JUDGED_PRESETS[0]}"
    said = rows["the paper says"] + rows["its number"].replace(r"(.+)", r" (\1)", regex=True)
    measured = rows[first].str.replace(r"(?<=\]).*", "", regex=True)
    table = pd.DataFrame(
        {"figure": rows["figure"].str.replace(" ", GAP), "the paper says": said.map(html.escape)}
        | {preset: rows[preset].map(chip) for preset in JUDGED_PRESETS}
        | {first: measured.map(html.escape)}
    )
    with pd.option_context("display.max_colwidth", None):
        return HTML(minus(table.to_html(index=False, escape=False)))


def folded(title: str, table: pd.DataFrame) -> HTML:
    """Return a table that opens with a click; its title says what is in it."""
    return HTML(
        f'<details class="sentences"><summary>{html.escape(title)}</summary>\n'
        f"{table.to_html()}</details>"
    )


def error_rates() -> pd.DataFrame:
    """Return error rates and powers of all verdicts, as they are kept, without row numbers."""
    table = kept("claims_rates.csv")
    return table.set_index(["figure", "the paper says", "measured on", "preset"])


def weak() -> pd.DataFrame:
    """Return the verdicts that find too little even with the planned seeds."""
    table = error_rates()
    columns = ["true effect", "seeds planned", "finds then, %", "seeds for 80 %"]
    return table.loc[pd.to_numeric(table["finds then, %"]) < 100 * POWER, columns]
