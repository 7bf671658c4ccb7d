"""Committed results: tidy tables with a manifest, drawn only if they are what is asked for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments import provenance
from dtlib.experiments.keys import sha256
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text

DATA = "data.csv"
"""Learning curves, a row per run and episode; of a sweep, a row per run."""
ENERGY, FAILED = "energy_per_user_slot_j", "failure_ratio_requests"
"""Columns that every such table has."""
MANIFEST = "manifest.json"
DIGITS = "%.7g"
"""Of every number in a table: what float32 knows."""


def folder_of(preset: str, name: str) -> Path:
    """Return the folder of an experiment's tables, or of what else is committed by preset."""
    return paths.results() / preset / name


def write(
    folder: Path, key: str, tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any]
) -> None:
    """Write tables and their manifest; where the same lie already, nothing is touched.

    Args:
        folder: folder.
        key: sha256 of what the tables are of.
        tables: by file name.
        facts: for the manifest, beside provenance and checksums.
    """
    texts = {name: _csv(table) for name, table in tables.items()}
    same = all(_text(folder / name) == text for name, text in texts.items())
    if same and manifest(folder).get("key") == key:
        return
    for name, text in texts.items():
        write_text(folder / name, text)
    digests = {name: sha256(text) for name, text in texts.items()}
    found = {"key": key, "files_sha256": digests, **provenance.software(), **facts}
    write_text(folder / MANIFEST, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def read(folder: Path, name: str, key: str | None = None) -> pd.DataFrame | None:
    """Return a committed table, if its manifest has this key where one is given; else None.

    Raises:
        FileError: the table does not have the checksum that its manifest states.
    """
    known = manifest(folder)
    if key not in (None, known.get("key")) or (text := _text(folder / name)) is None:
        return None
    if sha256(text) != known.get("files_sha256", {}).get(name):
        raise FileError(f"{folder / name}: differs from its manifest; run `dtlib figure` again")
    return pd.read_csv(io.StringIO(text))


def write_once(
    folder: Path, key: str, measure: Callable[[], pd.DataFrame], facts: Mapping[str, Any]
) -> Path:
    """Measure and write a folder of one table, unless it is there; return the folder.

    Args:
        folder: folder.
        key: sha256 of what the table is of.
        measure: makes the table.
        facts: see :func:`write`.
    """
    if read(folder, DATA, key) is None:
        write(folder, key, {DATA: measure()}, facts)
    return folder


def read_or_measure(folder: Path, key: str, measure: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return the table of such a folder if it has this key, else measure it anew."""
    known = read(folder, DATA, key)
    return measure() if known is None else known


def manifest(folder: Path) -> dict[str, Any]:
    """Return a folder's manifest; empty if there is none."""
    try:
        return json.loads(_text(folder / MANIFEST) or "{}")
    except json.JSONDecodeError:
        return {}


def as_committed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it reads once it has been written."""
    return pd.read_csv(io.StringIO(_csv(table)))


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n", float_format=DIGITS)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
