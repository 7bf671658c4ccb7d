"""Stacked multi-layer perceptrons and their gradients, without a tape.

Training here is thousands of steps of small networks on the same rows, so both passes are written
out: the products run on arrays that stay in the cache, columns of the input that seldom change are
multiplied once for each of their values, and nothing is recorded that is not needed.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Generator, Tensor
from torch.nn import init

from dtlib.kernels.first_layer import Rows
from dtlib.kernels.portable import affine, product, tanh_
from dtlib.runtime.devices import torch_threads

_relu_backward = torch.ops.aten.threshold_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


@dataclass
class Trace:
    """What a forward pass leaves for the backward pass; its arrays are written again and again."""

    rows: Rows
    hidden: list[Tensor]
    """Activations of each hidden layer, [R, n, width]."""
    raw: Tensor
    """[R, out, n], the output: one contiguous series per number."""


class MLPStack:
    """Several perceptrons of one shape, stored in one array.

    Args:
        count: A, number of networks.
        sizes: widths from input to output.
        activation: ``"relu"`` or ``"tanh"``.
        output_gain: gain of the orthogonal initial output layer; hidden layers have √2.
        generator: of the initial weights.
        blind: outputs that depend on no input: only their biases learn.
    """

    def __init__(
        self,
        count: int,
        sizes: Sequence[int],
        *,
        activation: str = "relu",
        output_gain: float = 1.0,
        generator: Generator | None = None,
        blind: slice = slice(0),
    ) -> None:
        self.sizes, self.activation, self.blind = tuple(sizes), activation, blind
        self.activate = {"relu": torch.relu_, "tanh": tanh_}[activation]
        """In place, elementwise."""
        self._bind(torch.zeros(count, sum((a + 1) * b for a, b in pairwise(sizes))))
        with torch_threads(1):  # with more, a factorisation has other bits
            for layer, weight in enumerate(self.weights):
                gain = output_gain if layer == len(self.weights) - 1 else 2**0.5
                for matrix in weight:
                    init.orthogonal_(matrix, gain, generator=generator)
        self._keep_blind(self.weights)

    def _keep_blind(self, weights: Sequence[Tensor]) -> None:
        """Let ``blind`` outputs take nothing from below: of weights, or of gradients."""
        weights[-1][:, :, self.blind] = 0

    def _bind(self, flat: Tensor) -> None:
        """Make ``flat`` [A, parameters] the storage."""
        self.flat, self.count = flat, len(flat)
        self.weights, self.biases = self.split(flat)
        self._scratch = [flat.new_empty(0) for _ in self.sizes]

    def split(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return weights [A, in, out] and biases [A, 1, out] by layer: views of [A, parameters].

        Rows of the first layer's weights are contiguous, to be looked up; columns of the others.
        """
        pairs = list(pairwise(self.sizes))
        shapes = [pairs[0], *((b, a) for a, b in pairs[1:]), *((1, b) for _, b in pairs)]
        pieces = flat.split([prod(shape) for shape in shapes], dim=1)
        first, *rest = (
            piece.view(len(flat), *shape) for piece, shape in zip(pieces, shapes, strict=True)
        )
        hidden = len(pairs) - 1
        return [first, *(matrix.mT for matrix in rest[:hidden])], rest[hidden:]

    @staticmethod
    def join(stacks: "Sequence[MLPStack]") -> "MLPStack":
        """Return all networks of R equal stacks, one agent after another, with its R runs together.

        The given stacks become views of the new one: what is trained there is seen here.
        """
        if len(stacks) == 1:
            return stacks[0]
        whole = copy(stacks[0])
        whole._bind(torch.stack([stack.flat for stack in stacks], dim=1).flatten(0, 1))
        for run, stack in enumerate(stacks):
            stack._bind(whole.flat[run :: len(stacks)])
        return whole

    def to(self, device: torch.device | str) -> None:
        """Move the storage."""
        self._bind(self.flat.to(device))

    def __call__(
        self, inputs: Tensor, flat: Tensor | None = None, which: slice = slice(None)
    ) -> Tensor:
        """Run every network, or some, on its own rows: [A, n, in] → [A, n, out].

        With other parameters than the stack's if ``flat`` [A, parameters] is given; a tape sees it.
        """
        weights, biases = (self.weights, self.biases) if flat is None else self.split(flat)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            inputs = self.activate(affine(bias[which], inputs, weight[which]))
        return affine(biases[-1][which], inputs, weights[-1][which])

    def single(self, index: int, inputs: Tensor) -> Tensor:
        """Run one network: [n, in] → [n, out]."""
        return self(inputs.unsqueeze(0), which=slice(index, index + 1))[0]

    def trace(self, rows: Rows) -> Trace:
        """Return an unwritten trace for ``rows``."""
        runs, count = rows.shape
        hidden = [rows.fast.new_empty(runs, count, width) for width in self.sizes[1:-1]]
        return Trace(rows, hidden, rows.fast.new_empty(runs, self.sizes[-1], count))

    def forward(self, which: slice, trace: Trace) -> Tensor:
        """Run R neighbouring networks on the rows of ``trace``, each on its own run's.

        Returns:
            [R, out, n], also left in ``trace`` for :meth:`backward`.
        """
        weight, bias = self.weights[0][which], self.biases[0][which]
        if not trace.hidden:
            return trace.raw.copy_(trace.rows.forward(weight, bias).mT)
        inputs = self.activate(trace.rows.forward(weight, bias, out=trace.hidden[0]))
        trace.hidden[0] = inputs
        for layer, hidden in enumerate(trace.hidden[1:], start=1):
            weight, bias = self.weights[layer][which], self.biases[layer][which]
            inputs = self.activate(affine(bias, inputs, weight, out=hidden))
        weight, bias = self.weights[-1][which], self.biases[-1][which]
        return affine(bias.mT, weight.mT, inputs.mT, out=trace.raw)

    def backward(
        self,
        which: slice,
        trace: Trace,
        *,
        slope: Tensor,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
    ) -> None:
        """Write the gradient with respect to the parameters of R neighbouring networks.

        Args:
            which: the networks that :meth:`forward` ran.
            trace: its trace; read only.
            slope: [R, out, n], gradient with respect to the output.
            weights: gradients [R, in, out] by layer, written: see :meth:`split`.
            biases: gradients [R, 1, out] by layer, written.
        """
        back = slope.mT
        for layer in range(len(weights) - 1, 0, -1):
            below = trace.hidden[layer - 1]
            product(back.mT, below, out=weights[layer].mT)
            torch.sum(back.mT, 2, keepdim=True, out=biases[layer].mT)
            room = self._room(layer, below.shape)
            product(back, self.weights[layer][which].mT, out=room)
            back = self.chain(room, below)
        trace.rows.gradient(back, weight=weights[0], bias=biases[0])
        self._keep_blind(weights)

    def chain(self, slope: Tensor, below: Tensor) -> Tensor:
        """Turn a slope along activations ``below`` into one along their arguments, in place."""
        if self.activation == "relu":
            return _relu_backward(slope, below, 0, grad_input=slope)
        return _tanh_backward(slope, below, grad_input=slope)

    def _room(self, layer: int, shape: Sequence[int]) -> Tensor:
        """Return an array to write into; the next call for the layer returns the same memory."""
        size = prod(shape)
        if self._scratch[layer].numel() < size:
            self._scratch[layer] = self.flat.new_empty(size)
        return self._scratch[layer][:size].view(*shape)

    def parameters(self, index: int) -> list[Tensor]:
        """Return one network's weights [in, out] and biases [1, out]: views of the stack."""
        return [array[index] for array in self.weights + self.biases]

    def state(self) -> dict[str, Tensor]:
        """Return the stacked arrays by name."""
        kinds = {"weight": self.weights, "bias": self.biases}
        return {f"{kind}{i}": array for kind in kinds for i, array in enumerate(kinds[kind])}
