"""What a network puts out for the numbers that an agent chooses, and where in its output."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """D numbers with P outputs each.

    Parameters of distributions lie apart: the first of all numbers, then the second. The scores of
    a number's choices lie together.
    """

    numbers: int
    """D."""
    parts: int
    """P, parameters of each number's distribution and the gate, or choices."""
    choices: bool = False
    gated: bool = False
    """The last part is the logit of acting at all."""

    @property
    def size(self) -> int:
        """Length of the output, D·P."""
        return self.numbers * self.parts

    def place(self, number: Tensor, part: int | Tensor) -> Tensor:
        """Return where a part of a number lies in the output."""
        return number * self.parts + part if self.choices else number + part * self.numbers

    def split(self, parts: Sequence[Tensor]) -> tuple[Sequence[Tensor], Tensor | None]:
        """Return the parts without the gate, and the gate if there is one."""
        return (parts[:-1], parts[-1]) if self.gated else (parts, None)
