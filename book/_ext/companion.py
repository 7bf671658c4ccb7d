"""A small Sphinx extension that makes the book self-contained and numbered like the paper.

* MathJax is copied into the book from the package ``sphinx-mathjax-offline`` (Apache-2.0). Only
  ``tex-svg-full.js`` is needed: it holds all of TeX's extensions and draws glyphs as SVG paths, so
  that nothing else is loaded, fonts included.
* An equation labelled ``eq-7`` is the paper's equation (7), ``lem-1`` is its Lemma 1 and ``alg-1``
  its Algorithm 1; they carry the paper's number wherever they stand. All others are numbered
  within their chapter.
  A reference to an equation of the paper that no page shows, such as (39), is its number alone.
* Docstrings may speak of |h|² and of eqs. (1) and (2): bars stay bars, numbers become links.
* The live-code extension is switched off, and a page that would load anything from the network is
  an error of a strict build.
* `make book` has nbval run every notebook and keep what it saw, which the pages show. Without
  `make`, notebooks are run while the book is built.
"""

from __future__ import annotations

import os
import re
from importlib.metadata import files
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import desc_annotation
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset_file

logger = logging.getLogger(__name__)
_attribute_docstrings: dict[str, list[str]] = {}

MATHJAX = "tex-svg-full.js"
PAPER_LABEL = re.compile(r"(?:equation-)?(?:eq|lem|alg)-(\d+)([a-z]?)")
LAST_EQUATION = 40
LONGEST_VALUE = 60
MENTION = re.compile(r"(?<=[ (–])\((\d{1,2}[a-h]?)\)")
LITERAL = re.compile(r"(``.*?``|:[\w:]+:`.*?`)")
REMOTE = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'\s>]+"""
)


def number_like_the_paper(app: Sphinx, env: BuildEnvironment) -> None:
    """Give what is labelled with a number of the paper that number, and count the rest."""
    for counters in env.toc_fignumbers.values():
        for numbers in counters.values():
            own = 0
            for label, number in numbers.items():
                if match := PAPER_LABEL.fullmatch(label):
                    numbers[label] = ("".join(match.groups()),)
                else:  # a page without a chapter's number has its equations from (G.1) on
                    own += 1
                    numbers[label] = (*(number[:-1] or ("G",)), own)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.TextElement
) -> nodes.Node | None:
    """Find a name of dtlib in whichever module has it; write an absent equation's number."""
    kind, target = node["reftype"], node["reftarget"]
    if node.get("refdomain") == "py" and not node.get("refspecific"):
        node["refspecific"] = True
        target = re.sub(r"^dtlib\.(?=\w+$)", "", target)  # what the package itself exports
        python = env.get_domain("py")
        return python.resolve_xref(env, node["refdoc"], app.builder, kind, target, node, content)
    match = PAPER_LABEL.fullmatch(target)
    if kind == "eq" and match and int(match[1]) <= LAST_EQUATION:
        return nodes.inline("", f"({match[1]}{match[2]})")
    return None


def adapt_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep bars literal and link the paper's equations."""
    for i, line in enumerate(lines):
        parts = LITERAL.split(line)
        for j in range(0, len(parts), 2):
            parts[j] = parts[j].replace("|", r"\|")
            if re.search(r"\beqs?\. ", line):
                parts[j] = MENTION.sub(r":eq:`eq-\1`", parts[j])
        lines[i] = "".join(parts)
    if what in ("attribute", "data", "property"):
        _attribute_docstrings[name] = list(lines)


def restore_attribute(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Undo napoleon, which takes what stands before a colon for a type."""
    lines[:] = _attribute_docstrings.pop(name, lines)


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, None] | None:
    """Leave a model's fields to the page of settings."""
    return ("(**settings)", None) if what == "class" and hasattr(obj, "model_fields") else None


def hide_long_values(app: Sphinx, doctree: nodes.document) -> None:
    """Leave out a constant's value where it is a table: the code has it, a line cannot."""
    for value in list(doctree.findall(desc_annotation)):
        if value.astext().startswith(" = ") and len(value.astext()) > LONGEST_VALUE:
            value.parent.remove(value)


def show_what_nbval_saw(app: Sphinx, config: Config) -> None:
    """Take outputs of notebooks from the cache that `notebooks/conftest.py` has just filled."""
    if os.environ.get("BOOK_FROM_CACHE"):
        config.nb_execution_mode = "cache"


def drop_thebe(app: Sphinx, config: Config) -> None:
    """Disconnect the live-code extension that jupyter-book always loads: it needs the network."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__.split(".")[0] == "sphinx_thebe":
                app.disconnect(listener.id)
    app.registry.css_files[:] = [f for f in app.registry.css_files if f[0] != "sphinx-thebe.css"]


def copy_mathjax(app: Sphinx) -> None:
    """Put MathJax where ``mathjax_path`` points."""
    if app.builder.format != "html":
        return
    found = [f for f in files("sphinx-mathjax-offline") or () if f.name == MATHJAX]
    target = Path(app.outdir, "_static", app.config.mathjax_path).parent
    target.mkdir(parents=True, exist_ok=True)
    copy_asset_file(str(found[0].locate()), str(target))


def refuse_the_network(app: Sphinx, error: Exception | None) -> None:
    """Warn of each element that a browser would fetch from elsewhere."""
    if error is not None or app.builder.format != "html":
        return
    for page in sorted(Path(app.outdir).rglob("*.html")):
        if "_static" in page.parts:
            continue
        for element in set(REMOTE.findall(page.read_text(encoding="utf-8"))):
            logger.warning("%s loads from the network: %s", page.name, element[:160])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.config.mathjax_path = f"mathjax/{MATHJAX}"
    app.connect("config-inited", show_what_nbval_saw)
    app.connect("config-inited", drop_thebe)
    app.connect("env-check-consistency", number_like_the_paper)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", adapt_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", restore_attribute, priority=600)  # after it
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("doctree-read", hide_long_values)
    app.connect("builder-inited", copy_mathjax)
    app.connect("build-finished", refuse_the_network)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
