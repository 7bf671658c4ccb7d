"""Tables: numbers of a sweep, and the claims."""

import numpy as np
import pandas as pd

from dtlib.report import tables
from dtlib.report.claims import verdicts
from dtlib.report.figures import FAILED_LABEL


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
    assert (
        "Energy rises with the number of users." in text and "…" not in text and "..." not in text
    )
    assert "Fig. 8" not in text and "(n = " in text
    assert text == tables.scoreboard("Fig. 7").to_html(), "the same page at each build"
    counts = verdicts()["verdict"].value_counts()
    for verdict, count in counts.items():
        assert tables.scoreboard(only=verdict).to_html().count(f"{verdict}</td>") == count
    assert set(tables.VERDICTS) >= set(counts.index)
