"""Checks of claims, on data that are made up."""

import numpy as np
import pandas as pd
import pytest

from dtlib.experiments import committed
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report import checks
from dtlib.report.quantities import below, settled, tenths, trend, unrest


def sweep(energy):
    """A sweep over x = 1, 2, 4 with ``energy(algorithm, x, seed)``."""
    rows = [
        {"algorithm": a, "seed": s, "x": x, ENERGY: energy(a, x, s), FAILED: 0.1}
        for a in (*LEARNERS, "genie")
        for x in (1, 2, 4)
        for s in range(2)
    ]
    return checks.Source("quick", {"data.csv": pd.DataFrame(rows)})


def test_trend_by_hand():
    found = sweep(lambda a, x, s: 1.0 + x if a != "genie" else 100 / x)
    values, steady = trend(found.data, ENERGY)
    assert steady and values == pytest.approx([100 * 3 / (10 / 3)] * 8)
    assert checks.rises(ENERGY)(found).verdict == "reproduced"
    assert checks.falls(ENERGY)(found).verdict == "contradicted"
    bump = sweep(lambda a, x, s: {1: 1.0, 2: 0.5, 4: 2.0}[x])
    assert checks.rises(ENERGY)(bump).verdict == "direction only"
    alone = checks.rises(ENERGY, some="x >= 4")(found)
    assert alone.verdict == "not testable" and not alone.values, "one point has no trend"


def test_lowest_everywhere():
    better = sweep(lambda a, x, s: 1.0 if a == "beta-happo" else 3.0)
    assert below(better.data, "maddpg", ENERGY) == pytest.approx([100] * 6)
    assert checks.lowest(ENERGY)(better).verdict == "reproduced"
    worse = sweep(lambda a, x, s: 1.0 if a != "maddpg" else 0.9)
    found = checks.lowest(ENERGY)(worse)
    assert found.verdict == "contradicted" and found.quantity == "energy below maddpg's, %"


def test_the_best_of_several_equals_does_not_contradict():
    noise = np.random.default_rng(0)
    equal = sweep(lambda a, x, s: 1 + 0.1 * noise.random())
    assert checks.lowest(ENERGY)(equal).verdict == "not reproduced"


def test_learning_is_seen_in_tenths():
    slots, runs = np.arange(20), []
    for algorithm, gain in zip(LEARNERS, (4, 3, 2, 1), strict=True):
        for seed in range(3):
            run = {"algorithm": algorithm, "seed": seed, "x": slots, "reward_global": gain * slots}
            runs.append(pd.DataFrame(run))
    found = checks.Source("quick", {"data.csv": pd.concat(runs)})
    ends = tenths(found.data, "reward_global")
    assert ends.loc[("beta-happo", 0)].tolist() == [2.0, 74.0]
    assert checks.learns("reward_global")(found).verdict == "reproduced"
    assert checks.highest(found).verdict == "reproduced"
    assert checks.ends_above("maddpg")(found).measured.startswith("lead over maddpg, r_g: 55.5")


def test_a_tenth_is_one_of_the_runs_own():
    """Shorter runs beside longer ones: 20 and 100 episodes, their ends are 2 and 10 of them."""
    runs = [
        pd.DataFrame({"algorithm": name, "seed": 0, "x": slots, "reward_global": slots})
        for name, slots in (("maddpg", np.arange(20)), ("beta-happo", np.arange(100)))
    ]
    ends = tenths(pd.concat(runs), "reward_global")
    assert ends.loc[("maddpg", 0)].tolist() == [0.5, 18.5]
    assert ends.loc[("beta-happo", 0)].tolist() == [4.5, 94.5]


def curves(by_algorithm):
    """Both rewards of three seeds, which differ by a constant; rows in disorder."""
    runs = [
        pd.DataFrame({"algorithm": algorithm, "seed": seed, "x": np.arange(len(curve))}).assign(
            reward_global=np.array(curve) + seed, reward_centre=np.array(curve) + seed
        )
        for algorithm, curve in by_algorithm.items()
        for seed in range(3)
    ]
    return checks.Source("quick", {"data.csv": pd.concat(runs).sample(frac=1, random_state=0)})


def test_when_a_run_has_settled():
    early, late, back = [0, 9, 10, 10, 10], [0, 1, 2, 9.5, 10], [0, 10, 5, 10, 10]
    data = curves({"beta-happo": early, "beta-mappo": late, "maddpg": back}).data
    since = settled(data, "reward_global")
    assert since["beta-happo"].tolist() == [20.0] * 3  # within 1 of 10 from the second value on
    assert since["beta-mappo"].tolist() == since["maddpg"].tolist() == [60.0] * 3
    still = settled(curves({"maddpg": [1, 1, 1, 1]}).data, "reward_global")
    assert still.tolist() == [0.0] * 3


def test_faster_and_steadier():
    fast, slow = [0, 9, 10, 10, 10, 10, 10, 10], [0, 1, 2, 3, 4, 6, 8, 10]
    found = curves({name: slow if name == "maddpg" else fast for name in LEARNERS})
    assert checks.sooner(found).verdict == "reproduced"
    assert checks.sooner(found).values == (75.0,) * 3  # from 7/8 instead of 1/8 on
    found = curves({name: fast if name == "maddpg" else slow for name in LEARNERS})
    assert checks.sooner(found).verdict == "contradicted"

    calm, rough = [9, 0, 1, 2, 3, 4], [0, 0, 0, 5, 0, 5]
    assert unrest(curves({"maddpg": rough}).data, "reward_global").iloc[0] == 50**0.5
    found = curves({name: calm if name == "beta-happo" else rough for name in LEARNERS})
    assert checks.steadier(found).verdict == "reproduced"
    found = curves({name: calm if name == "beta-mappo" else rough for name in LEARNERS})
    assert checks.steadier(found).verdict == "contradicted"


def test_data_must_cover_the_whole_figure(monkeypatch):
    whole = committed.runs_of

    def without_a_point(experiment, preset):
        return [planned for planned in whole(experiment, preset) if planned.at["num_users"] != 40]

    assert checks.source("fig07") is not None
    monkeypatch.setattr(committed, "runs_of", without_a_point)
    assert checks.source("fig07") is None
