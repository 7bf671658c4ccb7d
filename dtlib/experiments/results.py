"""Committed results: tidy tables with a manifest, drawn only if they are what is asked for."""

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments import provenance
from dtlib.experiments.experiment import MOST_SEEDS
from dtlib.experiments.keys import digest
from dtlib.runtime import paths
from dtlib.runtime.files import write_text
from dtlib.runtime.reading import Damaged, parse_json, read_bytes, read_text, sha256
from dtlib.settings.base import RESULTS_VERSION

DATA = "data.csv"
"""Learning curves, a row per run and episode; of a sweep, a row per run."""
ENERGY, FAILED = "energy_per_user_slot_j", "failure_ratio_requests"
PER_SERVED = "energy_per_served_request_j"
"""Columns that every such table has."""
MANIFEST = "manifest.json"
CHECKSUM = "sha256"
"""In a manifest: the checksum of all else in it."""
DIGITS = "%.7g"
"""Of every number in a table: what float32 knows."""


def folder_of(preset: str, name: str) -> Path:
    """Return the folder of an experiment's tables, or of what else is committed by preset."""
    return paths.results() / preset / name


def write(
    folder: Path, key: str, *, tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any]
) -> None:
    """Write tables and their manifest; where the same lie already, nothing is touched.

    Args:
        key: sha256 of what the tables are of.
        tables: by file name.
        facts: for the manifest, beside provenance and checksums.
    """
    texts = {name: _csv(table) for name, table in tables.items()}
    digests, known = {name: sha256(text) for name, text in texts.items()}, manifest(folder)
    same = all(_bytes(folder / name) == text.encode() for name, text in texts.items())
    if same and known.get("key") == key and known["files_sha256"] == digests:
        return
    for name, text in texts.items():
        write_text(folder / name, text)
    found = {"key": key, "files_sha256": digests, **provenance.software(), **facts}
    found |= {CHECKSUM: _seal(found)}
    write_text(folder / MANIFEST, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def read(folder: Path, name: str, key: str | None = None) -> pd.DataFrame | None:
    """Return a committed table, if its manifest has this key where one is given; else None.

    Raises:
        Damaged: the table does not have the checksum that its manifest states, or there is none.
        FileError: it cannot be read.
    """
    known = manifest(folder)
    if key not in (None, known.get("key")) or (content := _bytes(folder / name)) is None:
        return None
    with suppress(ValueError):  # not UTF-8, or no table
        text = content.decode()
        if sha256(text) == known.get("files_sha256", {}).get(name):
            return _parsed(text)
    command = f"dtlib figure {folder.name} --preset {folder.parent.name}"
    wrong = "differs from its manifest" if known else f"its {MANIFEST} is missing or not its own"
    raise Damaged(f"{folder / name}: {wrong}; take both back from git, or run `{command}` again")


def table(preset: str, name: str, file: str = DATA) -> pd.DataFrame | None:
    """Return a committed table of an experiment, whatever its key; None without any.

    Raises:
        Damaged: see :func:`read`.
        FileError: see :func:`read`.
    """
    return read(folder_of(preset, name), file)


def runs(preset: str, name: str) -> dict[str, dict[str, Any]]:
    """Return what an experiment's manifest says of its runs, by their keys; empty without one."""
    return {run["run"]: run for run in manifest(folder_of(preset, name)).get("runs", ())}


def manifest(folder: Path) -> dict[str, Any]:
    """Return a folder's manifest; empty if there is none that is sound and of this folder.

    Raises:
        FileError: it cannot be read.
    """
    path = folder / MANIFEST
    try:
        found = parse_json(path, read_text(path) or "{}")
        return found if _sound(found, folder) else {}
    except (Damaged, RecursionError):
        return {}


def older(known: Mapping[str, Any]) -> int | None:
    """Return the version that a manifest states if it is not what the code gives now."""
    version = known.get("results_version", RESULTS_VERSION)
    return None if version == RESULTS_VERSION else version


def as_committed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it reads once it has been written."""
    return _parsed(_csv(table))


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose cells are the texts that are written."""
    return pd.read_csv(io.StringIO(_csv(table)), dtype=str, keep_default_na=False)


def _parsed(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), dtype={"run": str})  # a key may look like a number


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n", float_format=DIGITS)


def _sound(found: dict[str, Any], folder: Path) -> bool:
    """Return whether a manifest has what every manifest has, and is of its folder.

    Earlier ones have no seal.
    """
    digests, runs = found.get("files_sha256"), found.get("runs", [])
    return (
        isinstance(found.get("key"), str)
        and isinstance(digests, dict)
        and isinstance(runs, list)
        and type(found.get("results_version", RESULTS_VERSION)) is int
        and all(map(_is_run, runs))
        and found.get(CHECKSUM) in (None, _seal(found))
        and found.get("experiment", folder.name) == folder.name
        and found.get("preset", folder.parent.name) == folder.parent.name
    )


def _is_run(run: Any) -> bool:
    """Return whether this can be what a manifest says of a run."""
    if not isinstance(run, dict) or not isinstance(run.get("run"), str):
        return False
    return type(run.get("seed")) is int and 0 <= run["seed"] < MOST_SEEDS


def _seal(found: Mapping[str, Any]) -> str:
    return digest({name: value for name, value in found.items() if name != CHECKSUM})


def _bytes(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except Damaged:  # no file at all
        return b""
