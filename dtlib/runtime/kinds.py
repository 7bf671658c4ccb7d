"""Values of the documented kind, and nothing that merely could be turned into one.

pydantic by itself takes ``True`` and ``"3"`` for numbers, sets for ranges, and 1 for true.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from os import PathLike
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticKnownError

from dtlib.runtime.errors import ConfigError
from dtlib.runtime.messages import near, show

WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
"""How truths are written on the command line, in either case of letters."""
LARGEST = 2**63 - 1
"""An integer; more than anything can be counted here."""


def in_float32(value: float) -> float:
    """Return a number that is 0, or well inside float32's range: beyond, it is 0 or infinite there.

    Raises:
        PydanticCustomError: it is beyond.
    """
    if value and not 1e-30 <= value <= 1e30:
        raise PydanticCustomError("float32", "input should be 1e-30 to 1e30, as float32 has it")
    return value


def of_kind(value: Any, kind: Any, beside: Mapping[str, FieldInfo]) -> Any:
    """Return a value if it has a field's kind, to be validated further.

    Args:
        value: as given.
        kind: the field's annotation.
        beside: fields of the settings that the field is one of.

    Raises:
        PydanticKnownError: a truth or text for a number, a set for a range, and the like.
        PydanticCustomError: a range of what is no number, or an integer out of reach.
        ValueError: names in settings inside settings that do not belong there.
    """
    origin = get_origin(kind) or kind
    if origin is bool and not isinstance(value, bool):
        raise PydanticKnownError("bool_type")
    if origin in (int, float) and not is_number(value):
        raise PydanticKnownError("int_type" if origin is int else "float_type")
    if origin is int and LARGEST < abs(value) < math.inf:
        raise PydanticCustomError("size", f"Input should be at most {LARGEST} in size")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise PydanticKnownError("tuple_type")
        if not all(map(is_number, value)):
            raise PydanticCustomError("items", "Input should hold numbers only")
    if isinstance(origin, type) and issubclass(origin, BaseModel) and isinstance(value, Mapping):
        check_names(value)
        for name in value:
            if name not in origin.model_fields and (meant := near(name, beside)):
                known = f"unknown field; did you mean {meant}?"
                raise ValueError(f"{name} = {show(value[name])}: {known}")
    return value


def is_number(value: Any) -> bool:
    """Return whether a value is a number, of numpy perhaps, and not a truth."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_names(values: Mapping[Any, Any]) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` if settings have a name that is no text."""
    for name in values:
        if not isinstance(name, str):
            raise ConfigError(f"{show(name)} = {show(values[name])}: the name of a field is text")


def check_settings(field: str, values: Any) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless these are values by name."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{field} = {show(values)}: must be values by name, such as {{}}")
    check_names(values)


def check_type(field: str, value: Any, kind: type, *, such: str) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless a value is of this class."""
    if not isinstance(value, kind):
        a = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ConfigError(f"{field} = {show(value)}: must be {a} {kind.__name__}, such as {such}")


def check_path(field: str, value: Any) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless a value can be a file's path."""
    if not isinstance(value, str | PathLike):
        raise ConfigError(f"{field} = {show(value)}: must be a path, such as 'runs/mine'")


def check_defaults(values: BaseModel, names: Iterable[str], where: str) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` unless these fields have their defaults."""
    for name in names:
        value, default = getattr(values, name), type(values).model_fields[name].default
        if value != default:
            raise ConfigError(f"{name} = {show(value)}: must be {default!r}, the default, {where}")


def read_value(text: str, kind: Any) -> Any:
    """Return the value of a field from its text on the command line: JSON, or else plain text.

    Truths may be words, numbers whatever Python reads as one, ranges ``0.04,0.05``.

    Args:
        text: as typed.
        kind: the field's annotation; None where there is no such field.
    """
    value = _or(json.loads, text, text)
    if kind is bool:
        return WORDS.get(text.strip().lower(), value)
    if value is text and kind in (int, float):
        return _or(kind, text, text)
    if is_number(value) and Ellipsis in get_args(kind):  # the only item of a list of any length
        return [value]
    if value is text and get_origin(kind) is tuple:
        inner = text.strip().removeprefix("(").removesuffix(")").strip().removesuffix(",")
        return _or(json.loads, f"[{inner}]", text)
    return value


def _or(reader: Callable[[str], Any], text: str, instead: str) -> Any:
    try:
        return reader(text)
    except (ValueError, RecursionError):  # no JSON, a number of 5000 digits, or nested too deep
        return instead
