"""Whether arrays fit into memory: asked before anything is allocated."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from dtlib.runtime.errors import ConfigError
from dtlib.runtime.messages import show

GIB = 2**30
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Of a container, by version of control groups."""


def present(device: torch.device | str) -> float:
    """Return how many bytes of memory a device has; swap and a container's limit count."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        known = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
        size = float(known["MemTotal"] + known["SwapTotal"])
    except (OSError, KeyError, ValueError, IndexError):
        size = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in _LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            size = min(size, float(Path(limit).read_text()))
    return size


def check_fits(
    what: str,
    size: float,
    grown: Mapping[str, tuple[Any, Any]],
    device: torch.device | str = "cpu",
) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` if arrays are larger than all memory.

    Args:
        what: they are of.
        size: bytes, at least.
        grown: values that the size grows with, and what is usual for them, by field; the one that
            is furthest beyond is named.
        device: where the arrays would be.
    """
    if size <= (there := present(device)):
        return
    field = max(grown, key=lambda name: _largest(grown[name][0]) / _largest(grown[name][1]))
    raise ConfigError(
        f"{field} = {show(grown[field][0])}: {what} would take about {size / GIB:,.0f} GiB of "
        f"memory, there are {there / GIB:,.0f} GiB"
    )


def _largest(value: Any) -> float:
    return max(1, *value) if isinstance(value, tuple) else max(1, value)


WORLD = ("frames", "frame_slots", "num_users", "num_bs")
"""Settings of a network that the size of its worlds grows with."""


def bytes_of_world(network: BaseModel) -> int:
    """Return the size of an episode's arrays: per user and slot 37 bytes, and 8 per station.

    Of each wire, from station to station, a simulation has 4 bytes per slot.
    """
    frames, slots, users, stations = (getattr(network, name) for name in WORLD)
    return frames * slots * (users * (37 + 8 * stations) + 4 * stations**2)


def check_world(network: BaseModel, replicas: int) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` if worlds do not fit; two copies exist."""
    usual = type(network).model_fields
    grown = {name: (getattr(network, name), usual[name].default) for name in WORLD}
    size = 2 * replicas * bytes_of_world(network)
    check_fits("worlds", size, grown | {"replicas": (replicas, 1)})


@contextmanager
def memory_told() -> Iterator[None]:
    """Say in one line that memory ran out inside the block.

    Raises:
        ConfigError: it did.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        line = (str(error).splitlines() or ["no more"])[0]
        told = ("can't allocate memory", "not enough memory", "out of memory")
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in told):
            raise
        raise ConfigError(
            f"memory ran out: choose fewer users, slots or worlds, or smaller networks "
            f"({show(line, str, 120)})"
        ) from None
