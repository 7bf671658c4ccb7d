"""Files that are written whole or not at all."""

import hashlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dtlib.runtime.errors import FileError

DAY_S = 86400
"""After so long nobody is still writing, whatever became of another machine's process."""
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_PART = re.compile(r"\.dtlib-(?P<host>[0-9a-f]{8})-(?P<process>\d{1,9})-[0-9a-f]{16}\.part")


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Call ``write`` with a new neighbour, flush it to the disk and rename it over ``path``.

    No link lies in wait at the neighbour's name.

    Raises:
        FileError: it cannot be written; what was there stays.
    """
    with marked(path.parent, path) as aside:
        try:
            if path.exists() and not (path.is_file() or path.is_dir()):  # a device, a pipe
                raise FileError(f"{path}: cannot be written (is no regular file)")
            mode = stat.S_IMODE(aside.stat().st_mode)  # what the umask allows
            write(aside)
            aside.chmod(mode)
            _flush(aside)
            os.replace(aside, path)
        except OSError as error:
            raise _refused(path, error) from None
    with suppress(OSError):  # a file system that cannot
        _flush(path.parent)


@contextmanager
def marked(folder: Path, path: Path) -> Iterator[Path]:
    """Give an empty file in a folder, with a name that nobody can foresee; it is gone afterwards.

    The folder is made if it is missing.

    Raises:
        FileError: there can be none; names the path that the file is for.
    """
    aside = folder / f".dtlib-{_HOST}-{os.getpid()}-{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except OSError as error:
        raise _refused(path, error) from None
    try:
        yield aside
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _refused(path: Path, error: OSError) -> FileError:
    return FileError(f"{path}: cannot be written ({reason(error)})")


def _flush(path: Path) -> None:
    """Have a file's bytes and mode, or a folder's names, on the disk."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder."""
    for path in folder.glob(".dtlib-*.part"):
        if not (named := _PART.fullmatch(path.name)):
            continue
        with suppress(OSError):  # another process was faster, or nothing can be removed here
            gone = named["host"] == _HOST and not _alive(int(named["process"]))
            if gone or time.time() - path.lstat().st_mtime > DAY_S:
                path.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, lambda aside: aside.write_bytes(text.encode()))


def reason(error: OSError) -> str:
    """Return why the operating system refused."""
    return error.strerror or str(error)
