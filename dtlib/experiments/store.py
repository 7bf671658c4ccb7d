"""Single runs by content: a run's folder is named by the sha256 of its settings."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from dtlib.experiments import provenance
from dtlib.experiments.keys import config_key, sha256
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text
from dtlib.settings.train import TrainConfig
from dtlib.training.evaluation import WORLDS, Evaluation, evaluate
from dtlib.training.loop import Run
from dtlib.training.run_folder import CHECKPOINT, HISTORY, load_run
from dtlib.training.train import train_together

ORIGIN = "origin.json"
"""In a run's folder: what trained it."""


def folder(config: TrainConfig) -> Path:
    """Return where a run is kept."""
    return paths.store() / f"{config.algorithm}-{config.preset}" / config_key(config)[:24]


def episodes_done(config: TrainConfig) -> int:
    """Return how many episodes of a run are in the store."""
    try:
        with open(folder(config) / HISTORY, encoding="utf-8") as file:
            return max(sum(1 for _ in file) - 1, 0)
    except OSError:
        return 0


def _run_folder(config: TrainConfig, episodes: int | None) -> Path:
    """Return where a run of so many episodes is kept: apart, if the store's has gone further."""
    whole = folder(config)
    further = episodes is not None and episodes_done(config) > episodes
    return whole / f"first-{episodes}" if further else whole


class Busy(Exception):
    """Another process is at work on one of these runs."""


@contextmanager
def locked(places: Sequence[Path], wait: bool = True) -> Iterator[None]:
    """Keep other processes from places while inside; a process that dies leaves no lock behind.

    Raises:
        Busy: another process is at work there, and ``wait`` is false.
        FileError: the store cannot be written to.
    """
    with ExitStack() as stack:
        for place in sorted(places):
            lock = FileLock(place.with_name(f"{place.name}.lock"), timeout=-1 if wait else 0)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock)
            except Timeout:
                raise Busy(str(place)) from None
            except OSError as error:
                raise FileError(f"{place}: cannot be written ({error.strerror})") from None
        yield


def get(config: TrainConfig, episodes: int | None = None, device: str = "auto") -> Run:
    """Return a finished run: loaded if the store has it, trained or taken up otherwise.

    A damaged checkpoint is named, set aside and its run begun anew. Where the store's run has gone
    further than is asked for, its first episodes are run once more, and kept beside it.

    Args:
        config: the run's settings.
        episodes: how many of its episodes; all if absent.
        device: where what is missing is trained.
    """
    return get_together([config], episodes, device)[0]


def get_together(
    configs: Sequence[TrainConfig],
    episodes: int | None = None,
    device: str = "auto",
    wait: bool = True,
) -> list[Run]:
    """Return finished runs, those that are missing trained side by side; see :func:`get`.

    Raises:
        Busy: another process is at work on one of them, and ``wait`` is false.
    """
    with locked([folder(config) for config in configs], wait):
        folders = [_run_folder(config, episodes) for config in configs]
        before = [_stamp(path) for path in folders]
        try:
            runs = train_together(configs, folders, episodes=episodes, device=device)
        except FileError:
            damaged = [path for path in folders if (path / CHECKPOINT).exists() and _bad(path)]
            if not damaged:
                raise
            for path in damaged:
                _set_aside(path)
            runs = train_together(configs, folders, episodes=episodes, device=device)
        for path, stamp in zip(folders, before, strict=True):
            if _stamp(path) != stamp and not (path / ORIGIN).exists():  # not what was only read
                write_text(path / ORIGIN, json.dumps(provenance.origin(), indent=1) + "\n")
        return runs


def history(config: TrainConfig, episodes: int) -> pd.DataFrame:
    """Return a finished run's first so many rows."""
    return get(config, max(episodes, episodes_done(config))).history.iloc[:episodes]


def evaluation(
    config: TrainConfig,
    episodes: int | None = None,
    stream: str = "held-out",
    worlds: int | None = None,
) -> Evaluation:
    """Return a finished run's results on held-out or tuning worlds: read if the store has them."""
    files = _evaluation_files(config, episodes, stream, worlds)
    found = [read_table(file) for file in files]
    if any(table is None for table in found):
        run = get(config, episodes)
        result = evaluate(run, worlds=worlds or WORLDS[stream], stream=stream)
        found = [result.worlds, result.users]
        for file, table in zip(files, found, strict=True):
            write_table(file, table)
    return Evaluation(*found)


def evaluated(config: TrainConfig, episodes: int, stream: str, worlds: int | None = None) -> bool:
    """Return whether the store has an :func:`evaluation`."""
    return all(file.is_file() for file in _evaluation_files(config, episodes, stream, worlds))


def _evaluation_files(
    config: TrainConfig, episodes: int | None, stream: str, worlds: int | None
) -> list[Path]:
    count = worlds or WORLDS[stream]
    episodes = config.episodes if episodes is None else episodes
    stem = f"{episodes}-{stream}" + f"-{count}" * (count != WORLDS[stream])
    return [folder(config) / f"{stem}-{kind}.csv" for kind in ("worlds", "users")]


def run_table(
    config: TrainConfig, episodes: int, name: str, measure: Callable[[Run], pd.DataFrame]
) -> pd.DataFrame:
    """Return a table that is kept with a run, or measure the finished run and keep it.

    Args:
        config: the run's settings.
        episodes: how many of its episodes.
        name: of the table.
        measure: of the run.
    """
    path = run_table_file(config, episodes, name)
    if (found := read_table(path)) is None:
        found = measure(get(config, episodes))
        write_table(path, found)
    return found


def run_table_file(config: TrainConfig, episodes: int, name: str) -> Path:
    """Return where a :func:`run_table` is kept."""
    return folder(config) / f"{episodes}-{name}.csv"


def table(kind: str, key: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return a table that the store has under this kind and key, or compute and keep it."""
    path = table_file(kind, key)
    with locked([path]):
        if (found := read_table(path)) is None:
            write_table(path, compute())
            found = read_table(path)
    return found


def table_file(kind: str, key: str) -> Path:
    """Return where a :func:`table` is kept."""
    return paths.store() / kind / f"{key[:24]}.csv"


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table with its checksum in the last line."""
    text = table.to_csv(index=False, lineterminator="\n")
    write_text(path, f"{text}# sha256 {sha256(text)}\n")


def read_table(path: Path) -> pd.DataFrame | None:
    """Return what :func:`write_table` wrote; a file that is damaged is named and set aside."""
    try:
        text, _, seal = path.read_text(encoding="utf-8").rpartition("# sha256 ")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        text, seal = "", "unreadable"
    if sha256(text) != seal.strip():
        _set_aside(path)
        return None
    return pd.read_csv(io.StringIO(text))


def _stamp(path: Path) -> int:
    """Return when a run was last at work; 0 if it has not been."""
    try:
        return (path / CHECKPOINT).stat().st_mtime_ns
    except OSError:
        return 0


def _bad(path: Path) -> bool:
    try:
        load_run(path)
    except FileError:
        return True
    return False


def _set_aside(path: Path) -> None:
    number = 0
    while (aside := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    path.rename(aside)
    print(f"dtlib: {path}: damaged; kept as {aside.name}, computed anew", file=sys.stderr)


def made_by(config: TrainConfig) -> dict[str, Any]:
    """Return what trained a run in the store; empty if it is not known."""
    try:
        return json.loads((folder(config) / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
