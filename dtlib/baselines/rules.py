"""Reference policies: they learn nothing; their one or two parameters are tuned.

A user knows the network's settings and what it observes by (20), its own position and request:
never the fading, nor what the others do. So the channel is inverted on average only, unlike in
Goldsmith and Varaiya (1997), whose truncated inversion this is otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Generator, Tensor

from dtlib.model.channel import own_gain, sinr
from dtlib.model.simulator import Actions, Carry, deploy, edge, initial_carry, simulate
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig

Shares = Literal["equal", "demand"]
LEVELS: tuple[float, ...] = tuple(10 ** (db / 10) for db in range(-50, 31, 2))
"""Where :func:`tune` looks first: −50 to 30 dB, linear."""
TOLERANCE = 1.01
"""Ratio within which tuned parameters are found: 1 %, or 0.04 dB."""


def own_distance(world: World) -> Tensor:
    """Return each user's distance to the base station that serves it: [R, N, K], m."""
    return world.distance.gather(-1, world.association.unsqueeze(-1)).squeeze(-1)


def power_to_arrive(level: Tensor | float, world: World, env: EnvConfig) -> Tensor:
    """Return the power that arrives ``level`` times as strong as the noise, by (5) and (6).

    Args:
        level: [R, N, K] or a number, linear; the mean over fading is meant.
        world: gives the distances.
        env: gives σ², ρ₀ and φ.

    Returns:
        [R, N, K], W; may exceed P_max.
    """
    return level * env.noise_w * own_distance(world) ** env.path_loss_exponent / env.ref_gain


def demanded_sinr(world: World, env: EnvConfig) -> Tensor:
    """Return the SINR with which a request is just in time, as far as its user can tell.

    With n − 1 = λ (K − 1) / M others expected at its server, shared equally, and its twin at the
    serving base station, u = τ − n D C / f_max is left of the deadline. D bits in u s need
    2^(D / (B u)) − 1 by (8). Where each user owns a part of the CPU, n is the number of owners.

    Returns:
        [R, N, K], linear; infinite where nothing is left.
    """
    sharing = {
        "slices": env.num_users,
        "hosted": 1 + (env.num_users - 1) / env.num_bs,
        "served": 1 + env.request_prob * (env.num_users - 1) / env.num_bs,
    }[env.cpu_sharing]
    left = world.deadline_s - world.data_bits * world.cycles_per_bit * (sharing / env.cpu_hz)
    return needed_sinr(world.data_bits, left, env)


def needed_sinr(bits: Tensor, left_s: Tensor, env: EnvConfig) -> Tensor:
    """Return the SINR that sends ``bits`` in ``left_s``, by (8); infinite where nothing is left."""
    needed = torch.expm1(math.log(2) / env.bandwidth_hz * bits / left_s)
    return torch.where(left_s > 0, needed, torch.inf)


class Power(Protocol):
    """A rule by which users choose their power."""

    def __call__(self, world: World, env: EnvConfig, draw: Tensor) -> Tensor:
        """Return powers in [0, P_max], W, given numbers drawn from [0, 1): each [R, N, K]."""


@dataclass(frozen=True)
class RandomPower:
    """Uniform in (0, P_max], anew in each slot."""

    def __call__(self, world: World, env: EnvConfig, draw: Tensor) -> Tensor:
        """See :class:`Power`."""
        return env.max_power_w * (1 - draw).to(world.gain.dtype)


@dataclass(frozen=True)
class EqualPower:
    """The same power for every request."""

    watts: float
    """W; at most P_max is used."""

    def __call__(self, world: World, env: EnvConfig, draw: Tensor) -> Tensor:
        """See :class:`Power`."""
        return torch.full_like(world.deadline_s, min(self.watts, env.max_power_w))


@dataclass(frozen=True)
class Inversion:
    """Channel inversion: all arrive equally strong, or stay silent beyond a distance."""

    target: float
    """Received power over the noise, linear."""
    cutoff_m: float = math.inf
    """Largest distance from which a user sends, m."""

    def __call__(self, world: World, env: EnvConfig, draw: Tensor) -> Tensor:
        """See :class:`Power`."""
        power = power_to_arrive(self.target, world, env).clamp_max(env.max_power_w)
        return torch.where(own_distance(world) <= self.cutoff_m, power, 0)


@dataclass(frozen=True)
class DemandInversion:
    """Channel inversion that arrives as strongly as the request needs, or stays silent."""

    margin: float
    """Received power over the noise, in multiples of :func:`demanded_sinr`, linear."""
    cutoff_w: Tensor | float = math.inf
    """Users send if this power suffices, W; what they use is at most P_max."""

    def __call__(self, world: World, env: EnvConfig, draw: Tensor) -> Tensor:
        """See :class:`Power`."""
        needed = power_to_arrive(self.margin * demanded_sinr(world, env), world, env)
        return torch.where(needed <= self.cutoff_w, needed.clamp_max(env.max_power_w), 0)


@dataclass(frozen=True)
class Reference:
    """A policy that learns nothing; it acts like :class:`dtlib.agents.policies.Policies`."""

    env: EnvConfig
    power: Power
    deployment: Literal["nearest", "never", "random"] = "nearest"
    """The twin follows its user from frame to frame, stays where it is, or moves at random."""
    shares: Shares = "equal"
    """CPU and links are divided equally, or in proportion to cycles D C and bits D."""
    seed: int = 0
    """Of what is random, where no generators are given."""

    def act(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        carry: Carry | None = None,
        env: EnvConfig | None = None,
    ) -> Actions:
        """Return the actions in every slot of ``world``.

        Args:
            world: leading axes [R, N].
            generators: one per replica, for what is random. Without them ``seed`` decides, and a
                slot's draws are the same in every replica: they depend on its number alone.
            carry: the state before the first slot; the start of an episode if absent.
            env: the network that ``world`` is of, if it is another than the policy's.
        """
        env = self.env if env is None else env
        carry = initial_carry(world) if carry is None else carry
        power_draw, server_draw = self._draw(world, generators, carry.slot).unbind(2)
        power = torch.where(world.request, self.power(world, env, power_draw), 0)
        choice = {
            "nearest": world.association,
            "never": carry.deployment.unsqueeze(1).expand_as(world.association),
            "random": (server_draw * env.num_bs).long(),
        }[self.deployment]
        bits, cycles = world.data_bits, world.data_bits * world.cycles_per_bit
        if self.shares == "equal":
            bits = cycles = torch.ones_like(bits)
        if env.cpu_sharing != "served":  # the whole of one's own part
            cycles = torch.ones_like(cycles)
        every_site = (-1, -1, env.num_bs, -1)
        cpu, wired = (weight.unsqueeze(2).expand(every_site) for weight in (cycles, bits))
        return Actions(power, cpu, wired, choice)

    def _draw(self, world: World, generators: Sequence[Generator] | None, start: int) -> Tensor:
        """Numbers in [0, 1), [R, N, 2, K], in the order of slots so that windows do not show."""
        shape, device = (2, world.request.shape[-1]), world.request.device
        if generators is None:
            seeded = Generator().manual_seed(self.seed)
            stop = start + world.slots
            draw = torch.rand(stop, *shape, generator=seeded, dtype=torch.float64)[start:]
            return draw.to(device).expand(world.replicas, -1, -1, -1)
        draws = [
            torch.rand(world.slots, *shape, generator=one, dtype=torch.float64, device=one.device)
            for one in generators
        ]
        return torch.stack(draws).to(device)


@dataclass(frozen=True)
class Clairvoyant:
    """The least powers with which all that can be in time are, by one who knows all gains.

    Everybody raises its power to what its request needs among the others', up to P_max, over and
    over (Yates 1995); nobody sends whom computation and wire leave no time. Twins follow their
    users, and shares are in proportion to demand.
    """

    env: EnvConfig
    rounds: int = 40

    def act(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        carry: Carry | None = None,
        env: EnvConfig | None = None,
    ) -> Actions:
        """See :meth:`Reference.act`."""
        env = self.env if env is None else env
        carry = initial_carry(world) if carry is None else carry
        loud = Reference(env, EqualPower(env.max_power_w), shares="demand").act(world, carry=carry)
        deployment, migrating, _ = deploy(loud.deployment, env, carry)
        served = world.request & ~migrating
        left = world.deadline_s - edge(world, loud, env, deployment, served)[2]
        target = needed_sinr(world.data_bits, left, env)
        target = torch.where(served & target.isfinite(), 1.0001 * target, 0)
        own, power = own_gain(world.gain, world.association), torch.zeros_like(target)
        for _ in range(self.rounds):
            found = sinr(power, world.gain, world.association, env.noise_w, env.interference)
            noise = torch.where(power > 0, power * own / found.clamp_min(1e-30), env.noise_w)
            power = (target * noise / own).clamp_max(env.max_power_w)
        return Actions(power, loud.cpu_share, loud.wired_share, loud.deployment)


@dataclass(frozen=True)
class Result:
    """What a reference policy achieves over all slots of all given worlds."""

    policy: Reference
    energy_j: float
    """Mean energy per user and slot, J."""
    failure_ratio: Tensor
    """[K], each user's failures per slot, as (14b) counts them."""
    failed_requests: float
    """Failures per request of all users."""
    reward: float
    """Mean r_g, minus the objective (19)."""

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
    energy, asked, reward = 0.0, 0.0, 0.0
    failed = world.request.new_zeros(world.request.shape[-1], dtype=torch.int64)
    for replica in range(world.replicas):
        one = world.replica(replica)  # smaller arrays stay in the cache: faster than all at once
        outcome = simulate(one, policy.act(one), policy.env)
        energy += outcome.energy_per_slot_j.mean().item() / world.replicas
        reward += outcome.reward_global.mean().item() / world.replicas
        failed += outcome.failure.sum((0, 1))
        asked += outcome.request.sum().item()
    ratio = failed.double() / (world.replicas * world.slots)
    return Result(policy, energy, ratio, failed.sum().item() / max(asked, 1), reward)


def sweep(policies: Iterable[Reference], world: World) -> list[Result]:
    """Return energy against failures, policy by policy; see :func:`measure`."""
    return [measure(policy, world) for policy in policies]


def tune(
    family: Callable[[float], Reference], world: World, levels: Sequence[float] = LEVELS
) -> Result:
    """Return the policy of least energy for which (14b) holds, by its level of power.

    Where failed transmissions cost energy too, more power for all costs every user more: the least
    level that holds is the best. Failures need not fall with the level for ever (users at P_max
    drown in the others' interference), so the least one is searched upwards, then bisected.

    Args:
        family: gives a policy for a level, as ``lambda level: Reference(env, Inversion(level))``.
        world: worlds to tune on, never those that results are reported of.
        levels: where to look first, ascending.

    Returns:
        The result on these worlds. Where no level holds, that of the least worst user.
    """
    return _least_level(lambda level: measure(family(level), world), levels)[1]


def tune_reward(
    family: Callable[[float], Reference], world: World, levels: Sequence[float] = LEVELS
) -> Result:
    """Return the policy of the largest mean r_g (28), by its level of power.

    Args:
        family: see :func:`tune`.
        world: worlds to tune on.
        levels: where to look first, ascending; between the best one's neighbours, the best of
            eight steps is taken.
    """

    def at(level: float) -> Result:
        return measure(family(level), world)

    coarse = [at(level) for level in levels]
    place = max(range(len(levels)), key=lambda number: coarse[number].reward)
    low, high = levels[max(place - 1, 0)], levels[min(place + 1, len(levels) - 1)]
    fine = [at(low * (high / low) ** (step / 8)) for step in range(1, 8)]
    return max([coarse[place], *fine], key=lambda result: result.reward)


def tune_failures(
    family: Callable[[float], Reference], world: World, levels: Sequence[float] = LEVELS
) -> Result:
    """Return the policy under which fewest requests fail, by its level of power.

    Of levels that are within a fifth of a point of the best, the least is taken.

    Args:
        family: see :func:`tune`.
        world: worlds to tune on.
        levels: ascending.
    """
    found = [measure(family(level), world) for level in levels]
    best = min(result.failed_requests for result in found)
    return next(result for result in found if result.failed_requests <= best + 0.002)


def tune_truncated(
    family: Callable[[float, float], Reference],
    world: World,
    cutoffs: tuple[float, float],
    levels: Sequence[float] = LEVELS,
) -> Result:
    """Return the policy of least energy for which (14b) holds, by level and cut-off.

    Silence saves energy and interference, and (14b) permits some. For each level, from the one that
    holds without silence in steps of 0.5 dB, the least cut-off that holds is bisected, until energy
    is a tenth above its minimum.

    Args:
        family: gives a policy for a level and a cut-off; nobody is silent where that is infinite.
        world: worlds to tune on, never those that results are reported of.
        cutoffs: the least and the largest cut-off to consider.
        levels: see :func:`tune`; none above the last is tried.

    Returns:
        The result on these worlds, no dearer than that of :func:`tune`.
    """

    def at(level: float, cutoff: float = math.inf) -> Result:
        return measure(family(level, cutoff), world)

    level, best = _least_level(at, levels)
    result = best
    while result.holds and 0 < result.energy_j <= 1.1 * best.energy_j and level <= levels[-1]:
        result = _bisect(partial(at, level), *cutoffs)[1]
        best = result if result.holds and result.energy_j < best.energy_j else best
        level *= 10**0.05
    return best


def _least_level(at: Callable[[float], Result], levels: Sequence[float]) -> tuple[float, Result]:
    tried = []
    for number, level in enumerate(levels):
        tried.append(at(level))
        if tried[-1].holds:
            return _bisect(at, levels[number - 1], level) if number else (level, tried[0])
    worst = [result.worst_user for result in tried]
    least = worst.index(min(worst))
    return levels[least], tried[least]


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
