"""Golden numbers: code that changes results must raise ``RESULTS_VERSION``."""

import pytest

from dtlib import TrainConfig, train
from dtlib.config import PRESETS, RESULTS_VERSION
from dtlib.experiments import LEARNERS

VERSION = 3
METRICS = ("reward_global", "reward_centre", "energy_per_user_slot_j", "failure_ratio_requests")
GOLDEN = {}
"""Last episode of the smoke preset, seed 0: METRICS by algorithm, and as published."""


def last_episode(variant):
    budget = {"episodes": 3, "epochs": 2, "env": PRESETS["smoke"]["env"]}
    if variant == "published":
        config = TrainConfig(preset="smoke", critic="shared", **budget)
    else:
        config = TrainConfig.from_preset("smoke", algorithm=variant)
    row = train(config).history.iloc[-1]
    return [row[name] for name in METRICS]


@pytest.mark.parametrize("variant", [*LEARNERS, "published"])
def test_smoke_run(variant):
    assert VERSION == RESULTS_VERSION, (
        "new results need new golden numbers, and the other way round"
    )
    assert last_episode(variant) == pytest.approx(GOLDEN[variant], rel=1e-3)
