"""Stacked networks: passes against torch modules and autograd, sparse inputs, runs side by side."""

import pytest
import torch
from draws import seeded

from dtlib.kernels.first_layer import Columns, Rows, pad
from dtlib.kernels.networks import MLPStack

pytestmark = pytest.mark.usefixtures("double")


def module_of(stack, index):
    """The same network as torch modules."""
    between = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[stack.activation]
    layers = []
    for weight, bias in zip(stack.weights, stack.biases, strict=True):
        linear = torch.nn.Linear(*weight.shape[1:])
        linear.weight.data, linear.bias.data = weight[index].T.clone(), bias[index, 0].clone()
        layers += [linear, between()]
    return torch.nn.Sequential(*layers[:-1])


def with_biases(stack, seed=1):
    for bias in stack.biases:
        bias.normal_(generator=seeded(seed))
    return stack


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(5, 3), (5, 16, 3), (5, 128, 64, 3)])
def test_stacked_equals_sliced_equals_modules(activation, sizes):
    stack = with_biases(
        MLPStack(4, sizes, activation=activation, output_gain=1.0, generator=seeded(0))
    )
    inputs = torch.randn(4, 11, 5, generator=seeded(2))
    before, together = inputs.clone(), stack(inputs)
    assert torch.equal(inputs, before)
    for i in range(4):
        torch.testing.assert_close(together[i], stack.single(i, inputs[i]))
        torch.testing.assert_close(together[i], module_of(stack, i)(inputs[i]).detach())


def test_parameters_are_views():
    stack = MLPStack(3, (4, 8, 2), generator=seeded(0))
    stack.parameters(2)[0].fill_(7)
    assert (stack.weights[0][2] == 7).all() and not (stack.weights[0][:2] == 7).any()
    assert stack.flat[2].numel() == sum(one.numel() for one in stack.parameters(2))
    assert {name: array.shape[1:] for name, array in stack.state().items()} == {
        "weight0": (4, 8), "weight1": (8, 2), "bias0": (1, 8), "bias1": (1, 2),
    }  # fmt: skip


def test_initial_weights_are_orthogonal_and_seeded():
    stack = MLPStack(2, (6, 16, 8, 4), output_gain=0.01, generator=seeded(0))
    for weight, gain in zip(stack.weights, (2**0.5, 2**0.5, 0.01), strict=True):
        singular = torch.linalg.svdvals(weight)
        torch.testing.assert_close(singular, torch.full_like(singular, gain))
    assert all(not bias.any() for bias in stack.biases)
    again = MLPStack(2, (6, 16, 8, 4), output_gain=0.01, generator=seeded(0))
    assert torch.equal(stack.flat, again.flat)
    assert not torch.equal(stack.weights[0][0], stack.weights[0][1])


# --- gradients ----------------------------------------------------------------------------------


def observations(run, slow=3, flags=4, fast=2, count=40):
    """Rows whose first columns change every ten slots, then flags, then anything."""
    generator = seeded(run)
    parts = [
        torch.randn(-(-count // 10), slow, generator=generator).repeat_interleave(10, 0)[:count],
        (torch.rand(count, flags, generator=generator) < 0.3).double(),
        torch.randn(count, fast, generator=generator),
    ]
    return torch.cat(parts, dim=1)


LAYOUTS = [Columns(), Columns(3), Columns(0, 0), Columns(3, 4), Columns(2)]


@pytest.mark.parametrize("columns", LAYOUTS)
@pytest.mark.parametrize("counts", [(40,), (40, 25, 31)])
@pytest.mark.parametrize(
    ("sizes", "activation"), [((9, 2), "relu"), ((9, 6, 2), "tanh"), ((9, 7, 5, 3), "relu")]
)
def test_passes_equal_autograd_on_the_dense_rows(columns, counts, sizes, activation):
    """Whatever the split of the columns, and with runs of different length side by side."""
    runs = len(counts)
    singles = [
        with_biases(
            MLPStack(2, sizes, activation=activation, output_gain=1.0, generator=seeded(r)), r
        )
        for r in range(runs)
    ]
    modules = [module_of(one, 1) for one in singles]
    stack = MLPStack.join(singles)
    obs = [observations(run, count=count) for run, count in enumerate(counts)]
    trace = stack.trace(Rows.of(obs, columns))
    which = slice(runs, 2 * runs)
    raw = stack.forward(which, trace)
    slope = torch.zeros_like(raw)
    for run, (one, module) in enumerate(zip(obs, modules, strict=True)):
        expected = module(one)
        torch.testing.assert_close(raw[run, :, : len(one)], expected.mT.detach())
        torch.testing.assert_close(singles[run].single(1, one), expected.detach())
        weight = torch.randn(expected.shape, generator=seeded(run))
        (expected * weight).sum().backward()
        slope[run, :, : len(one)] = weight.mT
    gradient = torch.full_like(stack.flat[which], torch.nan)
    for _ in range(2):  # the trace is left as it was
        weights, biases = stack.split(gradient)
        stack.backward(which, trace, slope=slope, weights=weights, biases=biases)
        for run, module in enumerate(modules):
            for layer, linear in enumerate(module[::2]):
                torch.testing.assert_close(weights[layer][run], linear.weight.grad.T)
                torch.testing.assert_close(biases[layer][run, 0], linear.bias.grad)


def test_columns_are_split_only_where_it_pays():
    obs = observations(0)
    split = Rows.of([obs], Columns(3, 4))
    assert split.slow.shape == (1, 4, 3) and split.flags == 4 and split.fast.shape == (1, 40, 2)
    assert len(split.lookups.entry) == 40 + obs[:, 3:7].sum()
    assert Rows.of([obs], Columns(5)).fast.shape == (1, 40, 9)  # flags change in every slot
    assert Rows.of([obs], Columns(0, 5)).fast.shape == (1, 40, 9)  # those are no flags
    constant = Rows.of([torch.ones(40, 3)], Columns(2))
    assert constant.lookups is None and constant.slow.shape == (1, 1, 2)


def test_pad():
    parts = [torch.ones(3, 2), torch.full((1, 2), 2.0)]
    assert pad(parts).tolist() == [[[1, 1], [1, 1], [1, 1]], [[2, 2], [0, 0], [0, 0]]]
    assert torch.equal(pad(parts[:1])[0], parts[0])


# --- runs side by side --------------------------------------------------------------------------


def test_joined_stacks_share_their_memory_with_the_single_ones():
    singles = [MLPStack(2, (4, 3), generator=seeded(seed)) for seed in range(3)]
    before = [one.flat.clone() for one in singles]
    joint = MLPStack.join(singles)
    assert joint.count == 6
    for run, one in enumerate(singles):
        assert torch.equal(one.flat, before[run])
        for agent in range(2):
            assert torch.equal(joint.flat[3 * agent + run], before[run][agent])
    joint.flat[4] = 5.0
    assert (singles[1].weights[0][1] == 5).all() and torch.equal(singles[1].flat[0], before[1][0])
    assert MLPStack.join(singles[:1]) is singles[0]
