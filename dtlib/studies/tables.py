"""What is committed under a name: runs of an experiment, or a table that is of no runs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dtlib.experiments import datasets, grids
from dtlib.experiments import verify as verification
from dtlib.experiments.experiment import Experiment
from dtlib.experiments.runner import Effort
from dtlib.runtime.errors import ConfigError
from dtlib.studies import corrected, demand, effect_of_m, mechanisms, readings, references
from dtlib.studies.measured_table import MeasuredTable

MEASURED = {
    study.TABLE.name: study.TABLE
    for study in (readings, references, mechanisms, effect_of_m, demand, corrected)
}
"""The second kind, by name."""


def find(name: str) -> Experiment | MeasuredTable:
    """Return the table of no runs of that name, or else the experiment as in :func:`.grids.find`.

    Raises:
        ConfigError: there is neither.
    """
    return MEASURED.get(name) or grids.find(name, beside=MEASURED)


def find_all(names: Sequence[str]) -> list[Experiment | MeasuredTable]:
    """Return what :func:`find` does of each name, each once: some have several names."""
    return list({one.name: one for one in map(find, names)}.values())


def write(
    one: Experiment | MeasuredTable,
    preset: str,
    seeds: int | None,
    *,
    effort: Effort,
    keep: bool = False,
    finished: bool = False,
) -> Path:
    """Make and write what is committed; return its folder.

    What is not told here is as for :func:`.datasets.write_experiment`.

    Raises:
        ConfigError: a table of no runs is asked for some of its runs.
    """
    if not isinstance(one, MeasuredTable):
        return datasets.write_experiment(
            one, preset, seeds, effort=effort, keep=keep, finished=finished
        )
    for option, given in (("seeds", seeds is not None), ("keep", keep), ("finished", finished)):
        if given:
            raise ConfigError(
                f"--{option}: {one.name} is a table of no runs, and is made as a whole"
            )
    return one.write(preset, effort.jobs, effort.progress)


def verify(
    one: Experiment | MeasuredTable, preset: str, *, count: int, effort: Effort
) -> pd.DataFrame:
    """Make what is committed again, in so many runs or parts; see either's ``verify``."""
    if isinstance(one, MeasuredTable):
        return one.verify(preset, count=count, jobs=effort.jobs)
    return verification.verify(one, preset, count=count, effort=effort)
