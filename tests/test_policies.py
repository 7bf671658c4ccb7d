"""Stacked networks, Beta and categorical heads, and what the agents do in a world."""

import pytest
import torch

from dtlib import EnvConfig, Policies, TrainConfig, sample_world
from dtlib.distributions import beta_parameters
from dtlib.policies import power_watts, station_mask
from dtlib.simulator import check_actions, deploy, initial_carry, simulate

ENV = EnvConfig(num_users=7, num_bs=3, frame_slots=10, frames=6, migration_slots=3)
CONFIG = TrainConfig(env=ENV, hidden_sizes=(16, 8), output_gain=1.0)
GRID = [(1.0, 1.0), (1.2, 1.0), (1.7, 1.7), (5.0, 2.0), (40.0, 300.0), (0.7, 3.0)]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_power_scales():
    unit = torch.tensor([0.0, 0.5, 1.0])
    watt = power_watts(unit, ENV, CONFIG)
    assert watt.tolist() == pytest.approx([0, 0.25, 0.5])
    decibel = power_watts(unit, ENV, CONFIG.replace(power_action="decibel", power_range_db=40.0))
    assert decibel.tolist() == pytest.approx([0.5e-4, 0.5e-2, 0.5])


# --- acting in a world --------------------------------------------------------------------------


def policies(config=CONFIG, seed=0):
    return Policies(config, seeded(seed))


@pytest.mark.parametrize("decision", ["frame-end", "frame-start"])
@pytest.mark.parametrize("transmits", [False, True])
@pytest.mark.parametrize("scale", ["watt", "decibel"])
@pytest.mark.parametrize("random", [True, False])
def test_actions_are_valid_and_drawn_only_where_they_count(decision, transmits, scale, random):
    env = ENV.replace(deployment_decision=decision, migrating_transmits=transmits)
    config = CONFIG.replace(env=env, power_action=scale)
    world = sample_world(env, 5, 2)
    generators = [seeded(1), seeded(2)] if random else None
    decided = policies(config).decide(world, generators)
    actions = decided.actions
    check_actions(actions, world, env)

    deployment, migrating, _ = deploy(actions.deployment, env, initial_carry(world))
    assert migrating.any()
    assert torch.equal(decided.deployment, deployment)
    assert torch.equal(decided.served, world.request & ~migrating)
    sends = world.request if transmits else decided.served
    assert torch.equal(actions.power > 0, sends) and torch.equal(decided.power_unit > 0, sends)

    counts = loop_mask(world.association, deployment, decided.served, env)
    asked = loop_mask(world.association, actions.deployment, world.request, env)
    weights = torch.cat([actions.cpu_share, actions.wired_share], -1)
    assert torch.equal(weights > 0, counts | asked)


def loop_mask(association, deployment, served, env):
    """Which CPU and wired weights have an effect, one at a time."""
    replicas, slots, users = served.shape
    mask = torch.zeros(replicas, slots, env.num_bs, 2 * users, dtype=bool)
    for r, n, k in served.nonzero().tolist():
        host, near = deployment[r, n, k].item(), association[r, n, k].item()
        mask[r, n, host, k] = True
        if host != near:
            mask[r, n, near, users + k] = True
    return mask


def test_station_mask_against_a_loop():
    generator = seeded(3)
    association = torch.randint(3, (2, 8, 7), generator=generator)
    deployment = torch.randint(3, (2, 8, 7), generator=generator)
    served = torch.rand(2, 8, 7, generator=generator) < 0.5
    found = station_mask(association, deployment, served, ENV)
    assert torch.equal(found, loop_mask(association, deployment, served, ENV))


def test_masked_actions_have_no_effect():
    """Whatever is written where nothing was drawn, the outcome is the same to the last bit."""
    world = sample_world(ENV, 5)
    decided = policies().decide(world, [seeded(1)])
    actions = decided.actions
    other = {
        name: torch.where(array == 0, torch.rand(array.shape, generator=seeded(8)) * 0.5, array)
        for name, array in vars(actions).items()
        if name != "deployment"
    }
    changed = type(actions)(**other, deployment=actions.deployment)
    assert not torch.equal(changed.power, actions.power)
    one, two = (vars(simulate(world, a, ENV)) for a in (actions, changed))
    for name in one.keys() - {"carry"}:
        assert torch.equal(one[name], two[name]), name


def test_what_the_learner_masks_has_no_effect_on_its_reward():
    """Weights drawn for the centre's hypothetical choice only: r_g stays, r_c changes."""
    world = sample_world(ENV, 5)
    decided = policies().decide(world, [seeded(1)])
    actions = decided.actions
    mask = station_mask(world.association, decided.deployment, decided.served, ENV)
    weights = torch.cat([actions.cpu_share, actions.wired_share], -1)
    assert (~mask & (weights > 0)).any()
    cpu, wired = torch.where(mask, weights, weights * 0.5).chunk(2, -1)
    changed = type(actions)(actions.power, cpu, wired, actions.deployment)
    one, two = simulate(world, actions, ENV), simulate(world, changed, ENV)
    assert torch.equal(one.reward_global, two.reward_global)
    assert not torch.equal(one.reward_centre, two.reward_centre)


@pytest.mark.parametrize("hidden", [(16, 8), (128, 64)])
def test_replicas_are_independent(hidden):
    config = CONFIG.replace(hidden_sizes=hidden)
    world = sample_world(ENV, 3, 3)
    actors = policies(config)
    together = actors.decide(world, [seeded(s) for s in (1, 2, 3)])
    for r in range(3):
        alone = actors.decide(world.replica(r), [seeded(1 + r)])
        for name in ("power", "cpu_share", "wired_share", "deployment"):
            batch, single = getattr(together.actions, name)[r], getattr(alone.actions, name)[0]
            torch.testing.assert_close(batch, single, rtol=1e-5, atol=1e-6)


def test_the_mean_action_is_deterministic_and_the_mean():
    world, actors = sample_world(ENV, 3), policies()
    one, two = actors.decide(world), actors.decide(world)
    for name in ("power", "cpu_share", "wired_share", "deployment"):
        assert torch.equal(getattr(one.actions, name), getattr(two.actions, name))
    n, k = (one.served[0]).nonzero()[0].tolist()
    raw = actors.users.single(k, one.user_obs[0, n, k : k + 1])[0]
    first, second = beta_parameters(raw)
    assert one.power_unit[0, n, k].item() == pytest.approx((first / (first + second)).item())
    logits = actors.centre.single(0, one.centre_obs[0]).view(-1, ENV.num_users, ENV.num_bs)
    assert torch.equal(one.actions.deployment[0], logits.argmax(-1))
    assert torch.equal(actors.act(world).power, one.actions.power)


def test_sampling_is_seeded():
    world, actors = sample_world(ENV, 3), policies()
    one, two, three = (actors.act(world, [seeded(s)]) for s in (1, 1, 2))
    assert torch.equal(one.cpu_share, two.cpu_share) and torch.equal(one.deployment, two.deployment)
    assert not torch.equal(one.power, three.power)


def test_samples_come_from_each_agents_own_network():
    """The mean over many draws in one and the same slot is the mean of that agent's Beta law."""
    count = 3000
    env = ENV.replace(request_prob=1.0)
    actors = policies(CONFIG.replace(env=env.replace(frame_slots=count)))  # one long frame
    slot = sample_world(env, 3).window(0, 1)
    repeated = {
        name: array if name == "bs_position" else array.expand(1, count, *array.shape[2:])
        for name, array in vars(slot).items()
    }
    drawn = actors.decide(type(slot)(**repeated), [seeded(4)])
    mean = actors.decide(slot)
    error = (drawn.power_unit[0].mean(0) - mean.power_unit[0, 0]).abs().max()
    assert error < 5 * 0.3 / count**0.5
    for m in range(ENV.num_bs):
        raw = actors.stations.single(m, drawn.station_obs[0, :1, m])[0]
        first, second = beta_parameters(raw).chunk(2)
        expected = (first / (first + second))[: ENV.num_users]
        weight = drawn.actions.cpu_share[0, :, m]
        for k in (drawn.deployment[0, 0] == m).nonzero().flatten().tolist():
            assert weight[:, k].mean().item() == pytest.approx(expected[k].item(), abs=0.03)


def test_step_by_step_equals_the_whole_episode():
    """Acting slot by slot with the carried state gives the actions of the whole expression."""
    world, actors = sample_world(ENV, 3), policies()
    whole = actors.decide(world)
    carry = initial_carry(world)
    for n in range(world.slots):
        one = actors.decide(world.window(n, n + 1), None, carry)
        for name in ("power", "cpu_share", "wired_share"):
            torch.testing.assert_close(
                getattr(one.actions, name)[:, 0], getattr(whole.actions, name)[:, n]
            )
        assert torch.equal(one.deployment[:, 0], whole.deployment[:, n])
        carry = simulate(world.window(n, n + 1), one.actions, ENV, carry).carry


def test_windows_do_not_show(monkeypatch):
    """Base stations act a window at a time; mean actions do not depend on its length."""
    world, actors = sample_world(ENV, 1), policies()
    whole = actors.act(world)
    monkeypatch.setattr("dtlib.policies.WINDOW", 7)
    pieces = actors.act(world)
    assert ENV.slots % 7 and ENV.slots > 14
    for name, array in vars(whole).items():
        torch.testing.assert_close(vars(pieces)[name], array)
