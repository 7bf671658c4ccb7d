"""The rule that learners are held against: its curve, and where a committed one is taken."""

import pandas as pd
import pytest

from dtlib import EnvConfig, TrainConfig
from dtlib.baselines.tuning import measure
from dtlib.experiments import results
from dtlib.experiments.families import families
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.experiments.streams import sample_stream
from dtlib.runtime import paths
from dtlib.studies import demand
from dtlib.studies.comparison import at_failures
from dtlib.training.evaluation import evaluation_env

SMOKE = TrainConfig.from_preset("smoke").env


def test_a_curve_has_what_no_other_pair_beats():
    """On tuning worlds, no pair of level and limit needs less and fails no more."""
    found = demand.curve(SMOKE, 1)
    env = evaluation_env(SMOKE)
    make = families(env)["truncated demand inversion"].make
    tuning = sample_stream(env, "tuning", 2)
    chosen = [
        measure(make(*pair), tuning) for pair in zip(found["level"], found["limit_w"], strict=True)
    ]
    failed = [one.failed_requests for one in chosen]
    energy = [one.energy_j for one in chosen]
    assert failed == sorted(failed) and energy == sorted(energy, reverse=True)
    assert len({*energy}) == len(energy) > 10
    loud, quiet = (measure(make(level, env.max_power_w), tuning) for level in (10.0, 0.5))
    for other in (loud, quiet, measure(make(10.0, 0.1 * env.max_power_w), tuning)):
        assert any(
            one.failed_requests <= other.failed_requests and one.energy_j <= other.energy_j
            for one in chosen
        )


def test_silence_is_cheaper_than_less_power_for_all():
    """At 30 users, a lower limit needs less than a lower level where as many requests fail."""
    known = demand.known_curve(EnvConfig())
    always = known[known["limit_w"] == EnvConfig().max_power_w]
    least = always[FAILED].min()
    assert at_failures(known, least + 0.03, FAILED) < 0.8 * always[ENERGY].max()


def test_a_table_has_a_curve_for_each_number_of_users(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    folder = demand.TABLE.write("smoke", jobs=1)
    table = results.read(folder, results.DATA, demand.TABLE.key("smoke", None))
    assert list(table["num_users"].unique()) == [4, 6]
    own = table[table["num_users"] == 6].drop(columns="num_users").reset_index(drop=True)
    pd.testing.assert_frame_equal(own, demand.curve(SMOKE, demand.FEW), rtol=1e-6)


def test_a_committed_curve_is_taken_where_the_network_is_its_own(monkeypatch):
    def measured(env, worlds):
        raise InterruptedError

    monkeypatch.setattr(demand, "curve", measured)
    curves = {users: demand.known_curve(EnvConfig(num_users=users)) for users in (10, 30)}
    assert curves[10][ENERGY].max() < curves[30][ENERGY].max()
    for frames in (7, 70):
        same = EnvConfig(frames=frames, control_factor=0.3, cpu_sharing="whole")
        assert demand.known_curve(same, "quick").equals(curves[30]), "η and length change no power"
    for other in (EnvConfig(num_users=11), EnvConfig(bandwidth_hz=9e6)):
        with pytest.raises(InterruptedError):
            demand.known_curve(other)
