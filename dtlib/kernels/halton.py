"""Points that fill a square evenly; without SciPy, whose import costs each process a second."""

import numpy as np


def halton(count: int) -> np.ndarray:
    """Return the first points of the sequence of Halton (1960) in bases 2 and 3, without its zero.

    Returns:
        [count, 2], in (0, 1).

    >>> halton(2).round(3).tolist()
    [[0.5, 0.333], [0.25, 0.667]]
    """
    return np.array([[_mirrored(n, base) for base in (2, 3)] for n in range(1, count + 1)])


def centroids(count: int) -> np.ndarray:
    """Return the centroids of equal cells of the unit square, [count, 2].

    By Lloyd's algorithm on a grid, from :func:`halton`'s points.
    """
    ticks = (np.arange(60) + 0.5) / 60
    grid = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    points = halton(count)
    for _ in range(100):
        owner = ((grid[:, None] - points) ** 2).sum(-1).argmin(1)
        points = np.stack([grid[owner == m].mean(0) for m in range(count)])
    return points


def _mirrored(number: int, base: int) -> float:
    """Return a number whose digits are those of another, mirrored at the point."""
    found, part = 0.0, 1 / base
    while number:
        number, digit = divmod(number, base)
        found += digit * part
        part /= base
    return found
