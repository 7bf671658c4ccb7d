"""The genie bound: the least energy that serves given requests, by one who knows the whole slot.

Which requests are served and where twins live is given; the genie chooses powers and shares.

1. *Targets.* Shares leave user k the time u = τ − DC/f − D/w for its uplink (9), without the wire
   if its twin is local. It is in time if its SINR is at least Γ = 2^(D/(Bu)) − 1, from (8).
2. *Least powers.* Let T_m be all that base station m receives, noise included, and c = Γ/(1 + Γ).
   Targets are met exactly if p_k g_{k,a(k)} = c_k T_{a(k)} at the own station a(k). So T solves M
   linear equations, T = σ² + A T with A_{mn} = Σ_{k: a(k)=n} c_k g_{km}/g_{kn} ≥ 0. Powers exist if
   and only if A's spectral radius is below 1, that is if the solution is positive (Perron and
   Frobenius); all powers that reach the targets are at least these, user by user (Foschini and
   Miljanic 1993, Yates 1995). Under ``"eq7"`` there is one receiver for all: M = 1.
3. *Least power is least energy.* By (13), E_k = (D ln 2/B) (I_k + σ²)/g_k · γ_k/ln(1 + γ_k) grows
   with the SINR γ_k and the interference I_k. Least powers make both least for all users at once;
   then D/R = u and E_k = p_k u_k. Requests that are not served are silent.
4. *Shares.* In the logarithms of p, u, f, w this is a geometric program: ln(2^(D/(Bu)) − 1) is
   convex in ln u, so are ln(I + σ²), all delays and Σ pu in theirs. A stationary point is the
   optimum: with λ_k = −∂(Σ pu)/∂u_k, each share is in proportion to λ_k times the delay that it
   causes, which is its rent (f ∝ √(λDC), w ∝ √(λD)). By convexity other shares save at most the
   rents' Kullback–Leibler divergence from the shares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dtlib.model.channel import own_gain
from dtlib.model.simulator import Actions, Outcome, owners
from dtlib.model.synchronization import shares as divide
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig

GAP = 1e-10
"""Shares are final once what is still to be gained is below this part of the slot's energy."""


def sinr_target(bits: Tensor, uplink_s: Tensor, bandwidth_hz: float) -> Tensor:
    """Return the SINR Γ that sends D bits in u seconds, from (8): [...], linear; inf if u ≤ 0."""
    exponent = math.log(2) * bits / (bandwidth_hz * uplink_s)
    return torch.where(bits > 0, torch.where(uplink_s > 0, torch.expm1(exponent), math.inf), 0)


def least_powers(
    target_sinr: Tensor,
    gain: Tensor,
    association: Tensor,
    noise_w: float,
    interference: Literal["receiver", "eq7"] = "receiver",
) -> Tensor:
    """Return the least powers that give every user its SINR (7), all at once.

    Args:
        target_sinr: [..., K], linear; zero for silent users.
        gain: [..., K, M], linear.
        association: [..., K], int.
        noise_w: σ², W.
        interference: the reading of (7), see :func:`dtlib.model.channel.sinr`.

    Returns:
        [..., K], W, float64; infinite for all that should be heard where no powers are enough.
    """
    own, relative, station = _receivers(gain, association, interference)
    part = 1 / (1 + 1 / target_sinr.double())
    received = _received(_coupling(part, relative, station), noise_w)
    return torch.where(part > 0, part * received.gather(-1, station) / own, 0)


def _receivers(gain: Tensor, association: Tensor, reading: str) -> tuple[Tensor, Tensor, Tensor]:
    """Gain to the own receiver [..., K], all gains relative to it [..., K, M], own receiver."""
    gain = gain.double()
    own = own_gain(gain, association)
    if reading == "eq7":  # one receiver hears each user with its gain to its own base station
        gain, association = own.unsqueeze(-1), torch.zeros_like(association)
    return own, gain / own.unsqueeze(-1), association


def _coupling(part: Tensor, relative: Tensor, station: Tensor) -> Tensor:
    """A [..., M, M]: what station m hears of the users of n, per unit of all that n hears."""
    members = one_hot(station, relative.shape[-1]).to(part.dtype)
    return relative.mT @ (members * part.unsqueeze(-1))


def _received(coupling: Tensor, noise_w: float) -> Tensor:
    """T [..., M], W: the solution of T = σ² + A T; infinite where it is not positive."""
    system = torch.eye(coupling.shape[-1], dtype=coupling.dtype, device=coupling.device) - coupling
    noise = torch.full_like(coupling[..., :1], noise_w)
    solution, info = torch.linalg.solve_ex(system, noise)
    exists = (solution > 0).all(-2, keepdim=True) & (info == 0)[..., None, None]
    return torch.where(exists, solution, math.inf).squeeze(-1)


@dataclass(frozen=True)
class _Resource:
    """Servers, or links: S slots in which the members of a group divide one unit."""

    load_s: Tensor
    """[S, K], time that the request would take with the whole of it."""
    group: Tensor
    member: Tensor
    groups: int

    def divide(self, weight: Tensor) -> Tensor:
        return divide(weight, self.group, self.member, self.groups)

    def delay(self, share: Tensor) -> Tensor:
        return torch.where(self.member, self.load_s / torch.where(self.member, share, 1), 0)


@dataclass(frozen=True)
class _Slots:
    """S slots with the requests to be served in each."""

    served: Tensor
    bits: Tensor
    deadline_s: Tensor
    """What is left of it, where users own a part of the CPU."""
    own: Tensor
    relative: Tensor
    station: Tensor
    resources: tuple[_Resource, ...]
    env: EnvConfig

    @classmethod
    def of(cls, world: World, served: Tensor, deployment: Tensor, env: EnvConfig) -> _Slots:
        def flat(array: Tensor) -> Tensor:
            return array.flatten(0, 1)

        nearest, home, served = map(flat, (world.association, deployment, served))
        bits = torch.where(served, flat(world.data_bits).double(), 0)
        link = nearest * env.num_bs + home
        compute, deadline = bits * flat(world.cycles_per_bit) / env.cpu_hz, flat(world.deadline_s)
        if env.cpu_sharing != "served":  # nothing to divide: the whole of one's own part is used
            deadline = deadline - compute * owners(home, env)
            compute = torch.zeros_like(compute)
        cpu = _Resource(compute, home, served, env.num_bs)
        wire = _Resource(bits / env.wired_rate_bps, link, served & (nearest != home), env.num_bs**2)
        radio = _receivers(flat(world.gain), nearest, env.interference)
        return cls(served, bits, deadline.double(), *radio, (cpu, wire), env)

    def pick(self, index: Tensor) -> _Slots:
        def some(record: _Slots | _Resource) -> dict[str, Any]:
            return {k: v[index] if isinstance(v, Tensor) else v for k, v in vars(record).items()}

        resources = tuple(_Resource(**some(one)) for one in self.resources)
        return _Slots(**some(self) | {"resources": resources})

    def even(self) -> tuple[Tensor, ...]:
        """Shares to start from: those of the optimum, if time were worth the same to all."""
        return tuple(one.divide(one.load_s.sqrt()) for one in self.resources)


@dataclass(frozen=True)
class _Point:
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

    def rents(self, slots: _Slots) -> list[Tensor]:
        """Each user's part, within its server or link, of what more of it would save."""
        pairs = zip(slots.resources, self.delays, strict=True)
        return [resource.divide(self.worth * delay) for resource, delay in pairs]

    def gap(self, slots: _Slots) -> Tensor:
        """[S], J: no shares cost less than these by more than this, by convexity."""
        total = torch.zeros_like(self.cost_j)
        for rent, share, delay in zip(self.rents(slots), self.shares, self.delays, strict=True):
            used = delay > 0
            ratio = torch.where(used, rent / torch.where(used, share, 1), 1)
            total += (self.worth * delay * ratio.clamp_min(1e-300).log()).sum(-1)
        return total


def _evaluate(
    slots: _Slots, shares: tuple[Tensor, ...], barrier: float = 0.0, stretch: Tensor | float = 1.0
) -> _Point:
    """Solve for the least powers, and for the derivatives by the adjoint equations.

    Args:
        slots: S of them.
        shares: of each resource, [S, K].
        barrier: keeps powers below P_max, which does not count at 0. The cost stays convex.
        stretch: [S, 1], factor on all deadlines.
    """
    delays = tuple(map(_Resource.delay, slots.resources, shares))
    uplink = stretch * slots.deadline_s - sum(delays)
    some = torch.where(slots.served & (uplink > 0), uplink, 1)
    exponent = math.log(2) * slots.bits / (slots.env.bandwidth_hz * some)
    part = -torch.expm1(-exponent)
    coupling = _coupling(part, slots.relative, slots.station)
    received = _received(coupling, slots.env.noise_w)
    fits = received[:, 0].isfinite() & (~slots.served | (uplink > 0)).all(-1)
    heard = torch.where(fits[:, None], received, 1).gather(-1, slots.station)
    power = part * heard / slots.own

    wall, price = torch.ones_like(some), some
    if barrier:
        level = power / slots.env.max_power_w
        fits &= (level < 1).all(-1)
        level = torch.where(fits[:, None], level, 0)
        wall = (1 - level) ** -barrier
        price = some * wall * (1 + barrier * level / (1 - level))
    members = one_hot(slots.station, slots.relative.shape[-1]).to(part.dtype)
    weight = members.mT @ (price * part / slots.own).unsqueeze(-1)
    system = torch.eye(coupling.shape[-1], dtype=part.dtype, device=part.device) - coupling
    harm = torch.linalg.solve_ex(system.mT, weight)[0].squeeze(-1)
    steep = heard * (price / slots.own + (slots.relative @ harm.unsqueeze(-1)).squeeze(-1))
    worth = torch.where(slots.served, (1 - part) * exponent / some * steep - power * wall, 0)
    return _Point(
        shares, delays, uplink, power,
        cost_j=torch.where(fits, (power * some * wall).sum(-1), math.inf),
        worth=worth, burden=part * steep + worth * sum(delays),
    )  # fmt: skip


def _step(slots: _Slots, point: _Point, size: Tensor) -> tuple[Tensor, ...]:
    """Move shares towards rents, [S, K] each: for small steps always downhill.

    A user's step is that of Newton's method if only its own delay counted; no delay grows by more
    than a third of the time for the uplink at once.
    """
    exponent = math.log(2) * slots.bits / (slots.env.bandwidth_hz * point.uplink_s)
    slope = 2 + (2 + exponent) * sum(point.delays) / point.uplink_s
    moved = []
    for resource, rent, share, delay in zip(
        slots.resources, point.rents(slots), point.shares, point.delays, strict=True
    ):
        used = delay > 0
        factor = (rent / torch.where(used, share, 1)) ** (size / slope)
        least = 1 / (1 + point.uplink_s / torch.where(used, 3 * delay, 1))
        moved.append(resource.divide(share * torch.maximum(factor, least)))
    return tuple(moved)


def _descend(
    slots: _Slots,
    shares: tuple[Tensor, ...],
    barrier: float = 0.0,
    stretch: Tensor | None = None,
    rounds: int = 100,
) -> tuple[Tensor, ...]:
    """Improve shares until nothing is to be gained; those that do not fit stay as they are."""
    stretch = torch.ones_like(slots.deadline_s[:, :1]) if stretch is None else stretch
    point, size = _evaluate(slots, shares, barrier, stretch), torch.ones_like(stretch)
    for done in range(rounds):
        more = (point.gap(slots) > GAP * point.cost_j) & point.cost_j.isfinite()
        if not more.any():
            break
        if 2 * more.sum() < len(more):  # the rest alone, which is faster
            some = tuple(share[more] for share in point.shares)
            rest = _descend(slots.pick(more), some, barrier, stretch[more], rounds - done)
            return tuple(map(lambda old, new: old.index_put((more,), new), point.shares, rest))
        trial = _evaluate(slots, _step(slots, point, size), barrier, stretch)
        better = (trial.cost_j < point.cost_j)[:, None]
        size = torch.where(better, (2 * size).clamp_max(1), size / 2)
        point = _choose(better, trial, point)
    return point.shares


def _choose(mask: Tensor, one: _Point, other: _Point) -> _Point:
    """Slots of the first where the mask [S, 1] is set, of the second elsewhere."""

    def pick(a: Any, b: Any) -> Any:
        if isinstance(a, tuple):
            return tuple(map(pick, a, b))
        return torch.where(mask if a.dim() == 2 else mask[:, 0], a, b)

    return _Point(*map(pick, vars(one).values(), vars(other).values()))


def _fits(slots: _Slots, shares: tuple[Tensor, ...], stretch: Tensor | float = 1.0) -> Tensor:
    """Return whether shares serve everybody below P_max, [S, 1]."""
    return _evaluate(slots, shares, 1.0, stretch).cost_j.isfinite()[:, None]


def _fit(slots: _Slots, rounds: int = 60) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return shares for which deadlines must be stretched little, and that stretch [S, 1].

    The method of centres (Huard 1967): shares that keep all users away from their limits at one
    stretch s allow a smaller one. It ends at 1, or where 1 is proved impossible: shares that do at
    stretch 1 need at most power P_max/s at s, hence cost at most P_max Σ τ s/(s − 1).
    """
    shares = slots.even()
    log = torch.where(_fits(slots, shares), 0.0, torch.full_like(slots.deadline_s[:, :1], 20))
    cut = torch.full_like(log, 0.1)
    index = (log > 0)[:, 0].nonzero()[:, 0]
    for _ in range(rounds):
        if not len(index):
            break
        part, some, at = slots.pick(index), tuple(share[index] for share in shares), log[index]
        some = _descend(part, some, 1.0, 2**at, rounds=4)
        shares = tuple(s.index_put((index,), new) for s, new in zip(shares, some, strict=True))
        point = _evaluate(part, some, 1.0, 2**at)
        most = (
            slots.env.max_power_w * (part.deadline_s * part.served).sum(-1) / (1 - 2 ** -at[:, 0])
        )
        lower = at * cut[index]
        fits = _fits(part, some, 2**lower)
        log[index] = torch.where(_fits(part, some), 0, torch.where(fits, lower, at))
        cut[index] = torch.where(fits, cut[index], cut[index].sqrt())
        hopeless = point.cost_j - point.gap(part) > most
        index = index[(log[index, 0] > 0) & ~hopeless]
    return shares, 2**log


@dataclass(frozen=True)
class Genie:
    """The optimum of R·N slots; silent users have zeros."""

    power: Tensor
    """[R, N, K], W; infinite where not all can be served."""
    cpu_share: Tensor
    """[R, N, K], part of the twin's server, or of one's own slice of it."""
    wired_share: Tensor
    """[R, N, K], part of the link to it."""
    energy_j: Tensor
    """[R, N, K], J; infinite where not all can be served."""
    feasible: Tensor
    """[R, N], bool."""

    def actions(self, deployment: Tensor, env: EnvConfig) -> Actions:
        """Return what :func:`dtlib.simulate` takes; nobody sends where not all can be served."""
        cpu, wired = (
            share.unsqueeze(-2).expand(-1, -1, env.num_bs, -1)
            for share in (self.cpu_share, self.wired_share)
        )
        return Actions(torch.where(self.power.isfinite(), self.power, 0), cpu, wired, deployment)


def genie(world: World, served: Tensor, deployment: Tensor, env: EnvConfig) -> Genie:
    """Return powers and shares of least energy that serve given requests in time.

    The energy is that of the optimum to a part of 1e-10, or 1e-5 where P_max counts.

    Args:
        world: leading axes [R, N].
        served: [R, N, K], bool, requests to be served.
        deployment: [R, N, K], int, where the twins live.
        env: the network.
    """
    slots = _Slots.of(world, served, deployment, env)
    shares = _descend(slots, slots.even())
    hard = ~_fits(slots, shares)[:, 0]
    if hard.any():
        part = slots.pick(hard)
        some = _fit(part)[0]
        for decade in range(7):
            some = _descend(part, some, barrier=10.0**-decade)
        shares = tuple(s.index_put((hard,), new) for s, new in zip(shares, some, strict=True))
    power, energy_j, feasible = _spend(slots, shares)
    lead = served.shape[:2]
    if env.cpu_sharing != "served":
        shares = (slots.served.double(), *shares[1:])
    arrays = (power, *shares, energy_j, feasible)
    return Genie(*(array.unflatten(0, lead) for array in arrays))


def _spend(slots: _Slots, shares: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Powers in W and energies in J, [S, K], infinite where not everybody fits; who fits, [S]."""
    point, fits = _evaluate(slots, shares), _fits(slots, shares)
    power = torch.where(slots.served & ~fits, math.inf, point.power)
    energy_j = torch.where(power.isfinite(), power * point.uplink_s, math.inf)
    return power, energy_j, fits[:, 0]


def alone(env: EnvConfig) -> EnvConfig:
    """Return the network in which a twin may have a whole server wherever the others live.

    Slices are the same everywhere. Where the owners of a server are those that it hosts, a twin
    whose user has others beside it may find an empty one elsewhere.
    """
    return env.replace(cpu_sharing="served") if env.cpu_sharing == "hosted" else env


def floor(world: World, served: Tensor, env: EnvConfig) -> Tensor:
    """Return what requests cost at least wherever twins live: whole servers for each, and no wires.

    Returns:
        [R, N, K], J; infinite in slots in which no deployment serves all.
    """
    slots = _Slots.of(world, served, world.association, alone(env))
    whole = tuple(torch.ones_like(slots.deadline_s) for _ in slots.resources)
    return _spend(slots, whole)[1].unflatten(0, served.shape[:2])


def bound_energy(outcome: Outcome, world: World, env: EnvConfig) -> Tensor:
    """Return the least energy that serves what an outcome served, where its twins lived: [R, N], J.

    No policy falls below it. It starts from the outcome's shares, which suffice, and leaves P_max
    out. Worlds in float64 are free of doubt about deadlines that are met within rounding.
    """
    served = outcome.request & ~outcome.failure
    slots = _Slots.of(world, served, outcome.deployment, env)
    given = (outcome.cpu_hz, outcome.wired_bps)
    pairs = zip(slots.resources, given, strict=True)
    start = tuple(resource.divide(rate.flatten(0, 1).double()) for resource, rate in pairs)
    return _evaluate(slots, _descend(slots, start)).cost_j.unflatten(0, served.shape[:2])
