"""Heterogeneous-agent PPO: the sequential update, Algorithm 1 and eqs. (29)–(34)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from statistics import fmean

import torch
from torch import Generator, Tensor

from dtlib.algorithms.batch import ActorBatch
from dtlib.algorithms.trainee import Trainee
from dtlib.config import TrainConfig


@dataclass
class UpdateStats:
    """Means over the actor steps of one update."""

    entropy: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    clip_fraction: list[float] = field(default_factory=list)
    log_factor_min: float = 0.0
    log_factor_max: float = 0.0

    def summary(self) -> dict[str, float]:
        """Return the columns that a run's history has; nan where no agent had any data."""
        return {
            "entropy": fmean(self.entropy or [nan]),
            "approx_kl": fmean(self.kl or [nan]),
            "clip_fraction": fmean(self.clip_fraction or [nan]),
            "log_factor_min": self.log_factor_min,
            "log_factor_max": self.log_factor_max,
        }


def surrogate(ratio: Tensor, weighted_advantage: Tensor, clip: float) -> Tensor:
    """Return the clipped surrogate of (30), elementwise, without its entropy term.

    Args:
        ratio: [G], π_θ / π_old.
        weighted_advantage: [G], M_{1:u} = (product of predecessors' ratios) · Â.
        clip: ϵ.
    """
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return torch.minimum(ratio * weighted_advantage, clipped * weighted_advantage)


def actor_step(
    actor: Trainee,
    batch: ActorBatch,
    behaviour: Tensor,
    log_factor: Tensor,
    config: TrainConfig,
    stats: UpdateStats,
) -> None:
    """Improve one actor, then multiply its new ratio into the factor M of its successors.

    Args:
        actor: the agent.
        batch: its data.
        behaviour: [G], log-probabilities under the policy that gathered the data.
        log_factor: [N], log of the product of the predecessors' ratios in each slot; the agent's
            own, *after* its step, is added in place (lines 22 and 23 of Algorithm 1 the other way
            round, as the theory of HAPPO needs it).
        config: clip, entropy coefficient, gradient norm.
        stats: diagnostics are appended.
    """
    factor = log_factor[batch.slot].clamp(-config.max_log_factor, config.max_log_factor).exp()
    log_prob, entropy = batch.log_prob_entropy(actor(batch.obs))
    difference = log_prob - behaviour
    ratio = difference.exp()
    gain = surrogate(ratio, factor * batch.advantage, config.clip).mean()
    mean_entropy = entropy.mean()
    actor.step(-(gain + config.entropy_coef * mean_entropy), config.max_grad_norm)

    with torch.no_grad():
        updated = batch.log_prob(actor(batch.obs))
        log_factor.index_add_(0, batch.slot, updated - behaviour)
        outside = (ratio - 1).abs() > config.clip
        stats.entropy.append(mean_entropy.item())
        stats.kl.append((ratio - 1 - difference).mean().item())
        stats.clip_fraction.append(outside.double().mean().item())


def update_actors(
    actors: Sequence[Trainee],
    batches: Sequence[ActorBatch],
    behaviour: Sequence[Tensor],
    order: Sequence[int],
    slots: int,
    config: TrainConfig,
    stats: UpdateStats,
    team: Sequence[int] | None = None,
) -> Tensor:
    """Update all agents once, one after another (lines 19–24 of Algorithm 1).

    Args:
        actors: one per agent.
        batches: their data; an agent none of whose actions had an effect is passed over.
        behaviour: log-probabilities under the policies that gathered the data, [G] per agent.
        order: a permutation of the agents' numbers.
        slots: N.
        config: see :func:`actor_step`.
        stats: diagnostics are appended.
        team: each agent's team; predecessors of other teams do not enter an agent's factor M. All
            agents are one team if absent, as published.

    Returns:
        [teams, N], log of the product of all ratios of each team.
    """
    team = [0] * len(actors) if team is None else team
    log_factor = torch.zeros(max(team) + 1, slots, device=batches[0].obs.device)
    for agent in order:
        if batches[agent].groups:
            own = log_factor[team[agent]]
            actor_step(actors[agent], batches[agent], behaviour[agent], own, config, stats)
    stats.log_factor_min = min(stats.log_factor_min, log_factor.min().item())
    stats.log_factor_max = max(stats.log_factor_max, log_factor.max().item())
    return log_factor


def behaviour_log_prob(actor: Trainee, batch: ActorBatch) -> Tensor:
    """Return the log-probabilities of a batch under its actor as it stands: [G]."""
    with torch.no_grad():
        return batch.log_prob(actor(batch.obs))


def agent_order(agents: int, generator: Generator) -> list[int]:
    """Return a random permutation of the agents' numbers (line 19 of Algorithm 1)."""
    return torch.randperm(agents, generator=generator).tolist()
