"""Training and evaluation end with one line where numbers stop being finite; none is written."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from dtlib import ConfigError, TrainConfig, evaluate, evaluate_policy, train
from dtlib.baselines.rules import EqualPower, Reference
from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.training.finite import check_finite
from dtlib.training.loop import Trainer
from dtlib.training.run_folder import CHECKPOINT, load_run

ENDLESS = {
    "gaussian, delays to the letter": ("gaussian-happo", "section-v", {"centre_delay": "letter"}),
    "maddpg, delays to the letter": ("maddpg", "section-v", {"centre_delay": "letter"}),
    "eta": ("beta-happo", "section-v", {"control_factor": 1e30}),
    "nu": ("beta-happo", "section-v", {"reward_scale": 1e30}),
    "noise": ("beta-mappo", "section-v", {"noise_w": 1e30}),
    "path loss": ("gaussian-happo", "section-v", {"path_loss_exponent": 15.0}),
    "maddpg's eta": ("maddpg", "section-v", {"control_factor": 1e30}),
}


@pytest.mark.parametrize(("algorithm", "network", "env"), ENDLESS.values(), ids=ENDLESS)
def test_numbers_without_end_end_the_run(algorithm, network, env, tmp_path):
    config = TrainConfig.from_preset("smoke", network, algorithm=algorithm, env=env)
    with pytest.raises(ConfigError, match=r"^episode \d: [a-z_0-9.]+ = (nan|-?inf): is not fin"):
        train(config, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_what_nobody_could_hear_fails_and_does_not_end_the_run():
    """The power against such noise is beyond float32, and silence is zero of it."""
    env = {"noise_w": 1e30}
    run = train(TrainConfig.from_preset("smoke", "work-conserving", episodes=1, env=env))
    assert (run.history["failure_ratio_requests"] == 1).all()


def test_what_was_saved_before_stays(tmp_path, monkeypatch):
    config = TrainConfig.from_preset("smoke")
    train(config, tmp_path, episodes=1)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    episode = Trainer.episode

    def spoilt(trainer):
        trainer.learner.policies[0].users.flat[0, 0] = math.nan
        return episode(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "episode", spoilt)
        with pytest.raises(ConfigError, match="^episode 1: "):
            train(config, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert len(train(config, tmp_path).history) == config.episodes
    assert len(load_run(tmp_path).history) == config.episodes


@pytest.mark.parametrize("algorithm", ["beta-mappo", "maddpg"])
def test_undefined_diagnostics_are_no_end(algorithm):
    """Nothing is handed on in MAPPO; nothing varies where nobody ever sends."""
    run = train(TrainConfig.from_preset("smoke", algorithm=algorithm), episodes=1)
    assert len(run.history) == 1


def test_the_first_array_that_is_not_finite_is_named():
    arrays = {"count": torch.tensor(3), "a": torch.zeros(2), "b": torch.tensor([1.0, -math.inf])}
    check_finite("episode 7", {"reward": 0.0}, {name: arrays[name] for name in ("count", "a")})
    with pytest.raises(ConfigError, match="^episode 7: b = -inf: "):
        check_finite("episode 7", {"reward": 0.0}, arrays)
    with pytest.raises(ConfigError, match="^episode 7: reward = nan: "):
        check_finite("episode 7", {"reward": math.nan}, arrays)


UNBOUNDED = {
    "delays to the letter": ({"centre_delay": "letter"}, "reward_centre = -inf"),
    "path loss": ({"path_loss_exponent": 15.0}, "reward_global = -inf"),
    "noise": ({"noise_w": 1e30}, "reward_global = -inf"),
}


@pytest.mark.parametrize(("env", "said"), UNBOUNDED.values(), ids=UNBOUNDED)
def test_an_evaluation_alone_ends_too(env, said):
    """Policies that are sound where they learnt act elsewhere."""
    run = train(TrainConfig.from_preset("smoke", algorithm="gaussian-happo"), episodes=1)
    elsewhere = replace(run, config=run.config.replace(env=env))
    with pytest.raises(ConfigError, match=rf"^world \d: {said}: is not finite[^\n]*$"):
        evaluate(elsewhere, worlds=2)


@pytest.mark.filterwarnings("error")
def test_weights_whose_products_no_number_holds_are_told_once(tmp_path):
    """A checkpoint may have them: they are finite."""
    config = TrainConfig.from_preset("smoke")
    train(config, tmp_path, episodes=1)
    arrays, rest = load_checkpoint(tmp_path / CHECKPOINT)
    huge = {name: array.fill_(1e30) for name, array in arrays.items() if "actors.users" in name}
    assert huge
    save_checkpoint(tmp_path / CHECKPOINT, arrays | huge, rest)
    with pytest.raises(ConfigError, match=r"^world 0: actions.[a-z]+ = nan: is not finite"):
        evaluate(load_run(tmp_path), worlds=1)
    with pytest.raises(ConfigError, match=r"^episode 1: actions.[a-z]+ = nan: is not finite"):
        train(config, tmp_path)


def test_actions_that_are_no_tensors_are_told_by_name():
    class Arrays:
        def act(self, world, *, carry, env):
            own = Reference(env, EqualPower(0.1)).act(world, carry=carry, env=env)
            return replace(own, power=own.power.numpy())

    with pytest.raises(ValueError, match=r"^actions.power: must be a tensor .*, not ndarray$"):
        evaluate_policy(Arrays(), TrainConfig.from_preset("smoke").env, worlds=1)
