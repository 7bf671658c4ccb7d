"""Golden numbers: code that changes results must raise ``RESULTS_VERSION``."""

import pytest

from dtlib import TrainConfig, train
from dtlib.config import PRESETS, RESULTS_VERSION
from dtlib.experiments import LEARNERS

VERSION = 3
METRICS = ("reward_global", "reward_centre", "energy_per_user_slot_j", "failure_ratio_requests")
GOLDEN = {
    "beta-happo": [0.05555267, -0.2533683, 0.0002319733, 0.3408163],
    "gaussian-happo": [0.0229454, -0.2220094, 0.0002976294, 0.1673469],
    "beta-mappo": [0.05555203, -0.2533743, 0.0002319798, 0.3408163],
    "maddpg": [0.2629448, -0.4853472, 0.0005872188, 0.2142857],
    "published": [-0.05682904, -0.2295064, 0.0005682904, 0.05857741],
}
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
