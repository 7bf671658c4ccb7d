"""Algorithm 1 on one page: lines 17 to 27 of the listing, eqs. (29)–(34).

Comments name the lines; line 22 is completed after line 23 (see the errata). R runs learn side by
side, each from n slots: those of W worlds, but for the last of each. An agent has G groups of
actions with one ratio each: as published, one for each slot in which it acted.
"""

from collections.abc import Callable, Sequence
from operator import call

import torch
from torch import Generator, Tensor

from dtlib.happo.critic import Critics
from dtlib.happo.experience import Experience
from dtlib.kernels.batch import ActorBatch
from dtlib.kernels.diagnostics import UpdateStats
from dtlib.kernels.portable import exp
from dtlib.kernels.train_state import TrainState
from dtlib.settings.train import TrainConfig


def update(
    actors: Sequence[TrainState],
    critics: Critics,
    experience: Experience,
    *,
    config: TrainConfig,
    generator: Generator,
    meanwhile: Callable[..., None] = call,
) -> UpdateStats:
    """Improve all agents from one episode of each run.

    A critic that agents share has its steps in the turn of the first of them. In MAPPO (Yu et al.
    2022) no ratio is handed on: M is the agent's own Â, and all improve as if at once.

    Args:
        actors: one per agent.
        critics: one per agent, or one per reward.
        experience: the episodes.
        config: the algorithm and its settings.
        generator: of the agents' order, which is the same in all runs.
        meanwhile: calls a function, perhaps on another core: critics do not look at actors.
    """
    trace, reward = critics.look(experience.states), experience.rewards
    advantage = critics.advantages(trace, reward)  # line 17: GAE (31)
    batches = experience.batches(advantage)
    agents = [Agent(*both, config) for both in zip(actors, batches, strict=True)]
    factor_of, critic_of = factors(len(agents), config), experience.critic_of
    stats, at_once = UpdateStats(), config.algorithm == "beta-mappo"
    for _ in range(config.epochs):  # line 18
        order = range(len(agents)) if at_once else agent_order(len(agents), generator)  # line 19
        first = {critic_of[u]: u for u in reversed(order)}
        log_factor = agents[0].slope.new_zeros(max(factor_of) + 1, *batches[0].shape)
        for u in order:  # line 20
            agent, known = agents[u], log_factor[factor_of[u]]
            if u == first[critic_of[u]]:
                for _ in range(config.critic_passes):
                    meanwhile(critics.step, critic_of[u], trace, reward)  # line 21: eqs. (32), (34)
            if agent.used:
                factor = agent.factor(known)  # line 22: M_{1:u}
                agent.step(factor, stats)  # line 23: eqs. (30) and (33)
                if not at_once:
                    agent.hand_on(known)  # line 22: M_{1:u+1}, after line 23
        if not at_once:
            stats.spread(log_factor)  # line 24: all agents have had their turn
    return stats  # lines 25–27: the episodes are dropped here, and the caller plays the next ones


def agent_order(agents: int, generator: Generator) -> list[int]:
    """Return a random permutation of the agents' numbers."""
    return torch.randperm(agents, generator=generator).tolist()


def factors(agents: int, config: TrainConfig) -> list[int]:
    """Return the number of the factor M that each agent takes up and hands on.

    All agents have the same as published; with ``by-reward`` the centre has its own.
    """
    return [0] * (agents - 1) + [int(config.factor == "by-reward")]


class Agent:
    """One agent on the data of an episode, in R runs side by side.

    The pass forward that yields the ratio after a step, for the successors' factor M, is also the
    one that the agent's next step differentiates.

    Args:
        actor: its network in each run.
        batch: its data.
        config: clip, entropy coefficient, bound on M.
    """

    def __init__(self, actor: TrainState, batch: ActorBatch, config: TrainConfig) -> None:
        self.actor, self.batch, self.config = actor, batch, config
        self.used = [run for run, count in enumerate(batch.counts) if count]
        """Runs in which any of its actions had an effect."""
        self.trace = actor.stack.trace(batch.rows)
        self.slope = torch.zeros_like(self.trace.raw)
        self._look()
        self.behaviour = self.log_prob
        """[R, G], log-probabilities under the policy that gathered the data."""

    def _look(self) -> None:
        self.terms = self.batch.terms(self.actor(self.trace))
        self.log_prob = self.batch.log_prob(self.terms)
        """[R, G], under the policy as it stands."""

    def factor(self, log_factor: Tensor) -> Tensor:
        """Return M = (product of predecessors' ratios) · Â, [R, G], from the log-product [R, n]."""
        limit = self.config.max_log_factor
        product = log_factor.view(-1).index_select(0, self.batch.slot).view_as(self.log_prob)
        return exp(product.clamp_(-limit, limit)).mul_(self.batch.advantage)

    def step(self, factor: Tensor, stats: UpdateStats) -> None:
        """Climb the clipped surrogate with its entropy bonus, given M [R, G]."""
        batch, config, log_ratio = self.batch, self.config, self.log_prob - self.behaviour
        ratio = exp(log_ratio)
        weight = surrogate_slope(ratio, factor=factor, clip=config.clip).mul_(batch.share)
        entropy = batch.slope(
            self.terms, weight=weight, entropy_coef=config.entropy_coef, out=self.slope
        )
        self.actor.step(self.trace, self.slope, self.used)
        stats.add(entropy, ratio=ratio, log_ratio=log_ratio, share=batch.share, clip=config.clip)
        self._look()

    def hand_on(self, log_factor: Tensor) -> None:
        """Multiply the new ratio into the product: add its log to ``log_factor`` [R, n]."""
        log_ratio = self.log_prob - self.behaviour
        log_factor.view(-1).index_add_(0, self.batch.slot, log_ratio.flatten())


def surrogate_slope(ratio: Tensor, *, factor: Tensor, clip: float) -> Tensor:
    """Return the slope of the clipped surrogate (30) in log π, elementwise.

    min(r·M, clip(r)·M) grows with slope M in r until r has left the interval [1 − ϵ, 1 + ϵ] on the
    side that M favours, and is flat from there; dr / d log π is r.

    >>> surrogate_slope(torch.tensor([0.5, 1.0, 1.5]), factor=torch.ones(3), clip=0.2)
    tensor([0.5000, 1.0000, 0.0000])
    """
    flat = torch.where(factor > 0, ratio > 1 + clip, ratio < 1 - clip)
    return (ratio * factor).masked_fill_(flat, 0)
