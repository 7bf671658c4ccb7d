"""Critics: value estimates of the global state, their targets and their regression, eq. (32)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from dtlib.algorithms.diagnostics import explained_variance
from dtlib.algorithms.gae import gae
from dtlib.algorithms.trainee import Trainee
from dtlib.config import TrainConfig
from dtlib.networks import PLAIN, Columns, MLPStack, Rows, Trace


class ValueNorm:
    """Running mean and deviation of returns, per critic output (PopArt, van Hasselt et al. 2016).

    Args:
        shape: [C, R, outputs].
        decay: weight of the past when an episode is added.
        device: where they are.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
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
        self.std.copy_(variance.clamp_min(1e-8).sqrt())

    def state(self, run: int = 0) -> dict[str, Tensor]:
        """Return one run's statistics by name."""
        arrays = {name: array for name, array in vars(self).items() if isinstance(array, Tensor)}
        return {name: one[:, run] if one.dim() else one for name, one in arrays.items()}


class Critics:
    """The critics of R runs: one per agent, or one per reward.

    Args:
        count: C, number of critics in a run.
        inputs: length of the global state.
        outputs: 1 for values of the whole reward, K for one of each user's part.
        config: sizes, rates and targets.
        generators: of the initial weights, one per run.
        columns: how the state begins.
        device: where everything is.
    """

    def __init__(
        self,
        count: int,
        inputs: int,
        outputs: int,
        config: TrainConfig,
        generators: Sequence[Generator],
        columns: Columns = PLAIN,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.count, self.columns = config, count, columns
        sizes = (inputs, *config.hidden_sizes, outputs)
        self.runs = [MLPStack(count, sizes, config.activation, 1.0, one) for one in generators]
        """One stack per run, views of the joint one."""
        for one in self.runs:
            one.to(device)
        self.stack = MLPStack.join(self.runs)
        self.trainees = [Trainee(self.stack, i, config, len(self.runs)) for i in range(count)]
        self.norm = ValueNorm((count, len(self.runs), outputs), device=device)

    def look(self, states: Sequence[Tensor]) -> Trace:
        """Return a trace for the R runs' global states [W, n, d]; all critics may share it."""
        return self.stack.trace(Rows.of([one.flatten(0, 1) for one in states], self.columns))

    def values(self, trace: Trace) -> Tensor:
        """Return values in units of reward: [C, R, outputs, n]."""
        raw = torch.stack([critic(trace).clone() for critic in self.trainees])
        return raw * self.norm.std[..., None] + self.norm.mean[..., None]

    def advantages(self, trace: Trace, reward: Tensor) -> Tensor:
        """Estimate advantages (31) and, with ``value_norm``, learn the scale of the returns.

        Args:
            trace: of N+1 states in each of W worlds.
            reward: [C, R, outputs, W, N].

        Returns:
            [C, R, outputs, W, N].
        """
        values = self.values(trace).unflatten(-1, (reward.shape[-2], -1))
        advantage = gae(reward, values, self.config.discount, self.config.gae_lambda)
        self.returns = advantage + values[..., :-1]
        """[C, R, outputs, W, N]."""
        self.explained = [
            [explained_variance(*pair) for pair in zip(target, value, strict=True)]
            for target, value in zip(self.returns.sum(2), values[..., :-1].sum(2), strict=True)
        ]
        """By critic and run."""
        if self.config.value_norm:
            self._rescale()
        return advantage

    def _rescale(self) -> None:
        """Update the scale and change the output layers so that no value changes."""
        mean, std = self.norm.mean.clone(), self.norm.std.clone()
        self.norm.update(self.returns)
        weight, bias = self.stack.weights[-1], self.stack.biases[-1]
        weight *= (std / self.norm.std).flatten(0, 1)[:, None]
        bias.copy_(
            (bias * std.flatten(0, 1)[:, None] + (mean - self.norm.mean).flatten(0, 1)[:, None])
            / self.norm.std.flatten(0, 1)[:, None]
        )

    def step(self, index: int, trace: Trace, reward: Tensor) -> None:
        """Take one regression step of one critic in all runs, eqs. (32) and (34).

        Args:
            index: which critic.
            trace: of N+1 states in each of W worlds.
            reward: [C, R, outputs, W, N].
        """
        mean, std = self.norm.mean[index, ..., None, None], self.norm.std[index, ..., None, None]
        prediction = self.trainees[index](trace).unflatten(-1, (reward.shape[-2], -1))
        if self.config.critic_target == "td":
            value = prediction[..., 1:] * std + mean
            target = reward[index] + self.config.discount * value
        else:
            target = self.returns[index]
        slope = torch.zeros_like(prediction)
        torch.sub(prediction[..., :-1], (target - mean) / std, out=slope[..., :-1])
        slope /= reward[index, 0].numel()
        self.trainees[index].step(trace, slope.flatten(-2))
