"""What an algorithm's name means: who learns, how long that takes, and what it holds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from dtlib.happo.learner import Learner
from dtlib.maddpg.maddpg import MADDPG
from dtlib.maddpg.slots import shapes
from dtlib.settings.train import TrainConfig

Held = dict[str, tuple[int, tuple[str, ...]]]
"""Bytes by what they are of, each with the settings that they grow with."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """One way to learn."""

    learner: type[Learner | MADDPG]
    passes: Callable[[TrainConfig], int]
    """As how many passes over its slots an episode's learning counts, by the time it takes."""
    held: Callable[[TrainConfig], Held]
    """What is held beside worlds and networks."""


def _buffer(config: TrainConfig) -> Held:
    """Return the sizes of the replay buffer and of a mini-batch with its successors."""
    slot = sum(prod(shape) * kind.itemsize for shape, kind in shapes(config).values())
    return {
        "the replay buffer": (config.replay_slots * slot, ("replay_slots", "env.num_users")),
        "a mini-batch": (2 * config.batch_size * slot, ("batch_size", "env.num_users")),
    }


ON_POLICY = Learning(learner=Learner, passes=lambda config: config.epochs, held=lambda config: {})
"""HAPPO and MAPPO: from an episode, which is then forgotten."""
LEARNING = dict.fromkeys(("beta-happo", "gaussian-happo", "beta-mappo"), ON_POLICY) | {
    "maddpg": Learning(learner=MADDPG, passes=lambda config: 30, held=_buffer)
}
"""By name. MADDPG's passes were measured with the companion's updates in a frame."""


def learning_of(config: TrainConfig) -> Learning:
    """Return what the name of a run's algorithm means."""
    return LEARNING[config.algorithm]
