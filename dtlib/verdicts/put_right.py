"""Causes that need no training: trained policies put right, and nothing else changed.

Each has a rule, as those of :mod:`dtlib.verdicts.interventions` have.
"""

import pandas as pd

from dtlib.experiments import results
from dtlib.experiments.experiment import GAUSSIAN_HAPPO, OWN
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.studies import corrected
from dtlib.verdicts.checks import HELD_OUT, RELEVANT, RELEVANT_POINTS, Change, Source, as_saving
from dtlib.verdicts.judgement import Finding
from dtlib.verdicts.quantities import gap
from dtlib.verdicts.statistics import estimate, in_brackets


def idle_cpu(found: Source, finding: Finding) -> Change | None:
    """The rule: with whole slices of the CPU, Beta-HAPPO's r_c is above the other's, else below it.

    By the 95 % t interval within a seed.
    """
    table = results.table(found.preset, corrected.NAME)
    if table is None or found.way != HELD_OUT:
        return None
    rows = table.query("num_users == 30 and algorithm == @OWN")
    done = rows.pivot(index="seed", columns="done", values="reward_centre")
    other = found.final("reward_centre")[GAUSSIAN_HAPPO]
    above = [done[way].sub(other).dropna() for way in ("as trained", "whole slices")]
    own, whole = map(estimate, above)
    as_is, made_whole = (in_brackets(of, "", ".2g") for of in (own, whole))
    return Change(
        "a part of each slice of the CPU stays unused",
        f"Beta-HAPPO's r_c is above Gaussian-HAPPO's by {as_is}, and with whole slices by "
        f"{made_whole} ({len(above[0])} seeds)",
        own[2] < 0 < whole[1],
    )


def unused_slices(found: Source, finding: Finding) -> Change | None:
    """The rule: where slices of both are used whole, Beta-HAPPO fails in less than a point more.

    By the 95 % t interval within a seed (:mod:`dtlib.studies.corrected`).
    """
    both = _put_right(found, finding, "whole slices")
    if both is None:
        return None
    own, other = (both[FAILED, learner] for learner in finding.part.learners)
    return Change(
        "a part of each slice of the CPU stays unused",
        f"with whole slices, and nothing trained, Beta-HAPPO fails in {own.mean():.1f} % of "
        f"requests there, and Gaussian-HAPPO in {other.mean():.1f} ({len(both)} seeds)",
        estimate(own - other)[2] < RELEVANT_POINTS,
    )


def sent_in_vain(found: Source, finding: Finding) -> Change | None:
    """The rule: where both fall silent as a rule does, Beta-HAPPO saves energy.

    By the 95 % t interval within a seed, above the margin (:mod:`dtlib.studies.corrected`).
    """
    both = _put_right(found, finding, "silenced")
    if both is None:
        return None
    saved = estimate(gap(both[ENERGY, OWN], both[ENERGY, GAUSSIAN_HAPPO]))
    own, other = (both[FAILED, learner].mean() for learner in finding.part.learners)
    return Change(
        "users send where the power is not enough",
        "where both are silent there, and nothing is trained, Beta-HAPPO saves "
        f"{in_brackets(saved, show=as_saving)} ({len(both)} seeds); it then fails in {own:.1f} % "
        f"of requests, and Gaussian-HAPPO in {other:.1f}",
        saved[1] > RELEVANT,
    )


def _put_right(found: Source, finding: Finding, done: str) -> pd.DataFrame | None:
    """Return :func:`.corrected.of_both` at the point that decides; None where it is not known."""
    table = results.table(found.preset, corrected.NAME)
    if table is None or finding.part.learners[-1] != GAUSSIAN_HAPPO:
        return None
    both = corrected.of_both(table, done)
    return both.loc[finding.part.at] if finding.part.at in both.index else None
