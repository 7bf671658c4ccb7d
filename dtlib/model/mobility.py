"""Gauss–Markov mobility, eqs. (1)–(4), for whole trajectories at once (NumPy)."""

from itertools import pairwise

import numpy as np


def gauss_markov(
    mean: np.ndarray, *, memory: float, std: float, noise: np.ndarray, initial: np.ndarray
) -> np.ndarray:
    """Return an AR(1) path, eqs. (1) and (2).

    ``v[n] = μ v[n−1] + (1−μ) v̄ + √(1−μ²) Φ`` with ``Φ = std · noise``; the stationary standard
    deviation is then ``std``.

    Args:
        mean: [K], v̄.
        memory: μ in [0, 1]; at 1 the path stays where it begins.
        std: standard deviation of Φ, in the unit of ``mean``.
        noise: [N−1, K], standard normal.
        initial: [K], v[0].

    Returns:
        [N, K], in the unit of ``mean``.
    """
    change = np.sqrt(1 - memory**2) * std * noise.astype(mean.dtype)
    path = np.concatenate([(initial - mean)[None], change])
    for before, now in pairwise(path):  # as SciPy's filter does, a second of import away
        now += memory * before
    return mean + path


def travel(
    start: np.ndarray, *, speed: np.ndarray, heading: np.ndarray, slot_s: float
) -> np.ndarray:
    """Return positions in an unbounded plane, eqs. (3) and (4).

    Args:
        start: [K, 2], m.
        speed: [N, K], m/s.
        heading: [N, K], rad.
        slot_s: δ_t, s.

    Returns:
        [N, K, 2], m.
    """
    step = speed[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1) * slot_s
    return start + np.concatenate([np.zeros_like(step[:1]), np.cumsum(step[:-1], axis=0)])


def fold(position: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Reflect unbounded coordinates into ``[0, width]`` as if the borders were mirrors.

    Args:
        position: any shape, m.
        width: side of the area, m.

    Returns:
        The reflected coordinates, and +1 or −1 by which each velocity component is multiplied.
    """
    phase = np.mod(position, 2 * width)
    return width - np.abs(phase - width), np.where(phase <= width, 1.0, -1.0)


def reflect_heading(heading: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Return the heading after reflections, rad in (−π, π].

    Args:
        heading: [N, K], rad, in the unbounded plane.
        sign: [N, K, 2], from :func:`fold`.
    """
    return np.arctan2(sign[..., 1] * np.sin(heading), sign[..., 0] * np.cos(heading))
