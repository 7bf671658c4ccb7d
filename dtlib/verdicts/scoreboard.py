"""The scoreboard: two columns of verdicts that are never mixed, their counts, and their files."""

from collections import Counter
from pathlib import Path
from typing import get_args

import pandas as pd

from dtlib.experiments import committed
from dtlib.experiments.grids import find
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text
from dtlib.runtime.reading import read_text
from dtlib.verdicts.causes import DOUBTED, remark
from dtlib.verdicts.checks import HELD_OUT
from dtlib.verdicts.claims import CLAIMS, JUDGED_PRESETS, Judged, judged
from dtlib.verdicts.judgement import Verdict
from dtlib.verdicts.names import label
from dtlib.verdicts.rates import rates


def verdicts() -> pd.DataFrame:
    """Return one row per sentence and way of measuring, with a verdict in either preset."""
    known = {(row.claim.sentence, row.way, of): row for of in JUDGED_PRESETS for row in judged(of)}
    rows = []
    for claim in CLAIMS:
        for way in claim.ways:
            of = {preset: known[claim.sentence, way, preset] for preset in JUDGED_PRESETS}
            row = {
                "figure": claim.shown, "the paper says": claim.sentence,
                "its number": claim.reported, "not its words": claim.reading, "measured on": way,
            }  # fmt: skip
            for preset, one in of.items():
                row[preset] = "not counted" if claim.uncounted else one.finding.verdict
            row |= {f"measured, {preset}": one.finding.measured for preset, one in of.items()}
            rows.append(row | {f"remark, {preset}": _remark(one) for preset, one in of.items()})
    return pd.DataFrame(rows)


def _remark(row: Judged) -> str:
    """Return why a sentence is not counted, or what is known where it does not hold."""
    claim = row.claim
    if claim.uncounted or row.found is None:
        return claim.uncounted
    return remark(row.found, row.finding, why=claim.why, known=claim.known)


def counts(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return how many sentences have which verdict in either preset; each sentence counts once.

    By the first way of measuring, and beside it on held-out worlds, where a sentence is measured
    there; sentences on training alone count as they do in the first column.

    Args:
        table: of :func:`verdicts`; judged anew if absent.
    """
    table = verdicts() if table is None else table
    columns: dict[str, pd.Series] = {}
    for keep, more in (("first", ""), ("last", f", {HELD_OUT}")):
        once = table.drop_duplicates("the paper says", keep=keep)
        columns |= {preset + more: once[preset].value_counts() for preset in JUDGED_PRESETS}
    table = pd.DataFrame(columns).reindex(get_args(Verdict)).fillna(0).astype(int)
    return table.rename_axis("verdict").reset_index()


def trained_with(preset: str) -> str:
    """Say how many seeds of each learner Figs. 4–6 of a preset have, and whose training is cut."""
    runs = committed.runs_of(find("fig04_06"), preset)
    counts = Counter(run.algorithm for run in runs if not run.baseline).values()
    if not counts:
        return "no seed in Figs. 4–6"
    seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
    cut = dict.fromkeys(
        f" ({label(run.algorithm)}: {run.episodes} of {run.config.episodes} episodes)"
        for run in runs
        if run.episodes < run.config.episodes
    )
    return f"{seeds} seed{'s' * (seeds != '1')} in Figs. 4–6{''.join(cut)}"


def explained(preset: str) -> str:
    """Say of how many sentences that do not hold wholly, or not at all, a cause was shown.

    Sentences count as in :func:`counts`, by the first way of measuring.
    """
    doubted = [
        row for row in judged(preset)
        if row.way == row.claim.ways[0] and not row.claim.uncounted
        and row.finding.verdict in DOUBTED
    ]  # fmt: skip
    causes = [
        row.claim.why(row.found, row.finding) for row in doubted if row.found and row.claim.why
    ]
    count, known = len(doubted), sum(map(bool, causes))
    return f"a cause was shown for {known} of the {count} sentences that do not hold wholly"


def departures() -> str:
    """Name the sentences that depart from the paper's words, as a list in Markdown."""
    read = [f"- {claim.shown}, *{claim.sentence}* ({claim.reading})" for claim in CLAIMS
            if claim.reading]  # fmt: skip
    return "\n".join([f"{len(read)} sentences depart from the paper's words:", "", *read])


KEPT = ("claims.csv", "claims_counts.csv", "claims_rates.csv")
"""Committed tables: verdicts, their counts, and how often each verdict errs."""


def kept(name: str) -> pd.DataFrame:
    """Return a table that is kept, all of it text.

    Raises:
        FileError: there is none.
    """
    file = paths.results() / name
    if not file.is_file():
        raise FileError(f"{file}: there is none; dtlib claims writes it")
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def outdated(table: pd.DataFrame) -> dict[Path, str]:
    """Return, of each kept table that is not what :func:`verdicts` says, what it says."""
    made = {
        paths.results() / name: one.to_csv(index=False, lineterminator="\n")
        for name, one in zip(KEPT, (table, counts(table), rates()), strict=True)
    }
    return {file: text for file, text in made.items() if text != read_text(file)}


def write_verdicts(table: pd.DataFrame) -> None:
    """Keep the tables that follow from :func:`verdicts`."""
    for file, text in outdated(table).items():
        write_text(file, text)
