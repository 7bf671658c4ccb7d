"""Tensors of the documented type, shape and range."""

from typing import Any

import torch
from torch import Tensor


def check_tensor(
    name: str, value: Any, *, shape: tuple[int, ...], most: float, whole: bool
) -> None:
    """Raise ``ValueError``, one line, unless a value is a tensor with numbers from 0 to ``most``.

    Args:
        name: of the value, in the line.
        whole: whether it is of int64, and not of float32 or float64.

    >>> check_tensor("power", torch.tensor([2.0]), shape=(1,), most=0.5, whole=False)
    Traceback (most recent call last):
    ValueError: power = 2.0: must be in [0, 0.5]
    """
    kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
    if kind != torch.int64 if whole else kind not in (torch.float32, torch.float64):
        allowed = "int64" if whole else "float32 or float64"
        raise ValueError(f"{name}: must be a tensor of {allowed}, not {kind}")
    if tuple(value.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}: must be {shape}")
    if not value.numel():
        raise ValueError(f"{name} has shape {shape}: holds no number")
    low, high = value.aminmax()  # nan if any is
    if not (low >= 0 and high <= most):
        bad = value[~((value >= 0) & (value <= most))].flatten()[0].item()
        raise ValueError(f"{name} = {bad}: must be in [0, {most}]")
