"""What is kept of a slot that was played, and what agents see in it once more.

A slot is kept as what observations are made of, not as observations, which are ten times as large.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dtlib.agents.credit import reward_parts
from dtlib.agents.policies import Decision
from dtlib.agents.spaces import station_mask
from dtlib.maddpg.replay import Shapes
from dtlib.maddpg.team import Batch, View
from dtlib.model.layouts import weight_layout
from dtlib.model.observations import (
    TASK,
    global_state,
    observe_centre,
    observe_stations,
    observe_twins,
    observe_users,
)
from dtlib.model.simulator import Outcome
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig

SITE = torch.int16
"""Of arrays that name base stations."""


def check_sites(arrays: Mapping[str, Tensor], stations: int) -> None:
    """Raise ``ValueError`` if arrays of a buffer name base stations that there are not."""
    for name, array in arrays.items():
        if array.dtype == SITE and not ((array >= 0) & (array < stations)).all():
            raise ValueError(f"array {name!r} names other base stations than 0 to {stations - 1}")


def shapes(config: TrainConfig) -> Shapes:
    """Return what :func:`record` keeps of a slot."""
    users = config.env.num_users
    real, site, flag = torch.float32, SITE, torch.bool
    return {
        "position": ((users, 2), real),
        "association": ((users,), site),
        "request": ((users,), flag),
        "task": ((users, len(TASK)), real),
        "deployment": ((users,), site),
        "served": ((users,), flag),
        "power": ((users,), real),
        "weight": ((weight_layout(config.env).size,), real),
        "choice": ((users,), site),
        "reward": ((3, reward_parts(config)), real),
    } | ({"queue": ((users,), real)} if config.critic_sees_queue else {})


def record(
    world: World, decision: Decision, outcome: Outcome, *, reward: Tensor
) -> dict[str, Tensor]:
    """Return what is kept of N slots of W worlds: [N·W, …], slot after slot.

    A user's CPU weight counts at one base station, and so does its wired weight: K of each are kept
    instead of M·K.

    Args:
        world: leading axes [W, N].
        decision: what was done there; its actions are those executed, exploration included.
        outcome: gives the queue.
        reward: [kinds of agents, outputs, W, N].
    """
    chosen, counts = decision.actions, decision.weight_counts
    shares = {"cpu": chosen.cpu_share, "wired": chosen.wired_share}
    kept = {
        "position": world.position,
        "association": world.association,
        "request": world.request,
        "task": torch.stack([getattr(world, name) for name in TASK], dim=-1),
        "deployment": decision.deployment,
        "served": decision.served,
        "power": decision.power_unit,
        "weight": (weight_layout(decision.env).join(shares) * counts).sum(-2),
        "choice": chosen.deployment,
        "queue": outcome.frame_queue,
        "reward": reward.permute(2, 3, 0, 1),
    }
    return {name: array.transpose(0, 1).flatten(0, 1) for name, array in kept.items()}


def recall(
    rows: dict[str, Tensor], *, bs_position: Tensor, env: EnvConfig, config: TrainConfig
) -> Batch:
    """Return a mini-batch as agents saw it, and as they see it now.

    Args:
        rows: [2n, …], what :func:`record` kept of n slots, then of those that followed.
        bs_position: [M, 2], m.
        config: what agents and critics observe.
    """
    world = _world(rows, bs_position, env)
    deployment, served = rows["deployment"].long()[None], rows["served"][None]
    queue = rows["queue"][None] if config.critic_sees_queue else None
    users = observe_users(world, env, derived=config.observation == "derived")
    obs = {
        "users": users[0].transpose(0, 1),
        "stations": observe_stations(world, deployment, env)[0].transpose(0, 1),
        "centre": observe_centre(world, env),
    }
    asked = world.request
    choice = one_hot(rows["choice"].long()[None], env.num_bs) * asked.unsqueeze(-1)
    if config.twin_by_twin:  # one network decides twin by twin: each is an agent
        obs["centre"] = observe_twins(world, env)[0].transpose(0, 1)
        choice, asked = choice.transpose(0, 2), asked.transpose(0, 2)
    sending = world.request if env.migrating_transmits else served
    counts = station_mask(world.association, env, deployment=deployment, served=served)
    stations = counts[0].transpose(0, 1)
    mask = {"users": sending.transpose(0, 2), "stations": stations, "centre": asked}
    state, half = global_state(world, deployment, env, queue=queue)[0], world.slots // 2
    now, after = (
        View(
            obs={kind: array[:, part] for kind, array in obs.items()},
            mask={kind: array[:, part] for kind, array in mask.items()},
            state=state[part],
        )
        for part in (slice(half), slice(half, None))
    )
    actions = {
        "users": rows["power"][:half].mT.unsqueeze(-1),
        "stations": rows["weight"][:half] * now.mask["stations"],
        "centre": choice[:, :half].flatten(2),
    }
    return Batch(
        now=now, after=after, actions=actions, reward=rows["reward"][:half].permute(1, 2, 0)
    )


def _world(rows: dict[str, Tensor], bs_position: Tensor, env: EnvConfig) -> World:
    """The world in n slots as far as agents see it, [1, n]; speed, direction, gain are empty."""
    position = rows["position"]
    offset = position.unsqueeze(-2) - bs_position
    distance = torch.linalg.vector_norm(offset, dim=-1).clamp_min(env.min_distance_m)
    seen = {
        "position": position,
        "distance": distance,
        "association": rows["association"].long(),
        "request": rows["request"],
    } | dict(zip(TASK, rows["task"].unbind(-1), strict=True))
    unseen = dict.fromkeys(("speed", "direction", "gain"), position.new_empty(0))
    arrays = {name: array.unsqueeze(0) for name, array in seen.items()}
    return World(**arrays, **unseen, bs_position=bs_position)
