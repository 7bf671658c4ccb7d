"""Tables: numbers of a sweep, and the claims."""

import html
import re

import numpy as np
import pandas as pd
import pytest

from dtlib import ConfigError
from dtlib.report import tables
from dtlib.report.columns import ENERGY_LABEL, FAILED_LABEL
from dtlib.verdicts.scoreboard import kept


def test_numbers_are_medians_over_seeds():
    sweep = pd.DataFrame(
        [
            {"figure": "fig10", "algorithm": algorithm, "seed": seed, "x": x,
             "energy_per_user_slot_j": 1e-3 * (1 + seed**2) * x,
             "failure_ratio_requests": np.nan if algorithm == "genie" else 0.25}
            for algorithm in ("beta-happo", "maddpg", "genie")
            for seed in range(1 if algorithm == "genie" else 3) for x in (0.2, 0.4)
        ]
    )  # fmt: skip
    table = tables.numbers(sweep)
    assert table.loc[(ENERGY_LABEL, 0.4), "Beta-HAPPO"] == "0.8"
    assert table.loc[(FAILED_LABEL, 0.2), "genie bound"] == ""
    assert set(table.loc[FAILED_LABEL, 0.2]) == {"25", ""}
    assert table.index.names == [None, "request probability λ"]


def test_scoreboard_shows_whole_sentences():
    text = tables.scoreboard("Fig. 7").data
    assert "Energy rises with the number of users." in text and "…" not in text
    assert "Fig. 8" not in text and ("no run is committed" in text or "seed" in text)
    assert text.count("Beta-HAPPO needs the least energy at every K.") == 1


def test_scoreboard_folds_what_was_not_asked_for():
    whole, asked = tables.scoreboard().data, tables.scoreboard("Fig. 7").data
    figures = kept("claims.csv")["figure"].nunique()
    assert whole.count("<details") == figures and "<details open" not in whole
    assert asked.count("<details") == asked.count(" open>") == 1


@pytest.mark.parametrize("verdict", tables.VERDICTS)
def test_scoreboard_of_a_verdict(verdict):
    table = kept("claims.csv")
    wanted = table["companion"].eq(verdict) | table["paper"].eq(verdict)
    shown = tables.scoreboard(only=verdict).data
    assert shown.count("<code>companion</code>") == wanted.sum()
    assert (tables.chip(verdict) in shown) == wanted.any()


def test_a_mistyped_verdict_is_refused():
    with pytest.raises(ConfigError, match="^only = 'contradictd': must be one of reproduced, "):
        tables.scoreboard(only="contradictd")


def test_every_verdict_has_a_colour_that_white_can_be_read_on():
    """4.5 : 1 is what WCAG 2 asks of text."""
    table = kept("claims.csv")
    assert set(tables.VERDICTS) >= set(table["companion"]) | set(table["paper"])
    for colour in tables.VERDICTS.values():
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        luminance = np.dot([0.2126, 0.7152, 0.0722], linear)
        assert 1.05 / (luminance + 0.05) >= 4.5, colour


def test_sentences_measured_in_two_ways_are_written_once():
    text = tables.scoreboard("Fig. 6").data
    rows = kept("claims.csv")[kept("claims.csv")["figure"] == "Fig. 6"]
    assert text.count("<p>") == rows["the paper says"].nunique() < len(rows)
    assert text.count("held-out worlds: <") == 2 * rows["measured on"].eq("held-out worlds").sum()


def test_a_table_is_folded_under_its_title():
    text = tables.folded("K < 30", pd.DataFrame({"x": ["a & b"]})).data
    summary, table = text.split("</summary>")
    assert summary.endswith("<summary>K &lt; 30") and summary.startswith("<details class=")
    assert "a &amp; b" in table and table.endswith("</table></details>")


def test_what_does_not_hold_has_its_remark_beside_its_verdict():
    rows = kept("claims.csv").query("figure == 'Fig. 4'")
    text = tables.scoreboard("Fig. 4").data
    doubted = sum((rows[f"remark, {preset}"] != "").sum() for preset in ("companion", "paper"))
    assert text.count("<br>Because ") + text.count("<br>Cause not shown.") == doubted > 4
    assert not re.search(r"[ \[]-\d", text), "a minus is no hyphen"


def test_overview_has_every_sentence_once_with_both_verdicts():
    text, rows = tables.overview().data, kept("claims.csv").drop_duplicates(tables.NAMED)
    for row in rows.to_dict("records"):
        start = text.index(f">{html.escape(row['the paper says'])}")
        line = text[start : text.index("</tr>", start)]
        verdicts = re.findall(r'nowrap">([^<]+)</span>', line)
        assert verdicts == [row["companion"], row["paper"]]
    assert text.count("<tr") == 1 + len(rows) and "[55.3, 59.7]<" in text


def test_each_verdict_has_its_rates():
    rates = tables.error_rates()
    assert len(rates) > 50
    told = kept("claims.csv").query("companion not in ('not counted', 'not testable')")
    known = rates.xs("companion", level="preset").index
    assert {*told.set_index(["figure", "the paper says", "measured on"]).index} <= {*known}
