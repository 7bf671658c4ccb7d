"""Checks of sentences, on data that are made up."""

import numpy as np
import pandas as pd
import pytest

from dtlib.experiments import committed
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.verdicts import checks, claims
from dtlib.verdicts.judgement import judge
from dtlib.verdicts.names import label

SEEDS = range(3)


def found(check, source):
    return judge([check(source)])[0]


def sweep(energy, failed=lambda a, x, s: 0.1, xs=(1, 2, 4)):
    """A sweep with ``energy(algorithm, x, seed)``; seeds differ a little."""
    rows = [
        {"algorithm": a, "seed": s, "x": x, FAILED: failed(a, x, s),
         ENERGY: energy(a, x, s) * (1 + 0.001 * ((7 * s + 3 * x + len(a)) % 5))}
        for a in (*LEARNERS, "genie") for x in xs for s in SEEDS
    ]  # fmt: skip
    return checks.Source("quick", {"data.csv": pd.DataFrame(rows)})


def test_trend_of_each_learner_by_itself():
    rising = sweep(lambda a, x, s: 1.0 + x if a != "genie" else 100 / x)
    evidence = checks.trend(ENERGY)(rising)
    assert [part.name for part in evidence.parts] == [
        f"{label(name)} from 1 to 4" for name in sorted(LEARNERS)
    ]
    assert evidence.parts[0].values == pytest.approx([90.0] * 3, rel=0.01)
    assert evidence.parts[0].ratios == pytest.approx([2.5] * 3, rel=0.01)
    assert ": times 2.5 [" in found(checks.trend(ENERGY), rising).measured
    assert found(checks.trend(ENERGY), rising).verdict == "reproduced"
    assert found(checks.trend(ENERGY, -1), rising).verdict == "contradicted"
    but_one = sweep(lambda a, x, s: 1.0 if a == "maddpg" else 1.0 + x)
    assert found(checks.trend(ENERGY), but_one).verdict == "not reproduced"


def test_a_trend_that_turns_holds_in_part():
    bump = sweep(lambda a, x, s: {1: 1.0, 2: 0.5, 4: 2.0}[x])
    assert found(checks.trend(ENERGY), bump).verdict == "reproduced in part"
    alone = found(checks.trend(ENERGY, some="x >= 4"), bump)
    assert alone.verdict == "not testable" and not alone.evidence.parts, "one point has no trend"


def test_trend_along_another_axis():
    rows = [
        {"algorithm": "beta-happo", "seed": s, "x": d, "data_bits_max": d, "bandwidth_hz": b,
         ENERGY: (1 + 0.001 * s) * d / b}
        for d in (20e3, 30e3) for b in (8e6, 12e6) for s in SEEDS
    ]  # fmt: skip
    source = checks.Source("quick", {"data.csv": pd.DataFrame(rows)})
    evidence = checks.trend(ENERGY, -1, axis="bandwidth_hz", other="data_bits_max")(source)
    assert [part.name for part in evidence.parts] == [
        f"Beta-HAPPO at {size}\N{NO-BREAK SPACE}Kb from 8\N{NO-BREAK SPACE}MHz to "
        "12\N{NO-BREAK SPACE}MHz"
        for size in (20, 30)
    ]
    assert evidence.parts[0].values == pytest.approx([-40.0] * 3)


def test_failures_change_by_points():
    rising = sweep(lambda a, x, s: 1.0, lambda a, x, s: 0.1 * x + 0.001 * s * x)
    evidence = checks.trend(FAILED)(rising)
    assert evidence.parts[0].values == pytest.approx([30.0, 30.3, 30.6])
    assert (evidence.unit, evidence.margin) == ("points", 1.0)


def test_lowest_at_every_point_against_every_other():
    better = sweep(lambda a, x, s: 1.0 if a == "beta-happo" else 3.0)
    evidence = checks.lowest(ENERGY, "K")(better)
    assert len(evidence.parts) == 9 and evidence.parts[-1].name == "against MADDPG at K = 4"
    assert evidence.parts[0].values == pytest.approx([100.0] * 3, rel=0.01)
    assert evidence.parts[0].wins == 1.0 and evidence.show(100.0) == pytest.approx(200 / 3)
    assert found(checks.lowest(ENERGY, "K"), better).verdict == "reproduced"
    at_one = sweep(lambda a, x, s: 1.0 if a != "maddpg" or x != 2 else 0.9)
    finding = found(checks.lowest(ENERGY, "K"), at_one)
    assert finding.verdict == "contradicted" and finding.part.name == "against MADDPG at K = 2"
    assert finding.part.wins == 0.0
    nearly = sweep(lambda a, x, s: 1.0 if a != "maddpg" or x != 2 else 0.99)
    assert found(checks.lowest(ENERGY, "K"), nearly).verdict == "not reproduced", "no one sees 1 %"


def test_a_learner_that_the_paper_does_not_have_is_compared_too():
    assert checks.paper_gap("ours") == checks.paper_gap("beta-mappo"), "the least of its savings"


def test_fails_least_in_points():
    best = sweep(lambda a, x, s: 1.0, lambda a, x, s: (0.1 if a == "beta-happo" else 0.2) + s / 1e3)
    evidence = checks.lowest(FAILED, "K", "x > 1")(best)
    assert len(evidence.parts) == 6 and evidence.parts[0].values == pytest.approx([10.0] * 3)


def test_none_and_all_fail():
    none, all_of = checks.failing(0, "x <= 2"), checks.failing(100, "x == 4")
    few = sweep(lambda a, x, s: 1.0, lambda a, x, s: {1: 0.002, 2: 0.005, 4: 0.999}[x] + s / 1e4)
    assert found(none, few).verdict == found(all_of, few).verdict == "reproduced"
    many = sweep(lambda a, x, s: 1.0, lambda a, x, s: {1: 0.002, 2: 0.08, 4: 0.9}[x] + s / 1e4)
    assert found(none, many).verdict == found(all_of, many).verdict == "contradicted"
    assert found(none, many).part.name == "K = 2"
    some = checks.failing(100, "x == 4", short=True)
    assert found(some, few).verdict == "contradicted" and found(some, many).verdict == "reproduced"


def curves(by_algorithm, held_out=None):
    """Both rewards and the energy of three seeds, which hardly differ; rows in disorder."""
    runs = [
        pd.DataFrame({"algorithm": algorithm, "seed": seed, "x": np.arange(len(curve))}).assign(
            **dict.fromkeys(
                ("reward_global", "reward_centre", ENERGY), np.array(curve) + 0.01 * seed
            )
        )
        for algorithm, curve in by_algorithm.items()
        for seed in SEEDS
    ]
    tables = {"data.csv": pd.concat(runs).sample(frac=1, random_state=0, ignore_index=True)}
    if held_out:
        tables["evaluation.csv"] = pd.DataFrame(
            {"algorithm": a, "seed": s, "world": w, ENERGY: e * (1 + 0.01 * s) + w - 0.5}
            for a, e in held_out.items() for s in SEEDS for w in range(2)
        )  # fmt: skip
    return checks.Source("quick", tables, checks.TRAINING)


def test_learning_is_seen_in_tenths():
    slots = np.arange(20)
    source = curves({name: gain * slots for name, gain in zip(LEARNERS, (4, 3, 2, 1), strict=True)})
    evidence = checks.learns("reward_global")(source)
    by_name = {part.name: part.values for part in evidence.parts}
    assert by_name["Beta-HAPPO"] == pytest.approx([100 * 72 / 73.5] * 3)  # from 2 to 74 of 0.5 … 74
    assert found(checks.learns("reward_global"), source).verdict == "reproduced"
    lead = checks.leads("reward_global", "gaussian-happo", "maddpg")(source)
    assert [part.name for part in lead.parts] == ["against Gaussian-HAPPO", "against MADDPG"]
    assert lead.parts[1].values == pytest.approx([100 * 55.5 / 73.5] * 3)
    falling = curves(dict.fromkeys(LEARNERS, 100.0 - slots))
    assert found(checks.energy_falls, falling).verdict == "reproduced"
    but_one = curves(dict.fromkeys(LEARNERS, 100.0 - slots) | {"maddpg": 100.0 + slots})
    assert found(checks.energy_falls, but_one).verdict == "contradicted"


def test_savings_in_training_and_in_held_out_worlds():
    source = curves({"beta-happo": [9, 3.0], "maddpg": [9, 4.0]}, {"beta-happo": 3, "maddpg": 6})
    in_training = checks.saves("maddpg")(source)
    assert in_training.show(np.mean(in_training.parts[0].values)) == pytest.approx(25, abs=0.2)
    held_out = checks.Source("quick", source.tables, checks.HELD_OUT)
    evidence = checks.saves("maddpg")(held_out)
    assert evidence.parts[0].values == pytest.approx([200 / 3] * 3)
    assert evidence.show(200 / 3) == pytest.approx(50)
    assert evidence.show(evidence.reported) == pytest.approx(41.08)


def test_faster_and_steadier():
    fast, slow = [0, 9, 10, 10, 10, 10, 10, 10], [0, 1, 2, 3, 4, 6, 8, 10]
    source = curves({name: slow if name == "maddpg" else fast for name in LEARNERS})
    evidence = checks.faster(source)
    assert len(evidence.parts) == 4 and evidence.needed == 6
    assert evidence.parts[0].values == pytest.approx([500 / 7] * 3)  # at 2 instead of 7 of 7

    calm, rough = [9, 0, 1, 2, 3, 4], [0, 0, 0, 5, 0, 5]
    source = curves({name: calm if name == "beta-happo" else rough for name in LEARNERS})
    assert found(checks.steadier("reward_global"), source).verdict == "reproduced"
    source = curves({name: calm if name == "beta-mappo" else rough for name in LEARNERS})
    assert found(checks.steadier("reward_global"), source).verdict == "contradicted"


@pytest.mark.parametrize(
    "kept, note",
    [
        (lambda run: True, ""),
        (lambda run: run.at.get("control_factor") != 1.3, "36 of 42 planned runs are committed"),
        (lambda run: run.config.seed < 2, "14 of 42 planned runs are committed"),
        (lambda run: False, "no run is committed"),
    ],
)
def test_nothing_is_judged_before_all_planned_runs_are_there(kept, note, monkeypatch):
    whole = committed.runs_of
    monkeypatch.setattr(committed, "runs_of", lambda *of: [run for run in whole(*of) if kept(run)])
    assert checks.lacking("fig12", "companion") == note
    assert (checks.source("fig12", "companion") is None) == bool(note)
    notes = {row.finding.note for row in claims.judged("companion") if row.claim.figure == "fig12"}
    assert notes == {note}
