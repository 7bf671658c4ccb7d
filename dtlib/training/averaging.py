"""The mean of a run's actors over its last episodes: one policy instead of the latest of many."""

import math

import torch
from torch import Tensor

from dtlib.agents.policies import Policies
from dtlib.settings.train import TrainConfig


class Average:
    """Actors whose weights are the mean over the last episodes of a run.

    Averaging of iterates (Polyak and Juditsky 1992), for networks Izmailov et al. (2018): steps of
    a constant rate wander around what they have learnt, and their mean is nearer to it. What a run
    learns is not changed by it.

    Args:
        config: of the run; gives the number of its episodes and the share that is averaged.
        device: where the weights are.
    """

    def __init__(self, config: TrainConfig, device: torch.device | str = "cpu") -> None:
        self.policies = Policies(config)
        self.policies.to(device)
        self.first = config.episodes - math.ceil(config.averaged * config.episodes)
        """Number of the first episode after which weights count."""

    def take(self, policies: Policies, number: int) -> None:
        """Add the weights after episode ``number``, counted from 0, to the mean."""
        if number >= self.first:
            for kind, stack in self.policies.stacks.items():
                stack.flat.lerp_(policies.stacks[kind].flat, 1 / (number - self.first + 1))

    def state(self) -> dict[str, Tensor]:
        """Return the arrays that a checkpoint has to have, by name."""
        return {f"average.{kind}": stack.flat for kind, stack in self.policies.stacks.items()}
