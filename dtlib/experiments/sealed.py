"""Tables in the store, each with a checksum that is bound to what it is of."""

import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from dtlib.experiments.keys import config_key
from dtlib.experiments.places import locked, set_aside
from dtlib.experiments.store import folder, get
from dtlib.runtime import paths
from dtlib.runtime.files import write_text
from dtlib.runtime.reading import Damaged, read_text, sha256
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Run

SEAL = "# sha256 "
"""The last line of a table begins with it; a checksum follows."""


def run_tables(
    config: TrainConfig,
    episodes: int,
    *,
    names: Sequence[str],
    measure: Callable[[Run], Sequence[pd.DataFrame]],
) -> list[pd.DataFrame]:
    """Return tables that are kept with a run, or measure the finished run and keep them.

    ``measure`` gives a table for each name.
    """
    files, key = [run_table_file(config, episodes, name) for name in names], config_key(config)
    found = [read_table(file, key) for file in files]
    if any(table is None for table in found):
        found = list(measure(get(config, episodes)))
        for file, table in zip(files, found, strict=True):
            write_table(file, key, table)
    return found


def run_table_file(config: TrainConfig, episodes: int, name: str) -> Path:
    """Return where one of :func:`run_tables` is kept."""
    return folder(config) / f"{episodes}-{name}.csv"


def table(kind: str, key: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return a table that the store has under this kind and key, or compute and keep it."""
    path = table_file(kind, key)
    found = read_table(path, key)
    while found is None:
        with locked([path]):
            if not os.path.exists(path):
                write_table(path, key, compute())
        found = read_table(path, key)
    return found


def table_file(kind: str, key: str) -> Path:
    """Return where a :func:`table` is kept."""
    return paths.store() / kind / f"{key[:24]}.csv"


def write_table(path: Path, key: str, table: pd.DataFrame) -> None:
    """Write a table, in its last line a checksum that is bound to its file's name and its key."""
    text = table.to_csv(index=False, lineterminator="\n")
    write_text(path, _sealed(path, key, text))


def read_table(path: Path, key: str) -> pd.DataFrame | None:
    """Return what :func:`write_table` wrote; a file that is damaged is named and set aside.

    Raises:
        FileError: it cannot be read.
    """
    with suppress(Damaged):
        return _checked_table(path, key)
    with locked([path]):  # of two processes that see it, one sets it aside
        with suppress(Damaged):
            return _checked_table(path, key)
        set_aside(path)
    return None


def _sealed(path: Path, key: str, text: str) -> str:
    """Return a table's text with a last line that holds its checksum, bound to what it is of."""
    return text + SEAL + sha256(f"{key}\n{path.name}\n{text}") + "\n"


def _checked_table(path: Path, key: str) -> pd.DataFrame | None:
    """Return a table if it is whole and of what it should be; None if there is none.

    Raises:
        Damaged: it was altered, cut, or is of something else.
        FileError: it cannot be read.
    """
    if (content := read_text(path)) is None:
        return None
    text = content.rpartition(SEAL)[0]
    if content != _sealed(path, key, text):
        raise Damaged(f"{path}: its seal does not fit: it was altered, or is of something else")
    try:
        return pd.read_csv(io.StringIO(text))
    except ValueError as error:
        raise Damaged(f"{path}: holds no table ({error})") from None
