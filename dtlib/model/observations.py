"""What each agent sees, eqs. (20), (22) and (24), and the critics' global state.

Positions are scaled to [−1, 1], a request's data size, cycles and deadline by the upper ends of
their ranges; the latter are zero without a request, which therefore shows in the observation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dtlib.kernels.networks import Columns
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig


def user_size(env: EnvConfig, derived: bool = False) -> int:
    """Length of an MU's observation (20), with what follows from it if asked for."""
    return 6 + 2 * env.num_bs + derived * (env.num_bs + 4)


def station_size(env: EnvConfig) -> int:
    """Length of a base station's observation (22)."""
    return 1 + 2 * env.num_bs + env.num_users * (7 + env.num_bs)


def centre_size(env: EnvConfig) -> int:
    """Length of the control centre's observation (24)."""
    return 2 * env.num_bs + env.num_users * (2 + env.num_bs)


def state_size(env: EnvConfig, queue: bool = False) -> int:
    """Length of the critics' global state."""
    return 2 * env.num_bs + env.num_users * (5 + 2 * env.num_bs + int(queue))


def columns(env: EnvConfig, queue: bool = False, shared: bool = False) -> dict[str, Columns]:
    """Return how the observations of each kind of agent, and the global state, begin.

    Args:
        env: the network.
        queue: the state holds the virtual queue.
        shared: the centre observes twin by twin.
    """
    sites, users = env.num_bs, env.num_users
    near = users * sites + 2 * sites
    return {
        "users": Columns(1 + 2 * sites),
        "stations": Columns(1 + 2 * sites, users * (2 + sites)),
        "centre": Columns(1 + 2 * sites if shared else near),
        "state": Columns(near + users * (sites + int(queue))),
    }


def _scaled_position(position: Tensor, env: EnvConfig) -> Tensor:
    return position * (2 / env.area_m) - 1


def _sites(world: World, env: EnvConfig, lead: tuple[int, ...]) -> Tensor:
    flat = _scaled_position(world.bs_position, env).flatten()
    return flat.expand(*lead, -1)


def _requests(world: World, env: EnvConfig) -> Tensor:
    parts = [
        world.data_bits / env.data_bits[1],
        world.cycles_per_bit / env.cycles_per_bit[1],
        world.deadline_s / env.deadline_s[1],
    ]
    return torch.stack(parts, dim=-1) * world.request.unsqueeze(-1)


def _centred_requests(world: World, env: EnvConfig) -> Tensor:
    """[R, N, K, 3], in [−1, 1]; zero without a request, and for a range of no width."""
    parts = []
    for name in ("data_bits", "cycles_per_bit", "deadline_s"):
        low, high = getattr(env, name)
        half = (high - low) / 2
        parts.append((getattr(world, name) - low - half) / (half or torch.inf))
    return torch.stack(parts, dim=-1) * world.request.unsqueeze(-1)


def observe_users(world: World, env: EnvConfig, derived: bool = False) -> Tensor:
    """Return the MUs' observations, eq. (20): own index, base stations, own position, own request.

    Args:
        world: leading axes [R, N].
        env: the network.
        derived: add what follows from them: the request's three numbers with their ranges scaled
            to [−1, 1], and log₁₀(d / 100 m) of the distance to the nearest base station and to
            each.

    Returns:
        [R, N, K, 6 + 2M], M + 4 longer with what is derived.
    """
    users, sites = env.num_users, env.num_bs
    index = torch.arange(1, users + 1, device=world.gain.device) / users
    obs = world.gain.new_empty(world.replicas, users, world.slots, user_size(env, derived))
    own, all_sites, where, what, more = obs.split(
        [1, 2 * sites, 2, 3, derived * (sites + 4)], dim=-1
    )
    if derived:
        logs = torch.log10(world.distance / 100)
        parts = [_centred_requests(world, env), logs.amin(-1, keepdim=True), logs]
        more.copy_(torch.cat(parts, dim=-1).transpose(1, 2))
    own.copy_(index[:, None, None])
    where.copy_(_scaled_position(world.position, env).transpose(1, 2))
    all_sites.copy_(_sites(world, env, all_sites.shape[:-1]))
    what.copy_(_requests(world, env).transpose(1, 2))
    return obs.transpose(1, 2)


def observe_stations(world: World, deployment: Tensor, env: EnvConfig) -> Tensor:
    """Return the base stations' observations, eq. (22), of the users K* that request.

    Own index, base stations, and per requesting user: whether it is associated here, where its
    twin lives if it is associated here (ζ), whether its twin lives here, its position, its request.
    That its twin lives here is not in (22), but a server knows which twins it hosts.

    Args:
        world: leading axes [R, N].
        deployment: [R, N, K], β in force.
        env: the network.

    Returns:
        [R, N, M, 1 + 2M + K(7 + M)].
    """
    dtype, sites, users = world.gain.dtype, env.num_bs, env.num_users
    asking = world.request.to(dtype)
    lives = (one_hot(deployment, sites).to(dtype) * asking.unsqueeze(-1)).flatten(2)
    index = torch.arange(1, sites + 1, device=world.gain.device, dtype=dtype) / sites
    place = _scaled_position(world.position, env) * asking.unsqueeze(-1)
    shared = torch.cat([place, _requests(world, env)], dim=-1).flatten(2)
    server = world.association.repeat_interleave(sites, dim=-1)

    # Written in place, in long runs: this is the largest array of all.
    obs = world.gain.new_empty(world.replicas, sites, world.slots, station_size(env))
    own, all_sites, near, link, hosted, common = obs.split(
        [1, 2 * sites, users, users * sites, users, 5 * users], dim=-1
    )
    own.copy_(index[:, None, None])
    all_sites.copy_(_sites(world, env, all_sites.shape[:-1]))
    common.copy_(shared.unsqueeze(1))
    for site in range(sites):
        torch.mul(asking, world.association == site, out=near[:, site])
        torch.mul(lives, server == site, out=link[:, site])
        torch.mul(asking, deployment == site, out=hosted[:, site])
    return obs.transpose(1, 2)


def observe_centre(world: World, env: EnvConfig) -> Tensor:
    """Return the control centre's observation, eq. (24): associations, base stations, positions.

    Returns:
        [R, N, 2M + K(2 + M)].
    """
    lead = (world.replicas, world.slots)
    nearest = one_hot(world.association, env.num_bs).to(world.gain.dtype)
    position = _scaled_position(world.position, env)
    return torch.cat([nearest.flatten(2), _sites(world, env, lead), position.flatten(2)], dim=-1)


def twin_size(env: EnvConfig) -> int:
    """Length of what the centre sees of one twin, see :func:`observe_twins`."""
    return 3 + 4 * env.num_bs


def observe_twins(world: World, env: EnvConfig) -> Tensor:
    """Return the centre's observation (24) as one network needs it that decides twin by twin.

    The user's index, base stations, its association, the part of all users that is associated with
    each base station, its position.

    Returns:
        [R, N, K, 3 + 4M].
    """
    lead = (world.replicas, world.slots, env.num_users)
    index = torch.arange(1, env.num_users + 1, device=world.gain.device) / env.num_users
    near = one_hot(world.association, env.num_bs).to(world.gain.dtype)
    load = near.mean(-2, keepdim=True).expand_as(near)
    own = index.to(near.dtype)[:, None].expand(*lead, 1)
    place = _scaled_position(world.position, env)
    return torch.cat([own, _sites(world, env, lead), near, load, place], dim=-1)


def global_state(
    world: World, deployment: Tensor, env: EnvConfig, queue: Tensor | None = None
) -> Tensor:
    """Return the critics' state s[n]: all observations merged, nothing twice.

    Args:
        world: leading axes [R, N].
        deployment: [R, N, K], β in force.
        env: the network.
        queue: [R, N, K], Y[qT]; added, as log(1 + Y), if given.

    Returns:
        [R, N, 2M + K(5 + 2M)], K longer with the queue: associations, base stations, deployment,
        the queue, positions, requests.
    """
    lives = one_hot(deployment, env.num_bs).to(world.gain.dtype)
    centre = observe_centre(world, env)
    seldom = columns(env)["centre"].slow
    parts = [centre[..., :seldom], lives.flatten(2)]
    if queue is not None:
        parts.append(torch.log1p(queue).to(world.gain.dtype))
    parts += [centre[..., seldom:], _requests(world, env).flatten(2)]
    return torch.cat(parts, dim=-1)
