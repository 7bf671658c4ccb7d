"""Causes that were sought: one thing was changed and nothing else, with what came of it.

Each has a rule that committed rows must pass for it to be a cause; where a preset has no rows,
nothing is said.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from dtlib.experiments import results
from dtlib.experiments.alternatives import (
    BETA,
    BOUNDED_VARIANT,
    CONTROL_FACTORS,
    CROWD,
    GAUSSIAN,
    HELD_BACK,
    SENDING,
    STRICT,
    UNSHARED,
    WITHOUT_SLICES,
)
from dtlib.experiments.baseline import ON_DEMAND
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.experiment import BETA_MAPPO, GAUSSIAN_HAPPO, OFF_POLICY, OWN
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.studies import mechanisms
from dtlib.verdicts.breakdown import per_served
from dtlib.verdicts.checks import (
    HELD_OUT,
    RELEVANT,
    RELEVANT_POINTS,
    SYMBOLS,
    Change,
    Check,
    Source,
    Why,
    as_saving,
    energy_falls,
    leads,
    saves,
    whole_table,
)
from dtlib.verdicts.judgement import ERROR, Finding, number_text
from dtlib.verdicts.names import label
from dtlib.verdicts.put_right import idle_cpu
from dtlib.verdicts.quantities import by_point, gap, sooner, trained_for
from dtlib.verdicts.statistics import FEWEST, detectable, estimate, in_brackets


def of_comparison(found: Source, finding: Finding) -> Change | None:
    """Return why two learners do not differ as a sentence says, or all that was tried.

    Nothing was changed at a single point of a sweep.
    """
    own, other = finding.part.learners[0], finding.part.learners[-1]
    causes = CAUSES.get((other, finding.evidence.metric), ()) if own == OWN else ()
    if finding.part.at is not None:
        return None
    changes = [change for cause in causes if (change := cause(found, finding)) is not None]
    return _shown_or_tried(changes)


def _shown_or_tried(changes: list[Change]) -> Change | None:
    """Return the first change that shows a cause, or else all of them as one; None without any."""
    if not changes:
        return None
    tried = replace(changes[0], measured="; ".join(change.measured for change in changes))
    return next(filter(None, changes), tried)


def _mean_actions(found: Source, finding: Finding) -> Change | None:
    """The rule: with draws a point more of Gaussian-HAPPO's requests fail, with means not a point.

    By the 95 % t interval within a seed.
    """
    table = results.table(found.preset, mechanisms.NAME)
    if table is None or found.way != HELD_OUT:
        return None
    ends = table[table["moment"] == "end"].set_index(["seed", "variant"])
    more = [
        100 * (failed[GAUSSIAN] - failed[BETA]).dropna()
        for failed in (ends[f"failed_of_{kind}"].unstack() for kind in ("draws", "means"))
    ]
    by_draws, by_means = map(estimate, more)
    told = [in_brackets(of, " points", ".2g") for of in (by_draws, by_means)]
    return Change(
        "mean actions are judged",
        f"in the same worlds Gaussian-HAPPO fails {told[0]} more than Beta-HAPPO with "
        f"draws, and {told[1]} more with means ({len(more[0])} seeds)",
        by_draws[1] > RELEVANT_POINTS > by_means[2],
    )


def _bounded(found: Source, finding: Finding) -> Change | None:
    """The rule: a bounded Gaussian needs less, and what is saved of it is the paper's number.

    What is saved of the original is not.
    """
    tables = _tables(mechanisms.EXPERIMENT, found.preset)
    if tables is None:
        return None
    known = {name: rows.assign(algorithm=rows["variant"]) for name, rows in tables.items()}
    energy = Source(found.preset, known, found.way).final(ENERGY)
    pairs = (BOUNDED_VARIANT, GAUSSIAN), (BETA, BOUNDED_VARIANT), (BETA, GAUSSIAN)
    less, saved, original = (estimate(gap(energy[own], energy[other])) for own, other in pairs)
    holds = [low <= finding.evidence.reported <= high for _, low, high in (saved, original)]
    first, second = (in_brackets(of, show=as_saving) for of in (less, saved))
    return Change(
        "the original Gaussian needs more",
        f"with a bounded Gaussian in place of the original, which needs {first} less, Beta-HAPPO "
        f"saves {second} ({len(energy)} seeds)",
        less[1] > 0 and holds == [True, False],
    )


def _as_many_slots(found: Source, finding: Finding) -> Change | None:
    """The rule: with as many slots for MADDPG as others have, the paper's number is saved."""
    tables = _tables("equal_slots", found.preset)
    if tables is None:
        return None
    longer = Source(found.preset, tables, found.way).final(ENERGY)[OFF_POLICY]
    own = found.final(ENERGY)[OWN]
    saved = estimate(gap(own, longer))
    return Change(
        "MADDPG's training is short",
        f"with as many slots for MADDPG, Beta-HAPPO saves {in_brackets(saved, show=as_saving)} "
        f"({len(longer)} seeds)",
        saved[1] <= finding.evidence.reported <= saved[2],
    )


def unshared(check: Check) -> Why:
    """Return a cause: without common weights, what a sentence says of Beta-MAPPO holds.

    The rule is that of :data:`.alternatives.UNSHARED`.
    """

    def why(found: Source, finding: Finding) -> Change | None:
        tables = _tables("unshared", found.preset)
        if tables is None or finding.part.learners[-1] != BETA_MAPPO:
            return None
        alone, more = "users share a network", " and learn from their differences to r_g"
        asked = {
            what: (alone + more * ("credit" in changes), with_change(tables, what))
            for what, changes in UNSHARED.items()
        }
        return _holds_with(check, found, asked)

    return why


def _held_back(check: Check) -> Why:
    """Return a cause: with another credit or rate than Table I's, Beta-HAPPO leads MADDPG.

    The rule is that of :data:`.alternatives.HELD_BACK`.
    """

    def why(found: Source, finding: Finding) -> Change | None:
        tables = _tables("held_back", found.preset)
        if tables is None or found.way != HELD_OUT:
            return None
        theirs = {name: found.tables[name].query("algorithm == @OFF_POLICY") for name in tables}
        causes = {"credit": "all agents have one reward", "learning_rate": "Table I's rate is low"}
        asked = {
            f"{what}, {trained_for(tables[DATA])[OWN]:,} slots": (
                " and ".join(causes[setting] for setting in changes),
                {
                    name: pd.concat([rows[rows["variant"] == what], theirs[name]])
                    for name, rows in tables.items()
                },
            )
            for what, changes in HELD_BACK.items()
        }
        return _holds_with(check, found, asked)

    return why


def _holds_with(
    check: Check, found: Source, asked: Mapping[str, tuple[str, dict[str, pd.DataFrame]]]
) -> Change | None:
    """Ask of each change, and of its tables, whether a sentence is shown to hold with it.

    Args:
        asked: by what was changed: the cause that it would show, and the tables.
    """
    changes = []
    for what, (cause, tables) in asked.items():
        evidence = check(Source(found.preset, tables, found.way, drawn=found.data))
        (part,) = evidence.parts
        change = Change(
            cause,
            f"with {what}, the {evidence.quantity} is {number_text(evidence, part)}",
            estimate(part.values, 1 - ERROR / len(asked))[1] > RELEVANT,
        )
        changes.append(change)
    return _shown_or_tried(changes)


def with_change(tables: Mapping[str, pd.DataFrame], what: str) -> dict[str, pd.DataFrame]:
    """Return the rows of learners with one of :data:`.alternatives.UNSHARED`, by table."""
    return {
        name: rows[rows["variant"] == rows["algorithm"] + f", {what}"]
        for name, rows in tables.items()
    }


def trained_longer(found: Source, finding: Finding) -> Change | None:
    """The rule: with as many slots as others have, MADDPG's energy falls in training."""
    curves = whole_table("equal_slots", found.preset)
    if curves is None or finding.part.learners[0] != OFF_POLICY:
        return None
    (part,) = energy_falls(Source(found.preset, {DATA: curves})).parts
    change = estimate(part.values)
    slots = trained_for(curves)[OFF_POLICY]
    return Change(
        "MADDPG's training is short",
        f"with {slots:,} slots its energy changes by {in_brackets(change)} "
        f"({len(part.values)} seeds)",
        change[2] < 0,
    )


def _tables(name: str, preset: str) -> dict[str, pd.DataFrame] | None:
    """Return an experiment's curves and its results on held-out worlds; None without both."""
    tables = {file: whole_table(name, preset, file) for file in (DATA, EVALUATION)}
    known = {file: rows for file, rows in tables.items() if rows is not None}
    return known if len(known) == len(tables) else None


def bounded_is_sooner(found: Source, finding: Finding) -> Change | None:
    """The rule: a bounded Gaussian in the original's place is sooner in every seed, in both r.

    Of five seeds: by the exact test that judges the sentence, one seed fewer than could show it.
    """
    curves = whole_table(mechanisms.EXPERIMENT, found.preset)
    if curves is None or finding.part.learners[0] != GAUSSIAN_HAPPO:
        return None
    bounded = curves.query("variant == @BOUNDED_VARIANT")
    both = pd.concat([bounded, found.data.query("algorithm == @OFF_POLICY")], ignore_index=True)
    leads = [sooner(both, reward, GAUSSIAN_HAPPO, other=OFF_POLICY) for reward in SYMBOLS]
    least = pd.concat(leads, axis=1).min(axis=1)
    hits = least > RELEVANT
    if hits.empty:
        return None
    by = f", by {least.min():.0f} % of MADDPG's training or more" if hits.all() else ""
    return Change(
        "the original Gaussian starts slowly",
        f"with a bounded one in its place, both rewards are there sooner in {hits.sum()} of "
        f"{len(hits)} seeds{by}",
        hits.all(),
    )


def powers_of_ten(found: Source, finding: Finding) -> Change | None:
    """The rule: a thousand times η does what the sentence says, and its part here goes unseen.

    That is the part of it which log η has in the sweep, against what the sweep's seeds would show
    if the sentence stood alone.
    """
    worlds, metric = whole_table("silence", found.preset, EVALUATION), finding.evidence.metric
    if worlds is None or not finding.part.values:
        return None
    least, most = CONTROL_FACTORS[1], CONTROL_FACTORS[-1]
    rows = worlds.pivot_table(metric, "seed", "variant")
    first, last = (rows[f"{next(iter(SENDING))}, eta={eta:g}"] for eta in (least, most))
    energy = metric == ENERGY
    whole = estimate(np.log(last / first) if energy else 100 * (last - first))
    points = by_point(found.data)[metric].mean().index
    part = whole[0] * math.log(points[-1] / points[0]) / math.log(most / least)
    here = 100 * math.expm1(part) if energy else part
    shown = all(finding.evidence.sign * bound > 0 for bound in whole[1:])
    said = (
        f"times {in_brackets(tuple(np.exp(whole)), '')}"
        if energy
        else in_brackets(whole, " points")
    )
    return Change(
        "η acts by powers of ten",
        f"from {least:g} to {most:g} the {finding.evidence.quantity.strip(',')} is {said} "
        f"({len(rows)} seeds); in proportion to log η, the step from {points[0]:g} to "
        f"{points[-1]:g} would change it by {here:.2g} {'%' if energy else 'points'}",
        shown and abs(here) < detectable(finding.part.values, ERROR),
    )


def learning_saves(found: Source, finding: Finding) -> Change | None:
    """The rule: at the end of a sweep nothing is served, and a rule that learns nothing agrees."""
    still = next(iter(ON_DEMAND))
    own, rule = (by_point(found.data, who)[[ENERGY, FAILED]].mean() for who in (OWN, still))
    first, last = own.index[[0, -1]]
    ratio = rule[ENERGY].get(last, math.nan) / rule[ENERGY].get(first, math.nan)
    if math.isnan(ratio):
        return None
    return Change(
        "where all requests fail, learning can still lower the energy",
        f"{label(still)}, which learns nothing, needs {ratio:.3g} times as much at {last:g} as at "
        f"{first:g}",
        own[FAILED][last] > 1 - 1e-6 and finding.evidence.sign * math.log(ratio) > 0,
    )


def without_slices(found: Source, finding: Finding) -> Change | None:
    """The rule: with a divided CPU, alone or with a strict (14b), below a point fails at each K.

    By the 95 % t interval over seeds of each (:data:`.alternatives.WITHOUT_SLICES`), uncorrected.
    """
    table = whole_table("divided", found.preset)
    if table is None:
        return None
    points, changes = [part.at for part in finding.evidence.parts], []
    for variant in WITHOUT_SLICES:
        some = table[table["variant"] == variant]
        rows = 100 * some.pivot(index="seed", columns="x", values=FAILED)
        if rows.empty:
            continue
        most = max(estimate(rows[x])[2] for x in rows)
        strict = f" and (14b) allows {100 * STRICT['failure_threshold']:g} % of slots"
        failed = ", ".join(f"{ratio:.2f}" for ratio in rows.mean())
        change = Change(
            "slices bind",
            f"where servers divide their CPU{strict if 'strict' in variant else ''}, Beta-HAPPO "
            f"fails in {failed} % of requests at K = {', '.join(f'{x:g}' for x in rows)} "
            f"({len(rows)} seeds; intervals end at up to {most:.2g} %)",
            list(rows) == points and most < RELEVANT_POINTS,
        )
        changes.append(change)
    return next(filter(None, changes), changes[-1] if changes else None)


def another_action(found: Source, finding: Finding) -> Change | None:
    """The rule: with another action, at least a point of the requests more is served.

    By the 95 % t interval of the difference within a seed, of the surest of four actions,
    uncorrected (:data:`.alternatives.CROWD`).
    """
    worlds = whole_table("crowd", found.preset, EVALUATION)
    if worlds is None:
        return None
    served = 100 * (1 - worlds.pivot_table(FAILED, "seed", "variant"))
    as_is = next(iter(CROWD))
    gain = served.drop(columns=as_is).sub(served[as_is], axis=0)
    more = {name: values.dropna() for name, values in gain.items()}
    told = {name: estimate(values) for name, values in more.items() if len(values) >= FEWEST}
    if not told:
        return None
    best = max(told, key=lambda name: told[name][1])
    mean, low, high = told[best]
    both = served[[best, as_is]].dropna()
    return Change(
        "of the action",
        f"with {best}, {both[best].mean():.2g} % of requests are served with 50 users, and "
        f"{both[as_is].mean():.2g} % as it is, {mean:.2g} points less [{low:.2g}, {high:.2g}] "
        f"({len(both)} seeds)",
        low > RELEVANT_POINTS,
    )


CAUSES: dict[tuple[str, str], tuple[Why, ...]] = {
    **{(BETA_MAPPO, metric): (unshared(leads(metric, BETA_MAPPO)),) for metric in SYMBOLS},
    (BETA_MAPPO, ENERGY): (unshared(saves(BETA_MAPPO)),),
    (GAUSSIAN_HAPPO, "reward_global"): (_mean_actions,),
    (GAUSSIAN_HAPPO, "reward_centre"): (idle_cpu,),
    (GAUSSIAN_HAPPO, ENERGY): (_bounded, per_served(saves(GAUSSIAN_HAPPO))),
    **{(OFF_POLICY, metric): (_held_back(leads(metric, OFF_POLICY)),) for metric in SYMBOLS},
    (OFF_POLICY, ENERGY): (_as_many_slots,),
}
"""By the learner that is compared with, and what is measured; the first that is shown counts."""
