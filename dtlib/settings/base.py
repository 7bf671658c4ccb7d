"""What both settings have in common: kinds of numbers, strictness, and the key of results.

Both models are frozen, hashable and refuse unknown fields. A bad value raises
:class:`~dtlib.runtime.errors.ConfigError`, one line: the field, the value and what is allowed.
"""

import json
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_names, in_float32, of_kind
from dtlib.runtime.messages import explain, show

RESULTS_VERSION = 6
"""Raised with every change of the code that changes results, so that old and new never mix."""

_known = AfterValidator(in_float32)
_unsigned = AfterValidator(lambda value: value + 0.0)  # −0.0 equals 0.0 and must read the same
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), _known]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), _known, _unsigned]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), _unsigned]
BelowOne = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), _unsigned]
Range = tuple[Positive, Positive]


class Settings(BaseModel):
    """What both models have in common: frozen, and strict about names and values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, *unnamed: Any, **values: Any) -> None:
        if unnamed:
            raise ConfigError(f"{show(unnamed[0])}: settings are given by name, such as seed=3")
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(explain(error, type(self).model_fields)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        fields = cls.model_fields
        return of_kind(value, fields[str(info.field_name)].annotation, fields)

    def __setattr__(self, name: str, value: Any) -> None:
        raise ConfigError(f"{name} = {show(value)}: settings are fixed; use replace({name}=…)")

    def replace(self, /, **changes: Any) -> Self:
        """Return a validated copy with some fields changed; ``env`` may be a dict of changes."""
        values = dict(self)
        for name, change in changes.items():
            nested = isinstance(values.get(name), BaseModel) and isinstance(change, dict)
            values[name] = dict(values[name]) | change if nested else change
        return type(self)(**values)

    @classmethod
    def younger(cls) -> dict[str, Any]:
        """Return fields that came without a new version, with the value that the code had before.

        They are marked ``json_schema_extra={"before": value}``. The text that is hashed does not
        have them at that value, so that what was made before keeps its key.
        """
        marks = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return {name: mark["before"] for name, mark in marks.items() if isinstance(mark, dict)}

    def canonical_json(self) -> str:
        """Return the text that keys are hashes of: sorted JSON without unused :meth:`younger`."""
        return json.dumps(self._without_younger(), sort_keys=True, separators=(",", ":"))

    def _without_younger(self) -> dict[str, Any]:
        old, values = self.younger(), self.model_dump(mode="json")
        values |= {k: v._without_younger() for k, v in self if isinstance(v, Settings)}
        return {k: v for k, v in values.items() if k not in old or v != old[k]}

    def json_values(self) -> dict[str, Any]:
        """Return every field, sorted by name, as JSON holds it."""
        return json.loads(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the settings that :meth:`json_values` or :meth:`canonical_json` wrote.

        A missing field of :meth:`younger` gets what it was before there was one, not its default.

        Raises:
            ConfigError: no mapping, an unknown field, or a value that is not allowed.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"settings = {show(values)}: must be a mapping of fields to values")
        check_names(values)
        return cls(**_with_younger(values, cls))


def _with_younger(values: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return values as read, completed by those of :meth:`Settings.younger` that they lack."""
    whole = model.younger() | values
    if "env" in model.model_fields and isinstance(env := values.get("env", {}), dict):
        whole["env"] = _with_younger(env, model.model_fields["env"].annotation)
    return whole
