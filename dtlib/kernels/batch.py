"""What each agent's actor learns from: the rows and entries of an episode that count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from dtlib.kernels.distributions import (
    BetaTerms,
    CategoricalTerms,
    GatedTerms,
    GaussianTerms,
)
from dtlib.kernels.first_layer import PLAIN, Columns, Rows, pad
from dtlib.kernels.outputs import Output
from dtlib.kernels.portable import log

Distribution = Literal["beta", "gaussian", "original-gaussian", "categorical"]
Terms = BetaTerms | GaussianTerms | CategoricalTerms | GatedTerms
TERMS: dict[
    Distribution, Callable[[Tensor, Tensor], BetaTerms | GaussianTerms | CategoricalTerms]
] = {
    "beta": BetaTerms,
    "gaussian": GaussianTerms,
    "original-gaussian": partial(GaussianTerms, original=True),
    "categorical": CategoricalTerms,
}


@dataclass(frozen=True, kw_only=True)
class ActorData:
    """One agent's data in one run: n rows of observations, E entries, G ratio groups.

    An entry is one number that the agent chose. The log-probabilities of a group's entries are
    added: a group is what has one importance ratio and one advantage, all entries of a slot
    (the paper's joint ratio) or those of a slot that concern one user.
    """

    distribution: Distribution
    obs: Tensor
    """[n, d], slots in which at least one entry counts."""
    row: Tensor
    """[E], int, the entry's row."""
    column: Tensor
    """[E], int, which of the agent's numbers it is."""
    action: Tensor
    """[E], in (0, 1) for a Beta, unbounded for a Gaussian, an int for a categorical one;
    exactly 0 where the choice was not to act."""
    group: Tensor
    """[E], int, the entry's group."""
    slot: Tensor
    """[G], int, the group's slot."""
    advantage: Tensor
    """[G]."""


def actor_data(
    distribution: Distribution,
    *,
    obs: Tensor,
    action: Tensor,
    mask: Tensor,
    advantage: Tensor,
) -> ActorData:
    """Collect one agent's rows and entries that count, in one run.

    Args:
        distribution: of its actions.
        obs: [N, d].
        action: [N, D].
        mask: [N, D], bool, which of them had an effect.
        advantage: [N], one ratio per slot; or [N, K], one per slot and user, if the D numbers are
            one or several blocks of K.
    """
    rows = mask.any(-1)
    slot_of_row = rows.nonzero().squeeze(-1)
    column, row = mask[rows].mT.nonzero(as_tuple=True)  # by column: outputs are stored that way
    if advantage.dim() == 1:
        group, slot = row, slot_of_row
        group_advantage = advantage[slot]
    else:
        pairs, group = ((column % advantage.shape[1]) * len(obs) + row).unique(return_inverse=True)
        slot = slot_of_row[pairs % len(obs)]
        group_advantage = advantage[slot, pairs // len(obs)]
    return ActorData(
        distribution=distribution,
        obs=obs[rows].contiguous(),
        row=row,
        column=column,
        action=action[rows][row, column],
        group=group,
        slot=slot,
        advantage=group_advantage,
    )


class ActorBatch:
    """One agent's data in R runs side by side, laid out for the update.

    Args:
        runs: the agent's data in each run; entries and groups that a run lacks are padded.
        slots: N.
        output: of the agent's network.
        columns: how the observation begins.
    """

    def __init__(
        self, runs: Sequence[ActorData], slots: int, output: Output, *, columns: Columns = PLAIN
    ) -> None:
        self.distribution, self.output = runs[0].distribution, output
        self.shape = len(runs), slots
        self.rows = Rows.of([run.obs for run in runs], columns)
        self.counts = [len(run.slot) for run in runs]
        """Groups in each run."""
        self.advantage = pad([run.advantage for run in runs])
        """[R, G]."""
        share = [1 / count if count else torch.nan for count in self.counts]
        self.share = self.advantage.new_tensor(share)[:, None]
        """[R, 1], weight of a group in a mean over its run's groups; nan if there is none."""
        device = self.advantage.device
        starts = torch.arange(len(runs), device=device)[:, None]
        self.slot = (pad([run.slot for run in runs]) + starts * slots).flatten()
        """[R·G], int, place of a group's slot in an array [R, N]."""
        groups = self.advantage.shape[1]
        self.group = None
        """[R·E], int, place of an entry's group in an array [R, G]; absent if they are the same."""
        if not all(run.group.equal(torch.arange(len(run.slot), device=device)) for run in runs):
            self.group = (pad([run.group for run in runs]) + starts * groups).flatten()
        self.place = self._places(runs, starts)
        action, self.taken = [run.action for run in runs], None
        """[R, E], 1 where the choice was to act, else 0; absent if there is none."""
        if output.gated:
            self.taken = pad([(x != 0).float() for x in action])
            action = [x.masked_fill(x == 0, 0.5) for x in action]
        if self.distribution == "beta":
            action = [torch.stack([log(x), (-x).log1p()], -1) for x in action]
            self.action = pad(action).mT.contiguous()
        else:
            self.action = pad(action)
        self.valid = None
        """[R, E], 1 for an entry and 0 for padding; absent if there is none."""
        if len({len(run.action) for run in runs}) > 1:
            self.valid = pad([torch.ones_like(run.action, dtype=torch.float) for run in runs])

    def _places(self, runs: Sequence[ActorData], starts: Tensor) -> Tensor | None:
        """[R·P·E], int: where the P outputs of each entry lie in the network's [R, out, n]."""
        count, output = self.rows.shape[1], self.output
        if not output.choices and output.numbers == 1:
            return None
        part = torch.arange(output.parts, device=starts.device)[:, None]
        places = [(output.place(run.column, part) * count + run.row).mT for run in runs]
        return (pad(places).mT + starts[..., None] * (output.size * count)).flatten()

    def terms(self, raw: Tensor) -> Terms:
        """Return the distributions of the entries under a network's output [R, out, n]."""
        if self.place is not None:
            runs, entries = self.action.shape[0], self.action.shape[-1]
            raw = raw.view(-1).index_select(0, self.place).view(runs, self.output.parts, entries)
        inner, (parts, gate) = TERMS[self.distribution], self.output.split(raw.unbind(1))
        if gate is None or self.taken is None:
            return inner(raw, self.action)
        terms = inner(torch.stack([*parts], 1), self.action)
        return GatedTerms(terms, logit=gate, taken=self.taken)

    def log_prob(self, terms: Terms) -> Tensor:
        """Return each group's log-probability, [R, G]."""
        entries = terms.log_prob if self.valid is None else terms.log_prob * self.valid
        if self.group is None:
            return entries
        total = torch.zeros_like(self.advantage).view(-1)
        return total.index_add_(0, self.group, entries.flatten()).view_as(self.advantage)

    def slope(self, terms: Terms, *, weight: Tensor, entropy_coef: float, out: Tensor) -> Tensor:
        """Write the gradient with respect to a network's output; return the mean entropy [R].

        Args:
            terms: of the same output.
            weight: [R, G], gradient of what is to grow with respect to the log-probabilities.
            entropy_coef: ψ, weight of the mean entropy.
            out: [R, out, n], written where there are entries, zero elsewhere; of minus the sum,
                which an optimiser makes small.
        """
        if self.group is not None:
            weight = weight.view(-1).index_select(0, self.group).view(len(weight), -1)
        share = self.share
        if self.valid is not None:
            weight, share = weight * self.valid, share * self.valid
        entropy, slope = terms.slopes(-weight, -entropy_coef * share if entropy_coef else None)
        if self.place is None:
            out.copy_(slope)
        elif self.valid is None:
            out.view(-1).index_copy_(0, self.place, slope.flatten())
        else:  # several entries of padding may have the same place
            out.zero_().view(-1).index_add_(0, self.place, slope.flatten())
        return (entropy * share).sum(1)


def standardise(advantage: Tensor) -> Tensor:
    """Return the advantages with mean 0 and standard deviation 1."""
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
