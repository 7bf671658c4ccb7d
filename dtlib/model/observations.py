"""What each agent sees, eqs. (20), (22) and (24), and the critics' global state.

Positions are scaled to [−1, 1], a request's data size, cycles and deadline by the upper ends of
their ranges; the latter are zero without a request, which therefore shows in the observation.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dtlib.kernels.portable import log
from dtlib.model.layouts import (
    Layout,
    centre_layout,
    state_layout,
    station_layout,
    twin_layout,
    user_layout,
)
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig

TASK = ("data_bits", "cycles_per_bit", "deadline_s")


def _scaled_position(position: Tensor, env: EnvConfig) -> Tensor:
    return position * (2 / env.area_m) - 1


def _sites(world: World, env: EnvConfig, *lead: int) -> Tensor:
    """[*lead, M, 2]."""
    return _scaled_position(world.bs_position, env).expand(*lead, -1, -1)


def _index(count: int, like: Tensor) -> Tensor:
    """[count, 1]."""
    number = torch.arange(1, count + 1, device=like.device, dtype=like.dtype)
    return (number / count).unsqueeze(-1)


def _requests(world: World, env: EnvConfig) -> Tensor:
    """[R, N, K, 3], in [0, 1]; zero without a request."""
    parts = [getattr(world, name) / getattr(env, name)[1] for name in TASK]
    return torch.stack(parts, dim=-1) * world.request.unsqueeze(-1)


def _centred_requests(world: World, env: EnvConfig) -> Tensor:
    """[R, N, K, 3], in [−1, 1]; zero without a request, and for a range of no width."""
    parts = []
    for name in TASK:
        low, high = getattr(env, name)
        half = (high - low) / 2
        parts.append((getattr(world, name) - low - half) / (half or torch.inf))
    return torch.stack(parts, dim=-1) * world.request.unsqueeze(-1)


def _blank(world: World, agents: int, layout: Layout) -> tuple[Tensor, dict[str, Tensor]]:
    """An observation array [R, N, agents, d] to be written, and [R, agents, N, …] by field.

    What one agent sees lies together, one slot after another, as its network reads it.
    """
    obs = world.gain.new_empty(world.replicas, agents, world.slots, layout.size)
    return obs.transpose(1, 2), layout.split(obs)


def observe_users(world: World, env: EnvConfig, *, derived: bool = False) -> Tensor:
    """Return the MUs' observations, eq. (20): own index, base stations, own position, own request.

    Args:
        world: leading axes [R, N].
        derived: add what follows from them: the request's three numbers with their ranges scaled
            to [−1, 1], and log₁₀(d / 100 m) of the distance to the nearest base station and to
            each.

    Returns:
        [R, N, K, d] in the order of :func:`~dtlib.model.layouts.user_layout`.
    """
    obs, fields = _blank(world, env.num_users, user_layout(env, derived))
    fields["index"].copy_(_index(env.num_users, obs)[:, None])
    fields["sites"].copy_(_sites(world, env, 1).flatten(1))
    fields["position"].copy_(_scaled_position(world.position, env).transpose(1, 2))
    fields["request"].copy_(_requests(world, env).transpose(1, 2))
    if derived:
        logs = log(world.distance / 100) / math.log(10)
        logs = torch.cat([logs.amin(-1, keepdim=True), logs], dim=-1)
        fields["centred_request"].copy_(_centred_requests(world, env).transpose(1, 2))
        fields["log_distance"].copy_(logs.transpose(1, 2))
    return obs


def observe_stations(world: World, deployment: Tensor, env: EnvConfig) -> Tensor:
    """Return the base stations' observations, eq. (22), of the users K* that request.

    Own index, base stations, and per requesting user: whether it is associated here, the server of
    its twin if it is (ζ but for i = j), whether its twin lives here, its position, its request.
    That its twin lives here is not in (22), but a server knows which twins it hosts.

    Args:
        world: leading axes [R, N].
        deployment: [R, N, K], β in force.

    Returns:
        [R, N, M, d] in the order of :func:`~dtlib.model.layouts.station_layout`.
    """
    obs, fields = _blank(world, env.num_bs, station_layout(env))
    asking = world.request.to(obs.dtype)
    lives = (one_hot(deployment, env.num_bs).to(obs.dtype) * asking.unsqueeze(-1)).flatten(2)
    place = _scaled_position(world.position, env) * asking.unsqueeze(-1)
    requests = torch.cat([place, _requests(world, env)], dim=-1).flatten(2)
    server = world.association.repeat_interleave(env.num_bs, dim=-1)
    fields["index"].copy_(_index(env.num_bs, obs)[:, None])
    fields["sites"].copy_(_sites(world, env, 1).flatten(1))
    fields["requests"].copy_(requests.unsqueeze(1))
    for site in range(env.num_bs):
        torch.mul(asking, world.association == site, out=fields["associated"][:, site])
        torch.mul(lives, server == site, out=fields["lives_at"][:, site])
        torch.mul(asking, deployment == site, out=fields["hosted"][:, site])
    return obs


def observe_centre(world: World, env: EnvConfig) -> Tensor:
    """Return the control centre's observation, eq. (24): associations, base stations, positions.

    Returns:
        [R, N, d] in the order of :func:`~dtlib.model.layouts.centre_layout`.
    """
    return centre_layout(env).join(_centre(world, env))


def _centre(world: World, env: EnvConfig) -> dict[str, Tensor]:
    return {
        "association": one_hot(world.association, env.num_bs).to(world.gain.dtype),
        "sites": _sites(world, env, world.replicas, world.slots),
        "positions": _scaled_position(world.position, env),
    }


def observe_twins(world: World, env: EnvConfig) -> Tensor:
    """Return the centre's observation (24) as one network needs it that decides twin by twin.

    The user's index, base stations, its association, the part of all users that is associated with
    each base station, its position.

    Returns:
        [R, N, K, d] in the order of :func:`~dtlib.model.layouts.twin_layout`.
    """
    lead = (world.replicas, world.slots, env.num_users)
    near = one_hot(world.association, env.num_bs).to(world.gain.dtype)
    parts = {
        "index": _index(env.num_users, near).expand(*lead, 1),
        "sites": _sites(world, env, *lead),
        "association": near,
        "load": near.mean(-2, keepdim=True).expand_as(near),
        "position": _scaled_position(world.position, env),
    }
    return twin_layout(env).join(parts)


def global_state(
    world: World, deployment: Tensor, env: EnvConfig, *, queue: Tensor | None = None
) -> Tensor:
    """Return the critics' state s[n]: all observations merged, nothing twice.

    Args:
        world: leading axes [R, N].
        deployment: [R, N, K], β in force.
        queue: [R, N, K], Y[qT]; added, as log(1 + Y), if given.

    Returns:
        [R, N, d] in the order of :func:`~dtlib.model.layouts.state_layout`.
    """
    parts = _centre(world, env)
    parts["deployment"] = one_hot(deployment, env.num_bs).to(world.gain.dtype)
    parts["requests"] = _requests(world, env)
    if queue is not None:
        parts["log_queue"] = torch.log1p(queue).to(world.gain.dtype)
    return state_layout(env, queue is not None).join(parts)
