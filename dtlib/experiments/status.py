"""What of the experiments is done, missing or failed, read off the store and the results."""

from collections.abc import Iterable, Iterator

import pandas as pd

from dtlib.experiments import committed, runner, store
from dtlib.experiments.experiment import Experiment, PlannedRun
from dtlib.experiments.measurements import done


def status(
    experiments: Iterable[Experiment], preset: str, seeds: int | None = None
) -> pd.DataFrame:
    """Return one row per experiment: runs planned, done, begun, missing, failed and committed.

    Committed runs of an older version of the results, which are to be made anew, are ``older``.

    Args:
        experiments: which, all of them with this preset.
        preset: budget and size.
        seeds: how many; the preset's number if absent.
    """
    rows = []
    for experiment in experiments:
        runs = experiment.runs(preset, seeds)
        counts = dict.fromkeys(("done", "begun", "missing", "failed"), 0)
        for planned in runs:
            counts[_state(planned)] += 1
        known = committed.rows_of(experiment, runs, preset)
        older = [run for run in committed.runs_of(experiment, preset) if run.version]
        rows.append(
            {"figure": experiment.name, "runs": len(runs)}
            | counts
            | {"in results": 0 if known is None else known["run"].nunique()}
            | {"older": len(older)}
        )
    return pd.DataFrame(rows)


def failures(
    experiments: Iterable[Experiment], preset: str, seeds: int | None = None
) -> Iterator[str]:
    """Yield a line for each failed run: whose it is, and why."""
    for experiment in experiments:
        for planned in experiment.runs(preset, seeds):
            if _state(planned) == "failed":
                at = ", ".join(f"{name} = {value:g}" for name, value in planned.at.items())
                where = f" at {at}" if at else ""
                who = f"{experiment.name}: {planned.variant}{where}, seed {planned.config.seed}"
                yield f"{who}: {runner.failed(planned)}"


def _state(planned: PlannedRun) -> str:
    if done(planned):
        return "done"
    if planned.baseline:
        return "missing"
    if runner.failed(planned):
        return "failed"
    return "begun" if store.episodes_done(planned.config) else "missing"
