"""Notebooks with other parameters: papermill, with mistakes made errors."""

import ast
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dtlib.runtime import paths
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.files import marked, reason, write_text
from dtlib.runtime.messages import check_name, meant_instead, show

SUCH: dict[type, str] = {list: "[12, 18]", dict: "{'bandwidth_hz': 5e6}"}
"""What may be written where the default is empty."""
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError)
"""What reading a file or a text raises that is nothing of the kind."""


def find(name: str) -> Path:
    """Return a notebook of the project by name, with or without suffix, or any other by path."""
    given = Path(name)
    own = {path.stem: path for path in sorted(paths.notebooks().glob("*.ipynb"))}
    stem, ours = given.name.removesuffix(".ipynb"), False
    with suppress(OSError, ValueError):  # too long, or no name at all
        if given.suffix == ".ipynb" and given.is_file():
            return given
        places = map(os.path.realpath, (given.parent, paths.notebooks()))
        ours = stem in own and (given.parent == Path() or len({*places}) == 1)
    check_name("notebook", stem if ours else name, own)
    return own[stem]


def defaults(path: Path) -> dict[str, Any]:
    """Return the names and default values in the cell tagged ``parameters``.

    Raises:
        ConfigError: the notebook has no such cell, so that nothing could be set.
        FileError: it is no notebook, or the cell has something else than values.
    """
    tagged = _tagged(path)
    if not tagged:
        raise ConfigError(f"{path.name}: has no cell tagged 'parameters'")
    try:
        return {
            target.id: ast.literal_eval(line.value)
            for line in ast.parse(tagged[0]).body
            if isinstance(line, ast.Assign | ast.AnnAssign) and line.value
            for target in getattr(line, "targets", [getattr(line, "target", None)])
            if isinstance(target, ast.Name)
        }
    except (*UNREADABLE, SyntaxError) as error:
        line = f"cell tagged 'parameters' holds other than plain values ({_first_line(error)})"
        raise FileError(f"{path}: {line}") from None


def _tagged(path: Path) -> list[str]:
    """Return the code in a notebook's cells tagged ``parameters``."""
    try:
        import nbformat
    except ImportError:
        raise ConfigError("notebooks: need what `pip install dtlib[book]` installs") from None
    try:
        return [
            cell.source
            for cell in nbformat.read(path, as_version=4).cells
            if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
        ]
    except (*UNREADABLE, OSError, nbformat.ValidationError) as error:
        raise FileError(f"{path}: not a notebook ({_first_line(error)})") from None


def _first_line(error: BaseException) -> str:
    return show(str(error).strip().split("\n")[0] or type(error).__name__, str)


def parse(name: str, text: str, known: dict[str, Any]) -> Any:
    """Return a parameter's value from its text, of the type of the default it replaces, or None.

    Raises:
        ConfigError: unknown name, or a value of another type; one line.
    """
    if name not in known:
        hint = meant_instead(name, list(known))
        raise ConfigError(
            f"parameter {show(name)} is unknown: must be one of {', '.join(known)}{hint}"
        )
    default = known[name]
    try:
        value = ast.literal_eval(text)
    except (*UNREADABLE, SyntaxError):
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    if isinstance(default, str):
        return text
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(default) is int and type(value) is float and value.is_integer():
        value = int(value)  # 1e4 is a whole number, as it is for --set
    if default is not None and value is not None and type(value) is not type(default):
        kind = type(default)
        such = repr(default) if default else SUCH.get(kind, repr(default))
        raise ConfigError(
            f"parameter {name} = {show(text)}: must be of type {kind.__name__}, such as {such}"
        )
    return value


def execute(
    name: str, parameters: dict[str, Any], out: Path | str | None = None, progress: bool = True
) -> Path:
    """Execute a copy of a notebook with other parameters.

    Args:
        parameters: values, or texts of them, by name.
        out: where to; ``_build/executed/<name>.ipynb`` if absent, never the notebooks' own folder.
        progress: show papermill's bar on standard error.

    Returns:
        The executed copy.

    Raises:
        ConfigError: unknown notebook or parameter, or a value of another type.
        FileError: the copy cannot be written, or a cell failed; the copy then shows where.
    """
    path = find(name)
    known = defaults(path)
    values = {key: parse(key, str(value), known) for key, value in parameters.items()}
    target = _target(path, paths.executed() / path.name if out is None else Path(out))
    with marked(target.parent, target), _scratch(target) as folder:
        copy, said = Path(folder) / "copy.ipynb", ""
        try:
            said = _run(path, copy, values, progress=progress)
        finally:  # an interrupted copy shows how far it came
            if copy.exists() and (text := copy.read_text(encoding="utf-8")):
                write_text(target, text.replace(json.dumps(str(copy)), json.dumps(str(target))))
    if said:
        raise FileError(f"{target}: {said}")
    return target


def _scratch(target: Path) -> TemporaryDirectory[str]:
    """Return a folder among the system's temporary ones: a kill leaves nothing beside the copy."""
    try:
        return TemporaryDirectory(prefix="dtlib-")
    except OSError as error:
        raise FileError(f"{target}: cannot be executed ({reason(error)})") from None


def _target(path: Path, target: Path) -> Path:
    """Return the file that a copy is written to, never a notebook that somebody has written.

    Raises:
        FileError: it is the notebook itself, or in the notebooks' own folder.
    """
    try:
        if target.is_dir():
            target = target / path.name
        if paths.notebooks().resolve() in target.resolve().parents:
            raise FileError(f"{target}: is in the notebooks' own folder; choose another")
        if target.exists() and target.samefile(path):
            raise FileError(f"{target}: is the notebook itself; choose another file")
    except (OSError, RuntimeError) as error:
        raise FileError(f"{target}: cannot be written ({_first_line(error)})") from None
    return target


def _run(
    path: Path, copy: Path, values: dict[str, Any], *, progress: bool, again: bool = True
) -> str:
    """Execute a notebook into a copy; return what went wrong in it, in one line, or nothing."""
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    given, written = (
        str(file.resolve()).replace("{", "{{").replace("}", "}}") for file in (path, copy)
    )  # papermill fills in braces
    log = logging.getLogger("papermill")
    if not log.handlers:  # errors are told below, once
        log.addHandler(logging.NullHandler())
    try:
        papermill.execute_notebook(
            given, written, values, progress_bar=progress, kernel_name="python3",
            language="python", cwd=str(paths.root()), log_output=False,
            extra_arguments=["--IPKernelApp.log_level=50"],  # what it says as it is stopped
        )  # fmt: skip
    except PapermillExecutionError as error:
        line = f"cell {error.exec_count} failed with {error.ename}: {error.evalue}"
        return line.splitlines()[0]
    except (DeadKernelError, NoSuchKernel) as error:
        return f"the kernel died or is missing ({_first_line(error)})"
    except RuntimeError as error:  # it never answered: another kernel's start took a port of its
        if again:
            return _run(path, copy, values, progress=progress, again=False)
        return f"the kernel does not answer ({_first_line(error)})"
    except OSError as error:
        return f"cannot be executed ({error.strerror or _first_line(error)})"
    return ""
