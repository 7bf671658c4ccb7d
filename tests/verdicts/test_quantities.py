"""Quantities of sentences, by hand."""

import numpy as np
import pandas as pd
import pytest

from dtlib.verdicts import quantities


def run(algorithm, seed, values, first=1):
    values = np.asarray(values, dtype=float)
    at = first + np.arange(len(values))
    return pd.DataFrame({"algorithm": algorithm, "seed": seed, "x": at, "r": values})


def test_a_tenth_is_one_of_the_runs_own():
    """Shorter runs beside longer ones: 20 and 100 episodes, their ends are 2 and 10 of them."""
    data = pd.concat([run("maddpg", 0, np.arange(20)), run("beta-happo", 0, np.arange(100))])
    ends = quantities.tenths(data, "r")
    assert ends.loc[("maddpg", 0)].tolist() == [0.5, 18.5]
    assert ends.loc[("beta-happo", 0)].tolist() == [4.5, 94.5]
    assert quantities.height(data, "r") == 94.0


def test_sooner_by_time_slots():
    slow = run("maddpg", 0, [0, 1, 2, 4, 4])
    data = pd.concat([slow, run("beta-happo", 0, [0, 5, 5, 5, 5, 5, 5, 5])], ignore_index=True)
    lead = quantities.sooner(data, "r", "beta-happo", "maddpg")
    assert lead.to_dict() == {0: pytest.approx(40.0)}  # at 2 instead of 4, of 5
    never = pd.concat([slow, run("beta-happo", 0, [0, 1, 1, 1])], ignore_index=True)
    assert quantities.sooner(never, "r", "beta-happo", "maddpg").tolist() == [-100.0]
    alone = run("beta-happo", 0, [0, 1])
    assert quantities.sooner(alone, "r", "beta-happo", "maddpg").empty


def test_unrest_is_of_the_last_half():
    assert quantities.unrest(run("maddpg", 0, [9, 0, 9, 5, 0, 5]), "r").iloc[0] == 50**0.5


def test_gap_has_two_equal_sides():
    one, other = pd.Series([1.0, 2.0]), pd.Series([3.0, np.nan])
    assert quantities.gap(one, other).tolist() == [100.0]
    assert quantities.gap(other, one).tolist() == [-100.0]
