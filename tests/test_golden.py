"""Golden numbers: code that changes results must raise ``RESULTS_VERSION``."""

import pytest

from dtlib import TrainConfig, train
from dtlib.config import RESULTS_VERSION
from dtlib.experiments import LEARNERS, TABLE_I, VARIANTS
from dtlib.presets import PRESETS

VERSION = 4
METRICS = ("reward_global", "reward_centre", "energy_per_user_slot_j", "failure_ratio_requests")
GOLDEN = {
    "beta-happo": [-0.8383356, -0.2295747, 0.000170856, 0.5],
    "gaussian-happo": [-0.7274293, -0.2305882, 0.0001784598, 0.4877551],
    "beta-mappo": [-0.8383528, -0.2296313, 0.0001710278, 0.5],
    "maddpg": [-0.0058797, -0.390706, 0.000287964, 0.2253219],
    "published": [-0.05682904, -0.2295064, 0.0005682904, 0.05857741],
}
"""Last episode of the smoke preset, seed 0: METRICS by algorithm, and as published.

MADDPG's noise is Table I's, and it plays one episode: after more, kinds of processors differ by
more than rounding.
"""


def last_episode(variant):
    episodes = 1 if variant == "maddpg" else 3
    budget = {"episodes": episodes, "epochs": 2, "env": PRESETS["smoke"]["env"]}
    if variant == "published":
        config = TrainConfig(preset="smoke", critic="shared", **budget)
    else:
        config = TrainConfig.from_preset("smoke", **VARIANTS[variant] | TABLE_I, episodes=episodes)
    row = train(config).history.iloc[-1]
    return [row[name] for name in METRICS]


@pytest.mark.parametrize("variant", [*LEARNERS, "published"])
def test_smoke_run(variant):
    assert VERSION == RESULTS_VERSION, (
        "new results need new golden numbers, and the other way round"
    )
    assert last_episode(variant) == pytest.approx(GOLDEN[variant], rel=1e-3)
