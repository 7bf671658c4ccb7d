"""Baselines at a point of a sweep: rules and genie of a network, and a rule's whole curve."""

import pytest

from dtlib import TrainConfig
from dtlib.experiments.baseline import DEMAND_LEVELS, demand_curve, measure_baseline
from dtlib.experiments.comparison import at_failures
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


def test_a_curve_of_energy_against_failures_ends_where_fewest_fail():
    env = TrainConfig.from_preset("smoke").env
    curve = demand_curve(env, 1)
    failed, energy = curve["failure_ratio_requests"], curve["energy_per_user_slot_j"]
    assert failed.iloc[-1] == failed.min() < failed.iloc[:-1].min() < failed.iloc[0]
    assert energy.is_monotonic_increasing and 1 < len(curve) <= len(DEMAND_LEVELS)
    half = at_failures(curve, failed.iloc[3], "failure_ratio_requests")
    assert half == pytest.approx(energy.iloc[3])
