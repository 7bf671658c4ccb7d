"""Causes: said where one thing was changed and the committed rows pass the cause's rule."""

import numpy as np
import pandas as pd
import pytest
from judged import because, decided, tried

from dtlib.experiments import results
from dtlib.experiments.alternatives import HELD_BACK, UNSHARED, WORTH
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.settings.train import TrainConfig
from dtlib.verdicts import checks, interventions
from dtlib.verdicts.judgement import Finding
from dtlib.verdicts.quantities import height, tenths

TRAINING, HELD_OUT = checks.TRAINING, checks.HELD_OUT


def test_draws_take_gaussian_happos_reward_away_only_if_means_give_it_back(as_if):
    """Five seeds show that it fails more with draws, and not that it does not with means."""
    found = results.table("companion", "mechanisms")
    lead = checks.leads("reward_global", "gaussian-happo")
    assert because(lead, HELD_OUT) == because(lead, TRAINING) == ""
    assert (
        "tried: in the same worlds Gaussian-HAPPO fails 7.2 points [2.9, 12] more than "
        "Beta-HAPPO with draws, and 0.62 points [-2.6, 3.8] more with means (5 seeds)"
    ) in tried(lead, HELD_OUT)
    of_beta = found[found["variant"] == "Beta"].set_index(["seed", "moment"])["failed_of_means"]
    calm = of_beta.loc[list(zip(found["seed"], found["moment"], strict=True))].to_numpy()
    as_if["mechanisms"] = lambda file: found.assign(failed_of_means=calm)
    assert "and 0 points [0, 0] more with means" in because(lead, HELD_OUT)
    more = calm + 0.011 * (found["variant"] == "Gaussian")
    as_if["mechanisms"] = lambda file: found.assign(failed_of_means=more)
    assert because(lead, HELD_OUT) == ""


def test_a_bounded_gaussian_differs_in_nothing_else():
    original, bounded = (TrainConfig.from_preset("companion", **changes).model_dump()
                         for changes in (WORTH["Gaussian"], WORTH["bounded Gaussian"]))  # fmt: skip
    assert {name for name in original if original[name] != bounded[name]} == {"gaussian"}
    for way in (TRAINING, HELD_OUT):
        text = because(checks.saves("gaussian-happo"), way)
        assert "a bounded Gaussian in place" not in text  # what is saved of it is not the paper's


def test_as_printed_it_is_not_shown_who_needs_less_for_a_served_request():
    """Beta-HAPPO needs several times Gaussian-HAPPO's energy there, and serves more."""
    ends = tenths(checks.source("fig04_06", "paper", TRAINING).data, "failure_ratio_requests")
    served = 1 - ends["last"].groupby("algorithm").mean()
    assert served["beta-happo"] > 5 * served["gaussian-happo"]
    check = checks.saves("gaussian-happo")
    assert because(check, TRAINING, "paper", "contradicted") == ""
    text = "tried: per served one, the energy saved is 19.7 % [-8.03, 40.9], 5 seeds"
    assert text in tried(check, TRAINING, "paper")


def test_idle_slices_cost_reward_of_the_centre_if_whole_ones_put_it_above(as_if):
    """Three seeds are above Gaussian-HAPPO's on average, and do not show it."""
    lead = checks.leads("reward_centre", "gaussian-happo")
    assert because(lead, HELD_OUT) == ""
    assert (
        "tried: Beta-HAPPO's r_c is above Gaussian-HAPPO's by -0.053 [-0.061, -0.045], and with "
        "whole slices by 0.0068 [-0.0049, 0.018] (3 seeds)"
    ) in tried(lead, HELD_OUT)
    found = results.table("companion", "corrected")
    more = found["reward_centre"] + 0.02 * (found["done"] == "whole slices")
    as_if["corrected"] = lambda file: found.assign(reward_centre=more)
    assert "with whole slices by 0.027 [0.015, 0.038]" in because(lead, HELD_OUT)
    own = found["algorithm"] == "beta-happo"
    as_if["corrected"] = lambda file: found.assign(reward_centre=more.where(own, 9.0))
    assert because(lead, HELD_OUT), "of Beta-HAPPO alone"


@pytest.mark.parametrize("other", ["beta-mappo", "maddpg"])
def test_nothing_is_said_where_nothing_was_changed(other):
    assert because(checks.saves(other), TRAINING, "paper") == ""
    if other == "maddpg":
        assert because(checks.saves(other), TRAINING) == ""


def test_m_is_no_cause_where_it_moves_as_much_and_makes_a_difference():
    """With 40 users M moves an update as it does with 10, and fewer requests fail in each seed."""
    moved = results.table("companion", "effect_of_m").groupby(["figure", "x"]).mean()
    assert (moved["effect_of_m"] < moved["effect_of_data"]).all()
    runs = results.table("companion", "fig07_08").query("x == 40")
    failed = runs.pivot_table(FAILED, "seed", "algorithm")
    assert (failed["beta-happo"] < failed["beta-mappo"]).all() and len(failed) == 6
    assert because(checks.saves("beta-mappo"), TRAINING) == ""


def test_beta_happo_leads_where_users_have_networks_and_one_reward():
    """In six seeds of six; a network each alone is not enough, and for neither is energy."""
    runs = results.table("companion", "unshared", EVALUATION)
    failed = 100 * runs.pivot_table(FAILED, "seed", "variant")
    what = "a network each, joint credit"
    less = failed[f"beta-mappo, {what}"] - failed[f"beta-happo, {what}"]
    assert (less > 7).all() and len(less) == 6 and round(less.mean(), 1) == 11.3
    text = because(checks.leads("reward_global", "beta-mappo"), TRAINING)
    assert f"and learn from their differences to r_g: with {what}, the lead is 18 %" in text
    text = because(checks.leads("reward_centre", "beta-mappo"), TRAINING)
    assert f"and learn from their differences to r_g: with {what}, the lead is 27.9 %" in text
    assert because(checks.saves("beta-mappo"), HELD_OUT) == ""


def test_a_rule_that_is_not_met_says_nothing(monkeypatch):
    """With half the draws' failures, wasteful bounds, busy slices."""
    read = results.read

    def other(folder, name, *key):
        table = read(folder, name, *key)
        if folder.name == "unshared":
            return None
        if folder.name == "mechanisms":
            return table.assign(failed_of_draws=table["failed_of_means"])
        if folder.name == "worth":
            bounded = table["variant"] == "bounded Gaussian"
            return table.assign(**{ENERGY: table[ENERGY].where(~bounded, 9 * table[ENERGY])})
        return table.assign(reward_centre=-1.9) if folder.name == "corrected" else table

    monkeypatch.setattr(results, "read", other)
    for against in ("beta-mappo", "gaussian-happo"):
        for check in (checks.leads("reward_global", against), checks.saves(against),
                      checks.leads("reward_centre", against)):  # fmt: skip
            assert because(check, HELD_OUT, verdict="reproduced in part") == ""


def without_common_weights(monkeypatch, **leads):
    """As if runs of ``unshared`` were committed.

    With a lead in r_g, in % of Fig. 4's height, a saving, in % of Beta-MAPPO's energy, and by how
    much the lead of a seed is to either side.
    """
    percent = height(results.table("companion", "fig04_06"), "reward_global") / 100
    rows = [
        {"algorithm": name, "variant": f"{name}, {what}", "seed": seed, "x": x,
         "reward_global": reward + percent * ahead * (lead + aside * (-1) ** seed),
         ENERGY: energy * (1 + seed / 1000)}
        for what, (lead, saved, aside) in zip(UNSHARED, leads.values(), strict=True)
        for name, ahead, energy in (("beta-happo", 1, 1 - saved / 100), ("beta-mappo", 0, 1.0))
        for seed in range(6)
        for x, reward in ((1, -1000.0), (2, -100.0))
    ]  # fmt: skip
    table, read = pd.DataFrame(rows), results.table

    def other(preset, name, *file):
        if name != "unshared":
            return read(preset, name, *file)
        return table if file == (DATA,) else table[table["x"] == 2]

    monkeypatch.setattr(results, "table", other)


def test_common_weights_are_why_where_without_them_beta_happo_leads(monkeypatch):
    lead, saves = checks.leads("reward_global", "beta-mappo"), checks.saves("beta-mappo")
    without_common_weights(monkeypatch, each=(1, 1, 0), joint=(1.5, 1.5, 0))
    assert because(lead, HELD_OUT) == because(saves, HELD_OUT) == ""
    without_common_weights(monkeypatch, each=(1, 1, 0), joint=(5, 20.28, 0))
    assert "with a network each, joint credit, the lead is 5 %" in because(lead, HELD_OUT)
    assert "joint credit, the energy saved is 20.3 % [" in because(saves, HELD_OUT)
    without_common_weights(monkeypatch, each=(5, 20, 0), joint=(5, 20, 0))
    for way in (TRAINING, HELD_OUT):
        assert "share a network: with a network each, the energy saved" in because(saves, way)
    assert "share a network" not in because(checks.saves("gaussian-happo"), TRAINING)
    without_common_weights(monkeypatch, each=(4.6, 1, 2), joint=(1, 1, 0))
    assert because(lead, HELD_OUT) == "", "a 95 % interval begins at 2.3 %, one of 97.5 % at 1.8"


def held_back(**ahead):
    """Rows of ``held_back`` as MADDPG's are, but for r_g, by so many % of Fig. 4's height more."""
    whole = {file: results.table("paper", "fig04_06", file) for file in (DATA, EVALUATION)}
    percent = height(whole[DATA], "reward_global") / 100

    def table(file):
        rows = whole[file].query("algorithm == 'maddpg'").assign(algorithm="beta-happo")
        return pd.concat(
            rows.assign(
                variant=what,
                reward_global=rows["reward_global"] + percent * (lead + (-1) ** rows["seed"] * by),
            )
            for what, (lead, by) in zip(HELD_BACK, ahead.values(), strict=True)
        )

    return table


def test_one_reward_holds_back_where_beta_happo_leads_without_it(as_if, monkeypatch):
    monkeypatch.setattr(checks, "lacking", lambda name, preset: "")
    lead = checks.leads("reward_global", "maddpg")
    as_if["held_back"] = held_back(credit=(1, 0), rate=(1, 0), both=(5, 0))
    assert because(lead, HELD_OUT, "paper") == (
        "all agents have one reward and Table I's rate is low: with credit by difference, rate "
        "0.003, 10,000 slots, the lead is 5 % of the figure's height [5, 5], 5 seeds"
    )
    assert because(lead, TRAINING, "paper") == "", "rewards of drawn actions are another thing"
    as_if["held_back"] = held_back(credit=(5, 0), rate=(5, 0), both=(5, 0))
    assert because(lead, HELD_OUT, "paper").startswith("all agents have one reward: with credit by")
    as_if["held_back"] = held_back(credit=(1, 0), rate=(5, 0), both=(5, 0))
    assert because(lead, HELD_OUT, "paper").startswith("Table I's rate is low: with rate 0.003, ")
    as_if["held_back"] = held_back(credit=(1, 0), rate=(1, 0), both=(6, 2.5))
    assert because(lead, HELD_OUT, "paper") == "", "a 95 % interval begins at 2.1 %, 98⅓ % at 0.9"


def test_what_has_too_few_rows_yet_says_nothing(as_if):
    """Of actions a seed each, of servers without slices none."""
    rows = {"variant": ["watts", "levels"], "seed": 0, FAILED: 0.9}
    as_if["crowd"] = lambda file: pd.DataFrame(rows)
    as_if["divided"] = lambda file: pd.DataFrame(rows | {"x": 10.0})
    check = checks.failing(100, "x < 58", short=True)
    assert decided(interventions.another_action, check, figure="fig13_14") == ""
    points = pd.DataFrame({"algorithm": "beta-happo", "x": [10, 15], FAILED: 0.1})
    found = checks.Source("companion", {DATA: points})
    finding = Finding("contradicted", checks.failing(0, "x <= 25")(found))
    assert interventions.without_slices(found, finding) is None
    none = checks.Source("companion", {DATA: points.assign(**{ENERGY: 1.0, "seed": 0})})
    assert interventions.learning_saves(none, finding) is None


def with_energies(energies):
    """The experiment ``worth`` as if its variants needed these energies, one per seed."""
    whole = {file: results.table("companion", "worth", file) for file in (DATA, EVALUATION)}

    def table(file):
        rows = whole[file].copy()
        for variant, values in energies.items():
            for seed, value in enumerate(values):
                rows.loc[rows["variant"].eq(variant) & rows["seed"].eq(seed), ENERGY] = value
        return rows

    return table


ONES = np.ones(5)
AROUND = np.array([1.3, 1.5, 1.35, 1.45, 1.42])
"""Times Beta-HAPPO's energy: the paper's 29.52 % are in the interval."""


@pytest.mark.parametrize(
    ("bounded", "original", "said"),
    [
        (AROUND, 3 * ONES, True),
        (AROUND, 1.02 * AROUND, False),  # the original gives the paper's number as well
        (0.5 * ONES, 3 * ONES, False),  # a bounded one does not give it
        ([1.1, 1.9, 1.2, 1.8, 1.4], [1.8, 1.75, 1.85, 1.8, 1.8], False),  # or needs no less
    ],
)
def test_the_paper_compares_with_a_bounded_gaussian(bounded, original, said, as_if):
    as_if["worth"] = with_energies(
        {"Beta": ONES, "bounded Gaussian": bounded, "Gaussian": original}
    )
    text = because(checks.saves("gaussian-happo"), HELD_OUT)
    assert ("a bounded Gaussian in place of the original" in text) == said


def test_means_that_fail_as_draws_do_explain_nothing(as_if):
    found = results.table("companion", "mechanisms")
    wrong = found["variant"] == "Gaussian"
    means = found["failed_of_means"].where(~wrong, found["failed_of_draws"])
    as_if["mechanisms"] = lambda file: found.assign(failed_of_means=means)
    assert because(checks.leads("reward_global", "gaussian-happo"), HELD_OUT) == ""


def test_slices_explain_nothing_where_the_reward_is_the_highest_already(as_if):
    found = results.table("companion", "corrected")
    high = found["done"].map({"as trained": -0.2, "whole slices": -0.1})
    as_if["corrected"] = lambda file: found.assign(reward_centre=high)
    assert because(checks.leads("reward_centre", "gaussian-happo"), HELD_OUT) == ""
