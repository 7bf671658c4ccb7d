"""The genie bound: the least energy that serves given requests, by one who knows the whole slot.

Which requests are served and where twins live is given; the genie chooses powers and shares.

Least power is least energy. By (13), E_k = (D ln 2/B) (I_k + σ²)/g_k · γ_k/ln(1 + γ_k) grows with
the SINR γ_k and the interference I_k. :mod:`Least powers <dtlib.baselines.least_powers>` make both
least for all users at once; then D/R = u and E_k = p_k u_k. Requests that are not served are
silent. What remains is to divide servers and links, which is a
:mod:`convex problem <dtlib.baselines.slot_problem>`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dtlib.baselines.share_search import descend, optimal_shares
from dtlib.baselines.slot_problem import Slots, point_at
from dtlib.model.simulator import Actions, Outcome
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig


@dataclass(frozen=True, kw_only=True)
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
        power = torch.where(self.power.isfinite(), self.power, 0)
        return Actions(power=power, cpu_share=cpu, wired_share=wired, deployment=deployment)


def genie(world: World, env: EnvConfig, *, served: Tensor, deployment: Tensor) -> Genie:
    """Return powers and shares of least energy that serve given requests in time.

    The energy is that of the optimum to a part of 1e-10, or 1e-5 where P_max counts.

    Args:
        world: leading axes [R, N].
        served: [R, N, K], bool, requests to be served.
        deployment: [R, N, K], int, where the twins live.
    """
    slots = Slots.of(world, env, served=served, deployment=deployment)
    cpu_share, wired_share = shares = optimal_shares(slots)
    if env.cpu_sharing != "served":
        cpu_share = slots.served.double()
    power, energy_j, feasible = _spend(slots, shares)
    found = Genie(
        power=power, cpu_share=cpu_share, wired_share=wired_share, energy_j=energy_j,
        feasible=feasible,
    )  # fmt: skip
    return Genie(**{name: of.unflatten(0, served.shape[:2]) for name, of in vars(found).items()})


def _spend(slots: Slots, shares: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Powers in W and energies in J, [S, K], infinite where not everybody fits; who fits, [S]."""
    point = point_at(slots, shares)
    fit = point.cost_j.isfinite() & (point.power < slots.env.max_power_w).all(-1)
    power = torch.where(slots.served & ~fit[:, None], math.inf, point.power)
    energy_j = torch.where(power.isfinite(), power * point.uplink_s, math.inf)
    return power, energy_j, fit


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
    slots = Slots.of(world, alone(env), served=served, deployment=world.association)
    return _spend(slots, slots.whole())[1].unflatten(0, served.shape[:2])


def bound_energy(outcome: Outcome, world: World, env: EnvConfig) -> Tensor:
    """Return the least energy that serves what an outcome served, where its twins lived: [R, N], J.

    No policy falls below it. It starts from the outcome's shares, which suffice, and leaves P_max
    out. Worlds in float64 are free of doubt about deadlines that are met within rounding.
    """
    served = outcome.request & ~outcome.failure
    slots = Slots.of(world, env, served=served, deployment=outcome.deployment)
    given = (outcome.cpu_hz, outcome.wired_bps)
    pairs = zip(slots.resources, given, strict=True)
    start = tuple(resource.divide(rate.flatten(0, 1).double()) for resource, rate in pairs)
    return point_at(slots, descend(slots, start)).cost_j.unflatten(0, served.shape[:2])
