"""Local processes that work for this one, and end with it."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from tempfile import gettempdir
from typing import Any

from joblib import Parallel, delayed

from dtlib.runtime.errors import ConfigError

PARENT_LOOK_S = 0.5
"""How often a worker looks whether its parent is still there."""
HUSHED = "ignore:resource_tracker"
REPLACED = "A worker stopped while some jobs"
"""How joblib tells that it has replaced a worker whose memory had grown: nothing is lost."""


def in_parallel(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], jobs: int
) -> Iterator[Any]:
    """Yield what a function makes of each task, in their order, made by several processes.

    There are no more of them than tasks. With one, all is done in this process.

    Raises:
        ConfigError: a process was killed from outside.
    """
    _hush()
    tasks = list(tasks)
    jobs = max(1, min(jobs, len(tasks)))
    watched = {"initializer": end_with, "initargs": (os.getpid(),)} if jobs > 1 else {}
    work = Parallel(
        n_jobs=jobs, batch_size=1, return_as="generator", temp_folder=gettempdir(), **watched
    )  # no folder for large arrays is made unless there are any
    try:
        yield from work(delayed(function)(*task) for task in tasks)
    except BrokenProcessPool:
        raise ConfigError(
            f"jobs = {jobs}: a process was killed from outside, perhaps for want of memory; "
            "what is finished is kept: run the same command again, or with fewer jobs"
        ) from None


def _hush() -> None:
    """Keep joblib from telling what no reader can act on, and Python's helpers, after a kill, from
    telling of semaphores that they clean up."""
    warnings.filterwarnings("ignore", REPLACED, UserWarning)
    known = os.environ.get("PYTHONWARNINGS", "")
    if HUSHED not in known:
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (known, HUSHED)))


def end_with(parent: int) -> None:
    """Have this process end as soon as its parent has, whatever it is doing.

    Ctrl-C, which goes to all, is the parent's to answer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
