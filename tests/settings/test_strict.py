"""Settings take values of the documented kind only, and whatever is committed is read as before."""

from __future__ import annotations

import json
from collections import deque
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from said import one_line

from dtlib import EnvConfig, TrainConfig
from dtlib.experiments.results import MANIFEST
from dtlib.runtime import paths

LOOK_ALIKES = {
    "a truth": ({"num_users": True}, "num_users = True", "valid integer"),
    "numpy's truth": ({"num_users": np.True_}, "num_users = np.True_", "valid integer"),
    "text": ({"num_users": "3"}, "num_users = '3'", "valid integer"),
    "bytes": ({"num_users": b"3"}, "num_users = b'3'", "valid integer"),
    "decimal": ({"num_users": Decimal(3)}, "num_users = Decimal('3')", "valid integer"),
    "an array": ({"num_users": torch.tensor(3)}, "num_users = tensor(3)", "valid integer"),
    "true power": ({"max_power_w": True}, "max_power_w = True", "valid number"),
    "power in text": ({"max_power_w": "0.5"}, "max_power_w = '0.5'", "valid number"),
    "power in bytes": ({"max_power_w": b"1"}, "max_power_w = b'1'", "valid number"),
    "a set": ({"speed_mps": {2, 3}}, "speed_mps = {2, 3}", "tuple, such as (2.0, 10.0), or 2.0,10"),
    "frozen set": ({"speed_mps": frozenset({2, 3})}, "speed_mps = frozenset({2, 3})", "tuple"),
    "a queue": ({"speed_mps": deque([2, 3])}, "speed_mps = deque([2, 3])", "tuple"),
    "keys": ({"speed_mps": {2: 1, 3: 1}.keys()}, "speed_mps = dict_keys([2, 3])", "tuple"),
    "true end": ({"speed_mps": (True, 3)}, "speed_mps = (True, 3)", "numbers only"),
    "end in text": ({"speed_mps": ("2", 3)}, "speed_mps = ('2', 3)", "numbers only"),
    "one end": ({"speed_mps": (2,)}, "speed_mps.1 = (2,)", "such as (2.0, 10.0)"),
    "one for true": ({"queue_reset": 1}, "queue_reset = 1", "valid boolean, such as true or false"),
    "yes for true": ({"queue_reset": "yes"}, "queue_reset = 'yes'", "valid boolean"),
    "5000 digits": (
        {"num_users": 10**5000},
        "num_users = a long int",
        "at most 922337203685477",
    ),
    "beyond counting": (
        {"num_users": 1e300},
        "num_users = 1e+300",
        "at most 922337203685477",
    ),
    "beyond floats": ({"max_power_w": 10**400}, "max_power_w = 10", "valid number"),
    "a list of lists": ({"num_users": [[3]]}, "num_users = [[3]]", "valid integer"),
}


_line = partial(one_line, shorter_than=1500)


@pytest.mark.parametrize(("changes", "start", "rule"), LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_look_alikes_are_refused(changes, start, rule):
    text = _line(lambda: EnvConfig(**changes))
    assert text.startswith(start) and rule in text
    assert _line(lambda: TrainConfig.from_dict({"env": changes})).startswith(f"env.{start}")


@pytest.mark.parametrize("value", [True, "10", b"10", {10}, [True], ("64", 64)])
def test_widths_are_integers(value):
    assert _line(lambda: TrainConfig(hidden_sizes=value)).startswith("hidden_sizes = ")


@pytest.mark.parametrize(
    "value", [5, 5.0, np.int64(5), np.int32(5), np.float32(5), np.float64(5), Fraction(5)]
)
def test_numbers_of_every_kind_are_taken(value):
    env = EnvConfig(num_users=value, area_m=value, speed_mps=[value, value])
    assert env == EnvConfig(num_users=5, area_m=5.0, speed_mps=(5.0, 5.0))
    assert type(env.num_users) is int and type(env.area_m) is float


ODD_NAMES = {
    "a number": {1: 2},
    "bytes": {b"seed": 2},
    "none": {None: 2},
    "self": {"self": 2},
    "cls": {"cls": 2},
    "values": {"values": 2},
    "empty": {"": 2},
    "of pydantic": {"model_config": 2},
    "dunder": {"__class__": 2},
    "two lines": {"a\nb": 2},
}


@pytest.mark.parametrize("values", ODD_NAMES.values(), ids=ODD_NAMES)
def test_odd_names_are_one_line(values):
    for make in (
        lambda: TrainConfig.from_dict(values),
        lambda: TrainConfig.from_dict({"env": values}),
        lambda: TrainConfig(env=values),
        lambda: TrainConfig().replace(env=values),
        lambda: TrainConfig.from_preset("smoke", env=values),
    ):
        assert "field" in _line(make)


@pytest.mark.parametrize("name", ["self", "cls", "values", "changes", ""])
def test_odd_keywords_are_unknown_fields(name):
    for make in (TrainConfig, EnvConfig, TrainConfig().replace, EnvConfig().replace,
                 TrainConfig.from_preset, EnvConfig.named):  # fmt: skip
        assert "unknown field" in _line(lambda make=make: make(**{name: 2}))


@pytest.mark.parametrize(
    "make",
    [
        lambda: TrainConfig.from_preset("smoke", algorithm=["maddpg"]),
        lambda: TrainConfig.from_preset("smoke", algorithm={}),
        lambda: TrainConfig.from_preset(np.array(["smoke", "quick"])),
        lambda: TrainConfig.from_preset("smoke", np.array(["section-v", "x"])),
    ],
)
def test_names_that_are_no_text(make):
    assert "'" in _line(make) or "must be one of" in _line(make)


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: TrainConfig(num_users=3), "env.num_users"),
        (lambda: TrainConfig(num_user=3), "env.num_users"),
        (lambda: TrainConfig.from_preset("smoke", deadline=3), "env.deadline_s"),
        (lambda: TrainConfig(epoch=3), "epochs"),
        (lambda: TrainConfig(env={"epochs": 3}), "epochs"),
        (lambda: TrainConfig(env={"num_user": 3}), "env.num_users"),
        (lambda: EnvConfig(num_user=3), "num_users"),
    ],
)
def test_near_names_are_found_inside_and_outside_the_network(make, meant):
    assert _line(make).endswith(f"unknown field; did you mean {meant}?")


@pytest.mark.parametrize(("make", "given"), [(EnvConfig, 12), (TrainConfig, "beta-happo")])
def test_settings_are_given_by_name(make, given):
    line = f"{given!r}: settings are given by name, such as seed=3"
    assert _line(lambda: make(given)) == line


def test_what_is_committed_is_read_as_before():
    found = [
        run["config"]
        for path in paths.results().glob(f"**/{MANIFEST}")
        for run in json.loads(path.read_text(encoding="utf-8")).get("runs", ())
    ]
    assert len(found) > 500
    for config in found:
        read = TrainConfig.from_dict(config)
        later = {k: old for k, old in TrainConfig.younger().items() if k not in config}
        env = EnvConfig.younger() | config["env"]
        written = read.json_values(), json.loads(read.canonical_json()) | later
        assert config | later | {"env": env} in [
            one | {"env": EnvConfig.younger() | one["env"]} for one in written
        ]
