"""Causes that were shown: one thing was changed and nothing else, with what came of it.

Each has a rule that committed rows must pass. Else, or where a preset has none, it is not said.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from dtlib.experiments import results
from dtlib.experiments.alternatives import (
    BETA,
    BOUNDED_VARIANT,
    CONTROL_FACTORS,
    CROWD,
    GAUSSIAN,
    SENDING,
    STRICT,
    UNSHARED,
    WITHOUT_SLICES,
)
from dtlib.experiments.baseline import ON_DEMAND
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.experiment import BETA_MAPPO, GAUSSIAN_HAPPO, OFF_POLICY, OWN
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.studies import corrected, mechanisms
from dtlib.verdicts.breakdown import per_served
from dtlib.verdicts.checks import (
    HELD_OUT,
    RELEVANT,
    RELEVANT_POINTS,
    Check,
    Remark,
    Source,
    as_saving,
    energy_falls,
    leads,
    saves,
)
from dtlib.verdicts.judgement import ERROR, Finding, number_text
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import by_point, gap, sooner, trained_for
from dtlib.verdicts.statistics import FEWEST, detectable, estimate

REWARDS = ("reward_global", "reward_centre")


def of_comparison(found: Source, finding: Finding) -> str:
    """Return why two learners do not differ as a sentence says; empty where nothing was shown.

    Nothing was changed at a single point of a sweep.
    """
    own, other = finding.part.learners[0], finding.part.learners[-1]
    causes = CAUSES.get((other, finding.evidence.metric), ()) if own == OWN else ()
    if finding.part.at is not None:
        return ""
    return next(filter(None, (cause(found, finding) for cause in causes)), "")


def _mean_actions(found: Source, finding: Finding) -> str:
    """The rule: with draws more of Gaussian-HAPPO's requests fail, and with means no more do."""
    table = results.table(found.preset, mechanisms.NAME)
    if table is None or found.way != HELD_OUT:
        return ""
    ends = 100 * table[table["moment"] == "end"].groupby("variant").mean(numeric_only=True)
    draws, means = (ends[f"failed_of_{kind}"] for kind in ("draws", "means"))
    more = [float(kind[GAUSSIAN] - kind[BETA]) for kind in (draws, means)]
    if not more[1] < RELEVANT_POINTS < more[0]:
        return ""
    return (
        "mean actions are judged: in the same worlds Gaussian-HAPPO fails in "
        f"{draws[GAUSSIAN]:.0f} % of requests with draws and {means[GAUSSIAN]:.0f} % with means, "
        f"Beta-HAPPO in {draws[BETA]:.0f} and {means[BETA]:.0f} %"
    )


def _bounded(found: Source, finding: Finding) -> str:
    """The rule: a bounded Gaussian needs less, and what is saved of it is the paper's number."""
    tables = _tables(found.preset, mechanisms.EXPERIMENT)
    if tables is None:
        return ""
    known = {name: rows.assign(algorithm=rows["variant"]) for name, rows in tables.items()}
    energy = Source(found.preset, known, found.way).final(ENERGY)
    pairs = (BOUNDED_VARIANT, GAUSSIAN), (BETA, BOUNDED_VARIANT), (BETA, GAUSSIAN)
    less, saved, original = (estimate(gap(energy[own], energy[other])) for own, other in pairs)
    holds = [low <= finding.evidence.reported <= high for _, low, high in (saved, original)]
    if less[1] <= 0 or holds != [True, False]:
        return ""
    first, second = (_interval(of, as_saving) for of in (less, saved))
    return (
        f"the original Gaussian needs more: with a bounded one in its place, which needs {first} "
        f"less, Beta-HAPPO saves {second} ({len(energy)} seeds)"
    )


def _idle_cpu(found: Source, finding: Finding) -> str:
    """The rule: with whole slices of the CPU, Beta-HAPPO's r_c is above the other's."""
    table = results.table(found.preset, corrected.NAME)
    if table is None or found.way != HELD_OUT:
        return ""
    done = table.query("num_users == 30").groupby("done")["reward_centre"].mean()
    own, whole = done["as trained"], done["whole slices"]
    other = found.final("reward_centre")[GAUSSIAN_HAPPO].mean()
    if not own < other < whole:
        return ""
    return (
        "a part of each slice of the CPU stays unused: Beta-HAPPO's r_c is "
        f"{own:.3f}, and {whole:.3f} with whole slices; Gaussian-HAPPO's is {other:.3f}"
    )


def _as_many_slots(found: Source, finding: Finding) -> str:
    """The rule: with as many slots for MADDPG as others have, the paper's number is saved."""
    tables = _tables(found.preset, "equal_slots")
    if tables is None:
        return ""
    longer = Source(found.preset, tables, found.way).final(ENERGY)[OFF_POLICY]
    own = found.final(ENERGY)[OWN]
    saved = estimate(gap(own, longer))
    if not saved[1] <= finding.evidence.reported <= saved[2]:
        return ""
    return (
        f"MADDPG's training is short: where it has as many slots, Beta-HAPPO saves "
        f"{_interval(saved, as_saving)} ({len(longer)} seeds)"
    )


def unshared(check: Check) -> Remark:
    """Return a remark: without common weights, what a sentence says of Beta-MAPPO holds.

    The rule is that of :data:`.alternatives.UNSHARED`.
    """

    def remark(found: Source, finding: Finding) -> str:
        tables = _tables(found.preset, "unshared")
        if tables is None or finding.part.learners[-1] != BETA_MAPPO:
            return ""
        for what in UNSHARED:
            evidence = check(Source(found.preset, with_change(tables, what), found.way))
            (part,) = evidence.parts
            if estimate(part.values, 1 - ERROR / len(UNSHARED))[1] > RELEVANT:
                more = " and learn from their differences to r_g" * ("credit" in UNSHARED[what])
                return (
                    f"users share a network{more}: with {what}, the {evidence.quantity} is "
                    f"{number_text(evidence, part)}"
                )
        return ""

    return remark


def with_change(tables: Mapping[str, pd.DataFrame], what: str) -> dict[str, pd.DataFrame]:
    """Return the rows of learners with one of :data:`.alternatives.UNSHARED`, by table."""
    return {
        name: rows[rows["variant"] == rows["algorithm"] + f", {what}"]
        for name, rows in tables.items()
    }


def trained_longer(found: Source, finding: Finding) -> str:
    """The rule: with as many slots as others have, MADDPG's energy falls in training."""
    curves = results.table(found.preset, "equal_slots")
    if curves is None or finding.part.learners[0] != OFF_POLICY:
        return ""
    (part,) = energy_falls(Source(found.preset, {DATA: curves})).parts
    change = estimate(part.values)
    if not change[2] < 0:
        return ""
    slots = trained_for(curves)[OFF_POLICY]
    return (
        f"MADDPG's training is short: with {slots:,} slots its energy changes by "
        f"{_interval(change)} ({len(part.values)} seeds)"
    )


def _tables(preset: str, name: str) -> dict[str, pd.DataFrame] | None:
    """Return an experiment's curves and its results on held-out worlds; None without both."""
    tables = {file: results.table(preset, name, file) for file in (DATA, EVALUATION)}
    known = {file: rows for file, rows in tables.items() if rows is not None}
    return known if len(known) == len(tables) else None


def _interval(numbers: tuple[float, ...], show: Callable[[float], float] = float) -> str:
    return "{:.3g} % [{:.3g}, {:.3g}]".format(*map(show, numbers))


def bounded_is_sooner(found: Source, finding: Finding) -> str:
    """The rule: a bounded Gaussian in the original's place is sooner in every seed, in both r."""
    curves = results.table(found.preset, mechanisms.EXPERIMENT)
    if curves is None or finding.part.learners[0] != GAUSSIAN_HAPPO:
        return ""
    bounded = curves.query("variant == @BOUNDED_VARIANT")
    both = pd.concat([bounded, found.data.query("algorithm == @OFF_POLICY")])
    leads = [sooner(both, reward, GAUSSIAN_HAPPO, other=OFF_POLICY) for reward in REWARDS]
    least = min(lead.min() for lead in leads)
    if not least > RELEVANT:
        return ""
    seeds = len(leads[0])
    return (
        "the original Gaussian starts slowly: with a bounded one in its place, both rewards are "
        f"there sooner in {seeds} of {seeds} seeds, by {least:.0f} % of MADDPG's training or more"
    )


def powers_of_ten(found: Source, finding: Finding) -> str:
    """The rule: a thousand times η does what the sentence says, and its part here goes unseen.

    That is the part of it which log η has in the sweep, against what the sweep's seeds would show.
    """
    worlds, metric = results.table(found.preset, "silence", EVALUATION), finding.evidence.metric
    if worlds is None:
        return ""
    least, most = CONTROL_FACTORS[1], CONTROL_FACTORS[-1]
    rows = worlds.pivot_table(metric, "seed", "variant")
    first, last = (rows[f"{next(iter(SENDING))}, eta={eta:g}"] for eta in (least, most))
    energy = metric == ENERGY
    mean, *bounds = estimate(np.log(last / first) if energy else 100 * (last - first))
    points = by_point(found.data)[metric].mean().index
    part = mean * math.log(points[-1] / points[0]) / math.log(most / least)
    here = 100 * math.expm1(part) if energy else part
    shown = all(finding.evidence.sign * bound > 0 for bound in bounds)
    if not (shown and abs(here) < detectable(finding.part.values, ERROR)):
        return ""
    low, high = bounds
    whole = (
        "times {:.3g} [{:.3g}, {:.3g}]".format(*np.exp([mean, low, high])) if energy
        else f"{mean:.3g} points [{low:.3g}, {high:.3g}]"
    )  # fmt: skip
    return (
        f"η acts by powers of ten: from {least:g} to {most:g} the "
        f"{finding.evidence.quantity.strip(',')} is {whole} "
        f"({len(rows)} seeds), of which {points[0]:g} to {points[-1]:g} has {here:.2g} "
        f"{'%' if energy else 'points'} in proportion to log η"
    )


def learning_saves(found: Source, finding: Finding) -> str:
    """The rule: at the end of a sweep nothing is served, and a rule that learns nothing agrees."""
    still = next(iter(ON_DEMAND))
    own, rule = (by_point(found.data, who)[[ENERGY, FAILED]].mean() for who in (OWN, still))
    first, last = own.index[[0, -1]]
    ratio = rule[ENERGY].get(last, math.nan) / rule[ENERGY].get(first, math.nan)
    if not (own[FAILED][last] > 1 - 1e-6 and finding.evidence.sign * math.log(ratio) > 0):
        return ""
    return (
        f"where all requests fail, learning can still lower the energy: {label(still)}, "
        f"which learns nothing, needs {ratio:.3g} times as much at {last:g} as at {first:g}"
    )


def without_slices(found: Source, finding: Finding) -> str:
    """The rule: with a divided CPU, alone or with a strict (14b), below a point fails at each K.

    By the 95 % t interval over seeds (:data:`.alternatives.WITHOUT_SLICES`).
    """
    table = results.table(found.preset, "divided")
    if table is None:
        return ""
    points = [part.at for part in finding.evidence.parts]
    for variant in WITHOUT_SLICES:
        rows = 100 * table[table["variant"] == variant].pivot(index="seed", columns="x")[FAILED]
        most = [estimate(rows[x])[2] for x in rows]
        if list(rows) == points and max(most) < RELEVANT_POINTS:
            strict = f" and (14b) allows {100 * STRICT['failure_threshold']:g} % of slots"
            failed = ", ".join(f"{ratio:.2f}" for ratio in rows.mean())
            return (
                "slices bind: where servers divide their CPU"
                f"{strict if 'strict' in variant else ''}, Beta-HAPPO fails in {failed} % of "
                f"requests at K = {', '.join(f'{x:g}' for x in points)} ({len(rows)} seeds)"
            )
    return ""


def unused_slices(found: Source, finding: Finding) -> str:
    """The rule: where slices of both are used whole, Beta-HAPPO fails in less than a point more.

    By the 95 % t interval within a seed (:mod:`dtlib.studies.corrected`).
    """
    both = _put_right(found, finding, "whole slices")
    if both is None:
        return ""
    own, other = (both[FAILED, learner] for learner in finding.part.learners)
    if not estimate(own - other)[2] < RELEVANT_POINTS:
        return ""
    return (
        "a part of each slice of the CPU stays unused: with whole slices, and nothing trained, "
        f"Beta-HAPPO fails in {own.mean():.1f} % of requests there, and Gaussian-HAPPO in "
        f"{other.mean():.1f} ({len(both)} seeds)"
    )


def sent_in_vain(found: Source, finding: Finding) -> str:
    """The rule: where both fall silent as a rule does, Beta-HAPPO saves energy.

    By the 95 % t interval within a seed, above the margin (:mod:`dtlib.studies.corrected`).
    """
    both = _put_right(found, finding, "silenced")
    if both is None:
        return ""
    saved = estimate(gap(both[ENERGY, OWN], both[ENERGY, GAUSSIAN_HAPPO]))
    if not saved[1] > RELEVANT:
        return ""
    own, other = (both[FAILED, learner].mean() for learner in finding.part.learners)
    return (
        "users send where the power is not enough: where both are silent there, and nothing is "
        f"trained, Beta-HAPPO saves {_interval(saved, as_saving)} ({len(both)} seeds); "
        f"it then fails in {own:.1f} % of requests, and Gaussian-HAPPO in {other:.1f}"
    )


def _put_right(found: Source, finding: Finding, done: str) -> pd.DataFrame | None:
    """Return :func:`.corrected.of_both` at the point that decides; None where it is not known."""
    table = results.table(found.preset, corrected.NAME)
    if table is None or finding.part.learners[-1] != GAUSSIAN_HAPPO:
        return None
    both = corrected.of_both(table, done)
    return both.loc[finding.part.at] if finding.part.at in both.index else None


def another_action(found: Source, finding: Finding) -> str:
    """The rule: with another action, at least a point of the requests more is served.

    By the 95 % t interval of the difference within a seed (:data:`.alternatives.CROWD`).
    """
    worlds = results.table(found.preset, "crowd", EVALUATION)
    if worlds is None:
        return ""
    served = 100 * (1 - worlds.pivot_table(FAILED, "seed", "variant"))
    as_is = next(iter(CROWD))
    gain = served.drop(columns=as_is).sub(served[as_is], axis=0)
    more = {name: values.dropna() for name, values in gain.items()}
    told = {name: estimate(values) for name, values in more.items() if len(values) >= FEWEST}
    shown = [name for name, (_, low, _) in told.items() if low > RELEVANT_POINTS]
    if not shown:
        return ""
    best = max(shown, key=lambda name: told[name][0])
    both = served[[best, as_is]].dropna()
    return (
        f"of the action: with {best}, {both[best].mean():.2g} % of requests are served with 50 "
        f"users, and {both[as_is].mean():.2g} % as it is ({len(both)} seeds)"
    )


CAUSES: dict[tuple[str, str], tuple[Remark, ...]] = {
    **{(BETA_MAPPO, metric): (unshared(leads(metric, BETA_MAPPO)),) for metric in REWARDS},
    (BETA_MAPPO, ENERGY): (unshared(saves(BETA_MAPPO)),),
    (GAUSSIAN_HAPPO, "reward_global"): (_mean_actions,),
    (GAUSSIAN_HAPPO, "reward_centre"): (_idle_cpu,),
    (GAUSSIAN_HAPPO, ENERGY): (_bounded, per_served(saves(GAUSSIAN_HAPPO))),
    (OFF_POLICY, ENERGY): (_as_many_slots,),
}
"""By the learner that is compared with, and what is measured; the first that is shown is said."""
