"""The folder of a run: its settings, its checkpoint, its history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.files import write_text, write_whole
from dtlib.settings.base import Settings
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Run, Trainer

CONFIG, CHECKPOINT, HISTORY = "config.json", "checkpoint.safetensors", "history.csv"


def claim(folder: Path, config: TrainConfig) -> None:
    """Make a folder this run's, unless it is already.

    Raises:
        FileError: it is anybody else's, or not writable.
    """
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: is a file; the output must be a folder")
    settings = folder / CONFIG
    if settings.exists():
        found = _read_config(settings)
        if found != config:
            raise FileError(
                f"{folder}: holds a run with another {_first_difference(found, config)}"
            )
        return
    if folder.exists() and any(not path.name.endswith(".part") for path in folder.iterdir()):
        raise FileError(f"{folder}: is not empty and holds no run; choose a new folder")
    write_text(settings, json.dumps(_values(config), indent=2) + "\n")


def save(folder: Path, trainer: Trainer, index: int) -> None:
    """Write the checkpoint and the history of one of a trainer's runs."""
    rest = {"config": _values(trainer.configs[index]), "rows": trainer.rows[index]}
    save_checkpoint(folder / CHECKPOINT, trainer.state(index), rest)
    history = trainer.run_so_far(index).history
    write_whole(folder / HISTORY, lambda aside: history.to_csv(aside, index=False))


def take_up(folder: Path, trainer: Trainer, index: int) -> None:
    """Load a folder's checkpoint, if it has one, into one of a trainer's runs.

    Raises:
        FileError: the checkpoint is damaged, or does not belong to this run.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return
    arrays, rest = load_checkpoint(path)
    if rest.get("config") != _values(trainer.configs[index]):
        raise FileError(f"{path}: its settings are not those of {CONFIG} beside it")
    try:
        trainer.load(index, arrays, rest["rows"])
    except ValueError as error:
        raise FileError(f"{path}: {error}") from None


def load_run(folder: str | Path) -> Run:
    """Load a run's settings, policies and history.

    Raises:
        FileError: no run there, or a damaged one.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FileError(f"{folder}: holds no run ({CONFIG} is missing)")
    trainer = Trainer([_read_config(folder / CONFIG)])
    if not (folder / CHECKPOINT).is_file():
        raise FileError(f"{folder}: holds no checkpoint yet")
    take_up(folder, trainer, 0)
    return trainer.run_so_far(0)


def _values(config: TrainConfig) -> dict[str, Any]:
    """Return settings as JSON holds them."""
    return json.loads(config.canonical_json())


def _read_config(path: Path) -> TrainConfig:
    try:
        return TrainConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ConfigError, TypeError) as error:
        raise FileError(f"{path}: not a run's settings ({str(error).splitlines()[0]})") from None


def _first_difference(found: Settings, wanted: Settings) -> str:
    """Return the first field in which settings differ, and both its values, as text."""
    name = next(name for name, value in found if value != getattr(wanted, name))
    value, other = getattr(found, name), getattr(wanted, name)
    if isinstance(value, Settings):
        return f"{name}.{_first_difference(value, other)}"
    return f"{name}: {value!r}, not {other!r}"
