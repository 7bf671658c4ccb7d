"""Why a sentence does not hold: one line each, with a number from the committed data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from dtlib.experiments import mechanisms, results
from dtlib.experiments.experiment import BASELINES, OWN
from dtlib.experiments.results import FAILED
from dtlib.report import worth
from dtlib.report.checks import Source
from dtlib.report.judgement import ERROR, Finding, Part, holds_number, reversed_steps
from dtlib.report.quantities import by_point
from dtlib.report.statistics import estimate, interval_text
from dtlib.report.style import label
from dtlib.runtime import paths

Cause = Callable[[Source, Finding], str]
DOUBTED = ("not reproduced", "contradicted", "reproduced in part")
"""Verdicts that need a reason."""
PAPERS_MINUTES = 87
"""The time of a training according to Section V-B."""


def because(cause: Cause | None, found: Source, finding: Finding) -> str:
    """Return why a sentence does not hold, or not wholly; empty if it does."""
    if finding.verdict not in DOUBTED or finding.evidence is None:
        return ""
    lines = [turns(finding), cause(found, finding) if cause else ""]
    return "; ".join(filter(None, lines)) or scatter(finding)


def scatter(finding: Finding) -> str:
    """Say how much seeds scatter, and what could be seen through that with a power of 80 %."""
    assert finding.part is not None and finding.evidence is not None
    values = np.asarray(finding.part.values)
    if finding.evidence.exact:
        return f"it holds in {int((values > finding.evidence.margin).sum())} of {len(values)} seeds"
    spread, n = values.std(ddof=1), len(values)
    least = spread / np.sqrt(n) * (stats.t.isf(ERROR / 2, n - 1) + stats.t.isf(0.2, n - 1))
    show, unit = finding.evidence.show, finding.evidence.unit
    wide, small = f"{show(spread):.3g}", f"{show(least):.3g} {unit}"
    return f"{n} seeds that scatter by {wide} (SD) show no less than {small}"


def turns(finding: Finding) -> str:
    """Say at which steps a trend that holds from end to end turns."""
    assert finding.evidence is not None
    if finding.verdict != "reproduced in part":
        return ""
    steps = reversed_steps(finding.evidence)
    unit = finding.evidence.unit
    return "; ".join(f"{step.name} by {interval_text(step.values)} {unit}" for step in steps)


def unequal_failures(found: Source, finding: Finding) -> str:
    """Say how many requests fail of the two that are compared, where they are compared."""
    assert finding.part is not None and finding.evidence is not None
    other = finding.part.learners[1]
    fails = 100 * _failures(found, finding.part)
    text = f"Beta-HAPPO fails {fails[OWN]:.1f} % of requests there, "
    text += f"{label(other)} {fails[other]:.1f} %"
    if finding.verdict == "reproduced in part" and not holds_number(finding.evidence, finding.part):
        larger = estimate(finding.part.values)[0] > (finding.evidence.reported or 0)
        return f"{text}: the saving is {'larger' if larger else 'smaller'} than the paper's"
    measured = "" if "=" in finding.part.name else mechanism(found.preset, other)
    return "; ".join(filter(None, [f"{text}: {scatter(finding)}", measured]))


def mechanism(preset: str, other: str) -> str:
    """Say what sets a learner apart from Beta-HAPPO, as far as a preset has measured it."""
    table = results.read(results.folder_of(preset, mechanisms.NAME), results.DATA)
    if table is None:
        return ""
    end = table[table["moment"] == "end"].groupby("variant").mean(numeric_only=True)
    own, gaussian = 100 * end.loc[worth.BETA], 100 * end.loc[worth.GAUSSIAN]
    return {
        "beta-mappo": f"M moves an update by {own['effect_of_m']:.0f} % of its length, another "
        f"episode by {own['effect_of_data']:.0f} %",
        "gaussian-happo": f"of its draws {gaussian['draws_at_bounds']:.0f} % are at a bound, and "
        f"{gaussian['failed_of_draws']:.0f} % of requests fail with draws, "
        f"{gaussian['failed_of_means']:.0f} % with mean actions",
    }.get(other, "")


def _failures(found: Source, part: Part) -> pd.Series:
    """Return the ratio of failed requests of each algorithm, at the part's point if it has one."""
    if "=" not in part.name:
        return found.final(FAILED).mean()
    return found.data[found.data["x"] == _point(part)].groupby("algorithm")[FAILED].mean()


def _point(part: Part) -> float:
    """Return the point that a part is named after, such as ``K = 30``."""
    return float(part.name.rpartition("=")[2])


def still_failing(found: Source, finding: Finding) -> str:
    """Say how many requests fail at the end of the training of the learner that decides."""
    assert finding.part is not None
    learner = finding.part.learners[0]
    fails = 100 * found.final(FAILED)[learner].mean()
    slots = {name: rows["x"].max() for name, rows in found.data.groupby("algorithm")}
    return (
        f"{label(learner)} still fails {fails:.1f} % of requests when its training of "
        f"{slots[learner]:,} slots ends (Beta-HAPPO's: {slots[OWN]:,})"
    )


def silence(found: Source, finding: Finding) -> str:
    """Say how many requests the learner that decides serves at either end of a sweep."""
    assert finding.part is not None
    served = 100 * (1 - by_point(found.data, finding.part.learners[0])[FAILED].mean())
    first, last = served.index[0], served.index[-1]
    return (
        f"{label(finding.part.learners[0])} serves {served[first]:.2g} % of requests at {first:g} "
        f"and {served[last]:.2g} % at {last:g}"
    )


def without_learning(found: Source, finding: Finding) -> str:
    """Say how many requests fail of a rule that learns nothing, at the point that decides."""
    assert finding.part is not None
    rule = by_point(found.data, BASELINES[0])[FAILED].mean()
    x = _point(finding.part)
    if x not in rule:
        return ""
    return f"power on demand, which learns nothing, fails {100 * rule[x]:.3g} % there"


def near_the_rule(found: Source, finding: Finding) -> str:
    """Say how few requests fail at the lower end of a sweep beside a rule that learns nothing."""
    own, rule = (100 * by_point(found.data, who)[FAILED].mean() for who in (OWN, BASELINES[0]))
    x = own.index[0]
    return (
        f"{scatter(finding)}; Beta-HAPPO at {x:g} fails {own[x]:.1f} % of requests already, and "
        f"power on demand, which is to fail least without knowing the channels, {rule[x]:.1f} %"
    )


def time_of_training() -> str:
    """Return what Table I's training costs here, as ratios to the paper's 87 minutes.

    From ``results/benchmarks``: an episode's seconds and the matrix products of its epochs, each of
    25, on one core, with a critic for each agent.
    """
    file = paths.results() / "benchmarks" / "training" / "data.csv"
    if not file.is_file():
        return "no benchmark is committed"
    rows = pd.read_csv(file).query("suite == 'phases' and critic == 'per-agent' and threads == 1")
    of = rows.groupby("quantity")["value"].median()
    episodes, epochs = 150, rows["epochs"].iloc[0]
    here = episodes * of["episode_s"] / 60 / PAPERS_MINUTES
    products = episodes * epochs * of["dense_gflop"] / of["gemm_gflops"] / 60 / PAPERS_MINUTES
    return (
        f"that training takes {here:.2f} of {PAPERS_MINUTES} min on one core here; "
        f"{PAPERS_MINUTES} min are {1 / products:.1f} times what that core needs "
        "for the matrix products alone"
    )
