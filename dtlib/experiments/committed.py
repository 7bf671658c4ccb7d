"""Which runs of an experiment are committed, and their rows: what is read without any work."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from dtlib.experiments import results
from dtlib.experiments.experiment import Experiment, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.results import DATA
from dtlib.runtime.errors import ConfigError

FULLEST = ("companion", "quick")
"""Presets with which learners learn, the one with more runs first."""
EVALUATION, USERS, TUNING = "evaluation.csv", "users.csv", "tuning.csv"
"""Results by held-out world; by user there; by user on tuning worlds. Not of sweeps."""


def tables_of(experiment: Experiment) -> tuple[str, ...]:
    """Return the names of an experiment's tables."""
    if experiment.axes or experiment.target:
        return (DATA,)
    return (DATA, TUNING) if experiment.chooses else (DATA, EVALUATION, USERS, TUNING)


def runs_of(experiment: Experiment, preset: str, **what: Any) -> list[PlannedRun]:
    """Return the runs of a preset whose rows are committed, of whatever seeds and version.

    What is changed or swept otherwise is as for :meth:`.Experiment.runs`.
    """
    manifest = results.manifest(results.folder_of(preset, experiment.name))
    known = {run["run"]: run["seed"] for run in manifest.get("runs", ())}
    runs = experiment.runs(preset, 1 + max(known.values(), default=0), **what)
    runs = [replace(planned, version=results.older(manifest)) for planned in runs]
    return [planned for planned in runs if planned.key in known]


def shown(
    experiment: Experiment, preset: str, seeds: int | None = None, **what: Any
) -> list[PlannedRun]:
    """Return the runs that are shown: those asked for, of an older version if all of it is there.

    Where no number of seeds is asked for and every variant and point has a committed run, these are
    the committed ones, even if some have more seeds than others. Baselines that are not committed
    are left out, so that a new one leaves older results as they are.
    """
    runs = experiment.runs(preset, seeds, **what)
    known = runs_of(experiment, preset, **what)
    if seeds is None:
        return known if {run.spot for run in learnt(runs)} <= {run.spot for run in known} else runs
    wanted = {(planned.spot, planned.config.seed) for planned in runs}
    there = [planned for planned in known if (planned.spot, planned.config.seed) in wanted]
    return there if len(learnt(there)) == len(learnt(runs)) else runs


def learnt(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return the runs that are no baselines."""
    return [planned for planned in runs if not planned.baseline]


def rows_of(
    experiment: Experiment, runs: Sequence[PlannedRun], preset: str, *, name: str = DATA
) -> pd.DataFrame | None:
    """Return the committed rows of these runs, of those that there are; None without any.

    Variants have the names that they have now, whatever they were called when a row was made.

    Raises:
        FileError: the table does not have the checksum that its manifest states.
    """
    table = results.table(preset, experiment.name, name)
    if table is None or "run" not in table:
        return None
    names = {planned.key: planned.variant for planned in runs}
    found = table[table["run"].isin(names)]
    found = found.assign(variant=found["run"].map(names))
    return found.reset_index(drop=True) if len(found) else None


def fullest(name: str, *presets: str) -> pd.DataFrame:
    """Return an experiment's committed data from the first of these presets that has any.

    Of ``FULLEST``, if none is named.

    Raises:
        ConfigError: none has.
        FileError: the table does not have the checksum that its manifest states.
    """
    for preset in (presets := presets or FULLEST):
        if (table := results.table(preset, find(name).name)) is not None:
            return table
    raise ConfigError(f"{name}: no rows are committed for {' or '.join(presets)}")
