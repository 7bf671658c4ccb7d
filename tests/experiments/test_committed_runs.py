"""A committed run of each algorithm, trained and measured afresh: the same in every byte."""

import pytest

from dtlib.experiments import committed, provenance, results, verify
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.grids import find
from dtlib.experiments.runner import Effort
from dtlib.runtime.fingerprint import arithmetic

FIGURE = "fig09"
"""The sweep whose runs are shortest."""


def maker(processor):
    """Whose processor it is: of another maker's, the last bit of ``torch.log10`` differs."""
    return processor.split("(")[0].split()[0]


@pytest.mark.skipif(
    arithmetic() != "portable", reason="this processor has no AVX2, or DTLIB_ARITHMETIC=native"
)
@pytest.mark.parametrize("algorithm", LEARNERS)
def test_the_same_bytes(algorithm, monkeypatch):
    runs = committed.runs_of(find(FIGURE), "quick")
    (planned,) = verify.chosen([one for one in runs if one.algorithm == algorithm], 1)
    facts = results.manifest(results.folder_of("quick", FIGURE))["runs"]
    made_on = next(run["processor"] for run in facts if run["run"] == planned.key)
    if maker(made_on) != maker(provenance.origin()["processor"]):
        pytest.skip(f"made on {made_on}: torch.log10 has another last bit here")
    monkeypatch.setattr(verify, "chosen", lambda *_: [planned])
    found = verify.verify(find(FIGURE), "quick", effort=Effort(jobs=1, device="cpu"))
    assert len(found) == 1 and found["differs"][0] == ""
