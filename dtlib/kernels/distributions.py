"""Beta, Gaussian and categorical actions: samples, log-probabilities, entropies, slopes."""

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from dtlib.kernels.portable import exp, log

EDGE = 1e-6
"""Beta samples keep this distance from 0 and 1, where the density may be infinite."""
BOUNDS = {False: (0.02, 0.25), True: (0.0, 0.5)}
"""Of a Gaussian's deviation, by whether it is the original HAPPO's. Without a lower one it
collapses in long runs, log-densities then change by thousands in one step, and what was learnt is
lost."""


def beta_parameters(raw: Tensor) -> Tensor:
    """Return Beta parameters above 1, so that the density has one peak: 1 + softplus(raw)."""
    return 1 + softplus(raw)


def sample_beta(first: Tensor, second: Tensor, generator: Generator | None) -> Tensor:
    """Draw from Beta(first, second) as a ratio of Gamma variables, elementwise."""
    left = torch._standard_gamma(first, generator=generator)
    right = torch._standard_gamma(second, generator=generator)
    return (left / (left + right)).clamp(EDGE, 1 - EDGE)


def gaussian_parameters(
    mean: Tensor, spread: Tensor, *, original: bool = False
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of an unbounded action whose range is [0, 1].

    On the scale of [−1, 1], where a fresh network puts the mean at 0, the deviation is
    0.04 + 0.46 σ(1 + raw), 0.376 at first: an affine map of HARL's (Zhong et al. 2024), which is
    σ(1 + raw)/2 and no network's output. The original has HARL's on the scale of [0, 1] itself:
    mean 0 at first, so that half of the first draws are below the range.
    """
    low, high = BOUNDS[original]
    return mean if original else (1 + mean) / 2, low + torch.sigmoid(1 + spread) * (high - low)


def sample_gaussian(mean: Tensor, std: Tensor, generator: Generator | None) -> Tensor:
    """Draw from the normal distribution, elementwise; not clipped."""
    noise = torch.empty_like(mean).normal_(generator=generator)
    return torch.addcmul(mean, std, noise)


def sample_categorical(logits: Tensor, generator: Generator | None) -> Tensor:
    """Draw an index from the last axis by inverting the distribution function."""
    by_choice = logits.movedim(-1, 0).contiguous()
    cumulative = exp(by_choice - by_choice.amax(0)).cumsum(0)
    draw = torch.rand(
        logits.shape[:-1], generator=generator, dtype=logits.dtype, device=logits.device
    )
    return (draw * cumulative[-1] >= cumulative[:-1]).sum(0)


class BetaTerms:
    """Beta distributions at given actions: log-probability, then entropy and slopes, once each.

    With a, b = 1 + softplus(raw), ψ the digamma and ψ₁ the trigamma function,

        ∂ log p / ∂a = log x − ψ(a) + ψ(a+b),
        ∂ H / ∂a = −(a − 1) ψ₁(a) + (a + b − 2) ψ₁(a+b),   ∂a / ∂raw = 1 − exp(1 − a),

    and the same for b with 1 − x.

    Args:
        raw: [R, 2, E], a network's outputs for a and b.
        logs: [R, 2, E], log x and log(1 − x) of the actions x.
    """

    def __init__(self, raw: Tensor, logs: Tensor) -> None:
        self.logs = logs
        self.shapes = raw.new_empty(raw.shape[0], 3, raw.shape[2])
        excess = torch.add(softplus(raw), 1, out=self.shapes[:, :2]) - 1
        torch.sum(self.shapes[:, :2], 1, out=self.shapes[:, 2])
        first, second, both = torch.lgamma(self.shapes).unbind(1)
        self.constant = both.sub_(first).sub_(second)
        self.log_prob = excess.mul_(logs).sum(1).add_(self.constant)
        """[R, E]."""

    def slopes(self, weight: Tensor, entropy_weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return each entry's entropy, and the gradient of a weighted sum.

        Args:
            weight: [R, E], of the log-probabilities.
            entropy_weight: of the entropies, broadcast to [R, E]; none if absent.

        Returns:
            entropy [R, E]; gradient with respect to ``raw``, [R, 2, E], of
            Σ weight · log p + Σ entropy_weight · H.
        """
        digamma = torch.digamma(self.shapes)
        excess = self.shapes[:, :2] - 1
        entropy = (self.shapes[:, 2] - 2).mul_(digamma[:, 2]).sub_(self.constant)
        entropy -= (excess * digamma[:, :2]).sum(1)
        slope = self.logs - digamma[:, :2]
        slope.add_(digamma[:, 2:]).mul_(weight.unsqueeze(1))
        if entropy_weight is not None:
            trigamma = torch.polygamma(1, self.shapes)
            common = (self.shapes[:, 2] - 2).mul_(trigamma[:, 2]).unsqueeze(1)
            bend = torch.addcmul(common, excess, trigamma[:, :2], value=-1)
            slope.add_(bend.mul_(entropy_weight.unsqueeze(1)))
        return entropy, slope.mul_(excess.neg_().expm1_().neg_())


class GaussianTerms:
    """Normal distributions at given actions, not clipped; see :class:`BetaTerms`.

    With mean μ and deviation s of :func:`gaussian_parameters` and z = (x − μ)/s,

        ∂ log p / ∂μ = z/s,   ∂ log p / ∂ log s = z² − 1,   ∂ H / ∂ log s = 1.

    Args:
        raw: [R, 2, E], a network's outputs for mean and deviation.
        action: [R, E], x.
        original: the scale is that of the original HAPPO.
    """

    def __init__(self, raw: Tensor, action: Tensor, *, original: bool = False) -> None:
        self.original = original
        mean, self.std = gaussian_parameters(raw[:, 0], raw[:, 1], original=original)
        self.score = (action - mean) / self.std
        self.log_std = log(self.std)
        self.log_prob = -0.5 * self.score**2 - self.log_std - 0.5 * math.log(2 * math.pi)
        """[R, E]."""

    def slopes(self, weight: Tensor, entropy_weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the entropy [R, E] and the gradient [R, 2, E]; see :meth:`BetaTerms.slopes`."""
        along_mean = weight * self.score / self.std
        if not self.original:
            along_mean /= 2
        along_log_std = weight * (self.score**2 - 1)
        if entropy_weight is not None:
            along_log_std += entropy_weight
        low, high = BOUNDS[self.original]
        reach = self.std - low
        along_std = along_log_std.mul_(reach * (1 - reach / (high - low)) / self.std)
        entropy = self.log_std + 0.5 * (1 + math.log(2 * math.pi))
        return entropy, torch.stack([along_mean, along_std], 1)


class CategoricalTerms:
    """Categorical distributions at given actions; see :class:`BetaTerms`.

    Args:
        raw: [R, C, E], logits of C choices.
        chosen: [R, E], int.
    """

    def __init__(self, raw: Tensor, chosen: Tensor) -> None:
        self.chosen = chosen.unsqueeze(1)
        self.logits = raw.log_softmax(1)
        self.log_prob = self.logits.gather(1, self.chosen).squeeze(1)
        """[R, E]."""

    def slopes(self, weight: Tensor, entropy_weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the entropy [R, E] and the gradient [R, C, E]; see :meth:`BetaTerms.slopes`."""
        chance = exp(self.logits)
        entropy = -(chance * self.logits).sum(1)
        slope = chance * -weight.unsqueeze(1)
        slope.scatter_add_(1, self.chosen, weight.unsqueeze(1))
        if entropy_weight is not None:
            surprise = (self.logits + entropy.unsqueeze(1)).mul_(chance)
            slope.sub_(surprise.mul_(entropy_weight.unsqueeze(1)))
        return entropy, slope


class GatedTerms:
    """Distributions of actions that are taken or not; see :class:`BetaTerms`.

    With p = sigmoid(logit) the probability of acting and f, H_f density and entropy of the action,

        log p(x) = log p + log f(x), or log(1 − p) without an action,   H = H_p + p H_f,
        ∂ log p(x) / ∂logit = 1 − p, or −p,   ∂ H / ∂logit = p (1 − p) (H_f − logit).

    Args:
        inner: of the actions; what it has where none was taken does not count.
        logit: [R, E].
        taken: [R, E], 1 where an action was taken, else 0.
    """

    def __init__(
        self, inner: BetaTerms | GaussianTerms | CategoricalTerms, *, logit: Tensor, taken: Tensor
    ) -> None:
        self.inner, self.logit, self.taken = inner, logit, taken
        self.log_prob = inner.log_prob * taken - softplus((1 - 2 * taken) * logit)
        """[R, E]."""

    def slopes(self, weight: Tensor, entropy_weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the entropy [R, E] and the gradient [R, 3, E]; see :meth:`BetaTerms.slopes`."""
        chance = torch.sigmoid(self.logit)
        within = None if entropy_weight is None else entropy_weight * chance
        entropy, slope = self.inner.slopes(weight * self.taken, within)
        along = weight * (self.taken - chance)
        if within is not None:
            along += within * (1 - chance) * (entropy - self.logit)
        entropy = softplus(self.logit) - chance * self.logit + chance * entropy
        return entropy, torch.cat([slope, along.unsqueeze(1)], 1)
