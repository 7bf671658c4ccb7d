"""Claims: every one is about a figure, and the kept table follows from the committed results."""

from dtlib.experiments import grids
from dtlib.report import claims
from dtlib.runtime import paths


def test_every_claim_is_about_a_figure():
    assert {grids.find(claim.figure).name for claim in claims.CLAIMS} == {
        "fig04_06", "fig07_08", "fig09", "fig10", "fig11", "fig12", "fig13_14",
    }  # fmt: skip


def test_the_kept_table_is_what_the_results_say():
    """Recomputed from the committed CSVs; the book's landing page shows this file."""
    assert claims.kept_text() == claims.as_text(claims.verdicts()), "run `dtlib claims`"
    index = (paths.root() / "book" / "index.md").read_text(encoding="utf-8")
    assert f"../{claims.verdicts_file().relative_to(paths.root())}" in index
