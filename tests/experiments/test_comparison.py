"""Learners against what is not learnt: interpolation and shares by hand."""

import math

import pandas as pd
import pytest

from dtlib.experiments import comparison


def rows(*pairs):
    columns = ["failure_ratio_slots_user_max", "energy_per_user_slot_j"]
    return pd.DataFrame(pairs, columns=columns)


def test_energy_at_equal_failures_is_log_linear():
    known = rows((0.3, 1e-5), (0.1, 4e-5), (0.2, 2e-5))
    assert comparison.at_failures(known, 0.15) == pytest.approx(math.sqrt(8) * 1e-5)
    assert comparison.at_failures(known, 0.2) == pytest.approx(2e-5)
    assert comparison.at_failures(known, 0.0) == pytest.approx(4e-5)
    assert comparison.at_failures(known, 0.9) == pytest.approx(1e-5)
    everyone = known.assign(failure_ratio_slots=known["failure_ratio_slots_user_max"] / 2)
    found = comparison.at_failures(everyone, 0.1, "failure_ratio_slots")
    assert found == pytest.approx(2e-5)


def test_share_closed():
    assert comparison.closed(1e-3, 1e-2, 1e-4) == pytest.approx(0.5)
