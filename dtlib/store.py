"""Single runs by content: a run's folder is named by the sha256 of its settings."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib import paths
from dtlib.checkpoint import FileError, write_whole
from dtlib.config import RESULTS_VERSION, TrainConfig
from dtlib.evaluation import WORLDS, Evaluation
from dtlib.training import CHECKPOINT, HISTORY, Run, evaluate, load_run, train_together

PACKAGES = ("dtlib", "torch", "numpy", "scipy", "pydantic", "safetensors")


def key(config: TrainConfig) -> str:
    """Return the sha256 of a run's settings and of the version of the code's results."""
    text = f"{RESULTS_VERSION}\n{config.canonical_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def folder(config: TrainConfig) -> Path:
    """Return where a run is kept."""
    return paths.store() / f"{config.algorithm}-{config.preset}" / key(config)[:24]


def episodes_done(config: TrainConfig) -> int:
    """Return how many episodes of a run are in the store."""
    try:
        with open(folder(config) / HISTORY, encoding="utf-8") as file:
            return max(sum(1 for _ in file) - 1, 0)
    except OSError:
        return 0


def get(config: TrainConfig, episodes: int | None = None, device: str = "auto") -> Run:
    """Return a finished run: loaded if the store has it, trained or taken up otherwise.

    A damaged checkpoint is set aside and its run begun anew.

    Args:
        config: the run's settings.
        episodes: how many of its episodes; all if absent.
        device: where what is missing is trained.
    """
    return get_together([config], episodes, device)[0]


def get_together(
    configs: Sequence[TrainConfig], episodes: int | None = None, device: str = "auto"
) -> list[Run]:
    """Return finished runs, those that are missing trained side by side; see :func:`get`."""
    places = [folder(config) for config in configs]
    try:
        return train_together(configs, places, episodes=episodes, device=device)
    except FileError:
        damaged = [place for place in places if (place / CHECKPOINT).exists() and _bad(place)]
        if not damaged:
            raise
        for place in damaged:
            place.rename(_free_name(place))
        return train_together(configs, places, episodes=episodes, device=device)


def evaluation(
    config: TrainConfig, episodes: int | None = None, stream: str = "held-out"
) -> Evaluation:
    """Return a finished run's results on held-out or tuning worlds: read if the store has them."""
    run = get(config, episodes)
    stem = f"{len(run.history)}-{stream}"
    names = [folder(config) / f"{stem}-{kind}.csv" for kind in ("worlds", "users")]
    try:
        return Evaluation(*(pd.read_csv(name) for name in names))
    except (OSError, ValueError):
        found = evaluate(run, WORLDS[stream], stream)
    for name, table in zip(names, (found.worlds, found.users), strict=True):
        write_whole(name, lambda aside, table=table: table.to_csv(aside, index=False))
    return found


def _bad(place: Path) -> bool:
    try:
        load_run(place)
    except FileError:
        return True
    return False


def _free_name(place: Path) -> Path:
    number = 0
    while (aside := place.with_name(f"{place.name}.damaged{number}")).exists():
        number += 1
    return aside


def provenance() -> dict[str, Any]:
    """Return what a manifest says of the software; no host names, no paths."""
    return {
        "results_version": RESULTS_VERSION,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _commit() -> str | None:
    command = ["git", "-C", str(paths.root()), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def canonical(values: Any) -> str:
    """Return JSON with sorted keys and no spaces."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
