"""Time that is spent in blocks adds up by name."""

import time

import pytest
import torch

from dtlib.runtime.devices import timed


def test_time_adds_up_by_name():
    seconds, device = {}, torch.device("cpu")
    for name in ("act_s", "update_s", "act_s"):
        with timed(seconds, name, device):
            time.sleep(0.01)
    assert list(seconds) == ["act_s", "update_s"]
    assert seconds["update_s"] >= 0.01 and seconds["act_s"] >= 0.02


def test_a_block_that_fails_is_not_counted():
    seconds = {}
    with pytest.raises(KeyError), timed(seconds, "act_s", torch.device("cpu")):
        raise KeyError
    assert not seconds
