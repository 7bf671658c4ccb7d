"""Places in the store: one process at a time works there, and what is damaged is set aside."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dtlib.runtime.errors import FileError
from dtlib.runtime.files import reason
from dtlib.runtime.reading import say


class Busy(Exception):
    """Another process is at work on one of these runs."""


@contextmanager
def locked(places: Sequence[Path], wait: bool = True) -> Iterator[None]:
    """Keep other processes from places while inside; a process that dies leaves no lock behind.

    Raises:
        Busy: another process is at work there, and ``wait`` is false.
        FileError: the store cannot be written to.
    """
    with ExitStack() as stack:
        for place in sorted(places):
            lock = FileLock(place.with_name(f"{place.name}.lock"), timeout=-1 if wait else 0)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock)
            except Timeout:
                raise Busy(str(place)) from None
            except OSError as error:
                raise FileError(f"{place}: cannot be written ({reason(error)})") from None
        yield


def set_aside(path: Path) -> None:
    """Rename what is damaged, while its place is locked.

    Raises:
        FileError: its folder cannot be written to.
    """
    number = 0
    while os.path.lexists(aside := path.with_name(f"{path.name}.damaged{number}")):
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        raise FileError(f"{path}: damaged, and cannot be set aside ({reason(error)})") from None
    say(f"{path}: damaged; kept as {aside.name}, computed anew")
