"""Stacked networks, Beta and categorical heads, and what the agents do in a world."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from by_loops import loop_mask
from draws import seeded
from said import one_line

from dtlib import ConfigError, EnvConfig, Policies, TrainConfig, sample_world
from dtlib.agents.actions import power_watts
from dtlib.kernels.distributions import beta_parameters, gaussian_parameters
from dtlib.model.observations import observe_twins
from dtlib.model.simulator import check_actions, deploy, initial_carry, simulate
from dtlib.training.loop import Trainer

ENV = EnvConfig(num_users=7, num_bs=3, frame_slots=10, frames=6, migration_slots=3)
CONFIG = TrainConfig(env=ENV, hidden_sizes=(16, 8), output_gain=1.0)


def policies(config=CONFIG, seed=0):
    return Policies(config, seeded(seed))


@pytest.mark.parametrize("decision", ["frame-end", "frame-start"])
@pytest.mark.parametrize("transmits", [False, True])
@pytest.mark.parametrize("scale", ["watt", "decibel", "path-loss"])
@pytest.mark.parametrize("random", [True, False])
def test_actions_are_valid_and_drawn_only_where_they_count(decision, transmits, scale, random):
    env = ENV.replace(deployment_decision=decision, migrating_transmits=transmits)
    config = CONFIG.replace(env=env, power_action=scale)
    world = sample_world(env, 5, replicas=2)
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


@pytest.mark.parametrize("change", [{"num_users": 8}, {"num_bs": 2}])
def test_a_world_of_another_size_is_refused(change):
    other = ENV.replace(**change)
    for world, env in ((sample_world(other, 5), None), (sample_world(ENV, 5), other)):
        text = one_line(lambda world=world, env=env: policies().act(world, env=env), 200)
        assert text.startswith("world has num_users = ")


@pytest.mark.parametrize("scale", ["watt", "decibel", "path-loss"])
def test_another_network_than_its_own(scale):
    """As the evaluation asks for: the network of the world, not of the policies."""
    env = ENV.replace(
        max_power_w=0.01, noise_w=1e-8, ref_gain=1e-4, path_loss_exponent=3.0, migration_slots=1,
        data_bits=(1e4, 5e4), speed_mps=(200.0, 400.0),
    )  # fmt: skip
    config, world = CONFIG.replace(power_action=scale), sample_world(env, 5)
    asked = policies(config).decide(world, [seeded(1)], env=env)
    own = policies(config.replace(env=env)).decide(world, [seeded(1)])
    assert not torch.equal(own.served, world.request), "twins move"
    for name, array in vars(own.actions).items():
        assert torch.equal(getattr(asked.actions, name), array), name
    for name in ("mean_power", "served", "deployment", "user_obs", "weight_counts"):
        assert torch.equal(getattr(asked, name), getattr(own, name)), name


@pytest.mark.parametrize("scale", ["original", "bounded"])
@pytest.mark.parametrize("random", [True, False])
def test_a_gaussian_is_executed_clipped_and_kept_as_drawn(random, scale):
    world = sample_world(ENV, 5, replicas=2)
    actors = policies(CONFIG.replace(algorithm="gaussian-happo", gaussian=scale, output_gain=3.0))
    decided = actors.decide(world, [seeded(1)] if random else None)
    check_actions(decided.actions, world, ENV)
    weights = torch.cat([decided.actions.cpu_share, decided.actions.wired_share], -1)
    executed = decided.actions.power / ENV.max_power_w
    for unit, done in ((decided.power_unit, executed), (decided.weight_unit, weights)):
        assert (unit < 0).any() and (unit > 1).any()
        torch.testing.assert_close(done, unit.clamp(0, 1))
    assert torch.equal(decided.power_unit != 0, decided.sending)
    asked = loop_mask(world.association, decided.actions.deployment, world.request, ENV)
    counts = loop_mask(world.association, decided.deployment, decided.served, ENV)
    assert torch.equal(decided.weight_unit != 0, counts | asked)
    raw = [actors.users.single(k, decided.user_obs[1, :, k]) for k in range(ENV.num_users)]
    mean, std = gaussian_parameters(*torch.stack(raw, 1).unbind(-1), original=scale == "original")
    middle = torch.where(decided.sending[1], mean.clamp(0, 1) * ENV.max_power_w, 0)
    torch.testing.assert_close(decided.mean_power[1], middle)
    score = ((decided.power_unit[1] - mean) / std)[decided.sending[1]]
    if random:
        assert score.std().item() == pytest.approx(1, abs=0.3) and score.abs().max() < 5
    else:
        assert score.abs().max() < 1e-4


@pytest.mark.parametrize(
    ("algorithm", "scale"),
    [("beta-happo", "original"), ("gaussian-happo", "original"), ("gaussian-happo", "bounded")],
)
@pytest.mark.parametrize("random", [True, False])
def test_silence_as_a_choice(algorithm, scale, random):
    """A coin with the probability of the third output, then a level; never silent by its level."""
    config = CONFIG.replace(
        algorithm=algorithm, gaussian=scale, power_action="path-loss", silence="choice",
        silent_below=0.3, power_range_db=20.0, power_top_db=5.0, output_gain=3.0,
    )  # fmt: skip
    world, actors = sample_world(ENV, 5, replicas=2), policies(config)
    assert actors.users.sizes[-1] == 3
    decided = actors.decide(world, [seeded(1)] if random else None)
    sent = decided.power_unit != 0
    assert not (sent & ~decided.sending).any()
    assert torch.equal(sent, decided.actions.power > 0)
    distance = world.distance.amin(-1)
    level = 10 ** (0.5 + 2 * (decided.power_unit.clamp(0, 1) - 1))
    power = (level * 1e-9 * distance**2.2 / 1e-3).clamp_max(ENV.max_power_w)
    torch.testing.assert_close(decided.actions.power, torch.where(sent, power, 0))
    raw = torch.stack(
        [actors.users.single(k, decided.user_obs[1, :, k]) for k in range(ENV.num_users)], 1
    )
    chance = torch.sigmoid(raw[..., 2])[decided.sending[1]]
    share = sent[1][decided.sending[1]].float()
    likely = (chance > 0.5).float()
    assert 0.1 < share.mean() < 0.9
    if random:
        error = (share - chance).sum() / (chance * (1 - chance)).sum().sqrt()
        assert error.abs() < 4 and not torch.equal(share, likely)
    else:
        assert torch.equal(share, likely)
    mean = decided.mean_power[1][decided.sending[1]]
    assert torch.equal((mean > 0).float(), likely)


def test_a_deterministic_actor_is_silent_below_a_threshold():
    config = TrainConfig.from_preset(
        "companion", "work-conserving", algorithm="maddpg", silent_below=0.3
    )
    assert config.silence == "choice" and not config.chooses_silence
    unit = torch.tensor([0.0, 0.29, 0.3, 1.0])
    power = power_watts(unit, distance=torch.full_like(unit, 100.0), env=config.env, train=config)
    assert power[:2].tolist() == [0, 0]
    assert power[3] / power[2] == pytest.approx(100, rel=1e-5)


def test_path_loss_looks_at_the_serving_base_station():
    config = CONFIG.replace(power_action="path-loss")
    world = sample_world(ENV, 5, replicas=2)
    decided = policies(config).decide(world, [seeded(1)])
    levels = set()
    for r, n, k in decided.sending.nonzero().tolist():
        distance = world.distance[r, n, k, world.association[r, n, k]].item()
        for unit, power in (
            (decided.power_unit[r, n, k].item(), decided.actions.power[r, n, k].item()),
            (None, decided.mean_power[r, n, k].item()),
        ):
            received = power * 1e-3 * distance**-2.2 / 1e-9  # to noise, on average
            if unit is not None and power < 0.499:
                assert received == pytest.approx(10 * (10 ** (4 * unit) - 1) / 9999, rel=1e-3)
                levels.add(round(received, 6))
            assert 0 < power <= 0.5 and received <= 10.001
    assert len(levels) > 50


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
    mask = decided.weight_counts
    weights = torch.cat([actions.cpu_share, actions.wired_share], -1)
    assert (~mask & (weights > 0)).any()
    cpu, wired = torch.where(mask, weights, weights * 0.5).chunk(2, -1)
    changed = replace(actions, cpu_share=cpu, wired_share=wired)
    one, two = simulate(world, actions, ENV), simulate(world, changed, ENV)
    assert torch.equal(one.reward_global, two.reward_global)
    assert not torch.equal(one.reward_centre, two.reward_centre)


@pytest.mark.parametrize("actors", ["per-agent", "by-twin", "shared"])
@pytest.mark.parametrize("hidden", [(16, 8), (128, 64)])
def test_replicas_are_independent(hidden, actors):
    config = CONFIG.replace(hidden_sizes=hidden, actors=actors)
    world = sample_world(ENV, 3, replicas=3)
    actors = policies(config)
    together = actors.decide(world, [seeded(s) for s in (1, 2, 3)])
    for r in range(3):
        alone = actors.decide(world.replica(r), [seeded(1 + r)])
        for name in ("power", "cpu_share", "wired_share", "deployment"):
            batch, single = getattr(together.actions, name)[r], getattr(alone.actions, name)[0]
            torch.testing.assert_close(batch, single, rtol=1e-5, atol=1e-6)


def test_one_generator_for_all_replicas():
    """Worlds side by side draw from one stream, each number its own from its agent's law."""
    env = ENV.replace(request_prob=1.0)
    actors, world = policies(CONFIG.replace(env=env)), sample_world(env, 3, replicas=2)
    twice = replace(world, **{
        name: array[:1].expand(2, *array.shape[1:])
        for name, array in vars(world).items() if name != "bs_position"
    })  # fmt: skip
    one, two = (actors.decide(twice, [seeded(1)]) for _ in range(2))
    assert torch.equal(one.power_unit, two.power_unit)
    assert torch.equal(one.actions.deployment, two.actions.deployment)
    both = one.sending.all(0)
    assert (one.power_unit[0] != one.power_unit[1])[both].all() and both.sum() > 200
    assert (one.actions.deployment[0] != one.actions.deployment[1]).any()
    rank = []
    for r in range(2):
        raw = torch.stack([actors.users.single(k, one.user_obs[r, :, k]) for k in range(7)], 1)
        law = scipy.stats.beta(*beta_parameters(raw)[both].double().mT.numpy())
        rank.append(law.cdf(one.power_unit[r][both].double()))
        assert scipy.stats.kstest(rank[r], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(*rank)[0, 1]) < 4 / len(rank[0]) ** 0.5
    alone = actors.decide(world.replica(1)), actors.decide(world)  # means need no generator
    torch.testing.assert_close(alone[0].actions.power[0], alone[1].actions.power[1])
    torch.testing.assert_close(alone[0].weight_unit[0], alone[1].weight_unit[1])


@pytest.mark.parametrize("count", [None, 0, 3])
def test_generators_are_a_list_of_one_or_as_many_as_replicas(count):
    some = seeded(1) if count is None else [seeded(number) for number in range(count)]
    with pytest.raises(ConfigError, match="generators = .*: must be a list of 1 or 2 torch.Gen"):
        policies().act(sample_world(ENV, 0, replicas=2), some)


def test_what_is_no_world_is_told():
    with pytest.raises(ConfigError, match=r"world = .*: must be a World, such as sample_world"):
        policies().act(ENV)
    with pytest.raises(ConfigError, match="config = .*: must be a TrainConfig, such as"):
        Policies(ENV)
    with pytest.raises(ConfigError, match="env = .*: must be an EnvConfig, such as run"):
        policies().act(sample_world(ENV, 0), env={"num_users": 4})


def test_without_a_generator_they_are_those_of_the_runs_beginning():
    """Of its own seed, whatever torch's global generator has drawn before."""
    config = CONFIG.replace(seed=4)
    begun = Trainer([config]).learner.policies[0]
    for kind, stack in Policies(config).stacks.items():
        assert torch.equal(stack.flat, begun.stacks[kind].flat)
    assert not torch.equal(Policies(CONFIG).users.flat, Policies(config).users.flat)


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


def test_one_network_for_all_users():
    """Each MU's power and each twin's server come from the one network and its own observation."""
    world, actors = sample_world(ENV, 3, replicas=2), policies(CONFIG.replace(actors="shared"))
    assert actors.users.count == 1
    decided = actors.decide(world)
    assert 0 < decided.sending.float().mean() < 1
    for r, n, k in itertools.product(range(2), range(0, world.slots, 7), range(ENV.num_users)):
        raw = actors.users.single(0, decided.user_obs[r, n, k : k + 1])[0]
        first, second = beta_parameters(raw)
        expected = (first / (first + second)).item() if decided.sending[r, n, k] else 0
        assert decided.power_unit[r, n, k].item() == pytest.approx(expected, rel=1e-4)
        seen = decided.centre_obs[r, n, k : k + 1]
        assert torch.equal(seen, observe_twins(world, ENV)[r, n, k : k + 1])
        logits = actors.centre.single(0, seen)[0]
        assert decided.actions.deployment[r, n, k] == logits.argmax()
    drawn = actors.decide(world, [seeded(1)])
    check_actions(drawn.actions, world, ENV)
    assert torch.equal(drawn.power_unit > 0, drawn.sending)
    assert len(drawn.power_unit.unique()) > 0.9 * drawn.sending.sum()


def test_one_network_for_all_twins():
    """By twin: MUs act by networks of their own, as before, and the centre twin by twin."""
    config = CONFIG.replace(actors="by-twin")
    world, actors, apart = sample_world(ENV, 3, replicas=2), policies(config), policies()
    assert actors.users.count == ENV.num_users and actors.centre.count == 1
    assert actors.centre.sizes[-1] == ENV.num_bs
    assert torch.equal(actors.users.flat, apart.users.flat)
    decided, separately = actors.decide(world), apart.decide(world)
    both = decided.sending & separately.sending
    torch.testing.assert_close(decided.power_unit[both], separately.power_unit[both])
    seen = observe_twins(world, ENV)
    assert torch.equal(decided.centre_obs, seen)
    logits = actors.centre(seen.reshape(1, -1, seen.shape[-1])).view(*seen.shape[:3], ENV.num_bs)
    assert torch.equal(decided.actions.deployment, logits.argmax(-1))


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


@pytest.mark.parametrize("sharing", ["per-agent", "by-twin", "shared"])
def test_step_by_step_equals_the_whole_episode(sharing):
    """Acting slot by slot with the carried state gives the actions of the whole expression."""
    world, actors = sample_world(ENV, 3), policies(CONFIG.replace(actors=sharing))
    whole = actors.decide(world)
    carry = initial_carry(world)
    for n in range(world.slots):
        one = actors.decide(world.window(n, n + 1), None, carry=carry)
        for name in ("power", "cpu_share", "wired_share"):
            torch.testing.assert_close(
                getattr(one.actions, name)[:, 0], getattr(whole.actions, name)[:, n]
            )
        assert torch.equal(one.deployment[:, 0], whole.deployment[:, n])
        carry = simulate(world.window(n, n + 1), one.actions, ENV, carry=carry).carry


def test_windows_do_not_show(monkeypatch):
    """Base stations act a window at a time; mean actions do not depend on its length."""
    world, actors = sample_world(ENV, 1), policies()
    whole = actors.act(world)
    monkeypatch.setattr("dtlib.agents.policies.WINDOW", 7)
    pieces = actors.act(world)
    assert ENV.slots % 7 and ENV.slots > 14
    for name, array in vars(whole).items():
        torch.testing.assert_close(vars(pieces)[name], array)
