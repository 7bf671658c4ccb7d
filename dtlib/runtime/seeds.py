"""One seed for everything random: each purpose, run and episode draws from a stream of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator

from dtlib.runtime.errors import ConfigError
from dtlib.runtime.messages import check_count, show

_STREAMS = {"weights": 0, "world": 1, "actions": 2, "order": 3, "held-out": 4, "tuning": 5}


def stream_seed(stream: str, *key: int) -> int:
    """Return a seed of its own for each purpose, run and episode.

    All randomness of a run is derived from its seed and the number of the episode, so the number
    of finished episodes is the whole state of its generators.

    Args:
        stream: ``weights``, ``world``, ``actions``, ``order`` (of agents, or of mini-batches),
            ``held-out`` or ``tuning``.
        key: the run's seed and the episode; the world's number for held-out worlds and for those
            that policies without training are tuned on.
    """
    sequence = np.random.SeedSequence([_STREAMS[stream], *key])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def seeded(stream: str, *key: int, device: torch.device | str = "cpu") -> Generator:
    """Return a generator that draws from a stream; see :func:`stream_seed`."""
    return Generator(device).manual_seed(stream_seed(stream, *key))


def replica_seeds(seed: int | Sequence[int], replicas: int) -> Sequence[int]:
    """Return the seed of each replica: ``seed``, the next one, and so on, or those that are given.

    Raises:
        ConfigError: no replicas, others than the seeds, or what is no seed.
    """
    if not isinstance(seed, Sequence | np.ndarray):
        check_count("seed", seed, least=0)
        check_count("replicas", replicas, most=2**31 - 1)
        return range(seed, seed + replicas)
    if not len(seed):
        raise ConfigError(f"seed = {show(seed)}: must be a seed or at least one of them")
    if replicas not in (1, len(seed)):
        many = f"must be the number of seeds, {len(seed)}, or absent"
        raise ConfigError(f"replicas = {show(replicas)}: {many}")
    for number in seed:
        check_count("seed", number, least=0)
    return seed
