"""A small Sphinx extension: the directive ``floors`` draws who imports whom in ``dtlib``.

The rows and their order are the contract in ``pyproject.toml`` that ``make lint`` holds; the arcs
are the imports in the code. So the picture is true whenever the book is built.
"""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
FRONT = ("settings", "model", "agents", "happo")
ROW, WIDTH, ARCS = 34, 700, 490
"""Height of a row, width of the picture, and where the arcs begin, px."""


def layers(root: Path = ROOT) -> list[list[str]]:
    """Return the floors of the contract, the highest first, each with those who share it."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    floors = next(one for one in contracts if one["id"] == "floors")["layers"]
    return [[name.strip() for name in floor.split("|")] for floor in floors]


def files(name: str, root: Path = ROOT) -> list[Path]:
    """Return the files of a folder of ``dtlib``, or the one file of that name."""
    place = root / "dtlib" / name
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def imports(name: str, root: Path = ROOT) -> set[str]:
    """Return which others a folder or file of ``dtlib`` imports, also inside functions."""
    found = set()
    for file in files(name, root):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            else:
                continue
            found |= {one.split(".")[1] for one in targets if one.startswith("dtlib.")}
    return found - {name}


def summary(name: str, root: Path = ROOT) -> str:
    """Return how a docstring begins, up to its first stop, colon or comma."""
    file = next(one for one in files(name, root) if one.stem in ("__init__", name))
    line = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).splitlines()[0]
    return re.split(r"[.:,](?: |$)", line)[0]


def picture(root: Path = ROOT) -> str:
    """Return the floors as SVG: a row per folder or file, an arc per pair that imports."""
    floors = layers(root)
    names = [name for floor in floors for name in floor]
    height = {name: ROW * place + ROW / 2 for place, name in enumerate(names)}
    parts, place = [], 0
    for floor in floors:
        parts.append(f'<line x1="0" x2="{WIDTH}" y1="{ROW * place}" y2="{ROW * place}"/>')
        for name in floor:
            own = " class='front'" if name in FRONT else ""
            slash = "/" if (root / "dtlib" / name).is_dir() else ""
            text = f"<tspan font-weight='bold'>{name}{slash}</tspan>"
            parts.append(f"<text x='8' y='{height[name] + 5:g}'{own}>{text}")
            parts.append(f"<tspan x='124'>{escape(summary(name, root))}</tspan></text>")
        place += len(floor)
    for name in names:
        for other in sorted(imports(name, root), key=names.index):
            one, two = height[name] + 4, height[other] - 4
            reach = ARCS + 20 + 0.78 * abs(two - one) ** 0.9
            own = " class='front'" if name in FRONT else ""
            parts.append(
                f"<path{own} d='M {ARCS} {one:g} C {reach:.0f} {one:g} {reach:.0f} {two:g} "
                f"{ARCS} {two:g}' marker-end='url(#tip)'>"
                f"<title>{name} imports {other}</title></path>"
            )
    style = (
        ".floors text{fill:currentColor;font-size:14px}"
        ".floors text.front{fill:var(--pst-color-link)}"
        ".floors line{stroke:currentColor;opacity:.25}"
        ".floors path{fill:none;stroke:currentColor;opacity:.45}"
        ".floors path.front{stroke:var(--pst-color-link);stroke-width:1.6;opacity:1}"
        ".floors marker path{fill:currentColor;stroke:none}"
    )
    tip = (
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
        "markerHeight='7' orient='auto'><path d='M 0 0 L 8 4 L 0 8 z'/></marker></defs>"
    )
    size = f"viewBox='0 0 {WIDTH} {ROW * len(names)}' style='width:100%;max-width:{WIDTH}px'"
    label = "The floors of dtlib from top to bottom, and arcs from who imports to what is imported"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' class='floors' role='img' {size} "
        f"aria-label='{label}'><style>{style}</style>{tip}{''.join(parts)}</svg>"
    )


class Floors(SphinxDirective):
    """The picture, drawn anew with every build."""

    def run(self) -> list[nodes.Node]:
        """Return the picture as it is."""
        self.env.note_reread()
        return [nodes.raw("", f"<div>{picture()}</div>", format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("floors", Floors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
