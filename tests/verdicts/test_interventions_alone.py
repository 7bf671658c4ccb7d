"""Causes of sweeps and of one learner's training: said where the rows pass the cause's rule."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from judged import HELD_OUT, TRAINING, because, decided

from dtlib.experiments import results
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.verdicts import checks, interventions
from dtlib.verdicts.judgement import Finding, Part, judge


def test_control_factor_acts_by_powers_of_ten():
    """Between η = 0.7 and 1.3 lies less than a tenth of the way from 0.001 to 1."""
    rows = results.table("companion", "silence", EVALUATION).groupby(["variant", "seed"])
    ends = [rows[[ENERGY, FAILED]].mean().loc[f"watts, eta={eta}"] for eta in ("0.001", "1")]
    share = math.log(1.3 / 0.7) / math.log(1000)
    energy = decided(interventions.powers_of_ten, checks.trend(ENERGY), figure="fig12")
    rise = np.log(ends[1][ENERGY] / ends[0][ENERGY]).mean()
    assert f"from 0.001 to 1 the change of energy is times {np.exp(rise):.3g} [" in energy
    assert f"0.7 to 1.3 would change it by {100 * np.expm1(share * rise):.2g} %" in energy
    failed = decided(interventions.powers_of_ten, checks.trend(FAILED, -1), figure="fig12")
    points = 100 * (ends[1][FAILED] - ends[0][FAILED]).mean()
    assert f"the change of failed requests is {points:.3g} points [" in failed
    assert f"would change it by {share * points:.2g} points" in failed
    alone = Part("one seed", (), (), effect=1.0)
    one = decided(interventions.powers_of_ten, checks.trend(ENERGY), figure="fig12", part=alone)
    assert one == "", "a single seed has no trend"
    for wrong in (checks.trend(ENERGY, -1), checks.trend(FAILED)):
        assert decided(interventions.powers_of_ten, wrong, figure="fig12") == ""


def test_a_bounded_gaussian_is_sooner():
    text = decided(interventions.bounded_is_sooner, checks.faster, TRAINING)
    assert "in 5 of 5 seeds, by 36 % of MADDPG's training or more" in text


def test_learning_lowers_energy_where_all_fail():
    rows = checks.source("fig13_14", "companion").data.query("algorithm == 'power-on-demand'")
    first, last = (rows.query("x == @users")[ENERGY].mean() for users in (50, 60))
    text = decided(interventions.learning_saves, checks.trend(ENERGY), figure="fig13_14")
    assert f"needs {last / first:.3g} times as much at 60 as at 50" in text
    assert decided(interventions.learning_saves, checks.trend(ENERGY), figure="fig10") == ""
    falls = checks.trend(ENERGY, -1)
    assert decided(interventions.learning_saves, falls, figure="fig13_14") == ""


def longer(times, *, backwards=False):
    """MADDPG's runs as if they were Beta-HAPPO's, but for so many times the energy."""
    whole = {file: results.table("companion", "fig04_06", file) for file in (DATA, EVALUATION)}

    def table(file):
        rows = (
            whole[file].query("algorithm == 'beta-happo' and seed < 3").assign(algorithm="maddpg")
        )
        if backwards and file == DATA:
            rows["x"] = -rows["x"]
        return rows.assign(**{ENERGY: times * rows[ENERGY]})

    return table


@pytest.mark.parametrize("way", [TRAINING, HELD_OUT])
def test_maddpg_with_as_many_slots(way, as_if):
    check = checks.saves("maddpg")
    as_if["equal_slots"] = longer(1 / (1 - 0.4108))
    text = because(check, way, verdict="reproduced in part")
    assert "with as many slots for MADDPG, Beta-HAPPO saves 41.1 % [41.1, 41.1] (3 seeds)" in text
    as_if["equal_slots"] = longer(2.0)
    assert because(check, way, verdict="reproduced in part") == "", "that is not the paper's number"


def test_maddpg_is_trained_longer(as_if):
    as_if["equal_slots"] = longer(2.0)
    text = decided(interventions.trained_longer, checks.energy_falls, TRAINING)
    assert "with 300,000 slots its energy changes by -" in text and text.endswith("(3 seeds)")
    as_if["equal_slots"] = longer(2.0, backwards=True)
    assert decided(interventions.trained_longer, checks.energy_falls, TRAINING) == ""


def without_slices(monkeypatch, **failed):
    """Say why requests fail up to 25 users, with what share of them fails without slices."""
    variants = {"divided": failed["divided"], "divided, strict": failed["strict"]}
    table = pd.DataFrame(
        {"variant": name, "seed": seed, "x": x, FAILED: ratio + seed * 1e-4}
        for name, ratios in variants.items()
        for x, ratio in zip((10, 15, 20, 25), ratios, strict=True) for seed in range(3)
    )  # fmt: skip
    monkeypatch.setattr(results, "table", lambda *which: table)
    points = pd.DataFrame({"algorithm": "beta-happo", "x": [10, 15, 20, 25, 30], FAILED: 0.1})
    found = checks.Source("companion", {DATA: points})
    evidence = checks.failing(0, "x <= 25")(found)
    return interventions.without_slices(found, Finding("contradicted", evidence))


def test_slices_are_why_requests_fail_if_none_does_without_them(monkeypatch):
    few, many = [0.001, 0.002, 0.003, 0.004], [0.001, 0.002, 0.0099, 0.004]
    text = without_slices(monkeypatch, divided=few, strict=many)
    assert (
        "CPU, Beta-HAPPO fails in 0.11, 0.21, 0.31, 0.41 % of requests at K = 10, 15" in text.said
    )
    text = without_slices(monkeypatch, divided=many, strict=few)
    assert "divide their CPU and (14b) allows 1 % of slots, Beta-HAPPO fails in 0.11" in text.said
    text = without_slices(monkeypatch, divided=many, strict=many)
    assert text.said == "", "0.0099 on average at 20"
    assert "in 0.11, 0.21, 1.00, 0.41 % of requests at" in text.measured
    assert "(3 seeds; intervals end at up to 1 %)" in text.measured
    monkeypatch.undo()
    assert results.table("paper", "divided") is None


@pytest.mark.parametrize("served, told", [(0.05, "with whole slices, 5 % of"), (0.006, "")])
def test_another_action_serves_more(served, told, as_if):
    """Levels serve most on average, and no interval says so; of silence there are too few seeds."""
    shares = {
        "watts": [0.001] * 4, "levels": [0.0, 0.2, 0.1], "levels or silence": [0.5],
        "whole slices": [served] * 4,
    }  # fmt: skip
    as_if["crowd"] = lambda file: pd.DataFrame(
        {"variant": name, "seed": seed, FAILED: 1 - share + seed * 1e-5}
        for name, values in shares.items() for seed, share in enumerate(values)
    )  # fmt: skip
    check = checks.failing(100, "x < 58", short=True)
    text = decided(interventions.another_action, check, figure="fig13_14")
    assert told in text if told else text == ""
    assert not told or "0.099 % as it is, 4.9 points less [4.9, 4.9] (4 seeds)" in text


def test_what_the_seeds_would_show_does_not_go_unseen():
    source = checks.source("fig12", "companion", HELD_OUT)
    (finding,) = judge([checks.trend(ENERGY)(source)])
    calm = replace(finding.part, values=tuple(1e-6 * value for value in finding.part.values))
    assert interventions.powers_of_ten(source, finding)
    assert not interventions.powers_of_ten(source, replace(finding, part=calm))


def test_a_bounded_gaussian_that_is_no_sooner_explains_nothing(as_if):
    found = results.table("companion", "worth")
    bounded = found["variant"] == "bounded Gaussian"
    low = {name: found[name].where(~bounded, -1e9) for name in interventions.SYMBOLS}
    as_if["worth"] = lambda file: found.assign(**low)
    assert decided(interventions.bounded_is_sooner, checks.faster, TRAINING) == ""
    source = checks.source("fig04_06", "companion", TRAINING)
    (finding,) = judge([checks.faster(source)])
    change = interventions.bounded_is_sooner(source, finding)
    assert change.measured.endswith("both rewards are there sooner in 0 of 5 seeds")
    as_if["worth"] = lambda file: found.assign(seed=found["seed"] + 100)
    assert interventions.bounded_is_sooner(source, finding) is None, "no seed in common"


def test_nor_at_a_point_of_a_sweep():
    source = checks.source("fig09", "companion")
    evidence = checks.lowest(ENERGY, "M")(source)
    assert {part.at for part in evidence.parts} == {3, 4, 5, 6, 7}
    for part in evidence.parts:
        finding = Finding("not reproduced", evidence, part=part)
        assert interventions.of_comparison(source, finding) is None


def test_a_saving_below_the_papers_is_not_the_papers(as_if):
    as_if["equal_slots"] = longer(1.2)
    assert because(checks.saves("maddpg"), HELD_OUT, verdict="reproduced in part") == ""
