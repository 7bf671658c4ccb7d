"""A first layer that multiplies less: repeated columns once, flags looked up, the rest as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from dtlib.kernels.portable import affine, product


class Columns(NamedTuple):
    """How an observation's columns begin: what need not be multiplied row by row."""

    slow: int = 0
    """Columns that seldom change from one slot to the next."""
    flags: int = 0
    """Columns behind them that are 1 in few rows and else 0."""


PLAIN = Columns()


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """A sparse matrix of ones, rows by entries of a table, listed by row and by entry."""

    entry: Tensor
    """[Z], int, the entries that each row adds up, one row after another."""
    entry_start: Tensor
    """[rows], int, where a row's entries begin."""
    row: Tensor
    """[Z], int, the rows that each entry is added to, one entry after another."""
    row_start: Tensor
    """[entries], int, where an entry's rows begin."""

    @classmethod
    def of(cls, *, row: Tensor, entry: Tensor, rows: int, entries: int) -> Self:
        """Return the lists for ones at (row, entry), both [Z]."""

        def start(sorted_by: Tensor, count: int) -> Tensor:
            return torch.searchsorted(sorted_by, torch.arange(count, device=row.device))

        by_row, by_entry = row.argsort(stable=True), entry.argsort(stable=True)
        return cls(
            entry=entry[by_row],
            entry_start=start(row[by_row], rows),
            row=row[by_entry],
            row_start=start(entry[by_entry], entries),
        )

    def gather(self, table: Tensor) -> Tensor:
        """Return the sum of each row's entries: [rows, width] from [entries, width]."""
        return embedding_bag(self.entry, table, self.entry_start, mode="sum")

    def scatter(self, values: Tensor) -> Tensor:
        """Return the sum of each entry's rows: [entries, width] from [rows, width]."""
        return embedding_bag(self.row, values, self.row_start, mode="sum")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Inputs of one agent in R runs, split by what they cost.

    The first s columns take only U values in turn; they are multiplied once for each. The next F
    are zeros and few ones; a row of weights is looked up for each one.
    """

    slow: Tensor
    """[R, U, s]."""
    flags: int = 0
    """F."""
    lookups: Lookups | None = None
    """Of each of the R·n rows in R tables: F rows of weights, then U products. Absent if U is 1
    and F is 0."""
    fast: Tensor
    """[R, n, f], the other columns."""

    @classmethod
    def of(cls, runs: Sequence[Tensor], columns: Columns = PLAIN) -> Self:
        """Split observations, one array [n, s + F + f] per run, shorter ones padded with zeros.

        Args:
            runs: R arrays, rows in order of time.
            columns: s and F; neither changes the result, nor what a wrong guess would cost.
        """
        slow, flags = columns
        turns = [_turns(obs[:, :slow]) for obs in runs]
        most = max(len(values) for values, _ in turns)
        if 4 * most >= max(len(obs) for obs in runs):
            slow, most = 0, 1
            turns = [_turns(obs[:, :0]) for obs in runs]
        ones = [obs[:, slow : slow + flags] for obs in runs]
        if slow < columns.slow or not all(((flag == 0) | (flag == 1)).all() for flag in ones):
            flags = 0
        fast = pad([obs[:, slow + flags :] for obs in runs])
        values = pad([values for values, _ in turns])
        if not flags and most == 1:
            return cls(slow=values, fast=fast)
        rows, entries, table = [], [], flags + most
        for run, (_, turn) in enumerate(turns):
            row, flag = ones[run][:, :flags].nonzero(as_tuple=True)
            own = torch.arange(len(turn), device=row.device)
            rows += [row + run * fast.shape[1], own + run * fast.shape[1]]
            entries += [flag + run * table, turn + flags + run * table]
        lookups = Lookups.of(
            row=torch.cat(rows),
            entry=torch.cat(entries),
            rows=len(runs) * fast.shape[1],
            entries=len(runs) * table,
        )
        return cls(slow=values, flags=flags, lookups=lookups, fast=fast)

    @property
    def shape(self) -> tuple[int, int]:
        """R and n."""
        return self.fast.shape[0], self.fast.shape[1]

    def forward(self, weight: Tensor, bias: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return a first layer's output, [R, n, out]; a new array, or ``out`` if that is faster.

        Args:
            weight: [R, in, out].
            bias: [R, 1, out].
            out: [R, n, out].
        """
        slow, flags = self.slow.shape[-1], self.flags
        if slow:
            bias = affine(bias, self.slow, weight[:, :slow])
        if self.lookups is not None:
            table = torch.cat([weight[:, slow : slow + flags], bias], dim=1)
            out = bias = self.lookups.gather(table.flatten(0, 1)).view(*self.shape, table.shape[-1])
        return affine(bias, self.fast, weight[:, slow + flags :], out=out)

    def gradient(self, back: Tensor, *, weight: Tensor, bias: Tensor) -> None:
        """Write the gradient with respect to a first layer.

        Args:
            back: [R, n, out], gradient with respect to the layer's output.
            weight: [R, in, out], written.
            bias: [R, 1, out], written.
        """
        slow, flags = self.slow.shape[-1], self.flags
        if self.lookups is None:
            by_turn = torch.sum(back, 1, keepdim=True)
        else:
            by_entry = self.lookups.scatter(back.flatten(0, 1)).unflatten(0, (len(back), -1))
            weight[:, slow : slow + flags] = by_entry[:, :flags]
            by_turn = by_entry[:, flags:]
        torch.sum(by_turn, 1, keepdim=True, out=bias)
        if slow:
            weight[:, :slow] = product(self.slow.mT, by_turn)
        weight[:, slow + flags :] = product(self.fast.mT, back)


def _turns(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct consecutive rows of ``values`` and, for each row, which of them it is."""
    new = torch.ones(len(values), dtype=torch.bool, device=values.device)
    new[1:] = (values[1:] != values[:-1]).any(-1)  # never, if there are no columns
    return values[new], new.cumsum(0) - 1


def pad(parts: Sequence[Tensor]) -> Tensor:
    """Stack arrays of different length [n, …] into [R, max n, …]; zeros where one has ended."""
    if len(parts) == 1:
        return parts[0].unsqueeze(0).contiguous()
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
