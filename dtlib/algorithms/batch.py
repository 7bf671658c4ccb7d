"""What each agent's actor learns from: the rows and entries of an episode that count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dtlib.policies import beta_entropy, beta_log_prob, beta_parameters


@dataclass(frozen=True)
class ActorBatch:
    """One agent's data: n rows of observations, E entries of actions, G ratio groups.

    An entry is one number that the agent chose. The log-probabilities of a group's entries are
    added: a group is what has one importance ratio and one advantage, all entries of a slot
    (the paper's joint ratio) or those of a slot that concern one user.
    """

    head: Literal["beta", "categorical"]
    obs: Tensor
    """[n, d], slots in which at least one entry counts."""
    row: Tensor
    """[E], int, the entry's row."""
    column: Tensor
    """[E], int, which of the agent's numbers it is."""
    value: Tensor
    """[E], in (0, 1) for a Beta head, an int for a categorical one."""
    group: Tensor
    """[E], int, the entry's group."""
    slot: Tensor
    """[G], int, the group's slot."""
    advantage: Tensor
    """[G]."""
    numbers: int
    """D, how many numbers the agent chooses in a slot."""

    @property
    def groups(self) -> int:
        """G."""
        return len(self.slot)

    def add_up(self, entries: Tensor) -> Tensor:
        """Return sums over the entries of each group: [G] from [E]."""
        return entries.new_zeros(self.groups).index_add(0, self.group, entries)

    def log_prob(self, raw: Tensor) -> Tensor:
        """Return each group's log-probability under the network's output.

        Args:
            raw: [n, out], out = 2·(numbers) for a Beta head, (numbers)·(choices) for a categorical.

        Returns:
            [G].
        """
        return self._log_prob(*self._parameters(raw))

    def log_prob_entropy(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return each group's log-probability and entropy, [G] each; see :meth:`log_prob`."""
        parameters = self._parameters(raw)
        if self.head == "beta":
            entropy = beta_entropy(*parameters)
        else:
            (logits,) = parameters
            entropy = -(logits.exp() * logits).sum(-1)
        return self._log_prob(*parameters), self.add_up(entropy)

    def _parameters(self, raw: Tensor) -> tuple[Tensor, ...]:
        """Each entry's Beta parameters, or its normalised logits."""
        if self.head == "beta":
            flat = self.row * raw.shape[1] + self.column
            both = beta_parameters(raw.flatten()[torch.cat([flat, flat + self.numbers])])
            return both.chunk(2)
        logits = raw.view(len(raw), self.numbers, raw.shape[1] // self.numbers)
        return (logits[self.row, self.column].log_softmax(-1),)

    def _log_prob(self, *parameters: Tensor) -> Tensor:
        if self.head == "beta":
            return self.add_up(beta_log_prob(self.value, *parameters))
        return self.add_up(parameters[0].gather(-1, self.value.unsqueeze(-1)).squeeze(-1))


def actor_batch(
    head: Literal["beta", "categorical"],
    obs: Tensor,
    value: Tensor,
    mask: Tensor,
    advantage: Tensor,
    users: int | None = None,
) -> ActorBatch:
    """Collect one agent's rows and entries that count.

    Args:
        head: distribution of its actions.
        obs: [N, d].
        value: [N, D], its actions.
        mask: [N, D], bool, which of them had an effect.
        advantage: [N], one ratio per slot; or [N, users], one per slot and user.
        users: K, if the D numbers are one or several blocks of K, needed for ratios per user.
    """
    rows = mask.any(-1)
    slot_of_row = rows.nonzero().squeeze(-1)
    row, column = mask[rows].nonzero(as_tuple=True)
    if advantage.dim() == 1:
        group, slot = row, slot_of_row
        group_advantage = advantage[slot]
    else:
        pair = row * users + column % users
        pairs, group = pair.unique(return_inverse=True)
        slot = slot_of_row[pairs // users]
        group_advantage = advantage[slot, pairs % users]
    return ActorBatch(
        head, obs[rows].contiguous(), row, column, value[rows][row, column],
        group, slot, group_advantage, mask.shape[1],
    )  # fmt: skip


def standardise(advantage: Tensor) -> Tensor:
    """Return the advantages with mean 0 and standard deviation 1."""
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)


def explained_variance(target: Tensor, prediction: Tensor) -> float:
    """Return 1 − Var(target − prediction) / Var(target); nan if the target is constant."""
    variance = target.var()
    if variance == 0:
        return float("nan")
    return float(1 - (target - prediction).var() / variance)
