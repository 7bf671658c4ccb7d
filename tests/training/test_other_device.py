"""All that runs on a GPU, on a stand-in for one: nothing is left on the wrong device."""

from copy import deepcopy

import pytest
import torch
from other_device import Remote, cuda  # noqa: F401 (a fixture)

from dtlib import TrainConfig, evaluate, load_run, train
from dtlib.experiments import grids, measurements, runner, store
from dtlib.experiments.runner import Effort
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.seeds import seeded
from dtlib.training.loop import TIMINGS
from dtlib.training.train import train_together

ALGORITHMS = ("beta-happo", "gaussian-happo", "beta-mappo", "maddpg")


def told(run):
    """A run's history, but for how long it took."""
    return run.history.drop(columns=list(TIMINGS))


def test_the_stand_in_is_a_device_of_its_own(cuda):  # noqa: F811
    there, here = torch.ones(2, device=torch.device("cuda")), torch.ones(2)
    assert there.is_cuda and not here.is_cuda and resolve_device("auto").type == "cuda"
    assert torch.arange(2, device=there.device).is_cuda
    with pytest.raises(RuntimeError, match="same device"):
        there + here
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(2, device=there.device, generator=seeded("order", 0))
    assert torch.rand(2, generator=seeded("order", 0)).tolist() == pytest.approx(
        torch.rand(2, device=there.device, generator=seeded("order", 0, device="cuda")).tolist()
    )
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    assert (there + here.to(there)).cpu().numpy().tolist() == [2, 2]


def test_copies_of_many_arrays_are_those_of_each(cuda):  # noqa: F811
    arrays = [torch.full((size,), float(size), device="cuda") for size in range(1, 300)]
    copies = deepcopy(arrays)
    assert all(isinstance(one, Remote) for one in copies)
    assert [one.cpu().tolist() for one in copies] == [one.cpu().tolist() for one in arrays]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_run_there_is_the_cpus(algorithm, tmp_path, request):
    config = TrainConfig.from_preset("smoke", algorithm=algorithm)
    expected = told(train(config, device="cpu"))
    request.getfixturevalue("cuda")
    train(config, tmp_path, episodes=1)
    run = train(config, tmp_path)
    assert told(run).equals(expected)
    assert not isinstance(run.policies.users.flat, Remote), "held-out worlds are on the CPU"
    kept = load_run(tmp_path)
    assert kept.history.equals(run.history)
    assert evaluate(kept, worlds=1).summary() == evaluate(run, worlds=1).summary()


def test_runs_side_by_side_catch_up_there(tmp_path, request):
    configs = [TrainConfig.from_preset("smoke", seed=seed) for seed in (0, 1)]

    def caught_up(place):
        train(configs[0], place / "0", episodes=1)
        return list(map(told, train_together(configs, [place / "0", place / "1"])))

    here = caught_up(tmp_path / "here")
    request.getfixturevalue("cuda")
    for run, expected in zip(caught_up(tmp_path / "there"), here, strict=True):
        assert run.equals(expected)


def test_a_figures_runs_learn_as_one_batch(tmp_path, monkeypatch, cuda):  # noqa: F811
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path))
    runs = grids.find("fig04_06").runs("smoke", 2)
    runner.finish(runs, Effort(jobs=1))
    assert all(measurements.done(run) for run in runs)
    assert {store.made_by(run.config)["device"] for run in runs} == {"cuda"}
