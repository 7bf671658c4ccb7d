"""Runs of an experiment in parallel: trained, measured and kept in the store, each only once."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from dtlib import comparison, paths, store
from dtlib.config import ConfigError
from dtlib.devices import resolve_device
from dtlib.experiments import Planned
from dtlib.training import alike

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


def finish(runs: Sequence[Planned], streams: Sequence[str], effort: Effort = LOCALLY) -> None:
    """Train and measure what the store lacks.

    Runs that another process is at work on are left to it until all others are done. A run that
    fails leaves its error in its folder and does not stop the others.

    Args:
        runs: of any experiments.
        streams: of worlds to measure learners on; held-out ones are those that the run asks for.
        effort: where and how.

    Raises:
        ConfigError: runs failed, or the scheduler cannot be reached.
    """
    missing = [planned for planned in runs if not done(planned, streams)]
    cuda = resolve_device(effort.device).type == "cuda" and not effort.scheduler
    groups = _side_by_side(missing) if cuda else [[planned] for planned in missing]
    with _Bar(missing, effort.progress), _backend(effort) as jobs:
        busy, errors = groups, []
        for wait in (False, True):
            tasks = (
                delayed(_work)(group, tuple(streams), effort.device, str(paths.store()), wait)
                for group in busy
            )
            jobs_now = 1 if cuda else max(1, min(jobs, len(busy)))
            results = list(Parallel(n_jobs=jobs_now)(tasks))
            errors += [result for result in results if result not in ("", "busy")]
            busy = [one for one, result in zip(busy, results, strict=True) if result == "busy"]
    if errors:
        raise ConfigError(
            f"{len(errors)} of {len(groups)} runs failed, the first with: {errors[0]}"
        )


def done(planned: Planned, streams: Sequence[str]) -> bool:
    """Return whether the store has a run and its measurements."""
    if planned.baseline:
        return (paths.store() / "baselines" / f"{_baseline_key(planned)[:24]}.csv").is_file()
    return store.episodes_done(planned.config) >= planned.episodes and all(
        _measured(planned, stream) for stream in streams
    )


def _measured(planned: Planned, stream: str) -> bool:
    config, episodes = planned.config, planned.episodes
    if stream == "calibrated":
        return store.calibrated_file(config, episodes, planned.target).is_file()
    return store.evaluated(config, episodes, stream, _worlds(planned, stream))


def _measure(planned: Planned, stream: str) -> None:
    config, episodes = planned.config, planned.episodes
    if stream == "calibrated":
        store.calibrated(config, episodes, planned.target)
    else:
        store.evaluation(config, episodes, stream, _worlds(planned, stream))


def failed(planned: Planned) -> str:
    """Return why a run failed when it was last tried; empty if it did not."""
    try:
        return (store.folder(planned.config) / ERROR).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def baseline(planned: Planned) -> pd.DataFrame:
    """Return a baseline's only row: read if the store has it, measured otherwise."""

    def compute() -> pd.DataFrame:
        env = planned.config.env
        return pd.DataFrame([comparison.baseline(planned.baseline, env, planned.worlds)])

    return store.table("baselines", _baseline_key(planned), compute)


def _baseline_key(planned: Planned) -> str:
    what = [planned.baseline, store.env_key(planned.config.env), planned.worlds]
    return store.digest(what)


def _worlds(planned: Planned, stream: str) -> int | None:
    return planned.worlds if stream == "held-out" else None


def _side_by_side(missing: Sequence[Planned]) -> list[list[Planned]]:
    """Group runs that can train as one batch."""
    groups = []
    for share in {planned.episodes for planned in missing}:
        some = [planned for planned in missing if planned.episodes == share]
        learnt = {one.config: one for one in some if not one.baseline}
        groups += [[learnt[config] for config in batch] for batch in alike(list(learnt))]
        groups += [[planned] for planned in some if planned.baseline]
    return groups


def _work(
    group: Sequence[Planned], streams: Sequence[str], device: str, place: str, wait: bool
) -> str:
    """Finish a group in this process; return an error's line, ``busy``, or nothing."""
    os.environ["DTLIB_STORE"] = place  # a cluster's worker has an environment of its own
    if group[0].baseline:
        baseline(group[0])
        return ""
    try:
        configs = [planned.config for planned in group]
        store.get_together(configs, group[0].episodes, device, wait)
        for planned in group:
            (store.folder(planned.config) / ERROR).unlink(missing_ok=True)
            for stream in streams:
                _measure(planned, stream)
    except store.Busy:
        return "busy"
    except Exception as error:  # whatever it is, the other runs go on
        line = (str(error).splitlines() or [""])[0]
        text = f"{type(error).__name__}: {line}"
        for planned in group:
            if (folder := store.folder(planned.config)).is_dir():
                (folder / ERROR).write_text(text + "\n", encoding="utf-8")
        return text
    return ""


class _backend(AbstractContextManager):  # noqa: N801
    """Where tasks run: local processes, or the workers of a Dask scheduler; gives their number."""

    def __init__(self, effort: Effort) -> None:
        self.effort, self.client, self.inner = effort, None, nullcontext()

    def __enter__(self) -> int:
        if not self.effort.scheduler:
            return self.effort.jobs
        address = self.effort.scheduler
        try:
            from distributed import Client
        except ImportError:
            raise ConfigError(
                "scheduler: needs Dask, which `pip install dtlib[cluster]` installs"
            ) from None
        try:
            self.client = Client(address, timeout="10s")
        except (OSError, ValueError) as error:
            line = str(error).splitlines()[0]
            raise ConfigError(
                f"scheduler = {address!r}: no Dask scheduler answers there ({line})"
            ) from None
        self.inner = parallel_config(backend="dask", wait_for_workers_timeout=60)
        self.inner.__enter__()
        return max(1, sum(self.client.nthreads().values()))

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)
        if self.client is not None:
            self.client.close()


class _Bar:
    """A bar over the episodes of several runs, read off their histories while they grow."""

    def __init__(self, runs: Sequence[Planned], show: bool) -> None:
        self._runs = [planned for planned in runs if not planned.baseline]
        self._stop = threading.Event()
        self._bar = tqdm(
            total=sum(planned.episodes for planned in self._runs),
            initial=self._done(),
            unit="ep",
            desc=f"training {len(self._runs)} runs",
            disable=not (show and runs),
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _done(self) -> int:
        each = ((store.episodes_done(one.config), one.episodes) for one in self._runs)
        return sum(min(known, wanted) for known, wanted in each)

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
