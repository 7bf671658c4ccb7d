"""Progress: how much of the work is done, while runs grow and when they have ended."""

import pytest
from tiny import ONE, SWEEP, own_folders  # noqa: F401

from dtlib.experiments import progress, runner, store
from dtlib.experiments.runner import Effort


def test_progress_tells_how_much_of_the_work_is_done():
    runs = [*ONE.runs("smoke"), *SWEEP.runs("smoke")[-2:]]
    growing = progress.Progress(runs)
    assert growing.percent() == 0
    store.get(runs[0].config, 1)
    training, measuring = progress.training_cost(runs[0]), progress.measuring_cost(runs[0])
    whole = sum(map(progress.cost, runs))
    assert growing.percent() == pytest.approx(100 * training / 2 / whole)
    store.get(runs[0].config)
    assert growing.percent() == pytest.approx(100 * training / whole) and measuring > 0
    runner.finish(runs, Effort(jobs=1))
    assert growing.percent() == pytest.approx(100)


def test_a_bar_ends_full_and_only_if_it_is_asked_for(capsys):
    runs = ONE.runs("smoke")
    with progress.bar(runs, show=False):
        pass
    assert not capsys.readouterr().err
    runner.finish(runs, Effort(jobs=1, progress=True))
    assert "2 runs: 100%" in capsys.readouterr().err
