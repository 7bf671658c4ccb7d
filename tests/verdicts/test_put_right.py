"""Causes by what was put right in trained policies at a point of a sweep, with nothing trained."""

import pandas as pd
import pytest

from dtlib.experiments import results
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.verdicts import checks, put_right
from dtlib.verdicts.judgement import Finding


@pytest.mark.parametrize(
    "whole, other, said",
    [
        ((0.501, 0.502, 0.503), "gaussian-happo", "Beta-HAPPO fails in 50.2 % of requests there"),
        ((0.501, 0.502, 0.520), "gaussian-happo", ""),
        ((0.501, 0.502, 0.503), "beta-mappo", ""),
    ],
)
def test_unused_slices_are_why_more_fail_if_no_more_do_with_whole_ones(
    whole, other, said, monkeypatch
):
    """As trained a tenth more fail; with whole slices, a fifth of a point more or 0.8 on average.
    The rows at 35 users are another point's."""
    ratios = {
        ("as trained", "beta-happo", 40): (0.6, 0.6, 0.6),
        ("whole slices", "beta-happo", 40): whole,
        ("whole slices", "beta-happo", 35): (0.9, 0.9, 0.9),
        **{(done, "gaussian-happo", users): (0.5, 0.5, 0.5)
           for done in ("as trained", "whole slices") for users in (35, 40)},
    }  # fmt: skip
    table = pd.DataFrame(
        {"done": done, "algorithm": who, "num_users": users, "seed": seed, FAILED: ratio, ENERGY: 1}
        for (done, who, users), of in ratios.items() for seed, ratio in enumerate(of)
    )  # fmt: skip
    monkeypatch.setattr(results, "table", lambda *which: table)
    rows = pd.DataFrame(
        {"algorithm": who, "x": 40, "seed": seed, FAILED: ratio}
        for who, ratio in (("beta-happo", 0.6), (other, 0.5)) for seed in range(3)
    )  # fmt: skip
    found = checks.Source("companion", {DATA: rows})
    evidence = checks.lowest(FAILED, "K")(found)
    finding = Finding("contradicted", evidence, part=evidence.parts[0])
    change = put_right.unused_slices(found, finding)
    text = change.said if change else ""
    assert said in text and bool(text) == bool(said)
    monkeypatch.undo()
    assert put_right.unused_slices(checks.Source("quick", found.tables), finding) is None


def test_power_sent_in_vain_is_why_more_is_needed_if_the_silenced_save():
    """At 35 users and no fewer, where both were put right."""
    found = checks.source("fig07_08", "companion")
    evidence = checks.lowest(ENERGY, "K")(found)
    said = {
        (part.at, part.learners[-1]): put_right.sent_in_vain(
            found, Finding("not reproduced", evidence, part=part)
        )
        for part in evidence.parts
    }
    assert {point for point, text in said.items() if text} == {
        (35, "gaussian-happo"), (40, "gaussian-happo"),
    }  # fmt: skip
    text = said[35, "gaussian-happo"].said
    assert "Beta-HAPPO saves 34.4 % [26.8, 41.4] (6 seeds); it then fails in 62.4 %" in text


def test_nor_if_the_silenced_save_in_some_seeds(monkeypatch):
    table = results.table("companion", "corrected")
    more = (table["seed"] == 0) & (table["algorithm"] == "beta-happo")
    table[ENERGY] = table[ENERGY].where(~more, 3 * table[ENERGY])
    found = checks.source("fig07_08", "companion")
    evidence = checks.lowest(ENERGY, "K")(found)
    (part,) = (p for p in evidence.parts if (p.at, p.learners[-1]) == (35, "gaussian-happo"))
    monkeypatch.setattr(results, "table", lambda *which: table)
    change = put_right.sent_in_vain(found, Finding("not reproduced", evidence, part=part))
    assert not change and "where both are silent there" in change.measured
