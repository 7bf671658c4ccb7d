"""One line for what a user got wrong: the field, the value and what is allowed."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dtlib.runtime.errors import ConfigError

WRITTEN = {"bool_type": "true or false", "model_type": "env.num_users=12 on the command line"}
"""How values are written of which a default would say too little, by pydantic's type of error."""


def explain(error: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """Return one line for the first problem of what pydantic raised, given the fields there are."""
    problems = error.errors()
    first = problems[0]
    where = first["loc"]
    field = ".".join(show(part, str) or "''" for part in where)
    rule = first["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    if first["type"] == "value_error":  # our own line, already with a field's name and value
        line = (field + "." if field else "") + rule
    else:
        if first["type"] == "extra_forbidden":
            meant = near(str(where[-1]), fields)
            known = f"did you mean {meant}?" if meant else f"known are {', '.join(fields)}"
            rule = f"unknown field; {known}"
        elif first["type"] in ("tuple_type", "items", "too_long", "missing"):
            rule += _as_written(fields[str(where[0])].default)
        elif first["type"] in WRITTEN:
            rule += f", such as {WRITTEN[first['type']]}"
        elif first["type"] == "literal_error":
            rule += meant_instead(first["input"], re.findall("'([^']+)'", rule))
        line = f"{field or 'settings'} = {show(first['input'])}: {rule}"
    more = len(problems) - 1
    return line + (f" (and {more} more)" if more else "")


def near(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return which field may have been meant, as ``env.num_users`` where it is one of settings
    inside the settings; nothing if none is near."""
    inner = {
        leaf: f"{outer}.{leaf}"
        for outer, field in fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for leaf in field.annotation.model_fields
    }
    known = inner | {own: own for own in fields}
    close = get_close_matches(name, known, n=1)
    return known[close[0]] if close else ""


def _as_written(default: Any) -> str:
    """Return how a range is written, in Python and on the command line."""
    if not isinstance(default, tuple):
        return ""
    return f", such as {default}, or {','.join(map(str, default))} on the command line"


def show(value: Any, text: Callable[[Any], str] = repr, length: int = 80) -> str:
    """Return a value as text on one line, cut if long."""
    try:
        line = " ".join(text(value).split())
    except (ValueError, RecursionError):  # an integer of 5000 digits, or nested too deep
        line = f"a long {type(value).__name__}"
    return line if len(line) <= length else line[: length - 1] + "…"


def check_name(field: str, value: Any, known: Iterable[str]) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless ``value`` is a known name."""
    names = list(known)
    if not isinstance(value, str) or value not in names:
        hint = meant_instead(value, names)
        raise ConfigError(f"{field} = {show(value)}: must be one of {', '.join(names)}{hint}")


def meant_instead(value: Any, known: Sequence[str]) -> str:
    """Return the end of a line that asks for the nearest known name; nothing if none is near."""
    if not isinstance(value, str):
        return ""
    close = get_close_matches(value, known, n=1)
    close = close or [name for name in known if value and name.startswith(value)]
    return f"; did you mean {close[0]!r}?" if close else ""


def check_once(option: str, names: Sequence[Any]) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` if an option names one thing twice."""
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{option} {show(name, str)}: is given {names.count(name)} times")


def check_count(field: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless ``value`` is an integer in range."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"{least} to {most}"
        kind = "" if whole else "an integer, "
        raise ConfigError(f"{field} = {show(value)}: must be {kind}{allowed}")
