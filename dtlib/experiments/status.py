"""What of the experiments is done, missing or failed, read off the store and the results."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from dtlib.experiments import committed, progress, results, runner, store
from dtlib.experiments.experiment import Experiment, PlannedRun
from dtlib.experiments.measurements import done


def status(
    experiments: Sequence[Experiment], preset: str, seeds: int | None = None
) -> pd.DataFrame:
    """Return one row per experiment: runs planned, done, begun, missing, failed and committed.

    Committed runs of an older version of the results, which are to be made anew, are ``older``.
    ``minutes left`` are a core's, roughly, for what neither the store nor the results have.

    Args:
        experiments: all of them with this preset.
        seeds: how many; the preset's number if absent.
    """
    in_results = {one.name: committed.runs_of(one, preset) for one in experiments}
    rows, pace = [], _minutes_per_cost(in_results, preset)
    for experiment in experiments:
        runs = experiment.runs(preset, seeds)
        states = Counter(map(_state, runs))
        counts = {name: states[name] for name in ("done", "begun", "missing", "failed")}
        known = committed.rows_of(experiment, runs, preset)
        kept = set() if known is None else set(known["run"])
        ahead = [run for run in runs if run.key not in kept and not done(run)]
        minutes = sum(progress.left(run) * pace.get(run.algorithm, pace[""]) for run in ahead)
        older = [run for run in in_results[experiment.name] if run.version]
        rows.append(
            {"figure": experiment.name, "runs": len(runs)}
            | counts
            | {"in results": len(kept), "older": len(older), "minutes left": round(minutes, 1)}
        )
    return pd.DataFrame(rows)


def _minutes_per_cost(
    in_results: Mapping[str, Sequence[PlannedRun]], preset: str
) -> dict[str, float]:
    """Return what a unit of cost took in committed runs, min, by algorithm; ``""`` has all."""
    spent: dict[str, float] = defaultdict(float)
    worth: dict[str, float] = defaultdict(float)
    for name, written in in_results.items():
        known = results.runs(preset, name)
        for planned in committed.learnt(written):
            for who in (planned.algorithm, ""):
                spent[who] += (known[planned.key].get("seconds_of_training") or 0) / 60
                worth[who] += progress.training_cost(planned)
    return {"": math.nan} | {who: spent[who] / worth[who] for who in spent}


def failed_runs(
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
