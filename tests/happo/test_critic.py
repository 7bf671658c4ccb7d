"""Value estimates: targets, the running scale of returns, and one stacked network per critic."""

import math

import pytest
import torch
from draws import seeded
from syncs import Syncs

from dtlib import TrainConfig
from dtlib.happo.critic import Critics
from dtlib.happo.gae import gae
from dtlib.kernels.value_norm import ValueNorm

CONFIG = TrainConfig(hidden_sizes=(8,), learning_rate=0.01, discount=0.9, gae_lambda=0.8)
SLOTS, INPUTS = 30, 5


def material(critics=3, outputs=2, offset=4.0, scale=7.0, worlds=2):
    """States [W, N+1, d] and rewards [C, R = 1, outputs, W, N] far from standardised."""
    state = torch.randn(worlds, SLOTS + 1, INPUTS, generator=seeded(1))
    reward = torch.randn(critics, 1, outputs, worlds, SLOTS, generator=seeded(2))
    return state, offset + scale * reward


def make(critics=3, outputs=2, **changes):
    return Critics(
        count=critics,
        inputs=INPUTS,
        outputs=outputs,
        config=CONFIG.replace(**changes),
        generators=[seeded(0)],
    )


# --- the scale of the returns -------------------------------------------------------------------


def test_value_norm_by_hand():
    norm = ValueNorm((1, 1, 1), decay=0.75)
    norm.update(torch.tensor([[[[[1.0, 3.0]]]]]))  # mean 2, variance 1, no memory yet
    assert norm.mean.item() == pytest.approx(2) and norm.std.item() == pytest.approx(1)
    norm.update(torch.tensor([[[[[6.0], [6.0]]]]]))
    # weights ¾·¼ and ¼ of the total 7/16: mean (3·2 + 4·6)/7, second moment (3·5 + 4·36)/7
    assert norm.mean.item() == pytest.approx(30 / 7, rel=1e-5)
    assert norm.std.item() == pytest.approx(math.sqrt(159 / 7 - (30 / 7) ** 2), rel=1e-5)


def test_value_norm_forgets_and_survives_constants():
    norm = ValueNorm((2, 1, 3))
    for _ in range(200):
        norm.update(torch.full((2, 1, 3, 2, 5), -5.0))
    torch.testing.assert_close(norm.mean, torch.full((2, 1, 3), -5.0))
    assert norm.std.isfinite().all() and (norm.std > 0).all()


def test_value_norm_state_of_each_run():
    """Arrays of a run are views: what is copied into them is used."""
    one, two = ValueNorm((2, 1, 3)), ValueNorm((2, 2, 3))
    one.update(torch.randn(2, 1, 3, 2, 5, generator=seeded(0)))
    assert set(one.state()) == {"weight", "first", "second", "mean", "std"}
    for name, array in two.state(1).items():
        array.copy_(one.state()[name])
    returns = torch.randn(2, 1, 3, 2, 5, generator=seeded(1))
    one.update(returns)
    two.update(returns.expand(2, 2, 3, 2, 5))
    assert all(torch.equal(array, two.state(1)[name]) for name, array in one.state().items())
    assert not torch.equal(two.state(0)["mean"], two.state(1)["mean"])


@pytest.mark.parametrize("outputs", [1, 4])
def test_rescaling_keeps_every_value(outputs):
    """The output layer absorbs each change of the scale, episode after episode."""
    critics = make(outputs=outputs)
    for episode in range(4):
        state, reward = material(3, outputs, offset=10.0**episode, scale=3.0**episode)
        trace = critics.look([state])
        before = critics.values(trace)
        critics.advantages(trace, reward)
        torch.testing.assert_close(critics.values(trace), before, rtol=1e-4, atol=1e-3)
        assert not torch.equal(critics.norm.mean, torch.zeros(3, 1, outputs))
        for index in range(3):
            critics.step(index, trace, reward)
    standard = critics.returns - critics.norm.mean[..., None, None]
    assert (standard / critics.norm.std[..., None, None]).abs().mean() < 3


def test_without_value_norm_the_scale_stays():
    critics = make(value_norm=False)
    weight = critics.stack.weights[-1].clone()
    state, reward = material()
    critics.advantages(critics.look([state]), reward)
    assert torch.equal(critics.norm.mean, torch.zeros(3, 1, 2))
    assert torch.equal(critics.norm.std, torch.ones(3, 1, 2))
    assert torch.equal(critics.stack.weights[-1], weight)


# --- advantages and targets ---------------------------------------------------------------------


def test_advantages_use_values_in_units_of_reward():
    critics = make()
    state, reward = material()
    trace = critics.look([state])
    critics.advantages(trace, reward)  # now mean and deviation are far from 0 and 1
    values = critics.values(trace)
    rows = torch.cat(list(state))
    raw = torch.stack([critics.stack.single(i, rows).mT[None] for i in range(3)])
    expected = raw * critics.norm.std[..., None] + critics.norm.mean[..., None]
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-4)
    found = critics.advantages(trace, reward)
    for c in range(3):
        for k in range(2):
            for w in range(2):
                value = values[c, 0, k, w * (SLOTS + 1) : (w + 1) * (SLOTS + 1)]
                expected = gae(reward[c, 0, k, w], value=value, discount=0.9, gae_lambda=0.8)
                torch.testing.assert_close(found[c, 0, k, w], expected)
                torch.testing.assert_close(critics.returns[c, 0, k, w], expected + value[:-1])


def test_explained_variance_is_of_the_whole_reward():
    critics = make()
    state, reward = material()
    trace = critics.look([state])
    values = critics.values(trace).view(3, 1, 2, 2, SLOTS + 1)[..., :-1]
    critics.advantages(trace, reward)
    for c in range(3):
        target, value = critics.returns[c, 0].sum(0), values[c, 0].sum(0)
        expected = 1 - (target - value).var() / target.var()
        assert critics.explained[c][0] == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("target", ["td", "gae"])
@pytest.mark.parametrize("value_norm", [True, False])
def test_one_step_against_autograd_by_hand(target, value_norm):
    """Eq. (32) in standardised units: V(s') counts in the target but gets no gradient."""
    critics = make(critic_target=target, value_norm=value_norm, max_grad_norm=1e6)
    states, rewards = material(worlds=1)
    state, reward, trace = states[0], rewards[:, :, :, 0], critics.look([states])
    advantage = critics.advantages(trace, rewards)[1, 0, :, 0].mT
    returns = critics.returns[1, 0, :, 0].mT
    mean, std = critics.norm.mean[1, 0].clone(), critics.norm.std[1, 0].clone()
    values = critics.values(trace)[1, 0].mT

    parameters = [p.detach().clone().requires_grad_() for p in critics.stack.parameters(1)]
    prediction = (state @ parameters[0] + parameters[2]).relu() @ parameters[1] + parameters[3]
    if target == "td":
        goal = torch.stack([reward[1, 0, :, n] + 0.9 * values[n + 1] for n in range(SLOTS)])
    else:
        goal = returns
        torch.testing.assert_close(goal, advantage + prediction[:-1].detach() * std + mean)
    error = (goal - mean) / std - prediction[:-1]
    loss = 0.5 * error.pow(2).sum() / error.numel()
    adam = torch.optim.Adam(parameters, lr=CONFIG.learning_rate, eps=CONFIG.adam_eps)
    loss.backward()
    adam.step()

    critics.step(1, trace, rewards)
    for found, expected in zip(critics.stack.parameters(1), parameters, strict=True):
        torch.testing.assert_close(found.detach(), expected.detach(), rtol=1e-3, atol=1e-5)


def test_td_target_by_hand():
    """One linear critic V(s) = ½ s at s = 1, 3, 1 with rewards 2 and 1."""
    config = TrainConfig(hidden_sizes=(), value_norm=False, discount=0.9, learning_rate=1e-3)
    critics = Critics(count=1, inputs=1, outputs=1, config=config, generators=[seeded(0)])
    critics.stack.weights[0].fill_(0.5)
    state, reward = torch.tensor([[[1.0], [3.0], [1.0]]]), torch.tensor([[[[[2.0, 1.0]]]]])
    trace = critics.look([state])
    critics.advantages(trace, reward)
    critics.step(0, trace, reward)
    first, second = 2 + 0.9 * 1.5 - 0.5, 1 + 0.9 * 0.5 - 1.5
    weights, biases = critics.stack.split(critics.train_states[0].gradient)
    assert weights[0].item() == pytest.approx(-(first * 1 + second * 3) / 2)
    assert biases[0].item() == pytest.approx(-(first + second) / 2)
    assert critics.stack.weights[0].item() > 0.5


@pytest.mark.parametrize("target", ["td", "gae"])
def test_nothing_leaks_across_the_seam_of_two_worlds(target):
    """Advantages are those of each world alone, a step's gradient is the mean of both."""
    critics = make(critic_target=target, value_norm=False, max_grad_norm=1e6)
    state, reward = material()
    weights = critics.stack.flat.clone()

    def learn(state, reward):
        critics.stack.flat.copy_(weights)
        trace = critics.look([state])
        advantage = critics.advantages(trace, reward)
        critics.step(1, trace, reward)
        return advantage, critics.train_states[1].gradient.clone()

    both, gradient = learn(state, reward)
    alone = [learn(state[w : w + 1], reward[..., w : w + 1, :]) for w in range(2)]
    torch.testing.assert_close(both, torch.cat([one for one, _ in alone], dim=-2))
    torch.testing.assert_close(gradient, (alone[0][1] + alone[1][1]) / 2)
    assert not torch.allclose(alone[0][1], alone[1][1], rtol=1e-2)


@pytest.mark.parametrize("target", ["td", "gae"])
def test_a_step_does_not_wait_for_the_device(target):
    critics = make(critic_target=target)
    state, reward = material()
    trace = critics.look([state])
    critics.advantages(trace, reward)
    with Syncs() as watch:
        critics.step(0, trace, reward)
    assert watch.count > 20 and not watch.seen


def test_a_step_changes_one_critic_only():
    critics = make()
    state, reward = material()
    trace = critics.look([state])
    critics.advantages(trace, reward)
    before = critics.values(trace)
    critics.step(2, trace, reward)
    after = critics.values(trace)
    assert torch.equal(after[:2], before[:2]) and not torch.equal(after[2], before[2])


@pytest.mark.parametrize("target", ["td", "gae"])
def test_critics_learn_to_predict(target):
    """Rewards are a function of the state: the explained variance rises from about none to most."""
    critics = make(1, 1, critic_target=target, discount=0.1)
    state = torch.randn(2, 200, INPUTS, generator=seeded(3))
    reward = (100 + 20 * state[:, :-1, 0] - 10 * state[:, :-1, 1].abs())[None, None, None]
    trace = critics.look([state])
    critics.advantages(trace, reward)
    assert critics.explained[0][0] < 0.1
    for _ in range(8):
        for _ in range(50):
            critics.step(0, trace, reward)
        critics.advantages(trace, reward)
    assert critics.explained[0][0] > 0.7
