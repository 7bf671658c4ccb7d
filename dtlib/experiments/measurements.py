"""What is measured of a planned run, each thing only once: the store keeps it."""

from __future__ import annotations

import os

import pandas as pd

from dtlib.experiments import store
from dtlib.experiments.baseline import measure_baseline
from dtlib.experiments.experiment import PlannedRun
from dtlib.training.calibration import Target, evaluate_calibrated
from dtlib.training.evaluation import Evaluation
from dtlib.training.loop import Run


def done(planned: PlannedRun) -> bool:
    """Return whether the store has a run and its measurements."""
    if planned.baseline:
        return os.path.isfile(store.table_file("baselines", planned.digest))
    trained = store.episodes_done(planned.config) >= planned.episodes
    return trained and all(_has(planned, stream) for stream in planned.streams)


def measure(planned: PlannedRun) -> None:
    """Measure what the store lacks of a finished run, or of a baseline."""
    if planned.baseline:
        baseline(planned)
    for stream in planned.streams:
        if planned.target and stream == "calibrated":
            calibrated(planned, planned.target)
        else:
            evaluation(planned, stream)


def baseline(planned: PlannedRun) -> pd.DataFrame:
    """Return a baseline's only row."""

    def compute() -> pd.DataFrame:
        env = planned.config.env
        return pd.DataFrame([measure_baseline(planned.baseline, env, planned.worlds)])

    return store.table("baselines", planned.digest, compute)


def calibrated(planned: PlannedRun, target: Target) -> pd.DataFrame:
    """Return a run's only row at its operating point: the bar, results on held-out worlds.

    Args:
        planned: its MUs choose silence.
        target: what the operating point has to hold.
    """

    def compute(run: Run) -> pd.DataFrame:
        bar, found = evaluate_calibrated(run, target)
        return pd.DataFrame([{"bar": bar} | found.summary()])

    return store.run_table(planned.config, planned.episodes, f"calibrated-{target}", compute)


def evaluation(planned: PlannedRun, stream: str) -> Evaluation:
    """Return a run's results on the worlds of a stream, ``held-out`` or ``tuning``."""
    return store.evaluation(planned.config, planned.episodes, stream, _worlds(planned, stream))


def _has(planned: PlannedRun, stream: str) -> bool:
    config, episodes = planned.config, planned.episodes
    if planned.target and stream == "calibrated":
        name = f"calibrated-{planned.target}"
        return os.path.isfile(store.run_table_file(config, episodes, name))
    return store.evaluated(config, episodes, stream, _worlds(planned, stream))


def _worlds(planned: PlannedRun, stream: str) -> int | None:
    return planned.worlds if stream == "held-out" else None
