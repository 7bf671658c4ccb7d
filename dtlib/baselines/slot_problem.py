"""The genie's problem in one slot: what shares of servers and links cost, and what more would save.

Shares leave user k the time u = τ − DC/f − D/w for its uplink (9), without the wire if its twin is
local. Powers are the least for that: see :mod:`dtlib.baselines.least_powers`. In the logarithms of
p, u, f, w this is a geometric program: ln(2^(D/(Bu)) − 1) is convex in ln u, so are ln(I + σ²), all
delays and Σ pu in theirs. A stationary point is the optimum: with λ_k = −∂(Σ pu)/∂u_k, each share
is in proportion to λ_k times the delay that it causes, which is its rent (f ∝ √(λDC), w ∝ √(λD)).
By convexity other shares save at most the rents' Kullback–Leibler divergence from the shares.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from dtlib.baselines.least_powers import Receivers, signal_part
from dtlib.kernels.portable import log, sqrt
from dtlib.model.simulator import owners
from dtlib.model.synchronization import compute_delay
from dtlib.model.synchronization import shares as divide
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Servers, or links: S slots in which the members of a group divide one unit."""

    load_s: Tensor
    """[S, K], time that the request would take with the whole of it."""
    group: Tensor
    """[S, K], int, which of them a user draws on."""
    member: Tensor
    """[S, K], bool, whether it does."""
    groups: int
    """How many there are."""

    def divide(self, weight: Tensor) -> Tensor:
        """Return shares [S, K] in proportion to weights [S, K]."""
        return divide(weight, group=self.group, member=self.member, groups=self.groups)

    def delay(self, share: Tensor) -> Tensor:
        """Return the delay that shares [S, K] cause: [S, K], s."""
        return torch.where(self.member, self.load_s / torch.where(self.member, share, 1), 0)


@dataclass(frozen=True, kw_only=True)
class Slots:
    """S slots with the requests to be served in each."""

    served: Tensor
    """[S, K], bool."""
    bits: Tensor
    """[S, K], zero where nothing is to be served."""
    deadline_s: Tensor
    """[S, K], or what is left of it where users own a part of the CPU."""
    receivers: Receivers
    resources: tuple[Resource, ...]
    """Servers and links."""
    env: EnvConfig

    @classmethod
    def of(cls, world: World, env: EnvConfig, *, served: Tensor, deployment: Tensor) -> Self:
        """Return the S = R·N slots of a world.

        Args:
            world: leading axes [R, N].
            served: [R, N, K], bool, requests to be served.
            deployment: [R, N, K], int, where the twins live.
        """

        def flat(array: Tensor) -> Tensor:
            return array.flatten(0, 1)

        nearest, home, served = map(flat, (world.association, deployment, served))
        bits = torch.where(served, flat(world.data_bits).double(), 0)
        link = nearest * env.num_bs + home
        compute = compute_delay(bits, cycles_per_bit=flat(world.cycles_per_bit), cpu_hz=env.cpu_hz)
        deadline = flat(world.deadline_s)
        if env.cpu_sharing != "served":  # nothing to divide: the whole of one's own part is used
            deadline = deadline - compute * owners(home, env)
            compute = torch.zeros_like(compute)
        wire, remote = bits / env.wired_rate_bps, served & (nearest != home)
        receivers = Receivers.of(
            flat(world.gain), association=nearest, noise_w=env.noise_w,
            interference=env.interference,
        )  # fmt: skip
        return cls(
            served=served,
            bits=bits,
            deadline_s=deadline.double(),
            receivers=receivers,
            resources=(
                Resource(load_s=compute, group=home, member=served, groups=env.num_bs),
                Resource(load_s=wire, group=link, member=remote, groups=env.num_bs**2),
            ),
            env=env,
        )

    def pick(self, index: Tensor) -> Self:
        """Return some of the slots, by their numbers or by a mask [S]."""

        def of(record: Any, **others: Any) -> Any:
            tensors = {name: one for name, one in vars(record).items() if isinstance(one, Tensor)}
            return replace(record, **others, **{name: tensors[name][index] for name in tensors})

        return of(self, receivers=of(self.receivers), resources=tuple(map(of, self.resources)))

    def even(self) -> tuple[Tensor, ...]:
        """Return shares to start from: the optimal ones, if time were worth the same to all."""
        return tuple(resource.divide(sqrt(resource.load_s)) for resource in self.resources)

    def whole(self) -> tuple[Tensor, ...]:
        """Return shares as if nobody else drew on a server or link: no others leave more time."""
        return tuple(torch.ones_like(self.deadline_s) for _ in self.resources)

    def times(
        self, shares: tuple[Tensor, ...], stretch: Tensor | float
    ) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Return the delays of resources, what they leave to send, and 1 where that is none, s."""
        delays = tuple(map(Resource.delay, self.resources, shares))
        uplink = stretch * self.deadline_s - sum(delays)
        return delays, uplink, torch.where(self.served & (uplink > 0), uplink, 1)

    def efficiency(self, uplink_s: Tensor) -> Tensor:
        """Return the spectral efficiency that is in time, ln(1 + Γ): [S, K], nat/s/Hz."""
        return math.log(2) * self.bits / (self.env.bandwidth_hz * uplink_s)


@dataclass(frozen=True, kw_only=True)
class Point:
    """What shares of the resources lead to; everything [S, K] but for the cost."""

    shares: tuple[Tensor, ...]
    delays: tuple[Tensor, ...]
    """s, of each resource."""
    uplink_s: Tensor
    """u."""
    power: Tensor
    """W, the least."""
    cost_j: Tensor
    """[S], Σ pu (1 − p/P_max)^(−barrier); infinite where not everybody can be served."""
    worth: Tensor
    """W, λ: what a second more for the uplink would save."""
    burden: Tensor
    """J: a request's own energy, what its interference costs others and what its shares would."""

    def rents(self, slots: Slots) -> list[Tensor]:
        """Return each user's part, within its server or link, of what more of it would save."""
        pairs = zip(slots.resources, self.delays, strict=True)
        return [resource.divide(self.worth * delay) for resource, delay in pairs]

    def gap(self, slots: Slots) -> Tensor:
        """Return what other shares can save at most, by convexity: [S], J."""
        total = torch.zeros_like(self.cost_j)
        for rent, share, delay in zip(self.rents(slots), self.shares, self.delays, strict=True):
            used = delay > 0
            ratio = torch.where(used, rent / torch.where(used, share, 1), 1)
            total += (self.worth * delay * log(ratio.clamp_min(1e-300))).sum(-1)
        return total


def point_at(
    slots: Slots, shares: tuple[Tensor, ...], *, barrier: float = 0.0, stretch: Tensor | float = 1.0
) -> Point:
    """Return the least powers that shares need, and the cost with its derivatives.

    Args:
        slots: S of them.
        shares: of each resource, [S, K].
        barrier: keeps powers below P_max, which does not count at 0. The cost stays convex.
        stretch: [S, 1], factor on all deadlines.
    """
    delays, uplink, time_s = slots.times(shares, stretch)
    efficiency = slots.efficiency(time_s)
    part = signal_part(efficiency)
    coupling = slots.receivers.coupling(part)
    received = slots.receivers.received(coupling)
    fit = received[:, 0].isfinite() & (~slots.served | (uplink > 0)).all(-1)
    received = torch.where(fit[:, None], received, 1)
    power = slots.receivers.powers(part, received)

    wall, price = torch.ones_like(time_s), time_s
    if barrier:
        level = power / slots.env.max_power_w
        fit &= (level < 1).all(-1)
        level = torch.where(fit[:, None], level, 0)
        wall = (1 - level) ** -barrier
        price = time_s * wall * (1 + barrier * level / (1 - level))
    own_gain = slots.receivers.own_gain
    harm = slots.receivers.harm(coupling, price * part / own_gain)
    steep = received * (price / own_gain + harm)
    slope = (1 - part) * efficiency / time_s * steep - power * wall
    worth = torch.where(slots.served, slope, 0)
    return Point(
        shares=shares,
        delays=delays,
        uplink_s=uplink,
        power=power,
        cost_j=torch.where(fit, (power * time_s * wall).sum(-1), math.inf),
        worth=worth,
        burden=part * steep + worth * sum(delays),
    )


def fits(slots: Slots, shares: tuple[Tensor, ...], stretch: Tensor | float = 1.0) -> Tensor:
    """Return whether shares serve everybody below P_max: [S], bool."""
    _, uplink, time_s = slots.times(shares, stretch)
    level = slots.receivers.least_powers(slots.efficiency(time_s)) / slots.env.max_power_w
    return ((level < 1) & (~slots.served | (uplink > 0))).all(-1)
