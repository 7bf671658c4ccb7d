"""One chart has all sweeps, and says what the figures' pages say."""

import pandas as pd
import pytest
from pictures import texts

from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import swept
from dtlib.report import embed
from dtlib.report.shown import load


def test_sweeps_are_those_of_the_figures_pages():
    table = swept.rows()
    shown = load("fig10", "companion")
    mine = table[(table["quantity"] == "request probability λ") & (table["line"] == "Beta-HAPPO")]
    mine = mine.set_index("x")
    for column, metric, unit in (("energy", ENERGY, 1e3), ("failed", FAILED, 100)):
        theirs = unit * shown.points(metric)
        assert mine[column].loc[theirs.index].to_numpy() == pytest.approx(theirs.to_numpy())
    for letter in ("K", "λ", "M", "D_max", "B", "η"):
        assert any(letter in name for name in table["quantity"].unique())


def test_a_point_is_the_same_for_all_lines():
    part = {"quantity": "K", "line": "a", "x": [10, 20, 30]}
    table = pd.concat(
        [pd.DataFrame(part), pd.DataFrame({"quantity": "K", "line": ["b"], "x": [20]})]
    )
    found = swept.numbered(table.reset_index(drop=True))
    assert list(found["nth"]) == [1, 2, 3, 2] and set(found["many"]) == {3}


def test_the_chosen_point_is_read_off():
    table = swept.rows()
    first = table[table["quantity"] == table["quantity"].iloc[0]]
    chosen = first[first["nth"] == 1 + first["many"] // 2]  # half the way along
    said = texts(swept.chart(table))
    assert f"mobile users K: {chosen['x'].iloc[0]:g}" in said
    for row in chosen.itertuples():
        assert row.line in said and f"{row.failed:.1f}" in said


def test_panels_follow_the_columns_width():
    drawn = embed.specification(swept.chart(swept.rows()), "sweeps")
    widths = [one for one in drawn["signals"] if "width" in one["name"].lower()]
    assert widths and all("containerSize" in one["init"] for one in widths)
