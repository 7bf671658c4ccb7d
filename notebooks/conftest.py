"""What nbval sees when it runs a notebook is what the book shows, so that each is run only once.

`make book` runs nbval over this folder and then builds the book. In between, the outputs lie in the
cache of jupyter-cache, where MyST-NB looks for them by the code of a notebook.
"""

from __future__ import annotations

from pathlib import Path

import forked_kernels
import jupyter_client.launcher
import nbval.kernel
import pytest
from filelock import FileLock
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbval.plugin import IPyNbCell, IPyNbFile

CACHE = Path(__file__).resolve().parents[1] / "_build" / ".jupyter_cache"


def started_again(startup_timeout=60, *, start=nbval.kernel.start_new_kernel, **options):
    """Start a kernel; if it never answers, another.

    A kernel is told ports that were free a moment before. When one has been taken since, by a
    kernel that starts beside it, it lives and says nothing.
    """
    try:
        return start(startup_timeout=30, **options)
    except RuntimeError:
        return start(startup_timeout=startup_timeout, **options)


nbval.kernel.start_new_kernel = started_again
jupyter_client.launcher.Popen = forked_kernels.launch


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Write a cell's outputs into the notebook that nbval holds, once the cell has passed."""
    result = yield
    if isinstance(item, IPyNbCell):
        item.cell.outputs = item.test_outputs or []
        item.cell.execution_count = item.cell_num + 1
    return result


def pytest_runtest_teardown(item, nextitem):
    """After a notebook's last cell, keep the notebook."""
    if isinstance(item, IPyNbCell) and (nextitem is None or nextitem.parent is not item.parent):
        keep(item.parent)


def keep(file: IPyNbFile) -> None:
    """Put a notebook in the cache, if every cell has passed."""
    code = [cell for cell in file.nb.cells if cell.cell_type == "code"]
    if not all(cell.execution_count for cell in code):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):  # notebooks are run by several processes
        get_cache(CACHE).cache_notebook_bundle(CacheBundleIn(file.nb, file.path), overwrite=True)
