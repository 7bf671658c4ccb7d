"""Heterogeneous-agent PPO: the sequential update, Algorithm 1 and eqs. (29)–(34)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from dtlib.algorithms.batch import ActorBatch
from dtlib.algorithms.trainee import Trainee
from dtlib.config import TrainConfig


@dataclass
class UpdateStats:
    """What happened in the actor steps of one update, by run; kept where it was computed."""

    entropy: list[Tensor] = field(default_factory=list)
    kl: list[Tensor] = field(default_factory=list)
    clip_fraction: list[Tensor] = field(default_factory=list)
    log_factor: list[Tensor] = field(default_factory=list)

    def summary(self, run: int = 0) -> dict[str, float]:
        """Return the columns that a run's history has; nan where no agent had any data."""

        def series(values: list[Tensor]) -> Tensor:
            return torch.stack(values)[:, run] if values else torch.full((1,), torch.nan)

        extremes = series(self.log_factor)  # none in MAPPO
        return {
            "entropy": series(self.entropy).double().nanmean().item(),
            "approx_kl": series(self.kl).double().nanmean().item(),
            "clip_fraction": series(self.clip_fraction).double().nanmean().item(),
            "log_factor_min": extremes.min().clamp(max=0).item(),
            "log_factor_max": extremes.max().clamp(min=0).item(),
        }


def surrogate_slope(ratio: Tensor, weighted_advantage: Tensor, clip: float) -> Tensor:
    """Return the slope of the clipped surrogate (30) in log π, elementwise.

    min(r·A, clip(r)·A) grows with slope A in r until r has left the interval [1 − ϵ, 1 + ϵ] on
    the side that A favours, and is flat from there; dr / d log π is r.

    Args:
        ratio: r = π_θ / π_old.
        weighted_advantage: A = M_{1:u} = (product of predecessors' ratios) · Â.
        clip: ϵ.
    """
    gain = ratio * weighted_advantage
    flat = torch.where(weighted_advantage > 0, ratio > 1 + clip, ratio < 1 - clip)
    return gain.masked_fill_(flat, 0)


class ActorUpdate:
    """One agent's steps on the data of an episode, in R runs side by side.

    The pass that yields the ratio after a step, for the successors' factor M, is the pass that the
    agent's next step differentiates: there is one pass forward for each pass back.

    Args:
        actor: the agent.
        batch: its data.
        config: clip, entropy coefficient.
    """

    def __init__(self, actor: Trainee, batch: ActorBatch, config: TrainConfig) -> None:
        self.actor, self.batch, self.config = actor, batch, config
        self.used = None if all(batch.counts) else [r for r, n in enumerate(batch.counts) if n]
        self.trace = actor.trace(batch.rows)
        self.slope = torch.zeros_like(self.trace.raw)
        self._look()
        self.behaviour = self.log_prob
        """[R, G], log-probabilities under the policy that gathered the data."""

    def _look(self) -> None:
        self.terms = self.batch.terms(self.actor(self.trace))
        self.log_prob = self.batch.log_prob(self.terms)
        """[R, G], under the policy as it stands."""

    def step(self, log_factor: Tensor, stats: UpdateStats) -> None:
        """Improve the actor, then multiply its new ratio into the factor M of its successors.

        Args:
            log_factor: [R, N], log of the product of the predecessors' ratios in each slot; the
                agent's own, *after* its step, is added in place (lines 22 and 23 of Algorithm 1
                the other way round, as the theory of HAPPO needs it).
            stats: diagnostics are appended.
        """
        batch, config = self.batch, self.config
        known = log_factor.view(-1)
        limit = config.max_log_factor
        factor = known.index_select(0, batch.slot).view_as(self.log_prob)
        factor.clamp_(-limit, limit).exp_()
        difference = self.log_prob - self.behaviour
        ratio = difference.exp()
        weight = surrogate_slope(ratio, factor.mul_(batch.advantage), config.clip)
        entropy = batch.slope(self.terms, weight.mul_(batch.share), config.entropy_coef, self.slope)
        self.actor.step(self.trace, self.slope, self.used)
        ratio -= 1
        stats.entropy.append(entropy)
        stats.kl.append((ratio - difference).mul_(batch.share).sum(1))
        stats.clip_fraction.append((ratio.abs_() > config.clip).mul(batch.share).sum(1))
        self._look()
        known.index_add_(0, batch.slot, (self.log_prob - self.behaviour).flatten())


def update_actors(
    updates: Sequence[ActorUpdate],
    order: Sequence[int],
    slots: int,
    stats: UpdateStats,
    team: Sequence[int] | None = None,
) -> Tensor:
    """Update all agents once, one after another (lines 19–24 of Algorithm 1).

    Args:
        updates: one per agent; one none of whose actions had an effect is passed over.
        order: a permutation of the agents' numbers.
        slots: N.
        stats: diagnostics are appended.
        team: each agent's team; predecessors of other teams do not enter an agent's factor M. All
            agents are one team if absent, as published.

    Returns:
        [teams, R, N], log of the product of all ratios of each team.
    """
    team = [0] * len(updates) if team is None else team
    runs = updates[0].batch.rows.shape[0]
    log_factor = updates[0].slope.new_zeros(max(team) + 1, runs, slots)
    for agent in order:
        if any(updates[agent].batch.counts):
            updates[agent].step(log_factor[team[agent]], stats)
    stats.log_factor += [log_factor.amin((0, 2)), log_factor.amax((0, 2))]
    return log_factor


def agent_order(agents: int, generator: Generator) -> list[int]:
    """Return a random permutation of the agents' numbers (line 19 of Algorithm 1)."""
    return torch.randperm(agents, generator=generator).tolist()
