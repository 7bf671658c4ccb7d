"""A small experiment whose runs and tables are there, to be harmed."""

import shutil
from dataclasses import replace

import pytest
from tiny import ONE

from dtlib.experiments import datasets, grids, provenance, results, store
from dtlib.experiments.runner import Effort
from dtlib.runtime import paths
from dtlib.training import evaluation

CURVE = replace(ONE, name="curve", axes={}, seeds={"smoke": 2})
ALONE = Effort(jobs=1)


@pytest.fixture(scope="module", autouse=True)
def known():
    """A commit, and worlds of few frames: what is harmed is measured anew in nearly every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(grids.EXPERIMENTS, "curve", CURVE)
        patch.setattr(provenance, "_commit", lambda: "abc")
        patch.setattr(evaluation, "EVALUATION_FRAMES", 5)
        yield


@pytest.fixture(scope="module")
def made(known, tmp_path_factory):
    """A store and the results of two runs."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DTLIB_STORE", str(place / "store"))
        patch.setattr(paths, "results", lambda: place / "results")
        datasets.write_experiment(CURVE, "smoke", effort=ALONE)
    return place


@pytest.fixture(name="drawn")
def copied(made, tmp_path):
    """A copy of them below the test's folder; gives the bytes of the tables."""
    for name in ("store", "results"):
        shutil.copytree(made / name, tmp_path / name)
    return tables()


def tables():
    folder = results.folder_of("smoke", "curve")
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def folders():
    return [store.folder(planned.config) for planned in CURVE.runs("smoke")]


def again(**more):
    datasets.write_experiment(CURVE, "smoke", effort=ALONE, **more)
    return tables()
