"""Tidy tables of experiments: rows that are committed, and rows made from the store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments import committed, measurements, results, runner, store
from dtlib.experiments.committed import EVALUATION, TUNING, USERS, tables_of
from dtlib.experiments.experiment import Experiment, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.keys import config_key, digest
from dtlib.experiments.results import DATA
from dtlib.experiments.runner import LOCALLY, Effort
from dtlib.runtime.errors import ConfigError
from dtlib.training.loop import TIMINGS


def _rows(planned: PlannedRun, experiment: Experiment, name: str) -> pd.DataFrame:
    """Return one run's rows of a table, with whose they are in front."""
    table = _measured(planned, experiment, name)
    head: dict[str, Any] = {
        "figure": experiment.name,
        "algorithm": planned.algorithm,
        "variant": planned.variant,
        "seed": planned.config.seed,
        "control_factor": planned.config.env.control_factor,
        "run": planned.key,
    }
    if planned.at:
        head |= {"x": next(iter(planned.at.values()))} | dict(planned.at)
    if "x" in table:
        head["x"] = table["x"]
    rest = table.drop(columns=[column for column in head if column in table])
    return pd.concat([pd.DataFrame(head, index=table.index), rest], axis=1)


def _measured(planned: PlannedRun, experiment: Experiment, name: str) -> pd.DataFrame:
    """Return one run's rows of a table, from the store."""
    if planned.baseline:
        return measurements.baseline(planned)
    if planned.target:
        return measurements.calibrated(planned, planned.target)
    if name == DATA and not experiment.axes:
        history = store.history(planned.config, planned.episodes)
        return history.drop(columns=["episode", *TIMINGS]).rename(columns={"slots": "x"})
    found = measurements.evaluation(planned, "tuning" if name == TUNING else "held-out")
    if name == DATA:
        return pd.DataFrame([found.summary()])
    return found.worlds if name == EVALUATION else found.users


def collect(
    experiment: Experiment,
    runs: Sequence[PlannedRun],
    *,
    effort: Effort = LOCALLY,
    names: Sequence[str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Finish what the store lacks and return tidy tables by name, all if no names are given."""
    names = tables_of(experiment) if names is None else names
    only_curves = tuple(names) == (DATA,) and len(tables_of(experiment)) > 1
    trained = [replace(planned, streams=()) for planned in runs]
    runner.finish(trained if only_curves else runs, effort)
    return {
        name: pd.concat([_rows(planned, experiment, name) for planned in runs], ignore_index=True)
        for name in names
    }


def write_experiment(
    experiment: Experiment,
    preset: str,
    seeds: int | None = None,
    *,
    effort: Effort = LOCALLY,
    keep: bool = False,
    finished: bool = False,
) -> Path:
    """Run an experiment and write its tables and manifest to ``results/<preset>/<name>/``.

    Where the same runs gave the same tables before, nothing is touched.

    Args:
        seeds: how many; the preset's number if absent.
        keep: take committed rows as they are, of further seeds too, and run only what is missing.
        finished: run nothing, and write what the store has.
    """
    runs, folder = experiment.runs(preset, seeds), results.folder_of(preset, experiment.name)
    known = results.runs(preset, experiment.name) if keep else {}
    if keep:
        runs = [*runs, *committed.runs_of(experiment, preset)]
        wanted, most = {run.key for run in runs}, 1 + max(run.config.seed for run in runs)
        runs = [run for run in experiment.runs(preset, most) if run.key in wanted]
    if finished:
        runs = [run for run in runs if run.key in known or measurements.done(run)]
        if not runs:
            raise ConfigError(f"{experiment.name}: no run of preset {preset!r} is finished")
    if keep:
        found = _merged(experiment, runs, preset=preset, names=tables_of(experiment), effort=effort)
    else:
        found = collect(experiment, runs, effort=effort)
    facts = {
        "experiment": experiment.name,
        "preset": preset,
        "threads_per_run": 1,
        "runs": [(known.get(run.key) or _facts(run)) | {"variant": run.variant} for run in runs],
    }
    key = digest([[run.variant, run.key] for run in runs])
    results.write(folder, key, tables=found, facts=facts)
    return folder


def _facts(planned: PlannedRun) -> dict[str, Any]:
    """Return what a manifest says of a run."""
    facts: dict[str, Any] = {"run": planned.key, "variant": planned.variant}
    facts |= {"seed": planned.config.seed, "episodes": planned.episodes}
    if not planned.baseline:
        spent = store.history(planned.config, planned.episodes)[list(TIMINGS)]
        facts["seconds_of_training"] = round(float(spent.to_numpy().sum()), 1)
    facts |= store.made_by(planned.config) | {"sha256": config_key(planned.config)}
    return facts | {"config": planned.config.json_values()}


def tables(
    name: str,
    preset: str,
    seeds: int | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    values: Mapping[str, Sequence[float]] | None = None,
    effort: Effort = LOCALLY,
    names: Sequence[str] | None = None,
) -> list[pd.DataFrame]:
    """Return an experiment's tables: rows that are committed, the others made or from the store.

    Args:
        name: of the experiment or the figure.
        seeds: how many; see :func:`.committed.shown` if absent.
        changes: settings that differ from the preset's.
        values: other values of what is swept.
        names: of the tables; all if absent.
    """
    experiment = find(name)
    runs = committed.shown(experiment, preset, seeds, changes=changes, values=values)
    names = tables_of(experiment) if names is None else names
    return list(_merged(experiment, runs, preset=preset, names=names, effort=effort).values())


def _merged(
    experiment: Experiment,
    runs: Sequence[PlannedRun],
    *,
    preset: str,
    names: Sequence[str],
    effort: Effort,
) -> dict[str, pd.DataFrame]:
    """Return tables of committed rows, where there are any, and of rows made now."""
    known = {name: committed.rows_of(experiment, runs, preset, name=name) for name in names}
    have = set.intersection(
        *(set() if table is None else set(table["run"]) for table in known.values())
    )
    missing = [planned for planned in runs if planned.key not in have]
    made = collect(experiment, missing, effort=effort, names=names) if missing else {}
    order = {planned.key: position for position, planned in enumerate(runs)}
    found = {}
    for name, table in known.items():
        kept = None if table is None else table[table["run"].isin(have)]
        whole = pd.concat([kept, made.get(name)], ignore_index=True)
        positions = whole["run"].map(order)
        found[name] = whole.iloc[positions.argsort(kind="stable")].reset_index(drop=True)
    return found


def data(name: str, preset: str = "quick", *others: Any, **more: Any) -> pd.DataFrame:
    """Return only an experiment's first table, its data; see :func:`tables`."""
    return tables(name, preset, *others, names=(DATA,), **more)[0]


def run_means(
    name: str, preset: str, *others: Any, who: Sequence[str], **more: Any
) -> pd.DataFrame:
    """Return an experiment's runs on held-out worlds; see :func:`per_run` and :func:`tables`."""
    worlds, users = tables(name, preset, *others, names=(EVALUATION, USERS), **more)
    return per_run(worlds, users, who)


def per_run(worlds: pd.DataFrame, users: pd.DataFrame, who: Sequence[str]) -> pd.DataFrame:
    """Return each run's means over worlds, and its worst user's failures.

    Args:
        worlds: results by held-out world.
        users: results by user there.
        who: columns that tell runs apart.

    Returns:
        One row per run; ``failure_ratio_slots_user_max`` is the largest of a user over all worlds.
    """
    runs = worlds.groupby(list(who), sort=False).mean(numeric_only=True)
    worst = users.groupby(list(who))["failure_ratio_slots"].max()
    return runs.assign(failure_ratio_slots_user_max=worst)
