"""Statistics over seeds: intervals against all resamples, means by hand."""

import itertools

import numpy as np
import pytest

from dtlib.report.statistics import interquartile_mean, interval


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_interval_against_all_resamples(level):
    """The percentiles of the mean over every one of the 6⁶ equally likely resamples."""
    values = [0.3, 1.0, 1.9, 4.2, 5.5, 9.1]
    mean, low, high = interval(values, level)
    means = np.mean(list(itertools.product(values, repeat=6)), axis=1)
    expected = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    assert mean == pytest.approx(22 / 6)
    assert [low, high] == pytest.approx(expected, abs=0.1)
    assert interval(values, level) == (mean, low, high)  # the same at every call
    assert interval(np.array(values) + 7, level) == pytest.approx((mean + 7, low + 7, high + 7))


def test_interval_of_one_value_and_of_equal_ones():
    assert interval([2.5]) == (2.5, 2.5, 2.5)
    assert interval([2.5, 2.5, 2.5]) == (2.5, 2.5, 2.5)


def test_interquartile_mean_by_hand():
    assert interquartile_mean([8, 1, 100, 4, 6, -50, 5, 7]) == pytest.approx((4 + 5 + 6 + 7) / 4)
    assert interquartile_mean([9, 2, 4, 3, -70]) == pytest.approx(3)
    assert np.isnan(interquartile_mean([1, 2, 3, 4]))
