"""The paper's sweeps in one chart: choose what is swept, move along it, read the numbers."""

from typing import Any

import altair as alt
import pandas as pd

from dtlib.experiments.committed import fullest
from dtlib.experiments.experiment import OWN
from dtlib.experiments.grids import find
from dtlib.experiments.results import FAILED
from dtlib.report.curves import spread, with_millijoules
from dtlib.report.figures import BANDWIDTHS, KB, fair
from dtlib.report.pictures import SWEEPS
from dtlib.report.sliders import slider
from dtlib.report.style import ALGORITHMS, INK
from dtlib.verdicts.names import label

PANEL_WIDTH = "concat_0_width"
"""What Vega-Lite calls the width of the uppermost panel."""

AT_POINT = "datum.nth == 1 + round(along / 100 * (datum.many - 1))"
"""Which rows are those of the point that the slider chooses."""

TWO = {
    "largest data size D_max, Kb (Beta-HAPPO)": ("x", 1e-3, "bandwidth_hz", "B = {:g} MHz", 1e-6),
    "bandwidth B, MHz (Beta-HAPPO)": ("bandwidth_hz", 1e-6, "x", "D_max = {:g} Kb", 1e-3),
}
"""Fig. 11 both ways: what is swept, its unit, and the name of each line."""


def rows() -> pd.DataFrame:
    """Return a row per quantity, line and point, from the fullest committed preset of each sweep.

    Columns: ``quantity``, ``line``, ``x``, ``nth`` of the points and of how ``many``, and of
    energy in mJ and failures in % the median over seeds, ``low`` and ``high``.
    """
    found = []
    for name in (name for name in SWEEPS if find(name).of_the_paper):
        data = with_millijoules(fair(fullest(name)))
        abscissa = SWEEPS[name].swept + (", many" if name == "fig13_14" else "")
        for who, part in data.groupby("algorithm", sort=False):
            found.append(_line(abscissa, label(who), part))
    data = with_millijoules(fullest("fig11"))
    data = data[data["algorithm"].eq(OWN) & (data["x"] < KB)]
    for abscissa, (x, unit, other, name, scale) in TWO.items():
        for value, part in data.groupby(other, sort=False):
            part = part.assign(x=unit * part[x])
            found.append(_line(abscissa, name.format(scale * value), part))
    return numbered(pd.concat(found, ignore_index=True))


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with ``nth`` and ``many``; a line may lack points that others have."""
    points = table.groupby("quantity")["x"]
    return table.assign(nth=points.rank("dense").astype(int), many=points.transform("nunique"))


def _line(quantity: str, name: str, part: pd.DataFrame) -> pd.DataFrame:
    """Return the points of one line."""
    columns: dict[str, pd.Series] = {}
    for short, metric, unit in (("energy", "energy_per_user_slot_mj", 1), ("failed", FAILED, 100)):
        of_seeds = unit * spread(part, metric)
        columns |= {short: of_seeds["median"]}
        columns |= {f"{short}_{end}": of_seeds[end] for end in ("low", "high")}
    table = pd.DataFrame(columns).rename_axis("x").reset_index()
    return table.assign(quantity=quantity, line=name)


def chart(table: pd.DataFrame) -> Any:
    """Return the numbers at one point of :func:`rows`, above energy and failures along a sweep."""
    names = list(dict.fromkeys(table["quantity"]))
    quantity = alt.param(
        name="quantity", value=names[0], bind=alt.binding_select(options=names, name="against")
    )
    along = slider("along", "along, %", 50, low=0, high=100, step=5)
    shown = alt.Chart(table).transform_filter("datum.quantity == quantity")
    here = shown.transform_filter(AT_POINT)
    colour = alt.Color("line:N", scale=_colours(table), legend=None)
    panels = [
        _panel(shown, here, colour, metric=metric, title=title)
        for metric, title in (
            ("energy", "'energy per user and slot, mJ (by ratio)'"),
            ("failed", "'failed requests, %, against ' + quantity"),
        )
    ]
    return (
        alt.vconcat(_numbers(here, colour), *panels, spacing=14)
        .resolve_scale(color="shared")
        .add_params(quantity, along)
    )


def _colours(table: pd.DataFrame) -> Any:
    """Return each line's colour: an algorithm's own, or a place among those of one figure."""
    found = {style["label"]: style["color"] for style in ALGORITHMS.values()}
    for _, part in table[~table["line"].isin(found)].groupby("quantity", sort=False):
        lines = part["line"].unique()
        found |= {line: BANDWIDTHS[place % 3] for place, line in enumerate(lines)}
    shown = list(table["line"].unique())
    plain = ["currentColor" if found[line] == INK else found[line] for line in shown]
    return alt.Scale(domain=shown, range=plain)


def _numbers(here: Any, colour: Any) -> Any:
    """Return a line of text per algorithm: its mark, its name, energy and failures."""
    once = here.transform_aggregate(groupby=["x", "quantity"])
    columns = (
        ("22", "left", "line:N", "", "datum.quantity + ': ' + format(datum.x, '~g')"),
        (f"{PANEL_WIDTH} * 0.72", "right", "energy:Q", ".3~g", "'mJ'"),
        (f"{PANEL_WIDTH} - 4", "right", "failed:Q", ".1f", "'failed, %'"),
    )
    row, top = alt.Y("line:N", axis=None, sort=None), alt.value(-10)
    dot = here.mark_point(filled=True, size=80, opacity=1)
    layers = [dot.encode(x=alt.value(10), y=row, color=colour)]
    for where, align, field, form, head in columns:
        place = {"align": align, "fontSize": 13}
        x, text = alt.value(alt.expr(where)), alt.Text(field, format=form)
        layers.append(here.mark_text(**place).encode(x=x, y=row, text=text))
        above = once.transform_calculate(head=head).mark_text(**place, fontWeight="bold")
        layers.append(above.encode(x=x, y=top, text="head:N"))
    return alt.layer(*layers).properties(height=alt.Step(19))


def _panel(shown: Any, here: Any, colour: Any, metric: str, title: str) -> Any:
    """Return one metric's lines, their spread over seeds, and the chosen point."""
    x = alt.X("x:Q", title=None, scale=alt.Scale(zero=False, nice=False, padding=8))
    by_ratio = alt.Scale(type="log") if metric == "energy" else alt.Scale(zero=True)
    ticks = {"tickCount": 3, "format": "~g"} if metric == "energy" else {"tickCount": 5}
    axis = alt.Axis(minExtent=40, maxExtent=40, **ticks)
    y = alt.Y(f"{metric}:Q", title=None, scale=by_ratio, axis=axis)
    ends = {"y": alt.Y(f"{metric}_low:Q"), "y2": alt.Y2(f"{metric}_high:Q")}
    base = shown.encode(x=x, color=colour)
    band = base.mark_area(opacity=0.15).encode(**ends)
    curve = base.mark_line(strokeWidth=2).encode(y=y)
    dots = here.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour)
    rule = here.transform_aggregate(groupby=["x"]).mark_rule(strokeDash=[3, 4])
    where = rule.encode(x=x, color=alt.value("currentColor"))
    return alt.layer(band, where, curve, dots).properties(
        height=150, title=alt.TitleParams(text=alt.ExprRef(title))
    )
