"""Gaussian-HAPPO as HARL has it: on the range itself, one deviation whatever is observed."""

import math

import pytest
import torch
from draws import seeded

from dtlib import EnvConfig, Policies, TrainConfig, sample_world, simulate
from dtlib.agents.episode import Episode
from dtlib.happo.learner import Learner
from dtlib.happo.plain import Network
from dtlib.kernels.distributions import (
    BOUNDS,
    GaussianTerms,
    gaussian_parameters,
)
from dtlib.kernels.first_layer import Columns, Rows
from dtlib.kernels.networks import MLPStack

ENV = EnvConfig(num_users=5, num_bs=3, frame_slots=10, frames=6, migration_slots=2)
CONFIG = TrainConfig(
    env=ENV, algorithm="gaussian-happo", hidden_sizes=(16, 8), epochs=3, learning_rate=1e-2
)
SILENT = {"power_action": "path-loss", "silence": "choice"}
SETTINGS = {
    "per-agent": {},
    "shared": {"actors": "shared", "critic": "shared", "credit": "difference"},
    "silence": SILENT | {"actors": "by-twin"},
}


# --- the distribution ---------------------------------------------------------------------------


def test_mean_and_deviation_by_hand():
    raw = torch.tensor([0.0, -1.0, 1.0, 50.0, -80.0])
    mean, std = gaussian_parameters(raw, raw, original=True)
    assert torch.equal(mean, raw)
    expected = [0.5 / (1 + math.exp(-1 - one)) for one in (0.0, -1.0, 1.0)]
    assert std[:3].tolist() == pytest.approx(expected) and std[1] == 0.25
    assert BOUNDS[True] == (0, 0.5) and std.min() >= 0 and std.max() <= 0.5
    middle, bounded = gaussian_parameters(raw, raw)
    assert middle[0] == 0.5 and bounded[0] < std[0]


@pytest.mark.parametrize("entropy_weight", [None, 0.3])
def test_slopes_equal_autograd(entropy_weight):
    generator = seeded(0)
    raw = 2 * torch.randn(2, 2, 40, generator=generator, dtype=torch.float64)
    value = 0.5 + torch.randn(2, 40, generator=generator, dtype=torch.float64)
    weight = torch.randn(2, 40, generator=generator, dtype=torch.float64)
    raw.requires_grad_()
    law = torch.distributions.Normal(raw[:, 0], 0.5 * torch.sigmoid(1 + raw[:, 1]))
    share = None if entropy_weight is None else entropy_weight * (1 + weight**2)
    total = (weight * law.log_prob(value)).sum()
    total = total + (0 if share is None else (share * law.entropy()).sum())
    (expected,) = torch.autograd.grad(total, raw)
    terms = GaussianTerms(raw.detach(), value, original=True)
    torch.testing.assert_close(terms.log_prob, law.log_prob(value).detach())
    for _ in range(2):  # nothing is used up
        entropy, slope = terms.slopes(weight, share)
        torch.testing.assert_close(entropy, law.entropy().detach())
        torch.testing.assert_close(slope, expected)
    assert not torch.equal(GaussianTerms(raw.detach(), value).slopes(weight, share)[1], slope)


# --- outputs that depend on nothing -------------------------------------------------------------


@pytest.mark.parametrize("blind", [slice(0), slice(2, 4), slice(1, 2)])
@pytest.mark.parametrize("sizes", [(6, 4), (6, 9, 4)])
def test_blind_outputs_learn_by_their_biases_alone(sizes, blind):
    stack = MLPStack(2, sizes, activation="tanh", output_gain=1.0, generator=seeded(0), blind=blind)
    plain = MLPStack(2, sizes, activation="tanh", output_gain=1.0, generator=seeded(0))
    seeing = torch.ones(4, dtype=torch.bool)
    seeing[blind] = False
    assert not stack.weights[-1][:, :, ~seeing].any() and stack.weights[-1][:, :, seeing].all()
    assert torch.equal(stack.weights[-1][:, :, seeing], plain.weights[-1][:, :, seeing])
    for bias in stack.biases:
        bias.normal_(generator=seeded(1))
    rows = torch.randn(7, 6, generator=seeded(2))
    raw = stack.single(1, rows)
    assert torch.equal(raw[:, ~seeing], stack.biases[-1][1][:, ~seeing].expand(7, -1))

    network = Network(stack, 1, CONFIG.replace(activation="tanh"))
    weight = torch.randn(7, 4, generator=seeded(3))
    (network(rows) * weight).sum().backward()
    trace = stack.trace(Rows.of([rows], Columns()))
    stack.forward(slice(1, 2), trace)
    gradient = torch.full_like(stack.flat[1:2], torch.nan)
    weights, biases = stack.split(gradient)
    stack.backward(
        slice(1, 2), trace, slope=weight.mT[None].contiguous(), weights=weights, biases=biases
    )
    layers = [*network][::2]
    expected = [one.weight.grad.mT for one in layers] + [one.bias.grad[None] for one in layers]
    expected[len(weights) - 1][:, ~seeing] = 0
    for found, one in zip([*weights, *biases], expected, strict=True):
        torch.testing.assert_close(found[0], one)


@pytest.mark.parametrize("name", SETTINGS)
def test_half_of_the_first_draws_are_below_the_range(name):
    """The mean is 0 there: half of all powers that are drawn, and of all weights, are none."""
    env = ENV.replace(frames=40)
    policies = Policies(CONFIG.replace(env=env, **SETTINGS[name]), seeded(0))
    world = sample_world(env, 3)
    drawn = policies.decide(world, [seeded(1)])
    middle = policies.decide(world)
    for unit, mean in (
        (drawn.power_unit, middle.power_unit), (drawn.weight_unit, middle.weight_unit)
    ):  # fmt: skip
        taken = unit != 0
        assert mean.abs().max() < 0.05
        count = taken.sum().item()
        assert (unit[taken] < 0).double().mean().item() == pytest.approx(0.5, abs=3 / count**0.5)
        std = unit[taken].std().item()
        assert std == pytest.approx(0.5 / (1 + math.exp(-1)), rel=4 / count**0.5)
    if name != "silence":
        none = drawn.actions.power[drawn.sending] == 0
        assert none.double().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", SETTINGS)
def test_deviations_never_depend_on_what_is_observed(name):
    """After updates too: they have learnt, by their biases, while all else follows observations."""
    learner = Learner(CONFIG.replace(**SETTINGS[name]), [seeded(0)])
    policies = learner.policies[0]
    before = {kind: stack.biases[-1].clone() for kind, stack in policies.stacks.items()}
    for number in range(3):
        world = sample_world(ENV, number)
        decision = policies.decide(world, [seeded(number)])
        outcome = simulate(world, decision.actions, ENV)
        learner.update([Episode(decision, outcome)], seeded(number))
    for kind, numbers in (("users", 1), ("stations", 2 * ENV.num_users)):
        stack = getattr(policies, kind)
        spread = slice(numbers, 2 * numbers)
        weight, bias = stack.weights[-1], stack.biases[-1]
        assert not weight[:, :, spread].any(), "to the last bit"
        rest = torch.cat([weight[:, :, :numbers], weight[:, :, 2 * numbers :]], -1)
        assert (rest != 0).any(1).all(), "means, and the logit of sending, see what they need"
        learnt = bias[..., spread] != before[kind][..., spread]  # of all that was ever used
        assert learnt.double().mean() > 0.7
        rows = torch.randn(2, stack.sizes[0], generator=seeded(9))
        one, other = stack.single(0, rows)
        assert torch.equal(one[spread], other[spread])
        assert not torch.equal(one[:numbers], other[:numbers])


def test_heads_by_settings():
    assert CONFIG.head == "original-gaussian"
    assert CONFIG.replace(gaussian="bounded").head == "gaussian"
    assert CONFIG.replace(algorithm="beta-happo").head == "beta"
    bounded = Policies(CONFIG.replace(gaussian="bounded"), seeded(0))
    assert bounded.users.weights[-1].all() and bounded.stations.weights[-1].all()
