"""Learners against what is not learnt: at equal failures, and as shares of what is possible."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd


def closed(energy_j: float, equal_j: float, genie_j: float) -> float:
    """Return the share of the logarithmic distance from equal power to the genie bound."""
    return math.log(equal_j / energy_j) / math.log(equal_j / genie_j)


def at_failures(
    policy: pd.DataFrame, ratio: float, column: str = "failure_ratio_slots_user_max"
) -> float:
    """Return the energy of a policy where it fails in so many slots, J.

    Args:
        policy: its rows at several thresholds; the logarithm of energy is linear between them.
        ratio: slot failure ratio; the nearest row is taken outside theirs.
        column: whose ratio it is, the worst user's or another.
    """
    rows = policy.sort_values(column)
    known = rows[column], np.log(rows["energy_per_user_slot_j"])
    return math.exp(np.interp(ratio, *known))
