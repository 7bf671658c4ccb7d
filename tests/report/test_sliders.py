"""Charts with sliders say what the library says, and load nothing."""

import re

import pandas as pd
import pytest
from pictures import texts
from scipy import stats

from dtlib import EnvConfig
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import swept
from dtlib.report import embed, scales, sliders
from dtlib.report.shown import load
from dtlib.studies import readings


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("changes", [{}, {"cpu_hz": 5e9}, {"data_bits": (10e3, 30e3)}])
def test_thresholds_with_and_without_the_uplink(changes):
    env = EnvConfig(**changes)
    said = texts(sliders.thresholds(env, uplink_s=0.005))
    bare = readings.thresholds(env)
    assert numbers(next(text for text in said if "no uplink" in text)) == pytest.approx(
        bare, abs=0.06
    )
    for colour, end in zip(("blue", "red"), bare, strict=True):
        (found,) = numbers(next(text for text in said if colour in text))
        assert found == pytest.approx(0.9 * end, abs=0.06)


def test_a_slice_splits_the_deadline():
    env = EnvConfig(num_users=25)
    bits, cycles = sum(env.data_bits) / 2, sum(env.cycles_per_bit) / 2
    left = env.deadline_s[1] - scales.slice_seconds(bits, cycles, env)
    (text,) = [text for text in texts(sliders.split(env)) if "slice" in text]
    milliseconds, millijoules, milliwatts = numbers(text)
    assert milliseconds == pytest.approx(1e3 * left, abs=0.06)
    assert millijoules == pytest.approx(milliwatts * milliseconds / 1e3, rel=0.02)


def test_no_time_is_left_where_a_slice_is_too_slow():
    said = texts(sliders.split(EnvConfig(num_users=60)))
    assert any("longer than the deadline" in text for text in said)


def test_beta_loses_nothing_where_a_gaussian_does():
    law = stats.beta(2, 8)
    said = texts(sliders.beta(2, 8))
    found = numbers(next(text for text in said if "mean" in text))
    assert found == pytest.approx((law.mean(), law.std()), abs=0.006)
    normal = stats.norm(law.mean(), law.std())
    (lost,) = numbers(next(text for text in said if "Beta none" in text))
    assert lost == pytest.approx(100 * (normal.cdf(0) + normal.sf(1)), abs=0.06)


def test_sweeps_are_those_of_the_figures_pages():
    table = swept.rows()
    shown = load("fig10", "companion")
    mine = table[(table["quantity"] == "request probability λ") & (table["line"] == "Beta-HAPPO")]
    mine = mine.set_index("x")
    for column, metric, unit in (("energy", ENERGY, 1e3), ("failed", FAILED, 100)):
        theirs = unit * shown.points(metric)
        assert mine[column].loc[theirs.index].to_numpy() == pytest.approx(theirs.to_numpy())
    for letter in ("K", "λ", "M", "D_max", "B", "η"):
        assert any(letter in name for name in table["quantity"].unique())


def test_a_point_is_the_same_for_all_lines():
    part = {"quantity": "K", "line": "a", "x": [10, 20, 30]}
    table = pd.concat(
        [pd.DataFrame(part), pd.DataFrame({"quantity": "K", "line": ["b"], "x": [20]})]
    )
    found = swept.numbered(table.reset_index(drop=True))
    assert list(found["nth"]) == [1, 2, 3, 2] and set(found["many"]) == {3}


def test_the_chosen_point_is_read_off():
    table = swept.rows()
    first = table[table["quantity"] == table["quantity"].iloc[0]]
    chosen = first[first["nth"] == 1 + first["many"] // 2]  # half the way along
    said = texts(swept.chart(table))
    assert f"mobile users K: {chosen['x'].iloc[0]:g}" in said
    for row in chosen.itertuples():
        assert row.line in said and f"{row.failed:.1f}" in said


def test_the_script_is_whole_and_loads_nothing():
    page = embed.script().data
    assert page.startswith("<script>") and page.count("</script") == 1
    assert not re.search(r"<(?:script|link|img)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//", page)


def test_no_text_of_a_chart_ends_its_script():
    page = embed.show(sliders.beta(), "beta", "</script><b>").data
    assert page.count("</script>") == 1


def test_panels_follow_the_columns_width():
    drawn = embed.specification(swept.chart(swept.rows()), "sweeps")
    widths = [one for one in drawn["signals"] if "width" in one["name"].lower()]
    assert widths and all("containerSize" in one["init"] for one in widths)
