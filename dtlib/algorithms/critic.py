"""Critics: value estimates of the global state, their targets and their regression, eq. (32)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from dtlib.algorithms.batch import explained_variance
from dtlib.algorithms.gae import gae
from dtlib.algorithms.trainee import Trainee
from dtlib.config import TrainConfig
from dtlib.policies import MLPStack


class ValueNorm:
    """Running mean and deviation of returns, per critic output (PopArt, van Hasselt et al. 2016).

    Args:
        shape: [C, outputs].
        decay: weight of the past when an episode is added.
    """

    def __init__(self, shape: tuple[int, int], decay: float = 0.9) -> None:
        self.decay = decay
        self.weight = torch.zeros(())
        self.first = torch.zeros(shape)
        self.second = torch.zeros(shape)
        self.mean = torch.zeros(shape)
        self.std = torch.ones(shape)

    def update(self, returns: Tensor) -> None:
        """Add an episode's returns, [C, N, outputs]."""
        for moment, sample in ((self.first, returns), (self.second, returns**2)):
            moment.mul_(self.decay).add_(sample.mean(1), alpha=1 - self.decay)
        self.weight.mul_(self.decay).add_(1 - self.decay)
        self.mean.copy_(self.first / self.weight)
        variance = self.second / self.weight - self.mean**2
        self.std.copy_(variance.clamp_min(1e-8).sqrt())

    def state(self) -> dict[str, Tensor]:
        """Return the running statistics by name."""
        return {name: array for name, array in vars(self).items() if isinstance(array, Tensor)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Copy arrays of :meth:`state` into place."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


class Critics:
    """The critics of one run, stacked: one per agent, or one per reward.

    Args:
        count: C, number of critics.
        inputs: length of the global state.
        outputs: 1 for values of the whole reward, K for one of each user's part.
        config: sizes, rates and targets.
        generator: of the initial weights.
    """

    def __init__(
        self,
        count: int,
        inputs: int,
        outputs: int,
        config: TrainConfig,
        generator: Generator | None = None,
    ) -> None:
        self.config = config
        sizes = (inputs, *config.hidden_sizes, outputs)
        self.stack = MLPStack(count, sizes, config.activation, 1.0, generator)
        self.trainees = [Trainee.of(self.stack, i, config) for i in range(count)]
        self.norm = ValueNorm((count, outputs))

    def values(self, state: Tensor) -> Tensor:
        """Return values in units of reward: [C, n, outputs] from states [n, d]."""
        raw = self.stack(state.expand(self.stack.count, -1, -1))
        return raw * self.norm.std[:, None] + self.norm.mean[:, None]

    def advantages(self, state: Tensor, reward: Tensor) -> Tensor:
        """Estimate advantages (31) and, with ``value_norm``, learn the scale of the returns.

        Args:
            state: [N+1, d].
            reward: [C, N, outputs].

        Returns:
            [C, N, outputs].
        """
        values = self.values(state)
        advantage = gae(
            reward.transpose(1, 2), values.transpose(1, 2),
            self.config.discount, self.config.gae_lambda,
        ).transpose(1, 2)  # fmt: skip
        self.returns = advantage + values[:, :-1]
        self.explained = [
            explained_variance(target.sum(-1), value.sum(-1))
            for target, value in zip(self.returns, values[:, :-1], strict=True)
        ]
        if self.config.value_norm:
            self._rescale()
        return advantage

    def _rescale(self) -> None:
        """Update the scale and change the output layers so that no value changes."""
        mean, std = self.norm.mean.clone(), self.norm.std.clone()
        self.norm.update(self.returns)
        weight, bias = self.stack.weights[-1], self.stack.biases[-1]
        weight *= (std / self.norm.std)[:, None]
        bias.copy_(
            (bias * std[:, None] + (mean - self.norm.mean)[:, None]) / self.norm.std[:, None]
        )

    def step(self, index: int, state: Tensor, reward: Tensor) -> None:
        """Take one regression step of one critic, eqs. (32) and (34).

        Args:
            index: which critic.
            state: [N+1, d].
            reward: [N, outputs], its reward.
        """
        mean, std = self.norm.mean[index], self.norm.std[index]
        prediction = self.trainees[index](state)
        if self.config.critic_target == "td":
            value = prediction.detach()[1:] * std + mean
            target = reward + self.config.discount * value
        else:
            target = self.returns[index]
        loss = 0.5 * (((target - mean) / std - prediction[:-1]) ** 2).mean()
        self.trainees[index].step(loss, self.config.max_grad_norm)
