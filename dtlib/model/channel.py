"""Radio channel: Rician gain, SINR and rate, eqs. (5)–(8)."""

import math
from typing import Any

import torch
from torch import Tensor

from dtlib.settings.env import Interference


def mean_gain(distance: Any, *, ref_gain: Any, exponent: Any) -> Any:
    """Return the mean power gain ρ₀ d^−φ of (5) at distances in m: numbers, arrays, expressions."""
    return ref_gain * distance**-exponent


def rician_gain(
    distance: Any, *, scatter: Any, ref_gain: float, exponent: float, rician_factor: float
) -> Any:
    """Return the channel power gain |h|², eq. (5), with a line-of-sight component of 1.

    Args:
        distance: [...], m; NumPy or torch.
        scatter: [..., 2], real and imaginary part of ĥ, each normal with variance 1/2.
        ref_gain: ρ₀, linear.
        exponent: φ.
        rician_factor: κ, linear.

    Returns:
        [...], linear; its mean is ρ₀ d^−φ.
    """
    direct, diffuse = ((part / (rician_factor + 1)) ** 0.5 for part in (rician_factor, 1))
    fading = (direct + diffuse * scatter[..., 0]) ** 2 + (diffuse * scatter[..., 1]) ** 2
    return mean_gain(distance, ref_gain=ref_gain, exponent=exponent) * fading


def own_gain(gain: Tensor, association: Tensor) -> Tensor:
    """Return each user's gain to the base station that serves it, [..., K] from [..., K, M]."""
    return gain.gather(-1, association.unsqueeze(-1)).squeeze(-1)


def heard(
    power: Tensor, *, gain: Tensor, association: Tensor, interference: Interference
) -> tuple[Tensor, Tensor]:
    """Return what each user's base station receives from it, and what else, the sum of (7).

    Args:
        power: [..., K], W; zero for users that are silent.
        gain: [..., K, M], linear.
        association: [..., K], int.
        interference: whose gain an interferer counts with; see :class:`.EnvConfig`.

    Returns:
        Signal [..., K] in W; the rest [..., K] in W, float64, slightly negative where rounding is.
    """
    signal = power * own_gain(gain, association)
    if interference == "receiver":
        received = (power.unsqueeze(-1) * gain).sum(-2, dtype=torch.float64)
        total = received.gather(-1, association)
    else:
        total = signal.sum(-1, keepdim=True, dtype=torch.float64)
    return signal, total - signal


def sinr(
    power: Tensor,
    *,
    gain: Tensor,
    association: Tensor,
    noise_w: float,
    interference: Interference = "receiver",
) -> Tensor:
    """Return the SINR at each user's base station, eq. (7): [..., K], linear.

    ``noise_w`` is σ² in W; for the others, see :func:`heard`.
    """
    signal, others = heard(power, gain=gain, association=association, interference=interference)
    return signal / (others.clamp_min(0) + noise_w).to(signal.dtype)


def rate(sinr: Tensor, bandwidth_hz: float) -> Tensor:
    """Return the uplink rate, eq. (8): [..., K] in bit/s from the SINR [..., K], linear.

    >>> rate(torch.tensor([0.0, 1.0, 3.0]), bandwidth_hz=10e6)
    tensor([       0., 10000000., 20000000.])
    """
    return bandwidth_hz * torch.log1p(sinr) / math.log(2)


def needed_sinr(bits: Tensor, *, seconds: Tensor, bandwidth_hz: float) -> Tensor:
    """Return the SINR that sends ``bits`` in ``seconds``, 2^(D/(Bu)) − 1 by (8): [...], linear.

    It is infinite where no time is left; ``seconds`` may be negative.
    """
    needed = torch.expm1(math.log(2) / bandwidth_hz * bits / seconds)
    return torch.where(seconds > 0, needed, torch.inf)
