"""Training: same seeds, same bits; killed and resumed, same bits; side by side as alone."""

import pandas as pd
import pytest
import torch
from processes import kill_when, start
from tiny import TINY

from dtlib import ConfigError, TrainConfig, load_run, train
from dtlib.runtime.checkpoint import load_checkpoint
from dtlib.runtime.devices import resolve_device
from dtlib.training.loop import TIMINGS, Trainer
from dtlib.training.run_folder import CHECKPOINT, save, take_up
from dtlib.training.train import train_together


def assert_same_run(first, second):
    found, expected = (load_checkpoint(folder / CHECKPOINT)[0] for folder in (first, second))
    assert found.keys() == expected.keys()
    for name in found:
        assert torch.equal(found[name], expected[name]), name
    tables = [load_run(folder).history.drop(columns=list(TIMINGS)) for folder in (first, second)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"critic": "per-agent", "credit": "per-user", "power_action": "watt"},
        {"critic_target": "td", "critic_sees_queue": True, "factor": "all", "credit": "joint"},
        {"actors": "per-agent", "env": {"failure_threshold": 0.01}, "worlds": 2},
        {"algorithm": "beta-mappo", "anneal": True, "env": {"queue_reset": True}},
        {"algorithm": "gaussian-happo", "worlds": 2},
    ],
)
def test_same_seed_same_bits_and_resume(tmp_path, changes):
    config = TINY.replace(**changes)
    train(config, tmp_path / "whole")
    train(config, tmp_path / "again")
    for stop in (1, 3, 4):
        train(config, tmp_path / "parts", episodes=stop)
    assert_same_run(tmp_path / "whole", tmp_path / "again")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_other_seed_other_run():
    a, b = (train(TINY.replace(seed=seed, episodes=1)).history for seed in (0, 1))
    assert (a["reward_global"] != b["reward_global"]).all()


def test_never_more_episodes_than_the_settings_say():
    assert len(train(TINY.replace(episodes=1), episodes=9).history) == 1


def episodes_in(folder):
    try:
        return len(pd.read_csv(folder / "history.csv"))
    except (OSError, pd.errors.EmptyDataError):
        return 0


def test_killed_at_any_moment(tmp_path):
    config = TrainConfig.from_preset("smoke", episodes=40, epochs=1)
    train(config, tmp_path / "whole")
    kills = 0
    for _ in range(3):
        goal = episodes_in(tmp_path / "killed") + 4
        process = start(train, config, tmp_path / "killed")
        kills += kill_when(lambda goal=goal: episodes_in(tmp_path / "killed") >= goal, process)
    assert kills
    train(config, tmp_path / "killed")
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_runs_side_by_side_are_kept_one_by_one(tmp_path):
    """Each has a folder of its own; alone, it gives the same up to rounding."""
    configs = [TINY.replace(env={"request_prob": prob}) for prob in (0.3, 0.4, 0.5)]
    folders = [tmp_path / name for name in "abc"]
    together = train_together(configs, folders)
    for run, config, folder in zip(together, configs, folders, strict=True):
        kept = load_run(folder)
        assert kept.config == config and len(kept.history) == config.episodes
        pd.testing.assert_frame_equal(kept.history, run.history)
        alone = train(config).history
        columns = alone.columns.difference(TIMINGS)
        pd.testing.assert_frame_equal(alone[columns], kept.history[columns], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("behind", [0, 1])
def test_runs_left_behind_catch_up(tmp_path, behind):
    """A kill between two runs' checkpoints leaves one an episode behind."""
    configs = [TINY.replace(seed=seed) for seed in range(2)]
    whole = train_together(configs, [tmp_path / "a", tmp_path / "b"])
    folders = [tmp_path / "c", tmp_path / "d"]
    train_together(configs, folders, episodes=2)
    ahead = Trainer([configs[1 - behind]], order_seed=0)
    take_up(folders[1 - behind], ahead, 0)
    ahead.episode()
    save(folders[1 - behind], ahead, 0)
    again = train_together(configs, folders)
    for first, second in zip(whole, again, strict=True):
        tables = [run.history.drop(columns=list(TIMINGS)) for run in (first, second)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-3, atol=1e-6)


def test_devices(tmp_path):
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "cuda:99", "meta", ""):
        with pytest.raises(ConfigError, match=f"device = '{name}': must be auto, cpu or"):
            train(TINY, tmp_path / "run", device=name)
    assert not (tmp_path / "run").exists()
