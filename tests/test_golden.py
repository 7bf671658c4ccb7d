"""Golden numbers: code that changes results must raise ``RESULTS_VERSION``."""

import pytest

from dtlib import TrainConfig, train
from dtlib.config import RESULTS_VERSION
from dtlib.experiments import COMPANION

VERSION = 1
GOLDEN = {
    "published": {
        "reward_global": -0.0488251,
        "reward_centre": -0.2400748,
        "energy_per_user_slot_j": 0.000528251,
        "failure_ratio_requests": 0.06333333,
        "entropy": 0.2468657,
        "explained_variance_global": -2.875406,
    },
    "companion": {
        "reward_global": -0.04871047,
        "reward_centre": -0.2540339,
        "energy_per_user_slot_j": 0.0001671047,
        "failure_ratio_requests": 0.4333333,
        "entropy": 0.04011183,
        "explained_variance_global": -0.3847343,
    },
}
"""Last episode of the smoke preset, seed 0."""


@pytest.mark.parametrize(("variant", "changes"), [("published", {}), ("companion", COMPANION)])
def test_smoke_run(variant, changes):
    last = train(TrainConfig.from_preset("smoke", **changes)).history.iloc[-1]
    found = {name: last[name] for name in GOLDEN[variant]}
    assert VERSION == RESULTS_VERSION, (
        "new results need new golden numbers, and the other way round"
    )
    assert found == pytest.approx(GOLDEN[variant], rel=1e-3)
