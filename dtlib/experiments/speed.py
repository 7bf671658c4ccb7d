"""Committed measurements of speed: what ``dtlib bench`` has written, read again."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments.results import DATA, MANIFEST, folder_of

CASE = ("suite", "users", "sites", "frames", "epochs", "critic", "runs", "jobs", "threads")
"""What tells the cases of the benchmark ``training`` apart."""


def file_of(benchmark: str) -> Path:
    """Return where a benchmark's rows are committed, beside their manifest."""
    return folder_of("benchmarks", benchmark) / DATA


def rows(benchmark: str) -> pd.DataFrame:
    """Return a benchmark's committed rows."""
    return pd.read_csv(file_of(benchmark))


def notes() -> dict[str, Any]:
    """Return what the manifest of the benchmark ``training`` says of machine and packages."""
    return json.loads(file_of("training").with_name(MANIFEST).read_text(encoding="utf-8"))


def medians(training: pd.DataFrame, suite: str, *quantities: str) -> pd.DataFrame:
    """Return medians over rounds and processes: a row per case, a column per quantity."""
    found = training[training["suite"].eq(suite) & training["quantity"].isin(quantities)]
    return found.pivot_table(
        index=list(CASE), columns="quantity", values="value", aggfunc="median", sort=False
    ).reset_index()
