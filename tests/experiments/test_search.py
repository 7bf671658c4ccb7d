"""The search for learning settings: equal tries, no look at held-out worlds, the rule of choice."""

from collections import Counter

import pandas as pd
import pytest

from dtlib import TrainConfig
from dtlib.experiments import alternatives, committed, grids, search
from dtlib.experiments.experiment import LEARNERS

SEARCH, FINAL = grids.find("search"), grids.find("finalists")
TUNED = "tuning.csv"


def test_every_learner_tries_as_many_settings_and_its_own_is_among_them():
    runs = SEARCH.runs("companion", 1)
    tries = Counter(run.algorithm for run in runs)
    assert set(tries) == set(LEARNERS) and len(set(tries.values())) == 1
    for name in LEARNERS:
        mine = [run.config for run in runs if run.algorithm == name]
        assert TrainConfig.from_preset("companion", algorithm=name) in mine
        assert len({search.setting_label(setting) for setting in search.grid(name)}) == len(mine)


def test_the_companion_has_what_the_second_round_chose():
    """By the rule, from the committed tables of both rounds."""
    last, first = (
        committed.rows_of(one, committed.runs_of(one, "companion"), "companion", name=TUNED)
        for one in (FINAL, SEARCH)
    )
    for table, names in ((first, search.FINALISTS), (last, search.FINALISTS)):
        ranked = search.ranked(table)
        chosen = [variant for _, variant in ranked.index[ranked["chosen"]]]
        assert len(chosen) == len(LEARNERS) and {*chosen} <= {*names}
    for variant in chosen:
        tried = alternatives.TRIED[variant]
        assert TrainConfig.from_preset("companion", **tried) == TrainConfig.from_preset(
            "companion", algorithm=tried["algorithm"]
        )


def test_it_looks_at_tuning_worlds_alone():
    assert {run.streams for run in SEARCH.runs("smoke", 1)} == {("tuning",)}
    assert committed.tables_of(SEARCH) == ("data.csv", "tuning.csv")


def table(rows):
    columns = ["algorithm", "variant", "seed", "failure_ratio_requests", "energy_per_slot_j"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("other", "chosen"),
    [((0.32, 1.0), "b"), ((0.32, 3.0), "a"), ((0.35, 1.0), "a"), ((0.20, 9.0), "b")],
)
def test_fewest_failures_then_the_least_energy(other, chosen):
    """Means over users and seeds; 2 points of failures count as equal; per algorithm."""
    rows = [
        ("one", "a", 0, 0.29, 1.5), ("one", "a", 0, 0.33, 2.5), ("one", "a", 1, 0.31, 2.0),
        ("one", "b", 0, *other), ("two", "c", 0, 0.9, 9.0),
    ]  # fmt: skip
    ranked = search.ranked(table(rows))
    assert ranked.loc[("one", "a"), "failed"] == pytest.approx(0.31)
    assert ranked.loc[("one", "a"), "energy_j"] == pytest.approx(2.0)
    assert list(ranked.index[ranked["chosen"]]) == [("one", chosen), ("two", "c")]
