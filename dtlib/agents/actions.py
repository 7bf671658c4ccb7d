"""From what actors put out to actions: mean and sample in [0, 1], and the powers that they mean."""

from collections.abc import Sequence
from math import log
from typing import assert_never

import torch
from torch import Generator, Tensor

from dtlib.kernels.distributions import (
    beta_parameters,
    gaussian_parameters,
    sample_beta,
    sample_gaussian,
)
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import Head, TrainConfig

TINY = 1e-12
"""Least excess of a Beta parameter over 1, so that a flat density has its mode in the middle."""


def mean_action(
    head: Head,
    raw: Sequence[Tensor],
    *,
    gate: Tensor | None = None,
    bar: float | Tensor = 0.0,
    mode: bool = False,
) -> Tensor:
    """Return mean actions on the scale of [0, 1], or the most likely ones.

    Args:
        head: what the network puts out.
        raw: its outputs for each action: two parameters of a distribution, or the action.
        gate: the logit of acting at all, where that is a choice.
        bar: where the gate is not above it, the result is 0; at 0, that is where not acting is
            likelier.
        mode: take a Beta distribution's mode, (a − 1)/(a + b − 2), which reaches 0 and 1, in place
            of its mean, which does not; others' are the same.
    """
    if gate is not None:
        return mean_action(head, raw, mode=mode).masked_fill(gate <= bar, 0)
    match head:
        case "deterministic":
            return torch.sigmoid(2 * raw[0])
        case "gaussian" | "original-gaussian":
            return gaussian_parameters(*raw, original=head == "original-gaussian")[0]
        case "beta":
            first, second = map(beta_parameters, raw)
            if mode:
                first, second = (first - 1).clamp_min(TINY), (second - 1).clamp_min(TINY)
            return first / (first + second)
    assert_never(head)


def sample(
    head: Head,
    raw: Sequence[Tensor],
    generator: Generator,
    *,
    noise_variance: float,
    gate: Tensor | None = None,
) -> Tensor:
    """Draw actions on the scale of [0, 1]; see :func:`mean_action`.

    Args:
        noise_variance: of the noise on a deterministic action, on the scale of [−1, 1].
        gate: the logit of acting at all, where that is a choice.
    """
    if gate is not None:
        acts = torch.empty_like(gate).uniform_(generator=generator) < torch.sigmoid(gate)
        drawn = sample(head, raw, generator, noise_variance=noise_variance)
        return drawn.masked_fill(~acts, 0)
    match head:
        case "deterministic":
            unit = mean_action(head, raw)
            std = torch.full_like(unit, noise_variance**0.5 / 2)
            return sample_gaussian(unit, std, generator).clamp_(0, 1)
        case "gaussian" | "original-gaussian":
            mean, std = gaussian_parameters(*raw, original=head == "original-gaussian")
            return sample_gaussian(mean, std, generator)
        case "beta":
            first, second = map(beta_parameters, raw)
            return sample_beta(first, second, generator)
    assert_never(head)


def power_watts(
    unit: Tensor, *, distance: Tensor | None, env: EnvConfig, train: TrainConfig
) -> Tensor:
    """Map MUs' actions in [0, 1] to transmit powers in W, on the scale of ``power_action``.

    The level of ``path-loss`` falls by ``power_range_db`` from 1 down to ``silent_below``, beneath
    which is silence; where that is 0, it is logarithmic but near 0, where it reaches silence. Where
    silence is a choice of its own, it is 0, and the level falls from 1 down to 0.

    Args:
        unit: [..., K]; clipped to [0, 1].
        distance: [..., K], m, to the serving base station; only ``path-loss`` needs it.
        env: P_max, path loss and noise.
        train: the scale.

    >>> unit, env = torch.tensor([0.0, 0.5, 1.0]), EnvConfig(max_power_w=0.2)
    >>> power_watts(unit, distance=None, env=env, train=TrainConfig())
    tensor([0.0000, 0.1000, 0.2000])
    """
    silence, unit = unit == 0, unit.clamp(0, 1)
    if train.power_action == "watt":
        return unit * env.max_power_w
    decades = train.power_range_db / 10
    if train.power_action == "decibel":
        return env.max_power_w * 10 ** ((unit - 1) * decades)
    assert distance is not None
    silent = train.silent_below
    if train.chooses_silence:
        level = (10 ** ((unit - 1) * decades)).masked_fill(silence, 0)
    elif silent:
        level = 10 ** ((unit - 1) * (decades / (1 - silent))) * (unit >= silent)
    else:
        level = torch.expm1(unit * (decades * log(10))) / (10**decades - 1)
    top = env.noise_w / env.ref_gain * 10 ** (train.power_top_db / 10)
    # Finite, lest silence is infinity times 0.
    factor = (top * distance**env.path_loss_exponent).clamp_max(torch.finfo(unit.dtype).max)
    return (factor * level).clamp_max(env.max_power_w)
