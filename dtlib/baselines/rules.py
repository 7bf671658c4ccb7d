"""Reference policies: they learn nothing, and have one or two parameters.

A user knows the network's settings and what it observes by (20), its own position and request:
never the fading, nor what the others do. So the channel is inverted on average only, unlike in
Goldsmith and Varaiya (1997), whose truncated inversion this is otherwise.
"""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Generator, Tensor

from dtlib.model.channel import needed_sinr
from dtlib.model.simulator import Actions, Carry, first_carry
from dtlib.model.world import World
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_type
from dtlib.runtime.messages import check_name, show
from dtlib.settings.env import EnvConfig

Shares = Literal["equal", "demand"]
Deployment = Literal["nearest", "never", "random"]


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


def expected_parts(env: EnvConfig) -> float:
    """Return into how many parts n a request's server is divided, as far as its user can tell.

    n − 1 = λ (K − 1) / M others are expected there, to share it equally. Where each user owns a
    part of the CPU, n is the number of owners.
    """
    others = (env.num_users - 1) / env.num_bs
    shared = {"hosted": 1 + others, "served": 1 + env.request_prob * others}
    return shared.get(env.cpu_sharing, env.num_users)


def demanded_sinr(world: World, env: EnvConfig) -> Tensor:
    """Return the SINR with which a request is just in time, as far as its user can tell.

    With its twin at the serving base station, one of n :func:`expected_parts` of a server leaves
    u = τ − n D C / f_max of the deadline.

    Returns:
        [R, N, K], linear; infinite where nothing is left.
    """
    part = expected_parts(env) / env.cpu_hz
    left = world.deadline_s - world.data_bits * world.cycles_per_bit * part
    return needed_sinr(world.data_bits, seconds=left, bandwidth_hz=env.bandwidth_hz)


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
    _: KW_ONLY
    deployment: Deployment = "nearest"
    """The twin follows its user from frame to frame, stays where it is, or moves at random."""
    shares: Shares = "equal"
    """CPU and links are divided equally, or in proportion to cycles D C and bits D."""
    seed: int = 0
    """Of what is random."""

    def __post_init__(self) -> None:
        check_type("env", self.env, EnvConfig, such="run.config.env")
        power: Any = self.power
        if not callable(power):
            such = "EqualPower(0.1) or a function of world, env and draws"
            raise ConfigError(f"power = {show(power)}: must be a rule, such as {such}")
        check_name("deployment", self.deployment, get_args(Deployment))
        check_name("shares", self.shares, get_args(Shares))

    def act(
        self, world: World, *, carry: Carry | None = None, env: EnvConfig | None = None
    ) -> Actions:
        """Return the actions in every slot.

        Arguments are those of :meth:`dtlib.agents.policies.Policies.decide`. ``seed`` decides what
        is random: a slot's draws are the same in every replica and depend on its number alone.
        """
        env = self.env if env is None else env
        carry = first_carry(world, carry)
        power_draw, server_draw = self._draw(world, carry.slot).unbind(2)
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
        return Actions(power=power, cpu_share=cpu, wired_share=wired, deployment=choice)

    def _draw(self, world: World, start: int) -> Tensor:
        """Numbers in [0, 1), [R, N, 2, K], in the order of slots so that windows do not show."""
        shape = start + world.slots, 2, world.request.shape[-1]
        source = Generator().manual_seed(self.seed)
        draw = torch.rand(shape, generator=source, dtype=torch.float64)[start:]
        return draw.to(world.request.device).expand(world.replicas, -1, -1, -1)
