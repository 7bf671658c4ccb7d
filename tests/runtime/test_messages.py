"""Lines that say what is wrong."""

from __future__ import annotations

import pytest

from dtlib import ConfigError
from dtlib.runtime.messages import check_count, check_name, show


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


LONG = {
    "digits": 10**5000, "deep": _nested(10**4), "long": "x" * 10**6, "lines": "a\nb\r\nc",
    "no character": "\ud800",
}  # fmt: skip


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
def test_whatever_it_is_is_shown_on_one_short_line(value):
    line = show(value)
    assert len(line) <= 80 and len(line.splitlines()) == 1
    line.encode("utf-8")


@pytest.mark.parametrize("value", [0, -1, 65, 2**31 - 1, 1.0, "1", True, None, [1]])
def test_counts(value):
    with pytest.raises(ConfigError, match=r"^threads = .*: must be (an integer, )?1 to 64$"):
        check_count("threads", value, most=64)


def test_a_count_without_an_end():
    check_count("worlds", 10**9)
    check_count("seed", 0, least=0)
    with pytest.raises(ConfigError, match="^worlds = 0: must be at least 1$"):
        check_count("worlds", 0)


@pytest.mark.parametrize("value", ["x", None, 3, ["held-out"], b"held-out"])
def test_names(value):
    with pytest.raises(ConfigError, match=r"^stream = .*: must be one of held-out, tuning$"):
        check_name("stream", value, ("held-out", "tuning"))


def test_a_name_that_is_near_is_asked_for():
    with pytest.raises(ConfigError, match=r"held-out, tuning; did you mean 'tuning'\?$"):
        check_name("stream", "tunning", ("held-out", "tuning"))
    with pytest.raises(ConfigError, match=r"did you mean 'fig10_request_probability'\?$"):
        check_name("notebook", "fig10", ("fig09_base_stations", "fig10_request_probability"))
    with pytest.raises(ConfigError, match=r"must be one of held-out, tuning$"):
        check_name("stream", "", ("held-out", "tuning"))
