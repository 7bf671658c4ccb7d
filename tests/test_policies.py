"""Stacked networks, Beta and categorical heads, and what the agents do in a world."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch.optim import SGD

from dtlib import EnvConfig, Policies, TrainConfig, sample_world
from dtlib.policies import (
    EDGE,
    MLPStack,
    beta_entropy,
    beta_log_prob,
    beta_parameters,
    power_watts,
    sample_beta,
    sample_categorical,
    station_mask,
)
from dtlib.simulator import check_actions, deploy, initial_carry, simulate

ENV = EnvConfig(num_users=7, num_bs=3, frame_slots=10, frames=6, migration_slots=3)
CONFIG = TrainConfig(env=ENV, hidden_sizes=(16, 8), output_gain=1.0)
GRID = [(1.0, 1.0), (1.2, 1.0), (1.7, 1.7), (5.0, 2.0), (40.0, 300.0), (0.7, 3.0)]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# --- stacked networks ---------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(5, 3), (5, 16, 3), (5, 128, 64, 3)])
def test_stacked_equals_sliced(activation, sizes):
    stack = MLPStack(4, sizes, activation, 1.0, seeded(0))
    for bias in stack.biases:
        bias.normal_(generator=seeded(1))
    inputs = torch.randn(4, 11, 5, generator=seeded(2))
    before, together = inputs.clone(), stack(inputs)
    assert not together.requires_grad and torch.equal(inputs, before)
    for i in range(4):
        torch.testing.assert_close(together[i], stack.single(i, inputs[i]).detach())


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_one_network_against_torch_modules(activation):
    stack = MLPStack(2, (5, 16, 8, 3), activation, 1.0, seeded(0))
    between = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[activation]
    layers = []
    for a, b in ((5, 16), (16, 8), (8, 3)):
        layers += [torch.nn.Linear(a, b), between()]
    module = torch.nn.Sequential(*layers[:-1])
    for layer, linear in enumerate(module[::2]):
        linear.weight.data = stack.weights[layer][1].T.clone()
        linear.bias.data = stack.biases[layer][1, 0].clone()
    inputs = torch.randn(9, 5, generator=seeded(2))
    torch.testing.assert_close(stack.single(1, inputs), module(inputs))
    stack.single(1, inputs).square().sum().backward()
    module(inputs).square().sum().backward()
    for found, expected in zip(stack.parameters(1)[:3], module[::2], strict=True):
        torch.testing.assert_close(found.grad, expected.weight.grad.T)


def test_a_step_on_one_network_changes_only_its_slice():
    stack = MLPStack(3, (4, 8, 2), generator=seeded(0))
    before = {name: array.clone() for name, array in stack.state().items()}
    stack.single(1, torch.randn(6, 4, generator=seeded(1))).square().sum().backward()
    assert all(p.grad is None for i in (0, 2) for p in stack.parameters(i))
    SGD(stack.parameters(1), lr=0.1).step()
    for name, array in stack.state().items():
        assert torch.equal(array[0], before[name][0]) and torch.equal(array[2], before[name][2])
        assert not torch.equal(array[1], before[name][1])


def test_parameters_are_views_that_survive_loading():
    one, two = (MLPStack(3, (4, 8, 2), generator=seeded(s)) for s in (0, 1))
    leaves = one.parameters(2)
    one.load(two.state())
    for leaf, array in zip(leaves, two.weights + two.biases, strict=True):
        assert torch.equal(leaf, array[2])
    with torch.no_grad():
        leaves[0].fill_(7)
    assert (one.weights[0][2] == 7).all() and not (two.weights[0] == 7).any()


def test_initial_weights_are_orthogonal_and_seeded():
    stack = MLPStack(2, (6, 16, 8, 4), output_gain=0.01, generator=seeded(0))
    for weight, gain in zip(stack.weights, (2**0.5, 2**0.5, 0.01), strict=True):
        singular = torch.linalg.svdvals(weight)
        torch.testing.assert_close(singular, torch.full_like(singular, gain))
    assert all(not bias.any() for bias in stack.biases)
    again = MLPStack(2, (6, 16, 8, 4), output_gain=0.01, generator=seeded(0))
    assert all(torch.equal(a, b) for a, b in zip(stack.weights, again.weights, strict=True))
    assert not torch.equal(stack.weights[0][0], stack.weights[0][1])


# --- Beta and categorical heads -----------------------------------------------------------------


def test_beta_against_scipy():
    value = torch.tensor([EDGE, 1e-3, 0.2, 0.5, 0.77, 0.999, 1 - EDGE], dtype=torch.float64)
    for a, b in GRID:
        first, second = torch.tensor([a, b], dtype=torch.float64)
        np.testing.assert_allclose(
            beta_log_prob(value, first, second), scipy.stats.beta.logpdf(value, a, b), rtol=1e-9
        )
        np.testing.assert_allclose(
            beta_entropy(first, second), scipy.stats.beta(a, b).entropy(), rtol=1e-7, atol=1e-9
        )


def test_beta_in_single_precision():
    value = torch.tensor([EDGE, 0.2, 0.5, 1 - EDGE])
    for a, b in GRID:
        first, second = torch.tensor(a), torch.tensor(b)
        exact = scipy.stats.beta.logpdf(value.double(), a, b)
        np.testing.assert_allclose(beta_log_prob(value, first, second), exact, rtol=1e-3, atol=1e-3)
        exact = scipy.stats.beta(a, b).entropy()
        np.testing.assert_allclose(beta_entropy(first, second), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("raw", [-6.0, -1.0, 0.0, 2.0, 30.0])
def test_beta_gradients_against_finite_differences(raw):
    """Through the head's parametrisation 1 + softplus(·), for the log-probability and entropy."""
    inputs = torch.tensor([raw, 0.3 - raw], dtype=torch.float64, requires_grad=True)
    value = torch.tensor([0.02, 0.4, 0.97], dtype=torch.float64)

    def log_prob(x):
        return beta_log_prob(value, *beta_parameters(x))

    def entropy(x):
        return beta_entropy(*beta_parameters(x))

    assert torch.autograd.gradcheck(log_prob, inputs)
    assert torch.autograd.gradcheck(entropy, inputs)


def test_beta_parameters_keep_one_peak():
    raw = torch.tensor([-1e4, -20.0, 0.0, 3.0, 1e4])
    parameters = beta_parameters(raw)
    assert parameters.isfinite().all() and (parameters >= 1).all()
    assert parameters[2].item() == pytest.approx(1 + math.log(2))
    # even where both are 1 (uniform), the density and its gradient are finite at the edges
    flat = torch.full((2, 1), -1e4, requires_grad=True)
    log_prob = beta_log_prob(torch.tensor([EDGE, 1 - EDGE]), *beta_parameters(flat))
    (gradient,) = torch.autograd.grad(log_prob.sum(), flat)
    assert log_prob.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize(("a", "b"), [(1.7, 1.7), (1.05, 4.0), (30.0, 6.0)])
def test_beta_samples_follow_the_distribution(a, b):
    count = 20_000
    draws = sample_beta(torch.full((count,), a), torch.full((count,), b), seeded(0))
    law = scipy.stats.beta(a, b)
    assert scipy.stats.kstest(draws.double().numpy(), law.cdf).pvalue > 1e-3
    assert draws.mean().item() == pytest.approx(law.mean(), abs=5 * law.std() / count**0.5)
    assert draws.std().item() == pytest.approx(law.std(), rel=0.03)


def test_beta_samples_keep_off_the_edges():
    """The clamp holds where almost all mass lies at an edge; every log-density is then finite."""
    for a, b in ((1.0, 1e9), (1e9, 1.0), (1.0, 1.0)):
        first, second = torch.full((5000,), a), torch.full((5000,), b)
        draws = sample_beta(first, second, seeded(1))
        assert draws.min() >= EDGE * 0.999 and draws.max() <= 1 - EDGE * 0.9
        assert beta_log_prob(draws, first, second).isfinite().all()
    assert torch.tensor(EDGE) > 0 and torch.tensor(1 - EDGE) < 1  # also in single precision


def test_categorical_frequencies():
    logits = torch.tensor([[0.0, 1.0, -1.0], [5.0, 5.0, 5.0]])
    count = 20_000
    draws = sample_categorical(logits.expand(count, 2, 3), seeded(0))
    assert draws.shape == (count, 2) and draws.min() == 0 and draws.max() == 2
    for i in range(2):
        observed = torch.bincount(draws[:, i], minlength=3).numpy()
        expected = logits[i].softmax(-1).double().numpy()
        assert scipy.stats.chisquare(observed, count * expected / expected.sum()).pvalue > 1e-3


def test_categorical_with_certain_choices():
    logits = torch.tensor([[-1e9, 0.0, -1e9], [0.0, -1e9, -1e9], [-1e9, -1e9, 0.0]])
    draws = sample_categorical(logits.expand(2000, 3, 3), seeded(0))
    assert torch.equal(draws, torch.tensor([1, 0, 2]).expand(2000, 3))
    assert not sample_categorical(torch.zeros(50, 1), seeded(0)).any()  # a single choice


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
