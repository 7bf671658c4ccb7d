"""Virtual queue, Lyapunov drift and its bounds, and the drift-plus-penalty term, eqs. (15)–(19)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def virtual_queue(failure: Tensor, threshold: float, initial: Tensor | None = None) -> Tensor:
    """Return the queue Y of eq. (15), Y[n+1] = [Y[n] + X[n] − ε]⁺, for all slots at once.

    This is Lindley's recursion: with W[n] = Y[0] + Σ_{j<n} (X[j] − ε), the queue is W minus its
    running minimum, the latter taken to be at most zero. ε is rounded to a multiple of 2⁻⁴⁰, which
    makes every sum here exact up to 2¹³: an episode cut into pieces gives the same bits.

    Args:
        failure: [R, N, K], bool.
        threshold: ε.
        initial: [R, K], Y[0]; zero if absent.

    Returns:
        [R, N+1, K], float64.
    """
    threshold = round(threshold * 2**40) / 2**40
    count = failure.cumsum(dim=1, dtype=torch.float64)
    slot = torch.arange(1, failure.shape[1] + 1, device=failure.device, dtype=torch.float64)
    walk = count - threshold * slot[:, None]
    start = torch.zeros_like(walk[:, 0]) if initial is None else initial.to(torch.float64)
    walk = walk + start[:, None]
    queue = walk - walk.cummin(dim=1).values.clamp_max(0)
    return torch.cat([start[:, None], queue], dim=1)


def frame_start(values: Tensor, frame_slots: int, first_slot: int = 0) -> Tensor:
    """Hold the value of each frame's first slot over the frame.

    Args:
        values: [R, N, K] with slot 0 a frame's first unless ``first_slot`` says otherwise.
        frame_slots: T.
        first_slot: number of slot 0 within the episode; its frame must begin in ``values``.

    Returns:
        [R, N, K].
    """
    slot = torch.arange(values.shape[1], device=values.device) + first_slot
    return values[:, slot // frame_slots * frame_slots - first_slot]


def drift(queue: Tensor, frame_slots: int) -> Tensor:
    """Return L(Y[(q+1)T]) − L(Y[qT]), L = ½Y², per frame and user: [R, Q, K] from [R, N+1, K]."""
    lyapunov = 0.5 * queue[:, ::frame_slots] ** 2
    return lyapunov[:, 1:] - lyapunov[:, :-1]


def constant_one(request_prob: float, threshold: float) -> float:
    """Return B₁ = (λ + ε²)/2 of Lemma 1, per slot (the appendix has T in it, once too often)."""
    return 0.5 * (request_prob + threshold**2)


def constant_two(request_prob: float, threshold: float, frame_slots: int) -> float:
    """Return B₂ = B₁ + (T−1)[(1−ε)λ + ε²]/2 of Lemma 2, per slot."""
    growth = (1 - threshold) * request_prob + threshold**2
    return constant_one(request_prob, threshold) + (frame_slots - 1) * growth / 2


def objective(
    energy_j: Tensor,
    failure: Tensor,
    frame_queue: Tensor,
    threshold: float,
    control_factor: float,
    slots: int,
    reward_scale: float,
    scale: Literal["scaled", "mean", "letter"],
) -> Tensor:
    """Return each user's part of −r_g, eqs. (19) and (28), so that r_g[n] = −Σ_k of it.

    Args:
        energy_j: [R, N, K], J.
        failure: [R, N, K], bool.
        frame_queue: [R, N, K], Y[qT].
        threshold: ε.
        control_factor: η.
        slots: Q·T.
        reward_scale: ν.
        scale: ``"scaled"`` is ν (E + η Y (X − ε)) / K, ``"mean"`` is (ν E + η Y (X − ε)) / K,
            ``"letter"`` is ν (E/(QKT) + η Y (X − ε)).

    Returns:
        [R, N, K], in units of reward.
    """
    users = energy_j.shape[-1]
    pressure = control_factor * frame_queue * (failure.to(energy_j.dtype) - threshold)
    if scale == "scaled":
        return (energy_j + pressure) * (reward_scale / users)
    if scale == "mean":
        return (reward_scale * energy_j + pressure) / users
    return reward_scale * (energy_j / (slots * users) + pressure)
