"""Actors that choose: chances, the slope of a relaxed choice, and what pulls their outputs."""

import pytest
import scipy.stats
import torch
from draws import seeded

from dtlib import TrainConfig
from dtlib.kernels.networks import MLPStack
from dtlib.maddpg.actors import RAW_PENALTY, Actors


def choosing(temperature=1.0, choices=3):
    """Two actors, each with two numbers to choose."""
    config = TrainConfig(algorithm="maddpg", hidden_sizes=(4,), gumbel_temperature=temperature)
    stack = MLPStack(2, (1, 4, 2 * choices), generator=seeded(0), output_gain=1.0)
    return Actors(stack, config, 2, choices=choices)


def test_choices_are_drawn_by_their_chances():
    raw = torch.tensor([0.0, 1.0, -1.0, 2.0, 2.0, 0.0]).expand(2, 5000, 6)
    mask = torch.ones(2, 5000, 2, dtype=torch.bool)
    drawn = choosing(0.5).act(raw, mask, seeded(1))[0].unflatten(-1, (2, 3)).flatten(0, 1)
    for number in range(2):
        chance = raw[0, 0].view(2, 3)[number].softmax(-1).double().numpy()
        count = drawn[:, number].sum(0).numpy()
        assert scipy.stats.chisquare(count, count.sum() * chance / chance.sum()).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_slope_of_a_relaxed_choice_equals_autograd(temperature):
    actors, weight = choosing(temperature), torch.randn(2, 9, 6, generator=seeded(3))
    mask = torch.ones(2, 9, 2, dtype=torch.bool)
    with torch.enable_grad():
        raw = torch.randn(2, 9, 6, generator=seeded(2)).requires_grad_()
        soft = actors.act(raw, mask, seeded(4))[1]
        (expected,) = torch.autograd.grad((soft * weight).sum(), raw)
    torch.testing.assert_close(actors.chain(soft.detach(), weight), expected, rtol=1e-4, atol=1e-6)


def test_outputs_without_effect_are_not_pulled():
    """By hand: the slope of the penalty's mean over slots, of what counts alone."""
    actors, obs = choosing(), torch.rand(2, 9, 1, generator=seeded(1)) + 0.5
    mask = torch.rand(2, 9, 2, generator=seeded(2)) < 0.5
    raw, trace = actors.look(obs)
    actors.step(trace, slope=torch.zeros_like(raw), raw=raw, mask=mask)
    pull = raw * mask.repeat_interleave(3, -1) * (2 * RAW_PENALTY / 6) / 9
    biases = actors.stack.split(actors.train_state.gradient)[1]
    torch.testing.assert_close(biases[-1][:, 0], pull.sum(1))
