"""Runs of an experiment in parallel: trained, measured and kept in the store, each only once."""

import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass

from dtlib.experiments import store
from dtlib.experiments.experiment import PlannedRun
from dtlib.experiments.keys import config_key
from dtlib.experiments.measurements import done, measure
from dtlib.experiments.places import Busy
from dtlib.experiments.progress import bar, cost
from dtlib.runtime import paths
from dtlib.runtime.cluster import on_cluster
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.files import marked, write_text
from dtlib.runtime.messages import check_count, show
from dtlib.runtime.reading import Damaged, read_text
from dtlib.runtime.workers import in_parallel
from dtlib.settings.train import TrainConfig
from dtlib.training.run_folder import CONFIG
from dtlib.training.side_by_side import alike

ERROR_FILE = "error.txt"
"""In a run's folder: why it stopped, if it failed."""


@dataclass(frozen=True)
class Effort:
    """How runs are worked off."""

    jobs: int = 2
    """Processes, each with one torch thread; a GPU is used by one process."""
    _: KW_ONLY
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

    Raises:
        ConfigError: runs failed, or the scheduler cannot be reached.
    """
    check_count("jobs", effort.jobs)
    missing = [planned for planned in runs if not done(planned)]
    if not missing:
        return
    cuda = resolve_device(effort.device).type == "cuda" and not effort.scheduler
    tasks = _side_by_side(missing) if cuda else _one_by_one(missing)
    busy, broken = tasks, list[tuple[Task, str]]()
    with bar(missing, effort.progress):
        for wait in (False, True):
            results = _worked_off(busy, effort, jobs=1 if cuda else effort.jobs, wait=wait)
            found = list(zip(busy, results, strict=True))
            broken += [(task, said) for task, said in found if said not in ("", "busy")]
            busy = [task for task, said in found if said == "busy"]
    if broken:
        lost, whole = _runs(task for task, _ in broken), _runs(tasks)
        raise ConfigError(f"{lost} of {whole} runs failed, the first with: {broken[0][1]}")


def _runs(tasks: Iterable[Task]) -> int:
    """Return how many runs tasks are of; several shares of one count once."""
    return sum(len({planned.config for batch in task for planned in batch}) for task in tasks)


def _worked_off(tasks: Sequence[Task], effort: Effort, *, jobs: int, wait: bool) -> list[str]:
    """Have tasks worked off by local processes, or by a cluster; return what :func:`_work` does."""
    place = paths.store().absolute()
    if not (effort.scheduler and tasks):
        work = ((task, effort.device, str(place), wait) for task in tasks)
        return list(in_parallel(_work, work, jobs))
    with marked(place, place) as mark:
        far = ((task, effort.device, str(mark), wait) for task in tasks)
        return on_cluster(_work_far, far, effort.scheduler)


def failed(planned: PlannedRun) -> str:
    """Return why a run failed when it was last tried; empty if it did not."""
    try:
        text = read_text(store.folder(planned.config) / ERROR_FILE) or ""
    except Damaged:
        return f"{ERROR_FILE} cannot be read"
    return show(text, str, length=500)


def _one_by_one(missing: Sequence[PlannedRun]) -> list[Task]:
    """Return a task for each run, the longest first, so that no process idles at the end.

    Where experiments take different shares of one run, the shorter comes first and is resumed.
    """
    tasks: dict[str, Task] = {}
    for planned in sorted(missing, key=lambda planned: planned.episodes):
        own = planned.key if planned.baseline else config_key(planned.config)
        tasks.setdefault(own, []).append([planned])
    return sorted(tasks.values(), key=lambda task: -max(cost(planned) for (planned,) in task))


def _side_by_side(missing: Sequence[PlannedRun]) -> list[Task]:
    """Return a task for each batch of runs that can train together, the shorter ones first."""
    tasks: list[Task] = []
    for episodes in sorted({planned.episodes for planned in missing}):
        equal = [planned for planned in missing if planned.episodes == episodes]
        learnt: dict[TrainConfig, list[PlannedRun]] = {}
        for planned in equal:
            if not planned.baseline:
                learnt.setdefault(planned.config, []).append(planned)
        for configs in alike(list(learnt)):
            for start in range(0, len(configs), TOGETHER):
                batch = configs[start : start + TOGETHER]
                tasks.append([[planned for config in batch for planned in learnt[config]]])
        tasks += [[[planned]] for planned in equal if planned.baseline]
    return tasks


def _work(task: Task, device: str, store_folder: str, wait: bool) -> str:
    """Finish a task in this process; return an error's line, ``busy``, or nothing."""
    os.environ["DTLIB_STORE"] = store_folder  # a cluster's worker has an environment of its own
    return next(filter(None, (_finish_batch(batch, device, wait) for batch in task)), "")


def _work_far(task: Task, device: str, mark: str, wait: bool) -> str:
    """Finish a task on a cluster's worker, if it sees the store in which the mark lies.

    Raises:
        FileError: it sees another.
    """
    store_folder = os.path.dirname(mark)
    try:
        os.utime(mark)  # a mark in use never grows old
    except OSError:
        raise FileError(
            f"{store_folder}: the worker on {platform.node()} cannot write to this store, or sees "
            "another one there; it must be a folder that all workers share"
        ) from None
    return _work(task, device=device, store_folder=store_folder, wait=wait)


def _finish_batch(batch: Sequence[PlannedRun], device: str, wait: bool) -> str:
    try:
        if batch[0].baseline:
            measure(batch[0])
            return ""
        configs = list(dict.fromkeys(planned.config for planned in batch))
        store.get_together(configs, episodes=batch[0].episodes, device=device, wait=wait)
        for planned in batch:
            with suppress(OSError):  # there is none, or it lies where nothing can be changed
                (store.folder(planned.config) / ERROR_FILE).unlink()
            measure(planned)
    except Busy:
        return "busy"
    except Exception as error:  # whatever it is, the other runs go on
        line = (str(error).splitlines() or [""])[0]
        text = f"{type(error).__name__}: {line}"
        for planned in batch:
            _note(planned, text)
        return text
    return ""


def _note(planned: PlannedRun, text: str) -> None:
    """Leave an error in a run's folder, if it is one already and can be written to."""
    folder = store.folder(planned.config)
    if not planned.baseline and os.path.isfile(folder / CONFIG):
        with suppress(FileError):
            write_text(folder / ERROR_FILE, text + "\n")
