"""Virtual queue, Lyapunov drift and its bounds, and the drift-plus-penalty term, eqs. (15)–(19)."""

import torch
from torch import Tensor

from dtlib.settings.env import EnvConfig


def virtual_queue(failure: Tensor, threshold: float, *, initial: Tensor | None = None) -> Tensor:
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

    >>> failure = torch.tensor([True, False, False, True]).view(1, 4, 1)
    >>> virtual_queue(failure, threshold=0.75).flatten().tolist()
    [0.0, 0.25, 0.0, 0.0, 0.25]
    """
    threshold = round(threshold * 2**40) / 2**40
    count = failure.cumsum(dim=1, dtype=torch.float64)
    slot = torch.arange(1, failure.shape[1] + 1, device=failure.device, dtype=torch.float64)
    start = torch.zeros_like(count[:, 0]) if initial is None else initial.to(torch.float64)
    walk = count - threshold * slot[:, None] + start[:, None]
    queue = walk - walk.cummin(dim=1).values.clamp_max(0)
    return torch.cat([start[:, None], queue], dim=1)


def frame_start(
    values: Tensor, *, frame_slots: int, first_slot: int = 0, before: Tensor | None = None
) -> Tensor:
    """Hold the value of each frame's first slot over the frame, as (19) does with Y[qT].

    Args:
        values: [R, N, K].
        frame_slots: T.
        first_slot: number of the first of these slots within the episode.
        before: [R, K], what a frame holds that began before them; only absent if none did.

    Returns:
        [R, N, K].
    """
    number = torch.arange(first_slot, first_slot + values.shape[1], device=values.device)
    start = number // frame_slots * frame_slots - first_slot
    held = values[:, start.clamp_min(0)]
    return held if before is None else torch.where((start >= 0)[:, None], held, before[:, None])


def drift(queue: Tensor, frame_slots: int) -> Tensor:
    """Return L(Y[(q+1)T]) − L(Y[qT]), L = ½Y², per frame and user: [R, Q, K] from [R, N+1, K]."""
    return (0.5 * queue[:, ::frame_slots] ** 2).diff(dim=1)


def constant_one(*, request_prob: float, threshold: float) -> float:
    """Return B₁ = (λ + ε²)/2 of Lemma 1, per slot (the appendix has T in it, once too often)."""
    return 0.5 * (request_prob + threshold**2)


def constant_two(*, request_prob: float, threshold: float, frame_slots: int) -> float:
    """Return B₂ = B₁ + (T−1)[(1−ε)λ + ε²]/2 of Lemma 2, per slot."""
    first = constant_one(request_prob=request_prob, threshold=threshold)
    return first + (frame_slots - 1) * ((1 - threshold) * request_prob + threshold**2) / 2


def objective(energy_j: Tensor, *, failure: Tensor, frame_queue: Tensor, env: EnvConfig) -> Tensor:
    """Return each user's part of −r_g, eqs. (19) and (28), so that r_g[n] = −Σ_k of it.

    Args:
        energy_j: [R, N, K], J.
        failure: [R, N, K], bool.
        frame_queue: [R, N, K], Y[qT].
        env: K, ε, η and ν. By ``objective_scale`` the result is ν (E + η Y (X − ε)) / K,
            (ν E + η Y (X − ε)) / K, or ν (E/(QKT) + η Y (X − ε)) as printed.

    Returns:
        [R, N, K], in units of reward.
    """
    users, scale = env.num_users, env.reward_scale
    late = failure.to(energy_j.dtype) - env.failure_threshold
    pressure = env.control_factor * frame_queue * late
    if env.objective_scale == "scaled":
        return (energy_j + pressure) * (scale / users)
    if env.objective_scale == "mean":
        return (scale * energy_j + pressure) / users
    return scale * (energy_j / (env.slots * users) + pressure)
