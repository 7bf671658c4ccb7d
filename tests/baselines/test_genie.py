"""The genie bound against loops, brute force and a general solver, all in double precision."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_loops import deployed, networks, powers_by_users, random_actions
from free_twins import READINGS, free
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dtlib import Actions, EnvConfig, World, sample_world, simulate
from dtlib.baselines.genie import bound_energy, floor, genie


def slot_energy(world, n, home, cpu, wired, env):
    """Energy and largest power of one slot with given rates, by loops; infinite if impossible."""
    near, gain = world.association[0, n].tolist(), world.gain[0, n].tolist()
    targets, times = [], []
    for k in range(env.num_users):
        data, cycles = world.data_bits[0, n, k].item(), world.cycles_per_bit[0, n, k].item()
        left = world.deadline_s[0, n, k].item() - data * cycles / cpu[k]
        if home[k] != near[k]:
            left -= data / wired[k]
        if left <= 0 or data / (env.bandwidth_hz * left) > 200:
            return math.inf, math.inf
        times.append(left)
        targets.append(2 ** (data / (env.bandwidth_hz * left)) - 1)
    found = powers_by_users(targets, gain, near, env.noise_w, env.interference)
    if found is None:
        return math.inf, math.inf
    return float(np.dot(found, times)), float(max(found))


def divided(capacity, weights, groups):
    """Capacities of several groups in proportion to their members' weights."""
    totals = {g: sum(w for w, h in zip(weights, groups, strict=True) if h == g) for g in groups}
    return [capacity * w / totals[g] for w, g in zip(weights, groups, strict=True)]


def solved(world, n, home, env, limit=None):
    """Least energy of a slot by SLSQP over the logarithms of weights."""
    users, near = env.num_users, world.association[0, n].tolist()

    def value(x):
        weight = np.exp(x)
        cpu = divided(env.cpu_hz, weight[:users], home)
        wired = divided(env.wired_rate_bps, weight[users:], list(zip(near, home, strict=True)))
        return np.log(slot_energy(world, n, home, cpu, wired, env))

    limits = ()
    if limit is not None:
        limits = ({"type": "ineq", "fun": lambda x: math.log(limit) - value(x)[1]},)
    got = minimize(
        lambda x: value(x)[0], np.zeros(2 * users), method="SLSQP", constraints=limits,
        options={"ftol": 1e-13, "maxiter": 300},
    )  # fmt: skip
    assert limit is None or value(got.x)[1] <= math.log(limit) + 1e-6
    return math.exp(got.fun)


@pytest.mark.parametrize("reading", READINGS)
def test_shares_are_those_of_a_general_solver(reading):
    values = {"num_users": 4, "frames": 12, "cpu_hz": 3e9, "wired_rate_bps": 5e6}
    env = free(**values, interference=reading, max_power_w=1e3)
    world = sample_world(env, 2, dtype=torch.float64)
    assert (world.association[:, :, :1] != world.association).any()
    home = deployed(world, env)
    got = genie(world, env, served=world.request, deployment=home)
    for n in range(env.slots):
        best = solved(world, n, home[0, n].tolist(), env)
        assert got.energy_j[0, n].sum().item() == pytest.approx(best, rel=1e-8)


def test_shares_respect_the_largest_power():
    """A little less power than the optimum would use: others give way, at some cost."""
    env = free(num_users=4, frames=3, cpu_hz=3e9, wired_rate_bps=5e6, max_power_w=1e3)
    world = sample_world(env, 2, dtype=torch.float64)
    home = deployed(world, env)
    wide = genie(world, env, served=world.request, deployment=home)
    for n in range(env.slots):
        slot, limit = world.window(n, n + 1), 0.97 * wide.power[0, n].max().item()
        tight = env.replace(max_power_w=limit)
        got = genie(slot, tight, served=slot.request, deployment=home[:, n : n + 1])
        best = solved(world, n, home[0, n].tolist(), tight, limit=limit)
        assert got.feasible.all() and (got.power <= limit).all()
        assert got.energy_j.sum().item() == pytest.approx(best, rel=1e-5)
        assert got.energy_j.sum() > wide.energy_j[0, n].sum()


def on_one_server(seed: int, reading: str) -> tuple[EnvConfig, World]:
    """Slots of two users of one server; half of them can be served, and few by equal shares."""
    env = free(
        num_users=2, num_bs=1, frames=150, cpu_hz=1e9, bandwidth_hz=3e6, area_m=100.0,
        deadline_s=(0.005, 0.05), data_bits=(1e3, 30e3), interference=reading,
    )  # fmt: skip
    return env, sample_world(env, seed, dtype=torch.float64)


@pytest.mark.parametrize("reading", READINGS)
def test_feasible_is_what_brute_force_finds(reading):
    """Also where equal shares leave no time: no share of a grid serves what the genie cannot."""
    env, world = on_one_server(5, reading)
    got = genie(world, env, served=world.request, deployment=world.association)
    grid = np.linspace(0, 1, 402)[1:-1]
    for n in range(env.slots):
        costs = []
        for part in grid:
            cpu = [env.cpu_hz * part, env.cpu_hz * (1 - part)]
            energy, largest = slot_energy(world, n, [0, 0], cpu, [1, 1], env)
            costs.append(energy if largest <= env.max_power_w else math.inf)
        energy = got.energy_j[0, n].sum().item()
        assert energy <= min(costs) * (1 + 1e-5)
        assert math.isinf(min(costs)) or energy >= 0.98 * min(costs)
    equal = [slot_energy(world, n, [0, 0], [5e8, 5e8], [1, 1], env) for n in range(150)]
    by_equal = sum(largest <= env.max_power_w for _, largest in equal)
    assert by_equal < got.feasible.sum() < env.slots


def actions_of(result, deployment, env, slack: float) -> Actions:
    actions = result.actions(deployment, env)
    return replace(actions, power=actions.power * (1 + slack))


@pytest.mark.parametrize("reading", READINGS)
def test_simulation_serves_exactly_what_was_asked(reading):
    env = free(num_users=6, num_bs=3, frames=200, request_prob=0.7, interference=reading)
    world = sample_world(env, 3, replicas=2, dtype=torch.float64)
    home = deployed(world, env)
    served = world.request & (torch.rand(world.request.shape) < 0.8)
    result = genie(world, env, served=served, deployment=home)
    assert result.feasible.all() and (served != world.request).any()
    outcome = simulate(world, actions_of(result, home, env, 1e-9), env)
    assert torch.equal(outcome.deployment, home)
    assert torch.equal(outcome.failure, world.request & ~served)
    torch.testing.assert_close(outcome.energy_j, result.energy_j, rtol=1e-7, atol=0)
    late = simulate(world, actions_of(result, home, env, -1e-6), env)
    assert (late.failure == world.request).all()  # least: with less power all are late
    bound = bound_energy(outcome, world, env)
    torch.testing.assert_close(bound, result.energy_j.sum(-1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("power", ["random", "equal"])
@settings(max_examples=25)
@given(env=networks(), seed=st.integers(0, 99))
def test_no_policy_falls_below_the_bound(power, env, seed):
    world = sample_world(env, seed, replicas=2, dtype=torch.float64)
    actions = random_actions(world, env, seed)
    if power == "equal":
        actions = replace(actions, power=torch.full_like(actions.power, env.max_power_w / 5))
    outcome = simulate(world, actions, env)
    bound = bound_energy(outcome, world, env)
    spent = outcome.energy_j.sum(-1)
    assert (bound <= spent * (1 + 1e-9)).all()
    served = outcome.request & ~outcome.failure
    least = genie(world, env, served=served, deployment=outcome.deployment)
    assert (bound <= least.energy_j.sum(-1) * (1 + 1e-9)).all()
    assert (least.energy_j.sum(-1)[least.feasible] <= spent[least.feasible] * (1 + 1e-5)).all()
    assert least.feasible.all()
    assert (floor(world, served, env).sum(-1) <= bound * (1 + 1e-9)).all()


@given(env=networks(), seed=st.integers(0, 99))
def test_what_cannot_be_served_is_infinite_and_never_nan(env, seed):
    world = sample_world(env, seed, dtype=torch.float64)
    home = deployed(world, env, seed)
    result = genie(world, env, served=world.request, deployment=home)
    for array in (result.power, result.energy_j, result.cpu_share, result.wired_share):
        assert not array.isnan().any() and (array >= 0).all()
        assert (array[~world.request] == 0).all()
    assert (result.energy_j.sum(-1).isfinite() == result.feasible).all()
    assert (result.power[result.feasible] <= env.max_power_w).all()
    lost = world.request & ~result.feasible[..., None]
    assert (result.energy_j[lost] == math.inf).all() and (result.power[lost] == math.inf).all()
    below = floor(world, world.request, env)
    assert not below.isnan().any() and (below.sum(-1) <= result.energy_j.sum(-1) * (1 + 1e-9)).all()


def test_floor_is_reached_by_a_server_for_each():
    env = free(num_users=1, num_bs=2, frames=20)
    world = sample_world(env, 0, dtype=torch.float64)
    local = genie(world, env, served=world.request, deployment=world.association).energy_j
    torch.testing.assert_close(floor(world, world.request, env), local)
    remote = genie(world, env, served=world.request, deployment=1 - world.association).energy_j
    assert (remote > local).all()


def test_slots_do_not_depend_on_each_other():
    env, world = on_one_server(6, "receiver")
    whole = genie(world, env, served=world.request, deployment=world.association).energy_j
    for n in (0, 70, 149):
        slot = world.window(n, n + 1)
        alone = genie(slot, env, served=slot.request, deployment=slot.association).energy_j
        torch.testing.assert_close(alone[:, 0], whole[:, n], rtol=1e-6, atol=0)
