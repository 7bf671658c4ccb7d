"""Single runs by content: a run's folder is named by the sha256 of its settings."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from dtlib.experiments import provenance
from dtlib.experiments.keys import config_key
from dtlib.runtime import paths
from dtlib.runtime.checkpoint import load_rest
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.files import reason, write_text
from dtlib.runtime.reading import Damaged, parse_json, read_text, say, sealed, unsealed
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Run
from dtlib.training.run_folder import CHECKPOINT, claim, episodes_in
from dtlib.training.train import train, train_together

ORIGIN = "origin.json"
"""In a run's folder: what trained it."""


def folder(config: TrainConfig) -> Path:
    """Return where a run is kept."""
    return paths.store() / f"{config.algorithm}-{config.preset}" / config_key(config)[:24]


def episodes_done(config: TrainConfig) -> int:
    """Return how many episodes of a run are in the store."""
    return episodes_in(folder(config))


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
                raise FileError(f"{place}: cannot be written ({reason(error)})") from None
        yield


def get(config: TrainConfig, episodes: int | None = None) -> Run:
    """Return a finished run: loaded if the store has it, trained or taken up otherwise.

    A damaged run is named, set aside and begun anew. Where the store's run has gone further than is
    asked for, its first episodes are run once more, and kept beside it.

    Args:
        config: the run's settings.
        episodes: how many of its episodes; all if absent.
    """
    return get_together([config], episodes=episodes)[0]


def get_together(
    configs: Sequence[TrainConfig],
    *,
    episodes: int | None = None,
    device: str = "auto",
    wait: bool = True,
) -> list[Run]:
    """Return finished runs, those that are missing trained side by side; see :func:`get`.

    What is finished is read without a lock, so that it may lie where nothing can be written.

    Raises:
        Busy: another process is at work on one of them, and ``wait`` is false.
        FileError: a file cannot be read or written.
    """
    if (finished := _finished(configs, episodes, device)) is not None:
        return finished
    with locked([folder(config) for config in configs], wait):
        folders = [_run_folder(config, episodes) for config in configs]
        try:
            return _train(configs, folders, episodes=episodes, device=device)
        except Damaged:
            for path, config in zip(folders, configs, strict=True):
                try:
                    train(config, path, episodes=0, device="cpu")
                except Damaged:
                    _set_aside(path)
            return _train(configs, folders, episodes=episodes, device=device)


def _train(
    configs: Sequence[TrainConfig], folders: Sequence[Path], *, episodes: int | None, device: str
) -> list[Run]:
    """Train what is missing, after a note of what trains it: no kill comes too early for that."""
    for path, config in zip(folders, configs, strict=True):
        claim(path, config)
        begun = episodes_in(path) and (path / ORIGIN).exists()
        if not begun and episodes_in(path) < _goal(config, episodes):  # not what is only read
            write_text(path / ORIGIN, json.dumps(provenance.origin(), indent=1) + "\n")
    return train_together(configs, folders, episodes=episodes, device=device)


def _goal(config: TrainConfig, episodes: int | None) -> int:
    return config.episodes if episodes is None else min(episodes, config.episodes)


def _finished(
    configs: Sequence[TrainConfig], episodes: int | None, device: str
) -> list[Run] | None:
    """Return runs if all of them are there as asked for, whole and sound; else None."""
    resolve_device(device)  # what is none is told before anything is written
    runs = []
    for config in configs:
        goal = _goal(config, episodes)
        path = _run_folder(config, episodes)
        if episodes_in(path) != goal or not goal:
            return None
        try:
            runs.append(train(config, path, episodes=0, device=device))
        except Damaged:
            return None
        if len(runs[-1].history) != goal:  # another process has gone on meanwhile
            return None
    return runs


def history(config: TrainConfig, episodes: int) -> pd.DataFrame:
    """Return a finished run's first so many rows."""
    return get(config, max(episodes, episodes_done(config))).history.iloc[:episodes]


def run_tables(
    config: TrainConfig,
    episodes: int,
    *,
    names: Sequence[str],
    measure: Callable[[Run], Sequence[pd.DataFrame]],
) -> list[pd.DataFrame]:
    """Return tables that are kept with a run, or measure the finished run and keep them.

    Args:
        config: the run's settings.
        episodes: how many of its episodes.
        names: of the tables.
        measure: the run, a table for each name.
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
            if not os.path.lexists(path):
                write_table(path, key, compute())
        found = read_table(path, key)
    return found


def table_file(kind: str, key: str) -> Path:
    """Return where a :func:`table` is kept."""
    return paths.store() / kind / f"{key[:24]}.csv"


def write_table(path: Path, key: str, table: pd.DataFrame) -> None:
    """Write a table, in its last line a checksum that is bound to what it is of.

    Args:
        path: where to; its name says what is told.
        key: sha256 of whose table it is.
        table: what is told.
    """
    text = table.to_csv(index=False, lineterminator="\n")
    write_text(path, sealed(text, _of(path, key)))


def read_table(path: Path, key: str) -> pd.DataFrame | None:
    """Return what :func:`write_table` wrote; a file that is damaged is named and set aside.

    Raises:
        FileError: it cannot be read.
    """
    try:
        return _checked_table(path, key)
    except Damaged:
        pass
    with locked([path]):  # of two processes that see it, one sets it aside
        try:
            return _checked_table(path, key)
        except Damaged:
            _set_aside(path)
            return None


def _of(path: Path, key: str) -> str:
    return f"{key}\n{path.name}\n"


def _checked_table(path: Path, key: str) -> pd.DataFrame | None:
    """Return a table if it is whole and of what it should be; None if there is none.

    Earlier versions bound no seal to a key. Measuring everything of an older store again would take
    hours: such a table is said to be as old, and sealed again.
    """
    if (content := read_text(path)) is None:
        return None
    text, bound = unsealed(path, content, _of(path, key))
    try:
        table = pd.read_csv(io.StringIO(text))
    except ValueError as error:
        raise Damaged(f"{path}: holds no table ({error})") from None
    if not bound:
        _check_home(path, key)
        say(f"{path}: its seal is of an earlier version, which did not say whose it is; renewed")
        with suppress(FileError):  # where nothing can be written
            write_text(path, sealed(text, _of(path, key)))
    return table


def _check_home(path: Path, key: str) -> None:
    """Raise :class:`Damaged` if a table lies in the folder of another run than its own."""
    if (rest := load_rest(path.parent / CHECKPOINT)) is None:
        return
    try:
        there = config_key(TrainConfig.from_dict(rest["config"]))
    except (ConfigError, KeyError, TypeError):
        there = ""
    if there != key:
        raise Damaged(f"{path}: lies in the folder of another run")


def _set_aside(path: Path) -> None:
    """Rename what is damaged, while its place is locked.

    Raises:
        FileError: its folder cannot be written to.
    """
    number = 0
    while os.path.lexists(aside := path.with_name(f"{path.name}.damaged{number}")):
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        raise FileError(f"{path}: damaged, and cannot be set aside ({reason(error)})") from None
    say(f"{path}: damaged; kept as {aside.name}, computed anew")


def made_by(config: TrainConfig) -> dict[str, Any]:
    """Return what trained a run in the store; empty if it is not known."""
    path = folder(config) / ORIGIN
    try:
        found = parse_json(path, read_text(path) or "{}")
    except FileError:
        return {}
    known = {name: found[name] for name in provenance.FACTS if name in found}
    return known if all(isinstance(value, str | None) for value in known.values()) else {}
