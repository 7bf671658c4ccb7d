"""Tidy tables of experiments: rows that are committed, and rows made from the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments import results, runner, store
from dtlib.experiments.experiment import Experiment, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.runner import LOCALLY, Effort
from dtlib.runtime import paths
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.errors import ConfigError
from dtlib.training.loop import TIMINGS

DATA = "data.csv"
"""Learning curves, a row per run and episode; of a sweep, a row per run."""
MEASURED = ("evaluation.csv", "users.csv", "tuning.csv")
"""Results by held-out world; by user there; by user on tuning worlds. Not of sweeps."""


def tables_of(experiment: Experiment) -> tuple[str, ...]:
    """Return the names of an experiment's tables."""
    if experiment.axes or experiment.target:
        return (DATA,)
    return (DATA, "tuning.csv") if experiment.chooses else (DATA, *MEASURED)


def _labelled(table: pd.DataFrame, planned: PlannedRun, experiment: Experiment) -> pd.DataFrame:
    """Put in front of a run's table whose it is."""
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
    head |= {name: table[name] for name in ("x",) if name in table}
    rest = table.drop(columns=[name for name in head if name in table])
    return pd.concat([pd.DataFrame(head, index=table.index), rest], axis=1)


def _rows(planned: PlannedRun, experiment: Experiment, name: str) -> pd.DataFrame:
    """Return one run's rows of a table, from the store."""
    if planned.baseline:
        return _labelled(runner.baseline(planned), planned, experiment)
    if planned.target:
        found = store.calibrated(planned.config, planned.episodes, planned.target)
        return _labelled(found, planned, experiment)
    if name == DATA and not experiment.axes:
        history = store.history(planned.config, planned.episodes)
        history = history.drop(columns=["episode", *TIMINGS]).rename(columns={"slots": "x"})
        return _labelled(history, planned, experiment)
    stream = "tuning" if name == "tuning.csv" else "held-out"
    worlds = planned.worlds if stream == "held-out" else None
    found = store.evaluation(planned.config, planned.episodes, stream, worlds)
    if name == DATA:
        return _labelled(pd.DataFrame([found.summary()]), planned, experiment)
    return _labelled(found.worlds if name == "evaluation.csv" else found.users, planned, experiment)


def collect(
    experiment: Experiment, runs: Sequence[PlannedRun], effort: Effort = LOCALLY, names: Any = None
) -> dict[str, pd.DataFrame]:
    """Finish what the store lacks and return tidy tables by name.

    Args:
        experiment: whose runs they are.
        runs: see :meth:`Experiment.runs`.
        effort: where and how.
        names: of the tables; all if absent.
    """
    names = tables_of(experiment) if names is None else names
    only_curves = tuple(names) == (DATA,) and len(tables_of(experiment)) > 1
    runner.finish([replace(one, streams=()) for one in runs] if only_curves else runs, effort)
    return {
        name: pd.concat([_rows(one, experiment, name) for one in runs], ignore_index=True)
        for name in names
    }


def write(
    experiment: Experiment,
    preset: str,
    seeds: int | None = None,
    effort: Effort = LOCALLY,
    keep: bool = False,
    finished: bool = False,
) -> Path:
    """Run an experiment and write its tables and manifest to ``results/<preset>/<name>/``.

    Where the same runs gave the same tables before, nothing is touched.

    Args:
        experiment: which.
        preset: budget and size.
        seeds: how many; the preset's number if absent.
        effort: where and how.
        keep: take committed rows as they are, those of further seeds too, and run only what is
            missing.
        finished: run nothing, and write what the store has.
    """
    runs, place = experiment.runs(preset, seeds), paths.results() / preset / experiment.name
    known = {}
    if keep:
        known = {one["run"]: one for one in results.manifest(place).get("runs", ())}
        runs = [*runs, *kept(experiment, preset)]
        wanted, most = {one.key for one in runs}, 1 + max(one.config.seed for one in runs)
        runs = [one for one in experiment.runs(preset, most) if one.key in wanted]
    if finished:
        runs = [one for one in runs if one.key in known or runner.done(one)]
        if not runs:
            raise ConfigError(f"{experiment.name}: no run of preset {preset!r} is finished")
    names = tables_of(experiment)
    made = _merged(experiment, runs, preset, names, effort) if keep else None
    made = collect(experiment, runs, effort, names) if made is None else made
    facts = {
        "experiment": experiment.name,
        "preset": preset,
        "threads_per_run": 1,
        "device": resolve_device(effort.device).type,
        "runs": [
            (known.get(planned.key) or _facts(planned)) | {"variant": planned.variant}
            for planned in runs
        ],
    }
    results.write(place, key(runs), made, facts)
    return place


def _facts(planned: PlannedRun) -> dict[str, Any]:
    """Return what a manifest says of a run."""
    facts: dict[str, Any] = {"run": planned.key, "variant": planned.variant}
    facts |= {"seed": planned.config.seed, "episodes": planned.episodes}
    if not planned.baseline:
        spent = store.history(planned.config, planned.episodes)[list(TIMINGS)]
        facts["seconds_of_training"] = round(float(spent.to_numpy().sum()), 1)
    config = json.loads(planned.config.canonical_json())
    facts |= store.made_by(planned.config)
    return facts | {"sha256": store.key(planned.config), "config": config}


def key(runs: Sequence[PlannedRun]) -> str:
    """Return the sha256 of a list of runs: their variants, settings and version of the results."""
    return store.digest([[planned.variant, planned.key] for planned in runs])


def kept(
    experiment: Experiment,
    preset: str,
    changes: Mapping[str, Any] | None = None,
    values: Mapping[str, Sequence[float]] | None = None,
) -> list[PlannedRun]:
    """Return the runs of a preset whose rows are committed, of whatever seeds."""
    place = paths.results() / preset / experiment.name
    known = {one["run"]: one["seed"] for one in results.manifest(place).get("runs", ())}
    runs = experiment.runs(preset, 1 + max(known.values(), default=0), changes, values)
    return [planned for planned in runs if planned.key in known]


def chosen(
    experiment: Experiment,
    preset: str,
    seeds: int | None = None,
    changes: Mapping[str, Any] | None = None,
    values: Mapping[str, Sequence[float]] | None = None,
) -> list[PlannedRun]:
    """Return the runs that are shown: those asked for.

    Where no number of seeds is asked for and every variant and point has a committed run, these are
    the committed ones, even if some have more seeds than others.
    """
    runs = experiment.runs(preset, seeds, changes, values)
    if seeds is None:
        known = kept(experiment, preset, changes, values)
        if {one.spot for one in known} == {one.spot for one in runs}:
            return known
    return runs


def committed(
    experiment: Experiment, runs: Sequence[PlannedRun], preset: str, name: str = DATA
) -> pd.DataFrame | None:
    """Return the committed rows of these runs, of those that there are; None without any.

    Variants have the names that they have now, whatever they were called when a row was made.

    Raises:
        FileError: the table does not have the checksum that its manifest states.
    """
    table = results.read(paths.results() / preset / experiment.name, name)
    if table is None or "run" not in table:
        return None
    names = {planned.key: planned.variant for planned in runs}
    found = table[table["run"].isin(names)]
    found = found.assign(variant=found["run"].map(names))
    return found.reset_index(drop=True) if len(found) else None


def fullest(name: str, *presets: str) -> pd.DataFrame:
    """Return an experiment's committed data from the first of these presets that has any.

    Raises:
        ConfigError: none has.
        FileError: the table does not have the checksum that its manifest states.
    """
    place = paths.results()
    for preset in presets:
        if (table := results.read(place / preset / find(name).name, DATA)) is not None:
            return table
    raise ConfigError(f"{name}: no rows are committed for {' or '.join(presets)}")


def tables(
    name: str,
    preset: str,
    seeds: int | None = None,
    changes: Mapping[str, Any] | None = None,
    values: Mapping[str, Sequence[float]] | None = None,
    effort: Effort = LOCALLY,
    *,
    names: Sequence[str] | None = None,
) -> list[pd.DataFrame]:
    """Return an experiment's tables: rows that are committed, the others made or from the store.

    Args:
        name: of the experiment or the figure.
        preset: budget and size.
        seeds: how many; see :func:`chosen` if absent.
        changes: settings that differ from the preset's.
        values: other values of what is swept.
        effort: where and how runs that are missing are made.
        names: of the tables; all if absent.
    """
    experiment = find(name)
    runs = chosen(experiment, preset, seeds, changes, values)
    names = tables_of(experiment) if names is None else names
    return list(_merged(experiment, runs, preset, names, effort).values())


def _merged(
    experiment: Experiment,
    runs: Sequence[PlannedRun],
    preset: str,
    names: Sequence[str],
    effort: Effort,
) -> dict[str, pd.DataFrame]:
    """Return tables of committed rows, where there are any, and of rows made now."""
    known = [committed(experiment, runs, preset, table) for table in names]
    have = set.intersection(*(set() if one is None else set(one["run"]) for one in known))
    missing = [planned for planned in runs if planned.key not in have]
    made = collect(experiment, missing, effort, names) if missing else {}
    order = {planned.key: place for place, planned in enumerate(runs)}
    found = {}
    for table, one in zip(names, known, strict=True):
        parts = [] if one is None else [one[one["run"].isin(have)]]
        parts += [made[table]] if made else []
        whole = pd.concat(parts, ignore_index=True)
        place = whole["run"].map(order)
        found[table] = whole.iloc[place.argsort(kind="stable")].reset_index(drop=True)
    return found


def per_run(worlds: pd.DataFrame, users: pd.DataFrame, who: list[str]) -> pd.DataFrame:
    """Return each run's means over worlds, and its worst user's failures.

    Args:
        worlds: results by held-out world.
        users: results by user there.
        who: columns that tell runs apart.

    Returns:
        One row per run; ``failure_ratio_slots_user_max`` is the largest of a user over all worlds.
    """
    runs = worlds.groupby(who, sort=False).mean(numeric_only=True)
    worst = users.groupby(who)["failure_ratio_slots"].max()
    return runs.assign(failure_ratio_slots_user_max=worst)


def data(name: str, preset: str = "quick", *others: Any, **more: Any) -> pd.DataFrame:
    """Return only an experiment's first table, its data; see :func:`tables`."""
    return tables(name, preset, *others, names=(DATA,), **more)[0]
