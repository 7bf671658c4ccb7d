"""Critics: value estimates of the global state, their targets and their regression, eq. (32)."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from dtlib.happo.gae import gae
from dtlib.kernels.diagnostics import explained_variance
from dtlib.kernels.first_layer import PLAIN, Columns, Rows
from dtlib.kernels.networks import MLPStack, Trace
from dtlib.kernels.train_state import TrainState
from dtlib.kernels.value_norm import ValueNorm
from dtlib.settings.train import TrainConfig


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
        *,
        count: int,
        inputs: int,
        outputs: int,
        config: TrainConfig,
        generators: Sequence[Generator],
        columns: Columns = PLAIN,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.count, self.columns = config, count, columns
        sizes, kind = (inputs, *config.hidden_sizes, outputs), config.activation
        self.stacks = [MLPStack(count, sizes, activation=kind, generator=g) for g in generators]
        """One stack per run, views of the joint one."""
        for stack in self.stacks:
            stack.to(device)
        self.stack = MLPStack.join(self.stacks)
        runs = len(generators)
        self.train_states = [
            TrainState(self.stack, config, index=i, runs=runs) for i in range(count)
        ]
        self.norm = ValueNorm((count, runs, outputs), device=device)

    def look(self, states: Sequence[Tensor]) -> Trace:
        """Return a trace for the R runs' global states [W, n, d]; all critics may share it."""
        return self.stack.trace(Rows.of([state.flatten(0, 1) for state in states], self.columns))

    def values(self, trace: Trace) -> Tensor:
        """Return values in units of reward: [C, R, outputs, n]."""
        raw = torch.stack([critic(trace).clone() for critic in self.train_states])
        return raw * self.norm.std[..., None] + self.norm.mean[..., None]

    def advantages(self, trace: Trace, reward: Tensor) -> Tensor:
        """Estimate advantages (31) and, with ``value_norm``, learn the scale of the returns.

        Args:
            trace: of N states in each of W worlds.
            reward: [C, R, outputs, W, N−1].

        Returns:
            [C, R, outputs, W, N−1].
        """
        value, config = self.values(trace).unflatten(-1, (reward.shape[-2], -1)), self.config
        advantage = gae(reward, value=value, discount=config.discount, gae_lambda=config.gae_lambda)
        self.returns = advantage + value[..., :-1]
        """[C, R, outputs, W, N−1]."""
        each = zip(self.returns.sum(2), value[..., :-1].sum(2), strict=True)
        self.explained = [list(map(explained_variance, *pair)) for pair in each]
        """By critic and run."""
        if config.value_norm:
            self.norm.rescale(self.returns, self.stack)
        return advantage

    def step(self, index: int, trace: Trace, reward: Tensor) -> None:
        """Take one regression step of one critic in all runs, with a fixed target, (32) and (34).

        Args:
            index: which critic.
            trace: of N states in each of W worlds.
            reward: [C, R, outputs, W, N−1].
        """
        mean, std = self.norm.mean[index, ..., None, None], self.norm.std[index, ..., None, None]
        prediction = self.train_states[index](trace).unflatten(-1, (reward.shape[-2], -1))
        if self.config.critic_target == "td":
            value = prediction[..., 1:] * std + mean
            target = reward[index] + self.config.discount * value
        else:
            target = self.returns[index]
        slope = torch.zeros_like(prediction)
        torch.sub(prediction[..., :-1], (target - mean) / std, out=slope[..., :-1])
        slope /= reward[index, 0].numel()
        self.train_states[index].step(trace, slope.flatten(-2))
