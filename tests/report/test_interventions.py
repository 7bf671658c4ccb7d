"""Causes: said where one thing was changed and the committed rows pass the cause's rule."""

from dataclasses import replace

import pytest

from dtlib.experiments import mechanisms, results
from dtlib.experiments.alternatives import WORTH
from dtlib.experiments.results import ENERGY
from dtlib.report import checks, interventions
from dtlib.report.judgement import Finding
from dtlib.settings.train import TrainConfig

TRAINING, HELD_OUT = checks.TRAINING, checks.HELD_OUT


def because(check, way, preset="companion"):
    source = checks.source("fig04_06", preset, way)
    evidence = check(source)
    return interventions.because(
        source, Finding("not reproduced", evidence, part=evidence.parts[0])
    )


def ends():
    return 100 * mechanisms.TABLE.read("companion").query("moment == 'end'").groupby(
        "variant"
    ).mean(numeric_only=True)


def test_m_alone_sets_beta_mappo_apart():
    own, other = (TrainConfig.from_preset("companion", algorithm=name).model_dump()
                  for name in ("beta-happo", "beta-mappo"))  # fmt: skip
    assert {name for name in own if own[name] != other[name]} == {"algorithm"}
    moved, data = ends().loc["Beta", ["effect_of_m", "effect_of_data"]]
    for metric in ("reward_global", "reward_centre"):
        text = because(checks.leads(metric, "beta-mappo"), TRAINING)
        assert f"differs by {moved:.0f} % of its length, on another episode by {data:.0f} %" in text
    assert because(checks.saves("beta-mappo"), HELD_OUT) == text


def test_draws_take_gaussian_happos_reward_away():
    fails = ends().loc["Gaussian"]
    text = because(checks.leads("reward_global", "gaussian-happo"), HELD_OUT)
    assert f"fails {fails['failed_of_draws']:.0f} % of requests with draws" in text
    assert because(checks.leads("reward_global", "gaussian-happo"), TRAINING) == ""


def test_a_bounded_gaussian_needs_less():
    original, bounded = (TrainConfig.from_preset("companion", **changes).model_dump()
                         for changes in (WORTH["Gaussian"], WORTH["bounded Gaussian"]))  # fmt: skip
    assert {name for name in original if original[name] != bounded[name]} == {"gaussian"}
    for way in (TRAINING, HELD_OUT):
        assert "a bounded one in its place" in because(checks.saves("gaussian-happo"), way)


def test_idle_slices_cost_reward_of_the_centre():
    text = because(checks.leads("reward_centre", "gaussian-happo"), HELD_OUT)
    assert "Beta-HAPPO's r_c is -1.933, and -1.873 with whole slices" in text


@pytest.mark.parametrize("other", ["beta-mappo", "gaussian-happo", "maddpg"])
def test_nothing_is_said_where_nothing_was_changed(other):
    assert because(checks.saves(other), TRAINING, "paper") == ""
    if other == "maddpg":
        assert because(checks.saves(other), TRAINING) == ""


def test_nor_at_a_point_of_a_sweep():
    source = checks.source("fig04_06", "companion", TRAINING)
    evidence = checks.saves("beta-mappo")(source)
    (part,) = evidence.parts
    at = replace(part, name=f"{part.name} at K = 30")
    assert interventions.because(source, Finding("not reproduced", evidence, part=at)) == ""


def test_a_rule_that_is_not_met_says_nothing(monkeypatch):
    """With twice the effect of M, half the draws' failures, wasteful bounds, busy slices."""
    read = results.read

    def other(folder, name, *key):
        table = read(folder, name, *key)
        if folder.name == "mechanisms":
            return table.assign(effect_of_m=9.0, failed_of_draws=table["failed_of_means"])
        if folder.name == "worth":
            bounded = table["variant"] == "bounded Gaussian"
            return table.assign(**{ENERGY: table[ENERGY].where(~bounded, 9 * table[ENERGY])})
        return table.assign(reward_centre=-1.9) if folder.name == "corrected" else table

    monkeypatch.setattr(results, "read", other)
    for against in ("beta-mappo", "gaussian-happo"):
        for check in (checks.leads("reward_global", against), checks.saves(against),
                      checks.leads("reward_centre", against)):  # fmt: skip
            assert because(check, HELD_OUT) == ""
