"""Where things lie; the one module that knows."""

import os
from contextlib import suppress
from pathlib import Path


def root() -> Path:
    """Return the project's folder: ``DTLIB_HOME``, else the checkout this package lies in."""
    home = os.environ.get("DTLIB_HOME")
    return Path(home) if home else Path(__file__).resolve().parents[2]


def results() -> Path:
    """Return the folder of the committed data of the figures."""
    return root() / "results"


def store() -> Path:
    """Return the folder of single runs: ``DTLIB_STORE``, else ``runs`` in the project."""
    place = os.environ.get("DTLIB_STORE")
    return Path(place) if place else root() / "runs"


def notebooks() -> Path:
    """Return the folder of the notebooks."""
    return root() / "notebooks"


def executed() -> Path:
    """Return the folder of executed copies of notebooks."""
    return root() / "_build" / "executed"


def pictures() -> Path:
    """Return the folder of the pictures that README and book show."""
    return root() / "book" / "_static" / "figures"


def settle() -> None:
    """Make given places absolute: notebooks and benchmarks run in other folders."""
    for name in ("DTLIB_HOME", "DTLIB_STORE"):
        with suppress(KeyError, OSError):  # not set, or the working folder is gone
            os.environ[name] = os.environ[name] and os.path.abspath(os.environ[name])


def relative(path: Path) -> str:
    """Return a path as a reader would type it: relative to the working folder if it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError, RuntimeError):  # elsewhere; no working folder; links in a circle
        return str(path)
