"""Committed results: tidy tables with a manifest, drawn only if they are what is asked for."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments.store import provenance
from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text

MANIFEST = "manifest.json"
DIGITS = "%.7g"
"""Of every number in a table: what float32 knows."""


def write(
    place: Path, key: str, tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any]
) -> None:
    """Write tables and their manifest; where the same lie already, nothing is touched.

    Args:
        place: folder.
        key: sha256 of what the tables are of.
        tables: by file name.
        facts: for the manifest, beside provenance and checksums.
    """
    texts = {
        name: table.to_csv(index=False, lineterminator="\n", float_format=DIGITS)
        for name, table in tables.items()
    }
    same = all(_text(place / name) == text for name, text in texts.items())
    if same and manifest(place).get("key") == key:
        return
    for name, text in texts.items():
        write_text(place / name, text)
    digests = {name: sha256(text) for name, text in texts.items()}
    found = {"key": key, "files_sha256": digests, **provenance(), **facts}
    write_text(place / MANIFEST, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def read(place: Path, name: str, key: str | None = None) -> pd.DataFrame | None:
    """Return a committed table, if its manifest has this key where one is given; else None.

    Raises:
        FileError: the table does not have the checksum that its manifest states.
    """
    known = manifest(place)
    if key not in (None, known.get("key")) or (text := _text(place / name)) is None:
        return None
    if sha256(text) != known.get("files_sha256", {}).get(name):
        raise FileError(f"{place / name}: differs from its manifest; run `dtlib figure` again")
    return pd.read_csv(io.StringIO(text))


def manifest(place: Path) -> dict[str, Any]:
    """Return a folder's manifest; empty if there is none."""
    try:
        return json.loads(_text(place / MANIFEST) or "{}")
    except json.JSONDecodeError:
        return {}


def sha256(text: str) -> str:
    """Return a text's checksum."""
    return hashlib.sha256(text.encode()).hexdigest()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
