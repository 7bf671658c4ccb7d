"""Rules of judgement: verdicts follow from numbers."""

from dataclasses import replace

import numpy as np
import pytest

from dtlib.verdicts.judgement import Evidence, Part, judge, reversed_steps

UP, DOWN, BOTH = (1.0, 1.2, 0.9, 1.1), (-1.0, -1.2, -0.9), (-1.0, 1.1, 0.1, -0.2)


def evidence(*values, **more):
    """A sentence with a part for each of these."""
    parts = [Part(f"part {i}", of, ("beta-happo",), effect=1.0) for i, of in enumerate(values)]
    return Evidence("x", "%", tuple(parts), metric="m", **more)


def verdict(*values, **more):
    return judge([evidence(*values, **more)])[0].verdict


@pytest.mark.parametrize(
    ("values", "more", "found"),
    [
        ([UP], {}, "reproduced"),
        ([UP, UP], {}, "reproduced"),
        ([UP, BOTH], {}, "not reproduced"),
        ([BOTH], {}, "not reproduced"),
        ([DOWN], {}, "contradicted"),
        ([UP, DOWN], {}, "contradicted"),
        ([DOWN], {"margin": 2.0}, "not reproduced"),
        ([DOWN], {"sign": -1}, "reproduced"),
        ([UP], {"sign": -1, "level": 2.0}, "reproduced"),
        ([UP[:2]], {}, "not testable"),
        ([UP, UP[:2]], {}, "not testable"),
        ([], {}, "not testable"),
        ([UP], {"reported": 1.05}, "reproduced"),
        ([UP], {"reported": 3.0}, "reproduced in part"),
        ([BOTH], {"reported": 0.0}, "not reproduced"),
        ([DOWN], {"reported": 1.0}, "contradicted"),
        ([UP], {"steps": (Part("a", UP, (), effect=1.0),)}, "reproduced"),
        ([UP], {"steps": (Part("a", DOWN, (), effect=1.0),)}, "reproduced in part"),
        ([UP], {"steps": (Part("a", BOTH, (), effect=1.0),)}, "reproduced"),
        ([UP * 2], {"exact": True}, "reproduced"),
        ([DOWN * 2], {"exact": True}, "contradicted"),
        ([UP * 2], {"exact": True, "margin": 2.0}, "not reproduced"),
        ([UP], {"exact": True}, "not testable"),
    ],
)
def test_one_sentence(values, more, found):
    assert verdict(*values, **more) == found


def test_seeds_that_all_agree():
    assert verdict((100.0,) * 3, level=99.0) == "reproduced"
    assert verdict((98.0,) * 3, level=99.0) == "contradicted"


def test_more_sentences_need_more():
    """By itself it is shown; among ten that are not, it is not, and what is not testable counts
    for nothing."""
    alone, doubtful, short = evidence((1.0, 1.5, 2.0)), evidence(BOTH), evidence(UP[:2])
    assert judge([alone])[0].verdict == "reproduced"
    assert judge([alone, *[short] * 9])[0].verdict == "reproduced"
    assert judge([alone, *[doubtful] * 9])[0].verdict == "not reproduced"
    assert judge([alone, *[doubtful] * 9])[0].p == pytest.approx(10 * judge([alone])[0].p)


def step(mean):
    """A step whose t statistic with four seeds is 1.73 times its mean."""
    return Part(f"step of {mean}", (mean - 1, mean + 1, mean - 1, mean + 1), (), effect=1.0)


def test_a_step_is_reversed_where_it_is_shown_among_all_steps():
    shown, weaker, weak = step(-2.25), step(-2.1), step(-1.5)  # p = 0.015, 0.018, 0.040
    assert reversed_steps(evidence(UP, steps=(shown,))) == [shown]
    assert reversed_steps(evidence(UP, steps=(weaker,))) == [weaker]
    assert reversed_steps(evidence(UP, steps=(weak,))) == [], "half of the error is for this side"
    assert reversed_steps(evidence(UP, steps=(shown, weaker, step(3.0)))) == [], "three steps"
    assert reversed_steps(evidence(UP, steps=(shown,), margin=0.5)) == [], "too little"


def test_the_deciding_part_is_shown():
    finding = judge([evidence(UP, (1.0, 3.0, 2.0, 2.0))])[0]
    assert finding.part.name == "part 1"
    assert finding.measured.startswith("x part 1 (weakest of 2): 2 % [0.701, 3.3], 4 seeds, p = ")
    contradicted = judge([evidence(UP, DOWN)])[0]
    assert contradicted.part.name == "part 1" and "(most against it of 2)" in contradicted.measured
    assert judge([evidence(UP[:1])])[0].measured == "1 seed; 3 are needed"
    assert judge([evidence()])[0].measured == "no seed has a value; 3 are needed"
    assert judge([evidence(UP, exact=True)])[0].measured == "4 seeds; 6 are needed"


def test_what_is_counted_is_shown_as_counts():
    text = judge([evidence((1.0,) * 9 + (-1.0,), exact=True)])[0].measured
    assert text == "x part 0: in 9 of 10 seeds [55, 100 %], p = 0.021"
    less = judge([evidence((-5.0,) * 7 + (0.0,), exact=True, sign=-1, level=-3.0)])[0]
    assert less.measured.startswith("x part 0: in 7 of 8 seeds ["), "below the level, as it says"


def test_of_seeds_that_are_all_the_same_no_p_is_told():
    """Student's t knows no spread there; that such a part is shown is a convention."""
    finding = judge([evidence((3.0,) * 4)])[0]
    assert (finding.verdict, finding.measured) == (
        "reproduced", "x part 0: 3 % [3, 3], 4 seeds, all 4 the same"
    )  # fmt: skip
    assert ", p = " in judge([evidence((1.0,) * 6, exact=True)])[0].measured, "counts have one"


def test_energies_that_are_zero_have_no_mean_of_ratios():
    whole = evidence(UP)
    of = replace(whole, parts=tuple(replace(p, ratios=(1.2, 0.0, 1.1)) for p in whole.parts))
    assert (
        judge([of])[0].measured.startswith("x part 0: ") and "times" not in judge([of])[0].measured
    )


def test_a_finding_knows_how_many_of_its_family_are_not_shown():
    shown, doubtful, short = evidence(UP), evidence(BOTH), evidence(UP[:2])
    assert [found.open for found in judge([shown, doubtful, doubtful, short])] == [2, 2, 2, 1]
    assert judge([shown])[0].open == 1


def test_what_is_shown_from_ten_seeds_on():
    values = tuple(np.arange(10.0))
    assert "interquartile mean 4.5" in judge([evidence(values)])[0].measured
    text = judge([evidence(values, show=lambda value: 2 * value)])[0].measured
    assert ": 9 % [" in text and "interquartile mean 9" in text
