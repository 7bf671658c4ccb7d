"""Rules of judgement: verdicts follow from numbers."""

import pytest

from dtlib.report import judgement

UP, DOWN, BOTH = (1.0, 1.2, 0.9, 1.1), (-1.0, -1.2, -0.9), (-1.0, 1.1, 0.1, -0.2)


@pytest.mark.parametrize(
    ("values", "steady", "verdict"),
    [
        (UP, True, "reproduced"),
        (UP, False, "direction only"),
        (BOTH, True, "not reproduced"),
        (DOWN, True, "contradicted"),
        (UP[:2], True, "not testable"),
        ((), True, "not testable"),
    ],
)
def test_judge_sign(values, steady, verdict):
    assert judgement.judge_sign(values, "x", steady).verdict == verdict


@pytest.mark.parametrize(
    ("values", "reported", "verdict"),
    [
        (UP, 1.05, "reproduced"),
        (UP, 3.0, "direction only"),
        (BOTH, 0.0, "direction only"),
        (DOWN, 1.0, "contradicted"),
        (UP[:2], 1.0, "not testable"),
    ],
)
def test_judge_number(values, reported, verdict):
    """An interval with both signs does not show the direction, but may hold the number."""
    found = judgement.judge_number(values, reported, "x").verdict
    assert found == ("reproduced" if values == BOTH else verdict)


def test_a_number_that_is_missed_with_no_sign():
    assert judgement.judge_number(BOTH, 5.0, "x").verdict == "not reproduced"


def test_judge_level():
    def judge(values):
        return judgement.judge_level(
            values, lambda low, high: low >= 99, "%", lambda low, high: high < 50
        ).verdict

    assert judge([99.5, 100, 100]) == "reproduced"
    assert judge([98, 60, 100]) == "not reproduced"
    assert judge([3, 4, 5]) == "contradicted"
    assert judge([100, 100]) == "not testable"


def test_text_has_mean_and_interval():
    text = judgement.Finding("reproduced", "saved, %", (1.0, 2.0, 3.0)).measured
    assert text.startswith("saved, %: 2 [") and text.endswith("(n = 3)")
