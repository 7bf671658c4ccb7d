"""What torch would leave to MKL: by other code, whose bits are the same on all processors.

MKL's portable products take three times as long as NumPy's. Its functions of a number begin with a
reciprocal that each maker of processors rounds in his own way. What stands here multiplies, adds,
divides and takes roots, each rounded as IEEE 754 says.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor


def product(left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Return left [R, n, m] times right [R, m, p]: [R, n, p], left in ``out`` if it is given.

    A tape sees it, unless there is ``out``.
    """
    if left.is_cuda:
        return torch.matmul(left, right, out=out)
    if torch.is_grad_enabled() and (left.requires_grad or right.requires_grad):
        return _Taped.apply(left, right)
    if out is None:
        return torch.from_numpy(np.matmul(left.numpy(), right.numpy()))
    np.matmul(left.numpy(), right.numpy(), out=out.numpy())
    return out


def affine(bias: Tensor, left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Return bias + left · right, [R, n, p]; ``out`` may be the bias itself."""
    if left.is_cuda:
        return torch.baddbmm(bias, left, right, out=out)
    if out is bias:
        return out.add_(product(left, right))
    return product(left, right, out=out).add_(bias)


def sqrt(array: Tensor) -> Tensor:
    """Return the square root, elementwise; 0 of 0."""
    return array.rsqrt().reciprocal()


def exp(array: Tensor) -> Tensor:
    """Return e to the power of the array, elementwise."""
    return (array * math.log2(math.e)).exp2()


def log(array: Tensor) -> Tensor:
    """Return the natural logarithm, elementwise."""
    return torch.xlogy(1.0, array)


def tanh_(array: Tensor) -> Tensor:
    """Put the hyperbolic tangent in place of each element."""
    return array.copy_(2 * torch.sigmoid(2 * array) - 1)


class _Taped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return product(left.detach(), right.detach())

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (left, right), (first, second) = ctx.saved_tensors, ctx.needs_input_grad
        return (
            product(slope, right.mT) if first else None,
            product(left.mT, slope) if second else None,
        )
