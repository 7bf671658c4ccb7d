"""Claims: verdicts follow from numbers, and the kept table from the committed results."""

import numpy as np
import pandas as pd
import pytest

from dtlib.experiments import datasets, grids
from dtlib.experiments.grids import LEARNERS
from dtlib.report import claims
from dtlib.runtime import paths

UP, DOWN, BOTH = (1.0, 1.2, 0.9, 1.1), (-1.0, -1.2, -0.9), (-1.0, 1.1, 0.1, -0.2)


@pytest.mark.parametrize(
    ("values", "steady", "verdict"),
    [
        (UP, True, "reproduced"),
        (UP, False, "direction only"),
        (BOTH, True, "not reproduced"),
        (DOWN, True, "contradicted"),
        (UP[:2], True, "not testable"),
        ((), True, "not testable"),
    ],
)
def test_judge_sign(values, steady, verdict):
    assert claims.judge_sign(values, "x", steady).verdict == verdict


@pytest.mark.parametrize(
    ("values", "reported", "verdict"),
    [
        (UP, 1.05, "reproduced"),
        (UP, 3.0, "direction only"),
        (BOTH, 0.0, "direction only"),
        (DOWN, 1.0, "contradicted"),
        (UP[:2], 1.0, "not testable"),
    ],
)
def test_judge_number(values, reported, verdict):
    """An interval with both signs does not show the direction, but may hold the number."""
    found = claims.judge_number(values, reported, "x").verdict
    assert found == ("reproduced" if values == BOTH else verdict)


def test_a_number_that_is_missed_with_no_sign():
    assert claims.judge_number(BOTH, 5.0, "x").verdict == "not reproduced"


def test_judge_level():
    def judge(values):
        return claims.judge_level(
            values, lambda low, high: low >= 99, "%", lambda low, high: high < 50
        ).verdict

    assert judge([99.5, 100, 100]) == "reproduced"
    assert judge([98, 60, 100]) == "not reproduced"
    assert judge([3, 4, 5]) == "contradicted"
    assert judge([100, 100]) == "not testable"


def test_text_has_mean_and_interval():
    text = claims.Finding("reproduced", "saved, %", (1.0, 2.0, 3.0)).measured
    assert text.startswith("saved, %: 2 [") and text.endswith("(n = 3)")


def sweep(energy):
    """A sweep over x = 1, 2, 4 with ``energy(algorithm, x, seed)``."""
    rows = [
        {"algorithm": a, "seed": s, "x": x, claims.ENERGY: energy(a, x, s), claims.FAILED: 0.1}
        for a in (*LEARNERS, "genie")
        for x in (1, 2, 4)
        for s in range(2)
    ]
    return claims.Source("quick", {"data.csv": pd.DataFrame(rows)})


def test_trend_by_hand():
    found = sweep(lambda a, x, s: 1.0 + x if a != "genie" else 100 / x)
    values, steady = claims.trend(found.data, claims.ENERGY)
    assert steady and values == pytest.approx([100 * 3 / (10 / 3)] * 8)
    assert claims._trend(claims.ENERGY)(found).verdict == "reproduced"
    assert claims._trend(claims.ENERGY, -1)(found).verdict == "contradicted"
    bump = sweep(lambda a, x, s: {1: 1.0, 2: 0.5, 4: 2.0}[x])
    assert claims._trend(claims.ENERGY)(bump).verdict == "direction only"
    alone = claims._trend(claims.ENERGY, some="x >= 4")(found)
    assert alone.verdict == "not testable" and not alone.values, "one point has no trend"


def test_trend_along_another_axis():
    rows = [
        {"algorithm": "beta-happo", "seed": s, "x": d, "data_bits_max": d, "bandwidth_hz": b,
         claims.ENERGY: d / b}
        for d in (20.0, 30.0) for b in (8.0, 12.0) for s in range(2)
    ]  # fmt: skip
    data = pd.DataFrame(rows)
    values, steady = claims.trend(data, claims.ENERGY, "bandwidth_hz")
    assert len(values) == 4 and not steady and max(values) < 0
    values, steady = claims.trend(data, claims.ENERGY)
    assert len(values) == 4 and steady and min(values) > 0


def test_lowest_everywhere():
    better = sweep(lambda a, x, s: 1.0 if a == "beta-happo" else 3.0)
    assert claims.below(better.data, "maddpg", claims.ENERGY) == pytest.approx([100] * 6)
    assert claims._lowest(claims.ENERGY)(better).verdict == "reproduced"
    worse = sweep(lambda a, x, s: 1.0 if a != "maddpg" else 0.9)
    found = claims._lowest(claims.ENERGY)(worse)
    assert found.verdict == "contradicted" and found.quantity == "energy below maddpg's, %"


def test_the_best_of_several_equals_does_not_contradict():
    noise = np.random.default_rng(0)
    equal = sweep(lambda a, x, s: 1 + 0.1 * noise.random())
    assert claims._lowest(claims.ENERGY)(equal).verdict == "not reproduced"


def test_savings_pair_seeds():
    rows = [
        {"algorithm": a, "seed": s, "world": w, claims.ENERGY: e * (1 + s) + w - 0.5}
        for a, e in (("beta-happo", 3.0), ("maddpg", 4.0))
        for s in range(3)
        for w in range(2)
    ]
    data = pd.DataFrame(rows)
    data = data[~((data["algorithm"] == "maddpg") & (data["seed"] == 2))]
    assert claims.saving(data, "maddpg") == pytest.approx([25, 25])


def test_learning_is_seen_in_tenths():
    slots, runs = np.arange(20), []
    for algorithm, gain in zip(LEARNERS, (4, 3, 2, 1), strict=True):
        for seed in range(3):
            run = {"algorithm": algorithm, "seed": seed, "x": slots, "reward_global": gain * slots}
            runs.append(pd.DataFrame(run))
    found = claims.Source("quick", {"data.csv": pd.concat(runs)})
    ends = claims.tenths(found.data, "reward_global")
    assert ends.loc[("beta-happo", 0)].tolist() == [2.0, 74.0]
    assert claims._rises("reward_global")(found).verdict == "reproduced"
    assert claims._highest(found).verdict == "reproduced"
    assert claims._above("maddpg")(found).measured.startswith("lead over maddpg, r_g: 55.5")


def curves(by_algorithm):
    """Both rewards of three seeds, which differ by a constant; rows in disorder."""
    runs = [
        pd.DataFrame({"algorithm": algorithm, "seed": seed, "x": np.arange(len(curve))}).assign(
            reward_global=np.array(curve) + seed, reward_centre=np.array(curve) + seed
        )
        for algorithm, curve in by_algorithm.items()
        for seed in range(3)
    ]
    return claims.Source("quick", {"data.csv": pd.concat(runs).sample(frac=1, random_state=0)})


def test_when_a_run_has_settled():
    early, late, back = [0, 9, 10, 10, 10], [0, 1, 2, 9.5, 10], [0, 10, 5, 10, 10]
    data = curves({"beta-happo": early, "beta-mappo": late, "maddpg": back}).data
    since = claims.settled(data, "reward_global")
    assert since["beta-happo"].tolist() == [20.0] * 3  # within 1 of 10 from the second value on
    assert since["beta-mappo"].tolist() == since["maddpg"].tolist() == [60.0] * 3
    still = claims.settled(curves({"maddpg": [1, 1, 1, 1]}).data, "reward_global")
    assert still.tolist() == [0.0] * 3


def test_faster_and_steadier():
    fast, slow = [0, 9, 10, 10, 10, 10, 10, 10], [0, 1, 2, 3, 4, 6, 8, 10]
    found = curves({name: slow if name == "maddpg" else fast for name in LEARNERS})
    assert claims._sooner(found).verdict == "reproduced"
    assert claims._sooner(found).values == (75.0,) * 3  # from 7/8 instead of 1/8 on
    found = curves({name: fast if name == "maddpg" else slow for name in LEARNERS})
    assert claims._sooner(found).verdict == "contradicted"

    calm, rough = [9, 0, 1, 2, 3, 4], [0, 0, 0, 5, 0, 5]
    assert claims.unrest(curves({"maddpg": rough}).data, "reward_global").iloc[0] == 50**0.5
    found = curves({name: calm if name == "beta-happo" else rough for name in LEARNERS})
    assert claims._steadier(found).verdict == "reproduced"
    found = curves({name: calm if name == "beta-mappo" else rough for name in LEARNERS})
    assert claims._steadier(found).verdict == "contradicted"


def test_data_must_cover_the_whole_figure(monkeypatch):
    whole = datasets.kept

    def without_a_point(experiment, preset):
        return [one for one in whole(experiment, preset) if one.at["num_users"] != 40]

    assert claims.source("fig07") is not None
    monkeypatch.setattr(datasets, "kept", without_a_point)
    assert claims.source("fig07") is None


def test_every_claim_is_about_a_figure():
    assert {grids.find(one.figure).name for one in claims.CLAIMS} == {
        "fig04_06", "fig07_08", "fig09", "fig10", "fig11", "fig12", "fig13_14",
    }  # fmt: skip


def test_the_kept_table_is_what_the_results_say():
    """Recomputed from the committed CSVs; the book's landing page shows this file."""
    assert claims.kept() == claims.text(claims.verdicts()), "run `dtlib claims`"
    index = (paths.root() / "book" / "index.md").read_text(encoding="utf-8")
    assert f"../{claims.place().relative_to(paths.root())}" in index
