"""Single runs by content: a run's folder is named by the sha256 of its settings."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text
from dtlib.settings.base import RESULTS_VERSION
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig
from dtlib.training.calibration import Target, evaluate_calibrated
from dtlib.training.evaluation import WORLDS, Evaluation, evaluate
from dtlib.training.loop import Run
from dtlib.training.run_folder import CHECKPOINT, HISTORY, load_run
from dtlib.training.train import train_together

ORIGIN = "origin.json"
"""In a run's folder: what trained it."""
PACKAGES = ("dtlib", "torch", "numpy", "scipy", "pydantic", "safetensors")


def key(config: TrainConfig) -> str:
    """Return the sha256 of a run's settings and of the version of the code's results."""
    text = f"{RESULTS_VERSION}\n{config.canonical_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def env_key(env: EnvConfig) -> str:
    """Return the sha256 of a network's settings and of the version of the code's results."""
    return digest([RESULTS_VERSION, env.canonical_json()])


def digest(what: Any) -> str:
    """Return the sha256 of anything that JSON holds."""
    return hashlib.sha256(canonical(what).encode()).hexdigest()


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


def _place(config: TrainConfig, episodes: int | None) -> Path:
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
        places = [_place(config, episodes) for config in configs]
        before = [_stamp(place) for place in places]
        try:
            runs = train_together(configs, places, episodes=episodes, device=device)
        except FileError:
            damaged = [place for place in places if (place / CHECKPOINT).exists() and _bad(place)]
            if not damaged:
                raise
            for place in damaged:
                _set_aside(place)
            runs = train_together(configs, places, episodes=episodes, device=device)
        for place, stamp in zip(places, before, strict=True):
            if _stamp(place) != stamp and not (place / ORIGIN).exists():  # not what was only read
                write_text(place / ORIGIN, json.dumps(origin(), indent=1) + "\n")
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
    names = _evaluation_files(config, episodes, stream, worlds)
    found = [read_table(name) for name in names]
    if any(table is None for table in found):
        run = get(config, episodes)
        result = evaluate(run, worlds=worlds or WORLDS[stream], stream=stream)
        found = [result.worlds, result.users]
        for name, table in zip(names, found, strict=True):
            write_table(name, table)
    return Evaluation(*found)


def evaluated(config: TrainConfig, episodes: int, stream: str, worlds: int | None = None) -> bool:
    """Return whether the store has an :func:`evaluation`."""
    return all(one.is_file() for one in _evaluation_files(config, episodes, stream, worlds))


def _evaluation_files(
    config: TrainConfig, episodes: int | None, stream: str, worlds: int | None
) -> list[Path]:
    count = worlds or WORLDS[stream]
    episodes = config.episodes if episodes is None else episodes
    stem = f"{episodes}-{stream}" + f"-{count}" * (count != WORLDS[stream])
    return [folder(config) / f"{stem}-{kind}.csv" for kind in ("worlds", "users")]


def calibrated(config: TrainConfig, episodes: int, target: Target) -> pd.DataFrame:
    """Return a finished run's only row at its operating point: the bar, results on held-out worlds.

    Args:
        config: the run's settings; its MUs choose silence.
        episodes: how many of its episodes.
        target: what the operating point has to hold.
    """
    place = calibrated_file(config, episodes, target)
    if (found := read_table(place)) is None:
        bar, result = evaluate_calibrated(get(config, episodes), target)
        found = pd.DataFrame([{"bar": bar} | result.summary()])
        write_table(place, found)
    return found


def calibrated_file(config: TrainConfig, episodes: int, target: Target) -> Path:
    """Return where a run's calibrated results are kept."""
    return folder(config) / f"{episodes}-calibrated-{target}.csv"


def table(kind: str, key: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return a table that the store has under this kind and key, or compute and keep it."""
    place = paths.store() / kind / f"{key[:24]}.csv"
    with locked([place]):
        if (found := read_table(place)) is None:
            write_table(place, compute())
            found = read_table(place)
    return found


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table with its checksum in the last line."""
    text = table.to_csv(index=False, lineterminator="\n")
    write_text(path, f"{text}# sha256 {hashlib.sha256(text.encode()).hexdigest()}\n")


def read_table(path: Path) -> pd.DataFrame | None:
    """Return what :func:`write_table` wrote; a file that is damaged is named and set aside."""
    try:
        text, _, seal = path.read_text(encoding="utf-8").rpartition("# sha256 ")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        text, seal = "", "unreadable"
    if hashlib.sha256(text.encode()).hexdigest() != seal.strip():
        _set_aside(path)
        return None
    return pd.read_csv(io.StringIO(text))


def _stamp(place: Path) -> int:
    """Return when a run was last at work; 0 if it has not been."""
    try:
        return (place / CHECKPOINT).stat().st_mtime_ns
    except OSError:
        return 0


def _bad(place: Path) -> bool:
    try:
        load_run(place)
    except FileError:
        return True
    return False


def _set_aside(place: Path) -> None:
    number = 0
    while (aside := place.with_name(f"{place.name}.damaged{number}")).exists():
        number += 1
    place.rename(aside)
    print(f"dtlib: {place}: damaged; kept as {aside.name}, computed anew", file=sys.stderr)


def origin() -> dict[str, Any]:
    """Return what a single run's entry says of where it was trained."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    processor = found[1] if found else platform.machine()
    return {"commit": _commit(), "torch": version("torch"), "processor": processor}


def made_by(config: TrainConfig) -> dict[str, Any]:
    """Return the :func:`origin` of a run in the store; empty if it is not known."""
    try:
        return json.loads((folder(config) / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def provenance() -> dict[str, Any]:
    """Return what a manifest says of the software; no host names, no paths."""
    return {
        "results_version": RESULTS_VERSION,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Return the checkout's commit, marked if the library differs from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + "-dirty" * bool(_git("status", "--porcelain", "--", "dtlib"))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(paths.root()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def canonical(values: Any) -> str:
    """Return JSON with sorted keys and no spaces."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
