"""Baselines at a point of a sweep: rules and genie of a network."""

import pytest

from dtlib import TrainConfig
from dtlib.experiments.baseline import measure_baseline
from dtlib.experiments.experiment import BASELINES


@pytest.mark.parametrize("network", ["section-v", "work-conserving"])
def test_baselines_of_a_network(network):
    """Power on demand fails least, the genie needs the least energy, however long episodes are."""
    env = TrainConfig.from_preset("smoke", network).env
    demand, silent, inversion, genie = (measure_baseline(name, env, 1) for name in BASELINES)
    assert demand["failure_ratio_requests"] < 0.05
    assert demand["failure_ratio_requests"] <= inversion["failure_ratio_requests"]
    assert genie.keys() == {"energy_per_user_slot_j"}
    for rule in (demand, silent, inversion):
        assert 0 < genie["energy_per_user_slot_j"] < rule["energy_per_user_slot_j"]
    assert measure_baseline(BASELINES[0], env.replace(frames=1), 1) == demand
