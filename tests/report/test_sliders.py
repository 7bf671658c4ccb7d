"""Charts with sliders say what the library says, and load nothing."""

import re

import pytest
from pictures import texts
from scipy import stats

from dtlib import EnvConfig
from dtlib.report import embed, scales, sliders
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


def test_the_script_is_whole_and_loads_nothing():
    page = embed.script().data
    assert page.startswith("<script>") and page.count("</script") == 1
    assert not re.search(r"<(?:script|link|img)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//", page)


def test_no_text_of_a_chart_ends_its_script():
    page = embed.show(sliders.beta(), "beta", "</script><b>").data
    assert page.count("</script>") == 1
