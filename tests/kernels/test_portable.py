"""What stands in for MKL: right in value and gradient, and nothing goes round it."""

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import dtlib
from dtlib.baselines.admission import genie_under_threshold
from dtlib.baselines.informed import train_informed
from dtlib.baselines.rules import DemandInversion, Reference
from dtlib.experiments.experiment import LEARNERS
from dtlib.kernels.portable import affine, exp, log, product, sqrt, tanh_
from dtlib.runtime.seeds import seeded
from dtlib.settings.presets import NETWORKS
from dtlib.training.evaluation import evaluate, evaluate_policy
from dtlib.training.loop import Trainer


def draw(*shape):
    return torch.randn(*shape, generator=seeded("weights", 1), dtype=torch.float64)


@pytest.mark.parametrize("left_turned", [False, True])
@pytest.mark.parametrize("right_turned", [False, True])
@pytest.mark.parametrize(("n", "m", "p"), [(5, 7, 3), (1, 7, 3), (5, 1, 3), (5, 7, 1)])
def test_products_against_einsum(left_turned, right_turned, n, m, p):
    left = draw(4, m, n).mT if left_turned else draw(4, n, m)
    right = draw(4, p, m).mT if right_turned else draw(4, m, p)
    expected = torch.einsum("rnm,rmp->rnp", left, right)
    torch.testing.assert_close(product(left, right), expected)
    for out in (torch.empty(4, n, p).double(), torch.empty(4, p, n).double().mT):
        assert product(left, right, out=out) is out
        torch.testing.assert_close(out, expected)
    bias = draw(4, 1, p)
    torch.testing.assert_close(affine(bias, left, right), expected + bias)
    assert affine(bias, left, right, out=out) is out
    torch.testing.assert_close(out, expected + bias)
    whole = bias + torch.zeros(4, n, p)
    assert affine(whole, left, right, out=whole) is whole
    torch.testing.assert_close(whole, expected + bias)


@pytest.mark.parametrize("taped", [(True, True), (True, False), (False, True)])
def test_a_tape_sees_products(taped):
    pair = [draw(2, 3, 4).requires_grad_(taped[0]), draw(2, 4, 5).requires_grad_(taped[1])]
    assert torch.autograd.gradcheck(lambda *args: affine(torch.ones(5).double(), *args), pair)


KINDS = [torch.float32, torch.float64]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("function", "reference", "low", "high"),
    [
        (sqrt, np.sqrt, 1e-30, 1e30), (exp, np.exp, 1e-3, 80), (exp, np.exp, -80, -1e-3),
        (log, np.log, 1e-30, 1e30), (tanh_, np.tanh, -30, -1e-3), (tanh_, np.tanh, 1e-3, 30),
    ],
)  # fmt: skip
def test_functions_against_numpy(function, reference, low, high, kind):
    values = np.sign(low) * np.geomspace(abs(low), abs(high), 10_001)
    found = function(torch.tensor(values, dtype=kind)).double().numpy()
    exact = reference(torch.tensor(values, dtype=kind).double().numpy())
    scale = np.abs(exact) * (np.abs(values) + 2 if function is exp else 2) + 2 * (function is tanh_)
    assert (np.abs(found - exact) <= torch.finfo(kind).eps * scale).all()


@pytest.mark.parametrize("kind", KINDS)
def test_where_functions_end(kind):
    far = torch.tensor([-math.inf, 0.0, math.inf], dtype=kind)
    assert exp(far).tolist() == [0.0, 1.0, math.inf]
    assert sqrt(far[1:]).tolist() == [0.0, math.inf]
    assert log(far[1:]).tolist() == [-math.inf, math.inf]
    assert tanh_(far.clone()).tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("function", [sqrt, exp, log, lambda array: tanh_(array.clone())])
def test_a_tape_sees_functions(function):
    assert torch.autograd.gradcheck(function, draw(5).abs().add(0.1).requires_grad_())


ROUNDED_BY_THE_MAKER = {
    *("acos", "asin", "atan", "cos", "erf", "erfc", "erfinv", "exp", "log", "log10", "log2"),
    *("logit", "logsumexp", "sin", "sqrt", "tan", "tanh", "trunc"),
}
"""Torch's functions that are MKL's: what libtorch exports of its vector functions, and what calls
them. Each was seen with gdb to enter MKL; none of those in use does."""
SLOW = {"mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot"}
"""MKL's products, a third as fast as NumPy's. The genie's few are left to it."""


class Overseer(TorchDispatchMode):
    """Notes each operation that torch carries out, those of tapes as well."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__.removesuffix("_")
        root = name == "pow" and any(isinstance(a, float) and abs(a) == 0.5 for a in args)
        self.seen.add("sqrt" if root else name)
        return func(*args, **(kwargs or {}))


SETTINGS = [{"algorithm": name} for name in LEARNERS]
SETTINGS += [{"activation": "tanh"}, {"power_action": "path-loss", "silence": "choice"}]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: "-".join(one.values()))
def test_nothing_of_a_run_is_left_to_mkl(settings, network):
    kept = {"episodes": 2, "updates_per_frame": 1, "batch_size": 64}
    config = dtlib.TrainConfig.from_preset("smoke", network, **kept, **settings)
    with Overseer() as overseer:
        trainer = Trainer([config])
        trainer.episode()
        evaluate(trainer.run_so_far(0), worlds=1)
    assert "add" in overseer.seen
    assert not overseer.seen & (ROUNDED_BY_THE_MAKER | SLOW)


def test_nothing_of_what_is_not_learnt_is_left_to_mkl():
    config = dtlib.TrainConfig.from_preset("smoke")
    policy = Reference(config.env, DemandInversion(1.0, 1.0), shares="demand")
    with Overseer() as overseer:
        genie_under_threshold(dtlib.sample_world(config.env, 5), config.env, 0.2)
        train_informed(config, 0.2, steps=2)
        evaluate_policy(policy, config.env, worlds=1, stream="tuning")
    assert "add" in overseer.seen
    assert not overseer.seen & ROUNDED_BY_THE_MAKER
