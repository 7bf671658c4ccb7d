"""Figures: the curves show the data they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dtlib import figures


@pytest.fixture
def data():
    slots = np.arange(1, 21) * 1000
    parts = []
    for algorithm in ("beta-happo", "maddpg"):
        for seed in range(3):
            columns = {
                "figure": "fig04_06", "algorithm": algorithm, "variant": algorithm, "seed": seed,
                "x": slots, "reward_global": -1 / slots + seed, "reward_centre": -0.5,
                "energy_per_user_slot_j": 1e-3 * (seed + 1),
            }  # fmt: skip
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def test_convergence(data):
    figure = figures.convergence(data)
    assert [ax.get_title(loc="center") or ax.get_title(loc="left") for ax in figure.axes] == [
        "Fig. 4",
        "Fig. 5",
        "Fig. 6",
    ]
    assert "time slots" in figure.axes[-1].get_xlabel()
    assert all(ax.get_ylabel() for ax in figure.axes)
    energy = figure.axes[2]
    means = [line.get_ydata() for line in energy.lines if len(line.get_ydata()) == 20]
    assert any(np.allclose(values, 2.0) for values in means), "mean of 1, 2 and 3 mJ"
    assert len(figure.axes[0].get_legend().get_texts()) == 2
    plt.close(figure)


def test_save(data, tmp_path):
    files = figures.save("fig04_06", data, tmp_path / "quick")
    assert {file.name for file in files} == {"fig04_06.png", "fig04_06.svg"}
    assert all(file.stat().st_size > 5000 for file in files)
