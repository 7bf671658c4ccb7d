"""Beside the counts: what is there so far, and sentences that are not the paper's."""

import pytest

from dtlib.report import tables
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.verdicts import claims, scoreboard
from dtlib.verdicts.causes import DOUBTED


def test_how_many_seeds_and_episodes_is_said_wherever_there_are_counts(monkeypatch):
    said = {
        "paper": "5 seeds in Figs. 4–6 (MADDPG: 2 of 150 episodes)",
        "companion": "10 seeds in Figs. 4–6 (MADDPG: 50 of 300 episodes)",
    }
    readme = " ".join((paths.root() / "README.md").read_text(encoding="utf-8").split())
    for preset, text in said.items():
        assert scoreboard.trained_with(preset) == text
        assert text in readme
    runs = scoreboard.committed.runs_of(scoreboard.find("fig04_06"), "paper")
    some = [run for run in runs if run.algorithm != "maddpg" or not run.config.seed]
    monkeypatch.setattr(scoreboard.committed, "runs_of", lambda *of: some)
    assert scoreboard.trained_with("paper").startswith("1 to 5 seeds in Figs. 4–6 (MADDPG: 2 of")
    first = [run for run in runs if run.algorithm != "maddpg" and not run.config.seed]
    monkeypatch.setattr(scoreboard.committed, "runs_of", lambda *of: first)
    assert scoreboard.trained_with("paper") == "1 seed in Figs. 4–6"
    monkeypatch.setattr(scoreboard.committed, "runs_of", lambda *of: [])
    assert scoreboard.trained_with("paper") == "no seed in Figs. 4–6"


def test_what_the_paper_does_not_say_is_marked():
    marked = [claim for claim in claims.CLAIMS if claim.reading]
    assert [claim.shown for claim in marked] == ["Fig. 8"] * 2 + ["Fig. 11"] + ["Fig. 14"] * 2
    shown, text = tables.scoreboard("Fig. 8", "Fig. 11", "Fig. 14").data, scoreboard.departures()
    for claim in marked:
        number = f" <i>{claim.reported}</i>" if claim.reported else ""
        assert claim.reading in text and f"</b>{number} <i>{claim.reading}</i></p>" in shown
    assert "“" not in tables.scoreboard().data, "sentences are shortened: none is a quotation"


@pytest.mark.parametrize("preset", ["companion", "paper"])
def test_causes_are_counted_as_the_remarks_have_them(preset):
    once = scoreboard.verdicts().drop_duplicates("the paper says")
    doubted = once[once[preset].isin(DOUBTED)]
    known = doubted[f"remark, {preset}"].str.contains("; because ").sum()
    assert 0 <= known < len(doubted) and (known > 0) == (preset == "companion")
    said = f"a cause was shown for {known} of the {len(doubted)} sentences"
    assert scoreboard.explained(preset).startswith(said)


def test_a_table_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    with pytest.raises(FileError, match="claims.csv: there is none; dtlib claims writes it$"):
        scoreboard.kept("claims.csv")
