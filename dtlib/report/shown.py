"""What a figure's page shows: the runs asked for, and their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from dtlib.experiments import committed, datasets, grids, results
from dtlib.experiments.committed import EVALUATION, USERS
from dtlib.experiments.experiment import LEARNERS, OWN, Experiment, PlannedRun
from dtlib.experiments.runner import Effort
from dtlib.settings.env import EnvConfig
from dtlib.verdicts.quantities import by_point


@dataclass(frozen=True)
class Shown:
    """An experiment's runs with one preset, and what was measured."""

    experiment: Experiment
    preset: str
    runs: Sequence[PlannedRun]
    _: KW_ONLY
    data: pd.DataFrame
    """What is drawn: learning curves, or a row per run of a sweep."""
    measured: pd.DataFrame
    """A row per run: ``algorithm``, ``seed``, ``x`` of a sweep, and metrics on held-out worlds."""
    jobs: int

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What the manifest says of those of these runs that are committed, by their keys."""
        known = results.runs(self.preset, self.experiment.name)
        return {run.key: known[run.key] for run in self.runs if run.key in known}

    @property
    def learners(self) -> list[str]:
        """The learners with rows, in the paper's order."""
        return [name for name in LEARNERS if (self.data["algorithm"] == name).any()]

    @property
    def env(self) -> EnvConfig:
        """The network of the first run."""
        return self.runs[0].config.env

    def points(self, metric: str, algorithm: str = OWN) -> pd.Series:
        """Return an algorithm's medians over seeds on held-out worlds, by what is swept."""
        return by_point(self.measured, algorithm)[metric].median()

    def by_seed(self, metric: str) -> pd.DataFrame:
        """Return a metric on held-out worlds, a row per seed and a column per algorithm."""
        return self.measured.pivot_table(metric, "seed", "algorithm")

    def env_at(self, x: float) -> EnvConfig:
        """Return the network of the first run at a point of a sweep."""
        return next(run.config.env for run in self.runs if next(iter(run.at.values())) == x)


def training_hours(name: str, preset: str) -> dict[str, list[float]]:
    """Return the hours that each learner's committed runs would take for all their episodes.

    Of runs that stop sooner they are those of an episode so far, times all episodes.
    """
    experiment = grids.find(name)
    facts = results.runs(preset, experiment.name)
    found: dict[str, list[float]] = {}
    for run in committed.learnt(committed.runs_of(experiment, preset)):
        hours = facts[run.key]["seconds_of_training"] / 3600 * run.config.episodes / run.episodes
        found.setdefault(run.algorithm, []).append(hours)
    return found


def load(
    name: str,
    preset: str,
    *,
    seeds: int = 0,
    values: Sequence[float] = (),
    settings: Mapping[str, Any] | None = None,
    jobs: int = 2,
) -> Shown:
    """Return what a figure's page shows; runs that are not committed are made or from the store.

    Args:
        seeds: seeds 0 … seeds−1; those that are committed if 0.
        values: of what is swept, of the first axis; the preset's if empty.
        settings: other settings of the network.

    Raises:
        ConfigError: unknown figure, preset or setting, or values where nothing is swept.
    """
    experiment = grids.find(name)
    what: dict[str, Any] = {"changes": {"env": dict(settings or {})}}
    if values:
        what["values"] = {next(iter(experiment.axes), "values"): list(values)}
    runs = committed.shown(experiment, preset, seeds or None, **what)
    found = datasets.tables(name, preset, seeds or None, **what, effort=Effort(jobs))
    tables = dict(zip(committed.tables_of(experiment), found, strict=True))
    data = measured = tables[results.DATA]
    if not experiment.axes:
        who = ["algorithm", "seed"]
        measured = datasets.per_run(tables[EVALUATION], tables[USERS], who).reset_index()
    return Shown(experiment, preset, runs, data=data, measured=measured, jobs=jobs)
