"""Work beside the caller's: what numbers may become without a warning is the same in its thread."""

import warnings

import numpy as np
import pytest
import torch

from dtlib.runtime.beside import beside
from dtlib.runtime.devices import torch_threads


@pytest.mark.parametrize("threads", [1, 2])
def test_warnings_that_the_caller_ignores_are_ignored(threads):
    made = []

    def multiply():
        made.append(np.float32(np.inf) * np.float32(0))

    with warnings.catch_warnings(), np.errstate(invalid="ignore"), torch_threads(threads):
        warnings.simplefilter("error")
        with beside() as run:
            run(multiply)
    assert np.isnan(made).all() and len(made) == 1
    assert torch.get_num_threads() >= 1
