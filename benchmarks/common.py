"""What every benchmark needs: its folder, its manifest, a parser that explains in one line."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from dtlib.experiments import provenance
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.files import write_text

DATA, MANIFEST = "data.csv", "manifest.json"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit code 2; all have ``--out`` and ``--dirty``.

    Args:
        prog: the program's name in messages.
        about: what it does, in one line.
        folder: where ``--out`` without a value writes.
    """

    def __init__(self, prog: str, about: str, folder: str) -> None:
        super().__init__(prog=prog, description=about)
        self.add_argument(
            "--out", nargs="?", const=folder, metavar="DIR", help=f"write results here ({folder})"
        )
        self.add_argument(
            "--dirty", action="store_true", help="write although dtlib/ has uncommitted changes"
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def memory_mb(peak: bool = False) -> float:
    """Return the memory this process holds, or has held at most, in 1e6 byte; nan where unknown."""
    field = "VmHWM:" if peak else "VmRSS:"
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    found = [line.split()[1] for line in lines if line.startswith(field)]
    return int(found[0]) * 1024 / 1e6 if found else float("nan")


def check_folder(folder: Path, name: str) -> None:
    """Raise ``FileError``, one line, unless ``folder`` is new, empty or this benchmark's own."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileError(f"{folder}: is a file; the output must be a folder")
    if not any(folder.iterdir()):
        return
    try:
        own = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["benchmark"] == name
    except (OSError, ValueError, KeyError, TypeError):
        own = False
    if not own:
        raise FileError(f"{folder}: is not empty and holds no result of {name}; choose another")


def write(
    folder: Path, name: str, rows: pd.DataFrame, packages: Sequence[str], **notes: Any
) -> None:
    """Write ``data.csv`` and ``manifest.json``, which names neither hosts nor paths."""
    software = {"python": platform.python_version()} | {p: version(p) for p in packages}
    head = {"benchmark": name, "packages": software, "made_by": provenance.origin()}
    write_text(folder / MANIFEST, json.dumps(head | notes, indent=2) + "\n")
    write_text(folder / DATA, rows.to_csv(index=False, float_format="%.6g"))


def report(
    parser: Parser,
    options: argparse.Namespace,
    name: str,
    packages: Sequence[str],
    measure: Callable[[], tuple[pd.DataFrame, dict[str, Any]]],
) -> pd.DataFrame | None:
    """Measure, and write rows and notes if asked.

    Args:
        parser: of the benchmark, whose name errors begin with.
        options: with ``out``, the folder to write to, checked before anything is measured, as is
            that a commit has what is measured unless ``dirty``; nothing is written if absent.
        name: of the benchmark.
        packages: whose versions the manifest has.
        measure: returns rows, and notes for the manifest.

    Returns:
        The rows; None for bad input, which one line on standard error explains.
    """
    try:
        if options.out is not None:
            check_folder(Path(options.out), name)
            provenance.check_clean(name, options.dirty)
        rows, notes = measure()
        if options.out is not None:
            write(Path(options.out), name, rows, packages, **notes)
    except (ConfigError, FileError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return None
    return rows
