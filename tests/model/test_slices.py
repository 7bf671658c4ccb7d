"""Users who own a part of the CPU: by hand, its thresholds, and the genie bound there."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_loops import deployed, networks, powers_by_users, random_actions
from hypothesis import given
from hypothesis import strategies as st

from dtlib import EnvConfig, sample_world, simulate
from dtlib.baselines.admission import admit, genie_under_threshold
from dtlib.baselines.clairvoyant import Clairvoyant
from dtlib.baselines.genie import bound_energy, floor, genie
from dtlib.baselines.rules import DemandInversion, EqualPower, Reference
from dtlib.model.simulator import check_actions, cpu_parts, owners
from dtlib.studies.readings import thresholds

OWNED = ["slices", "hosted"]
FREE = {"frame_slots": 1, "migration_slots": 0, "deployment_decision": "frame-start"}
"""Twins move in every slot, so that any deployment can be simulated."""


def network(sharing, **values) -> EnvConfig:
    return EnvConfig(cpu_sharing=sharing, **FREE | {"num_users": 6, "num_bs": 3} | values)


# --- whose CPU it is ----------------------------------------------------------------------------


def test_parts_by_hand():
    """Three twins at server 0, one at server 1; user 2 is not served."""
    server, active = torch.tensor([0, 0, 0, 1]), torch.tensor([True, True, False, True])
    weight = torch.tensor([0.25, 1.0, 1.0, 0.5], dtype=torch.float64)
    expected = {
        "slices": [0.25 / 4, 1 / 4, 0, 0.5 / 4],
        "whole": [1 / 4, 1 / 4, 0, 1 / 4],
        "hosted": [0.25 / 3, 1 / 3, 0, 0.5],
        "served": [0.2, 0.8, 0, 1.0],
    }
    for sharing, parts in expected.items():
        env = EnvConfig(num_users=4, num_bs=3, cpu_sharing=sharing)
        assert cpu_parts(weight, server=server, active=active, env=env).tolist() == pytest.approx(
            parts
        ), sharing
    assert owners(server, EnvConfig(num_users=4, num_bs=3)) == 4
    hosted = EnvConfig(num_users=4, num_bs=3, cpu_sharing="hosted")
    assert owners(server, hosted).tolist() == [3, 3, 3, 1]


@pytest.mark.parametrize("sharing", OWNED)
def test_frequencies_by_hand(sharing):
    """f = a f_max / n, with the action at the server that hosts the twin, and no one else's."""
    env = network(sharing, num_users=4, num_bs=2, frames=30, cpu_hz=8e9)
    world = sample_world(env, 0, dtype=torch.float64)
    actions = random_actions(world, env)
    outcome = simulate(world, actions, env)
    for n, k in world.request[0].nonzero().tolist():
        home = actions.deployment[0, n]
        among = 4 if sharing == "slices" else (home == home[k]).sum().item()
        used = actions.cpu_share[0, n, home[k], k].item()
        assert outcome.cpu_hz[0, n, k].item() == pytest.approx(8e9 * used / among)
    used = actions.cpu_share.clone()
    used[..., 0] = 0.5  # of user 0 alone
    other = simulate(world, replace(actions, cpu_share=used), env)
    assert torch.equal(other.cpu_hz[..., 1:], outcome.cpu_hz[..., 1:])


@given(networks(cpu_sharing="slices"), st.sampled_from(OWNED), st.integers(0, 99))
def test_parts_add_up_to_at_most_the_whole(env, sharing, seed):
    """(14h), and with everybody at the most: each server's f_max, if all that own it are served."""
    env = env.replace(cpu_sharing=sharing)
    world = sample_world(env, seed, dtype=torch.float64)
    actions = random_actions(world, env, seed)
    full = replace(actions, cpu_share=torch.ones_like(actions.cpu_share))
    for one in (actions, full):
        outcome = simulate(world, one, env)
        for j in range(env.num_bs):
            here = outcome.deployment == j
            assert ((outcome.cpu_hz * here).sum(-1) <= env.cpu_hz * (1 + 1e-12)).all()
    served = world.request & ~outcome.migrating
    for j in range(env.num_bs):
        here = outcome.deployment == j
        share = (served & here).sum(-1) / (env.num_users if sharing == "slices" else here.sum(-1))
        used = (outcome.cpu_hz * here).sum(-1)
        torch.testing.assert_close(
            used, env.cpu_hz * share.nan_to_num().double(), rtol=1e-6, atol=1
        )


@pytest.mark.parametrize("sharing", ["slices", "whole", "hosted", "served"])
def test_shares_above_one_are_weights_or_refused(sharing):
    env = network(sharing, frames=4)
    world = sample_world(env, 0)
    actions = random_actions(world, env)
    whole = torch.ones_like(actions.cpu_share)
    check_actions(replace(actions, cpu_share=whole), world, env)
    check_actions(replace(actions, wired_share=7 * actions.wired_share), world, env)
    above = replace(actions, cpu_share=1.5 * whole)
    if sharing == "served":
        check_actions(above, world, env)
    else:
        with pytest.raises(ValueError, match=r"^actions.cpu_share = 1.5: must be in \[0, 1\]$"):
            check_actions(above, world, env)


# --- who can be in time -------------------------------------------------------------------------


def test_thresholds_of_section_v():
    """10 GHz · 50 ms over 25 Kb · 700, and over 15 Kb · 550."""
    assert thresholds(EnvConfig()) == pytest.approx((28.57, 60.61), abs=0.005)
    other = EnvConfig(cpu_hz=4e9, deadline_s=(0.02, 0.05), data_bits=(1e4, 2e4))
    first, last = thresholds(other)
    assert first == pytest.approx(4e9 * 0.02 / (2e4 * 700))
    assert last == pytest.approx(4e9 * 0.05 / (1e4 * 550))


@pytest.mark.parametrize("users", [20, 28, 29, 40, 60, 61])
def test_with_no_delay_of_the_radio_the_slice_decides(users):
    """Exactly those fail whose D C K / f_max exceeds τ; at first none, in the end all."""
    free = {"bandwidth_hz": 1e20, "noise_w": 1e-30, "request_prob": 1.0, "frames": 60}
    env = network("slices", num_users=users, **free)
    world = sample_world(env, 1, dtype=torch.float64)
    outcome = simulate(world, Reference(env, EqualPower(0.1)).act(world), env)
    alone = world.data_bits * world.cycles_per_bit * users / env.cpu_hz
    assert torch.equal(outcome.failure, alone > world.deadline_s)
    first, last = thresholds(env)
    some, everything = outcome.failure.any(), outcome.failure.all()
    assert not some if users < first else some or users < first + 3  # the very largest are rare,
    assert everything if users > last else not everything or users > last - 3  # the smallest too


# --- the genie bound ----------------------------------------------------------------------------


@pytest.mark.parametrize("sharing", OWNED)
def test_the_genie_uses_all_that_is_ones_own(sharing):
    """And no more power than meets each deadline exactly: simulated, with a hair more and less."""
    env = network(sharing, frames=100, request_prob=0.7)
    world = sample_world(env, 3, replicas=2, dtype=torch.float64)
    home = deployed(world, env)
    served = world.request & (torch.rand(world.request.shape) < 0.8)
    best = genie(world, env, served=served, deployment=home)
    assert best.feasible.all() and torch.equal(best.cpu_share, served.double())
    actions = best.actions(home, env)
    check_actions(actions, world, env)

    def scaled(factor):
        return simulate(world, replace(actions, power=factor * actions.power), env)

    outcome = scaled(1 + 1e-9)
    assert torch.equal(outcome.failure, world.request & ~served)
    due = world.deadline_s[served]
    torch.testing.assert_close(outcome.delay_s[served], due, rtol=1e-7, atol=0)
    torch.testing.assert_close(outcome.energy_j, best.energy_j, rtol=1e-7, atol=0)
    assert (scaled(1 - 1e-6).failure == world.request).all()
    bound = bound_energy(outcome, world, env)
    torch.testing.assert_close(bound, best.energy_j.sum(-1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("sharing", OWNED)
def test_least_energy_by_the_equations_of_all_users(sharing):
    """With one server there are no wires to divide: what is left of τ is the uplink's."""
    env = network(sharing, num_users=5, num_bs=1, frames=15, request_prob=1.0)
    world = sample_world(env, 2, dtype=torch.float64)
    best = genie(world, env, served=world.request, deployment=world.association)
    for n in range(env.slots):
        bits, cycles = world.data_bits[0, n].numpy(), world.cycles_per_bit[0, n].numpy()
        left = world.deadline_s[0, n].numpy() - bits * cycles * 5 / env.cpu_hz
        target = 2 ** (bits / (env.bandwidth_hz * left)) - 1
        gain = world.gain[0, n].tolist()
        power = powers_by_users(target, gain, [0] * 5, env.noise_w, env.interference)
        np.testing.assert_allclose(best.power[0, n].numpy(), power, rtol=1e-9)
        assert best.energy_j[0, n].sum().item() == pytest.approx(float(np.dot(power, left)))


@pytest.mark.parametrize("sharing", OWNED)
def test_no_policy_that_serves_the_same_needs_less(sharing):
    env = network(sharing, frame_slots=10, frames=8, deployment_decision="frame-end", num_users=12)
    world = sample_world(env, 4, dtype=torch.float64)
    policies = [Reference(env, DemandInversion(10**db), shares="demand") for db in (0.2, 1, 2)]
    policies += [Reference(env, DemandInversion(10, 0.01)), Clairvoyant(env)]
    for policy in policies:
        outcome = simulate(world, policy.act(world), env)
        served = world.request & ~outcome.failure
        best = genie(world, env, served=served, deployment=outcome.deployment)
        spent = (outcome.energy_j * served).sum(-1)
        assert served.any() and best.feasible.all()
        assert (best.energy_j.sum(-1) <= spent * (1 + 1e-9)).all()
        assert (bound_energy(outcome, world, env) <= spent * (1 + 1e-9)).all()
        if isinstance(policy, Clairvoyant):  # the same powers, but for its margin and the wires
            nothing_lost = ~(outcome.failure & (outcome.sinr > 0)).any(-1) & (spent > 0)
            ratio = (best.energy_j.sum(-1) / spent)[nothing_lost]
            assert nothing_lost.sum() > 20 and ratio.median() > 0.999


@pytest.mark.parametrize("sharing", OWNED)
def test_requests_that_computation_alone_makes_late_are_never_admitted(sharing):
    free = {"bandwidth_hz": 1e9, "noise_w": 1e-13, "request_prob": 0.5}
    many = 40 if sharing == "slices" else 120
    env = network(sharing, num_users=many, frames=12, **free)
    world = sample_world(env, 5, dtype=torch.float64)
    home = world.association
    among = owners(home, env)
    alone = world.data_bits * world.cycles_per_bit * among / env.cpu_hz
    possible = world.request & (alone < world.deadline_s)
    assert (world.request & ~possible).any() and possible.any()
    kept = admit(world, env, served=world.request, deployment=home)
    assert torch.equal(kept, possible), "the radio is no hindrance here"
    assert genie(world, env, served=kept, deployment=home).feasible.all()
    scarce = env.replace(bandwidth_hz=5e6)
    kept = admit(world, scarce, served=world.request, deployment=home)
    assert kept.any() and not (kept & ~possible).any() and not torch.equal(kept, possible)
    assert genie(world, scarce, served=kept, deployment=home).feasible.all()


def test_the_floor_holds_wherever_twins_live():
    """Two users of one cell whose twins live apart have a server each, where hosts are owners."""
    env = network("hosted", num_users=2, num_bs=2, frames=80, request_prob=1.0, wired_rate_bps=1e12)
    world = sample_world(env, 0, dtype=torch.float64)
    near = world.association
    together = (near[..., 0] == near[..., 1])[0]
    apart = torch.stack([near[..., 0], 1 - near[..., 0]], -1)
    beside, alone = (
        genie(world, env, served=world.request, deployment=home).energy_j.sum(-1)
        for home in (near, apart)
    )
    assert together.any() and (alone < beside)[0, together].all()
    least = floor(world, world.request, env).sum(-1)
    assert (least <= alone * (1 + 1e-9)).all() and (least <= beside * (1 + 1e-9)).all()
    below = genie_under_threshold(world, env, 1e-6)
    assert below.bound_j <= alone.mean().item() / 2 * (1 + 1e-9)
    sliced = env.replace(cpu_sharing="slices")
    local = genie(world, sliced, served=world.request, deployment=near).energy_j
    torch.testing.assert_close(floor(world, world.request, sliced), local)


def test_nothing_fits_beyond_the_last_threshold():
    env = network("slices", num_users=61, frames=3)
    world = sample_world(env, 0, dtype=torch.float64)
    assert not admit(world, env, served=world.request, deployment=world.association).any()
    assert (floor(world, world.request, env)[world.request] == math.inf).all()
    got = genie_under_threshold(world, env, 0.05)
    assert got.energy_j == got.bound_j == math.inf and not got.served.any()
