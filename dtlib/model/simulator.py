"""World and actions to outcome: the network's response over whole episodes or single slots."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from dtlib.model.channel import rate, sinr
from dtlib.model.lyapunov import frame_start, objective, virtual_queue
from dtlib.model.synchronization import edge_delay, energy, failures, pick, shares, transfer_delay
from dtlib.model.world import World
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_type
from dtlib.runtime.tensors import check_tensor
from dtlib.settings.env import EnvConfig


@dataclass(frozen=True, kw_only=True)
class Actions:
    """What all agents do in N slots, eqs. (21), (23) and (25)."""

    power: Tensor
    """[R, N, K], W, in [0, P_max]."""
    cpu_share: Tensor
    """[R, N, M, K], which part of a user's slice of a server is used, in [0, 1], without effect
    where slices are whole; where servers divide their CPU among those served, weights ≥ 0."""
    wired_share: Tensor
    """[R, N, M, K], non-negative weights among the users of a link i→j; row i is the sender."""
    deployment: Tensor
    """[R, N, K], int, β̃: where the centre would put each twin."""

    def window(self, start: int, stop: int) -> Self:
        """Return slots ``start`` to ``stop − 1`` as views."""
        return replace(self, **{name: array[:, start:stop] for name, array in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Carry:
    """What one stretch of slots hands to the next."""

    slot: int
    """Number of the next slot within the episode."""
    deployment: Tensor
    """[R, K], β in force."""
    pending: Tensor
    """[R, K], the centre's latest choice β̃."""
    migrated: Tensor
    """[R, K], bool, whether the twin moved at the start of the current frame."""
    queue: Tensor
    """[R, K], Y of the next slot."""
    frame_queue: Tensor
    """[R, K], Y[qT] of the current frame."""


def initial_carry(world: World, queue: Tensor | None = None) -> Carry:
    """Return the state before slot 0: each twin at the base station that is nearest then.

    Args:
        world: its slot 0 is the episode's first.
        queue: [R, K], Y[0]; zero if absent.
    """
    nearest = world.association[:, 0]
    start = torch.zeros_like(nearest, dtype=torch.float64) if queue is None else queue
    still = torch.zeros_like(nearest, dtype=torch.bool)
    return Carry(
        slot=0, deployment=nearest, pending=nearest, migrated=still, queue=start, frame_queue=start
    )


def first_carry(world: World, carry: Carry | None) -> Carry:
    """Return the state before the world's first slot: the given one, or an episode's start."""
    if carry is None:
        return initial_carry(world)
    check_type("carry", carry, Carry, such="outcome.carry")
    found, wanted = tuple(carry.queue.shape), tuple(world.association[:, 0].shape)
    if found != wanted:
        raise ConfigError(f"carry has [R, K] = {found}: must be {wanted}, as the world")
    return carry


@dataclass(frozen=True, kw_only=True)
class Response:
    """What the network does with N slots, each by itself; [R, N, K] each."""

    sinr: Tensor
    """Linear; zero for silent users."""
    rate_bps: Tensor
    """Uplink rate, bit/s."""
    cpu_hz: Tensor
    """Frequency given by the twin's server; zero without a request and while the twin migrates."""
    wired_bps: Tensor
    """Rate from the serving base station to the twin's; zero where none is needed."""
    delay_s: Tensor
    """s, eq. (9); infinite if it never ends; zero without a request and while the twin migrates."""
    failure: Tensor
    """bool, X of eq. (12)."""
    energy_j: Tensor
    """J, eq. (13)."""


@dataclass(frozen=True, kw_only=True)
class Outcome(Response):
    """What the network did in N slots of an episode."""

    deployment: Tensor
    """[R, N, K], int, β held over each frame."""
    migrating: Tensor
    """[R, N, K], bool."""
    queue: Tensor
    """[R, N+1, K], float64, Y of eq. (15)."""
    frame_queue: Tensor
    """[R, N, K], float64, Y[qT] held over each frame."""
    reward_global: Tensor
    """[R, N], r_g of eq. (28), for users and base stations."""
    reward_global_user: Tensor
    """[R, N, K], each user's part of r_g; they add up to it."""
    reward_centre: Tensor
    """[R, N], r_c of eq. (26), multiplied by ν."""
    reward_centre_user: Tensor
    """[R, N, K], each user's part of r_c, −ν r_{c,k}/K of eq. (27); they add up to it."""
    request: Tensor
    """[R, N, K], bool, copied from the world."""
    carry: Carry
    """State for the slots that follow."""

    @property
    def failure_ratio_slots(self) -> Tensor:
        """Failures per slot, as (14b) counts them: [R, K]."""
        return self.failure.double().mean(1)

    @property
    def failure_ratio_requests(self) -> Tensor:
        """Failures per request: [R, K]; zero for a user without any."""
        return self.failure.double().sum(1) / self.request.double().sum(1).clamp_min(1)

    @property
    def energy_per_slot_j(self) -> Tensor:
        """Mean energy per slot: [R, K], J."""
        return self.energy_j.double().mean(1)

    @property
    def migrations(self) -> Tensor:
        """Twins moved after the first of these slots: [R]."""
        return (self.deployment.diff(dim=1) != 0).double().sum((1, 2))


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """Return successive stretches of slots as one."""
    if len(outcomes) == 1:
        return outcomes[0]
    arrays = {
        name: torch.cat([getattr(outcome, name) for outcome in outcomes], dim=1)
        for name in vars(outcomes[0])
        if name not in ("queue", "carry")
    }
    queues = [outcome.queue[:, :-1] for outcome in outcomes] + [outcomes[-1].queue[:, -1:]]
    return Outcome(**arrays, queue=torch.cat(queues, dim=1), carry=outcomes[-1].carry)


def deploy(choice: Tensor, env: EnvConfig, carry: Carry) -> tuple[Tensor, Tensor, Carry]:
    """Hold the centre's choices over frames: β(q), and the G slots that a move takes.

    Args:
        choice: [R, N, K], β̃ in every slot.
        env: gives T, G and when the choice is taken.
        carry: the state before the first of these slots.

    Returns:
        β [R, N, K]; whether the twin is migrating [R, N, K]; ``carry`` with its deployment,
        pending choice and migration brought up to date.
    """
    slots = choice.shape[1]
    number = torch.arange(carry.slot, carry.slot + slots, device=choice.device)
    start = number // env.frame_slots * env.frame_slots - carry.slot
    lag = 1 if env.deployment_decision == "frame-end" else 0
    known = torch.cat([carry.deployment[:, None], carry.pending[:, None], choice], dim=1)
    decided = torch.where(start >= 0, start - lag + 2, 0)
    deployment = known[:, decided]
    before = torch.where(start > 0, decided[(start - 1).clamp_min(0)], 0)
    moved = deployment != known[:, before]
    moved = torch.where((start >= 0)[:, None], moved, carry.migrated[:, None])
    migrating = moved & (number % env.frame_slots < env.migration_slots)[:, None]
    last = {"deployment": deployment[:, -1], "pending": choice[:, -1], "migrated": moved[:, -1]}
    return deployment, migrating, replace(carry, slot=carry.slot + slots, **last)


def cpu_parts(weight: Tensor, *, server: Tensor, active: Tensor, env: EnvConfig) -> Tensor:
    """Return each user's part of its server's CPU, (14g) and (14h), by ``cpu_sharing``.

    Args:
        weight: [..., K], ``cpu_share`` of :class:`Actions` at the user's server.
        server: [..., K], int, where each user's twin lives.
        active: [..., K], bool, users to be served.
        env: K, M and the reading.

    Returns:
        [..., K], in [0, 1]; the parts of a server add up to at most 1; zero for users not served.
    """
    if env.cpu_sharing == "served":
        return shares(weight, group=server, member=active, groups=env.num_bs)
    used = torch.ones_like(weight) if env.cpu_sharing == "whole" else weight
    return torch.where(active, used, 0) / owners(server, env)


def owners(server: Tensor, env: EnvConfig) -> Tensor | int:
    """Return among how many users each user's server is partitioned: K, or those it hosts."""
    if env.cpu_sharing != "hosted":
        return env.num_users
    hosted = torch.zeros(*server.shape[:-1], env.num_bs, dtype=torch.int64, device=server.device)
    return hosted.scatter_add(-1, server, torch.ones_like(server)).gather(-1, server)


def edge(
    world: World, actions: Actions, env: EnvConfig, *, server: Tensor, active: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return CPU, wired rate and the delay behind the radio link if twins lived at ``server``.

    Args:
        world: gives sizes, cycles and the serving base station.
        actions: their CPU and wired weights.
        env: capacities.
        server: [R, N, K], int.
        active: [R, N, K], bool, users to be served.

    Returns:
        CPU in Hz, wired rate in bit/s, delay in s; each [R, N, K].
    """
    near, remote = world.association, server != world.association
    used, asked = pick(actions.cpu_share, server), pick(actions.wired_share, near)
    cpu = env.cpu_hz * cpu_parts(used, server=server, active=active, env=env)
    link, member = near * env.num_bs + server, active & remote
    wired = env.wired_rate_bps * shares(asked, group=link, member=member, groups=env.num_bs**2)
    delay_s = edge_delay(
        torch.where(active, world.data_bits, 0), cycles_per_bit=world.cycles_per_bit,
        cpu_hz=cpu, wired_bps=wired, remote=remote,
    )  # fmt: skip
    return cpu, wired, delay_s


def respond(
    world: World, actions: Actions, env: EnvConfig, *, deployment: Tensor, migrating: Tensor
) -> Response:
    """Return what becomes of each slot's requests, eqs. (6)–(13); slots know nothing of each other.

    Args:
        world: leading axes [R, N], any slots in any order.
        actions: of these slots; their deployment is not used.
        deployment: [R, N, K], int, β in force.
        migrating: [R, N, K], bool.
    """
    served = world.request & ~migrating
    radio = world.request if env.migrating_transmits else served
    power = torch.where(radio, actions.power, 0)
    ratio = sinr(
        power, gain=world.gain, association=world.association, noise_w=env.noise_w,
        interference=env.interference,
    )  # fmt: skip
    rate_bps = rate(ratio, env.bandwidth_hz)
    cpu, wired, behind = edge(world, actions, env, server=deployment, active=served)
    delay = transfer_delay(torch.where(served, world.data_bits, 0), rate_bps=rate_bps) + behind
    deadline, sent = world.deadline_s, torch.where(radio, world.data_bits, 0)
    failure = failures(world.request, migrating=migrating, delay_s=delay, deadline_s=deadline)
    paid = energy(
        power, bits=sent, rate_bps=rate_bps, deadline_s=deadline, failure=failure,
        rule=env.energy_of_failed,
    )  # fmt: skip
    return Response(
        sinr=ratio, rate_bps=rate_bps, cpu_hz=cpu, wired_bps=wired, delay_s=delay,
        failure=failure, energy_j=paid,
    )  # fmt: skip


LARGEST_WEIGHT = 1e30
"""The sum over all users is finite in float32."""


def check_actions(actions: Actions, world: World, env: EnvConfig) -> None:
    """Raise ``ValueError``, one line, if actions do not fit the world or leave their bounds."""
    check_type("actions", actions, Actions, such="policies.act(world)")
    lead, users, sites = world.request.shape[:2], env.num_users, env.num_bs
    part = LARGEST_WEIGHT if env.cpu_sharing == "served" else 1
    rules = {
        "power": ((*lead, users), env.max_power_w),
        "cpu_share": ((*lead, sites, users), part),
        "wired_share": ((*lead, sites, users), LARGEST_WEIGHT),
        "deployment": ((*lead, users), sites - 1),
    }
    for name, (shape, most) in rules.items():
        array, whole = getattr(actions, name), name == "deployment"
        check_tensor(f"actions.{name}", array, shape=shape, most=most, whole=whole)


def simulate(
    world: World, actions: Actions, env: EnvConfig, *, carry: Carry | None = None
) -> Outcome:
    """Return the outcome of a policy's actions in a world, eqs. (6)–(28), with no loop over slots.

    Args:
        world: leading axes [R, N]; N slots of an episode that ``carry`` says where to begin.
        actions: the same N slots.
        carry: the state before the first slot; the start of an episode if absent.

    Raises:
        ConfigError: the world is of another K or M than ``env``, or of another R than ``carry``.
        ValueError: actions do not fit the world or leave their bounds.

    >>> from dtlib import Policies, TrainConfig, sample_world
    >>> env = EnvConfig(num_users=4, frames=2)
    >>> world = sample_world(env, seed=0)
    >>> actions = Policies(TrainConfig(env=env)).act(world)  # not trained yet
    >>> outcome = simulate(world, actions, env)
    >>> outcome.energy_j.shape, outcome.reward_global.shape, outcome.carry.slot
    (torch.Size([1, 200, 4]), torch.Size([1, 200]), 200)
    """
    check_type("world", world, World, such="sample_world(env, seed)")
    check_type("env", env, EnvConfig, such="run.config.env")
    world.check(env)
    check_actions(actions, world, env)
    carry = first_carry(world, carry)
    deployment, migrating, after = deploy(actions.deployment, env, carry)
    found = respond(world, actions, env, deployment=deployment, migrating=migrating)

    queue = virtual_queue(found.failure, env.failure_threshold, initial=carry.queue)
    held = frame_start(
        queue[:, :-1], frame_slots=env.frame_slots, first_slot=carry.slot, before=carry.frame_queue
    )
    reward_user = -objective(found.energy_j, failure=found.failure, frame_queue=held, env=env)
    lag = edge(world, actions, env, server=actions.deployment, active=world.request)[2]
    if env.centre_delay == "capped":
        lag = lag.clamp_max(env.slot_s)
    centre_user = lag * (-env.reward_scale / env.num_users)
    return Outcome(
        **vars(found), deployment=deployment, migrating=migrating, queue=queue, frame_queue=held,
        reward_global=reward_user.sum(-1), reward_global_user=reward_user,
        reward_centre=centre_user.sum(-1), reward_centre_user=centre_user, request=world.request,
        carry=replace(after, queue=queue[:, -1], frame_queue=held[:, -1]),
    )  # fmt: skip
