"""The points that base stations' cells start from are those of SciPy, in every bit."""

import numpy as np
from scipy.stats.qmc import Halton

from dtlib.kernels.halton import halton


def test_points_are_those_of_scipy():
    assert np.array_equal(halton(1000), Halton(d=2, scramble=False).random(1001)[1:])
