"""Files that are read only if they are what they should be."""

import hashlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

from dtlib.runtime.errors import FileError
from dtlib.runtime.files import reason
from dtlib.runtime.messages import show


class Damaged(FileError):
    """A file or folder that is not what it should be: altered, cut, foreign.

    Unlike one that cannot be read or written, it may be set aside and made anew.
    """


def say(line: str) -> None:
    """Print a line on standard error."""
    print(f"dtlib: {line}", file=sys.stderr)


def _at_once(name: str, flags: int) -> int:
    """Open a file; a pipe is not waited for."""
    return os.open(name, flags | os.O_NONBLOCK)


def read_bytes(path: Path, most: int = -1) -> bytes | None:
    """Return a file's bytes, all or the first ones; None if there is none.

    Raises:
        Damaged: a folder, a pipe or a device lies there.
        FileError: it cannot be read.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(most)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        pass
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({reason(error)})") from None
    except ValueError as error:
        raise FileError(f"{show(str(path))}: is no name of a file ({error})") from None
    raise Damaged(f"{path}: is no regular file")


def read_text(path: Path) -> str | None:
    """Return a file's text; None if there is none.

    Raises:
        Damaged: it is not UTF-8.
        FileError: it cannot be read.
    """
    content = read_bytes(path)
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        raise Damaged(f"{path}: is not UTF-8") from None


def parse_json(path: Path, text: str | bytes) -> dict[str, Any]:
    """Return the object that JSON holds.

    Raises:
        Damaged: it is no JSON, is nested too deep, or holds no object.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise Damaged(f"{path}: is no JSON ({why})") from None
    if not isinstance(found, dict):
        raise Damaged(f"{path}: holds a {type(found).__name__} where an object should be")
    return found


def sha256(text: str) -> str:
    """Return a text's checksum."""
    return hashlib.sha256(text.encode()).hexdigest()
