"""Which requests to serve: when not all fit, and when (14b) lets some be given up."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dtlib.baselines.genie import alone, genie
from dtlib.baselines.least_powers import signal_part
from dtlib.baselines.share_search import doublings_for, least_doublings
from dtlib.baselines.slot_problem import Slots, point_at
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig

ROUNDS = 5
"""Of thresholds on the cost of requests, each found from what the one before has served."""


def admit(world: World, env: EnvConfig, *, served: Tensor, deployment: Tensor) -> Tensor:
    """Return requests that can be served together, [R, N, K], bool, of those wanted.

    What does not fit alone leaves. Then, while a slot does not fit, the request with the largest
    burden does: its energy, the harm of its interference and the rent of its shares, a tenth above
    the least stretch of deadlines that lets all stay. Shares are counted as whole for everybody
    first, which is fast and drops nearly all that has to leave. To leave out as few as possible is
    NP-hard in general; this is a heuristic.
    """
    lead = served.shape[:2]
    slots = Slots.of(world, env, served=served, deployment=deployment)
    kept = slots.served & _fits_alone(slots)
    for search in (_with_whole_shares, least_doublings):
        index = torch.arange(len(kept), device=kept.device)
        while len(index):
            now = kept.unflatten(0, lead)
            slots = Slots.of(world, env, served=now, deployment=deployment).pick(index)
            shares, doublings = search(slots)
            full = doublings[:, 0] > 0
            slots, index = slots.pick(full), index[full]
            shares = tuple(share[full] for share in shares)
            point = point_at(slots, shares, stretch=1.1 * 2 ** doublings[full])
            burden = torch.where(slots.served, point.burden.nan_to_num(), -math.inf)
            kept[index, burden.argmax(-1)] = False
    return kept.unflatten(0, lead)


def _fits_alone(slots: Slots) -> Tensor:
    """Return whether a request has the time and the power without the others: [S, K], bool."""
    _, uplink, time_s = slots.times(slots.whole(), 1.0)
    sinr = torch.expm1(slots.efficiency(time_s))
    receivers = slots.receivers
    alone_w = sinr * receivers.noise_w / receivers.own_gain
    return (uplink > 0) & (alone_w < slots.env.max_power_w)


def _with_whole_shares(slots: Slots) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return what :func:`.least_doublings` does, as if nobody shared a server or a link."""
    shares = slots.whole()
    return shares, doublings_for(slots, shares)


@dataclass(frozen=True)
class Threshold:
    """What serving as seldom as (14b) allows costs a genie that also knows all slots to come."""

    bound_j: float
    """J per user and slot: no policy whatsoever needs less."""
    energy_j: float
    """J per user and slot of the requests below; infinite if none were found that (14b) allows."""
    served: Tensor
    """[R, N, K], bool."""


def genie_under_threshold(
    world: World, env: EnvConfig, threshold: float | None = None
) -> Threshold:
    """Return bounds on the least energy under (14b), where each user may drop εRN requests.

    From above: serve each user's cheapest requests, a request's cost being what the slot would save
    without it, or spend more with it, given who else is served; start from the cost of each alone
    and repeat. Each twin is at the base station nearest to its user, in every slot.

    From below: the energy E(S) of requests S with a whole server for each is supermodular, since
    all terms of H = Σ Aⁱσ² grow with A. For any X, such as what was just served, therefore
    E(S) ≥ E(X) − Σ_{k∈X∖S} (saving without k) + Σ_{k∈S∖X} (cost of k alone), by Nemhauser, Wolsey
    and Fisher (1978). That is a sum over requests, of which each user serves at least its cheapest.

    Args:
        world: leading axes [R, N]; ratios are over all of its slots and replicas.
        threshold: ε, that of ``env`` if absent.
    """
    threshold = env.failure_threshold if threshold is None else threshold
    near = world.association
    slots = Slots.of(world, alone(env), served=world.request, deployment=near)
    spare = math.floor(threshold * len(slots.served) + 1e-9)
    kept = wanted = chosen = torch.zeros_like(slots.served)
    first, bound, best = _marginal(slots, kept)[1], 0.0, math.inf
    for _ in range(ROUNDS):
        energy_j, cost = _marginal(slots, kept)
        value = torch.where(kept, cost, first)
        cheapest = value[_cheapest(value, slots.served, spare)]
        bound = max(bound, (energy_j.sum() - cost[kept].sum() + cheapest.sum()).item())
        cost = torch.where(wanted & ~kept, math.inf, cost)
        wanted = _cheapest(cost, slots.served, spare)
        served = admit(world, env, served=wanted.view_as(world.request), deployment=near)
        kept = served.flatten(0, 1)
        if (kept == wanted).all():
            found = genie(world, env, served=served, deployment=near)
            total = found.energy_j.sum().item()
            best, chosen = min((best, chosen), (total, kept), key=lambda pair: pair[0])
    count = world.request.numel()
    return Threshold(
        bound_j=bound / count, energy_j=best / count, served=chosen.view_as(world.request)
    )


def _cheapest(cost: Tensor, request: Tensor, spare: int) -> Tensor:
    """Mark each user's requests, [S, K], but for the ``spare`` of largest cost."""
    order = torch.where(request, cost, -math.inf).argsort(0, descending=True)
    return request & (order.argsort(0) >= spare)


def _marginal(slots: Slots, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Least energy of those kept, with a whole server for each and no wires, and marginal costs.

    Sherman and Morrison's formula gives H and its adjoint with one request more or less: both
    change by the factor 1/(1 ± what its own signal brings back to its receiver).

    Returns:
        [S], J; and [S, K], J: what the slot saves without a request that is kept, or what one that
        is not would add, infinite if it does not fit.
    """
    receivers = slots.receivers
    uplink = slots.deadline_s - slots.resources[0].load_s
    time_s = torch.where(uplink > 0, uplink, 1)
    part = signal_part(slots.efficiency(time_s))
    coupling = receivers.coupling(torch.where(kept, part, 0))
    eye = torch.eye(coupling.shape[-1], dtype=part.dtype, device=part.device)
    inverse = torch.linalg.inv(eye - coupling)
    received = (receivers.noise_w * inverse.sum(-1)).gather(-1, receivers.station)
    own_j = part * received * time_s / receivers.own_gain
    members, relative_gain = receivers.members, receivers.relative_gain
    slope = members.mT @ torch.where(kept, own_j / received, 0).unsqueeze(-1)
    harm = (relative_gain @ (inverse.mT @ slope)).squeeze(-1)
    effect = own_j + part * received * harm
    back = part * ((members @ inverse) * relative_gain).sum(-1)
    power = own_j / time_s / (1 - back)
    fit = (uplink > 0) & (back < 1) & (power <= slots.env.max_power_w)
    added = torch.where(fit, effect / (1 - back), math.inf)
    return torch.where(kept, own_j, 0).sum(-1), torch.where(kept, effect / (1 + back), added)
