"""Statistics over seeds: against SciPy, by hand, and how often they are right."""

import numpy as np
import pytest
from scipy import stats

from dtlib.verdicts import statistics as own

VALUES = [0.3, 1.0, 1.9, 4.2, 5.5, 9.1]


def test_estimate_is_students():
    known = stats.ttest_1samp(VALUES, 0).confidence_interval(0.9)
    assert own.estimate(VALUES, 0.9) == pytest.approx((22 / 6, known.low, known.high))
    assert own.estimate([2.5, 2.5]) == (2.5, 2.5, 2.5)
    mean, low, high = own.estimate([2.5])
    assert mean == 2.5 and np.isnan([low, high]).all(), "one seed shows nothing"
    assert own.interval_text([2.5]) == "2.5" and own.interval_text([-0.2, 0.1], ".0f").startswith(
        "0 ["
    )


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_estimate_covers_what_it_says(seeds):
    drawn = np.random.default_rng(0).standard_normal((2000, seeds))
    bounds = np.array([own.estimate(row) for row in drawn])
    assert np.mean((bounds[:, 1] < 0) & (bounds[:, 2] > 0)) == pytest.approx(0.95, abs=0.015)


def test_t_test_is_scipys_and_vectorised():
    rows = np.random.default_rng(0).standard_normal((2, 3, 5))
    known = stats.ttest_1samp(rows, 0.2, axis=-1, alternative="greater").pvalue
    assert own.t_test(rows, 0.2) == pytest.approx(known)
    assert own.t_test(rows, np.full(3, 0.2)) == pytest.approx(known)
    assert own.t_test([[2.0, 2.0], [1.0, 1.0]], 1.0).tolist() == [0.0, 1.0], "all seeds agree"


def test_sign_test_is_exact():
    for above in range(7):
        values = [1.0] * above + [-1.0] * (6 - above)
        known = stats.binomtest(above, 6, alternative="greater").pvalue
        assert own.sign_test(values) == pytest.approx(known)
    assert own.sign_test([[0.0, 0.0]], 0.0) == [1.0], "a tie is not above"


def test_holm_by_hand():
    assert own.holm([0.02, 0.001, 0.3, 0.02]).tolist() == [0.06, 0.004, 0.3, 0.06]
    rows = own.holm([[0.02, 0.5], [0.9, 0.8]])
    assert rows.tolist() == [[0.04, 0.5], [1.0, 1.0]]


def test_all_and_some():
    p = np.array([[0.01, 0.2, 0.03], [0.5, 0.4, 0.9]])
    assert own.all_hold(p, [0, 2]).tolist() == [[0.2, 0.03], [0.5, 0.9]]
    assert own.some_holds(p, [0, 2]).tolist() == [[0.02, 0.03], [0.8, 0.9]]


def test_share_and_improvement():
    assert own.share(0, 3)[2] == pytest.approx(1 - 0.025 ** (1 / 3))
    assert own.improvement([1, 2], [1, 2]) == 0.5
    assert np.isnan(own.improvement([], [1]))


def test_interquartile_mean_by_hand():
    assert own.interquartile_mean([8, 1, 100, 4, 6, -50, 5, 7]) == pytest.approx(5.5)
    assert own.interquartile_mean([9, 2, 4, 3, -70]) == pytest.approx(3)
    assert np.isnan(own.interquartile_mean([1, 2, 3, 4]))


def test_why_verdicts_rest_on_means():
    """Trimmed means have an interval too (Tukey and McLaughlin 1963), which errs too often."""
    drawn = np.sort(np.random.default_rng(0).standard_normal((20000, 10)))
    winsorised = np.clip(drawn, drawn[:, 2, None], drawn[:, 7, None])
    error = winsorised.std(axis=1, ddof=1) / (0.6 * np.sqrt(10))
    wrong = np.abs(drawn[:, 2:8].mean(axis=1) / error) > stats.t.isf(0.025, 5)
    assert wrong.mean() > 0.06


def test_numbers_over_seeds_as_text():
    gap = "\N{NO-BREAK SPACE}"
    assert own.interval_text([1.0, 2.0, 3.0], ".2f") == f"2.00 [-0.48,{gap}4.48]"
    assert own.range_text([1.0, 2.0, 6.0], ".1f") == f"3.0 [1.0,{gap}6.0]"
    assert own.interval_text([2.0], ".2f") == own.range_text([2.0], ".2f") == "2.00"
    assert own.in_brackets(own.estimate([2.0])) == "2 %"
    assert own.range_text([-3000.0, 12.0, 4321.4]) == f"444 [-3000,{gap}4321]"


def test_two_seeds_have_a_wide_interval():
    assert own.estimate([1.0, 2.0]) == pytest.approx(
        (1.5, 1.5 - 12.706 / 2, 1.5 + 12.706 / 2), 1e-4
    )
