"""Which reward each kind of agent learns from: one for all, one per user, one MU's own effect."""

from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import torch
from torch import Tensor

from dtlib.agents.episode import Episode
from dtlib.agents.policies import Decision
from dtlib.model.channel import heard, rate
from dtlib.model.lyapunov import objective
from dtlib.model.simulator import Outcome
from dtlib.model.synchronization import edge_delay, energy, failures, transfer_delay
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import Credit, TrainConfig

CHUNK = 4096
"""Transmissions whose effect on all K users is computed at the same time, for the cache."""


class Streams(NamedTuple):
    """Rewards by kind of agent, each [outputs, R, N]."""

    users: torch.Tensor
    stations: torch.Tensor
    centre: torch.Tensor


def reward_parts(config: TrainConfig) -> int:
    """Return how many parts rewards have: one, or one of each user."""
    return 1 if config.credit == "joint" else config.env.num_users


def reward_streams(credit: Credit, outcome: Outcome) -> Streams:
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


def difference_reward(episode: Episode, instead: Tensor) -> Tensor:
    """Return what each MU's power adds to r_g: r_g minus what it would have been with another.

    The difference reward of Wolpert and Tumer (2001). What is taken away does not depend on the
    MU's action, so its expected gradient is that of r_g, without the noise of the K − 1 others.
    With the policy's mean action as the other power it is an advantage, the counterfactual baseline
    of Foerster et al. (2018) taken from the network itself. It needs, for a slot that is over, what
    base stations have measured: the power received from each MU, and delays behind the radio link.

    Args:
        episode: of N slots in R worlds.
        instead: [R, N, K], W, the other power; zero for silence.

    Returns:
        [R, N, K], in units of reward; zero for users that have nothing to send.
    """
    decision = episode.decision
    slots = _measured(decision, episode.outcome)
    after, gain = instead.flatten(0, 1), decision.world.gain.flatten(0, 1)
    slot, user = decision.sending.flatten(0, 1).nonzero(as_tuple=True)
    result = torch.zeros_like(after)
    for n, k in zip(slot.split(CHUNK), user.split(CHUNK), strict=True):
        result[n, k] = _effect(
            slots.at(n), decision.env, gain=gain[n, k], user=k, after=after[n, k]
        )
    return result.view_as(instead)


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """What base stations have measured in S slots, [S, K] each."""

    power: Tensor
    signal: Tensor
    """W, at the own base station."""
    others: Tensor
    """W, float64, what else is received there."""
    bits: Tensor
    """Zero where no data count."""
    behind: Tensor
    """s, delay behind the radio link."""
    data_bits: Tensor
    deadline_s: Tensor
    request: Tensor
    migrating: Tensor
    association: Tensor
    frame_queue: Tensor
    reward_global_user: Tensor

    def at(self, slot: Tensor) -> Self:
        return type(self)(**{name: array[slot] for name, array in vars(self).items()})


def _measured(decision: Decision, outcome: Outcome) -> _Heard:
    world, env = decision.world, decision.env
    power = torch.where(decision.sending, decision.actions.power, 0)
    bits = torch.where(decision.served, world.data_bits, 0)
    remote = outcome.deployment != world.association
    behind = edge_delay(
        bits, cycles_per_bit=world.cycles_per_bit, cpu_hz=outcome.cpu_hz,
        wired_bps=outcome.wired_bps, remote=remote,
    )  # fmt: skip
    signal, others = heard(
        power, gain=world.gain, association=world.association, interference=env.interference
    )
    known = vars(world) | vars(outcome)
    known |= {"power": power, "signal": signal, "others": others}
    known |= {"bits": bits, "behind": behind, "frame_queue": outcome.frame_queue.to(power.dtype)}
    return _Heard(**{field.name: known[field.name].flatten(0, 1) for field in fields(_Heard)})


def _effect(slots: _Heard, env: EnvConfig, *, gain: Tensor, user: Tensor, after: Tensor) -> Tensor:
    """Difference rewards of P transmissions, [P].

    Args:
        slots: of each transmission's slot, S = P.
        gain: [P, M], of the transmitting user to each base station.
        user: [P], int, who transmits.
        after: [P], W, the other power.
    """
    # The model's `respond` would hear all K users anew for each of the P powers, K times the work.
    # One power changes here, and with it each sum by one term; the formulas behind are the model's.
    row = torch.arange(len(user), device=user.device)
    reach = gain.gather(-1, slots.association)
    own = reach[row, user]
    if env.interference == "eq7":
        reach = own[:, None].expand_as(reach)
    change = (after - slots.power[row, user])[:, None] * reach
    change[row, user] = 0
    power, signal = slots.power.clone(), slots.signal.clone()
    power[row, user], signal[row, user] = after, after * own
    noise = (slots.others + change).clamp_min(0) + env.noise_w
    rate_bps = rate(signal / noise.to(signal.dtype), env.bandwidth_hz)
    delay = transfer_delay(slots.bits, rate_bps=rate_bps) + slots.behind
    failure = failures(
        slots.request, migrating=slots.migrating, delay_s=delay, deadline_s=slots.deadline_s
    )
    energy_j = energy(
        power, bits=slots.data_bits, rate_bps=rate_bps, deadline_s=slots.deadline_s,
        failure=failure, rule=env.energy_of_failed,
    )  # fmt: skip
    cost = objective(energy_j, failure=failure, frame_queue=slots.frame_queue, env=env)
    return (slots.reward_global_user + cost).sum(-1).to(power.dtype)
