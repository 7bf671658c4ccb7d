"""Deterministic actors, critics that see all actions, and what a mini-batch teaches them.

Nothing here knows of the twin network; :mod:`dtlib.maddpg.maddpg` adds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from dtlib.kernels.first_layer import Lookups, Rows
from dtlib.kernels.networks import MLPStack, Trace
from dtlib.kernels.portable import affine, log, product
from dtlib.kernels.train_state import TrainState
from dtlib.kernels.value_norm import ValueNorm
from dtlib.maddpg.replay import Batch
from dtlib.settings.train import TrainConfig

RAW_PENALTY = 1e-2
"""Weight of an actor's mean squared output, which keeps tanh from saturating; the value in the
program of Lowe et al. 2017."""
NORM_DECAY = 0.99
"""Weight of the past in the scale of the critics' targets when a mini-batch is added."""


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
        trace = self.train_state.trace(Rows(slow=rows[:, :1, :fixed], fast=rows[:, :, fixed:]))
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


class ActionCritic:
    """What the agents of one kind expect of global state s and all actions a, with its target.

    Shared, it is one network that also takes an agent's own observation and action, which say whose
    expectation is meant: Q(s, a, o_k, a_k). Otherwise each agent has its own Q_k(s, a).

    Args:
        actors: the agents.
        inputs: I, length of s and a together.
        start: where the agents' actions begin among them, one agent after another.
        outputs: parts of an agent's reward.
        generator: of the initial weights.
    """

    def __init__(
        self,
        actors: Actors,
        *,
        inputs: int,
        start: int,
        outputs: int,
        generator: Generator,
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
        norm, trace = self.norm, self.train_state.trace(now)
        reward = reward.expand(self.agents, -1, -1)
        if self.shared:
            reward = reward.transpose(0, 1).flatten(1)[None]
        returns = reward
        if discount := self.config.discount:
            ahead = self.target.forward(slice(None), self.target.trace(after))
            returns = reward + discount * (ahead * norm.std.mT + norm.mean.mT)
        if self.config.value_norm:
            self._rescale(returns)
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

    def _rescale(self, returns: Tensor) -> None:
        """Learn the scale of returns [C, outputs, rows]; output layers change, values do not."""
        mean, std = self.norm.mean.clone(), self.norm.std.clone()
        self.norm.update(returns[:, None, :, None])
        for stack in (self.stack, self.target):
            stack.weights[-1].mul_(std / self.norm.std)
            stack.biases[-1].mul_(std).add_(mean - self.norm.mean).div_(self.norm.std)

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


class Team:
    """Actors and critics of one run, and what they learn from a mini-batch.

    Args:
        actors: by kind; the order is that of a batch's rewards and of actions in critics' inputs.
        state: S, length of the global state.
        outputs: parts of the rewards.
        generator: of the critics' initial weights.
    """

    def __init__(
        self,
        actors: Mapping[str, Actors],
        *,
        state: int,
        outputs: int,
        generator: Generator,
    ) -> None:
        self.actors, self.critics = dict(actors), {}
        inputs = state + sum(actor.agents * actor.width for actor in actors.values())
        for kind, actor in actors.items():
            self.critics[kind] = ActionCritic(
                actor,
                inputs=inputs,
                start=state,
                outputs=1 if actor.apart else outputs,
                generator=generator,
            )
            state += actor.agents * actor.width

    @property
    def parts(self) -> dict[str, Actors | ActionCritic]:
        """Everything that has networks, targets and optimisers, by name."""
        actors = {f"actors.{kind}": actor for kind, actor in self.actors.items()}
        return actors | {f"critics.{kind}": critic for kind, critic in self.critics.items()}

    def improve(self, batch: Batch, generator: Generator) -> dict[str, Tensor]:
        """Improve critics, then actors, then move the targets towards them.

        Args:
            batch: a mini-batch.
            generator: of the draws of choices, on the CPU.

        Returns:
            Diagnostics, 0-dimensional.
        """
        now, after, taken = batch.now, batch.after, batch.actions
        aims = {
            kind: actor.aim(after.obs[kind], after.mask[kind], generator)
            for kind, actor in self.actors.items()
        }
        inputs, following = merge(now.state, taken), merge(after.state, aims)
        stats, rows = {}, {}
        for (kind, critic), reward in zip(self.critics.items(), batch.reward, strict=True):
            rows[kind] = critic.rows(inputs, obs=now.obs[kind], action=taken[kind])
            then = critic.rows(following, obs=after.obs[kind], action=aims[kind])
            reward = reward.unsqueeze(1 if self.actors[kind].apart else 0)
            stats[kind] = critic.learn(now=rows[kind], after=then, reward=reward)
        for kind, actor in self.actors.items():
            critic = self.critics[kind]
            raw, trace = actor.look(now.obs[kind])
            own, soft = actor.act(raw, now.mask[kind], generator)
            slope = critic.slopes(rows[kind], inputs=inputs, own=own)[1]
            actor.step(trace, slope=actor.chain(soft, -slope), raw=raw, mask=now.mask[kind])
        for part in self.parts.values():
            part.target.flat.lerp_(part.stack.flat, part.config.target_rate)
        found = list(stats.values())
        first, *others = (stats["loss"] for stats in found)
        return {
            "critic_loss": sum(others, first) / len(found),
            "q_mean": found[0]["mean"],
            "explained_variance_global": found[0]["explained"],
            "explained_variance_centre": found[-1]["explained"],
        }


def merge(state: Tensor, actions: Mapping[str, Tensor]) -> Tensor:
    """Return critics' inputs [n, I]: the state [n, S], then each agent's action [A, n, W]."""
    return torch.cat(
        [state, *(action.transpose(0, 1).flatten(1) for action in actions.values())], dim=1
    )
