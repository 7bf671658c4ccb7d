"""The network once more, slowly: loops over slots, users and base stations in plain Python.

Written from the paper's equations and the descriptions of ``EnvConfig``'s fields alone; it uses
none of ``dtlib``'s equations. It reads only what is exogenous in a world (positions, fading,
requests and their data) and works in double precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Generator

from dtlib import Actions, EnvConfig, World


@dataclass
class Series:
    """What :func:`simulate_by_loops` returns: lists over slots (and users), as in ``Outcome``."""

    deployment: list
    migrating: list
    sinr: list
    rate_bps: list
    wired_bps: list
    cpu_hz: list
    delay_s: list
    failure: list
    energy_j: list
    queue: list
    frame_queue: list
    reward_global: list
    reward_global_user: list
    reward_centre: list
    reward_centre_user: list


def power_gain(
    distance: float, scatter: complex, ref_gain: float, exponent: float, rician_factor: float
) -> float:
    """|h|² of eq. (5), with complex numbers."""
    los = math.sqrt(rician_factor / (rician_factor + 1)) * complex(1, 0)
    nlos = math.sqrt(1 / (rician_factor + 1)) * scatter
    return abs(math.sqrt(ref_gain / distance**exponent) * (los + nlos)) ** 2


def walk_with_reflections(
    start: float,
    second: float,
    speeds: list[float],
    mean_heading: float,
    heading: float,
    memory: float,
    std: float,
    noise: list[float],
    slot_s: float,
    width: float,
) -> tuple[list[tuple[float, float]], list[float]]:
    """One user who bounces off the walls, slot by slot: eqs. (2)–(4).

    A bounce mirrors everything that has a direction: heading, mean heading and the side to which
    the next noise turns. Several walls may be hit in one slot.
    """
    x, y, turn = start, second, 1.0
    positions, headings = [(x, y)], [heading]
    for n in range(1, len(speeds)):
        x += speeds[n - 1] * math.cos(heading) * slot_s
        y += speeds[n - 1] * math.sin(heading) * slot_s
        heading = (
            memory * heading
            + (1 - memory) * mean_heading
            + math.sqrt(1 - memory**2) * std * turn * noise[n - 1]
        )
        while not 0 <= x <= width:
            x = -x if x < 0 else 2 * width - x
            heading, mean_heading, turn = math.pi - heading, math.pi - mean_heading, -turn
        while not 0 <= y <= width:
            y = -y if y < 0 else 2 * width - y
            heading, mean_heading, turn = -heading, -mean_heading, -turn
        positions.append((x, y))
        headings.append(heading)
    return positions, headings


def lindley(failures: list[bool], threshold: float, initial: float = 0.0) -> list[float]:
    """Eq. (15), slot by slot, for one user."""
    queue = [initial]
    for failed in failures:
        queue.append(max(queue[-1] + (1.0 if failed else 0.0) - threshold, 0.0))
    return queue


def _divide(capacity: float, weights: dict[int, float]) -> dict[int, float]:
    """Divide a capacity in proportion to weights; equally if all of them are zero."""
    total = math.fsum(weights.values())
    if total == 0:
        return {k: capacity / len(weights) for k in weights}
    return {k: capacity * weight / total for k, weight in weights.items()}


def _over(amount: float, rate: float) -> float:
    return amount / rate if rate > 0 else math.inf


def _edge_by_loops(env, nearest, home, served, cpu_weight, wired_weight, bits, cycles):
    """CPU, wired rate and delay behind the radio link of those served, eqs. (9)–(11)."""
    cpu, wired = [0.0] * env.num_users, [0.0] * env.num_users
    for j in range(env.num_bs):
        hosted = {k: cpu_weight[j][k] for k in served if home[k] == j}
        if env.cpu_sharing == "served":
            for k, given in _divide(env.cpu_hz, hosted).items():
                cpu[k] = given
        else:
            owners = home.count(j) if env.cpu_sharing == "hosted" else env.num_users
            for k, used in hosted.items():
                cpu[k] = (1 if env.cpu_sharing == "whole" else used) * env.cpu_hz / owners
        for i in range(env.num_bs):
            if i == j:
                continue
            linked = {k: wired_weight[i][k] for k in served if nearest[k] == i and home[k] == j}
            for k, given in _divide(env.wired_rate_bps, linked).items():
                wired[k] = given
    delay = [0.0] * env.num_users
    for k in served:
        delay[k] = _over(bits[k] * cycles[k], cpu[k])
        if home[k] != nearest[k]:
            delay[k] += _over(bits[k], wired[k])
    return cpu, wired, delay


def simulate_by_loops(world: World, actions: Actions, env: EnvConfig, replica: int = 0) -> Series:
    """A whole episode of one replica, eqs. (6)–(15), (19) and (26)–(28), slot by slot."""
    position = world.position[replica].tolist()
    sites = world.bs_position.tolist()
    gains = world.gain[replica].tolist()
    asks = world.request[replica].tolist()
    data = world.data_bits[replica].tolist()
    density = world.cycles_per_bit[replica].tolist()
    deadlines = world.deadline_s[replica].tolist()
    powers = actions.power[replica].tolist()
    cpu_weights = actions.cpu_share[replica].tolist()
    wired_weights = actions.wired_share[replica].tolist()
    choices = actions.deployment[replica].tolist()

    users = range(env.num_users)
    eps, eta, nu = env.failure_threshold, env.control_factor, env.reward_scale
    out = Series(*([] for _ in range(15)))
    queue = [0.0 for _ in users]
    held = list(queue)
    home = [_nearest(position[0][k], sites) for k in users]
    moved = [False for _ in users]
    out.queue.append(list(queue))

    for n in range(env.frames * env.frame_slots):
        nearest = [_nearest(position[n][k], sites) for k in users]
        into_frame = n % env.frame_slots
        if into_frame == 0:
            if env.deployment_decision == "frame-start":
                decided = choices[n]
            else:
                decided = choices[n - 1] if n > 0 else home
            moved = [decided[k] != home[k] for k in users]
            home = list(decided)
            held = list(queue)
        migrating = [moved[k] and into_frame < env.migration_slots for k in users]
        asking = [k for k in users if asks[n][k]]
        served = [k for k in asking if not migrating[k]]
        on_air = asking if env.migrating_transmits else served

        sinr, rate = [0.0 for _ in users], [0.0 for _ in users]
        for k in on_air:
            m = nearest[k]
            others = 0.0
            for i in on_air:
                if i != k:
                    heard = gains[n][i][m if env.interference == "receiver" else nearest[i]]
                    others += heard * powers[n][i]
            sinr[k] = powers[n][k] * gains[n][k][m] / (others + env.noise_w)
            rate[k] = env.bandwidth_hz * math.log1p(sinr[k]) / math.log(2)

        cpu, wired, behind = _edge_by_loops(
            env, nearest, home, served, cpu_weights[n], wired_weights[n], data[n], density[n]
        )
        delay, failed, energy = [0.0 for _ in users], [False for _ in users], [0.0 for _ in users]
        for k in served:
            delay[k] = _over(data[n][k], rate[k]) + behind[k]
        for k in asking:
            failed[k] = migrating[k] or delay[k] > deadlines[n][k]
        for k in on_air:
            if powers[n][k] > 0:
                airtime = data[n][k] / rate[k]
                if env.energy_of_failed == "deadline":
                    airtime = min(airtime, deadlines[n][k])
                elif env.energy_of_failed == "none" and failed[k]:
                    airtime = 0.0
                energy[k] = powers[n][k] * airtime

        part = []
        for k in users:
            pressure = eta * held[k] * ((1.0 if failed[k] else 0.0) - eps)
            if env.objective_scale == "scaled":
                part.append(-nu * (energy[k] + pressure) / env.num_users)
            elif env.objective_scale == "mean":
                part.append(-(nu * energy[k] + pressure) / env.num_users)
            else:
                episode = env.frames * env.num_users * env.frame_slots
                part.append(-nu * (energy[k] / episode + pressure))

        would = _edge_by_loops(
            env, nearest, choices[n], asking, cpu_weights[n], wired_weights[n], data[n], density[n]
        )[2]
        if env.centre_delay == "capped":
            would = [min(one, env.slot_s) for one in would]
        centre = [-nu * would[k] / env.num_users for k in users]
        queue = [max(queue[k] + (1.0 if failed[k] else 0.0) - eps, 0.0) for k in users]

        out.deployment.append(home)
        out.migrating.append(migrating)
        out.sinr.append(sinr)
        out.rate_bps.append(rate)
        out.wired_bps.append(wired)
        out.cpu_hz.append(cpu)
        out.delay_s.append(delay)
        out.failure.append(failed)
        out.energy_j.append(energy)
        out.queue.append(queue)
        out.frame_queue.append(held)
        out.reward_global.append(sum(part))
        out.reward_global_user.append(part)
        out.reward_centre.append(sum(centre))
        out.reward_centre_user.append(centre)
    return out


def _nearest(position: list[float], sites: list[list[float]]) -> int:
    lengths = [math.dist(position, site) for site in sites]
    return lengths.index(min(lengths))


def random_actions(
    world: World,
    env: EnvConfig,
    seed: int = 0,
    zeros: float = 0.0,
    dtype: torch.dtype | None = None,
) -> Actions:
    """Uniform actions; a fraction ``zeros`` of the powers and weights is exactly zero."""
    generator = Generator().manual_seed(seed)
    lead, (users, sites) = (world.replicas, world.slots), (env.num_users, env.num_bs)
    dtype = world.gain.dtype if dtype is None else dtype

    def draw(*shape: int) -> torch.Tensor:
        values = torch.rand(*lead, *shape, generator=generator, dtype=torch.float64)
        keep = torch.rand(*lead, *shape, generator=generator) >= zeros
        return (values * keep).to(dtype)

    return Actions(
        power=draw(users) * env.max_power_w,
        cpu_share=draw(sites, users),
        wired_share=draw(sites, users),
        deployment=torch.randint(0, sites, (*lead, users), generator=generator),
    )


def deployed(world: World, env: EnvConfig, seed: int = 0) -> torch.Tensor:
    """A base station for each twin in each slot, at random."""
    generator = Generator().manual_seed(seed)
    return torch.randint(env.num_bs, world.association.shape, generator=generator)


CHOICES = {
    name: get_args(field.annotation) or (False, True)
    for name, field in EnvConfig.model_fields.items()
    if field.annotation is bool or get_origin(field.annotation) is Literal
}
"""Readings of the paper. One that is new is drawn, too, and fails unless the loops have it."""


@st.composite
def networks(draw: st.DrawFn, **fixed) -> EnvConfig:
    """Small networks with every reading of the paper, some of them overloaded."""
    frame_slots = draw(st.integers(1, 7))
    values = {
        "num_users": draw(st.integers(1, 6)),
        "num_bs": draw(st.integers(1, 4)),
        "frame_slots": frame_slots,
        "frames": draw(st.integers(1, 4)),
        "migration_slots": draw(st.integers(0, frame_slots - 1)),
        "request_prob": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "cpu_hz": draw(st.sampled_from([1e9, 10e9])),
        "wired_rate_bps": draw(st.sampled_from([1e6, 10e6])),
        "bandwidth_hz": draw(st.sampled_from([1e6, 10e6])),
        "path_loss_exponent": draw(st.sampled_from([2.0, 2.2, 3.0])),
        "area_m": draw(st.sampled_from([30.0, 1000.0])),
        "failure_threshold": draw(st.sampled_from([0.05, 0.2, 0.7])),
        "control_factor": draw(st.sampled_from([0.0, 1.0, 3.0])),
        "deadline_s": draw(st.sampled_from([(0.01, 0.05), (0.04, 0.05)])),
    }
    values |= {name: draw(st.sampled_from(choices)) for name, choices in CHOICES.items()}
    return EnvConfig(**values | fixed)


def powers_by_users(target, gain, association, noise_w, reading):
    """Least powers from K equations in K powers: p = Γ/g (σ² + Σ_{i≠k} g_i p_i); None if none."""
    users = range(len(target))
    matrix, right = np.zeros((len(target), len(target))), np.zeros(len(target))
    for k in users:
        own = gain[k][association[k]]
        right[k] = target[k] * noise_w / own
        for i in users:
            if i != k:
                heard = association[k] if reading == "receiver" else association[i]
                matrix[k, i] = target[k] * gain[i][heard] / own
    if max(abs(np.linalg.eigvals(matrix))) >= 1:
        return None
    return np.linalg.solve(np.eye(len(target)) - matrix, right)


def loop_mask(association, deployment, served, env):
    """Which CPU and wired weights have an effect, one at a time."""
    replicas, slots, users = served.shape
    mask = torch.zeros(replicas, slots, env.num_bs, 2 * users, dtype=bool)
    for r, n, k in served.nonzero().tolist():
        host, near = deployment[r, n, k].item(), association[r, n, k].item()
        mask[r, n, host, k] = env.cpu_sharing != "whole"
        if host != near:
            mask[r, n, near, users + k] = True
    return mask
