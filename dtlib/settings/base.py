"""What both settings have in common: kinds of numbers, strictness, and the key of results.

Both models are frozen, hashable and refuse unknown fields. A bad value raises
:class:`~dtlib.runtime.errors.ConfigError` whose text is one line: the field, the value and what
is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from dtlib.runtime.errors import ConfigError

RESULTS_VERSION = 4
"""Raised with every change of the code that changes results, so that no stale number is drawn."""
YOUNGER: dict[str, Any] = {
    "averaged": 0.0,
    "cpu_sharing": "served",
    "gaussian": "bounded",
}
"""Fields that came without such a change, with the value that the code had before. JSON does not
have them there, so that what was made before keeps its key."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_unsigned = AfterValidator(lambda value: value + 0.0)  # −0.0 equals 0.0 and must read the same
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), _unsigned]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), _unsigned]
Memory = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), _unsigned]
Range = tuple[Positive, Positive]


def explain(error: ValidationError, prefix: str = "", fields: Iterable[str] = ()) -> str:
    """Return one line for the first problem of a pydantic ``ValidationError``.

    Args:
        error: what pydantic raised.
        prefix: put before the field's dotted name, for example ``"env."``.
        fields: the names that are allowed, to say so when one is unknown.
    """
    problems = error.errors()
    first = problems[0]
    field = prefix + ".".join(show(part, str) for part in first["loc"])
    rule = first["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    if first["type"] == "value_error":  # our own line, already with a field's name and value
        line = (field + "." if first["loc"] else prefix) + rule
    else:
        if first["type"] == "extra_forbidden":
            close = get_close_matches(str(first["loc"][-1]), fields, n=1)
            known = f"did you mean {close[0]}?" if close else f"known are {', '.join(fields)}"
            rule = f"unknown field; {known}"
        line = f"{field or 'settings'} = {show(first['input'])}: {rule}"
    more = len(problems) - 1
    return line + (f" (and {more} more)" if more else "")


def show(value: Any, text: Callable[[Any], str] = repr) -> str:
    """Return a value as text on one line, cut if long."""
    line = " ".join(text(value).split())
    return line if len(line) <= 80 else line[:79] + "…"


class Settings(BaseModel):
    """What both models have in common: frozen, and strict about names and values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(explain(error, fields=type(self).model_fields)) from None

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed; ``env`` may be a dict of changes."""
        values = dict(self)
        for name, change in changes.items():
            nested = isinstance(values.get(name), BaseModel) and isinstance(change, dict)
            values[name] = dict(values[name]) | change if nested else change
        return type(self)(**values)

    def canonical_json(self) -> str:
        """Return the settings as JSON with sorted keys, but for unused ``YOUNGER``.

        Equal settings have equal text.
        """
        values = _without_younger(self.model_dump(mode="json"))
        return json.dumps(values, sort_keys=True, separators=(",", ":"))


def check_name(field: str, value: Any, known: Iterable[str]) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless ``value`` is a known name."""
    if value not in list(known):
        raise ConfigError(f"{field} = {show(value)}: must be one of {', '.join(known)}")


def _without_younger(values: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in values.items() if k not in YOUNGER or v != YOUNGER[k]}
    return {k: _without_younger(v) if k == "env" else v for k, v in kept.items()}


def with_younger(values: dict[str, Any], model: type[Settings]) -> dict[str, Any]:
    """Return values as read, completed by those of ``YOUNGER`` that they lack."""
    return {k: v for k, v in YOUNGER.items() if k in model.model_fields} | values
