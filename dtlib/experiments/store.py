"""Single runs by content: a run's folder is named by the sha256 of its settings."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments import provenance
from dtlib.experiments.keys import config_key
from dtlib.experiments.places import locked, set_aside
from dtlib.runtime import paths
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text
from dtlib.runtime.reading import Damaged, parse_json, read_text
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Run
from dtlib.training.run_folder import claim, episodes_in
from dtlib.training.train import train, train_together

ORIGIN = "origin.json"
"""In a run's folder: what trained it."""


def folder(config: TrainConfig, episodes: int | None = None) -> Path:
    """Return where a run is kept: apart, if it has fewer episodes than the store's."""
    whole = paths.store() / f"{config.algorithm}-{config.preset}" / config_key(config)[:24]
    further = episodes is not None and episodes_in(whole) > episodes
    return whole / f"first-{episodes}" if further else whole


def episodes_done(config: TrainConfig) -> int:
    """Return how many episodes of a run are in the store."""
    return episodes_in(folder(config))


def get(config: TrainConfig, episodes: int | None = None) -> Run:
    """Return a finished run: loaded if the store has it, trained or taken up otherwise.

    A damaged run is named, set aside and begun anew. Where the store's run has gone further than is
    asked for, its first episodes are run once more, and kept beside it. All of them are asked for
    if no number is given.
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
        folders = [folder(config, episodes) for config in configs]
        try:
            return _train(configs, folders, episodes=episodes, device=device)
        except Damaged:
            for path, config in zip(folders, configs, strict=True):
                try:
                    train(config, path, episodes=0, device="cpu")
                except Damaged:
                    set_aside(path)
            return _train(configs, folders, episodes=episodes, device=device)


def _train(
    configs: Sequence[TrainConfig], folders: Sequence[Path], *, episodes: int | None, device: str
) -> list[Run]:
    """Train what is missing, after a note of what trains it: no kill comes too early for that."""
    kind = resolve_device(device).type
    for path, config in zip(folders, configs, strict=True):
        claim(path, config)
        begun = episodes_in(path) and (path / ORIGIN).exists()
        if not begun and episodes_in(path) < _goal(config, episodes):  # not what is only read
            write_text(path / ORIGIN, json.dumps(provenance.origin(kind), indent=1) + "\n")
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
        path = folder(config, episodes)
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
    have = episodes_done(config)
    if have >= episodes:
        with suppress(Damaged):
            return train(config, folder(config), episodes=0, device="cpu").history.iloc[:episodes]
    return get(config, max(episodes, have)).history.iloc[:episodes]


def made_by(config: TrainConfig) -> dict[str, Any]:
    """Return what trained a run in the store; empty if it is not known."""
    path = folder(config) / ORIGIN
    try:
        found = parse_json(path, read_text(path) or "{}")
    except FileError:
        return {}
    known = {name: found[name] for name in provenance.FACTS if name in found}
    return known if all(isinstance(value, str | None) for value in known.values()) else {}
