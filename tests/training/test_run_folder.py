"""The folder of a run: read back equal; files that are damaged or not ours are refused."""

import json
import os

import pytest
import torch

from dtlib import TrainConfig, load_run, sample_world, train
from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.runtime.errors import FileError
from dtlib.training.run_folder import CHECKPOINT

TINY = TrainConfig.from_preset(
    "smoke", episodes=4, worlds=1, env={"num_users": 4, "num_bs": 2, "frames": 5}
)


def test_load(tmp_path):
    run, loaded = train(TINY, tmp_path), load_run(tmp_path)
    assert loaded.config == TINY
    world = sample_world(TINY.env, 5)
    assert torch.equal(run.policies.act(world).power, loaded.policies.act(world).power)


def test_folder_of_another_run(tmp_path):
    train(TINY.replace(episodes=1), tmp_path)
    with pytest.raises(FileError, match="holds a run with another seed: 0, not 3"):
        train(TINY.replace(episodes=1, seed=3), tmp_path)
    with pytest.raises(FileError, match=r"env\.num_users: 4, not 5"):
        train(TINY.replace(episodes=1, env={"num_users": 5}), tmp_path)


def test_foreign_folder(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FileError, match="is not empty and holds no run"):
        train(TINY, tmp_path)
    with pytest.raises(FileError, match="is a file"):
        train(TINY, tmp_path / "thesis.tex")
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(FileError, match=r"holds no run \(config.json is missing\)"):
        load_run(tmp_path)


def test_checkpoint_of_another_run(tmp_path):
    for seed in (0, 1):
        train(TINY.replace(seed=seed, episodes=1), tmp_path / str(seed))
    os.replace(tmp_path / "1" / CHECKPOINT, tmp_path / "0" / CHECKPOINT)
    with pytest.raises(FileError, match="its settings are not those"):
        load_run(tmp_path / "0")


@pytest.mark.parametrize("harm", ["missing", "shape"])
def test_checkpoint_with_wrong_arrays(tmp_path, harm):
    config = TINY.replace(episodes=1)
    train(config, tmp_path)
    arrays, rest = load_checkpoint(tmp_path / CHECKPOINT)
    name = "actors.stations.weight0"
    if harm == "missing":
        del arrays[name]
    else:
        arrays[name] = arrays[name][:1]
    save_checkpoint(tmp_path / CHECKPOINT, arrays, rest)
    with pytest.raises(FileError, match=name):
        load_run(tmp_path)


def test_settings_file_that_is_not_ours(tmp_path):
    train(TINY.replace(episodes=1), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["env"]["num_users"] = -3
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(FileError, match=r"not a run's settings \(env.num_users = -3: "):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(FileError, match="not a run's settings"):
        load_run(tmp_path)
