"""What is measured of a planned run: on which worlds, on how many, and only once."""

from dataclasses import replace

from tiny import TINY, own_folders  # noqa: F401

from dtlib.experiments import measurements
from dtlib.experiments.experiment import PlannedRun
from dtlib.training import calibration
from dtlib.training.calibration import Target


def test_worlds_of_a_stream():
    run = PlannedRun("one", TINY, 1)
    for worlds, tuning in ((20, 10), (5, 5), (2, 2)):
        found = [replace(run, worlds=worlds).worlds_of(one) for one in ("held-out", "tuning")]
        assert found == [worlds, tuning]


def test_a_run_is_calibrated_on_tuning_worlds_and_told_of_held_out_ones(monkeypatch):
    target, told = Target(0.3), []
    planned = PlannedRun("one", TINY, 1, worlds=2, target=target, streams=("calibrated",))
    monkeypatch.setattr(calibration, "evaluation_env", lambda env: env)
    real = calibration.operate

    def noted(run, asked, **how):
        told.append((how["stream"], how["worlds"], asked is target))
        return real(run, asked, **how)

    monkeypatch.setattr(calibration, "operate", noted)
    monkeypatch.setattr(measurements, "operate", noted)
    row = measurements.calibrated(planned, target)
    assert told == [("tuning", 2, True)] * calibration.BISECTIONS + [("held-out", 2, True)]
    again = measurements.calibrated(planned, target)
    assert row.round(6).equals(again.round(6)) and len(told) == calibration.BISECTIONS + 1
