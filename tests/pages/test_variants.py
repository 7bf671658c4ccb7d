"""Variants beside each other, from two runs made up by hand."""

import pandas as pd

from dtlib.experiments.results import ENERGY
from dtlib.pages import variants
from dtlib.report.columns import COLUMNS, ENERGY_LABEL, as_texts
from dtlib.studies.comparison import ALL, WORST

RUNS = pd.DataFrame(
    [("a", 0, -3.0, 1e-3, 0.1), ("a", 1, -1.0, 3e-3, 0.3), ("b", 0, -5.0, 4e-3, 0.5)],
    columns=["variant", "seed", "reward_global", ENERGY, ALL],
)
RUNS = RUNS.assign(reward_centre=-1.0, **{WORST: 0.5}).set_index(["variant", "seed"])


def test_means_with_their_intervals():
    table = variants.table(RUNS)
    assert list(table.index) == ["a", "b"]
    assert list(table.columns) == [COLUMNS[name][0] for name in variants.FORMATS]
    assert table.loc["a", ENERGY_LABEL].startswith("2 [") and table.loc["b", ENERGY_LABEL] == "4"
    assert table.loc["a", "failed slots, worst user (%)"].startswith("50 [50,")
    assert as_texts(RUNS.loc["b"], {ALL: ".3g"}) == {"failed slots (%)": "50"}


def test_differences_are_of_the_same_seed():
    """Of b's seeds only 0 is one of a's: 4 mJ for 1 mJ, 50 % for 10 %."""
    other = RUNS.loc[["b"]].rename(index={0: 7}, level="seed").assign(**{ENERGY: 1.0})
    table = variants.within_seeds(pd.concat([RUNS, other]))
    assert table.loc["b"].tolist() == ["300.0", "40.0", "0.0"] and list(table.index) == ["b"]
    twice = RUNS.loc[["a"]].rename(index={"a": "c"}, level="variant")
    twice = twice.assign(**{ENERGY: 2 * twice[ENERGY], ALL: twice[ALL] + [0.1, 0.3]})
    table = variants.within_seeds(pd.concat([RUNS, twice]))
    assert table.loc["c"].iloc[0] == "100.0 [100.0,\N{NO-BREAK SPACE}100.0]"
    assert table.loc["c"].iloc[1].startswith("20.0 [-") and "," in table.loc["c"].iloc[1]


def test_each_run_is_a_point_and_each_mean_a_stroke():
    energy, failed = variants.draw(RUNS, [ENERGY, ALL]).axes
    drawn = [line.get_xdata().tolist() for line in energy.lines]
    assert drawn == [[1, 3], [2], [4], [4]] and failed.get_xlabel() == "failed slots (%)"
    assert [text.get_text() for text in energy.get_yticklabels()] == ["a", "b"]
    assert energy.get_ylim() == (1.5, -0.5), "the first variant is on top"
    wide, _ = variants.draw(RUNS.assign(**{ENERGY: RUNS[ENERGY] ** 2}), [ENERGY, ALL]).axes
    assert (energy.get_xscale(), wide.get_xscale()) == ("linear", "log")


def test_changes_are_named():
    settings = {"as it is": {}, "other": {"clip": 0.1, "env": {"frames": 2}}}
    table = variants.changes(settings).data
    assert list(table["changed"]) == ["", "clip = 0.1, env = {'frames': 2}"]
