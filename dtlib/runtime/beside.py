"""Work that another core can do meanwhile, with the same result."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from operator import call
from typing import Any

import torch

from dtlib.runtime.devices import torch_threads


@contextmanager
def beside() -> Iterator[Callable[..., None]]:
    """Give a function that has calls made by another thread, in their order, until the block ends.

    Where torch may use one thread only, it makes them at once. Otherwise either thread has one: two
    halves of a core's work wait for each other less than every operation's two halves would.
    """
    if torch.get_num_threads() < 2:
        yield call
        return
    calls: list[Future[Any]] = []
    with torch_threads(1), ThreadPoolExecutor(1, "beside", torch.set_num_threads, (1,)) as thread:
        yield lambda f, *made: calls.append(thread.submit(copy_context().run, f, *made))
        for made in calls:
            made.result()
