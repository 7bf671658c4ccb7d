"""Notebooks with other parameters: papermill, with mistakes made errors."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path
from typing import Any

from dtlib.runtime import paths
from dtlib.runtime.errors import ConfigError, FileError


def find(name: str) -> Path:
    """Return a notebook of the project by name, with or without suffix, or any other by path."""
    given = Path(name)
    if given.suffix == ".ipynb" and given.is_file():
        return given
    path = paths.notebooks() / f"{given.name.removesuffix('.ipynb')}.ipynb"
    if path.is_file():
        return path
    known = sorted(path.stem for path in paths.notebooks().glob("*.ipynb"))
    raise ConfigError(f"notebook = {name!r}: must be one of {', '.join(known)}")


def defaults(path: Path) -> dict[str, Any]:
    """Return the names and default values in the cell tagged ``parameters``.

    Raises:
        ConfigError: the notebook has no such cell, so that nothing could be set.
    """
    import nbformat

    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            return {
                target.id: ast.literal_eval(line.value)
                for line in ast.parse(cell.source).body
                if isinstance(line, ast.Assign)
                for target in line.targets
                if isinstance(target, ast.Name)
            }
    raise ConfigError(f"{path.name}: has no cell tagged 'parameters'")


def parse(name: str, text: str, known: dict[str, Any]) -> Any:
    """Return a parameter's value from its text, of the type of the default it replaces.

    Raises:
        ConfigError: unknown name, or a value of another type; one line.
    """
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"parameter {name!r} is unknown: must be one of {', '.join(known)}{hint}")
    default = known[name]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    if isinstance(default, str):
        return text
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if default is not None and value is not None and type(value) is not type(default):
        kind = type(default).__name__
        raise ConfigError(
            f"parameter {name} = {text!r}: must be of type {kind}, such as {default!r}"
        )
    return value


def execute(
    name: str, parameters: dict[str, str], out: Path | None = None, progress: bool = True
) -> Path:
    """Execute a copy of a notebook with other parameters.

    Args:
        name: of the notebook.
        parameters: values as text, by name.
        out: where to; ``_build/executed/<name>.ipynb`` if absent, never the notebooks' own folder.
        progress: show papermill's bar on standard error.

    Returns:
        The executed copy.

    Raises:
        ConfigError: unknown notebook or parameter, or a value of another type.
        FileError: the copy cannot be written, or a cell failed; the copy then shows where.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    path = find(name)
    known = defaults(path)
    values = {key: parse(key, text, known) for key, text in parameters.items()}
    target = paths.executed() / path.name if out is None else out
    if target.is_dir():
        target = target / path.name
    if target.resolve().parent == paths.notebooks().resolve():
        raise FileError(f"{target}: is in the notebooks' own folder; choose another")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({error.strerror})") from None
    try:
        papermill.execute_notebook(
            path, target, values, progress_bar=progress, kernel_name="python3", language="python",
            cwd=str(paths.root()), log_output=False,
        )  # fmt: skip
    except PapermillExecutionError as error:
        line = f"cell {error.exec_count} failed with {error.ename}: {error.evalue}"
        raise FileError(f"{target}: {line.splitlines()[0]}") from None
    return target
