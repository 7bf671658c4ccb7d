"""Values as they are typed on the command line."""

from __future__ import annotations

import pytest

from dtlib.runtime.kinds import read_value
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig

RANGE = EnvConfig.model_fields["deadline_s"].annotation
WIDTHS = TrainConfig.model_fields["hidden_sizes"].annotation


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", int, 3),
        ("1e3", int, 1000.0),
        ("1_000", int, 1000),
        (".5", float, 0.5),
        ("1e-3", float, 0.001),
        ("true", int, True),  # refused later
        ("many", int, "many"),
        ("", int, ""),
        ('"3"', int, "3"),  # refused later
        ("9" * 5000, int, "9" * 5000),
        ("[" * 10**5, int, "[" * 10**5),
        ("[" * 10**5, RANGE, "[" * 10**5),
        ("true", bool, True),
        ("False", bool, False),
        ("yes", bool, True),
        ("0", bool, False),
        ("7", bool, 7),
        ("0.05,0.05", RANGE, [0.05, 0.05]),
        ("[0.04, 0.05]", RANGE, [0.04, 0.05]),
        ("(0.04, 0.05)", RANGE, [0.04, 0.05]),
        ("64,64,32", WIDTHS, [64, 64, 32]),
        ("64,", WIDTHS, [64]),
        ("64", WIDTHS, [64]),
        ("64", RANGE, 64),  # refused later
        ("a,b", RANGE, "a,b"),
        ("served", str, "served"),
        ('{"num_users": 3}', EnvConfig, {"num_users": 3}),
        ("3", None, 3),
        ("three", None, "three"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values_are_read_as_their_fields(text, kind, value):
    found = read_value(text, kind)
    assert found == value and type(found) is type(value)
