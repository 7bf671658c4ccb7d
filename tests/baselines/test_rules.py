"""Policies that learn nothing: their powers, twins and shares."""

from __future__ import annotations

import math

import pytest
import torch
from by_loops import networks
from hypothesis import given
from hypothesis import strategies as st
from in_windows import assert_windows_are_the_whole

from dtlib import ConfigError, EnvConfig, sample_world, simulate
from dtlib.baselines.rules import DemandInversion, EqualPower, Inversion, RandomPower, Reference
from dtlib.model.simulator import check_actions

SIZE = {"num_users": 7, "num_bs": 3, "frame_slots": 10, "frames": 6, "migration_slots": 3}
ENV = EnvConfig.named("work-conserving", **SIZE)
SHARING = ["served", "hosted", "slices", "whole"]
ROAMING = ENV.replace(speed_mps=(200.0, 400.0))  # in a new cell every few frames
RULES = [
    RandomPower(),
    EqualPower(0.02),
    Inversion(0.5),
    Inversion(0.5, cutoff_m=250.0),
    DemandInversion(3.0),
    DemandInversion(3.0, cutoff_w=0.02),
]
NAMES = ["random", "equal", "inversion", "truncated", "demand", "demand-truncated"]
LEVEL = st.floats(1e-6, 1e6)
POWERS = st.one_of(
    st.just(RandomPower()),
    st.builds(EqualPower, LEVEL),
    st.builds(Inversion, LEVEL, st.one_of(st.just(math.inf), st.floats(1, 1500))),
    st.builds(DemandInversion, LEVEL, st.one_of(st.just(math.inf), st.floats(1e-9, 10))),
)


# --- powers -------------------------------------------------------------------------------------


def power_by_hand(rule, env, distance, bits, cycles, deadline):
    """One user's power in W from its own distance and request, in plain Python."""
    if isinstance(rule, EqualPower):
        return min(rule.watts, env.max_power_w)
    mean_gain = env.ref_gain / distance**env.path_loss_exponent
    if isinstance(rule, Inversion):
        if distance > rule.cutoff_m:
            return 0.0
        return min(env.max_power_w, rule.target * env.noise_w / mean_gain)
    others = env.request_prob * (env.num_users - 1) / env.num_bs
    if env.cpu_sharing != "served":  # whoever owns a part of the server, with a request or not
        others = (env.num_users - 1) / (env.num_bs if env.cpu_sharing == "hosted" else 1)
    left = deadline - bits * cycles / (env.cpu_hz / (1 + others))
    if left <= 0:
        return env.max_power_w if rule.cutoff_w == math.inf else 0.0
    sinr = 2 ** min(bits / (env.bandwidth_hz * left), 500) - 1
    needed = rule.margin * sinr * env.noise_w / mean_gain
    return 0.0 if needed > rule.cutoff_w else min(env.max_power_w, needed)


@pytest.mark.parametrize("rule", RULES[1:], ids=NAMES[1:])
@pytest.mark.parametrize("cpu_hz", [0.6e9, 10e9])  # the slower leaves nothing of some deadlines
@pytest.mark.parametrize("sharing", SHARING)
def test_power_by_hand(rule, cpu_hz, sharing):
    env = ENV.replace(cpu_hz=cpu_hz, cpu_sharing=sharing)
    world = sample_world(env, 1, replicas=2, dtype=torch.float64)
    power = Reference(env, rule).act(world).power
    silent, full = 0, 0
    for r, n, k in world.request.nonzero().tolist():
        place = world.position[r, n, k].tolist()
        distance = min(math.dist(place, site) for site in world.bs_position.tolist())
        request = (world.data_bits, world.cycles_per_bit, world.deadline_s)
        numbers = [array[r, n, k].item() for array in request]
        expected = power_by_hand(rule, env, distance, *numbers)
        assert power[r, n, k].item() == pytest.approx(expected, rel=1e-9, abs=0)
        silent += expected == 0
        full += expected == env.max_power_w
    assert (power[~world.request] == 0).all()
    assert (silent > 0) == (rule in (RULES[3], RULES[5]))
    if rule == RULES[4] and cpu_hz == 0.6e9:
        assert full > 0


@given(networks(), POWERS, st.integers(0, 5))
def test_powers_are_within_their_bounds(env, rule, seed):
    world = sample_world(env, seed, replicas=2)
    actions = Reference(env, rule, deployment="random", shares="demand", seed=seed).act(world)
    check_actions(actions, world, env)
    if isinstance(rule, RandomPower):
        assert (actions.power[world.request] > 0).all()


@pytest.mark.parametrize("excess", [1e-6, -1e-6])
@pytest.mark.parametrize("path_loss", [2.0, 3.0])
@pytest.mark.parametrize("sharing", SHARING)
def test_demand_inversion_is_just_in_time(excess, path_loss, sharing):
    """Alone and without fading a user's estimates are exact: a hair less power is too late."""
    env = ENV.replace(num_users=1, rician_factor=1e20, path_loss_exponent=path_loss, noise_w=1e-11)
    env = env.replace(cpu_sharing=sharing)
    world = sample_world(env, 2, dtype=torch.float64)
    outcome = simulate(world, Reference(env, DemandInversion(1 + excess)).act(world), env)
    asked = world.request & ~outcome.migrating
    assert asked.any()
    delay, deadline = outcome.delay_s[asked], world.deadline_s[asked]
    torch.testing.assert_close(delay, deadline, rtol=1e-5, atol=0)
    assert (outcome.failure[asked] == (excess < 0)).all()


def test_cutoffs_agree():
    """Beyond the distance, and above the power that it needs, the same users stay silent."""
    world = sample_world(ENV, 3)
    whole, cut = (Reference(ENV, Inversion(0.1, m)).act(world).power for m in (math.inf, 200.0))
    edge = 0.1 * ENV.noise_w * 200.0**ENV.path_loss_exponent / ENV.ref_gain
    assert torch.equal(cut, torch.where(whole <= edge, whole, 0))
    assert 0 < (cut > 0).sum() < (whole > 0).sum()


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_user_knows_only_itself(rule):
    """Fading, and what all others do, may change: a user's power stays."""
    world, other = sample_world(ENV, 3), sample_world(ENV, 4)
    user, policy = 2, Reference(ENV, rule)
    fields = {name: array.clone() for name, array in vars(other).items()}
    for name in ("position", "distance", "association", "request"):
        fields[name][:, :, user] = getattr(world, name)[:, :, user]
    for name in ("data_bits", "cycles_per_bit", "deadline_s"):
        fields[name][:, :, user] = getattr(world, name)[:, :, user]
    power, changed = policy.act(world).power, policy.act(type(world)(**fields)).power
    assert torch.equal(power[:, :, user], changed[:, :, user])
    assert not torch.equal(power, changed)


# --- twins and shares ---------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["frame-end", "frame-start"])
def test_migrations_are_counted(decision):
    env = ROAMING.replace(deployment_decision=decision)
    world = sample_world(env, 3, replicas=2)
    never, nearest = (
        simulate(world, Reference(env, EqualPower(0.1), deployment=where).act(world), env)
        for where in ("never", "nearest")
    )
    assert torch.equal(never.migrations, torch.zeros(2, dtype=torch.float64))
    assert torch.equal(never.deployment, world.association[:, :1].expand(2, env.slots, 7))
    lag = 1 if decision == "frame-end" else 0
    for r in range(2):
        home, moves = world.association[r, 0].tolist(), 0
        for start in range(env.frame_slots, env.slots, env.frame_slots):
            at = world.association[r, start - lag].tolist()
            moves += sum(a != b for a, b in zip(home, at, strict=True))
            home = at
        assert nearest.migrations[r].item() == moves > 0


def test_random_choices_are_uniform_and_seeded():
    env = ENV.replace(frames=100, request_prob=1.0)
    world = sample_world(env, 3, replicas=2)
    actions, same, another = (
        Reference(env, RandomPower(), deployment="random", seed=seed).act(world)
        for seed in (1, 1, 2)
    )
    for name in ("power", "deployment"):
        first = getattr(actions, name)
        assert torch.equal(first, getattr(same, name))
        assert torch.equal(first[0], first[1])  # nobody's numbers depend on its batch
        assert not torch.equal(first, getattr(another, name))
    count = env.slots * env.num_users
    unit = actions.power[0].double().flatten() / env.max_power_w
    assert unit.mean().item() == pytest.approx(0.5, abs=4 / math.sqrt(12 * count))
    assert unit.square().mean().item() == pytest.approx(1 / 3, abs=4 * 0.3 / math.sqrt(count))
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    watts = RandomPower()(world, env, ends)
    assert watts[0].item() == pytest.approx(env.max_power_w) and watts[1] > 0
    share = actions.deployment[0].flatten().bincount(minlength=3) / count
    assert (share - 1 / 3).abs().max() < 4 * math.sqrt(2 / 9 / count)
    both = torch.stack([unit, actions.deployment[0].flatten().double()])
    assert torch.corrcoef(both)[0, 1].abs() < 4 / math.sqrt(count)


def test_shares_in_proportion_to_demand():
    """All users of a server, and of a link, then wait equally long; else as long as they ask."""
    world = sample_world(ENV, 5, dtype=torch.float64)
    equal, demand = (
        simulate(
            world,
            Reference(ENV, EqualPower(0.1), deployment="random", shares=shares).act(world),
            ENV,
        )
        for shares in ("equal", "demand")
    )
    bits, cycles = world.data_bits, world.data_bits * world.cycles_per_bit
    shared = 0
    for n in range(ENV.slots):
        served = (world.request & ~demand.migrating)[0, n].nonzero().flatten().tolist()
        servers, links = {}, {}
        for k in served:
            home, near = demand.deployment[0, n, k].item(), world.association[0, n, k].item()
            servers.setdefault(home, []).append(k)
            if home != near:
                links.setdefault((near, home), []).append(k)
        cases = [("cpu_hz", cycles, ENV.cpu_hz, group) for group in servers.values()]
        cases += [("wired_bps", bits, ENV.wired_rate_bps, group) for group in links.values()]
        for name, amount, capacity, group in cases:
            fair = [capacity / len(group)] * len(group)
            assert getattr(equal, name)[0, n, group].tolist() == pytest.approx(fair)
            wait = amount[0, n, group] / getattr(demand, name)[0, n, group]
            total = amount[0, n, group].sum().item() / capacity
            assert wait.tolist() == pytest.approx([total] * len(group))
            shared += len(group) > 1
    assert shared > 10


@pytest.mark.parametrize("shares", ["equal", "demand"])
@pytest.mark.parametrize("sharing", SHARING[1:])
def test_the_whole_of_ones_own_part(sharing, shares):
    env = ENV.replace(cpu_sharing=sharing)
    world = sample_world(env, 5, dtype=torch.float64)
    actions = Reference(env, EqualPower(0.1), deployment="random", shares=shares).act(world)
    check_actions(actions, world, env)
    assert (actions.cpu_share == 1).all()
    outcome = simulate(world, actions, env)
    for n, k in (world.request & ~outcome.migrating)[0].nonzero().tolist():
        mine = outcome.deployment[0, n, k]
        hosts = (outcome.deployment[0, n] == mine).sum().item()
        among = hosts if sharing == "hosted" else 7
        assert outcome.cpu_hz[0, n, k].item() == pytest.approx(env.cpu_hz / among)


# --- as a policy --------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
@pytest.mark.parametrize("deployment", ["nearest", "never", "random"])
def test_windows_are_the_whole(rule, deployment):
    world = sample_world(ROAMING, 3, replicas=2)
    policy = Reference(ROAMING, rule, deployment=deployment, shares="demand")
    assert_windows_are_the_whole(policy, world, ROAMING, cuts=(0, 1, 14, 40, 60))


def test_another_network_than_its_own():
    """As the evaluation asks for: the network of the world, not of the policy."""
    env = ENV.replace(num_users=4, num_bs=2, max_power_w=0.01, ref_gain=1e-4)
    world = sample_world(env, 1)
    for rule in RULES:
        asked = Reference(ENV, rule).act(world, env=env)
        for name, array in vars(Reference(env, rule).act(world)).items():
            assert torch.equal(getattr(asked, name), array)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda env: Reference(env, 0.1), "power = 0.1: must be a rule, such as EqualPower(0.1)"),
        (lambda env: Reference(EqualPower(0.1), env), "env = EqualPower(watts=0.1): must be an "),
        (lambda env: Reference(env, EqualPower(0.1), shares="all"), "shares = 'all': must be one"),
        (
            lambda env: Reference(env, EqualPower(0.1), deployment="follow"),
            "deployment = 'follow': ",
        ),
    ],
)
def test_what_is_no_rule_is_one_line(make, said):
    with pytest.raises(ConfigError) as error:
        make(EnvConfig())
    assert str(error.value).startswith(said) and "\n" not in str(error.value)
