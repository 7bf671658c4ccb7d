"""The rule that learners are held against: its curve, and where a committed one is taken."""

import pandas as pd
import pytest

from dtlib import EnvConfig, TrainConfig
from dtlib.experiments import demand, results
from dtlib.experiments.baseline import DEMAND_LEVELS, at_level
from dtlib.experiments.comparison import at_failures
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.runtime import paths
from dtlib.training.evaluation import evaluate_policy, evaluation_env

SMOKE = TrainConfig.from_preset("smoke").env


def test_a_curve_ends_where_fewest_fail():
    env = evaluation_env(SMOKE)
    found = demand.curve(SMOKE, 1)
    failed, energy = found[FAILED], found[ENERGY]
    assert failed.iloc[-1] == failed.min() < failed.iloc[:-1].min() < failed.iloc[0]
    assert energy.is_monotonic_increasing and 1 < len(found) < len(DEMAND_LEVELS)
    beyond = at_level(env, "demand-or-silence", DEMAND_LEVELS[len(found)])
    assert evaluate_policy(beyond, env, 1).summary()[FAILED] >= failed.min()
    assert at_failures(found, failed.iloc[3], FAILED) == pytest.approx(energy.iloc[3])


def test_a_table_has_a_curve_for_each_number_of_users(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    folder = demand.TABLE.write("smoke", jobs=1)
    table = results.read(folder, results.DATA, demand.table_key("smoke"))
    assert list(table["num_users"].unique()) == [4, 6]
    own = table[table["num_users"] == 6].drop(columns="num_users").reset_index(drop=True)
    pd.testing.assert_frame_equal(own, demand.curve(SMOKE, demand.FEW), rtol=1e-6)


def test_a_committed_curve_is_taken_where_the_network_is_its_own(monkeypatch):
    def measured(env, worlds):
        raise InterruptedError

    monkeypatch.setattr(demand, "curve", measured)
    curves = {users: demand.known_curve(EnvConfig(num_users=users)) for users in (10, 30)}
    assert curves[10][ENERGY].max() < curves[30][ENERGY].max()
    short = EnvConfig(frames=7, control_factor=0.3)
    assert demand.known_curve(short, "quick").equals(curves[30]), "η and length change no power"
    for other in (EnvConfig(num_users=11), EnvConfig(bandwidth_hz=9e6)):
        with pytest.raises(InterruptedError):
            demand.known_curve(other)
