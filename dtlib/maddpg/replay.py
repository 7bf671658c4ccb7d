"""Replay: slots that were played, kept in a ring, from which mini-batches are drawn."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from dtlib.runtime.checkpoint import check_arrays

Shapes = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""Of what is kept of one slot, with its type, by name."""


class Replay:
    """A ring of slots in preallocated arrays: the newest overwrite the oldest.

    Args:
        capacity: how many slots, those of different worlds counted separately.
        fields: what is kept of one.
        worlds: W, how many worlds are played side by side: a slot's successor is W places on.
    """

    def __init__(
        self, capacity: int, *, fields: Shapes, worlds: int, device: torch.device | str = "cpu"
    ) -> None:
        self.capacity, self.worlds, self.position, self.count = capacity, worlds, 0, 0
        self.arrays = {
            name: torch.zeros(capacity, *shape, dtype=dtype, device=device)
            for name, (shape, dtype) in fields.items()
        }
        self.arrays["linked"] = self.linked = torch.zeros(capacity, dtype=torch.bool)
        """[capacity]: whether the place's successor is kept; never, for each world's newest."""

    def append(self, rows: Mapping[str, Tensor], follows: bool) -> None:
        """Add slots, all worlds' first, then all worlds' second, and so on.

        Args:
            rows: arrays [slots, …]; those that the ring has no place for are passed over.
            follows: the first ones are the successors of the newest kept.
        """
        slots = len(rows[next(iter(self.arrays))])
        rows = {**rows, "linked": torch.arange(slots) < slots - self.worlds}
        newest = min(self.worlds, self.count)
        self.linked[torch.arange(self.position - newest, self.position) % self.capacity] = follows
        place = torch.arange(self.position, self.position + slots) % self.capacity
        place = place[-self.capacity :]
        for name, array in self.arrays.items():
            array[place.to(array.device)] = rows[name][-self.capacity :].to(array)
        self.position = (self.position + slots) % self.capacity
        self.count = min(self.count + slots, self.capacity)

    def sample(self, size: int, generator: Generator) -> dict[str, Tensor] | None:
        """Draw slots whose successor is kept, with replacement; nothing if there is none.

        Args:
            size: n.
            generator: on the CPU.

        Returns:
            Arrays [2n, …] of n slots, then in the same order their successors.
        """
        linked = self.linked.nonzero().squeeze(-1)
        if not len(linked):
            return None
        first = linked[torch.randint(len(linked), (size,), generator=generator)]
        place = torch.cat([first, (first + self.worlds) % self.capacity])
        return {name: array[place.to(array.device)] for name, array in self.arrays.items()}

    def state(self) -> dict[str, Tensor]:
        """Return the places in use, and which is written next, by name."""
        used = {name: array[: self.count] for name, array in self.arrays.items()}
        return used | {"next": torch.tensor(self.position)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state` returned.

        Raises:
            ValueError: it does not fit; nothing is changed then.
        """
        count = min(state.get("linked", self.linked[:0]).numel(), self.capacity)
        used = {name: array[:count] for name, array in self.arrays.items()}
        check_arrays(used | {"next": torch.tensor(0)}, state)
        place = int(state["next"])
        if place != count % self.capacity and not (count == self.capacity and 0 <= place < count):
            raise ValueError(f"array 'next' is {place}: not where {count} slots end")
        self.count, self.position = count, place
        for name, array in used.items():
            array.copy_(state[name])
        self.linked[count:] = False
