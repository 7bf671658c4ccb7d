"""The sequential update: ratios, the factor M, clipping."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import Beta, Categorical

from dtlib import TrainConfig
from dtlib.algorithms import happo
from dtlib.algorithms.batch import actor_batch
from dtlib.algorithms.happo import (
    UpdateStats,
    actor_step,
    agent_order,
    behaviour_log_prob,
    surrogate,
    update_actors,
)
from dtlib.algorithms.trainee import Trainee
from dtlib.policies import MLPStack, beta_parameters

SLOTS, USERS = 40, 3
CONFIG = TrainConfig(learning_rate=0.02, hidden_sizes=(8,), clip=0.2)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def team(per_user=False, seed=0):
    """Four agents of three kinds with random data: actors, batches, and the dense material."""
    generator = seeded(seed)
    heads = ["beta", "beta", "beta", "categorical"]
    stacks = [MLPStack(2, (5, 8, 2), generator=generator)]
    stacks += [MLPStack(1, (5, 8, 4 * USERS), generator=generator)]
    stacks += [MLPStack(1, (5, 8, 4 * USERS), generator=generator)]
    numbers = [1, 1, 2 * USERS, USERS]
    actors = [Trainee.of(stacks[0], i, CONFIG) for i in range(2)]
    actors += [Trainee.of(stack, 0, CONFIG) for stack in stacks[1:]]
    batches, dense = [], []
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
        batches.append(actor_batch(head, obs, value, mask, advantage, USERS))
        dense.append((head, obs, value, mask))
    return actors, batches, dense


def weights(actor):
    return [p.detach().clone() for p in actor.stack.parameters(actor.index)]


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


class Recorder:
    """Stands in for ``surrogate`` and keeps what it is called with."""

    def __init__(self, monkeypatch):
        self.calls = []
        monkeypatch.setattr(happo, "surrogate", self)

    def __call__(self, ratio, weighted_advantage, clip):
        self.calls.append((ratio.detach().clone(), weighted_advantage.clone()))
        return surrogate(ratio, weighted_advantage, clip)


# --- the surrogate ------------------------------------------------------------------------------


def test_surrogate_against_a_scalar_loop():
    generator = seeded(0)
    ratio = torch.rand(200, generator=generator) * 2
    gain = torch.randn(200, generator=generator)
    found = surrogate(ratio, gain, 0.2)
    for r, a, value in zip(ratio.tolist(), gain.tolist(), found.tolist(), strict=True):
        clipped = 0.8 if r < 0.8 else 1.2 if r > 1.2 else r
        assert value == pytest.approx(min(r * a, clipped * a), abs=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "slope"),
    [
        (1.5, 1.0, 0.0),  # good already made likelier: enough
        (1.5, -1.0, -1.0),  # bad made likelier: all the way back
        (0.5, 1.0, 1.0),  # good made rarer: all the way back
        (0.5, -1.0, 0.0),  # bad already made rarer: enough
        (1.1, 2.0, 2.0),
        (0.9, -2.0, -2.0),
    ],
)
def test_surrogate_is_pessimistic(ratio, advantage, slope):
    variable = torch.tensor([ratio], requires_grad=True)
    surrogate(variable, torch.tensor([advantage]), 0.2).sum().backward()
    assert variable.grad.item() == pytest.approx(slope)


# --- ratios and the factor M --------------------------------------------------------------------


def test_the_ratio_is_exactly_one_before_the_first_step(monkeypatch):
    actors, batches, _ = team()
    behaviour = [behaviour_log_prob(a, b) for a, b in zip(actors, batches, strict=True)]
    recorder = Recorder(monkeypatch)
    for epoch in range(2):
        update_actors(actors, batches, behaviour, [2, 0, 3, 1], SLOTS, CONFIG, UpdateStats())
        first = recorder.calls[4 * epoch : 4 * epoch + 4]
        assert all(torch.equal(r, torch.ones_like(r)) == (epoch == 0) for r, _ in first)


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_factor_is_the_product_of_the_updated_predecessors_ratios(monkeypatch, per_user, order):
    """Over three epochs, recomputed from snapshots of the weights with torch.distributions."""
    actors, batches, dense = team(per_user)
    behaviour = [behaviour_log_prob(a, b) for a, b in zip(actors, batches, strict=True)]
    before = [slot_log_prob(weights(a), *d) for a, d in zip(actors, dense, strict=True)]
    recorder = Recorder(monkeypatch)
    for epoch in range(3):
        order = order[epoch:] + order[:epoch]
        total = update_actors(actors, batches, behaviour, order, SLOTS, CONFIG, UpdateStats())
        after = [slot_log_prob(weights(a), *d) for a, d in zip(actors, dense, strict=True)]
        log_factor = torch.zeros(SLOTS)
        for place, agent in enumerate(order):
            _, weighted = recorder.calls[4 * epoch + place]
            batch = batches[agent]
            expected = log_factor[batch.slot].exp() * batch.advantage
            torch.testing.assert_close(weighted, expected, rtol=2e-4, atol=1e-5)
            if place == 0:
                assert torch.equal(weighted, batch.advantage)  # M = 1 · Â for the first
            else:
                assert not torch.allclose(weighted, batch.advantage, rtol=1e-3)
            log_factor = log_factor + after[agent] - before[agent]
        torch.testing.assert_close(total[0], log_factor, rtol=1e-3, atol=1e-4)


def test_predecessors_of_another_team_do_not_count(monkeypatch):
    actors, batches, dense = team()
    behaviour = [behaviour_log_prob(a, b) for a, b in zip(actors, batches, strict=True)]
    before = [slot_log_prob(weights(a), *d) for a, d in zip(actors, dense, strict=True)]
    recorder, teams, order = Recorder(monkeypatch), [0, 1, 0, 1], [2, 1, 0, 3]
    total = update_actors(actors, batches, behaviour, order, SLOTS, CONFIG, UpdateStats(), teams)
    after = [slot_log_prob(weights(a), *d) for a, d in zip(actors, dense, strict=True)]
    for place, predecessor in ((0, None), (1, None), (2, 2), (3, 1)):
        batch = batches[order[place]]
        change = torch.zeros(SLOTS)
        if predecessor is not None:
            change = after[predecessor] - before[predecessor]
        expected = change[batch.slot].exp() * batch.advantage
        torch.testing.assert_close(recorder.calls[place][1], expected, rtol=2e-4, atol=1e-5)
    sums = torch.stack([after[i] - before[i] + after[j] - before[j] for i, j in ((0, 2), (1, 3))])
    torch.testing.assert_close(total, sums, rtol=1e-3, atol=1e-4)


def test_factor_is_bounded_in_the_exponent(monkeypatch):
    actors, batches, _ = team()
    config = CONFIG.replace(max_log_factor=0.5)
    recorder = Recorder(monkeypatch)
    extreme = torch.linspace(-200, 200, SLOTS)
    behaviour = behaviour_log_prob(actors[0], batches[0])
    actor_step(actors[0], batches[0], behaviour, extreme, config, UpdateStats())
    quotient = recorder.calls[0][1] / batches[0].advantage
    limits = torch.tensor([-0.5, 0.5]).exp()
    torch.testing.assert_close(quotient.aminmax().min, limits[0])
    torch.testing.assert_close(quotient.aminmax().max, limits[1])
    assert extreme.abs().max() > 100  # the sum itself is not cut


def test_one_step_against_autograd_by_hand():
    """One actor step equals Adam on −(mean clipped surrogate + ψ · mean entropy), recomputed."""
    actors, batches, dense = team(seed=3)
    config = CONFIG.replace(entropy_coef=0.3, max_grad_norm=0.05)
    agent = 2
    behaviour = behaviour_log_prob(actors[agent], batches[agent]) + 0.3  # ratios off one
    log_factor = torch.linspace(-0.5, 0.5, SLOTS)
    parameters = [p.requires_grad_() for p in weights(actors[agent])]

    head, obs, value, mask = dense[agent]
    kept = mask.any(-1)
    hidden = (obs @ parameters[0] + parameters[2]).relu() @ parameters[1] + parameters[3]
    law = Beta(*beta_parameters(hidden).chunk(2, dim=-1))
    log_prob = (law.log_prob(torch.where(mask, value, 0.5)) * mask).sum(-1)[kept]
    entropy = (law.entropy() * mask).sum(-1)[kept]
    ratio = (log_prob - behaviour).exp()
    weighted = log_factor[kept].exp() * batches[agent].advantage
    gain = torch.minimum(ratio * weighted, ratio.clamp(0.8, 1.2) * weighted)
    loss = -(gain.mean() + 0.3 * entropy.mean())
    adam = torch.optim.Adam(parameters, lr=config.learning_rate, eps=config.adam_eps)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(parameters, 0.05)
    assert norm > 0.05
    adam.step()

    stats = UpdateStats()
    actor_step(actors[agent], batches[agent], behaviour, log_factor, config, stats)
    for found, expected in zip(weights(actors[agent]), parameters, strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)
    assert stats.entropy[0] == pytest.approx(entropy.mean().item(), rel=1e-5)
    outside = ((ratio - 1).abs() > 0.2).float().mean().item()
    assert stats.clip_fraction[0] == pytest.approx(outside)


def test_entropy_bonus_raises_the_entropy():
    actors, batches, _ = team()
    flat = replace(batches[2], advantage=torch.zeros_like(batches[2].advantage))
    behaviour = behaviour_log_prob(actors[2], flat)
    stats = UpdateStats()
    for _ in range(30):
        actor_step(actors[2], flat, behaviour, torch.zeros(SLOTS), CONFIG, stats)
    assert stats.entropy[-1] > stats.entropy[0]


def test_agents_without_data_are_passed_over():
    actors, batches, _ = team()
    nothing = torch.zeros(SLOTS, 1, dtype=bool)
    batches[1] = actor_batch(
        "beta", torch.zeros(SLOTS, 5), torch.zeros(SLOTS, 1), nothing, torch.ones(SLOTS)
    )
    behaviour = [behaviour_log_prob(a, b) for a, b in zip(actors, batches, strict=True)]
    before, stats = weights(actors[1]), UpdateStats()
    update_actors(actors, batches, behaviour, [1, 0, 2, 3], SLOTS, CONFIG, stats)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(actors[1]), strict=True))
    assert len(stats.kl) == 3


def test_an_update_without_any_data_has_a_summary():
    actors, _, _ = team()
    nothing = actor_batch(
        "beta",
        torch.zeros(SLOTS, 5),
        torch.zeros(SLOTS, 1),
        torch.zeros(SLOTS, 1, dtype=bool),
        torch.ones(SLOTS),
    )
    stats = UpdateStats()
    update_actors(actors[:1], [nothing], [torch.zeros(0)], [0], SLOTS, CONFIG, stats)
    summary = stats.summary()
    assert summary["log_factor_max"] == 0 and summary["entropy"] != summary["entropy"]


def test_order_is_a_seeded_permutation():
    orders = [agent_order(6, generator) for generator in [seeded(1)] for _ in range(200)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert orders[:5] == [agent_order(6, g) for g in [seeded(1)] for _ in range(5)]
    first = torch.tensor([order[0] for order in orders]).bincount(minlength=6)
    assert first.min() > 15  # everyone comes first now and then


def test_statistics_of_an_unchanged_policy():
    actors, batches, _ = team()
    behaviour = behaviour_log_prob(actors[0], batches[0])
    stats = UpdateStats()
    actor_step(actors[0], batches[0], behaviour, torch.zeros(SLOTS), CONFIG, stats)
    assert stats.kl == [0.0] and stats.clip_fraction == [0.0]
