"""What the actors learn from: entries, ratio groups, masks."""

import math

import pytest
import torch
from torch.distributions import Beta, Categorical

from dtlib.algorithms.batch import actor_batch, explained_variance, standardise
from dtlib.policies import beta_parameters

SLOTS, USERS = 23, 4


def random_case(head, blocks, seed=0, choices=3):
    """An agent with ``blocks`` numbers per user, of which a third counts; raw network outputs."""
    generator = torch.Generator().manual_seed(seed)
    numbers = blocks * USERS
    mask = torch.rand(SLOTS, numbers, generator=generator) < 0.35
    mask[3] = False
    mask[5] = True
    obs = torch.randn(SLOTS, 6, generator=generator)
    if head == "beta":
        value = torch.rand(SLOTS, numbers, generator=generator) * 0.9 + 0.05
        raw = torch.randn(SLOTS, 2 * numbers, generator=generator)
    else:
        value = torch.randint(choices, (SLOTS, numbers), generator=generator)
        raw = torch.randn(SLOTS, numbers * choices, generator=generator)
    return obs, value, mask, raw


def dense(head, raw, value):
    """Log-probability and entropy of every number, [N, D], by torch.distributions."""
    if head == "beta":
        first, second = beta_parameters(raw).chunk(2, dim=-1)
        law = Beta(first, second)
    else:
        law = Categorical(logits=raw.view(*value.shape, -1))
    return law.log_prob(value), law.entropy()


@pytest.mark.parametrize(("head", "blocks"), [("beta", 1), ("beta", 2), ("categorical", 1)])
@pytest.mark.parametrize("per_user", [False, True])
def test_groups_against_a_loop(head, blocks, per_user):
    obs, value, mask, raw = random_case(head, blocks)
    generator = torch.Generator().manual_seed(9)
    advantage = torch.randn((SLOTS, USERS) if per_user else (SLOTS,), generator=generator)
    batch = actor_batch(head, obs, value, mask, advantage, USERS)

    kept = mask.any(-1)
    assert torch.equal(batch.obs, obs[kept])
    log_prob, entropy = batch.log_prob_entropy(raw[kept])
    every_log_prob, every_entropy = dense(head, raw, value)

    expected = []
    for n in range(SLOTS):
        parts = [[k + b * USERS for b in range(blocks)] for k in range(USERS)]
        for user, columns in enumerate(parts if per_user else [sum(parts, [])]):
            chosen = [c for c in columns if mask[n, c]]
            if chosen:
                gain = advantage[n, user] if per_user else advantage[n]
                expected.append(
                    (n, gain, every_log_prob[n, chosen].sum(), every_entropy[n, chosen].sum())
                )
    assert batch.groups == len(expected)
    assert batch.slot.tolist() == [n for n, *_ in expected]
    for found, place in ((batch.advantage, 1), (log_prob, 2), (entropy, 3)):
        torch.testing.assert_close(found, torch.stack([row[place] for row in expected]))


def test_the_smallest_case_by_hand():
    """Two slots, two users, CPU and wire: user 1 has both in slot 1, user 0 its CPU only."""
    mask = torch.tensor([[False] * 4, [True, True, False, True]])
    value = torch.tensor([[0.0] * 4, [0.1, 0.2, 0.0, 0.4]])
    advantage = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    batch = actor_batch("beta", torch.tensor([[5.0], [6.0]]), value, mask, advantage, 2)
    assert batch.obs.tolist() == [[6.0]]
    assert batch.value.tolist() == pytest.approx([0.1, 0.2, 0.4])
    assert batch.group.tolist() == [0, 1, 1]
    assert batch.slot.tolist() == [1, 1]
    assert batch.advantage.tolist() == [3.0, 4.0]
    joint = actor_batch("beta", torch.tensor([[5.0], [6.0]]), value, mask, advantage[:, 0])
    assert joint.group.tolist() == [0, 0, 0] and joint.advantage.tolist() == [3.0]


@pytest.mark.parametrize("head", ["beta", "categorical"])
def test_an_action_without_effect_gets_no_gradient(head):
    """Outputs behind masked numbers have gradient zero, all others that of the dense density."""
    obs, value, mask, raw = random_case(head, 1)
    advantage = torch.randn(SLOTS, generator=torch.Generator().manual_seed(4))
    batch = actor_batch(head, obs, value, mask, advantage)

    raw.requires_grad_()
    log_prob, entropy = batch.log_prob_entropy(raw[mask.any(-1)])
    loss = (log_prob * batch.advantage).sum() + 0.01 * entropy.sum()
    (found,) = torch.autograd.grad(loss, raw)

    every_log_prob, every_entropy = dense(head, raw, value)
    loss = ((every_log_prob * advantage[:, None] + 0.01 * every_entropy) * mask).sum()
    (expected,) = torch.autograd.grad(loss, raw)
    torch.testing.assert_close(found, expected)

    if head == "beta":
        without_effect = torch.cat([~mask, ~mask], dim=-1)
    else:
        without_effect = (~mask).repeat_interleave(raw.shape[1] // mask.shape[1], dim=-1)
    assert without_effect.any() and found[without_effect].abs().max() == 0
    assert found[~without_effect].abs().min() > 0


def test_masking_leaves_the_expected_gradient_alone():
    """Enumeration: two numbers of three choices, the advantage depends on the first only."""
    raw = torch.tensor([[0.3, -0.2, 0.5, 1.0, 0.1, -0.7]], dtype=torch.float64, requires_grad=True)
    advantage = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    obs, mask = torch.zeros(1, 1), torch.tensor([[True, False]])
    full, masked = torch.zeros(1, 6), torch.zeros(1, 6)
    for first in range(3):
        for second in range(3):
            value = torch.tensor([[first, second]])
            gains = advantage[first : first + 1]
            for total, use in ((full, torch.ones_like(mask)), (masked, mask)):
                batch = actor_batch("categorical", obs, value, use, gains)
                log_prob = batch.log_prob_entropy(raw)[0]
                weight = dense("categorical", raw, value)[0].sum().exp().detach()
                total += torch.autograd.grad((log_prob * gains * weight).sum(), raw)[0]
    torch.testing.assert_close(full, masked)
    assert masked[0, 3:].abs().max() == 0 and masked[0, :3].abs().min() > 0.01


def test_an_agent_that_never_counts_has_an_empty_batch():
    obs, value, _, _ = random_case("beta", 1)
    batch = actor_batch(
        "beta", obs, value, torch.zeros(SLOTS, USERS, dtype=bool), torch.ones(SLOTS)
    )
    assert batch.groups == 0 and len(batch.obs) == 0


def test_standardise():
    scaled = standardise(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert scaled.mean().item() == pytest.approx(0, abs=1e-6)
    assert scaled.std(correction=0).item() == pytest.approx(1)
    for count in (1, 5):
        assert torch.equal(standardise(torch.full((count,), 3.0)), torch.zeros(count))


def test_explained_variance():
    target = torch.tensor([1.0, 2.0, 4.0])
    assert explained_variance(target, target + 5) == pytest.approx(1)
    assert explained_variance(target, torch.zeros(3)) == pytest.approx(0)
    assert explained_variance(target, -target) == pytest.approx(-3)
    assert math.isnan(explained_variance(torch.ones(3), target))
