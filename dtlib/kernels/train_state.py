"""Networks of a stack with their optimiser."""

from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam

from dtlib.kernels.networks import MLPStack, Trace


class Steps(Protocol):
    """What an optimiser has to know of the settings."""

    @property
    def learning_rate(self) -> float:
        """Adam's step."""

    @property
    def adam_eps(self) -> float:
        """ϵ of Adam."""

    @property
    def max_grad_norm(self) -> float:
        """Longer gradients are scaled down to this norm."""


class TrainState:
    """One agent's network in each of R runs, neighbours in a stack, with its Adam.

    Args:
        stack: where the networks are.
        config: Adam's settings, the largest gradient norm.
        index: the agent's number there.
        runs: R.
    """

    def __init__(self, stack: MLPStack, config: Steps, *, index: int = 0, runs: int = 1) -> None:
        self.stack, self.config = stack, config
        self.rate = config.learning_rate
        self.which = slice(index * runs, (index + 1) * runs)
        mine = stack.flat[self.which]
        self.parameters = list(mine.unbind())
        self.gradient = torch.zeros_like(mine)
        """[R, parameters]."""
        self._gradients = list(self.gradient.unbind())
        self._weights, self._biases = stack.split(self.gradient)
        self.steps = list(mine.new_zeros(runs, dtype=torch.float32).unbind())
        self.first = list(torch.zeros_like(mine).unbind())
        self.second = list(torch.zeros_like(mine).unbind())

    def __call__(self, trace: Trace) -> Tensor:
        """Run the networks on the rows of ``trace``: [R, out, n]."""
        return self.stack.forward(self.which, trace)

    def step(self, trace: Trace, slope: Tensor, used: list[int] | None = None) -> None:
        """Take one step of Adam down a gradient, scaled to the largest norm at most: (33) and (34).

        Args:
            trace: of the networks as they stand.
            slope: [R, out, n], gradient of the loss with respect to the output.
            used: the runs that take the step; all if absent.
        """
        self.stack.backward(
            self.which, trace, slope=slope, weights=self._weights, biases=self._biases
        )
        norm = torch.linalg.vector_norm(self.gradient, dim=1, keepdim=True)
        self.gradient *= (self.config.max_grad_norm / (norm + 1e-6)).clamp_(max=1)

        def some(arrays: list[Tensor]) -> list[Tensor]:
            return arrays if used is None else [arrays[run] for run in used]

        adam(
            some(self.parameters), some(self._gradients), some(self.first), some(self.second), [],
            some(self.steps), fused=True, amsgrad=False, maximize=False, weight_decay=0.0,
            beta1=0.9, beta2=0.999, lr=self.rate, eps=self.config.adam_eps,
        )  # fmt: skip

    def state(self, run: int = 0) -> dict[str, Tensor]:
        """Return Adam's moments in one run by name."""
        moments = {"step": self.steps, "exp_avg": self.first, "exp_avg_sq": self.second}
        return {name: arrays[run] for name, arrays in moments.items()}
