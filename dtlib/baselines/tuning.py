"""How reference policies are tuned: the least energy for which (14b) holds, or other aims."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dtlib.baselines.rules import Reference
from dtlib.model.simulator import simulate
from dtlib.model.world import World

LEVELS: tuple[float, ...] = tuple(10 ** (db / 10) for db in range(-50, 31, 2))
"""Where :func:`tune` looks first: −50 to 30 dB, linear."""
TOLERANCE = 1.01
"""Ratio within which tuned parameters are found: 1 %, or 0.04 dB."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a reference policy achieves over all slots of all given worlds."""

    policy: Reference
    energy_j: float
    """Mean energy per user and slot, J."""
    failure_ratio: Tensor
    """[K], each user's failures per slot, as (14b) counts them."""
    failed_requests: float
    """Failures per request of all users."""

    @property
    def worst_user(self) -> float:
        """Largest failure ratio of a user."""
        return self.failure_ratio.max().item()

    @property
    def holds(self) -> bool:
        """Whether (14b) holds for every user."""
        return self.worst_user <= self.policy.env.failure_threshold


def measure(policy: Reference, world: World) -> Result:
    """Return a policy's energy and failures; each replica is a whole episode, played by itself."""
    energy, asked = 0.0, 0.0
    failed = world.request.new_zeros(world.request.shape[-1], dtype=torch.int64)
    for replica in range(world.replicas):
        episode = world.replica(replica)  # its arrays stay in the cache: faster than all at once
        outcome = simulate(episode, policy.act(episode), policy.env)
        energy += outcome.energy_per_slot_j.mean().item() / world.replicas
        failed += outcome.failure.sum((0, 1))
        asked += outcome.request.sum().item()
    ratio = failed.double() / (world.replicas * world.slots)
    return Result(
        policy=policy,
        energy_j=energy,
        failure_ratio=ratio,
        failed_requests=failed.sum().item() / max(asked, 1),
    )


def tune(
    family: Callable[..., Reference], world: World, cutoffs: tuple[float, float] | None = None
) -> Result:
    """Return the policy of least energy for which (14b) holds, by its level of power and cut-off.

    Where failed transmissions cost energy too, more power for all costs every user more: the least
    level that holds is the best. Failures need not fall with the level for ever (users at P_max
    drown in the others' interference), so the least one is searched upwards, then bisected.

    Silence saves energy and interference, and (14b) permits some. For each level, from the one that
    holds without silence in steps of 0.5 dB to the last of ``LEVELS``, the least cut-off that holds
    is bisected, until energy is a tenth above its minimum, or no cut-off holds.

    Args:
        family: gives a policy for a level, as ``lambda level: Reference(env, Inversion(level))``,
            and for a level and a cut-off if there are cut-offs.
        world: worlds to tune on, never those that results are reported of.
        cutoffs: the least and the largest cut-off to consider; nobody is silent if absent.

    Returns:
        The result on these worlds. Where no level holds, that of the least worst user.
    """

    def at(*parameters: float) -> Result:
        return measure(family(*parameters), world)

    level, best = _least_level(at)
    if cutoffs is None:
        return best
    result = best
    while result.holds and 0 < result.energy_j <= 1.1 * best.energy_j and level <= LEVELS[-1]:
        result = _bisect(partial(at, level), *cutoffs)[1]
        best = result if result.holds and result.energy_j < best.energy_j else best
        level *= 10**0.05
    return best


def tune_failures(
    family: Callable[[float], Reference], world: World, levels: Sequence[float]
) -> Result:
    """Return the policy under which fewest requests fail, by its level of power.

    Of levels that are within a fifth of a point of the best, the least is taken.

    Args:
        family: see :func:`tune`.
        levels: ascending.
    """
    found = [measure(family(level), world) for level in levels]
    best = min(result.failed_requests for result in found)
    return next(result for result in found if result.failed_requests <= best + 0.002)


def _least_level(at: Callable[[float], Result]) -> tuple[float, Result]:
    tried = []
    for number, level in enumerate(LEVELS):
        tried.append(at(level))
        if tried[-1].holds:
            return _bisect(at, LEVELS[number - 1], level) if number else (level, tried[0])
    return min(zip(LEVELS, tried, strict=True), key=lambda pair: pair[1].worst_user)


def _bisect(at: Callable[[float], Result], low: float, high: float) -> tuple[float, Result]:
    """Return the least value that holds, at most ``high``, and what is measured there."""
    best = at(high)
    while best.holds and high / low > TOLERANCE:
        middle = (low * high) ** 0.5
        result = at(middle)
        if result.holds:
            high, best = middle, result
        else:
            low = middle
    return high, best
