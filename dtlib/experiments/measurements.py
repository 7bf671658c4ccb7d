"""What is measured of a planned run, each thing only once: the store keeps it."""

import os

import pandas as pd

from dtlib.experiments import sealed, store
from dtlib.experiments.baseline import measure_baseline
from dtlib.experiments.experiment import PlannedRun
from dtlib.training.calibration import Target, calibrate, operate
from dtlib.training.evaluation import WORLDS, Evaluation, evaluate
from dtlib.training.loop import Run


def done(planned: PlannedRun) -> bool:
    """Return whether the store has a run and its measurements."""
    if planned.baseline:
        return os.path.isfile(sealed.table_file("baselines", planned.digest))
    config, episodes = planned.config, planned.episodes
    names = [name for stream in planned.streams for name in _names(planned, stream)]
    return store.episodes_done(config) >= episodes and all(
        os.path.isfile(sealed.run_table_file(config, episodes, name)) for name in names
    )


def measure(planned: PlannedRun) -> None:
    """Measure what the store lacks of a finished run, or of a baseline."""
    if planned.baseline:
        baseline(planned)
    for stream in planned.streams:
        if planned.target:
            calibrated(planned, planned.target)
        else:
            evaluation(planned, stream)


def baseline(planned: PlannedRun) -> pd.DataFrame:
    """Return a baseline's only row."""
    name, env, worlds = planned.baseline, planned.config.env, planned.worlds
    return sealed.table(
        "baselines", planned.digest, lambda: pd.DataFrame([measure_baseline(name, env, worlds)])
    )


def calibrated(planned: PlannedRun, target: Target) -> pd.DataFrame:
    """Return a run's only row at its operating point: the bar, results on held-out worlds.

    Args:
        planned: its MUs choose silence.
        target: what the operating point has to hold.
    """

    def compute(run: Run) -> list[pd.DataFrame]:
        bar = calibrate(run, target, planned.worlds_of("tuning"))
        found = operate(run, target, worlds=planned.worlds, stream="held-out")
        return [pd.DataFrame([{"bar": bar} | found.summary()])]

    names = _names(planned, "calibrated")
    (row,) = sealed.run_tables(planned.config, planned.episodes, names=names, measure=compute)
    return row


def evaluation(planned: PlannedRun, stream: str) -> Evaluation:
    """Return a run's results on the worlds of a stream, ``held-out`` or ``tuning``."""

    def compute(run: Run) -> list[pd.DataFrame]:
        found = evaluate(run, worlds=planned.worlds_of(stream), stream=stream)
        return [found.worlds, found.users]

    names = _names(planned, stream)
    return Evaluation(
        *sealed.run_tables(planned.config, planned.episodes, names=names, measure=compute)
    )


def _names(planned: PlannedRun, stream: str) -> list[str]:
    """Return how the tables of a stream are named in the folder of a run."""
    if stream == "calibrated":
        return [f"calibrated-{planned.target}" + _fewer(planned, "held-out")]
    stem = stream + _fewer(planned, stream)
    return [f"{stem}-worlds", f"{stem}-users"]


def _fewer(planned: PlannedRun, stream: str) -> str:
    """Return what tells tables apart that are of another number of worlds than most."""
    count = planned.worlds_of(stream)
    return f"-{count}" * (count != WORLDS[stream])
