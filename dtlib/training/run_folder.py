"""The folder of a run: its settings, its checkpoint, its history.

What counts is the checkpoint. The history is for readers: it is never read, and written anew from
the checkpoint where it differs.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from dtlib.runtime.checkpoint import load_checkpoint, load_rest, save_checkpoint
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.files import reason, remove_leftovers, write_text
from dtlib.runtime.kinds import check_path
from dtlib.runtime.reading import Damaged, parse_json, read_bytes, read_text, say
from dtlib.settings.base import Settings
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import TIMINGS, Run, Trainer
from dtlib.training.published import POLICY, is_of, load_policy, save_policy

CONFIG, CHECKPOINT, HISTORY = "config.json", "checkpoint.safetensors", "history.csv"
HISTORY_COLUMNS = (
    "episode", "slots", "reward_global", "reward_centre", "energy_per_user_slot_j",
    "energy_per_served_request_j", "failure_ratio_slots", "failure_ratio_slots_worst_user",
    "failure_ratio_requests", "migrations_per_frame", "queue_rate", *TIMINGS,
)  # fmt: skip
"""That every history has; the others are the learner's."""


class Occupied(Damaged):
    """A folder that has something else; the message says what to do."""


def claim(folder: Path, config: TrainConfig) -> None:
    """Make a folder this run's, unless it is already.

    Settings that stand there alone are of a run that ended before its first episode: new ones take
    their place.

    Raises:
        Occupied: it is anybody else's.
        Damaged: it is a file, or its settings cannot be read.
        FileError: it cannot be read or written.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise Damaged(f"{folder}: is a file; the output must be a folder")
    if os.path.lexists(folder / POLICY):
        raise Occupied(
            f"{folder}: holds a policy to use, not to train further; choose a new folder"
        )
    settings, lost = folder / CONFIG, ""
    try:
        found = _read_config(settings)
    except Damaged as error:
        found, lost = None, str(error)
    if found is None and (lost or _occupied(folder)):
        if settings.is_dir() or not is_of(_told(folder / CHECKPOINT), config):
            if lost:
                raise Damaged(lost)
            raise Occupied(f"{folder}: is not empty and holds no run; choose a new folder")
        say(f"{lost or f'{settings}: is missing'}; written anew, as {CHECKPOINT} has them")
    if found not in (None, config) and any(
        os.path.lexists(folder / name) for name in (CHECKPOINT, HISTORY)
    ):
        raise Occupied(
            f"{folder}: holds a run with another {_first_difference(found, config)}; "
            "choose a new folder"
        )
    if found != config:
        write_text(settings, _settings_text(config))
    remove_leftovers(folder)


def _occupied(folder: Path) -> bool:
    """Return whether a folder has anything but what killed processes have left there."""
    try:
        return any(not path.name.endswith(".part") for path in folder.iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileError(f"{folder}: cannot be read ({reason(error)})") from None


def _told(path: Path) -> dict[str, Any]:
    """Return what a checkpoint has beside its arrays; nothing if it is missing or damaged."""
    try:
        return load_rest(path) or {}
    except Damaged:
        return {}


def episodes_in(folder: Path) -> int:
    """Return how many episodes a folder's checkpoint has; 0 if there is none, or a damaged one.

    Raises:
        FileError: it cannot be read.
    """
    path = folder / CHECKPOINT
    try:
        found = path.stat()
    except OSError:
        return 0
    return _count(path, (found.st_ino, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=4096)
def _count(path: Path, stamp: tuple[int, ...]) -> int:
    """Return the number of rows of a checkpoint; a bar asks again and again until it changes."""
    rows = _told(path).get("rows")
    return len(rows) if isinstance(rows, list) else 0


def save(folder: Path, trainer: Trainer, index: int) -> None:
    """Write the checkpoint and the history of one of a trainer's runs, unless the folder has more.

    Another process may be at work there, and further.
    """
    if episodes_in(folder) > len(trainer.rows[index]):
        return
    rest = {"config": trainer.configs[index].json_values(), "rows": trainer.rows[index]}
    save_checkpoint(folder / CHECKPOINT, trainer.state(index), rest)
    write_text(folder / HISTORY, _history(trainer, index))


def _history(trainer: Trainer, index: int) -> str:
    return trainer.run_so_far(index).history.to_csv(index=False, lineterminator="\n")


def take_up(folder: Path, trainer: Trainer, index: int) -> None:
    """Load a folder's checkpoint, if it has one, into one of a trainer's runs.

    A history that is not the checkpoint's is named, and written anew where that is possible.

    Raises:
        Damaged: the checkpoint is damaged, or does not belong to this run.
        FileError: it cannot be read.
    """
    path, config = folder / CHECKPOINT, trainer.configs[index]
    if not os.path.lexists(path):
        return
    arrays, rest = load_checkpoint(path)
    if not is_of(rest, config):
        raise Damaged(f"{path}: its settings are not those of {CONFIG} beside it")
    _check_rows(path, rest.get("rows"), config)
    try:
        trainer.load(index, arrays, rest["rows"])
    except (ValueError, KeyError, RuntimeError) as error:
        raise Damaged(f"{path}: {' '.join(str(error).split())}") from None
    if episodes_in(folder) == len(rest["rows"]):  # nobody has gone on meanwhile
        _mend_history(folder / HISTORY, _history(trainer, index))


def _check_rows(path: Path, rows: Any, config: TrainConfig) -> None:
    """Raise :class:`Damaged` unless these can be the rows of a run's first episodes."""
    if not isinstance(rows, list) or not 1 <= len(rows) <= config.episodes:
        raise Damaged(f"{path}: must have the rows of 1 to {config.episodes} episodes")
    for number, row in enumerate(rows):
        whole = isinstance(row, dict) and all(column in row for column in HISTORY_COLUMNS)
        if not whole or any(type(value) not in (int, float) for value in row.values()):
            raise Damaged(f"{path}: row {number} is not an episode's")
        if row["episode"] != number:
            raise Damaged(f"{path}: row {number} is of episode {row['episode']}")


def _mend_history(path: Path, text: str) -> None:
    try:
        found = read_bytes(path)
        if found == text.encode():
            return
        lags = "".join(text.splitlines(keepends=True)[:-1]).encode()  # stopped between two writes
        if found not in (None, lags):
            say(f"{path}: is not what {CHECKPOINT} has; written anew")
        write_text(path, text)
    except FileError as error:  # of a folder that is only read, or no file at all
        say(f"{error}; not used, {CHECKPOINT} has it all")


def load_run(folder: str | Path) -> Run:
    """Load a run's settings, policies and history; of a policy that was passed on, no history.

    Raises:
        ConfigError: no path.
        FileError: no run there, or a damaged one.
    """
    check_path("folder", folder)
    folder = Path(folder)
    if (config := _read_config(folder / CONFIG)) is None:
        raise Damaged(f"{folder}: holds no run ({CONFIG} is missing)")
    if os.path.lexists(folder / POLICY):
        return load_policy(folder, config)
    trainer = Trainer([config])
    if not os.path.lexists(folder / CHECKPOINT):
        raise Damaged(f"{folder}: holds no checkpoint yet")
    take_up(folder, trainer, 0)
    return trainer.run_so_far(0)


def publish(folder: Path, run: Run) -> None:
    """Write a run's settings and policies for :func:`load_run`, without what training needs.

    Raises:
        FileError: it cannot be written.
    """
    save_policy(folder, run)
    write_text(folder / CONFIG, _settings_text(run.config))


def _settings_text(config: TrainConfig) -> str:
    return json.dumps(config.json_values(), indent=2) + "\n"


def _read_config(path: Path) -> TrainConfig | None:
    """Return a run's settings; None if there are none."""
    if (text := read_text(path)) is None:
        return None
    try:
        return TrainConfig.from_dict(parse_json(path, text))
    except (Damaged, ConfigError, TypeError) as error:
        line = str(error).splitlines()[0].removeprefix(f"{path}: ")
        raise Damaged(f"{path}: not a run's settings ({line})") from None


def _first_difference(found: Settings, wanted: Settings) -> str:
    """Return the first field in which settings differ, and both its values, as text."""
    name = next(name for name, value in found if value != getattr(wanted, name))
    value, other = getattr(found, name), getattr(wanted, name)
    if isinstance(value, Settings):
        return f"{name}.{_first_difference(value, other)}"
    return f"{name}: {value!r}, not {other!r}"
