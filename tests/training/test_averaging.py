"""The mean of weights: by hand, through kills, side by side, and nothing else changed by it."""

import json

import pytest
import torch

from dtlib import TrainConfig, evaluate, load_run, train
from dtlib.experiments.keys import config_key
from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.runtime.errors import FileError
from dtlib.training.averaging import Average
from dtlib.training.run_folder import CHECKPOINT
from dtlib.training.train import train_together

TINY = TrainConfig.from_preset(
    "smoke", episodes=5, worlds=1, updates_per_frame=1,
    env={"num_users": 4, "num_bs": 2, "frames": 2},
)  # fmt: skip
AVERAGED = TINY.replace(averaged=0.5)


def weights(policies):
    return {kind: stack.flat.clone() for kind, stack in policies.stacks.items()}


@pytest.mark.parametrize("algorithm", ["beta-happo", "maddpg"])
def test_the_mean_of_the_last_episodes(tmp_path, algorithm):
    """Three of five: a half, rounded up. Until there is a mean, a run has its latest weights."""
    config, after = AVERAGED.replace(algorithm=algorithm), []
    for episodes in range(1, 6):
        run = train(config, tmp_path / "averaged", episodes=episodes)
        plain = train(TINY.replace(algorithm=algorithm), tmp_path / "plain", episodes=episodes)
        after.append(weights(plain.policies))
        first = max(0, 2 if episodes > 2 else episodes - 1)
        for kind, found in weights(run.policies).items():
            mean = torch.stack([latest[kind] for latest in after[first:]]).mean(0)
            torch.testing.assert_close(found, mean, rtol=1e-5, atol=1e-7)
    whole, again = train(config), load_run(tmp_path / "averaged")
    for kind, found in weights(whole.policies).items():
        assert torch.equal(found, weights(again.policies)[kind]), "killed and resumed: same bits"
        assert not torch.equal(found, after[-1][kind])
    without = load_checkpoint(tmp_path / "plain" / CHECKPOINT)[0]
    learnt = load_checkpoint(tmp_path / "averaged" / CHECKPOINT)[0]
    assert all(torch.equal(learnt[name], array) for name, array in without.items())
    assert not evaluate(whole, worlds=1).worlds.equals(evaluate(plain, worlds=1).worlds)


def test_runs_side_by_side_have_a_mean_each(tmp_path):
    configs = [AVERAGED, AVERAGED.replace(env={"request_prob": 0.3})]
    together = train_together(configs, [tmp_path / "a", tmp_path / "b"])
    for run, config in zip(together, configs, strict=True):
        alone = weights(train(config).policies)
        for kind, found in weights(run.policies).items():
            torch.testing.assert_close(found, alone[kind], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("averaged, first", [(0.0, 300), (0.2, 240), (0.001, 299), (1.0, 0)])
def test_where_the_mean_begins(averaged, first):
    assert Average(TINY.replace(episodes=300, averaged=averaged)).first == first


HARM = {
    "is missing or not expected": lambda arrays: arrays.pop("average.users"),
    "is torch.float32 .*must be": lambda arrays: arrays.update(
        {"average.users": arrays["average.users"][:, :1]}
    ),
}


@pytest.mark.parametrize("message", HARM)
def test_a_checkpoint_without_its_mean(tmp_path, message):
    train(AVERAGED, tmp_path)
    arrays, rest = load_checkpoint(tmp_path / CHECKPOINT)
    HARM[message](arrays)
    save_checkpoint(tmp_path / CHECKPOINT, arrays, rest)
    with pytest.raises(FileError, match=f"array 'average.users' {message}"):
        load_run(tmp_path)


def test_a_younger_field_leaves_keys_as_they_were():
    """Committed rows are found by keys that were made before the field was there."""
    assert "averaged" not in json.loads(TINY.canonical_json())
    assert TrainConfig.model_fields["averaged"].default == TrainConfig.younger()["averaged"]
    assert config_key(AVERAGED) != config_key(TINY) == config_key(TINY.replace(averaged=0))
    assert TrainConfig.from_dict(json.loads(TINY.canonical_json())) == TINY
    assert TrainConfig.from_dict(json.loads(AVERAGED.canonical_json())) == AVERAGED
