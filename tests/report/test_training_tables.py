"""Tables beside learning curves: ends of training, new worlds, longer training."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from dtlib.experiments import committed, results
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report import training_tables
from dtlib.report.columns import ENERGY_LABEL, FAILED_LABEL
from dtlib.report.shown import load
from dtlib.verdicts import words


def test_tables_of_training():
    shown = load("fig04_06", "quick")
    ends = training_tables.ends_of_training(shown)
    assert ends.shape == (4 * len(LEARNERS), 2)
    assert re.fullmatch(r"\S+ \(\S+ to \S+\)", ends.loc[(ENERGY_LABEL, "MADDPG"), "last tenth"])
    table = training_tables.on_new_worlds(shown)
    assert list(table) == ["Beta-HAPPO", "Gaussian-HAPPO", "Beta-MAPPO", "MADDPG"]
    assert table.loc["energy that Beta-HAPPO saves (%)", "Beta-HAPPO"] == ""
    one = training_tables.ends_of_training(replace(shown, data=shown.data.query("seed == 0")))
    assert re.fullmatch(r"[\d.]+", one.loc[(ENERGY_LABEL, "MADDPG"), "last tenth"])


@pytest.mark.parametrize(
    ("more", "points", "said"),
    [
        ((0.5, 0.4, 0.6), (0.10, 0.20, 0.15), "yes"),
        ((-0.5, -0.4, -0.6), (-0.10, -0.20, -0.15), "yes"),
        ((5.0, 5.5, 5.2), (0.10, 0.20, 0.15), "no"),
        ((0.5, 0.4, 0.6), (-3.0, -3.2, -2.9), "no"),
        ((5.0, 0.1, -1.0), (0.10, 0.20, 0.15), "not shown"),
        ((0.5,), (0.1,), "not shown"),
    ],
)
def test_a_part_of_a_training_stands_for_all_of_it_if_both_changes_are_small(more, points, said):
    """Below 2 % of the energy and a point of the failures, by the whole interval."""
    assert training_tables.stands_for_all(pd.Series(more), pd.Series(points)) == said


def test_maddpg_beside_itself_with_as_many_slots():
    table = training_tables.with_as_many_slots()
    assert [*table.index] == [
        "MADDPG, 50 episodes", "MADDPG, 300 episodes", "Beta-HAPPO, 300 episodes",
    ]  # fmt: skip
    runs = results.table("companion", "equal_slots", committed.EVALUATION).groupby("seed")
    means = 1e3 * runs[ENERGY].mean()
    assert table.loc["MADDPG, 300 episodes", ENERGY_LABEL] == (
        f"{means.mean():.2f} [{means.min():.2f},{words.GAP}{means.max():.2f}]"
    )
    of = results.table("companion", "fig04_06", committed.EVALUATION).query(
        "algorithm == 'beta-happo'"
    )
    failed = 100 * of.groupby("seed")[FAILED].mean().mean()
    assert table.loc["Beta-HAPPO, 300 episodes", "failed requests (%)"].startswith(
        f"{failed:.1f} ["
    )


@pytest.fixture
def part_and_whole():
    """Tables of 75 and of all 150 episodes, by file."""
    return lambda file: [results.table("paper", name, file) for name in ("fig04_06", "in_full")]


def test_what_the_rest_of_the_training_as_printed_changes(part_and_whole):
    found = training_tables.in_full()["Beta-HAPPO"]
    part, whole = (
        table.query("algorithm == 'beta-happo'").groupby("seed")[[ENERGY, FAILED]].mean()
        for table in part_and_whole(committed.EVALUATION)
    )
    more = 100 * (whole[ENERGY] / part[ENERGY] - 1)
    assert found["energy changes by (%)"].startswith(f"{more.mean():.2g} [")
    points = 100 * (whole[FAILED] - part[FAILED])
    assert found["failures change by (points)"].startswith(f"{points.mean():.2g} [")
    assert found[f"{FAILED_LABEL}, 150 episodes"] == f"{100 * whole[FAILED].mean():.3g}"
    assert found["75 episodes stand for 150"] == training_tables.stands_for_all(more, points)
    assert found["seeds"] == str(len(whole)) == "3"


def test_all_episodes_begin_with_those_that_were_committed(part_and_whole):
    """The part was trained on an Intel Xeon, all of it on an AMD EPYC."""
    who = ["algorithm", "seed"]
    part, whole = (
        table.drop(columns=["figure", "run"]).set_index(who) for table in part_and_whole("data.csv")
    )
    for key in whole.index.unique():
        begun, run = part.loc[[key]], whole.loc[[key]]
        assert (len(begun), len(run)) == (75, 150)
        pd.testing.assert_frame_equal(run.head(75), begun[list(run)], check_exact=True)
