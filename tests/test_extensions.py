"""The book's small extensions: tables are typeset, and search has texts to show from disk."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytest.importorskip("sphinx")


def extension(name: str):
    """Load an extension of the book."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("-0.5 [-1, 2e-05]", "−0.5 [−1, 2e-05]"),
        ("Fig. 4-6, r_g", "Fig. 4-6, <i>r</i><sub>g</sub>"),
        ("D_max (Kb)", "<i>D</i><sub>max</sub> (Kb)"),
        ("learning_rate", "learning_rate"),
    ],
)
def test_tables_have_minus_signs_and_subscripts(cell, shown):
    table = "<table class='a-1'><td>{}</td></table>"
    assert extension("tables").typeset(table.format(cell)) == table.format(shown)
    assert extension("tables").typeset(f"<p>{cell}</p>") == f"<p>{cell}</p>"


def test_texts_are_by_section():
    page = """<nav>menu</nav><article class="bd-article"><section id="one"><h1>One<a
      class="headerlink">#</a></h1><p>first <b>words</b></p><script>no()</script>
      <section id="two"><h2>Two</h2><p>more</p></section></section></article>"""
    found = dict(extension("disk_search").sections(page))
    assert "first words" in found["one"] and "#" not in found["one"]
    assert found["two"].endswith("more")
    assert not any(word in str(found) for word in ("menu", "no()"))
