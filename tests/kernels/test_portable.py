"""What stands in for MKL: right in value and gradient, and nothing goes round it."""

import re
from pathlib import Path

import pytest
import torch

import dtlib
from dtlib.kernels.portable import affine, product, sqrt
from dtlib.runtime.seeds import seeded


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
        assert product(left, right, out) is out
        torch.testing.assert_close(out, expected)
    bias = draw(4, 1, p)
    torch.testing.assert_close(affine(bias, left, right), expected + bias)
    assert affine(bias, left, right, out) is out
    torch.testing.assert_close(out, expected + bias)
    whole = bias + torch.zeros(4, n, p)
    assert affine(whole, left, right, whole) is whole
    torch.testing.assert_close(whole, expected + bias)


@pytest.mark.parametrize("taped", [(True, True), (True, False), (False, True)])
def test_a_tape_sees_products(taped):
    pair = [draw(2, 3, 4).requires_grad_(taped[0]), draw(2, 4, 5).requires_grad_(taped[1])]
    assert torch.autograd.gradcheck(lambda *args: affine(torch.ones(5).double(), *args), pair)


def test_roots():
    values = torch.tensor([0.0, 1e-8, 0.25, 2.0, 1e12])
    torch.testing.assert_close(sqrt(values), values.double().sqrt().float())


BY_MKL = re.compile(
    r"torch\.(sqrt|mm|bmm|addmm|baddbmm|matmul|einsum|atan|asin|acos|cdist)\(|\.(sqrt|bmm|mm)\(\)?"
    r"|gelu|nn\.Linear|optim\.SGD"
)
MAY = {"kernels/portable.py", "happo/plain.py", "model/world.py", "model/mobility.py"}
"""On a GPU; for the eye; NumPy's root, which is exact."""
ROOT = Path(dtlib.__file__).parent


def test_nothing_of_the_engine_is_left_to_mkl():
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).as_posix() not in MAY and path.parent.name != "report"
        for line in path.read_text(encoding="utf-8").splitlines()
        if BY_MKL.search(line)
    ]
    assert not found
