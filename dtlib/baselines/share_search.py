"""The genie's shares: descent to those of least energy, and to some that fit at all."""

from typing import Any

import torch
from torch import Tensor

from dtlib.baselines.slot_problem import Point, Slots, fits, point_at

RELATIVE_GAP = 1e-10
"""Shares are final once what is still to be gained is below this part of the slot's energy."""
DESCENT_ROUNDS, CENTRES = 100, 60
"""Most steps of a descent, and of the method of centres."""
LONGEST, HALVINGS = 20.0, 10
"""log₂ of the largest stretch of deadlines, and how often it is halved to find the least one."""
BACK_INSIDE, LEAST_GAIN = 0.1, 1e-3
"""Where the next centre is, between the least stretch of the last one and its own, and what ends
the search; parts of log₂ of the stretch."""


def optimal_shares(slots: Slots) -> tuple[Tensor, ...]:
    """Return shares of least energy, [S, K] each; where none fit, some that almost do."""
    shares = descend(slots, slots.even())
    hard = ~fits(slots, shares)
    if not hard.any():
        return shares
    subset = slots.pick(hard)
    found = least_doublings(subset)[0]
    for decade in range(7):
        found = descend(subset, found, barrier=10.0**-decade)
    return _put(shares, hard, found)


def descend(
    slots: Slots,
    shares: tuple[Tensor, ...],
    *,
    barrier: float = 0.0,
    stretch: Tensor | None = None,
    rounds: int = DESCENT_ROUNDS,
) -> tuple[Tensor, ...]:
    """Improve shares until nothing is to be gained; those that do not fit stay as they are.

    Args:
        slots: S of them.
        shares: of each resource, [S, K], to start from.
        barrier: see :func:`dtlib.baselines.slot_problem.point_at`.
        stretch: [S, 1], factor on all deadlines; 1 if absent.
    """
    stretch = torch.ones_like(slots.deadline_s[:, :1]) if stretch is None else stretch
    point = point_at(slots, shares, barrier=barrier, stretch=stretch)
    size = torch.ones_like(stretch)
    for done in range(rounds):
        more = (point.gap(slots) > RELATIVE_GAP * point.cost_j) & point.cost_j.isfinite()
        if not more.any():
            break
        if 2 * more.sum() < len(more):  # the rest alone, which is faster
            start = tuple(share[more] for share in point.shares)
            few, left = slots.pick(more), rounds - done
            rest = descend(few, start, barrier=barrier, stretch=stretch[more], rounds=left)
            return _put(point.shares, more, rest)
        trial = point_at(slots, _step(slots, point, size), barrier=barrier, stretch=stretch)
        better = (trial.cost_j < point.cost_j)[:, None]
        size = torch.where(better, (2 * size).clamp_max(1), size / 2)
        point = _choose(better, trial, point)
    return point.shares


def least_doublings(slots: Slots) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return shares for which deadlines must be stretched little, and log₂ of that stretch [S, 1].

    The method of centres (Huard 1967): shares that keep all users away from their limits at one
    stretch allow a smaller one. It ends at 0, or where a centre gains less than a thousandth.
    """
    shares = slots.even()
    doublings = torch.full_like(slots.deadline_s[:, :1], LONGEST)
    doublings[fits(slots, shares)] = 0
    index = doublings[:, 0].nonzero()[:, 0]
    for _ in range(CENTRES):
        if not len(index):
            break
        subset, now = slots.pick(index), doublings[index]
        start = tuple(share[index] for share in shares)
        found = descend(subset, start, barrier=1.0, stretch=2**now, rounds=4)
        shares = _put(shares, index, found)
        least = doublings_for(subset, found, now)
        doublings[index] = torch.where(least > 0, least + BACK_INSIDE * (now - least), 0)
        index = index[((least > 0) & (least < (1 - LEAST_GAIN) * now))[:, 0]]
    return shares, doublings


def doublings_for(
    slots: Slots, shares: tuple[Tensor, ...], most: Tensor | float = LONGEST
) -> Tensor:
    """Return log₂ of the least stretch of deadlines that given shares need: [S, 1], by bisection.

    Args:
        slots: S of them.
        shares: of each resource, [S, K].
        most: log₂ of one that suffices.
    """
    low = torch.zeros_like(slots.deadline_s[:, :1])
    high = torch.where(fits(slots, shares)[:, None], 0.0, most)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fit = fits(slots, shares, 2**middle)[:, None]
        low, high = torch.where(fit, low, middle), torch.where(fit, middle, high)
    return high


def _step(slots: Slots, point: Point, size: Tensor) -> tuple[Tensor, ...]:
    """Move shares towards rents, [S, K] each: for small steps always downhill.

    A user's step is that of Newton's method if only its own delay counted; no delay grows by more
    than a third of the time for the uplink at once.
    """
    slope = 2 + (2 + slots.efficiency(point.uplink_s)) * sum(point.delays) / point.uplink_s
    moved = []
    for resource, rent, share, delay in zip(
        slots.resources, point.rents(slots), point.shares, point.delays, strict=True
    ):
        used = delay > 0
        factor = (rent / torch.where(used, share, 1)) ** (size / slope)
        least = 1 / (1 + point.uplink_s / torch.where(used, 3 * delay, 1))
        moved.append(resource.divide(share * torch.maximum(factor, least)))
    return tuple(moved)


def _choose(mask: Tensor, new: Point, old: Point) -> Point:
    """Slots of the new point where the mask [S, 1] is set, of the old one elsewhere."""

    def pick(a: Any, b: Any) -> Any:
        if isinstance(a, tuple):
            return tuple(map(pick, a, b))
        return torch.where(mask if a.dim() == 2 else mask[:, 0], a, b)

    return Point(**{name: pick(value, vars(old)[name]) for name, value in vars(new).items()})


def _put(
    shares: tuple[Tensor, ...], index: Tensor, found: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Replace the shares of some slots, by their numbers or by a mask [S]."""
    pairs = zip(shares, found, strict=True)
    return tuple(share.index_put((index,), new) for share, new in pairs)
