"""The episode as one expression against loops, cut into pieces, and alone against in a batch."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import pytest
import torch
from by_loops import Series, networks, random_actions, simulate_by_loops
from hypothesis import given, settings
from hypothesis import strategies as st
from said import one_line

from dtlib import Actions, EnvConfig, Outcome, sample_world, simulate
from dtlib.model.simulator import check_actions, initial_carry, join

READINGS = list(
    itertools.product(
        ["slices", "whole", "hosted", "served"],
        ["receiver", "eq7"],
        ["scaled", "mean", "letter"],
        ["deadline", "full", "none"],
        ["capped", "letter"],
        [False, True],
        ["frame-end", "frame-start"],
    )
)


def _assert_equals_loops(env, seed, zeros, replicas=1):
    world = sample_world(env, seed, replicas=replicas, dtype=torch.float64)
    actions = random_actions(world, env, seed, zeros)
    check_actions(actions, world, env)
    outcome = simulate(world, actions, env)
    for r in range(replicas):
        series = simulate_by_loops(world, actions, env, r)
        for field in fields(Series):
            name = field.name
            got = getattr(outcome, name)[r]
            expected = torch.tensor(getattr(series, name), dtype=got.dtype)
            if got.dtype in (torch.bool, torch.int64):
                assert torch.equal(got, expected), name
            else:
                # ε is rounded to 2⁻⁴⁰ in the queue, whence the absolute part.
                atol = 1e-9 if "queue" in name or "global" in name else 0
                torch.testing.assert_close(
                    got, expected, rtol=1e-9, atol=atol, msg=lambda text, at=name: f"{at}: {text}"
                )
    return outcome


@pytest.mark.parametrize(
    ("sharing", "interference", "scale", "rule", "delay", "transmits", "decision"), READINGS
)
def test_equals_loops_in_every_reading(
    sharing, interference, scale, rule, delay, transmits, decision
):
    env = EnvConfig(
        num_users=6, num_bs=3, frame_slots=6, frames=4, migration_slots=2,
        cpu_hz=4e9 if sharing == "served" else 9e9, wired_rate_bps=3e6, deadline_s=(0.01, 0.05),
        cpu_sharing=sharing, interference=interference, objective_scale=scale,
        energy_of_failed=rule, centre_delay=delay, migrating_transmits=transmits,
        deployment_decision=decision,
    )  # fmt: skip
    outcome = _assert_equals_loops(env, seed=3, zeros=0.1)
    # The example is worth something only if all cases occur in it.
    assert 0.1 < outcome.failure_ratio_requests.mean() < 0.9
    assert outcome.migrating.any() and not outcome.migrating.all()
    assert (outcome.queue > 0).any() and (outcome.wired_bps > 0).any()
    assert outcome.migrations.item() > 0
    longest = outcome.reward_centre_user.min().item() * -env.num_users / env.reward_scale
    assert longest == (pytest.approx(env.slot_s) if delay == "capped" else float("inf"))


@settings(max_examples=80)
@given(networks(), st.integers(0, 2**20), st.sampled_from([0.0, 0.2, 0.7, 1.0]))
def test_equals_loops_in_any_network(env, seed, zeros):
    _assert_equals_loops(env, seed, zeros)


def test_equals_loops_in_every_replica_of_the_paper_network():
    _assert_equals_loops(EnvConfig(frame_slots=20, frames=2), 0, 0.05, replicas=2)


@given(networks(), st.integers(0, 2**20), st.sampled_from([0.0, 0.3, 1.0]))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constraints_14c_to_14h(dtype, env, seed, zeros):
    world = sample_world(env, seed, replicas=2, dtype=dtype)
    actions = random_actions(world, env, seed, zeros)
    outcome = simulate(world, actions, env)
    tolerance = 1 + (1e-5 if dtype == torch.float32 else 1e-12)
    sites = range(env.num_bs)
    home, near = outcome.deployment, world.association
    assert ((home >= 0) & (home < env.num_bs)).all()  # (14c)
    power = outcome.energy_j / world.deadline_s
    if env.energy_of_failed == "deadline":
        assert (power <= env.max_power_w * tolerance).all()  # (14d), as far as energy shows it
    assert ((outcome.wired_bps >= 0) & (outcome.wired_bps <= env.wired_rate_bps * tolerance)).all()
    assert ((outcome.cpu_hz >= 0) & (outcome.cpu_hz <= env.cpu_hz * tolerance)).all()
    for i, j in itertools.product(sites, sites):  # (14e), (14f)
        on_link = outcome.wired_bps * ((near == i) & (home == j))
        total = on_link.double().sum(-1)
        assert (total == 0).all() if i == j else (total <= env.wired_rate_bps * tolerance).all()
    for j in sites:  # (14g), (14h)
        used = (outcome.cpu_hz * (home == j)).double().sum(-1)
        assert (used <= env.cpu_hz * tolerance).all()
        if env.cpu_sharing != "served":
            continue  # what nobody uses of its own part is left over
        busy = (world.request & ~outcome.migrating & (home == j)).any(-1)
        assert (used[busy] >= env.cpu_hz * (2 - tolerance)).all(), "capacity is left over"
    idle = ~world.request | outcome.migrating
    for name in ("cpu_hz", "wired_bps", "delay_s"):
        assert (getattr(outcome, name)[idle] == 0).all(), name
    assert (outcome.wired_bps[home == near] == 0).all()
    silent = ~world.request if env.migrating_transmits else idle
    for name in ("sinr", "rate_bps", "energy_j"):
        assert (getattr(outcome, name)[silent] == 0).all(), name


@given(networks(), st.integers(0, 2**20), st.sampled_from([0.0, 0.3, 1.0]))
def test_ratios_energy_and_rewards_are_in_bounds(env, seed, zeros):
    world = sample_world(env, seed, replicas=2)
    outcome = simulate(world, random_actions(world, env, seed, zeros), env)
    slots, requests = outcome.failure_ratio_slots, outcome.failure_ratio_requests
    assert slots.shape == requests.shape == (2, env.num_users)
    assert ((slots >= 0) & (slots <= 1)).all() and ((requests >= 0) & (requests <= 1)).all()
    for r, k in itertools.product(range(2), range(env.num_users)):
        failed, asked = outcome.failure[r, :, k].sum().item(), world.request[r, :, k].sum().item()
        assert slots[r, k].item() == pytest.approx(failed / env.slots)
        assert requests[r, k].item() == pytest.approx(failed / asked if asked else 0)
    assert (outcome.failure <= world.request).all()
    assert (outcome.energy_j >= 0).all() and outcome.energy_j.isfinite().all()
    torch.testing.assert_close(outcome.energy_per_slot_j, outcome.energy_j.double().mean(1))
    assert (outcome.queue >= 0).all() and (outcome.reward_centre <= 0).all()
    step = outcome.queue.diff(dim=1)
    eps = env.failure_threshold
    assert (step >= -eps - 1e-9).all() and (step <= 1 - eps + 1e-9).all()
    torch.testing.assert_close(outcome.reward_global, outcome.reward_global_user.sum(-1))
    torch.testing.assert_close(outcome.reward_centre, outcome.reward_centre_user.sum(-1))
    assert outcome.reward_global.isfinite().all()


def _assert_same(got: Outcome, expected: Outcome):
    for field in fields(Outcome)[:-1]:
        one, two = getattr(got, field.name), getattr(expected, field.name)
        assert torch.equal(one, two), field.name
    assert got.carry.slot == expected.carry.slot
    for name in ("deployment", "pending", "migrated", "queue", "frame_queue"):
        assert torch.equal(getattr(got.carry, name), getattr(expected.carry, name)), name


def _in_pieces(world, actions, env, cuts, carry=None) -> Outcome:
    edges = [0, *sorted(cuts), world.slots]
    parts = []
    for start, stop in itertools.pairwise(edges):
        if start == stop:
            continue
        piece = simulate(world.window(start, stop), actions.window(start, stop), env, carry=carry)
        carry = piece.carry
        parts.append(piece)
    return join(parts)


@given(
    networks(),
    st.integers(0, 2**20),
    st.lists(st.integers(0, 28), max_size=8),
    st.booleans(),
)
@pytest.mark.parametrize("decision", ["frame-end", "frame-start"])
def test_pieces_equal_the_whole(decision, env, seed, cuts, double):
    env = env.replace(deployment_decision=decision)
    dtype = torch.float64 if double else torch.float32
    world = sample_world(env, seed, replicas=2, dtype=dtype)
    actions = random_actions(world, env, seed, 0.1)
    past = simulate(world, actions, env).queue[:, -1]  # of an earlier episode
    carry = initial_carry(world, past if seed % 2 else None)
    whole = simulate(world, actions, env, carry=carry)
    cuts = [cut for cut in cuts if cut <= env.slots]
    _assert_same(_in_pieces(world, actions, env, cuts, carry), whole)


@pytest.mark.parametrize("decision", ["frame-end", "frame-start"])
@pytest.mark.parametrize(("users", "sites"), [(30, 5), (60, 7), (1, 1)])
def test_slot_by_slot_equals_the_whole(decision, users, sites):
    env = EnvConfig(
        num_users=users, num_bs=sites, frame_slots=25, frames=8, deployment_decision=decision
    )
    world = sample_world(env, 1)
    actions = random_actions(world, env, 1, 0.02)
    whole = simulate(world, actions, env)
    _assert_same(_in_pieces(world, actions, env, range(1, env.slots)), whole)


@settings(max_examples=20)
@given(networks(), st.integers(0, 2**20))
def test_a_replica_alone_has_the_same_bits(env, seed):
    world = sample_world(env, seed, replicas=3)
    actions = random_actions(world, env, seed, 0.1)
    batch = simulate(world, actions, env)
    for r in range(3):
        alone = simulate(
            sample_world(env, seed + r),
            Actions(**{name: array[r : r + 1] for name, array in vars(actions).items()}),
            env,
        )
        for field in fields(Outcome)[:-1]:
            got = getattr(batch, field.name)[r : r + 1]
            assert torch.equal(got, getattr(alone, field.name)), field.name


def test_a_replica_alone_has_the_same_bits_in_large_networks():
    for users, sites in [(30, 5), (60, 9)]:
        env = EnvConfig(num_users=users, num_bs=sites, frame_slots=100, frames=2)
        world = sample_world(env, 0, replicas=3)
        actions = random_actions(world, env)
        batch = simulate(world, actions, env)
        one = Actions(**{name: array[1:2] for name, array in vars(actions).items()})
        alone = simulate(sample_world(env, 1), one, env)
        for field in fields(Outcome)[:-1]:
            got = getattr(batch, field.name)[1:2]
            assert torch.equal(got, getattr(alone, field.name)), field.name


def test_single_precision_is_close_to_double():
    """Same world, same actions, rounded: nothing cancels badly on the paper's network."""
    env = EnvConfig(frames=2)
    world = sample_world(env, 0)
    actions = random_actions(world, env)
    raised = {k: v.double() if v.is_floating_point() else v for k, v in vars(world).items()}
    lifted = {k: v.double() if v.is_floating_point() else v for k, v in vars(actions).items()}
    coarse = simulate(world, actions, env)
    exact = simulate(type(world)(**raised), Actions(**lifted), env)
    for name in ("sinr", "rate_bps", "cpu_hz", "wired_bps", "delay_s", "energy_j"):
        got, expected = getattr(coarse, name).double(), getattr(exact, name)
        torch.testing.assert_close(got, expected, rtol=2e-5, atol=0)
    assert (coarse.failure != exact.failure).double().mean() < 1e-4


def test_first_frame_by_reading():
    """Frame 0: nobody moves before the centre has chosen; at 'frame-start' it chooses in slot 0."""
    env = EnvConfig(num_users=4, num_bs=3, frame_slots=4, frames=2, migration_slots=2)
    world = sample_world(env, 2)
    actions = random_actions(world, env)
    nearest = world.association[:, 0]
    choice = (nearest + 1) % 3
    actions = replace(actions, deployment=choice[:, None].expand(1, 8, 4).contiguous())
    end = simulate(world, actions, env)
    assert torch.equal(end.deployment[:, :4], nearest[:, None].expand(1, 4, 4))
    assert torch.equal(end.deployment[:, 4:], choice[:, None].expand(1, 4, 4))
    assert end.migrating[0, :, 0].tolist() == [False] * 4 + [True, True, False, False]
    assert end.migrations.tolist() == [4.0]
    start = simulate(world, actions, env.replace(deployment_decision="frame-start"))
    assert torch.equal(start.deployment, actions.deployment)
    assert start.migrating[0, :, 0].tolist() == [True, True] + [False] * 6


def test_only_the_choice_that_counts_is_taken():
    """β(q) is β̃ of slot qT−1 or of slot qT; the centre's other choices move nothing."""
    env = EnvConfig(num_users=5, num_bs=4, frame_slots=5, frames=3, migration_slots=1)
    world = sample_world(env, 0)
    actions = random_actions(world, env)
    for decision, counted in (("frame-end", [4, 9]), ("frame-start", [0, 5, 10])):
        reading = env.replace(deployment_decision=decision)
        base = simulate(world, actions, reading)
        other = (actions.deployment + 1) % 4
        other[:, counted] = actions.deployment[:, counted]
        moved = simulate(world, replace(actions, deployment=other), reading)
        assert torch.equal(base.deployment, moved.deployment)
        assert torch.equal(base.reward_global, moved.reward_global)
        assert not torch.equal(base.reward_centre, moved.reward_centre)
        for frame, slot in enumerate(counted, start=1 if decision == "frame-end" else 0):
            held = base.deployment[:, 5 * frame : 5 * frame + 5]
            assert (held == actions.deployment[:, slot : slot + 1]).all()


def test_actions_without_effect_have_none():
    """Power without a request, weights of users not served, at servers and links not used."""
    env = EnvConfig(num_users=8, num_bs=3, frame_slots=8, frames=3, migration_slots=2)
    world = sample_world(env, 4)
    actions = random_actions(world, env)
    base = simulate(world, actions, env)
    silent = ~world.request | base.migrating
    power = torch.where(silent, env.max_power_w, actions.power)
    sites = torch.arange(3)[:, None]
    hosts = base.deployment.unsqueeze(2) == sites
    would = actions.deployment.unsqueeze(2) == sites
    sends = world.association.unsqueeze(2) == sites
    asks = world.request.unsqueeze(2)
    cpu = torch.where((hosts | would) & asks, actions.cpu_share, 0.9)
    wired = torch.where(sends & asks, actions.wired_share, 9.0)
    assert not torch.equal(cpu, actions.cpu_share) and not torch.equal(wired, actions.wired_share)
    _assert_same(
        simulate(world, replace(actions, power=power, cpu_share=cpu, wired_share=wired), env), base
    )


@pytest.mark.parametrize("sharing", ["slices", "hosted", "served"])
def test_weights_count_only_in_proportion(sharing):
    """Where users own a part of the CPU, an action is no weight: half of it is half the CPU."""
    env = EnvConfig(
        num_users=8, num_bs=3, frame_slots=8, frames=3, migration_slots=2, cpu_sharing=sharing
    )
    world = sample_world(env, 4)
    actions = random_actions(world, env)
    base = simulate(world, actions, env)
    wired = replace(actions, wired_share=actions.wired_share * 0.25)
    _assert_same(simulate(world, wired, env), base)
    cpu = replace(wired, cpu_share=actions.cpu_share * (4 if sharing == "served" else 0.5))
    if sharing == "served":
        _assert_same(simulate(world, cpu, env), base)
    else:
        assert torch.equal(simulate(world, cpu, env).cpu_hz, 0.5 * base.cpu_hz)


def test_migration_costs_the_requests_of_g_slots():
    """With power to spare, failures are exactly the requests that fall into a migration."""
    env = EnvConfig(
        num_users=3, num_bs=2, frame_slots=10, frames=6, migration_slots=4, cpu_hz=1e12,
        wired_rate_bps=1e12, noise_w=1e-15, request_prob=1.0, bandwidth_hz=1e9,
    )  # fmt: skip
    world = sample_world(env, 0)
    actions = replace(random_actions(world, env), power=torch.full((1, 60, 3), 0.5))
    outcome = simulate(world, actions, env)
    assert torch.equal(outcome.failure, outcome.migrating)
    assert outcome.failure.sum().item() == 4 * outcome.migrations.item() > 0


def test_more_power_is_more_rate_and_more_energy_when_alone():
    """One user, no interference: the rate grows with the power, but more slowly (13)."""
    env = EnvConfig(num_users=1, num_bs=1, frame_slots=10, frames=1, request_prob=1.0)
    world = sample_world(env, 0, dtype=torch.float64)
    actions = random_actions(world, env)
    low, high = (
        simulate(world, replace(actions, power=torch.full_like(actions.power, p)), env)
        for p in (0.05, 0.5)
    )
    assert (high.rate_bps > low.rate_bps).all()
    assert (high.energy_j > low.energy_j).all()


@pytest.mark.parametrize("change", [{"num_users": 2}, {"num_bs": 3}])
def test_a_world_of_another_size_is_refused(change):
    env = EnvConfig(num_users=3, num_bs=2, frames=1)
    other = sample_world(env.replace(**change), 0)
    text = one_line(lambda: simulate(other, random_actions(other, env, 0, False), env), 200)
    users, sites = other.distance.shape[2:]
    assert text.startswith(f"world has num_users = {users}, num_bs = {sites}: must have 3 and 2, ")


def test_check_actions_passes_what_is_allowed():
    env = EnvConfig(
        num_users=3, num_bs=2, frame_slots=4, frames=1, migration_slots=1, max_power_w=0.1
    )
    world = sample_world(env, 0)
    actions = random_actions(world, env)
    check_actions(actions, world, env)
    check_actions(replace(actions, power=torch.full((1, 4, 3), 0.1)), world, env)
