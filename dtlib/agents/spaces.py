"""What each kind of agent sees and puts out, and which of its numbers have an effect."""

from collections.abc import Callable, Iterable
from itertools import takewhile

import torch
from torch import Tensor

from dtlib.kernels.first_layer import Columns
from dtlib.kernels.outputs import Output
from dtlib.model.layouts import (
    Field,
    Layout,
    centre_layout,
    station_layout,
    twin_layout,
    user_layout,
    weight_layout,
)
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig


def layouts(config: TrainConfig) -> dict[str, Layout]:
    """Return what MUs, base stations and the centre observe, by kind."""
    env = config.env
    return {
        "users": user_layout(env, config.observation == "derived"),
        "stations": station_layout(env),
        "centre": twin_layout(env) if config.twin_by_twin else centre_layout(env),
    }


def outputs(config: TrainConfig) -> dict[str, Output]:
    """Return what the networks of MUs, base stations and the centre put out, by kind.

    Each number has two parameters of a distribution, or is put out itself (MADDPG). MUs may have a
    gate, the logit of sending at all. The centre scores M servers for each twin.
    """
    env, parts = config.env, 1 if config.head == "deterministic" else 2
    twins, gated = 1 if config.twin_by_twin else env.num_users, config.chooses_silence
    return {
        "users": Output(numbers=1, parts=parts + gated, gated=gated),
        "stations": Output(numbers=weight_layout(env).size, parts=parts),
        "centre": Output(numbers=twins, parts=env.num_bs, choices=True),
    }


def columns(layout: Layout) -> Columns:
    """Return how a vector begins: what need not be multiplied row by row, slot after slot.

    >>> columns(station_layout(EnvConfig(num_users=3, num_bs=2)))
    Columns(slow=5, flags=12)
    """
    steady = leading(layout, lambda field: field.changes != "always")
    return Columns(steady.size, leading(layout[len(steady) :], lambda field: field.flags).size)


def leading(layout: Iterable[Field], holds: Callable[[Field], bool]) -> Layout:
    """Return the first fields, as long as ``holds`` is true of them.

    >>> leading(user_layout(EnvConfig(num_bs=2)), lambda field: field.changes == "never").size
    5
    """
    return Layout(takewhile(holds, layout))


def carried_out(request: Tensor, env: EnvConfig) -> Tensor:
    """Return which of an episode's requests [R, N, K] are of slots whose β̃ becomes β.

    >>> env = EnvConfig(num_users=1, frames=3, frame_slots=2, migration_slots=0)
    >>> carried_out(torch.ones(1, 6, 1, dtype=torch.bool), env).flatten().tolist()
    [False, True, False, True, False, True]
    """
    slot = torch.arange(request.shape[1], device=request.device)
    first = (slot + (env.deployment_decision == "frame-end")) % env.frame_slots == 0
    return request & first[:, None]


def station_mask(
    association: Tensor, env: EnvConfig, *, deployment: Tensor, served: Tensor
) -> Tensor:
    """Return which of a base station's weights count: CPU of hosted, wire of remote users.

    Where slices of the CPU are used whole, no weight counts for them.

    Args:
        association: [R, N, K], int.
        env: gives M and the reading.
        deployment: [R, N, K], int, β in force.
        served: [R, N, K], bool.

    Returns:
        [R, N, M, 2K], bool, in the order of :func:`~dtlib.model.layouts.weight_layout`.
    """
    site = torch.arange(env.num_bs, device=served.device)[:, None]
    hosted = (deployment.unsqueeze(-2) == site) & served.unsqueeze(-2)
    hosted &= env.cpu_sharing != "whole"
    remote = served & (deployment != association)
    sender = (association.unsqueeze(-2) == site) & remote.unsqueeze(-2)
    return weight_layout(env).join({"cpu": hosted, "wired": sender})
