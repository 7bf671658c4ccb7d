"""Where torch computes, with how many threads, and how long it takes."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dtlib.runtime.errors import ConfigError
from dtlib.runtime.messages import check_count, show

MOST_THREADS = 64
"""Of torch, where there are fewer cores."""


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device of that name; ``auto`` is a GPU if torch finds one, else the CPU.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(name))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise ConfigError(
            f"device = {show(name)}: must be auto, cpu or cuda, a GPU that torch finds"
        ) from None
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise ConfigError(f"device = {show(str(name))}: must be auto, cpu or cuda")
    return device


def clock(device: torch.device) -> float:
    """Return the time in s, once everything asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def timed(seconds: dict[str, float], name: str, device: torch.device) -> Iterator[None]:
    """Add the time that the block takes, in s, to the entry ``name`` of ``seconds``."""
    begin = clock(device)
    yield
    seconds[name] = seconds.get(name, 0.0) + clock(device) - begin


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Use this many torch threads inside the block.

    Raises:
        ConfigError: none, or more than a machine can be asked for.
    """
    check_count("threads", count, most=max(MOST_THREADS, cores()))
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
