"""What learners are held against: interpolation by hand, what is impossible, and the price."""

import math

import pandas as pd
import pytest

from dtlib import TrainConfig
from dtlib.experiments import comparison
from dtlib.experiments.comparison import Budget
from dtlib.experiments.experiment import BASELINES


def rows(*pairs):
    columns = ["failure_ratio_slots_user_max", "energy_per_user_slot_j"]
    return pd.DataFrame(pairs, columns=columns)


def test_energy_at_equal_failures_is_log_linear():
    known = rows((0.3, 1e-5), (0.1, 4e-5), (0.2, 2e-5))
    assert comparison.at_failures(known, 0.15) == pytest.approx(math.sqrt(8) * 1e-5)
    assert comparison.at_failures(known, 0.2) == pytest.approx(2e-5)
    assert comparison.at_failures(known, 0.0) == pytest.approx(4e-5)
    assert comparison.at_failures(known, 0.9) == pytest.approx(1e-5)
    everyone = known.assign(failure_ratio_slots=known["failure_ratio_slots_user_max"] / 2)
    found = comparison.at_failures(everyone, 0.1, "failure_ratio_slots")
    assert found == pytest.approx(2e-5)


def test_share_closed():
    assert comparison.closed(1e-3, 1e-2, 1e-4) == pytest.approx(0.5)


SMALL = Budget(worlds=1, tuning=2, thresholds=(0.175,), steps=1, stride=10)


def test_where_not_all_can_be_served_the_bound_is_infinite_and_nothing_is_achieved():
    config = TrainConfig.from_preset("smoke", env={"data_bits": (400e3, 500e3)})
    (row,) = comparison.genies(config, SMALL, 0.0)
    assert row["policy"] == "genie bound" and math.isinf(row["energy_per_user_slot_j"])
    bound, achieved = comparison.genies(TrainConfig.from_preset("smoke"), SMALL, 0.2)
    assert 0 < bound["energy_per_user_slot_j"] <= achieved["energy_per_user_slot_j"] < math.inf
    assert achieved["failure_ratio_slots_user_max"] <= 0.2


def test_a_priced_rule_holds_on_tuning_worlds(monkeypatch, tmp_path):
    """The policy whose row is reported fails nobody too often where it was tuned."""
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path))
    config = TrainConfig.from_preset("smoke")
    monkeypatch.setattr(comparison, "budget", lambda preset: SMALL)
    seen = []
    measured = comparison.evaluate_policy

    def spy(policy, env, worlds, stream="held-out", **more):
        seen.append((stream, more, measured(policy, env, worlds, stream, **more)))
        return seen[-1][-1]

    monkeypatch.setattr(comparison, "evaluate_policy", spy)
    (row,) = comparison.priced(config, SMALL, 0.195)
    tuning = [
        found for stream, more, found in seen if more.get("carry_queue") and stream == "tuning"
    ]
    assert min(one.worst_user for one in tuning) <= 0.195 and len(tuning) > 5
    held = seen[-1]
    assert held[0] == "held-out" and row["energy_per_user_slot_j"] == pytest.approx(
        held[-1].summary()["energy_per_user_slot_j"]
    )


@pytest.mark.parametrize("network", ["section-v", "work-conserving"])
def test_baselines_of_a_network(network):
    """Power on demand fails least, the genie needs the least energy, however long episodes are."""
    env = TrainConfig.from_preset("smoke", network).env
    demand, inversion, genie = (comparison.baseline(one, env, 1) for one in BASELINES)
    assert demand["failure_ratio_requests"] < 0.05
    assert demand["failure_ratio_requests"] <= inversion["failure_ratio_requests"]
    assert genie.keys() == {"energy_per_user_slot_j"}
    for one in (demand, inversion):
        assert 0 < genie["energy_per_user_slot_j"] < one["energy_per_user_slot_j"]
    assert comparison.baseline(BASELINES[0], env.replace(frames=1), 1) == demand


def test_a_curve_of_energy_against_failures_ends_where_fewest_fail():
    env = TrainConfig.from_preset("smoke").env
    curve = comparison.demand_curve(env, 1)
    failed, energy = curve["failure_ratio_requests"], curve["energy_per_user_slot_j"]
    assert failed.iloc[-1] == failed.min() < failed.iloc[:-1].min() < failed.iloc[0]
    assert energy.is_monotonic_increasing and 1 < len(curve) <= len(comparison.DEMAND_LEVELS)
    half = comparison.at_failures(curve, failed.iloc[3], "failure_ratio_requests")
    assert half == pytest.approx(energy.iloc[3])
