"""One line for what a user got wrong: the field, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from dtlib.runtime.errors import ConfigError


def explain(error: ValidationError, fields: Iterable[str]) -> str:
    """Return one line for the first problem of a pydantic ``ValidationError``.

    Args:
        error: what pydantic raised.
        fields: the names that are allowed, to say so when one is unknown.
    """
    problems = error.errors()
    first = problems[0]
    field = ".".join(show(part, str) for part in first["loc"])
    rule = first["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    if first["type"] == "value_error":  # our own line, already with a field's name and value
        line = (field + "." if field else "") + rule
    else:
        if first["type"] == "extra_forbidden":
            close = get_close_matches(str(first["loc"][-1]), fields, n=1)
            known = f"did you mean {close[0]}?" if close else f"known are {', '.join(fields)}"
            rule = f"unknown field; {known}"
        line = f"{field or 'settings'} = {show(first['input'])}: {rule}"
    more = len(problems) - 1
    return line + (f" (and {more} more)" if more else "")


def show(value: Any, text: Callable[[Any], str] = repr, length: int = 80) -> str:
    """Return a value as text on one line, cut if long."""
    line = " ".join(text(value).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def check_name(field: str, value: Any, known: Iterable[str]) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless ``value`` is a known name."""
    if value not in list(known):
        raise ConfigError(f"{field} = {show(value)}: must be one of {', '.join(known)}")
