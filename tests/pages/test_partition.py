"""What slices cost: shares by hand, every line from the rows that it says."""

import math

import pandas as pd
import pytest

from dtlib.experiments import results
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import partition
from dtlib.verdicts.quantities import by_point

LEARNED = pd.DataFrame({FAILED: [0.1, 0.4], ENERGY: [1e-4, 2e-4]}, index=[10.0, 30.0])


def rows_of():
    numbers = {("demand or silence", "divided"): 0.1, ("demand or silence", "slices"): 0.5,
               ("power on demand", "slices"): 0.6, ("clairvoyant", "slices"): 0.3}  # fmt: skip
    return pd.DataFrame(
        [
            {"rule": rule, "reading": reading, "axis": axis, "x": x,
             FAILED: value if x > 10 else 0.1, ENERGY: value / 1e3}
            for (rule, reading), value in numbers.items()
            for axis, x in (("K", 10), ("K", 30), ("B", 30))
        ]
    )  # fmt: skip


def test_costs_are_of_the_same_rule():
    found = partition.costs(rows_of(), LEARNED)
    assert list(found.index) == [10, 30]
    assert math.isnan(found.loc[10, "failures won back (%)"]), "slices cost nothing there"
    assert dict(found.loc[30]) == pytest.approx(
        {
            "failed, divided (%)": 10, "failed, slices (%)": 50,
            "failed, clairvoyant (%)": 30, "Beta-HAPPO fails (%)": 40,
            "failures won back (%)": 25, "energy, divided (mJ)": 0.1, "energy, slices (mJ)": 0.5,
            "power on demand (mJ)": 0.6, "Beta-HAPPO's (mJ)": 0.2,
        }
    )  # fmt: skip


def test_who_fails_more_wins_less_than_nothing_back():
    more = LEARNED.assign(**{FAILED: [0.1, 0.501]})
    found = partition.costs(rows_of(), more).loc[30]
    assert found["failures won back (%)"] == pytest.approx(-0.25)


def test_the_learner_is_the_committed_one_at_every_k():
    learned = partition.of_learner()
    assert {10, 15, 20, 25, 30, 58} <= set(learned.index) and learned.index.is_unique
    own = by_point(results.table("companion", "fig07_08"))[FAILED].median()
    assert learned.loc[40, FAILED] == own[40], "not that of another preset"
    assert learned.loc[58, FAILED] > 0.99 > learned.loc[25, FAILED]


def test_lines_are_what_they_say():
    figure = partition.draw(rows_of(), LEARNED)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines["demand or silence, slices"].get_ydata()) == [10, 50]
    assert list(lines["demand or silence, divided"].get_ydata()) == [10, 10]
    assert list(lines["Beta-HAPPO, slices"].get_ydata()) == [10, 40]
