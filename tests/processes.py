"""Processes that tests start: forked from a server that has imported the libraries once.

A new interpreter would take seconds to import torch, each time. Modules of dtlib are not among
what is loaded: notebooks are to find them as a reader's kernel does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["dtlib", "torch", "joblib", "seaborn", "ipykernel.kernelapp"])


def start(function: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Begin a process that calls a function of a test's file."""
    process = CONTEXT.Process(target=function, args=arguments, daemon=True)
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
