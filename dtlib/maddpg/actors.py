"""Deterministic actors, with targets and optimisers; nothing here knows of the twin network."""

from copy import deepcopy

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from dtlib.kernels.first_layer import Rows
from dtlib.kernels.networks import MLPStack, Trace
from dtlib.kernels.portable import log
from dtlib.kernels.train_state import TrainState
from dtlib.settings.train import TrainConfig

RAW_PENALTY = 1e-2
"""Weight of an actor's mean squared output, which keeps tanh from saturating; the value in the
program of Lowe et al. 2017."""


class Actors:
    """The deterministic actors of one kind of agents, with their targets and optimisers.

    Args:
        stack: a network for each agent, or one that all have in common.
        config: rates, temperature, and the discount of their rewards.
        agents: A.
        choices: how many values each of an agent's numbers has; 0 for all in [0, 1].
        constant: how many columns, the first ones, of a network's input never change.
        apart: agent k has only part k of its kind's reward, not the sum of all.
    """

    def __init__(
        self,
        stack: MLPStack,
        config: TrainConfig,
        agents: int,
        *,
        choices: int = 0,
        constant: int = 0,
        apart: bool = False,
    ) -> None:
        self.stack, self.target, self.config = stack, deepcopy(stack), config
        self.agents, self.choices, self.constant, self.apart = agents, choices, constant, apart
        self.train_state = TrainState(stack, config, runs=stack.count)
        self.width = stack.sizes[-1]
        """W, how many of a critic's inputs an agent's action takes."""

    def aim(self, obs: Tensor, mask: Tensor, generator: Generator) -> Tensor:
        """Return the targets' actions [A, n, W] on observations [A, n, d]."""
        raw = self.target(obs.reshape(self.stack.count, -1, obs.shape[-1]))
        return self.act(raw.view(*obs.shape[:2], -1), mask, generator)[0]

    def act(self, raw: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return actions, and what their slopes are taken of: both [A, n, W], zero where masked.

        A number is (1 + tanh raw)/2. A choice is a one-hot vector drawn from softmax(raw), for
        whose slope the relaxed draw stands in (straight-through Gumbel-softmax, Jang et al. 2017).

        Args:
            raw: [A, n, W], what the networks put out.
            mask: [A, n, D], bool.
            generator: of the draws, on the CPU.
        """
        if not self.choices:
            unit = torch.sigmoid(2 * raw) * mask
            return unit, unit
        logits, mask = raw.unflatten(-1, (-1, self.choices)), mask.unsqueeze(-1)
        noise = torch.empty(logits.shape).exponential_(generator=generator).clamp_min_(1e-20)
        soft = ((logits - log(noise).to(raw)) / self.config.gumbel_temperature).softmax(-1)
        hard = one_hot(soft.argmax(-1), self.choices).to(raw)
        return (hard * mask).flatten(2), (soft * mask).flatten(2)

    def chain(self, soft: Tensor, slope: Tensor) -> Tensor:
        """Return a slope with respect to what the networks put out, [A, n, W].

        Args:
            soft: [A, n, W], the second of :meth:`act`.
            slope: [A, n, W], with respect to the action.
        """
        if not self.choices:
            return slope * 2 * soft * (1 - soft)
        soft, slope = (array.unflatten(-1, (-1, self.choices)) for array in (soft, slope))
        along = slope - (soft * slope).sum(-1, keepdim=True)
        return (soft * along / self.config.gumbel_temperature).flatten(2)

    def look(self, obs: Tensor) -> tuple[Tensor, Trace]:
        """Return what the networks put out [A, n, W] on observations [A, n, d], and its trace."""
        rows, fixed = obs.reshape(self.stack.count, -1, obs.shape[-1]), self.constant
        trace = self.train_state.stack.trace(
            Rows(slow=rows[:, :1, :fixed], fast=rows[:, :, fixed:])
        )
        return self.train_state(trace).mT.reshape(*obs.shape[:2], -1), trace

    def step(self, trace: Trace, *, slope: Tensor, raw: Tensor, mask: Tensor) -> None:
        """Take one step down a slope.

        Args:
            trace: of ``raw``.
            slope: [A, n, W], with respect to ``raw``.
            raw: [A, n, W], what the networks put out.
            mask: [A, n, D], bool.
        """
        pull = raw * mask.repeat_interleave(self.choices or 1, dim=-1)
        down = torch.add(slope, pull, alpha=2 * RAW_PENALTY / self.width) / raw.shape[1]
        self.train_state.step(trace, down.reshape(self.stack.count, -1, self.width).mT)
