"""Charts with sliders as HTML that needs neither a kernel nor the network.

A page first shows :func:`script`, which holds the whole of Vega and is there once, then any number
of charts. What they compute when a slider moves, the browser computes.
"""

import json
import re
from typing import Any

import altair as alt
import vl_convert
from IPython.display import HTML

GRAMMAR = alt.SCHEMA_VERSION.lstrip("v").rpartition(".")[0]
"""The version of Vega-Lite that charts are written in."""

DRAW_CHART = """window.drawChart = (name, chart) => {
    const place = document.getElementById(name);
    const draw = () => {
        place.drawn = vegaEmbed(place, chart, {mode: "vega", renderer: "svg", actions: false});
    };
    const again = async () => {
        const { view } = await place.drawn;
        for (const one of chart.signals) if (one.bind) one.value = view.signal(one.name);
        view.finalize();
        draw();
    };
    let width = innerWidth, later;
    addEventListener("resize", () => {
        clearTimeout(later);
        if (innerWidth !== width) later = setTimeout(() => { width = innerWidth; again(); }, 300);
    });
    draw();
};"""
"""Draws a chart; draws it again, with its sliders where they are, where the column gets another
width."""

PANEL = re.compile(r"childWidth|concat_\d+_width")
"""Signals that are how wide panels are that stand one above the other."""
ROOM = 80
"""Room beside panels that stand one above the other, for the axis and a scroll bar's coming, px."""

QUIET = {"labelColor": "currentColor", "titleColor": "currentColor", "gridColor": "currentColor",
         "domainColor": "currentColor", "tickColor": "currentColor", "gridOpacity": 0.15,
         "domainOpacity": 0.5, "tickOpacity": 0.5, "labelFontSize": 12, "titleFontSize": 12,
         "titleFontWeight": "normal"}  # fmt: skip
CHART_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "view": {"stroke": None},
    "axis": QUIET,
    "title": {"color": "currentColor", "anchor": "start", "fontSize": 13, "fontWeight": "normal"},
    "text": {"color": "currentColor", "fontSize": 12},
}
"""Text and axes have the colour of the page's text, whether the page is light or dark."""


def script() -> HTML:
    """Return Vega and the function that draws a chart; once on each page, before any chart."""
    code = vl_convert.javascript_bundle(DRAW_CHART, vl_version=GRAMMAR)
    return HTML(f"<script>(() => {{{code}\n}})();</script>")  # its names are its own


def show(chart: Any, name: str, says: str) -> HTML:
    """Return a chart as wide as its column, with its sliders below.

    Args:
        chart: of Altair.
        name: of its own on the page.
        says: what is shown, to those who cannot see it.
    """
    text = json.dumps(specification(chart, says), ensure_ascii=False).replace("</", "<\\/")
    place = f'<div class="chart" id="{name}"></div>'
    return HTML(f'{place}<script>drawChart("{name}", {text})</script>')


def specification(chart: Any, says: str) -> dict[str, Any]:
    """Return what Vega draws."""
    plain = chart.properties(description=says).to_dict()
    found: dict[str, Any] = vl_convert.vegalite_to_vega(plain | {"config": CHART_CONFIG}, GRAMMAR)
    for signal in found["signals"]:
        if PANEL.fullmatch(signal["name"]):  # panels above others do not do this themselves
            signal.pop("value")
            signal["init"] = f"max(200, containerSize()[0] - {ROOM})"
    return found
