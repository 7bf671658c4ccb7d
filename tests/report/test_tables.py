"""Tables: numbers of a sweep, and the claims."""

import numpy as np
import pandas as pd

from dtlib.report import tables
from dtlib.report.figures import FAILED_LABEL
from dtlib.report.scoreboard import verdicts


def test_numbers_are_means_over_seeds():
    sweep = pd.DataFrame(
        [
            {"figure": "fig10", "algorithm": algorithm, "seed": seed, "x": x,
             "energy_per_user_slot_j": 1e-3 * (1 + seed) * x,
             "failure_ratio_requests": np.nan if algorithm == "genie" else 0.25}
            for algorithm in ("beta-happo", "maddpg", "genie")
            for seed in range(1 if algorithm == "genie" else 3) for x in (0.2, 0.4)
        ]
    )  # fmt: skip
    table = tables.numbers(sweep)
    assert table.loc[("energy (mJ)", 0.4), "Beta-HAPPO"] == "0.8"
    assert table.loc[(FAILED_LABEL, 0.2), "genie bound"] == ""
    assert set(table.loc[FAILED_LABEL, 0.2]) == {"25", ""}
    assert table.index.names == [None, "request probability λ"]


def test_scoreboard_shows_whole_sentences():
    text = tables.scoreboard("Fig. 7").to_html()
    assert "Energy rises with the number of users." in text and "…" not in text
    assert "Fig. 8" not in text and ("no run is committed" in text or "seed" in text)
    assert text == tables.scoreboard("Fig. 7").to_html(), "the same page at each build"
    assert text.count("Beta-HAPPO needs the least energy at every K.") == 1


def test_scoreboard_of_a_verdict():
    table = verdicts()
    for verdict in tables.VERDICTS:
        shown = tables.scoreboard(only=verdict).data
        wanted = table["companion"].eq(verdict) | table["paper"].eq(verdict)
        assert len(shown) == wanted.sum()
        cells = [*shown["companion"], *shown["paper"]]
        assert verdict in {cell.split("\n")[0] for cell in cells} or not cells
    assert set(tables.VERDICTS) >= set(table["companion"]) | set(table["paper"])


def test_sentences_measured_in_two_ways_are_written_once():
    shown = tables.scoreboard("Fig. 6").data
    ways = shown["measured on"].tolist()
    assert ways.count("held-out worlds") == 3 and ways.count("end of training") == 4
    assert (shown["the paper says"][shown["measured on"] == "held-out worlds"] == "").all()


def test_rates_stand_beside_verdicts():
    shown = tables.scoreboard("Fig. 4").data
    tested = ~shown["companion"].str.startswith("not testable")
    assert (
        shown["companion"][tested]
        .str.contains("errs in .* % of families, finds .* % of true effects")
        .all()
    )
    assert len(tables.rates()) > 50
