"""The scale of returns."""

import torch
from torch import Tensor

from dtlib.kernels.networks import MLPStack
from dtlib.kernels.portable import sqrt


class ValueNorm:
    """Running mean and deviation of returns, per critic output (PopArt, van Hasselt et al. 2016).

    Args:
        shape: [C, R, outputs].
        decay: weight of the past when an episode is added.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        decay: float = 0.9,
        device: torch.device | str = "cpu",
    ) -> None:
        self.decay = decay
        self.weight = torch.zeros((), device=device)
        self.first = torch.zeros(shape, device=device)
        self.second = torch.zeros(shape, device=device)
        self.mean = torch.zeros(shape, device=device)
        self.std = torch.ones(shape, device=device)

    def update(self, returns: Tensor) -> None:
        """Add an episode's returns, [C, R, outputs, W, N]."""
        for moment, sample in ((self.first, returns), (self.second, returns**2)):
            moment.mul_(self.decay).add_(sample.mean((-2, -1)), alpha=1 - self.decay)
        self.weight.mul_(self.decay).add_(1 - self.decay)
        self.mean.copy_(self.first / self.weight)
        variance = self.second / self.weight - self.mean**2
        self.std.copy_(sqrt(variance.clamp_min(1e-8)))

    def rescale(self, returns: Tensor, *stacks: MLPStack) -> None:
        """Add returns and change critics' output layers [C·R, …] so that no value changes."""
        mean, std = self.mean.clone(), self.std.clone()
        self.update(returns)
        moved, old, new = (a.flatten(0, 1)[:, None] for a in (mean - self.mean, std, self.std))
        for stack in stacks:
            stack.weights[-1].mul_(old / new)
            stack.biases[-1].mul_(old).add_(moved).div_(new)

    def state(self, run: int = 0) -> dict[str, Tensor]:
        """Return one run's statistics by name."""
        arrays = {name: array for name, array in vars(self).items() if isinstance(array, Tensor)}
        return {name: array[:, run] if array.dim() else array for name, array in arrays.items()}
