"""Critics that see all actions, and what they say of each agent's own."""

from copy import deepcopy
from functools import lru_cache

import torch
from torch import Generator, Tensor

from dtlib.kernels.first_layer import Lookups, Rows
from dtlib.kernels.networks import MLPStack
from dtlib.kernels.portable import affine, product
from dtlib.kernels.train_state import TrainState
from dtlib.kernels.value_norm import ValueNorm
from dtlib.maddpg.actors import Actors

NORM_DECAY = 0.99
"""Weight of the past in the scale of the critics' targets when a mini-batch is added."""


class ActionCritic:
    """What the agents of one kind expect of global state s and all actions a, with its target.

    Shared, it is one network that also takes an agent's own observation and action, which say whose
    expectation is meant: Q(s, a, o_k, a_k). Otherwise each agent has its own Q_k(s, a).

    Args:
        inputs: I, length of s and a together.
        start: where the agents' actions begin among them, one agent after another.
        outputs: parts of an agent's reward.
        generator: of the initial weights.
    """

    def __init__(
        self, actors: Actors, *, inputs: int, start: int, outputs: int, generator: Generator
    ) -> None:
        config, device = actors.config, actors.stack.flat.device
        self.config, self.agents, self.width = config, actors.agents, actors.width
        self.block = slice(start, start + self.agents * self.width)
        self.shared = config.critic == "shared"
        own = actors.stack.sizes[0] + self.width if self.shared else 0
        count = 1 if self.shared else self.agents
        sizes = (inputs + own, *config.hidden_sizes, outputs)
        self.stack = MLPStack(count, sizes, activation=config.activation, generator=generator)
        self.stack.to(device)
        self.target = deepcopy(self.stack)
        self.train_state = TrainState(self.stack, config, runs=count)
        self.norm = ValueNorm((count, 1, outputs), decay=NORM_DECAY, device=device)

    def rows(self, inputs: Tensor, *, obs: Tensor, action: Tensor) -> Rows:
        """Lay out s and a [n, I], own observations [A, n, d] and own actions [A, n, W].

        In a shared critic's first layer s and a, which all agents have in common, are run once.
        """
        if not self.shared:
            every = inputs.expand(self.agents, -1, -1)
            return Rows(slow=every[:, :1, :0], fast=every)
        own = torch.cat([obs, action], dim=-1).flatten(0, 1)
        lookups = repeats(agents=self.agents, slots=len(inputs), device=inputs.device)
        return Rows(slow=inputs[None], lookups=lookups, fast=own[None])

    def learn(self, *, now: Rows, after: Rows, reward: Tensor) -> dict[str, Tensor]:
        """Take one regression step towards r + γ Q′(s′, a′).

        Args:
            now: of n slots, with the actions executed.
            after: of the slots that followed, with the targets' actions.
            reward: [A or 1, outputs, n]: each agent's, or all agents'.

        Returns:
            Diagnostics, 0-dimensional.
        """
        norm, trace = self.norm, self.stack.trace(now)
        reward = reward.expand(self.agents, -1, -1)
        if self.shared:
            reward = reward.transpose(0, 1).flatten(1)[None]
        returns = reward
        if discount := self.config.discount:
            ahead = self.target.forward(slice(None), self.target.trace(after))
            returns = reward + discount * (ahead * norm.std.mT + norm.mean.mT)
        if self.config.value_norm:
            norm.rescale(returns[:, None, :, None], self.stack, self.target)
        value = self.train_state(trace)
        error = value - (returns - norm.mean.mT) / norm.std.mT
        self.train_state.step(trace, error / error.shape[-1])
        known = value * norm.std.mT + norm.mean.mT
        sums = returns.sum(1)
        unexplained = sums.new_tensor(torch.nan)  # a single number has no variance
        if sums.numel() > 1:
            unexplained = (returns - known).sum(1).var() / sums.var()
        return {
            "loss": error.square().mean(),
            "mean": known.sum(1).mean(),
            "explained": 1 - unexplained,
        }

    def slopes(self, now: Rows, *, inputs: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return what agents' own actions are worth, each among the others' executed ones.

        The first layer is linear: it is run on the actions executed, and for each agent only the
        change by its own action is added.

        Args:
            now: as in :meth:`learn`.
            inputs: [n, I], s and a executed.
            own: [A, n, W], what each agent would do instead.

        Returns:
            Sum of the outputs in deviations of their returns, [A, n]; its slope with respect to
            ``own``, [A, n, W].
        """
        shape, stack = (self.agents, self.width), self.stack
        std = self.norm.std[:, 0]
        weight = (std / std.norm(dim=1, keepdim=True)).unsqueeze(-1)
        weights, biases = stack.weights[:-1], stack.biases[:-1]
        weights += [product(stack.weights[-1], weight)]
        biases += [product(stack.biases[-1], weight)]
        mine = weights[0][:, self.block].unflatten(1, shape)
        if self.shared:
            mine = mine[0] + weights[0][:, -self.width :]
        else:
            mine = mine.diagonal().movedim(-1, 0)
        first = now.forward(weights[0], biases[0])
        change = own - inputs[:, self.block].unflatten(1, shape).transpose(0, 1)
        out, hidden = affine(first.view(*own.shape[:2], -1), change, mine), []
        for layer, bias in zip(weights[1:], biases[1:], strict=True):
            hidden.append(stack.activate(out).view(len(layer), -1, layer.shape[1]))
            out = affine(bias, hidden[-1], layer)
        slope = torch.ones_like(out)
        for layer, below in zip(reversed(weights[1:]), reversed(hidden), strict=True):
            slope = stack.chain(product(slope, layer.mT), below)
        return out.view(own.shape[:2]), product(slope.view(*own.shape[:2], -1), mine.mT)


@lru_cache(maxsize=16)
def repeats(*, agents: int, slots: int, device: torch.device) -> Lookups:
    """Return where the rows of A agents, one after another, find their slot's entry."""
    entry = torch.arange(slots, device=device).repeat(agents)
    row = torch.arange(agents * slots, device=device)
    return Lookups.of(row=row, entry=entry, rows=len(row), entries=slots)
