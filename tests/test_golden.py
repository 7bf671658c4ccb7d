"""Golden numbers: code that changes results must raise ``RESULTS_VERSION``."""

import pytest

from dtlib import TrainConfig, train
from dtlib.config import RESULTS_VERSION
from dtlib.experiments import COMPANION

VERSION = 2
GOLDEN = {
    "published": {
        "reward_global": -0.04882893,
        "reward_centre": -0.2511415,
        "energy_per_user_slot_j": 0.0005282893,
        "failure_ratio_requests": 0.06333333,
        "entropy": 0.2468962,
        "explained_variance_global": -1.946286,
    },
    "companion": {
        "reward_global": -0.05837662,
        "reward_centre": -0.2511917,
        "energy_per_user_slot_j": 0.0001670995,
        "failure_ratio_requests": 0.4466667,
        "entropy": 0.04018324,
        "explained_variance_global": -0.4336232,
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
