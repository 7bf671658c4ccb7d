"""Reasons: one line with a number for each sentence that does not hold."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dtlib.experiments.results import ENERGY, FAILED
from dtlib.verdicts import causes, checks, quantities, scoreboard
from dtlib.verdicts.judgement import Evidence, Finding, Part, judge
from dtlib.verdicts.words import GAP


def test_what_does_not_hold_has_a_reason():
    table = scoreboard.verdicts()
    for preset in ("companion", "paper"):
        doubted = table[table[preset].isin(causes.DOUBTED)]
        for row in doubted.to_dict("records"):
            line = row[f"remark, {preset}"]
            assert re.search(r"\d", line), row["the paper says"]
            assert len(re.findall("; (?:because|cause not shown)", line)) == 1, line
        assert (table[f"remark, {preset}"][table[preset].eq("reproduced")] == "").all()


def found(check, source):
    return judge([check(source)])[0]


def sweep(**failed):
    rows = [
        {"algorithm": name.replace("_", "-"), "seed": s, "x": x, ENERGY: (3 - x) * (1 + s / 100),
         FAILED: ratio * x + s / 1000}
        for name, ratio in failed.items() for x in (1, 2) for s in range(3)
    ]  # fmt: skip
    return checks.Source("quick", {"data.csv": pd.DataFrame(rows)})


def test_of_a_trend_that_does_not_hold():
    source = sweep(beta_happo=0.45)
    finding = found(checks.trend(ENERGY), source)
    assert finding.verdict == "contradicted"
    line = causes.remark(source, finding, known=causes.served_at_ends)
    assert line == (
        "the other way in 3 of 3 seeds; cause not shown; "
        "beside it: Beta-HAPPO serves 55 % of requests at 1 and 9.9 % at 2"
    )
    assert causes.remark(source, found(checks.trend(ENERGY, -1), source)) == ""


@pytest.mark.parametrize(
    "shown, said", [(True, "because slices bind: none"), (False, "cause not shown; tried: none")]
)
def test_of_what_was_changed(shown, said):
    source = sweep(beta_happo=0.45)
    change = checks.Change("slices bind", "none", shown)
    line = causes.remark(source, found(checks.trend(ENERGY), source), why=lambda *_: change)
    assert line == f"the other way in 3 of 3 seeds; {said}"


def test_of_failures_near_those_of_a_rule():
    source = sweep(beta_happo=0.3, power_on_demand=0.25, demand_or_silence=0.2)
    line = causes.remark(source, found(checks.trend(ENERGY), source), known=causes.near_the_rule)
    assert not line.startswith("no difference shown"), "all seeds are the other way"
    assert "beside it: Beta-HAPPO at 1 fails in 30.1 % of requests already" in line
    assert line.endswith("demand or silence, a rule that does not know the channels, 20.1 %")
    alone = sweep(beta_happo=0.3)
    assert causes.near_the_rule(alone, found(checks.trend(ENERGY), alone)) == "", "no rule was run"


def test_of_requests_that_fail():
    source = checks.source("fig13_14", "companion")
    finding = found(checks.failing(100, "x < 58", short=True), source)
    assert finding.verdict == "contradicted"
    line = causes.remark(source, finding, known=causes.beside_rules)
    assert line.endswith(
        "beside it: at K = 50 and 56 fail: Beta-HAPPO 99.97 and 100 %, demand or silence 93.1 and "
        "99.1 %, a clairvoyant rule 91 and 98.8 %"
    )
    elsewhere = sweep(beta_happo=0.1)
    finding = found(checks.failing(0, "x <= 2"), elsewhere)
    assert causes.beside_rules(elsewhere, finding).endswith("fail: Beta-HAPPO 10.1 and 20.1 %")


def test_of_a_point_where_another_needs_less():
    source = sweep(beta_happo=0.1, maddpg=0.2)
    source.data.loc[source.data["algorithm"] == "maddpg", ENERGY] /= 2
    finding = found(checks.lowest(ENERGY, "K"), source)
    line = causes.remark(source, finding, known=causes.unequal_failures)
    assert finding.verdict == "contradicted"
    assert line == (
        "the other way in 3 of 3 seeds; cause not shown; "
        "beside it: Beta-HAPPO fails in 10.1 % of requests there, MADDPG 20.1 %"
    )


def evidence(*values, **more):
    part = Part("a", values, ("beta-happo", "maddpg"), effect=1.0)
    return judge([Evidence("x", "%", (part,), metric=ENERGY, **more)])[0]


def test_of_what_seeds_do_not_tell():
    line = causes.not_shown(evidence(-10.0, 0.0, 13.0))
    assert line == "no difference shown: 3 seeds would detect 37.6 %, four times in five"
    counted = evidence(*[5.0] * 4, *[-5.0] * 3, exact=True)
    assert causes.not_shown(counted).endswith("in 4 of 7 seeds, and 7 would show it")
    among = replace(counted, open=4)
    assert causes.not_shown(among).endswith("in 4 of 7 seeds, and all 7 would not show it")
    assert evidence(*[5.0] * 7, exact=True).verdict == "reproduced"
    assert evidence(*[5.0] * 6, -5.0, exact=True).verdict == "not reproduced"


def test_what_seeds_would_show_is_corrected_as_the_verdict_is():
    """The least of a family's p is taken times the number of its sentences that are not shown."""
    finding = replace(evidence(-10.0, 0.0, 13.0), open=4)
    line = causes.not_shown(finding)
    least = float(re.search(r"would detect ([\d.]+) %", line)[1])
    draws = np.random.default_rng(0).normal(size=(3, 200_000))
    sem = np.std(finding.part.values, ddof=1) / 3**0.5
    t = (draws.mean(0) + least / sem / 3**0.5) / (draws.std(0, ddof=1) / 3**0.5)
    assert np.mean(t > stats.t.isf(0.05 / 8, 2)) == pytest.approx(0.8, abs=0.004)
    assert least > 40


def test_seeds_that_go_the_other_way_do_so_beyond_the_margin():
    finding = evidence(-9.0, -8.0, -7.0, -9.0, -1.5, margin=2.0)
    assert finding.verdict == "contradicted"
    assert causes.against(finding) == "the other way in 4 of 5 seeds"
    less = evidence(19.0, 18.0, 17.0, 11.5, margin=2.0, sign=-1, level=10.0)
    assert causes.against(less) == "the other way in 3 of 4 seeds"


def test_of_a_trend_that_turns():
    step = Part("from 1 to 2", (-9.0, -9.1, -8.9), (), effect=1.0)
    assert causes.in_part(evidence(9.0, 9.1, 8.9, steps=(step,))).startswith(
        "the other way from 1 to 2: -9 % ["
    )


def test_time_is_a_ratio_of_work(monkeypatch, tmp_path):
    text = causes.time_of_training()
    assert re.search(r"takes \d\d min .*\(the paper: 87\), of which .* alone take \d\d$", text)
    monkeypatch.setattr("dtlib.runtime.paths.results", lambda: tmp_path)
    assert causes.time_of_training() == "no benchmark is committed"


def test_of_requests_served_along_another_axis():
    source = checks.source("fig11", "companion")
    finding = found(
        checks.trend(ENERGY, -1, axis="bandwidth_hz", other="data_bits_max", some="x < 1e5"), source
    )
    swept = {"axis": "bandwidth_hz", "other": "data_bits_max"}
    line = causes.served_at_ends(source, finding, some="x < 1e5", **swept).replace(GAP, " ")
    rows = source.data.query("x == @finding.part.at and algorithm == 'beta-happo'")
    served = 100 * (1 - rows.groupby("bandwidth_hz")[FAILED].mean())
    assert finding.part.name.startswith(f"Beta-HAPPO at {finding.part.at / 1e3:g}{GAP}Kb from")
    assert line.endswith(f"{served[8e6]:.2g} % of requests at 8 MHz and {served[12e6]:.2g} % at "
                         "12 MHz")  # fmt: skip


def training(**steps):
    """Curves whose r_g rises by as much each time, and to and fro by a learner's step."""
    rows = [
        {"algorithm": name.replace("_", "-"), "seed": seed, "x": 100 * (n + 1),
         "reward_global": n + step * (-1) ** n * (1 + seed / 10)}
        for name, step in steps.items() for seed in range(3) for n in range(20)
    ]  # fmt: skip
    return checks.Source("quick", {"data.csv": pd.DataFrame(rows)}, checks.TRAINING)


def test_of_what_is_no_steadier():
    source = training(beta_happo=2.0, maddpg=1.0)
    finding = found(checks.steadier("reward_global"), source)
    line = causes.remark(source, finding, known=causes.unequal_unrest)
    steps = quantities.unrest(source.data, "reward_global").groupby("algorithm").mean()
    assert steps["beta-happo"] > 1.9 * steps["maddpg"]
    assert line.endswith(f"Beta-HAPPO {steps['beta-happo']:.3g}, MADDPG {steps['maddpg']:.3g}")


def test_of_what_is_no_faster():
    source = training(beta_happo=0.0, gaussian_happo=0.0, maddpg=0.0)
    source.data["reward_centre"] = source.data["reward_global"]
    evidence = checks.faster(source)
    line = causes.rises_compared(
        source, Finding("not reproduced", evidence, part=evidence.parts[0])
    )
    assert line.endswith("Beta-HAPPO's from 0.5 to 18.5, MADDPG's from 0.5 to 18.5")


@pytest.mark.parametrize("verdict", ["reproduced in part", "not reproduced"])
def test_of_savings(verdict):
    rows = [
        {"algorithm": a, "seed": s, "world": 0, ENERGY: e, FAILED: f}
        for a, f, energies in (
            ("beta-happo", 0.3, (1.0, 1.01, 0.99)),
            ("maddpg", 0.6, (9, 9.1, 9) if "part" in verdict else (1.0, 0.8, 1.3)),
        )
        for s, e in enumerate(energies)
    ]
    curves = pd.DataFrame({"algorithm": ["beta-happo", "maddpg"], "x": [6000, 1000]})
    source = checks.Source("quick", {"evaluation.csv": pd.DataFrame(rows), "data.csv": curves})
    finding = found(checks.saves("maddpg"), source)
    assert finding.verdict == verdict
    line = causes.remark(source, finding, known=causes.unequal_failures)
    assert line.endswith(
        "; beside it: Beta-HAPPO fails in 30.0 % of requests there, MADDPG 60.0 %, "
        "trained for 6,000 and for 1,000 slots"
    )
    assert line.startswith("larger than the paper's") == ("part" in verdict)
    assert line.startswith("no difference shown") == ("part" not in verdict)
