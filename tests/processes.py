"""Processes that tests kill: forked from a server that has imported the library once.

A new interpreter would take seconds to import torch, each time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["dtlib.experiments.datasets"])


def start(function: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Begin a process that calls a function of a test's file."""
    process = _CONTEXT.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def kill_when(reached: Callable[[], bool], *processes: BaseProcess) -> bool:
    """Send SIGKILL to all once something is reached; return whether it found any at work."""
    end = time.monotonic() + 600
    while not reached() and any(process.is_alive() for process in processes):
        assert time.monotonic() < end
        time.sleep(0.01)
    for process in processes:
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        process.join()
    return any(process.exitcode == -signal.SIGKILL for process in processes)
