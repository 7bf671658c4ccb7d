"""Beta, Gaussian and categorical actions: densities, entropies, their slopes, samples."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from draws import seeded
from torch.distributions import Beta

from dtlib.kernels.distributions import (
    BOUNDS,
    EDGE,
    BetaTerms,
    CategoricalTerms,
    GatedTerms,
    GaussianTerms,
    beta_parameters,
    gaussian_parameters,
    sample_beta,
    sample_categorical,
    sample_gaussian,
)

GRID = [(1.0, 1.0), (1.2, 1.0), (1.7, 1.7), (5.0, 2.0), (40.0, 300.0), (1.01, 3.0)]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-7), (torch.float32, 1e-3)], ids=str
)
def test_beta_against_scipy(dtype, tolerance):
    value = torch.tensor([EDGE, 1e-3, 0.2, 0.5, 0.77, 0.999, 1 - EDGE], dtype=dtype)
    logs = torch.stack([value.log(), (-value).log1p()])[None]
    for a, b in GRID:
        excess = torch.tensor([a - 1, b - 1], dtype=dtype)[:, None]
        raw = excess.expm1().log().clamp_min(-1e4).where(excess < 20, excess)
        terms = BetaTerms(raw.expand(1, 2, len(value)), logs)
        entropy, _ = terms.slopes(torch.ones_like(value)[None], None)
        law = scipy.stats.beta(a, b)
        exact = law.logpdf(value.double())
        np.testing.assert_allclose(terms.log_prob[0], exact, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(entropy[0], law.entropy(), rtol=tolerance, atol=tolerance)


def test_beta_parameters_keep_one_peak():
    raw = torch.tensor([-1e4, -20.0, 0.0, 3.0, 1e4])
    parameters = beta_parameters(raw)
    assert parameters.isfinite().all() and (parameters >= 1).all()
    assert parameters[2].item() == pytest.approx(1 + math.log(2))
    # even where both are 1 (uniform), the density and its gradient are finite at the edges
    value = torch.tensor([[EDGE, 1 - EDGE]])
    logs = torch.stack([value.log(), (-value).log1p()], 1)
    terms = BetaTerms(torch.full((1, 2, 2), -1e4), logs)
    gradient = terms.slopes(torch.ones(1, 2), torch.ones(1, 2))[1]
    assert terms.log_prob.isfinite().all() and gradient.isfinite().all()


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
        assert Beta(first, second).log_prob(draws).isfinite().all()
    assert torch.tensor(EDGE) > 0 and torch.tensor(1 - EDGE) < 1  # also in single precision


def test_gaussian_parameters():
    """In the middle and 0.37 wide on [−1, 1] at first; the deviation is positive and bounded."""
    raw = torch.tensor([0.0, -1.0, 1.0, 50.0, -80.0])
    mean, std = gaussian_parameters(raw, raw)
    torch.testing.assert_close(mean[:4], torch.tensor([0.5, 0.0, 1.0, 25.5]))
    assert std[0].item() == pytest.approx(0.02 + 0.23 / (1 + math.exp(-1)))
    assert 2 * std[0].item() == pytest.approx(0.37, abs=0.01)
    assert BOUNDS[False] == (0.02, 0.25) and std.min() >= 0.02 and std.max() <= 0.25


@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.18), (0.0, 0.25), (7.0, 1e-3)])
def test_gaussian_samples_follow_the_distribution(mean, std):
    count = 20_000
    draws = sample_gaussian(torch.full((count,), mean), torch.full((count,), std), seeded(0))
    law = scipy.stats.norm(mean, std)
    assert scipy.stats.kstest(draws.double().numpy(), law.cdf).pvalue > 1e-3
    assert draws.mean().item() == pytest.approx(mean, abs=5 * std / count**0.5)
    assert draws.std().item() == pytest.approx(std, rel=0.03)


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


# --- in closed form, as the update uses them ----------------------------------------------------


def beta_case(seed=0, runs=2, entries=40):
    """Outputs from flat to sharp densities and actions up to the edges, in float64."""
    generator = seeded(seed)
    raw = 6 * torch.randn(runs, 2, entries, generator=generator, dtype=torch.float64)
    value = torch.rand(runs, entries, generator=generator, dtype=torch.float64)
    value[:, 0], value[:, 1] = EDGE, 1 - EDGE
    weight = torch.randn(runs, entries, generator=generator, dtype=torch.float64)
    return raw.requires_grad_(), value, weight


@pytest.mark.parametrize("entropy_weight", [None, 0.3])
def test_beta_terms_equal_autograd(entropy_weight):
    raw, value, weight = beta_case()
    first, second = beta_parameters(raw).unbind(1)
    law = Beta(first, second)
    log_prob, entropy = law.log_prob(value), law.entropy()
    share = None if entropy_weight is None else torch.full_like(weight, entropy_weight)
    total = (weight * log_prob).sum() + (0 if share is None else (share * entropy).sum())
    (expected,) = torch.autograd.grad(total, raw)

    terms = BetaTerms(raw.detach(), torch.stack([value.log(), (-value).log1p()], 1))
    torch.testing.assert_close(terms.log_prob, log_prob.detach(), rtol=1e-12, atol=1e-10)
    for _ in range(2):  # nothing is used up
        found_entropy, slope = terms.slopes(weight, share)
        torch.testing.assert_close(found_entropy, entropy.detach(), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-9)


def test_beta_slopes_are_accurate_in_single_precision():
    raw, value, weight = beta_case(1)
    double = BetaTerms(raw.detach(), torch.stack([value.log(), (-value).log1p()], 1))
    single = BetaTerms(raw.detach().float(), double.logs.float())
    torch.testing.assert_close(single.log_prob.double(), double.log_prob, rtol=1e-4, atol=1e-4)
    for one, two in zip(
        single.slopes(weight.float(), weight.float()), double.slopes(weight, weight), strict=True
    ):
        torch.testing.assert_close(one.double(), two, rtol=1e-4, atol=1e-4)


def gaussian_case(seed=0):
    """Outputs from narrow to wide and actions up to many deviations away, in float64."""
    generator = seeded(seed)
    raw = 2 * torch.randn(2, 2, 40, generator=generator, dtype=torch.float64)
    value = 0.5 + torch.randn(2, 40, generator=generator, dtype=torch.float64)
    weight = torch.randn(2, 40, generator=generator, dtype=torch.float64)
    return raw.requires_grad_(), value, weight


@pytest.mark.parametrize("entropy_weight", [None, 0.3])
def test_gaussian_terms_equal_autograd(entropy_weight):
    raw, value, weight = gaussian_case()
    law = torch.distributions.Normal(*gaussian_parameters(*raw.unbind(1)))
    assert (value < 0).any() and (value > 1).any()
    share = None if entropy_weight is None else entropy_weight * (1 + weight**2)
    total = (weight * law.log_prob(value)).sum()
    total = total + (0 if share is None else (share * law.entropy()).sum())
    (expected,) = torch.autograd.grad(total, raw)
    terms = GaussianTerms(raw.detach(), value)
    torch.testing.assert_close(terms.log_prob, law.log_prob(value).detach())
    for _ in range(2):  # nothing is used up
        entropy, slope = terms.slopes(weight, share)
        torch.testing.assert_close(entropy, law.entropy().detach())
        torch.testing.assert_close(slope, expected)


def test_gaussian_slopes_are_accurate_in_single_precision():
    raw, value, weight = (array.detach() for array in gaussian_case(1))
    double, single = GaussianTerms(raw, value), GaussianTerms(raw.float(), value.float())
    torch.testing.assert_close(single.log_prob.double(), double.log_prob, rtol=1e-4, atol=1e-4)
    for one, two in zip(
        single.slopes(weight.float(), weight.float()), double.slopes(weight, weight), strict=True
    ):
        torch.testing.assert_close(one.double(), two, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("entropy_weight", [None, 0.3])
@pytest.mark.parametrize("head", ["beta", "gaussian"])
def test_gated_terms_equal_autograd(head, entropy_weight):
    """By torch.distributions: a coin, and what is drawn where it falls on its face."""
    raw, value, weight = (beta_case if head == "beta" else gaussian_case)(5)
    logit = 3 * torch.randn(value.shape, generator=seeded(6), dtype=torch.float64)
    taken = (torch.rand(value.shape, generator=seeded(7)) < 0.6).double()
    logit.requires_grad_()
    coin = torch.distributions.Bernoulli(logits=logit)
    if head == "beta":
        law = torch.distributions.Beta(*beta_parameters(raw).unbind(1))
        inner = BetaTerms(raw.detach(), torch.stack([value.log(), (-value).log1p()], 1))
    else:
        law = torch.distributions.Normal(*gaussian_parameters(*raw.unbind(1)))
        inner = GaussianTerms(raw.detach(), value)
    log_prob = coin.log_prob(taken) + taken * law.log_prob(value)
    entropy = coin.entropy() + coin.probs * law.entropy()
    share = None if entropy_weight is None else torch.full_like(weight, entropy_weight)
    total = (weight * log_prob).sum() + (0 if share is None else (share * entropy).sum())
    expected = torch.autograd.grad(total, [raw, logit])

    terms = GatedTerms(inner, logit=logit.detach(), taken=taken)
    torch.testing.assert_close(terms.log_prob, log_prob.detach(), rtol=1e-9, atol=1e-9)
    found, slope = terms.slopes(weight, share)
    torch.testing.assert_close(found, entropy.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(slope[:, :2], expected[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(slope[:, 2], expected[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("entropy_weight", [None, 0.3])
def test_categorical_terms_equal_autograd(entropy_weight):
    generator = seeded(3)
    raw = 3 * torch.randn(2, 4, 30, generator=generator, dtype=torch.float64)
    raw.requires_grad_()
    chosen = torch.randint(4, (2, 30), generator=generator)
    weight = torch.randn(2, 30, generator=generator, dtype=torch.float64)
    law = torch.distributions.Categorical(logits=raw.mT)
    share = None if entropy_weight is None else torch.full_like(weight, entropy_weight)
    total = (weight * law.log_prob(chosen)).sum()
    total = total + (0 if share is None else (share * law.entropy()).sum())
    (expected,) = torch.autograd.grad(total, raw)
    terms = CategoricalTerms(raw.detach(), chosen)
    torch.testing.assert_close(terms.log_prob, law.log_prob(chosen).detach())
    for _ in range(2):
        entropy, slope = terms.slopes(weight, share)
        torch.testing.assert_close(entropy, law.entropy().detach())
        torch.testing.assert_close(slope, expected)
