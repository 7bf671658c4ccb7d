"""Golden numbers: code that changes results must raise ``RESULTS_VERSION``."""

import pytest

from dtlib import TrainConfig, train
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.grids import TABLE_I, VARIANTS
from dtlib.settings.base import RESULTS_VERSION
from dtlib.settings.presets import NETWORKS

VERSION = 4
METRICS = ("reward_global", "reward_centre", "energy_per_user_slot_j", "failure_ratio_requests")
GOLDEN = {
    "work-conserving": {
        "beta-happo": [-0.8383356, -0.2295747, 0.000170856, 0.5],
        "gaussian-happo": [-0.7274293, -0.2305882, 0.0001784598, 0.4877551],
        "beta-mappo": [-0.8383528, -0.2296313, 0.0001710278, 0.5],
        "maddpg": [-0.0058797, -0.390706, 0.000287964, 0.2253219],
        "published": [-0.05682904, -0.2295064, 0.0005682904, 0.05857741],
    },
    "section-v": {
        "beta-happo": [1.04744, -1.1003, 0.0007756016, 0.1836735],
        "gaussian-happo": [-165.3558, -2.103406, 0.0002247469, 0.844898],
        "beta-mappo": [1.965469, -1.064498, 0.0007619776, 0.1693878],
        "maddpg": [1.022585, -1.093884, 0.0006074874, 0.2961373],
    },
}
"""Last episode of the smoke preset, seed 0: METRICS by network and algorithm, and as published.

MADDPG's noise is Table I's, and it plays one episode: after more, kinds of processors differ by
more than rounding.
"""


def last_episode(network, variant):
    episodes = 1 if variant == "maddpg" else 3
    preset = TrainConfig.from_preset("smoke", network)
    if variant == "published":
        budget = {"episodes": episodes, "epochs": 2, "env": preset.env}
        config = TrainConfig(preset="smoke", critic="shared", gaussian=preset.gaussian, **budget)
    else:
        settings = VARIANTS[variant] | TABLE_I
        config = TrainConfig.from_preset("smoke", network, **settings, episodes=episodes)
    row = train(config).history.iloc[-1]
    return [row[name] for name in METRICS]


def test_every_learner_has_numbers_in_every_network():
    assert list(GOLDEN) == [*reversed(NETWORKS)]
    for numbers in GOLDEN.values():
        assert [*numbers][: len(LEARNERS)] == [*LEARNERS]


@pytest.mark.parametrize(
    ("network", "variant"), [(network, one) for network in GOLDEN for one in GOLDEN[network]]
)
def test_smoke_run(network, variant):
    assert VERSION == RESULTS_VERSION, (
        "new results need new golden numbers, and the other way round"
    )
    found = last_episode(network, variant)
    assert found == pytest.approx(GOLDEN[network][variant], rel=1e-3)
