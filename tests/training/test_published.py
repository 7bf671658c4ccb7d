"""A policy that is passed on: acts as the run does, is checked as it is read, trains no further."""

import pytest
import torch

from dtlib import TrainConfig, evaluate, load_run, sample_world, train
from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.runtime.errors import FileError
from dtlib.training.published import POLICY
from dtlib.training.run_folder import CHECKPOINT, CONFIG, publish

SMALL = {"episodes": 1, "worlds": 1, "env": {"num_users": 4, "num_bs": 2, "frames": 4}}


@pytest.mark.parametrize("changes", [{}, {"algorithm": "maddpg"}, {"averaged": 1.0}])
def test_acts_as_the_run_does(tmp_path, changes):
    run = train(TrainConfig.from_preset("smoke", **SMALL, **changes))
    publish(tmp_path, run)
    loaded = load_run(tmp_path)
    assert loaded.config == run.config and loaded.history.empty
    world = sample_world(run.config.env, 5)
    first, second = (vars(each.policies.act(world)) for each in (run, loaded))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert evaluate(loaded, worlds=1).worlds.equals(evaluate(run, worlds=1).worlds)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, POLICY]


def test_cannot_be_trained_further(tmp_path):
    config = TrainConfig.from_preset("smoke", **SMALL)
    publish(tmp_path, train(config))
    with pytest.raises(FileError, match="holds a policy to use, not to train further"):
        train(config, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_is_checked(tmp_path):
    for seed in (0, 1):
        publish(tmp_path / str(seed), train(TrainConfig.from_preset("smoke", seed=seed, **SMALL)))
    path = tmp_path / "0" / POLICY
    arrays, rest = load_checkpoint(path)
    (tmp_path / "1" / POLICY).replace(path)
    with pytest.raises(FileError, match="its settings are not those of the file beside it"):
        load_run(tmp_path / "0")
    save_checkpoint(path, arrays | {"users": arrays["users"][:, 1:]}, rest)
    with pytest.raises(FileError, match=r"array 'users' is .*: must be"):
        load_run(tmp_path / "0")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FileError, match="not a readable checkpoint"):
        load_run(tmp_path / "0")


def test_the_same_policy_is_not_written_again(tmp_path):
    first, other = (train(TrainConfig.from_preset("smoke", seed=s, **SMALL)) for s in (0, 1))
    publish(tmp_path, first)
    before = (tmp_path / POLICY).stat().st_ino
    publish(tmp_path, first)
    assert (tmp_path / POLICY).stat().st_ino == before
    arrays, rest = load_checkpoint(tmp_path / POLICY)
    rest["config"].pop("averaged")  # as earlier versions wrote it
    save_checkpoint(tmp_path / POLICY, arrays, rest)
    before = (tmp_path / POLICY).stat().st_ino
    publish(tmp_path, first)
    assert (tmp_path / POLICY).stat().st_ino == before and load_run(tmp_path).config == first.config
    (tmp_path / POLICY).write_bytes(b"damaged")
    publish(tmp_path, first)
    assert load_run(tmp_path).config == first.config
    publish(tmp_path, other)
    assert load_run(tmp_path).config == other.config
