"""One network of a stack with its optimiser."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from dtlib.config import TrainConfig
from dtlib.policies import MLPStack


@dataclass
class Trainee:
    """One network of a stack with its Adam."""

    stack: MLPStack
    index: int
    optimizer: torch.optim.Adam

    @classmethod
    def of(cls, stack: MLPStack, index: int, config: TrainConfig) -> Trainee:
        """Return network ``index`` of ``stack`` with a fresh Adam."""
        parameters = stack.parameters(index)
        adam = torch.optim.Adam(
            parameters, lr=config.learning_rate, eps=config.adam_eps, fused=True
        )
        for parameter in parameters:
            adam.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return cls(stack, index, adam)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Run the network with gradients to its parameters: [n, in] → [n, out]."""
        return self.stack.single(self.index, inputs)

    def step(self, loss: Tensor, max_grad_norm: float) -> None:
        """Take one step down the gradient of ``loss``, eqs. (33) and (34)."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(self.stack.parameters(self.index), max_grad_norm)
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Return Adam's moments by name."""
        return {
            f"{layer}.{name}": tensor
            for layer, parameter in enumerate(self.stack.parameters(self.index))
            for name, tensor in self.optimizer.state[parameter].items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Copy arrays of :meth:`state` into place."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
