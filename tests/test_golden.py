"""Golden numbers: code that changes results must raise ``RESULTS_VERSION``."""

import pytest

from dtlib import TrainConfig, train
from dtlib.config import RESULTS_VERSION

GOLDEN = {}


def test_smoke_run():
    history = train(TrainConfig.from_preset("smoke")).history
    found = {name: history[name].iloc[-1] for name in GOLDEN}
    assert RESULTS_VERSION == 1
    assert found == pytest.approx(GOLDEN, rel=1e-4)
