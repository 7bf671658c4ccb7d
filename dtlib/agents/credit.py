"""Which reward each kind of agent learns from: one for all, one per user, one MU's own effect."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dtlib.model.channel import own_gain, rate
from dtlib.model.lyapunov import objective
from dtlib.model.simulator import Outcome
from dtlib.model.synchronization import edge_delay, energy, failures, transfer_delay
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig

CHUNK = 4096
"""Transmissions whose effect on all K users is computed at the same time, for the cache."""


class Streams(NamedTuple):
    """Rewards by kind of agent, each [outputs, R, N]."""

    users: torch.Tensor
    stations: torch.Tensor
    centre: torch.Tensor


def reward_streams(credit: Literal["joint", "per-user", "difference"], outcome: Outcome) -> Streams:
    """Return the rewards of MUs, base stations and the centre, of all users or by user.

    ``joint`` is r_g (28) for MUs and base stations and r_c (26) for the centre. The others have
    each user's part of them; the parts add up.
    """
    dtype = outcome.energy_j.dtype
    if credit == "joint":
        everyone = outcome.reward_global.to(dtype).unsqueeze(0)
        return Streams(everyone, everyone, outcome.reward_centre.unsqueeze(0))
    by_user = outcome.reward_global_user.to(dtype).movedim(-1, 0)
    return Streams(by_user, by_user, outcome.reward_centre_user.movedim(-1, 0))


def difference_reward(
    world: World, power: Tensor, instead: Tensor, outcome: Outcome, env: EnvConfig
) -> Tensor:
    """Return what each MU's power adds to r_g: r_g less what it had been with another power.

    The difference reward of Wolpert and Tumer (2002). What is taken away does not depend on the
    MU's action, so its expected gradient is that of r_g, without the noise of the K − 1 others.
    With the policy's mean action as the other power it is an advantage, the counterfactual baseline
    of Foerster et al. (2018) taken from the network itself. It needs, for a slot that is over, what
    base stations have measured: the power received from each MU, and delays behind the radio link.

    Args:
        world: leading axes [R, N].
        power: [R, N, K], W.
        instead: [R, N, K], W, the other power; zero for silence.
        outcome: of ``power`` in this world.
        env: the network.

    Returns:
        [R, N, K], in units of reward; zero for users that have nothing to send.
    """
    served = world.request & ~outcome.migrating
    bits = torch.where(served, world.data_bits, 0)
    remote = outcome.deployment != world.association
    behind = edge_delay(bits, world.cycles_per_bit, outcome.cpu_hz, outcome.wired_bps, remote)
    sending = world.request if env.migrating_transmits else served
    power = torch.where(sending, power, 0)
    signal = power * own_gain(world.gain, world.association)
    if env.interference == "receiver":
        received = (power.unsqueeze(-1) * world.gain).sum(-2, dtype=torch.float64)
        received = received.gather(-1, world.association)
    else:
        received = signal.sum(-1, keepdim=True, dtype=torch.float64).expand_as(signal)
    others = received - signal
    arrays = (
        power, instead, signal, others, bits, behind, world.data_bits, world.deadline_s,
        world.request, outcome.migrating, outcome.frame_queue.to(power.dtype),
        outcome.reward_global_user, world.association,
    )  # fmt: skip
    flat = [array.flatten(0, 1) for array in arrays]
    gain = world.gain.flatten(0, 1)
    slot, user = sending.flatten(0, 1).nonzero(as_tuple=True)
    result = torch.zeros_like(flat[0])
    for n, k in zip(slot.split(CHUNK), user.split(CHUNK), strict=True):
        result[n, k] = _gain(env, gain[n, k], k, *(array[n] for array in flat))
    return result.view_as(power)


def _gain(
    env: EnvConfig,
    gain: Tensor,
    user: Tensor,
    power: Tensor,
    instead: Tensor,
    signal: Tensor,
    others: Tensor,
    bits: Tensor,
    behind: Tensor,
    data_bits: Tensor,
    deadline: Tensor,
    request: Tensor,
    migrating: Tensor,
    queue: Tensor,
    reward: Tensor,
    association: Tensor,
) -> Tensor:
    """Difference rewards of P transmissions, [P]: arrays are of their slots, [P, K].

    Args:
        env: the network.
        gain: [P, M], of the transmitting user to each base station.
        user: [P], int, who transmits.
        power: W, with what follows from it: signal at the own base station and others', W.
    """
    row = torch.arange(len(user), device=user.device)
    before, after = power[row, user], instead[row, user]
    heard = gain.gather(-1, association)
    own = heard[row, user]
    if env.interference == "eq7":
        heard = own[:, None].expand_as(heard)
    change = (after - before)[:, None] * heard
    change[row, user] = 0
    power, signal = power.clone(), signal.clone()
    power[row, user], signal[row, user] = after, after * own
    noise = (others + change).clamp_min(0) + env.noise_w
    rate_bps = rate(signal / noise.to(signal.dtype), env.bandwidth_hz)
    failure = failures(request, migrating, transfer_delay(bits, rate_bps) + behind, deadline)
    energy_j = energy(power, data_bits, rate_bps, deadline, failure, env.energy_of_failed)
    cost = objective(
        energy_j, failure, queue, env.failure_threshold, env.control_factor,
        env.slots, env.reward_scale, env.objective_scale,
    )  # fmt: skip
    return (reward + cost).sum(-1).to(power.dtype)
