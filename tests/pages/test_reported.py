"""The paper's numbers beside ours: what is drawn is what is judged."""

import numpy as np
import pytest

from dtlib.pages import reported
from dtlib.verdicts import checks
from dtlib.verdicts.claims import JUDGED_PRESETS
from dtlib.verdicts.scoreboard import kept
from dtlib.verdicts.statistics import estimate, in_brackets
from dtlib.verdicts.words import minus


@pytest.fixture(scope="module")
def rows():
    return reported.shares()


def test_every_share_of_the_paper_has_a_row_for_each_preset(rows):
    assert list(rows["preset"]) == [*JUDGED_PRESETS] * (len(rows) // 2)
    assert list(rows["paper"][::2]) == [20.28, 29.52, 41.08, 0, 100]


def test_numbers_are_those_of_the_scoreboard(rows):
    """And where nothing is judged, there is none."""
    table = kept("claims.csv").drop_duplicates("the paper says").set_index("the paper says")
    for row in rows.itertuples():
        known = table.loc[row.sentence]
        assert row.verdict == known[row.preset]
        said = in_brackets((row.mean, row.low, row.high))
        assert np.isnan(row.mean) == (said not in known[f"measured, {row.preset}"])


def test_all_that_is_known_is_within_the_picture(rows):
    far = rows.assign(low=rows["low"].where(rows["verdict"] != "contradicted", -29_000))
    for known in (rows, far):
        figure = reported.draw(known)
        (ax,) = figure.axes
        ours = [line for line in ax.lines if line.get_label().startswith("here")]
        hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        assert [line.get_xdata()[0] for line in hollow] == list(known["paper"][::2])
        np.testing.assert_array_equal([line.get_xdata()[0] for line in ours], known["mean"])
        left, right = ax.get_xlim()
        assert left <= known["low"].min() and known["high"].max() < right


def test_savings_are_the_papers_and_ours(rows):
    table = reported.table(rows).head(len(checks.SAVINGS))
    assert [*map(float, table["its number (%)"])] == [*checks.SAVINGS.values()]
    for preset in JUDGED_PRESETS:
        energy = checks.source("fig04_06", preset, checks.TRAINING).final(checks.ENERGY)
        for other, text in zip(checks.SAVINGS, table[f"{preset} (%)"], strict=True):
            own, its = (energy[name] for name in ("beta-happo", other))
            ends = map(checks.as_saving, estimate((200 * (its - own) / (its + own)).dropna()))
            whole = "{:.1f} [{:.1f}, {:.1f}]".format(*ends)
            assert text.startswith(minus(whole))
    assert table.iloc[2][f"{JUDGED_PRESETS[1]} (%)"] == "4.5 [−150.6, 64.5], 5 seeds"
