"""One seed for everything random: each purpose, run and episode draws from a stream of its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator

_STREAMS = {"weights": 0, "world": 1, "actions": 2, "order": 3, "held-out": 4, "tuning": 5}


def stream_seed(stream: str, *key: int) -> int:
    """Return a seed of its own for each purpose, run and episode.

    All randomness of a run is derived from its seed and the number of the episode, so the number
    of finished episodes is the whole state of its generators.

    Args:
        stream: ``weights``, ``world``, ``actions``, ``order``, ``held-out`` or ``tuning``.
        key: the run's seed and the episode; only the episode for ``order`` (of agents or of
            mini-batches), which runs side by side have in common; the world's number for held-out
            worlds and for those that policies without training are tuned on.
    """
    sequence = np.random.SeedSequence([_STREAMS[stream], *key])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def seeded(stream: str, *key: int, device: torch.device | str = "cpu") -> Generator:
    """Return a generator that draws from a stream; see :func:`stream_seed`."""
    return Generator(device).manual_seed(stream_seed(stream, *key))
