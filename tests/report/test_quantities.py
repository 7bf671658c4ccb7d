"""Quantities of claims, by hand."""

import pandas as pd
import pytest

from dtlib.experiments.results import ENERGY
from dtlib.report.quantities import saving, trend


def test_trend_along_another_axis():
    rows = [
        {"algorithm": "beta-happo", "seed": s, "x": d, "data_bits_max": d, "bandwidth_hz": b,
         ENERGY: d / b}
        for d in (20.0, 30.0) for b in (8.0, 12.0) for s in range(2)
    ]  # fmt: skip
    data = pd.DataFrame(rows)
    values, steady = trend(data, ENERGY, "bandwidth_hz")
    assert len(values) == 4 and not steady and max(values) < 0
    values, steady = trend(data, ENERGY)
    assert len(values) == 4 and steady and min(values) > 0


def test_savings_pair_seeds():
    rows = [
        {"algorithm": a, "seed": s, "world": w, ENERGY: e * (1 + s) + w - 0.5}
        for a, e in (("beta-happo", 3.0), ("maddpg", 4.0))
        for s in range(3)
        for w in range(2)
    ]
    data = pd.DataFrame(rows)
    data = data[~((data["algorithm"] == "maddpg") & (data["seed"] == 2))]
    assert saving(data, "maddpg") == pytest.approx([25, 25])
