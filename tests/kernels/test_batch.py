"""What the actors learn from: entries, ratio groups, masks."""

import math

import pytest
import torch
from torch.distributions import Beta, Categorical, Normal

from dtlib.kernels.batch import ActorBatch, actor_data, standardise
from dtlib.kernels.diagnostics import explained_variance
from dtlib.kernels.distributions import beta_parameters, gaussian_parameters
from dtlib.kernels.outputs import Output

SLOTS, USERS = 23, 4
CASES = [("beta", 1), ("beta", 2), ("gaussian", 1), ("gaussian", 2), ("categorical", 1)]


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
    elif head == "gaussian":  # also outside of [0, 1]
        value = 0.5 + torch.randn(SLOTS, numbers, generator=generator)
        raw = torch.randn(SLOTS, 2 * numbers, generator=generator)
    else:
        value = torch.randint(choices, (SLOTS, numbers), generator=generator)
        raw = torch.randn(SLOTS, numbers * choices, generator=generator)
    return obs, value, mask, raw


def output_of(head, raw):
    """What a network has put out for a case: three choices, or two parameters, of each number."""
    parts = 3 if head == "categorical" else 2
    return Output(raw.shape[1] // parts, parts, choices=head == "categorical")


def laid_out(data, raw):
    """The layout of one run, and the log-probabilities of its groups under dense outputs."""
    batch = ActorBatch([data], slots=SLOTS, output=output_of(data.distribution, raw))
    return batch, batch.terms(raw.mT[None].contiguous())


def dense(head, raw, value):
    """Log-probability and entropy of every number, [N, D], by torch.distributions."""
    if head == "beta":
        first, second = beta_parameters(raw).chunk(2, dim=-1)
        law = Beta(first, second)
    elif head == "gaussian":
        law = Normal(*gaussian_parameters(*raw.chunk(2, dim=-1)))
    else:
        law = Categorical(logits=raw.view(*value.shape, -1))
    return law.log_prob(value), law.entropy()


@pytest.mark.parametrize(("head", "blocks"), CASES)
@pytest.mark.parametrize("per_user", [False, True])
def test_groups_against_a_loop(head, blocks, per_user):
    obs, value, mask, raw = random_case(head, blocks)
    generator = torch.Generator().manual_seed(9)
    advantage = torch.randn((SLOTS, USERS) if per_user else (SLOTS,), generator=generator)
    data = actor_data(head, obs=obs, action=value, mask=mask, advantage=advantage)

    kept = mask.any(-1)
    assert torch.equal(data.obs, obs[kept])
    batch, terms = laid_out(data, raw[kept])
    log_prob = batch.log_prob(terms)[0]
    every_log_prob, every_entropy = dense(head, raw, value)

    expected, entropies = {}, []
    for n in range(SLOTS):
        parts = [[k + b * USERS for b in range(blocks)] for k in range(USERS)]
        for user, columns in enumerate(parts if per_user else [sum(parts, [])]):
            chosen = [c for c in columns if mask[n, c]]
            if chosen:
                gain = advantage[n, user] if per_user else advantage[n]
                expected[n, gain.item()] = every_log_prob[n, chosen].sum()
                entropies.append(every_entropy[n, chosen].sum())
    assert batch.counts == [len(expected)] and len(data.slot) == len(expected)
    assert set(zip(data.slot.tolist(), data.advantage.tolist(), strict=True)) == set(expected)
    for slot, gain, found in zip(data.slot, data.advantage, log_prob, strict=True):
        torch.testing.assert_close(found, expected[slot.item(), gain.item()], rtol=1e-4, atol=1e-4)
    slope = torch.zeros(1, raw.shape[1], len(data.obs))
    mean = batch.slope(terms, weight=torch.zeros_like(batch.advantage), entropy_coef=1.0, out=slope)
    torch.testing.assert_close(mean[0], torch.stack(entropies).mean())


def test_the_smallest_case_by_hand():
    """Two slots, two users, CPU and wire: user 1 has both in slot 1, user 0 its CPU only."""
    mask = torch.tensor([[False] * 4, [True, True, False, True]])
    value = torch.tensor([[0.0] * 4, [0.1, 0.2, 0.0, 0.4]])
    advantage = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    data = actor_data(
        "beta", obs=torch.tensor([[5.0], [6.0]]), action=value, mask=mask, advantage=advantage
    )
    assert data.obs.tolist() == [[6.0]]
    assert data.action.tolist() == pytest.approx([0.1, 0.2, 0.4])
    assert data.group.tolist() == [0, 1, 1]
    assert data.slot.tolist() == [1, 1]
    assert data.advantage.tolist() == [3.0, 4.0]
    joint = actor_data(
        "beta", obs=torch.tensor([[5.0], [6.0]]), action=value, mask=mask, advantage=advantage[:, 0]
    )
    assert joint.group.tolist() == [0, 0, 0] and joint.advantage.tolist() == [3.0]


@pytest.mark.parametrize("head", ["beta", "gaussian", "categorical"])
def test_an_action_without_effect_gets_no_gradient(head):
    """Outputs behind masked numbers have gradient zero, all others that of the dense density."""
    obs, value, mask, raw = random_case(head, 1)
    advantage = torch.randn(SLOTS, generator=torch.Generator().manual_seed(4))
    data = actor_data(head, obs=obs, action=value, mask=mask, advantage=advantage)
    kept = mask.any(-1)
    batch, terms = laid_out(data, raw[kept])
    found = torch.zeros(1, raw.shape[1], len(data.obs))
    batch.slope(terms, weight=batch.advantage * batch.share, entropy_coef=0.01, out=found)
    found = found[0].mT

    raw.requires_grad_()
    every_log_prob, every_entropy = dense(head, raw, value)
    gain = ((every_log_prob * advantage[:, None] + 0.01 * every_entropy) * mask).sum(-1)
    (expected,) = torch.autograd.grad(-gain.sum() / kept.sum(), raw)
    torch.testing.assert_close(found, expected[kept])

    if head == "categorical":
        without_effect = (~mask).repeat_interleave(raw.shape[1] // mask.shape[1], dim=-1)[kept]
    else:
        without_effect = torch.cat([~mask, ~mask], dim=-1)[kept]
    assert without_effect.any() and found[without_effect].abs().max() == 0
    assert found[~without_effect].abs().min() > 0


def test_masking_leaves_the_expected_gradient_alone():
    """Enumeration: two numbers of three choices, the advantage depends on the first only."""
    raw = torch.tensor([[0.3, -0.2, 0.5, 1.0, 0.1, -0.7]], dtype=torch.float64)
    advantage = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    obs, mask = torch.zeros(1, 1), torch.tensor([[True, False]])
    full, masked = torch.zeros(6), torch.zeros(6)
    for first in range(3):
        for second in range(3):
            value = torch.tensor([[first, second]])
            gains = advantage[first : first + 1]
            for total, use in ((full, torch.ones_like(mask)), (masked, mask)):
                data = actor_data("categorical", obs=obs, action=value, mask=use, advantage=gains)
                batch = ActorBatch([data], slots=1, output=Output(2, 3, choices=True))
                weight = dense("categorical", raw, value)[0].sum().exp()
                slope = torch.zeros(1, 6, 1, dtype=torch.float64)
                batch.slope(
                    batch.terms(raw[..., None]),
                    weight=gains[None] * weight,
                    entropy_coef=0.0,
                    out=slope,
                )
                total -= slope.flatten()
    torch.testing.assert_close(full, masked)
    assert masked[3:].abs().max() == 0 and masked[:3].abs().min() > 0.01


@pytest.mark.parametrize(("head", "blocks"), CASES)
@pytest.mark.parametrize("per_user", [False, True])
def test_runs_side_by_side_do_not_see_each_other(head, blocks, per_user):
    """Padding counts nowhere: each run's log-probabilities and slopes are those it has alone."""
    data, raws, alone = [], [], []
    for seed in range(3):
        obs, value, mask, raw = random_case(head, blocks, seed)
        mask[: 5 * seed] = False
        generator = torch.Generator().manual_seed(seed)
        advantage = torch.randn((SLOTS, USERS) if per_user else (SLOTS,), generator=generator)
        one = actor_data(head, obs=obs, action=value, mask=mask, advantage=advantage)
        data.append(one)
        raws.append(raw[mask.any(-1)])
        batch, terms = laid_out(one, raws[-1])
        slope = torch.zeros(1, raw.shape[1], len(one.obs))
        entropy = batch.slope(terms, weight=batch.advantage, entropy_coef=0.1, out=slope)
        alone.append((batch.log_prob(terms)[0], slope[0], entropy[0]))
    together = ActorBatch(data, slots=SLOTS, output=output_of(head, raws[0]))
    padded = torch.full((3, raws[0].shape[1], together.rows.shape[1]), 7.0)
    for run, raw in enumerate(raws):
        padded[run, :, : len(raw)] = raw.mT
    terms = together.terms(padded)
    log_prob, slope = together.log_prob(terms), torch.zeros_like(padded)
    entropy = together.slope(terms, weight=together.advantage, entropy_coef=0.1, out=slope)
    for run, (own_log_prob, own_slope, own_entropy) in enumerate(alone):
        torch.testing.assert_close(log_prob[run, : len(own_log_prob)], own_log_prob)
        torch.testing.assert_close(slope[run, :, : own_slope.shape[1]], own_slope)
        torch.testing.assert_close(entropy[run], own_entropy)
        assert not log_prob[run, len(own_log_prob) :].any()
        assert not slope[run, :, own_slope.shape[1] :].any()


def test_an_agent_that_never_counts_has_an_empty_batch():
    obs, value, _, _ = random_case("beta", 1)
    data = actor_data(
        "beta",
        obs=obs,
        action=value,
        mask=torch.zeros(SLOTS, USERS, dtype=bool),
        advantage=torch.ones(SLOTS),
    )
    assert len(data.slot) == 0 and len(data.obs) == 0
    assert ActorBatch([data], slots=SLOTS, output=Output(USERS, 2)).counts == [0]


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


def test_places_of_parameters_and_choices():
    """First parameters of all numbers, then the second; scores of a number's choices together."""
    number = torch.tensor([0, 1, 2])
    beta, choice = Output(3, 2), Output(3, 4, choices=True)
    assert (beta.size, choice.size) == (6, 12)
    assert beta.place(number, 1).tolist() == [3, 4, 5]
    assert choice.place(number, 1).tolist() == [1, 5, 9]
    for output in (beta, choice):
        every = torch.cat([output.place(number, part) for part in range(output.parts)])
        assert sorted(every.tolist()) == list(range(output.size))
