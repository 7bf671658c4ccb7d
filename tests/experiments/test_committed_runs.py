"""A committed run of each algorithm, trained and measured afresh: the same in every byte."""

import pytest

from dtlib.experiments import committed, verify
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.grids import find
from dtlib.experiments.runner import Effort
from dtlib.runtime.fingerprint import arithmetic

FIGURE = "fig07_08"
"""The sweep whose runs are shortest, where users are fewest."""


@pytest.mark.skipif(
    arithmetic() != "portable", reason="this processor has no AVX2, or DTLIB_ARITHMETIC=native"
)
@pytest.mark.parametrize("algorithm", LEARNERS)
def test_the_same_bytes(algorithm, monkeypatch):
    runs = [one for one in committed.runs_of(find(FIGURE), "quick") if one.algorithm == algorithm]
    planned = min(runs, key=lambda one: one.config.env.num_users)
    monkeypatch.setattr(verify, "chosen", lambda *_: [planned])
    found = verify.verify(find(FIGURE), "quick", effort=Effort(jobs=1, device="cpu"))
    assert len(found) == 1 and found["differs"][0] == ""
