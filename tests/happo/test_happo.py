"""The sequential update: ratios, the factor M, clipping."""

import inspect
import re
from dataclasses import replace
from unittest import mock

import pytest
import torch
from draws import seeded
from syncs import Syncs
from torch.distributions import Beta, Categorical

from dtlib import TrainConfig
from dtlib.happo import algorithm, plain
from dtlib.happo.algorithm import Agent, agent_order, surrogate_slope, update
from dtlib.kernels.batch import ActorBatch, actor_data
from dtlib.kernels.diagnostics import UpdateStats
from dtlib.kernels.distributions import beta_parameters
from dtlib.kernels.networks import MLPStack
from dtlib.kernels.outputs import Output
from dtlib.kernels.train_state import TrainState

SLOTS, USERS = 40, 3
CONFIG = TrainConfig(learning_rate=0.02, hidden_sizes=(8,), clip=0.2)


def team(per_user=False, seed=0, config=CONFIG):
    """Four agents of three kinds with random data: agents, data, and the dense material."""
    generator = seeded(seed)
    heads = ["beta", "beta", "beta", "categorical"]
    stacks = [MLPStack(2, (5, 8, 2), generator=generator)]
    stacks += [MLPStack(1, (5, 8, 4 * USERS), generator=generator)]
    stacks += [MLPStack(1, (5, 8, 4 * USERS), generator=generator)]
    numbers = [1, 1, 2 * USERS, USERS]
    actors = [TrainState(stacks[0], config, index=i) for i in range(2)]
    actors += [TrainState(stack, config) for stack in stacks[1:]]
    agents, data, dense = [], [], []
    for agent, (head, count) in enumerate(zip(heads, numbers, strict=True)):
        obs = torch.randn(SLOTS, 5, generator=generator)
        mask = torch.rand(SLOTS, count, generator=generator) < 0.6
        if head == "beta":
            value = torch.rand(SLOTS, count, generator=generator) * 0.9 + 0.05
        else:
            value = torch.randint(4, (SLOTS, count), generator=generator)
        fine = per_user and agent >= 2
        shape = (SLOTS, USERS) if fine else (SLOTS,)
        advantage = torch.randn(shape, generator=generator)
        data.append(actor_data(head, obs=obs, action=value, mask=mask, advantage=advantage))
        agents.append(update_of(actors[agent], data[-1], config))
        dense.append((head, obs, value, mask))
    return agents, data, dense


def update_of(actor, data, config=CONFIG):
    size, choices = actor.stack.sizes[-1], data.distribution == "categorical"
    output = Output(size // 4, 4, choices=True) if choices else Output(size // 2, 2)
    return Agent(actor, ActorBatch([data], slots=SLOTS, output=output), config)


def weights(update):
    return [p.clone() for p in update.actor.stack.parameters(update.actor.which.start)]


def slot_log_prob(parameters, head, obs, value, mask):
    """[N], joint log-probability of the numbers that count, from snapshots of the weights."""
    depth = len(parameters) // 2
    hidden = obs
    for layer in range(depth):
        hidden = hidden @ parameters[layer] + parameters[depth + layer]
        hidden = hidden.relu() if layer < depth - 1 else hidden
    if head == "beta":
        first, second = (1 + torch.log1p(hidden.exp())).chunk(2, dim=-1)
        each = Beta(first, second).log_prob(torch.where(mask, value, 0.5))
    else:
        each = Categorical(logits=hidden.view(*value.shape, -1)).log_prob(value)
    return (each * mask).sum(-1)


class Known:
    """Stands in for critics and experience: advantages are known; a step is only called for."""

    states = rewards = None

    def __init__(self, agents, critic_of, at_step):
        self.layout, self.critic_of, self.step = [one.batch for one in agents], critic_of, at_step

    def look(self, states):
        return None

    def advantages(self, trace, reward):
        return None

    def batches(self, advantage):
        return self.layout


def learn(agents, orders, critic_of=None, at_step=lambda *_: None, **changes):
    """Run the library's ``update`` with an epoch for each given order."""
    known = Known(agents, critic_of or [0] * len(agents), at_step)
    config = CONFIG.replace(epochs=len(orders), **changes)
    with mock.patch.object(algorithm, "agent_order", side_effect=orders):
        return update([one.actor for one in agents], known, known, config=config, generator=None)


class Recorder:
    """Stands in for ``surrogate_slope`` and keeps what it is called with."""

    def __init__(self, monkeypatch):
        self.calls = []
        monkeypatch.setattr(algorithm, "surrogate_slope", self)

    def __call__(self, ratio, *, factor, clip):
        self.calls.append((ratio[0].clone(), factor[0].clone()))
        return surrogate_slope(ratio, factor=factor, clip=clip)


# --- the pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [algorithm, plain])
def test_a_page_has_the_lines_of_the_listing_in_their_order(page):
    """Comments mark lines 17 to 27 of Algorithm 1; only line 22 comes again, after line 23."""
    source = inspect.getsource(page)
    assert len(source.splitlines()) <= 150
    marks = re.findall(r"# lines? (\d+)(?:–(\d+))?", source)
    found = [n for first, last in marks for n in range(int(first), int(last or first) + 1)]
    assert found == [17, 18, 19, 20, 21, 22, 23, 22, 24, 25, 26, 27]


# --- the surrogate ------------------------------------------------------------------------------


def test_slope_of_the_surrogate_against_autograd():
    generator = seeded(0)
    log_ratio = torch.randn(500, generator=generator, requires_grad=True)
    gain = torch.randn(500, generator=generator)
    ratio = log_ratio.exp()
    torch.minimum(ratio * gain, ratio.clamp(0.8, 1.2) * gain).sum().backward()
    torch.testing.assert_close(
        surrogate_slope(ratio.detach(), factor=gain, clip=0.2), log_ratio.grad
    )
    assert 50 < (log_ratio.grad == 0).sum() < 450


@pytest.mark.parametrize(
    ("ratio", "advantage", "slope"),
    [
        (1.5, 1.0, 0.0),  # good already made likelier: enough
        (1.5, -1.0, -1.5),  # bad made likelier: all the way back
        (0.5, 1.0, 0.5),  # good made rarer: all the way back
        (0.5, -1.0, 0.0),  # bad already made rarer: enough
        (1.1, 2.0, 2.2),
        (0.9, -2.0, -1.8),
    ],
)
def test_surrogate_is_pessimistic(ratio, advantage, slope):
    found = surrogate_slope(torch.tensor([ratio]), factor=torch.tensor([advantage]), clip=0.2)
    assert found.item() == pytest.approx(slope)


# --- ratios and the factor M --------------------------------------------------------------------


def test_the_ratio_is_exactly_one_before_the_first_step(monkeypatch):
    agents, _, _ = team()
    recorder = Recorder(monkeypatch)
    learn(agents, [[2, 0, 3, 1]] * 2)
    for epoch in range(2):
        first = recorder.calls[4 * epoch : 4 * epoch + 4]
        assert all(torch.equal(r, torch.ones_like(r)) == (epoch == 0) for r, _ in first)


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_factor_is_the_product_of_the_updated_predecessors_ratios(monkeypatch, per_user, order):
    """Over three epochs, recomputed from snapshots of the weights with torch.distributions."""
    agents, data, dense = team(per_user)
    log_probs = []

    def look(*_):
        log_probs.append(
            [slot_log_prob(weights(u), *d) for u, d in zip(agents, dense, strict=True)]
        )

    recorder, orders = Recorder(monkeypatch), [order[e:] + order[:e] for e in range(3)]
    stats = learn(agents, orders, at_step=look)
    look()
    for epoch, order in enumerate(orders):
        log_factor = torch.zeros(SLOTS)
        for place, agent in enumerate(order):
            _, weighted = recorder.calls[4 * epoch + place]
            batch = data[agent]
            expected = log_factor[batch.slot].exp() * batch.advantage
            torch.testing.assert_close(weighted, expected, rtol=2e-4, atol=1e-5)
            if place == 0:
                assert torch.equal(weighted, batch.advantage)  # M = 1 · Â for the first
            else:
                assert not torch.allclose(weighted, batch.advantage, rtol=1e-3)
            log_factor = log_factor + log_probs[epoch + 1][agent] - log_probs[0][agent]
        extremes = torch.cat(stats.log_factor[2 * epoch : 2 * epoch + 2])
        torch.testing.assert_close(
            extremes, torch.stack(log_factor.aminmax()), rtol=1e-3, atol=1e-4
        )


def test_predecessors_that_learn_from_another_reward_do_not_count(monkeypatch):
    agents, data, dense = team()
    before = [slot_log_prob(weights(u), *d) for u, d in zip(agents, dense, strict=True)]
    recorder, order = Recorder(monkeypatch), [2, 3, 0, 1]
    learn(agents, [order], factor="by-reward")
    after = [slot_log_prob(weights(u), *d) for u, d in zip(agents, dense, strict=True)]
    for place, predecessors in enumerate(([], [], [2], [2, 0])):
        batch = data[order[place]]
        change = sum((after[one] - before[one] for one in predecessors), torch.zeros(SLOTS))
        expected = change[batch.slot].exp() * batch.advantage
        torch.testing.assert_close(recorder.calls[place][1], expected, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("critic_of", [[0, 1, 2, 3], [0, 0, 0, 1]])
def test_a_critic_steps_just_before_the_actors_that_it_judges(monkeypatch, critic_of):
    """Lines 21 and 23; a shared one steps once in an epoch, with the first of its agents."""
    events, (agents, _, _) = [], team()
    actor_step = Agent.step

    def step(self, *arguments):
        events.append([one.actor for one in agents].index(self.actor))
        actor_step(self, *arguments)

    monkeypatch.setattr(Agent, "step", step)
    look = lambda critic, *_: events.append(f"critic {critic}")  # noqa: E731
    learn(agents, [[2, 0, 3, 1]] * 2, critic_of, look, critic_passes=2)
    expected = ["critic 2"] * 2 + [2] + ["critic 0"] * 2 + [0]
    expected += ["critic 3"] * 2 + [3] + ["critic 1"] * 2 + [1]
    if critic_of[1] == 0:
        expected = ["critic 0"] * 2 + [2, 0] + ["critic 1"] * 2 + [3, 1]
    assert events == expected * 2


def test_factor_is_bounded_in_the_exponent():
    agents, data, _ = team(config=CONFIG.replace(max_log_factor=0.5))
    extreme = torch.linspace(-200, 200, SLOTS)[None]
    quotient = agents[0].factor(extreme)[0] / data[0].advantage
    limits = torch.tensor([-0.5, 0.5]).exp()
    torch.testing.assert_close(quotient.aminmax().min, limits[0])
    torch.testing.assert_close(quotient.aminmax().max, limits[1])
    assert extreme.abs().max() > 100  # the sum itself is not cut


def test_one_step_against_autograd_by_hand():
    """One actor step equals Adam on −(mean clipped surrogate + ψ · mean entropy), recomputed."""
    config = CONFIG.replace(entropy_coef=0.3, max_grad_norm=0.05)
    agents, data, dense = team(seed=3, config=config)
    agent = 2
    agents[agent].behaviour = agents[agent].behaviour + 0.3  # ratios off one
    log_factor = torch.linspace(-0.5, 0.5, SLOTS)[None]
    parameters = [p.requires_grad_() for p in weights(agents[agent])]

    head, obs, value, mask = dense[agent]
    kept = mask.any(-1)
    hidden = (obs @ parameters[0] + parameters[2]).relu() @ parameters[1] + parameters[3]
    law = Beta(*beta_parameters(hidden).chunk(2, dim=-1))
    log_prob = (law.log_prob(torch.where(mask, value, 0.5)) * mask).sum(-1)[kept]
    entropy = (law.entropy() * mask).sum(-1)[kept]
    ratio = (log_prob - agents[agent].behaviour[0]).exp()
    weighted = log_factor[0, kept].exp() * data[agent].advantage
    gain = torch.minimum(ratio * weighted, ratio.clamp(0.8, 1.2) * weighted)
    loss = -(gain.mean() + 0.3 * entropy.mean())
    adam = torch.optim.Adam(parameters, lr=config.learning_rate, eps=config.adam_eps)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(parameters, 0.05)
    assert norm > 0.05
    adam.step()

    stats = UpdateStats()
    agents[agent].step(agents[agent].factor(log_factor), stats)
    for found, expected in zip(weights(agents[agent]), parameters, strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)
    assert stats.entropy[0].item() == pytest.approx(entropy.mean().item(), rel=1e-5)
    outside = ((ratio - 1).abs() > 0.2).float().mean().item()
    assert stats.clip_fraction[0].item() == pytest.approx(outside)
    kl = (ratio - 1 - ratio.log()).mean().item()
    assert stats.kl[0].item() == pytest.approx(kl, rel=1e-4)


def test_entropy_bonus_raises_the_entropy():
    agents, data, _ = team()
    flat = replace(data[2], advantage=torch.zeros_like(data[2].advantage))
    agent, stats = update_of(agents[2].actor, flat), UpdateStats()
    for _ in range(30):
        agent.step(agent.factor(torch.zeros(1, SLOTS)), stats)
    assert stats.entropy[-1] > stats.entropy[0]


def no_data():
    nothing = torch.zeros(SLOTS, 1, dtype=bool)
    return actor_data(
        "beta",
        obs=torch.zeros(SLOTS, 5),
        action=torch.zeros(SLOTS, 1),
        mask=nothing,
        advantage=torch.ones(SLOTS),
    )


def test_agents_without_data_are_passed_over():
    agents, _, _ = team()
    agents[1] = update_of(agents[1].actor, no_data())
    before = weights(agents[1])
    stats = learn(agents, [[1, 0, 2, 3]])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(agents[1]), strict=True))
    assert len(stats.kl) == 3


def test_an_update_without_any_data_has_a_summary():
    agents, _, _ = team()
    summary = learn([update_of(agents[0].actor, no_data())], [[0]]).summary()
    assert summary["log_factor_max"] == 0 and summary["entropy"] != summary["entropy"]


def test_nothing_waits_for_the_device_within_an_epoch():
    """What would stall a GPU does not occur between the first actor step and the last."""
    agents, _, _ = team(per_user=True)
    with Syncs() as watch:
        learn(agents, [[2, 0, 3, 1]])
    assert watch.count > 100 and not watch.seen


def test_order_is_a_seeded_permutation():
    orders = [agent_order(6, generator) for generator in [seeded(1)] for _ in range(200)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert orders[:5] == [agent_order(6, g) for g in [seeded(1)] for _ in range(5)]
    first = torch.tensor([order[0] for order in orders]).bincount(minlength=6)
    assert first.min() > 15  # everyone comes first now and then


def test_summary_by_hand():
    stats = UpdateStats()
    for value in (1.0, 4.0):
        stats.entropy.append(torch.tensor([9.0, value]))
        stats.kl.append(torch.tensor([9.0, 10 * value]))
        stats.clip_fraction.append(torch.tensor([9.0, 100 * value]))
    stats.spread(torch.tensor([[[0.0, 0.0], [-1.0, 2.0]], [[0.0, 0.0], [-3.0, 1.0]]]))
    assert stats.summary(1) == {
        "entropy": 2.5, "approx_kl": 25.0, "clip_fraction": 250.0, "log_factor_min": -3.0,
        "log_factor_max": 2.0,
    }  # fmt: skip


def test_statistics_of_an_unchanged_policy():
    agents, _, _ = team()
    stats = UpdateStats()
    agents[0].step(agents[0].batch.advantage.clone(), stats)
    assert stats.kl[0].item() == 0 and stats.clip_fraction[0].item() == 0
