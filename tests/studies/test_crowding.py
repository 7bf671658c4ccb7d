"""What lets the energy rise with the number of users, pulled apart."""

import pytest

from dtlib import EnvConfig
from dtlib.studies.crowding import growth

ENV = EnvConfig(num_bs=3, frame_slots=20)


def test_without_a_cpu_to_wait_for_only_interference_rises():
    found = growth(ENV.replace(cpu_hz=1e15), 3, 6)
    assert found["smaller slices alone"].tolist() == pytest.approx([1] * 3, rel=1e-3)
    for name in ("both", "servers divide their CPU"):
        assert found[name].tolist() == pytest.approx(found["interference alone"].tolist(), rel=1e-3)


def test_both_rise_in_the_papers_network():
    found = growth(EnvConfig())
    assert list(found.index) == [10, 14, 18] and (found > 1.2).all(axis=None)
    alone = found[["interference alone", "smaller slices alone"]]
    assert (found["both"] > alone.max(axis=1)).all()
    assert found["servers divide their CPU"].tolist() == pytest.approx(
        found["interference alone"].tolist(), rel=0.05
    )
