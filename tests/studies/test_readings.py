"""Readings against sentences: what counts as true, rules that learn nothing, what is committed."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from said import call

from dtlib import EnvConfig, sample_world, simulate
from dtlib.baselines.clairvoyant import Clairvoyant
from dtlib.baselines.rules import DemandInversion, Reference
from dtlib.baselines.tuning import Result, measure, tune_failures
from dtlib.runtime import paths
from dtlib.runtime.seeds import stream_seed
from dtlib.studies import readings

LITTLE = readings.Sampling(frames=2, worlds=1, tuning=1)
ENERGY, FAILED = "energy_per_user_slot_j", "failure_ratio_requests"

# --- sentences ----------------------------------------------------------------------------------

SWEPT = {
    "K": readings.NUM_USERS,
    "M": (3, 4, 5, 6, 7),
    "λ": (0.3, 0.5, 0.7),
    "D (Kb)": (20e3, 25e3, 30e3),
    "D (Mb)": (200e3, 250e3, 300e3),
    "B": (8e6, 10e6, 12e6),
}
FALLING = ("M", "B")


def table(**changed):
    """Rows of which every sentence is true, but for what is changed: (axis, x, column) to value."""
    rows = []
    for axis, values in SWEPT.items():
        for place, x in enumerate(values):
            energy = 10.0 + (-place if axis in FALLING else place)
            failed = min(max(x - 26, 0) / 30, 1.0) if axis == "K" else 0.0
            rows.append({"axis": axis, "x": x, ENERGY: energy, FAILED: failed})
    found = pd.DataFrame(rows).assign(reading="a", rule="b")
    for (axis, x, column), value in changed.get("changes", {}).items():
        found.loc[(found["axis"] == axis) & (found["x"] == x), column] = value
    return found


def held(changes):
    found = readings.holding(table(changes=changes))
    assert list(found.columns) == [("a", "b")]
    return found["a", "b"].tolist()


BREAKS = {
    0: [{("K", 15, ENERGY): 9.0}, {("K", 40, ENERGY): 16.0}, {("K", 25, ENERGY): 12.0}],
    1: [{("K", 20, FAILED): 0.02}, {("K", 25, FAILED): 0.011}],
    2: [{("K", 35, FAILED): 0.1}, {("K", 40, FAILED): 9 / 30}],
    3: [{("M", 5, ENERGY): 9.5}, {("M", 7, ENERGY): 7.0}],
    4: [{("λ", 0.5, ENERGY): 9.0}],
    5: [{("D (Kb)", 30e3, ENERGY): 11.0}],
    6: [{("D (Mb)", 300e3, ENERGY): 5.0}],
    7: [{("B", 12e6, ENERGY): 9.0}],
    8: [{("K", 54, ENERGY): 18.0}, {("K", 60, ENERGY): 22.0}],
    9: [{("K", 58, FAILED): 0.98}, {("K", 50, FAILED): 0.99}],
}
"""What makes exactly one sentence false; each may be broken in several ways."""


def test_all_sentences_of_a_table_that_agrees():
    assert all(held({})) and len(held({})) == len(readings.SENTENCES) == len(BREAKS)


@pytest.mark.parametrize(
    ("number", "changes"), [(number, way) for number, ways in BREAKS.items() for way in ways]
)
def test_a_sentence_is_false_by_itself(number, changes):
    expected = [other != number for other in range(len(BREAKS))]
    assert held(changes) == expected, readings.SENTENCES[number].text


@pytest.mark.parametrize(
    "changes",
    [
        {("K", 25, FAILED): 0.01},  # as good as none
        {("K", 58, FAILED): 0.99},  # as good as all
        {("K", 50, FAILED): 0.98},
        {("K", 28, FAILED): 0.0},  # of which no sentence speaks
        {("K", 56, FAILED): 0.1},
        {("M", 3, FAILED): 0.5},
    ],
)
def test_what_sentences_leave_open(changes):
    assert all(held(changes))


def test_each_reading_and_rule_is_judged_by_itself():
    good, bad = table(), table(changes={("B", 12e6, ENERGY): 99.0}).assign(reading="c")
    found = readings.holding(pd.concat([good, bad, good.assign(rule="d")]))
    assert set(found.columns) == {("a", "b"), ("a", "d"), ("c", "b")}
    assert found["a", "b"].all() and found["a", "d"].all()
    assert found["c", "b"].sum() == len(found) - 1
    assert "Fig. 11: energy falls with B" in found.index[~found["c", "b"]]


def test_sentences_are_of_what_is_measured():
    assert {sentence.axis for sentence in readings.SENTENCES} == {*readings.POINTS} == {*SWEPT}
    for reading in readings.READINGS.values():
        EnvConfig(**reading)
    assert readings.READINGS["slices"] == {}, "the first is the default network"


def test_the_best_reward_of_the_centre_by_hand():
    """Half of the users compute a mean of 3e4 · 1500 cycles, but no longer than a slot."""
    env = EnvConfig(data_bits=(2e4, 4e4), cycles_per_bit=(1e3, 2e3), cpu_hz=9e9, request_prob=0.5)
    one, four, most = (
        readings.best_centre_reward(env.replace(num_users=users)) for users in (1, 4, 100)
    )
    assert one == pytest.approx(-env.reward_scale * 0.5 * 0.005)
    assert four == pytest.approx(4 * one)
    assert most == -env.reward_scale * 0.5 * env.slot_s
    served = env.replace(num_users=9, num_bs=2, cpu_sharing="served")  # 1 + 0.5 · 8 / 2 parts
    assert readings.best_centre_reward(served) == pytest.approx(3 * one)


# --- measured -----------------------------------------------------------------------------------


def test_every_rule_is_measured():
    found = {
        rule: readings.measure_point("slices", rule, "K", 1, LITTLE) for rule in readings.FAMILIES
    }
    for rule, row in found.items():
        assert (row["reading"], row["rule"], row["axis"], row["x"]) == ("slices", rule, "K", 15)
        assert row[ENERGY] > 0 and 0 <= row[FAILED] <= 1
        assert row["failure_ratio_slots"] <= row[FAILED]
    knows = found["clairvoyant"]
    assert knows[FAILED] <= min(row[FAILED] for row in found.values())
    assert knows[ENERGY] < found["power on demand"][ENERGY]


def test_a_point_by_hand():
    """The network of reading and point, on held-out worlds; an interval counts by its end."""
    row = readings.measure_point("divided, 2 GHz", "clairvoyant", "D (Kb)", 2, LITTLE)
    env = EnvConfig(frames=2, cpu_sharing="served", cpu_hz=2e9, data_bits=(15e3, 30e3))
    world = sample_world(env, [stream_seed("held-out", 0)])
    outcome = simulate(world, Clairvoyant(env).act(world), env)
    assert row["x"] == 30e3
    assert row[ENERGY] == pytest.approx(outcome.energy_j.double().mean().item())
    failed = outcome.failure.sum() / world.request.sum()
    assert row[FAILED] == pytest.approx(failed.item())


@pytest.mark.parametrize(("axis", "number", "chance"), [("K", 0, 0.5), ("λ", 2, 0.7)])
def test_where_all_users_interfere_those_without_a_request_cost_nothing(axis, number, chance):
    reading = "slices, all users interfere"
    row = readings.measure_point(reading, "clairvoyant", axis, number, LITTLE)
    env = EnvConfig(frames=2, request_prob=1.0, num_users=10 if axis == "K" else 30)
    world = sample_world(env, [stream_seed("held-out", 0)])
    outcome = simulate(world, Clairvoyant(env).act(world), env)
    expected = chance * outcome.energy_j.double().mean().item()
    assert row[ENERGY] == pytest.approx(expected) and world.request.all()


def test_a_rule_is_tuned_on_worlds_of_its_own(monkeypatch):
    seen = []
    original = readings.tune_failures
    monkeypatch.setattr(
        readings, "tune_failures", lambda *given: seen.append(given) or original(*given)
    )
    readings.measure_point("slices", "demand or silence", "K", 0, LITTLE)
    ((family, world, levels),) = seen
    tuning = sample_world(EnvConfig(frames=2, num_users=10), [stream_seed("tuning", 0)])
    assert torch.equal(world.gain, tuning.gain)
    powers = [family(level).power for level in levels]
    assert [power.margin for power in powers] == list(readings.POWER_LEVELS)
    assert {power.cutoff_w for power in powers} == {0.5}
    readings.measure_point("slices", "clairvoyant", "K", 0, LITTLE)
    assert len(seen) == 1, "what has no level is not tuned"


def test_the_table_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    monkeypatch.setattr(readings, "READINGS", {"slices": {}, "divided": {"cpu_sharing": "served"}})
    monkeypatch.setattr(readings, "POINTS", {"M": [{"num_bs": 2, "num_users": 4}]})
    monkeypatch.setitem(readings.SAMPLINGS, "smoke", readings.Sampling(1, 1, 1))
    result = call("figure", "readings", "--preset", "smoke", "--jobs", 1, "--quiet")
    assert result.exit_code == 0, result.output
    place = tmp_path / "smoke" / "readings"
    assert {path.name for path in place.iterdir()} == {"data.csv", "manifest.json"}
    before = (place / "data.csv").stat().st_mtime_ns
    table = replace(readings.TABLE, rows=lambda *_: pytest.fail("was measured again"))
    assert table.write("smoke") == place and (place / "data.csv").stat().st_mtime_ns == before
    found = table.read("smoke")
    pairs = list(zip(found["reading"], found["rule"], strict=True))
    assert pairs == [
        (reading, rule) for reading in ("slices", "divided") for rule in readings.FAMILIES
    ]
    assert set(found["x"]) == {2}
    assert len(table.read("smoke", only=lambda *_: False)) == len(found)  # what is there is read
    monkeypatch.setattr(readings, "POWER_LEVELS", (1.0,))
    with pytest.raises(pytest.fail.Exception):
        table.read("smoke", jobs=1)


def test_a_part_of_a_table_is_measured_alone(monkeypatch):
    measured = []
    table = replace(
        readings.TABLE,
        rows=lambda *task: measured.append(task) or pd.DataFrame([task[:3]]),
    )
    table.read("smoke", jobs=1, only=readings.in_both)
    assert measured == [task for task in table.tasks("smoke") if readings.in_both(*task)]
    assert {task[:3] for task in measured} == {
        (reading, rule, "K")
        for reading in (readings.SLICES, readings.DIVIDED)
        for rule in readings.FAMILIES
    }
    assert len(measured) == 2 * len(readings.FAMILIES) * len(readings.NUM_USERS)


# --- rules --------------------------------------------------------------------------------------

SMALL = {"num_users": 10, "num_bs": 3, "frame_slots": 20, "frames": 5, "migration_slots": 2}


@pytest.mark.parametrize(
    ("failed", "chosen"),
    [
        ([0.5, 0.2, 0.1, 0.3], 2),
        ([0.5, 0.1019, 0.1, 0.3], 1),  # within a fifth of a point of the best
        ([0.5, 0.1021, 0.1, 0.1], 2),
        ([0.0, 0.0, 0.0, 0.0], 0),
        ([0.5, 0.4, 0.3, 0.2], 3),
    ],
)
def test_fewest_failures_then_the_least_level(monkeypatch, failed, chosen):
    monkeypatch.setattr(
        "dtlib.baselines.tuning.measure",
        lambda level, world: Result(
            policy=level,
            energy_j=level,
            failure_ratio=torch.zeros(1),
            failed_requests=failed[level],
        ),
    )
    assert tune_failures(lambda level: level, None, range(4)).policy == chosen


@pytest.mark.parametrize("network", ["section-v", "work-conserving"])
def test_tuned_to_fail_least(network):
    """Among levels that are as good, it is that of least energy."""
    env = EnvConfig.named(network, **SMALL)
    world = sample_world(env, 3)

    def family(level):
        return Reference(env, DemandInversion(level, env.max_power_w), shares="demand")

    best = tune_failures(family, world, readings.POWER_LEVELS)
    found = [measure(family(level), world) for level in readings.POWER_LEVELS]
    least = min(run.failed_requests for run in found)
    good = [run for run in found if run.failed_requests <= least + 0.002]
    assert best.failed_requests <= least + 0.002 and len(good) < len(found)
    assert best.energy_j == min(rule.energy_j for rule in good)
    assert measure(best.policy, world).energy_j == best.energy_j
