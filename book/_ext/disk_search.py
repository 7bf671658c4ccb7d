"""A small Sphinx extension: search that shows excerpts also where the book is opened from disk.

Sphinx's search loads each page that it finds to cut an excerpt from it, which browsers refuse to
pages from disk. So the texts of all pages lie in one script beside it, which only the page of the
search loads.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

TEXTS = "page_texts.js"
ARTICLE = re.compile(r"<article class=\"bd-article\".*?</article>", re.DOTALL)
UNREAD = re.compile(r"<(script|style|svg)\b.*?</\1>", re.DOTALL)


def sections(page: str) -> list[tuple[str, str]]:
    """Return the sections of a page as HTML in their order: anchor, and text up to the next one."""
    article = ARTICLE.search(UNREAD.sub("", page))
    if article is None:
        return []
    whole = BeautifulSoup(article[0], "html.parser")
    for element in whole.select(".headerlink, div.cell_input, details.hide > summary"):
        element.decompose()
    found: dict[str, list[str]] = {}
    for text in whole.find_all(string=True):
        section = text.find_parent("section")
        found.setdefault(str(section["id"]) if section else "", []).append(str(text))
    return [(anchor, " ".join("".join(parts).split())) for anchor, parts in found.items()]


def write_texts(app: Sphinx, error: Exception | None) -> None:
    """Write the texts of all pages as a script."""
    if error is not None or app.builder.format != "html":
        return
    texts = {
        name: sections(Path(app.outdir, f"{name}.html").read_text(encoding="utf-8"))
        for name in sorted(app.env.found_docs)
    }
    text = json.dumps(texts, ensure_ascii=False).replace("</", "<\\/")
    Path(app.outdir, "_static", TEXTS).write_text(f"const PAGES = {text};\n", encoding="utf-8")


def load_texts(app: Sphinx, page: str, template: str, context: Any, doctree: Any) -> None:
    """Have the page of the search load the texts, once Sphinx's own scripts are there."""
    if page == "search":
        app.add_js_file(TEXTS, loading_method="defer")
        app.add_js_file("disk_search.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", load_texts)
    app.connect("build-finished", write_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
