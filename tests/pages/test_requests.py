"""What policies do with requests: rows, profiles and the rule of silence by hand."""

import pandas as pd
import pytest

from dtlib import EnvConfig, sample_world, simulate
from dtlib.baselines.rules import EqualPower, Reference
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import requests
from dtlib.studies.comparison import WORST


def test_requests_and_their_profile():
    env = EnvConfig(num_users=30, frames=3)
    world = sample_world(env, 1)
    actions = Reference(env, EqualPower(0.05)).act(world)
    outcome = simulate(world, actions, env)
    rows = requests.of_episode(outcome, world, actions.power, env)
    asked = outcome.request & ~outcome.migrating
    assert len(rows) == int(asked.sum())
    assert rows["failed"].sum() == int((outcome.failure & asked).sum())
    assert rows["used"].max() <= 1 + 1e-6 and rows["power_w"].to_numpy() == pytest.approx(0.05)
    (mean,) = requests.whole({"equal power": rows}).to_dict("records")
    assert mean["mean power (mW)"] == "50" and mean["twins elsewhere (%)"] == "2.1"
    assert mean["failed requests (%)"] == f"{100 * rows['failed'].mean():.1f}"
    lost = rows.loc[rows["failed"] == 1, "energy_j"].sum() / rows["energy_j"].sum()
    assert mean["of it for failed requests (%)"] == f"{100 * lost:.0f}" and 0 < lost < 1
    assert mean["used part of the slice (%)"] == mean["slices used whole (%)"] == "100"
    rows.loc[::4, "used"] = 0.97
    (part,) = requests.whole({"equal power": rows}).to_dict("records")
    assert part["slices used whole (%)"] == "75"
    assert mean["energy of a request (mJ)"] == f"{1e3 * rows['energy_j'].mean():.3g}"
    hurried = (rows["compute_share"] >= requests.HURRIED) & (rows["compute_share"] <= 1)
    share, lost = hurried.mean(), rows.loc[hurried, "failed"].mean()
    assert 0 < share < 1 and mean["hurried ones that fail (%)"] == f"{100 * lost:.0f}"
    assert mean["of these, hurried (points)"] == f"{100 * share * lost:.1f}"
    found = requests.profile(rows, "metres", 4)
    assert len(found) == 4 and found.index.is_monotonic_increasing
    assert found["failed"].mean() == pytest.approx(rows["failed"].mean(), abs=0.02)


def test_silence_is_learnt_where_every_seed_needs_less_than_the_rule():
    """The rule needs 4 mJ where a tenth fails, and 1 mJ where four tenths do."""
    curve = pd.DataFrame({FAILED: [0.4, 0.1], ENERGY: [1e-3, 4e-3]})
    rows = [
        ("watts, eta=1", 0, 0.1, 8e-3), ("watts, eta=1", 1, 0.05, 2e-3),
        ("levels, eta=0.01", 0, 0.4, 0.5e-3), ("levels, eta=0.01", 1, 0.25, 1e-3),
    ]  # fmt: skip
    runs = pd.DataFrame(rows, columns=["variant", "seed", FAILED, ENERGY]).assign(**{WORST: 0.2})
    table = requests.silence(runs.set_index(["variant", "seed"]), curve)
    assert list(table.index) == [("watts", "1"), ("levels", "0.01")]
    assert list(table["seeds that need less"]) == ["1 of 2", "2 of 2"]
    assert list(table["seeds that fail less than the rule can"]) == ["1 of 2", "0 of 2"]
    said = [text.replace("\xa0", " ") for text in table["more than the rule (%)"]]
    assert said == ["25 [-50, 100]", "-50 [-50, -50]"]
    assert table.loc[("watts", "1"), "failed slots, worst user (%)"].startswith("20.0 [20.0,")


def test_what_is_put_right_stands_beside_the_rule_of_its_users():
    curves = pd.DataFrame({"num_users": [10, 10, 30, 30], FAILED: [0.4, 0.1] * 2})
    curves[ENERGY] = [1e-3, 4e-3, 2e-3, 8e-3]
    rows = pd.DataFrame(
        [
            (10, 0, "as trained", 0.1),
            (30, 0, "as trained", 0.1),
            (30, 0, "silenced", 0.4),
            (10, 0, "silenced", 0.4),
        ],
        columns=["num_users", "seed", "done", FAILED],
    ).assign(**{ENERGY: 4e-3, WORST: 0.3, "algorithm": "beta-happo"})
    others = [rows.assign(num_users=40), rows.assign(algorithm="gaussian-happo", **{ENERGY: 1.0})]
    table = requests.as_corrected(pd.concat([rows, *others]), curves).loc["more than the rule (%)"]
    assert table.loc["as trained"].to_dict() == {"K = 10": "0", "K = 30": "-50"}
    assert table.loc["silenced", "K = 30"] == "100"


def test_two_learners_put_right_are_compared_within_a_seed():
    """Seed 2 has one learner alone, and at 10 users there is one alone as well."""
    rows = [
        ("gaussian-happo", 40, seed, done, ratio)
        for done, ratios in (("whole slices", (0.5, 0.6)), ("as trained", (0.5, 0.7)))
        for seed, ratio in enumerate(ratios)
    ] + [
        ("beta-happo", users, seed, done, ratio)
        for done, ratios in (("whole slices", (0.5, 0.8, 0.9)), ("as trained", (0.6, 0.8, 0.9)))
        for seed, ratio in enumerate(ratios) for users in (40, 10)
    ]  # fmt: skip
    columns = ["algorithm", "num_users", "seed", "done", FAILED]
    runs = pd.DataFrame(rows, columns=columns).assign(
        **{ENERGY: lambda of: of["algorithm"].map({"beta-happo": 3e-3, "gaussian-happo": 4e-3})}
    )
    table = requests.beside_gaussian(runs)
    assert list(table.index) == [("K = 40", "whole slices"), ("K = 40", "as trained")]
    assert list(table["Beta-HAPPO"]) == ["65.0", "70.0"]
    assert list(table["Gaussian-HAPPO"]) == ["55.0", "60.0"]
    said = [text.replace("\xa0", " ") for text in table["difference (points)"]]
    assert said == ["10.0 [-117.1, 137.1]", "10.0 [10.0, 10.0]"]
    assert {*table["energy saved (%)"]} == {"25 [25,\xa025]"}
