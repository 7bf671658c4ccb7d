"""Baselines at a point of a sweep: rules and genie of a network."""

import pytest
from spy import spy

from dtlib import EnvConfig, TrainConfig, sample_world
from dtlib.experiments import baseline
from dtlib.experiments.baseline import at_level, measure_baseline
from dtlib.experiments.experiment import BASELINES
from dtlib.experiments.families import families


@pytest.mark.parametrize("network", ["section-v", "work-conserving"])
def test_baselines_of_a_network(network):
    """Power on demand fails least, the genie needs the least energy, however long episodes are."""
    env = TrainConfig.from_preset("smoke", network).env
    demand, silent, genie = (measure_baseline(name, env, 1) for name in BASELINES)
    assert demand["failure_ratio_requests"] < 0.05
    assert demand["failure_ratio_requests"] <= silent["failure_ratio_requests"]
    assert genie.keys() == {"energy_per_user_slot_j"}
    for rule in (demand, silent):
        assert 0 < genie["energy_per_user_slot_j"] < rule["energy_per_user_slot_j"]
    assert measure_baseline(BASELINES[0], env.replace(frames=1), 1) == demand


@pytest.mark.parametrize("name", BASELINES)
def test_levels_are_chosen_on_tuning_worlds_and_told_of_held_out_ones(name, monkeypatch):
    """On as many as are asked for."""
    env, streams, limits = TrainConfig.from_preset("smoke").env, [], []
    spy(monkeypatch, baseline, "sample_stream", lambda env, *which: streams.append(which))
    spy(
        monkeypatch,
        baseline,
        "genie_under_threshold",
        lambda world, env, limit: limits.append(limit),
    )
    spy(
        monkeypatch, baseline, "evaluate_policy",
        lambda *of, worlds, stream="held-out": streams.append((stream, worlds)),
    )  # fmt: skip
    measure_baseline(name, env, 3)
    genie = name == "genie"
    assert streams == [("tuning", 2)] * (not genie) + [("held-out", 3)]
    assert limits == ([env.failure_threshold] if genie else [])


def test_shares_and_cutoffs_of_families():
    found = {
        name: (one.make(1.0, *[1.0] * bool(one.cutoffs)).shares, one.cutoffs)
        for name, one in families(EnvConfig()).items()
    }
    far, loud = (1.0, 2000.0), (1e-9, 0.5)
    assert found == {
        "equal power": ("equal", None), "channel inversion": ("equal", None),
        "truncated inversion": ("equal", far), "demand inversion": ("demand", None),
        "truncated demand inversion": ("demand", loud),
    }  # fmt: skip


def test_demand_or_silence_sends_up_to_full_power():
    env = EnvConfig(num_users=30, frames=2)
    power = at_level(env, "demand-or-silence", 10.0).act(sample_world(env, 0)).power
    assert 0.9 * env.max_power_w < power.max() <= env.max_power_w and (power == 0).any()
