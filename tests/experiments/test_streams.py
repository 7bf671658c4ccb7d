"""Worlds of streams: the first ones are always the same, and those of two streams differ."""

import torch

from dtlib import EnvConfig, sample_world
from dtlib.experiments.streams import sample_stream
from dtlib.runtime.seeds import stream_seed

ENV = EnvConfig(num_users=4, num_bs=2, frames=1)


def test_first_worlds_of_a_stream():
    three, two = (sample_stream(ENV, "tuning", count) for count in (3, 2))
    assert torch.equal(three.gain[:2], two.gain) and len(three.gain) == 3
    assert torch.equal(two.gain[1:], sample_world(ENV, stream_seed("tuning", 1)).gain)
    assert not torch.equal(two.gain, sample_stream(ENV, "held-out", 2).gain)


def test_every_so_many_slots():
    whole = sample_stream(ENV, "held-out", 2)
    strided = whole.every(10)
    assert torch.equal(strided.gain.flatten(0, 1), whole.gain[:, ::10].flatten(0, 1))
