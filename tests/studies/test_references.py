"""Reference policies: what is impossible, and what is tuned on worlds of its own."""

import math
from functools import partial

import pytest
from spy import spy

from dtlib import TrainConfig
from dtlib.studies import references
from dtlib.studies.references import Budget

SMALL = Budget(worlds=1, tuning=2, thresholds=(0.175,), steps=1, stride=10)


def test_where_not_all_can_be_served_the_bound_is_infinite_and_nothing_is_achieved():
    config = TrainConfig.from_preset("smoke", env={"data_bits": (400e3, 500e3)})
    (row,) = references.genie_rows(config, SMALL, 0.0)
    assert row["policy"] == "genie bound" and math.isinf(row["energy_per_user_slot_j"])
    bound, achieved = references.genie_rows(TrainConfig.from_preset("smoke"), SMALL, 0.2)
    assert 0 < bound["energy_per_user_slot_j"] <= achieved["energy_per_user_slot_j"] < math.inf
    assert achieved["failure_ratio_slots_user_max"] <= 0.2


def test_a_priced_rule_holds_on_tuning_worlds(monkeypatch, tmp_path):
    """The policy whose row is reported fails nobody too often where it was tuned."""
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path))
    config = TrainConfig.from_preset("smoke")
    monkeypatch.setattr(references, "budget", lambda preset: SMALL)
    seen = []
    measured = references.evaluate_policy

    def spy(policy, env, *, worlds, stream="held-out", **more):
        seen.append((stream, more, measured(policy, env, worlds=worlds, stream=stream, **more)))
        return seen[-1][-1]

    monkeypatch.setattr(references, "evaluate_policy", spy)
    (row,) = references.priced_row(config, SMALL, 0.195)
    tuning = [
        found for stream, more, found in seen if more.get("carry_queue") and stream == "tuning"
    ]
    assert min(found.worst_user for found in tuning) <= 0.195 and len(tuning) > 5
    held = seen[-1]
    assert held[0] == "held-out" and row["energy_per_user_slot_j"] == pytest.approx(
        held[-1].summary()["energy_per_user_slot_j"]
    )


@pytest.mark.parametrize(
    ("kind", "chosen_on", "told_of"),
    [("simple", ["tuning"], 5), ("genies", ["held-out"], 0), ("informed", [], 1)],
)
def test_limits_are_kept_on_worlds_of_their_own(kind, chosen_on, told_of, monkeypatch):
    """What is told is of held-out worlds, and the limit is the one that is asked for."""
    config, streams, limits, told = TrainConfig.from_preset("smoke"), [], [], []

    note = partial(spy, monkeypatch, references)
    note("sample_stream", lambda env, stream, count: streams.append(stream))
    note("families", lambda env: limits.append(env.failure_threshold))
    note("train_informed", lambda config, limit, steps: limits.append(limit))
    note("genie_under_threshold", lambda world, env, limit: limits.append(limit))
    note("evaluate_policy", lambda *of, worlds, stream="held-out": told.append(stream))
    rows = [*references.BY_KIND[kind](config, SMALL, 0.15)]
    assert rows and streams == chosen_on and limits == [0.15]
    assert told == ["held-out"] * len(told) and len(told) >= told_of
