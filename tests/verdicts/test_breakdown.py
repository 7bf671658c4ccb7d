"""Energy taken apart: a sentence may hold of each served request where it does not of all."""

import math

import pandas as pd
import pytest

from dtlib.experiments.results import ENERGY, FAILED, PER_SERVED
from dtlib.verdicts import checks
from dtlib.verdicts.breakdown import PerServed, per_served
from dtlib.verdicts.judgement import Finding, judge

RISES = checks.trend(ENERGY)


def sweep(last_share):
    """Energy of all that stays, while shares from 0.8 to the last one are served."""
    rows = [
        {"algorithm": "beta-happo", "seed": seed, "x": x, ENERGY: spent, FAILED: 1 - share,
         PER_SERVED: spent / share}
        for x, share in ((1, 0.8), (2, last_share)) for seed in range(4)
        for spent in [1 + (-1) ** (seed + x) / 50]
    ]  # fmt: skip
    return checks.Source("quick", {"data.csv": pd.DataFrame(rows)})


def test_energy_rises_for_each_that_is_served():
    source = sweep(0.4)
    (finding,) = judge([RISES(source)])
    assert finding.verdict == "not reproduced"
    text = per_served(RISES)(source, finding).said
    assert text.startswith(
        "unequal shares of requests are served: per served one, the change of energy is times 2 ["
    )


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_nothing_is_said_where_it_does_not(share):
    source = sweep(share)
    (finding,) = judge([RISES(source)])
    change = per_served(RISES)(source, finding)
    assert not change and change.measured.startswith(
        "per served one, the change of energy is times"
    )


def test_nor_of_how_large_it_is():
    source = sweep(0.4)
    evidence = RISES(source)
    part = Finding("reproduced in part", evidence, part=evidence.parts[0])
    assert per_served(RISES)(source, part) is None


def test_a_comparison_is_of_ratios_of_means():
    """A world in which nothing is served has no energy per request, but the run has."""
    rows = [
        {"algorithm": name, "seed": seed, "world": world, ENERGY: spent, FAILED: failed}
        for name, spent in (("beta-happo", 6.0), ("gaussian-happo", 1.0)) for seed in range(3)
        for world, failed in enumerate((0.2, 0.6) if name == "beta-happo" else (1.0, 0.9))
    ]  # fmt: skip
    source = checks.Source("quick", {"evaluation.csv": pd.DataFrame(rows)})
    of = PerServed(source.preset, source.tables, source.way)
    assert (of.final(FAILED) == source.final(FAILED)).all(axis=None)
    assert of.final(ENERGY).loc[0].to_dict() == pytest.approx(
        {"beta-happo": 6 / 0.6, "gaussian-happo": 1 / 0.05}
    )
    check = checks.saves("gaussian-happo")
    (finding,) = judge([check(source)])
    assert finding.verdict == "contradicted"
    assert "the energy saved is 50 %" in per_served(check)(source, finding).measured


def test_no_energy_is_below_none():
    assert checks.as_saving(250.0) == 100 and math.isclose(checks.as_saving(-50), -200 / 3)


def test_an_interval_beyond_all_energy_stays_an_interval():
    """A gap is at most 200 %, its t interval is not; what is needed more is never a saving."""
    shown = [checks.as_saving(gap) for gap in (-250.0, -200.0, -199.0, -150.0, 0.0, 50.0)]
    assert shown == sorted(shown) and shown[:2] == [-math.inf] * 2 and shown[4] == 0


def test_a_request_that_nobody_serves_needs_no_energy():
    source = sweep(1.0)
    table = source.data.assign(**{FAILED: 1.0, PER_SERVED: source.data[ENERGY]})
    nothing = checks.Source(source.preset, {"data.csv": table}, source.way)
    of = PerServed(nothing.preset, nothing.tables, nothing.way)
    assert of.data[ENERGY].isna().all() and not of.data.empty
    (finding,) = judge([RISES(source)])
    assert per_served(RISES)(nothing, finding) is None
