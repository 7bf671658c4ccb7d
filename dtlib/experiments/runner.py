"""Runs of an experiment in parallel: trained, measured and kept in the store, each only once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from dtlib.experiments import comparison, store
from dtlib.experiments.experiment import PlannedRun
from dtlib.runtime import paths
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.errors import ConfigError
from dtlib.settings.train import TrainConfig
from dtlib.training.calibration import BISECTIONS
from dtlib.training.evaluation import EVALUATION_FRAMES, WORLDS
from dtlib.training.side_by_side import alike

ERROR = "error.txt"
"""In a run's folder: why it stopped, if it failed."""


@dataclass(frozen=True)
class Effort:
    """How runs are worked off."""

    jobs: int = 2
    """Processes, each with one torch thread; a GPU is used by one process."""
    device: str = "auto"
    """``auto``, ``cpu``, or ``cuda``, where runs that fit together train side by side."""
    scheduler: str = ""
    """Address of a Dask scheduler whose workers do the work, instead of local processes."""
    progress: bool = False
    """Show a bar over episodes, with the time left, on standard error."""


LOCALLY = Effort()
"""Two local processes."""
TOGETHER = 32
"""Runs in one batch on a GPU at most: its memory holds the data of all."""
Task = list[list[PlannedRun]]
"""Batches that one process finishes one after another; the runs of a batch train together."""


def finish(runs: Sequence[PlannedRun], effort: Effort = LOCALLY) -> None:
    """Train and measure what the store lacks, the longest runs first.

    Runs that another process is at work on are left to it until all others are done. A run that
    fails leaves its error in its folder and does not stop the others.

    Args:
        runs: of any experiments.
        effort: where and how.

    Raises:
        ConfigError: runs failed, or the scheduler cannot be reached.
    """
    missing = [planned for planned in runs if not done(planned)]
    if not missing:
        return
    cuda = resolve_device(effort.device).type == "cuda" and not effort.scheduler
    tasks = _side_by_side(missing) if cuda else _one_by_one(missing)
    with _Bar(missing, effort.progress), _backend(effort) as jobs:
        busy, errors = tasks, []
        for wait in (False, True):
            work = (delayed(_work)(task, effort.device, str(paths.store()), wait) for task in busy)
            jobs_now = 1 if cuda else max(1, min(jobs, len(busy)))
            results = list(Parallel(n_jobs=jobs_now, batch_size=1)(work))
            errors += [result for result in results if result not in ("", "busy")]
            busy = [one for one, result in zip(busy, results, strict=True) if result == "busy"]
    if errors:
        raise ConfigError(f"{len(errors)} of {len(tasks)} runs failed, the first with: {errors[0]}")


def done(planned: PlannedRun) -> bool:
    """Return whether the store has a run and its measurements."""
    if planned.baseline:
        return (paths.store() / "baselines" / f"{_baseline_key(planned)[:24]}.csv").is_file()
    return store.episodes_done(planned.config) >= planned.episodes and all(
        _measured(planned, stream) for stream in planned.streams
    )


def _measured(planned: PlannedRun, stream: str) -> bool:
    config, episodes = planned.config, planned.episodes
    if planned.target and stream == "calibrated":
        return store.calibrated_file(config, episodes, planned.target).is_file()
    return store.evaluated(config, episodes, stream, _worlds(planned, stream))


def _measure(planned: PlannedRun, stream: str) -> None:
    config, episodes = planned.config, planned.episodes
    if planned.target and stream == "calibrated":
        store.calibrated(config, episodes, planned.target)
    else:
        store.evaluation(config, episodes, stream, _worlds(planned, stream))


def failed(planned: PlannedRun) -> str:
    """Return why a run failed when it was last tried; empty if it did not."""
    try:
        return (store.folder(planned.config) / ERROR).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def baseline(planned: PlannedRun) -> pd.DataFrame:
    """Return a baseline's only row: read if the store has it, measured otherwise."""

    def compute() -> pd.DataFrame:
        env = planned.config.env
        return pd.DataFrame([comparison.baseline(planned.baseline, env, planned.worlds)])

    return store.table("baselines", _baseline_key(planned), compute)


def _baseline_key(planned: PlannedRun) -> str:
    what = [planned.baseline, store.env_key(planned.config.env), planned.worlds]
    return store.digest(what)


def _worlds(planned: PlannedRun, stream: str) -> int | None:
    return planned.worlds if stream == "held-out" else None


def _one_by_one(missing: Sequence[PlannedRun]) -> list[Task]:
    """Return a task for each run, the longest first, so that no process idles at the end.

    Where experiments take different shares of one run, the shorter comes first and is resumed.
    """
    tasks: dict[str, Task] = {}
    for planned in sorted(missing, key=lambda one: one.episodes):
        own = planned.key if planned.baseline else store.key(planned.config)
        tasks.setdefault(own, []).append([planned])
    return sorted(tasks.values(), key=lambda task: -max(cost(one) for (one,) in task))


def _side_by_side(missing: Sequence[PlannedRun]) -> list[Task]:
    """Return a task for each batch of runs that can train together, the shorter ones first."""
    tasks = []
    for share in sorted({planned.episodes for planned in missing}):
        some = [planned for planned in missing if planned.episodes == share]
        learnt: dict[TrainConfig, list[PlannedRun]] = {}
        for one in some:
            if not one.baseline:
                learnt.setdefault(one.config, []).append(one)
        for batch in alike(list(learnt)):
            parts = [batch[start : start + TOGETHER] for start in range(0, len(batch), TOGETHER)]
            tasks += [[[one for config in part for one in learnt[config]]] for part in parts]
        tasks += [[[planned]] for planned in some if planned.baseline]
    return tasks


def cost(planned: PlannedRun) -> float:
    """Return roughly how long a run takes, in passes of one epoch over one slot of one user."""
    return sum(_costs(planned))


def _costs(planned: PlannedRun) -> tuple[float, float]:
    """Return the costs of training and of measuring.

    To act in a world and to simulate it takes about two passes; MADDPG trains as long as 30 epochs.
    """
    env, config = planned.config.env, planned.config
    worlds = {
        "held-out": planned.worlds,
        "tuning": WORLDS["tuning"],
        "calibrated": WORLDS["held-out"] + BISECTIONS * WORLDS["tuning"],
    }
    streams = ("held-out",) if planned.baseline else planned.streams
    frames = EVALUATION_FRAMES * sum(worlds[stream] for stream in streams)
    passes = 30 if config.algorithm == "maddpg" else config.epochs
    training = passes * planned.episodes * config.worlds * env.frames  # 0 episodes of a baseline
    a_frame = env.frame_slots * env.num_users
    return training * a_frame, 2 * frames * a_frame


def _work(task: Task, device: str, place: str, wait: bool) -> str:
    """Finish a task in this process; return an error's line, ``busy``, or nothing."""
    os.environ["DTLIB_STORE"] = place  # a cluster's worker has an environment of its own
    for batch in task:
        if said := _finish_batch(batch, device, wait):
            return said
    return ""


def _finish_batch(batch: Sequence[PlannedRun], device: str, wait: bool) -> str:
    if batch[0].baseline:
        baseline(batch[0])
        return ""
    try:
        configs = list(dict.fromkeys(planned.config for planned in batch))
        store.get_together(configs, batch[0].episodes, device, wait)
        for planned in batch:
            (store.folder(planned.config) / ERROR).unlink(missing_ok=True)
            for stream in planned.streams:
                _measure(planned, stream)
    except store.Busy:
        return "busy"
    except Exception as error:  # whatever it is, the other runs go on
        line = (str(error).splitlines() or [""])[0]
        text = f"{type(error).__name__}: {line}"
        for planned in batch:
            if (folder := store.folder(planned.config)).is_dir():
                (folder / ERROR).write_text(text + "\n", encoding="utf-8")
        return text
    return ""


@contextmanager
def _backend(effort: Effort) -> Iterator[int]:
    """Where tasks run: local processes, or the workers of a Dask scheduler; gives their number."""
    if not effort.scheduler:
        yield effort.jobs
        return
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "scheduler: needs Dask, which `pip install dtlib[cluster]` installs"
        ) from None
    try:
        client = Client(effort.scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise ConfigError(
            f"scheduler = {effort.scheduler!r}: no Dask scheduler answers there ({line})"
        ) from None
    with closing(client), parallel_config(backend="dask", wait_for_workers_timeout=60):
        yield max(1, sum(client.nthreads().values()))


class _Bar:
    """A bar over several runs by what they cost, read off their histories while they grow."""

    def __init__(self, runs: Sequence[PlannedRun], show: bool) -> None:
        self._open, self._stop = list(runs), threading.Event()
        self._total = sum(cost(planned) for planned in runs)
        self._bar = tqdm(
            total=100,
            initial=self._done(),
            smoothing=0,
            desc=f"{len(runs)} runs",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            disable=not (show and runs),
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _done(self) -> float:
        """Return how much is done, in percent; what is finished is not looked at again."""
        self._open = [one for one in self._open if not done(one)]
        return 100 * (1 - sum(_left(one) for one in self._open) / (self._total or 1))

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self._bar.update(self._done() - self._bar.n)

    def __enter__(self) -> None:
        if not self._bar.disable:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if not self._bar.disable:
            self._thread.join()
            self._bar.update(self._done() - self._bar.n)
        self._bar.close()


def _left(planned: PlannedRun) -> float:
    """Return how much of an unfinished run's cost is still to be paid."""
    training, measuring = _costs(planned)
    if planned.baseline:
        return measuring
    known = store.episodes_done(planned.config) / planned.episodes
    return training * max(1 - known, 0.0) + measuring
