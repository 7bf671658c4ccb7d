"""Workers of a Dask scheduler that work for this process."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import Any

from dtlib.runtime.errors import ConfigError
from dtlib.runtime.messages import show

CONNECT_S = 10
"""How long a scheduler may take to answer."""
PATIENCE_S = 60.0
"""How long a scheduler may be without any worker."""
SCHEDULER_LOOK_S = 0.2


def on_cluster(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], address: str
) -> list[Any]:
    """Return what a cluster's workers make of each task, in their order.

    A task whose worker is lost goes to another one; whatever the function raises ends all.

    Raises:
        ConfigError: no scheduler answers, it is lost, has no workers for a minute, or its workers
            cannot do the work.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "scheduler: needs Dask, which `pip install -e '.[cluster]'` installs in a checkout"
        ) from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it is told below, once
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError, TypeError) as error:  # or no transport of that name
        raise _told(address, f"no Dask scheduler answers there ({_line(error)})") from None
    with closing(client):
        futures = [client.submit(function, *task, pure=False) for task in tasks]
        seen = time.monotonic()
        while any(future.status == "pending" for future in futures):
            if _has_workers(client):
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE_S:
                line = f"has had no workers for {PATIENCE_S:g} s; {_KEPT}, once there are some"
                raise _told(address, line)
            if any(future.status == "error" for future in futures):
                break
            time.sleep(SCHEDULER_LOOK_S)
        for future in futures:
            if future.status in ("cancelled", "lost"):
                raise _told(address, f"the scheduler is lost; {_KEPT}, once there is one")
            if future.status == "error":
                raise _told(address, f"a worker failed with {_line(future.exception())}")
        return [future.result() for future in futures]


_KEPT = "what is finished is kept: run the same command again"


def _has_workers(client: Any) -> bool:
    with suppress(OSError):  # the scheduler is being lost, which futures tell
        return bool(client.nthreads())
    return True


def _line(error: BaseException | None) -> str:
    first = (str(error).splitlines() or [""])[0]
    return show(f"{type(error).__name__}: {first}", str, 500)


def _told(address: str, line: str) -> ConfigError:
    return ConfigError(f"scheduler = {show(address)}: {line}")
