"""A run and an experiment that take seconds; a store and a results folder of a test's own."""

from __future__ import annotations

import pytest

from dtlib import TrainConfig
from dtlib.experiments import grids
from dtlib.runtime import paths
from dtlib.training.run_folder import CHECKPOINT

TINY = TrainConfig.from_preset(
    "smoke", episodes=4, worlds=1, env={"num_users": 4, "num_bs": 2, "frames": 5}
)
CURVES, SWEEP = grids.find("fig05"), grids.find("fig10")
SMALL = {"algorithm": "beta-happo", "env": {"num_users": 3, "num_bs": 2}, "episodes": 2}
ONE = grids.Experiment("one", "", {"beta": SMALL}, seeds={"smoke": 1}, axes=SWEEP.axes)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Make ``ONE`` known, and have store and results below the test's folder."""
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    monkeypatch.setitem(grids.EXPERIMENTS, "one", ONE)


def trained():
    """When each run was last at work, by folder name."""
    return {
        one.parent.name: one.stat().st_mtime_ns for one in paths.store().glob(f"*/*/{CHECKPOINT}")
    }
