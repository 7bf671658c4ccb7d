"""Worlds of the streams ``tuning``, to choose parameters on, and ``held-out``, to report on."""

from dtlib.model.world import World, sample_world
from dtlib.runtime.seeds import stream_seed
from dtlib.settings.env import EnvConfig


def sample_stream(env: EnvConfig, stream: str, count: int) -> World:
    """Return the first worlds of a stream side by side."""
    return sample_world(env, [stream_seed(stream, number) for number in range(count)])
