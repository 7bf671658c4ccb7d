"""Committed rows made again: the same runs, from nothing, compared byte for byte."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pandas as pd

from dtlib.experiments import committed, datasets, results
from dtlib.experiments.experiment import Experiment, PlannedRun
from dtlib.experiments.progress import cost
from dtlib.experiments.runner import LOCALLY, Effort
from dtlib.runtime.errors import ConfigError
from dtlib.settings.base import RESULTS_VERSION


def verify(
    experiment: Experiment, preset: str, *, count: int = 1, effort: Effort = LOCALLY
) -> pd.DataFrame:
    """Make some of an experiment's committed runs again and compare their rows.

    Args:
        count: how many runs, see :func:`chosen`; all if 0.

    Returns:
        A row per run, with ``figure``, ``variant``, ``seed``, ``rows`` compared, and ``differs``:
        the first table and column with another text, empty if every byte is the same.

    Raises:
        ConfigError: no run of the preset is committed, or what is committed is of older code.
        FileError: a table does not have the checksum that its manifest states.
    """
    runs = chosen(committed.runs_of(experiment, preset), count)
    if not runs:
        results.table(preset, experiment.name)  # told if damaged
        raise ConfigError(f"{experiment.name}: no run of preset {preset!r} is committed")
    check_version(experiment.name, preset)
    names = committed.tables_of(experiment)
    known = {name: committed.rows_of(experiment, runs, preset, name=name) for name in names}
    with empty_store():
        made = datasets.collect(experiment, runs, effort=effort, names=names)
    made = {name: results.as_committed(table) for name, table in made.items()}
    rows = [_compared(planned, known, made) for planned in runs]
    return pd.DataFrame([{"figure": experiment.name} | row for row in rows])


def check_version(name: str, preset: str) -> None:
    """Refuse tables that are committed, but that the code would not give any more.

    Raises:
        ConfigError: they are of another version of the results.
    """
    version = results.older(results.manifest(results.folder_of(preset, name)))
    if version:
        raise ConfigError(
            f"{name}: what is committed is of results version {version}, the code gives version "
            f"{RESULTS_VERSION}; `dtlib figure {name} --preset {preset}` makes it anew"
        )


@contextmanager
def empty_store() -> Iterator[None]:
    """Have what is trained inside begin from nothing, and leave nothing."""
    with (
        TemporaryDirectory(prefix="dtlib-verify-") as empty,
        patch.dict(os.environ, {"DTLIB_STORE": empty}),
    ):
        yield


def chosen(runs: Sequence[PlannedRun], count: int) -> list[PlannedRun]:
    """Return so many runs: each algorithm's cheapest, learners first, then each one's second."""
    before: dict[str, int] = {}
    ranked = []
    for planned in sorted(runs, key=cost):
        rank = before[planned.algorithm] = before.get(planned.algorithm, -1) + 1
        ranked.append((rank, bool(planned.baseline), planned))
    ranked.sort(key=lambda entry: entry[:2])  # stable: of equal ranks, by cost
    return [planned for *_, planned in ranked[: count or None]]


def _compared(
    planned: PlannedRun, known: Mapping[str, pd.DataFrame | None], made: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """Return one run's row of :func:`verify`, given what is committed and what is made of all."""
    parts = {name: (_of(known[name], planned), _of(made[name], planned)) for name in made}
    said = (f"{name}: {found}" for name, pair in parts.items() if (found := differs(*pair)))
    return {
        "variant": planned.variant,
        "seed": planned.config.seed,
        "rows": sum(len(kept) for kept, _ in parts.values()),
        "differs": next(said, ""),
    }


def _of(table: pd.DataFrame | None, planned: PlannedRun) -> pd.DataFrame:
    """Return one run's rows."""
    assert table is not None
    return table[table["run"] == planned.key].reset_index(drop=True)


def differs(kept: pd.DataFrame, made: pd.DataFrame) -> str:
    """Return the first column in which two tables of one index differ, and where; or nothing."""
    others = [name for name in kept if name not in made and kept[name].isna().all()]
    kept = kept.drop(columns=others)  # of algorithms that were not made again
    if list(kept.columns) != list(made.columns):
        return "other columns"
    if len(kept) != len(made):
        return f"{len(made)} rows, not {len(kept)}"
    same = (kept == made) | (kept.isna() & made.isna())
    for column in kept.columns[~same.all()]:
        row = int((~same[column]).to_numpy().argmax())
        numbers = made[column].iloc[row], kept[column].iloc[row]
        return "{} is {}, not {} (row {})".format(column, *numbers, kept.index[row])
    return ""
