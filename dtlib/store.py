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

from dtlib import paths
from dtlib.checkpoint import FileError
from dtlib.config import RESULTS_VERSION, TrainConfig
from dtlib.training import CHECKPOINT, HISTORY, Run, load_run, train_together

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


def get(config: TrainConfig, progress: bool = False, device: str = "auto") -> Run:
    """Return a finished run: loaded if the store has it, trained or taken up otherwise.

    A damaged checkpoint is set aside and its run begun anew.
    """
    return get_together([config], progress, device)[0]


def get_together(
    configs: Sequence[TrainConfig], progress: bool = False, device: str = "auto"
) -> list[Run]:
    """Return finished runs, those that are missing trained side by side; see :func:`get`."""
    places = [folder(config) for config in configs]
    try:
        return train_together(configs, places, progress, device=device)
    except FileError:
        damaged = [place for place in places if (place / CHECKPOINT).exists() and _bad(place)]
        if not damaged:
            raise
        for place in damaged:
            place.rename(_free_name(place))
        return train_together(configs, places, progress, device=device)


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
