"""Sentences: each about a figure and once; the kept tables follow from the committed results."""

import re

from dtlib.experiments import grids
from dtlib.verdicts import claims, scoreboard


def test_every_claim_is_about_a_figure():
    assert {claim.experiment for claim in claims.CLAIMS} == {
        "fig04_06", "fig07_08", "fig09", "fig10", "fig11", "fig12", "fig13_14",
    }  # fmt: skip
    assert all(grids.find(claim.figure).of_the_paper for claim in claims.CLAIMS)


def test_no_sentence_twice_and_every_one_judged():
    sentences = [claim.sentence for claim in claims.CLAIMS]
    assert len(set(sentences)) == len(sentences)
    in_families = [(claim, way) for _, way, family in claims.families() for claim in family]
    assert sorted(claims.CLAIMS.index(claim) for claim, _ in in_families) == sorted(
        index for index, claim in enumerate(claims.CLAIMS) if claim.check for _ in claim.ways
    )


def test_no_two_measure_the_same():
    """Else a number counted twice; what is not testable has none."""
    table = scoreboard.verdicts()
    for preset in claims.JUDGED_PRESETS:
        texts = table[f"measured, {preset}"]
        numbers = [text for text in texts if "seeds, p" in text]
        assert len(set(numbers)) == len(numbers)


def test_counts_are_of_sentences():
    counts = scoreboard.counts().set_index("verdict")
    assert (counts.sum() == len(claims.CLAIMS)).all()
    last = scoreboard.verdicts().drop_duplicates("the paper says", keep="last")["companion"]
    held_out = counts["companion, held-out worlds"]
    assert held_out["contradicted"] == (last == "contradicted").sum() > 0
    assert (held_out != counts["companion"]).any()
    assert (counts.loc["not counted"] == sum(bool(c.uncounted) for c in claims.CLAIMS)).all()


def test_the_kept_tables_are_what_the_results_say():
    """Recomputed from the committed CSVs."""
    assert not scoreboard.outdated(scoreboard.verdicts()), "run `dtlib claims`"


def test_presets_are_never_mixed():
    """A column says nothing of another preset's runs."""
    for preset in claims.JUDGED_PRESETS:
        for row in claims.judged(preset):
            assert row.found is None or row.found.preset == preset


def test_verdicts_need_no_key():
    words = set(scoreboard.counts()["verdict"])
    assert all(re.fullmatch(r"(not )?[a-z]+( in part)?", word) for word in words)
