"""Learners against what is not learnt: at equal failures, and as shares of what is possible."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from dtlib.experiments.alternatives import CONTROL_FACTORS
from dtlib.experiments.experiment import OWN
from dtlib.experiments.families import BEST
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.training.calibration import MARGIN, PRICED

WORST, ALL = "failure_ratio_slots_user_max", "failure_ratio_slots"
"""Slot failure ratios of the worst user and of all together."""


def closed(energy_j: float, *, equal_j: float, genie_j: float) -> float:
    """Return the share of the logarithmic distance from equal power to the genie bound."""
    return math.log(equal_j / energy_j) / math.log(equal_j / genie_j)


def at_failures(policy: pd.DataFrame, ratio: float, column: str = WORST) -> float:
    """Return the energy of a policy where it fails in so many slots, J.

    Args:
        policy: its rows at several thresholds; the logarithm of energy is linear between them.
        ratio: slot failure ratio; the nearest row is taken outside theirs.
        column: whose ratio it is, the worst user's or another.
    """
    rows = policy.sort_values(column)
    known = rows[column], np.log(rows[ENERGY])
    return math.exp(np.interp(ratio, *known))


def as_asked(references: pd.DataFrame, limit: float) -> pd.DataFrame:
    """Return the row of each reference policy that is tuned to what (14b) asks, by policy.

    The genie is held to the limit itself on the worlds where it is measured. Others are tuned on
    worlds of their own, with a margin; what has no parameter has but one row.

    Args:
        references: the table of :mod:`dtlib.studies.references`.
        limit: largest slot failure ratio of a user, ε.
    """
    policy = references["policy"]
    aims = policy.str.startswith("genie").map({True: limit, False: MARGIN.failures})
    aims = aims.mask(policy.str.endswith("priced"), PRICED.failures)
    asked = (references["threshold"] == aims) | references["threshold"].isna()
    return references[asked].set_index("policy")


def energy_ratios(
    *,
    held: pd.DataFrame,
    priced: pd.DataFrame,
    trained: pd.DataFrame,
    references: pd.DataFrame,
    algorithms: Iterable[str],
) -> dict[tuple[str, str], pd.Series]:
    """Return Beta-HAPPO's energy over others', by seed.

    Args:
        held: calibrated runs, by algorithm and seed.
        priced: the same where users see their queues.
        trained: runs as they come out of training, by algorithm, control factor η and seed.
        references: the table of :mod:`dtlib.studies.references`.
        algorithms: other learners.

    Returns:
        By circumstances and by whom it is compared with, a rule, an algorithm, or the best rule
        where as many slots fail.
    """

    def as_trained(algorithm: str, control_factor: float) -> pd.DataFrame:
        return trained.xs((algorithm, control_factor), level=["algorithm", "control_factor"])

    asked = as_asked(references, limit=MARGIN.failures)[ENERGY]
    own, own_priced = held.loc[OWN, ENERGY], priced.loc[OWN, ENERGY]
    found = {
        ("(14b) held", rule): own / asked[rule]
        for rule in ("equal power", "channel inversion", BEST)
    }
    rival = references[references["policy"] == BEST]
    alike = {"(14b) held": held.loc[OWN]} | {
        f"η = {eta:g}, as trained": as_trained(OWN, eta) for eta in CONTROL_FACTORS[:2]
    }
    for where, runs in alike.items():
        for who, column in {"its worst user": WORST, "all users together": ALL}.items():
            equal = [at_failures(rival, ratio, column) for ratio in runs[column]]
            found[where, f"{BEST}, {who} failing as often"] = runs[ENERGY] / equal
    found["priced", f"{BEST}, priced"] = own_priced / asked[f"{BEST}, priced"]
    found["priced", "Beta-HAPPO without a price"] = own_priced / own
    for algorithm in algorithms:
        if algorithm in held.index:
            found["(14b) held", algorithm] = (own / held.loc[algorithm, ENERGY]).dropna()
        ratio = as_trained(OWN, 1.0)[ENERGY] / as_trained(algorithm, 1.0)[ENERGY]
        found["η = 1", algorithm] = ratio.dropna()
    return found


def beside_curve(runs: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Return runs on held-out worlds with two columns more, ``rule_j`` and ``more``.

    Args:
        runs: with failures and energy, as in :meth:`Evaluation.summary`.
        curve: of *demand or silence*, see :mod:`dtlib.studies.demand`; ``rule_j`` is its energy
            where as many requests fail, or at its nearest end, and ``more`` the part by which a run
            needs more.
    """
    found = runs.assign(rule_j=[at_failures(curve, ratio, FAILED) for ratio in runs[FAILED]])
    return found.assign(more=found[ENERGY] / found["rule_j"] - 1)
