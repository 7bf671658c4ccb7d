"""Runners: several processes, killed and restarted, damaged files, the bar, the status."""

import math
import os
from dataclasses import replace

import pandas as pd
import pytest
from processes import kill_when, start
from tiny import CURVES, ONE, SMALL, SWEEP, own_folders, trained  # noqa: F401

from dtlib import ConfigError
from dtlib.experiments import (
    datasets,
    grids,
    measurements,
    progress,
    results,
    runner,
    status,
    store,
)
from dtlib.experiments.places import locked
from dtlib.experiments.runner import Effort
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.training import evaluation


def test_parallel_runs_equal_serial_ones(tmp_path, monkeypatch):
    runs = ONE.runs("smoke", 2)
    two = datasets.collect(ONE, runs, effort=Effort(jobs=2))["data.csv"]
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "another"))
    one = datasets.collect(ONE, runs, effort=Effort(jobs=1))["data.csv"]
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize("jobs", [0, None, "2", True])
def test_numbers_of_processes_that_are_none(jobs):
    with pytest.raises(ConfigError, match="^jobs = .*: must be "):
        runner.finish(ONE.runs("smoke"), Effort(jobs=jobs))


def test_the_longest_runs_come_first():
    """What is long and begins last would leave the other process idle at the end."""
    figures = [
        experiment for experiment in grids.EXPERIMENTS.values() if "companion" in experiment.seeds
    ]
    runs = [run for figure in figures for run in figure.runs("companion")]
    tasks = runner._one_by_one(runs)
    assert sorted(run.key for task in tasks for (run,) in task) == sorted(run.key for run in runs)
    most = [max(progress.cost(run) for (run,) in task) for task in tasks]
    assert most == sorted(most, reverse=True) and most[0] > 10 * most[-1]
    first = tasks[0][0][0].config
    assert (first.algorithm, first.episodes) == ("maddpg", 300)
    assert runs[0].config != first, "not in the order of the figures"


def test_batches_of_a_gpu_are_bounded_and_have_every_run_once():
    runs = [*ONE.runs("smoke", 40), *CURVES.runs("smoke"), *SWEEP.runs("smoke")]
    batches = [batch for task in runner._side_by_side([*runs, runs[0]]) for batch in task]
    found = [run for batch in batches for run in batch]
    assert sorted(run.key for run in found) == sorted(run.key for run in [*runs, runs[0]])
    sizes = [len({run.config for run in batch}) for batch in batches]
    assert max(sizes) == runner.TOGETHER and sizes.count(runner.TOGETHER) == 2
    for batch in batches:
        assert len({(run.episodes, run.config.algorithm) for run in batch}) == 1
        assert len(batch) == 1 or not any(run.baseline for run in batch)
    shares = [batch[0].episodes for batch in batches]
    assert shares == sorted(shares)


def test_experiments_that_take_shares_of_one_run_train_it_once():
    share = grids.Experiment(
        "share", "", {"beta": SMALL}, seeds={"smoke": 1}, episodes={"smoke": 1}
    )
    whole = grids.Experiment("whole", "", {"beta": SMALL}, seeds={"smoke": 1})
    both = [*whole.runs("smoke"), *share.runs("smoke")]
    for order in (both[::-1], both):
        (task,) = runner._one_by_one(order)
        assert [run.episodes for (run,) in task] == [1, 2]
    runner.finish(order, Effort(jobs=1))
    assert all(measurements.done(run) for run in order) and len(trained()) == 1
    assert not list(paths.store().rglob("first-*"))


LONGER = grids.Experiment(
    "longer", "", {"beta": SMALL | {"episodes": 25}}, seeds={"smoke": 2}, axes=SWEEP.axes
)


def work(place, results):
    """Be a runner of its own on a store that others may share; evaluate on short worlds."""
    evaluation.EVALUATION_FRAMES = 5
    os.environ["DTLIB_STORE"] = str(place / "store")
    paths.results = lambda: place / results
    datasets.write_experiment(LONGER, "smoke", effort=Effort(jobs=1))


def written(place, results):
    return (place / results / "smoke" / "longer" / "data.csv").read_bytes()


def rows_in(place):
    """How many rows the tables of a store have: those of runs grow with each episode."""
    tables = list((place / "store").rglob("*.csv"))
    return sum(table.read_bytes().count(b"\n") for table in tables if table.exists())


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """What a runner writes that nothing disturbs."""
    place = tmp_path_factory.mktemp("calm")
    process = start(work, place, "results")
    process.join()
    assert process.exitcode == 0
    return written(place, "results"), rows_in(place)


def test_killed_and_restarted_gives_the_same_bytes(calm, tmp_path):
    """Five times SIGKILL for two runners at once, each time when more has been done."""
    expected, rows = calm
    found_at_work = 0
    for share in (0.01, 0.2, 0.45, 0.7, 0.9):
        runners = [start(work, tmp_path, f"results{number}") for number in range(2)]
        reached = share * rows
        found_at_work += kill_when(lambda reached=reached: rows_in(tmp_path) >= reached, *runners)
    assert found_at_work
    process = start(work, tmp_path, "results")
    process.join()
    assert process.exitcode == 0 and written(tmp_path, "results") == expected


def test_two_runners_share_the_work(calm, tmp_path):
    processes = [start(work, tmp_path, f"results{number}") for number in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert {written(tmp_path, f"results{number}") for number in range(2)} == {calm[0]}
    assert not [path for path in (tmp_path / "store").rglob("*") if "damaged" in path.name]


def test_a_run_in_other_hands_is_left_to_them():
    (planned, *_) = ONE.runs("smoke")
    with locked([store.folder(planned.config)]):
        assert runner._work([[planned]], "cpu", str(paths.store()), False) == "busy"
    assert runner._work([[planned]], "cpu", str(paths.store()), False) == ""


def test_damaged_measurements_are_named_and_made_anew(capsys):
    table = datasets.collect(ONE, ONE.runs("smoke"))["data.csv"]
    files = sorted(paths.store().glob("*/*/*-worlds.csv"))
    files[0].write_text(files[0].read_text().replace("0.", "1.", 1))
    files[1].write_bytes(files[1].read_bytes()[:-20])
    again = datasets.collect(ONE, ONE.runs("smoke"))["data.csv"]
    pd.testing.assert_frame_equal(table, again)
    said = capsys.readouterr().err
    for file in files:
        assert f"{file}: damaged; kept as {file.name}.damaged0" in said
        assert file.with_name(f"{file.name}.damaged0").exists()


def test_status_tells_done_begun_missing_and_failed(monkeypatch):
    runs = ONE.runs("smoke", 2)

    def counts():
        row = status.status([ONE], "smoke", 2).iloc[0]
        return [row[name] for name in ("runs", "done", "begun", "missing", "failed", "in results")]

    assert counts() == [4, 0, 0, 4, 0, 0]
    store.get(runs[0].config, 1)
    assert counts() == [4, 0, 1, 3, 0, 0]

    def fails(run, **_):
        raise FileError(f"no room for seed {run.config.seed}")

    with monkeypatch.context() as patch:
        patch.setattr(measurements, "evaluate", fails)
        with pytest.raises(ConfigError, match="4 of 4 runs failed, the first with: FileError: no"):
            runner.finish(runs, Effort(jobs=1))
    assert counts() == [4, 0, 0, 0, 4, 0]
    lines = list(status.failed_runs([ONE], "smoke", 2))
    assert lines[1] == "one: beta at request_prob = 0.3, seed 1: FileError: no room for seed 1"
    datasets.write_experiment(ONE, "smoke", 2)
    assert counts() == [4, 4, 0, 0, 0, 4]


def test_runs_that_failed_are_counted_one_by_one():
    """Those of a batch all; shares of one run once."""
    runs = ONE.runs("smoke", 2)[:2]
    share = replace(runs[0], episodes=1)
    for work in ([[runs]], [[[share], [runs[0]]], [[runs[1]]]]):
        assert runner._runs(work) == 2


def test_an_error_is_gone_once_the_run_is_done(monkeypatch):
    monkeypatch.setattr(evaluation, "EVALUATION_FRAMES", 2)
    runs = ONE.runs("smoke", 1)[:1]

    def fails(*_, **__):
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(measurements, "evaluate", fails)
        with pytest.raises(ConfigError, match="1 of 1 runs failed"):
            runner.finish(runs, Effort(jobs=1))
    assert runner.failed(runs[0]) == "OSError: no room"
    runner.finish(runs, Effort(jobs=1))
    assert runner.failed(runs[0]) == "" and not list(paths.store().rglob("error.txt"))


def test_status_tells_of_older_runs(monkeypatch):
    made = [{"run": replace(run, version=5).key, "seed": 0} for run in ONE.runs("smoke")]
    known = {"results_version": 5, "runs": made}
    monkeypatch.setattr(results, "manifest", lambda folder: known)
    row = status.status([ONE], "smoke").iloc[0]
    assert (row["runs"], row["older"], row["in results"]) == (2, 2, 0)


def test_minutes_left_are_at_the_pace_of_the_algorithm(monkeypatch):
    monkeypatch.setattr(status, "_minutes_per_cost", lambda *_: {"": 1e-3, "beta-happo": 3e-3})
    left = status.status([ONE], "smoke").iloc[0]["minutes left"]
    expected = 3e-3 * sum(map(progress.left, ONE.runs("smoke")))
    assert left == pytest.approx(expected, abs=0.05) and left > 1


def test_status_tells_minutes_left_by_what_committed_runs_took(monkeypatch):
    def left():
        return status.status([ONE], "smoke", 2).iloc[0]["minutes left"]

    assert math.isnan(left()), "there is nothing to go by"
    datasets.write_experiment(ONE, "smoke", 1)
    known = results.manifest(results.folder_of("smoke", ONE.name))
    known["runs"] = [run | {"seconds_of_training": 600.0} for run in known["runs"]]
    with monkeypatch.context() as patch:
        patch.setattr(results, "manifest", lambda folder: known)
        run = ONE.runs("smoke")[0]
        whole = 10 * progress.cost(run) / progress.training_cost(run)
        assert left() == pytest.approx(2 * whole, abs=0.05)
    datasets.write_experiment(ONE, "smoke", 2)
    assert left() == 0
