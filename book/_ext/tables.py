"""A small Sphinx extension: numbers and symbols in tables are set as in the text.

Tables that pages compute have hyphens for minus signs, and symbols such as ``r_g`` as they are in
the code. Their HTML and the cells of Markdown tables are changed, nothing else.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

TABLE = re.compile(r"<table.*?</table>", re.DOTALL)
TEXT = re.compile(r"(?<=>)[^<>]+(?=<)")
HYPHEN = re.compile(r"(?<![\w\-−–])-(?=\d)")
SYMBOL = re.compile(r"\b([A-Za-z])_(g|c|max)\b")


def typeset(html: str) -> str:
    """Return HTML whose tables have minus signs and subscripts."""

    def text(found: re.Match[str]) -> str:
        return SYMBOL.sub(r"<i>\1</i><sub>\2</sub>", HYPHEN.sub("−", found[0]))

    return TABLE.sub(lambda table: TEXT.sub(text, table[0]), html)


class Typeset(SphinxPostTransform):
    """Apply :func:`typeset` to what notebooks have computed, and minus signs to other tables."""

    default_priority = 900
    formats = ("html",)

    def run(self) -> None:
        """Change tables in place."""
        for node in list(self.document.findall(nodes.raw)):
            if "html" in node["format"] and "<table" in node.astext():
                node.replace_self(nodes.raw("", typeset(node.astext()), format="html"))
        for cell in self.document.findall(nodes.entry):
            for text in list(cell.findall(nodes.Text)):
                if not isinstance(text.parent, (nodes.literal, nodes.math)):
                    text.parent.replace(text, nodes.Text(HYPHEN.sub("−", text)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_post_transform(Typeset)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
