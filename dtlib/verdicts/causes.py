"""What is known of a sentence that does not hold: a line, with numbers from the committed data.

*Because* is said of what was shown by changing one thing
(:mod:`dtlib.verdicts.interventions`, :mod:`dtlib.verdicts.put_right`) or by taking the energy apart
(:mod:`dtlib.verdicts.breakdown`), *tried* of such a change that does not show it. *Beside it* is
what was measured there and need not be the cause. *No difference shown* says which one so many
seeds would detect.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from dtlib.experiments import results, speed
from dtlib.experiments.baseline import ON_DEMAND
from dtlib.experiments.experiment import BASELINES, OWN
from dtlib.experiments.results import FAILED
from dtlib.settings.train import TrainConfig
from dtlib.studies.readings import CLAIRVOYANT, SLICES, TABLE, of_rules
from dtlib.verdicts.checks import SYMBOLS, Remark, Source, Why
from dtlib.verdicts.judgement import ERROR, Finding, holds_number, number_text, reversed_steps
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import best_rule, by_point, tenths, trained_for, unrest
from dtlib.verdicts.statistics import detectable, estimate
from dtlib.verdicts.words import amount, number

PAPERS_MINUTES = 87
"""The time of a training according to Section V-B."""


def remark(
    found: Source, finding: Finding, *, why: Why | None = None, known: Remark | None = None
) -> str:
    """Return what is known of a sentence that does not hold, or not wholly; empty if it does.

    ``why`` says what was changed to find the cause, ``known`` what stands beside it.
    """
    if finding.verdict not in DOUBTED:
        return ""
    change = why(found, finding) if why else None
    if change:
        cause = f"because {change.said}"
    else:
        cause = "cause not shown" + ("" if change is None else f"; tried: {change.measured}")
    beside = known(found, finding) if known else ""
    return "; ".join(filter(None, [DOUBTED[finding.verdict](finding), cause, beside]))


def not_shown(finding: Finding) -> str:
    """Say which difference so many seeds show with a power of 80 %, as much as they scatter.

    Corrected for all sentences of the family that are not shown.
    """
    evidence, n, error = finding.evidence, len(finding.part.values), ERROR / finding.open
    if evidence.exact:
        least = int(stats.binom.isf(error / 2, n, 0.5)) + 1
        enough = f"{least} would" if least <= n else f"all {n} would not"
        hits = evidence.hits(finding.part)
        return f"no difference shown: it holds in {hits} of {n} seeds, and {enough} show it"
    small = f"{evidence.show(detectable(finding.part.values, error)):.3g} {evidence.unit}"
    return f"no difference shown: {n} seeds would detect {small}, four times in five"


def against(finding: Finding) -> str:
    """Say in how many seeds it is the other way where a sentence is contradicted."""
    values = np.asarray(finding.part.values)
    other = finding.evidence.sign * (values - finding.evidence.level) < -finding.evidence.margin
    return f"the other way in {int(other.sum())} of {len(values)} seeds"


def in_part(finding: Finding) -> str:
    """Say at which steps a trend turns, or on which side of the paper's number it is."""
    evidence, part = finding.evidence, finding.part
    steps = [
        f"the other way {step.name}: {number_text(evidence, step)}"
        for step in reversed_steps(evidence)
    ]
    if not holds_number(evidence, part):
        larger = estimate(part.values)[0] > evidence.reported
        steps.append(f"{'larger' if larger else 'smaller'} than the paper's")
    return "; ".join(steps)


DOUBTED: dict[str, Callable[[Finding], str]] = {
    "reproduced in part": in_part, "not reproduced": not_shown, "contradicted": against,
}  # fmt: skip
"""Verdicts that need a remark, with how it begins."""


def unequal_failures(found: Source, finding: Finding) -> str:
    """Say how many requests fail of the two that are compared, and how long both were trained."""
    other, point = finding.part.learners[1], finding.part.at
    if point is not None:
        rows = found.data[found.data["x"] == point]
        fails = 100 * rows.groupby("algorithm")[FAILED].mean()
    else:
        fails = 100 * found.final(FAILED).mean()
    text = f"beside it: Beta-HAPPO fails in {fails[OWN]:.1f} % of requests there, "
    text += f"{label(other)} {fails[other]:.1f} %"
    slots = trained_for(found.data)
    if point is None and slots[other] != slots[OWN]:
        text += f", trained for {slots[OWN]:,} and for {slots[other]:,} slots"
    return text


def still_failing(found: Source, finding: Finding) -> str:
    """Say how many requests fail at the end of the training of the learner that decides."""
    learner = finding.part.learners[0]
    fails = 100 * found.final(FAILED)[learner].mean()
    slots = trained_for(found.data)
    return (
        f"beside it: {label(learner)} still fails in {fails:.1f} % of requests when its training "
        f"of {slots[learner]:,} slots ends (Beta-HAPPO's: {slots[OWN]:,})"
    )


def unequal_unrest(found: Source, finding: Finding) -> str:
    """Say how much each learner's reward changes from episode to episode."""
    metric = finding.evidence.metric
    steps = unrest(found.data, metric).groupby("algorithm", sort=False).mean()
    each = ", ".join(f"{label(name)} {number(value)}" for name, value in steps.items())
    symbol = SYMBOLS[metric]
    return f"beside it: the steps of {symbol} from episode to episode have an SD of: {each}"


def rises_compared(found: Source, finding: Finding) -> str:
    """Say from where to where r_g rises for the two that are compared."""
    ends = tenths(found.data, "reward_global").groupby("algorithm").mean()
    each = ", ".join(
        f"{label(name)}'s from {number(ends['first'][name])} to {number(ends['last'][name])}"
        for name in finding.part.learners
    )
    return f"beside it: r_g rises in training, {each}"


def served_at_ends(
    found: Source, finding: Finding, *, axis: str = "x", other: str = "", some: str = ""
) -> str:
    """Say how many requests the learner that decides serves at either end of a sweep.

    Args:
        axis: what is swept.
        other: what else is swept: only rows with the part's value of it are told of.
        some: a query for rows; all if empty.
    """
    data = found.data.query(some) if some else found.data
    data = data[data[other] == finding.part.at] if other else data
    served = 100 * (1 - by_point(data, finding.part.learners[0], axis=axis)[FAILED].mean())
    first, last = served.index[0], served.index[-1]
    return (
        f"beside it: {label(finding.part.learners[0])} serves {served[first]:.2g} % of requests at "
        f"{amount(axis, first)} and {served[last]:.2g} % at {amount(axis, last)}"
    )


def beside_rules(found: Source, finding: Finding) -> str:
    """Say how many requests fail of rules that learn nothing, at the ends of what a sentence has.

    Of the clairvoyant one where the committed table of rules has these numbers of users.
    """
    users = [part.at for part in finding.evidence.parts]
    ends = users[:1] + users[1:][-1:]
    failed = {
        label(who): by_point(found.data, who)[FAILED].mean().reindex(ends)
        for who in (OWN, BASELINES[1])
    }
    rows = results.table(found.preset, TABLE.name)
    rules = pd.DataFrame() if rows is None else of_rules(rows, FAILED)
    if set(ends) <= set(rules.index):
        failed["a clairvoyant rule"] = rules.loc[ends, (CLAIRVOYANT, SLICES)]
    each = [
        f"{who} {' and '.join(number(100 * ratio) for ratio in of)} %"
        for who, of in failed.items()
        if of.notna().all()
    ]
    return f"beside it: at K = {' and '.join(f'{x:g}' for x in ends)} fail: {', '.join(each)}"


def near_the_rule(found: Source, finding: Finding) -> str:
    """Say how few requests fail at the lower end of a sweep beside a rule that learns nothing."""
    own, *rules = (100 * by_point(found.data, who)[FAILED].mean() for who in (OWN, *ON_DEMAND))
    if not any(map(len, rules)):
        return ""
    failed = dict(zip(ON_DEMAND, rules, strict=True))
    rule = best_rule(failed)
    return (
        f"beside it: Beta-HAPPO at {own.index[0]:g} fails in {own.iloc[0]:.1f} % of requests "
        f"already, and {label(rule)}, a rule that does not know the channels, "
        f"{failed[rule].iloc[0]:.1f} %"
    )


def time_of_training() -> str:
    """Return what Table I's training costs here, beside the paper's 87 minutes.

    From ``results/benchmarks``: an episode's seconds and the matrix products of its epochs, each of
    25, on one core, with a critic for each agent.
    """
    if not speed.file_of("training").is_file():
        return "no benchmark is committed"
    quantities = "episode_s", "dense_gflop", "gemm_gflops"
    cases = speed.medians(speed.rows("training"), "phases", *quantities)
    (of,) = cases.query("critic == 'per-agent' and threads == 1").to_dict("records")
    episodes = TrainConfig.from_preset("paper").episodes
    here = episodes * of["episode_s"] / 60
    products = episodes * of["epochs"] * of["dense_gflop"] / of["gemm_gflops"] / 60
    return (
        f"a training of {episodes} episodes takes {here:.0f} min on one core here by the benchmark "
        f"(the paper: {PAPERS_MINUTES}), of which matrix products alone take {products:.0f}"
    )
