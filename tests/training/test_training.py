"""Training: same seeds, same bits; killed and resumed, same bits; files that are not ours."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from dtlib import (
    Actions,
    ConfigError,
    Policies,
    TrainConfig,
    evaluate,
    load_run,
    sample_world,
    simulate,
    train,
)
from dtlib.model.simulator import initial_carry, join
from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.errors import FileError
from dtlib.runtime.seeds import stream_seed
from dtlib.training.evaluation import evaluate_policy
from dtlib.training.loop import CHECKPOINT, TIMINGS, Rollout, Trainer, alike, train_together

TINY = TrainConfig.from_preset(
    "smoke", episodes=4, worlds=1, env={"num_users": 4, "num_bs": 2, "frames": 5}
)


def arrays_of(folder):
    return load_checkpoint(folder / CHECKPOINT)[0]


def assert_same_run(first, second):
    one, two = arrays_of(first), arrays_of(second)
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name
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


# --- episodes -----------------------------------------------------------------------------------


def assert_same_outcome(found, expected):
    for name in vars(expected).keys() - {"carry"}:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    for name, value in vars(expected.carry).items():
        assert torch.equal(torch.as_tensor(vars(found.carry)[name]), torch.as_tensor(value)), name


@pytest.mark.parametrize("decision", ["frame-end", "frame-start"])
@pytest.mark.parametrize("length", [1, 7, 20, 33, 100])
def test_a_game_played_in_stretches_is_one_episode(decision, length):
    """What its stretches join to is the outcome of all their actions in one expression."""
    config = TINY.replace(worlds=2, env={"deployment_decision": decision})
    queue = torch.arange(1, 9, dtype=torch.float64).view(2, 4) / 8
    rollout = Rollout(config, 3, queue, torch.device("cpu"))
    policies = Policies(config, torch.Generator().manual_seed(0))
    slots = config.env.slots
    edges = [*range(0, slots, length), slots]
    parts = [rollout.play(policies, *ends) for ends in itertools.pairwise(edges)]
    arrays = [vars(part.decision.actions) for part in parts]
    actions = Actions(**{name: torch.cat([one[name] for one in arrays], 1) for name in arrays[0]})
    whole = simulate(rollout.world, actions, config.env, initial_carry(rollout.world, queue))
    assert whole.migrations.all() and whole.queue[:, 0].all()
    assert_same_outcome(join(rollout.outcomes), whole)


def test_an_episode_of_several_worlds(tmp_path):
    """Each world of each episode is drawn once, and has a queue of its own that goes on."""
    config = TINY.replace(worlds=3, env={"queue_reset": False, "failure_threshold": 0.01})
    rollouts = [
        Rollout(config, number, torch.zeros(3, 4), torch.device("cpu")) for number in range(2)
    ]
    gains = [one for rollout in rollouts for one in rollout.world.gain]
    for number, gain in enumerate(gains):
        alone = sample_world(config.env, stream_seed("world", config.seed, number))
        assert torch.equal(gain, alone.gain[0])
    run = train(config, tmp_path, episodes=2)
    assert list(run.history["slots"]) == [300, 600]
    queue = arrays_of(tmp_path)["queue"]
    assert queue.shape == (3, 4) and (queue[0] != queue[1]).any() and queue.max() > 10


@pytest.mark.parametrize(("stretch", "steps"), [(100, 1), (40, 3)])
def test_the_learner_is_told_how_far_training_is(monkeypatch, stretch, steps):
    """From 0 to below 1, by episodes, and within one if policies improve more often."""
    trainer, told = Trainer([TINY]), []
    original = trainer.learner.update

    def update(episodes, order, progress):
        told.append((progress, episodes[0].world.slots))
        return original(episodes, order, progress)

    monkeypatch.setattr(trainer.learner, "update", update)
    monkeypatch.setattr(trainer.learner, "stretch", lambda env: stretch)
    rows = [trainer.episode()[0] for _ in range(4)]
    starts = [0.0, 0.4, 0.8][:steps]
    expected = [(number + start) / 4 for number in range(4) for start in starts]
    assert [progress for progress, _ in told] == pytest.approx(expected)
    assert [slots for _, slots in told] == 4 * ([100] if steps == 1 else [40, 40, 20])
    assert [row["slots"] for row in rows] == [100, 200, 300, 400]


# --- kept on disk -------------------------------------------------------------------------------


def test_killed_at_any_moment(tmp_path):
    config = TrainConfig.from_preset("smoke", episodes=40, epochs=1)
    train(config, tmp_path / "whole")
    command = [sys.executable, "-m", "dtlib.cli", "train", "--preset", "smoke", "--quiet"]
    command += ["--set", "episodes=40", "--set", "epochs=1", "--threads", "1"]
    command += ["--out", str(tmp_path / "killed")]
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        before = time.monotonic()
        start = episodes_in(tmp_path / "killed")
        while episodes_in(tmp_path / "killed") < start + 4 and process.poll() is None:
            time.sleep(0.002)
            if time.monotonic() - before > 60:
                break
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills > 0
    train(config, tmp_path / "killed")
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_runs_side_by_side_are_kept_one_by_one(tmp_path):
    """Each has a folder of its own; alone, it gives the same up to rounding."""
    configs = [TINY.replace(seed=seed) for seed in range(3)]
    configs[2] = configs[2].replace(env={"request_prob": 0.3})
    together = train_together(configs, [tmp_path / str(run) for run in range(3)])
    for run, config in enumerate(configs):
        kept = load_run(tmp_path / str(run))
        assert kept.config == config and len(kept.history) == config.episodes
        pd.testing.assert_frame_equal(kept.history, together[run].history)
        alone = train(config).history
        columns = alone.columns.difference(TIMINGS)
        pd.testing.assert_frame_equal(alone[columns], kept.history[columns], rtol=1e-3, atol=1e-6)


def test_runs_left_behind_catch_up(tmp_path):
    """A kill between two runs' checkpoints leaves one an episode behind."""
    configs = [TINY.replace(seed=seed) for seed in range(2)]
    whole = train_together(configs, [tmp_path / "a", tmp_path / "b"])
    train_together(configs, [tmp_path / "c", tmp_path / "d"], episodes=2)
    train(configs[1], tmp_path / "d", episodes=3)
    again = train_together(configs, [tmp_path / "c", tmp_path / "d"])
    for one, two in zip(whole, again, strict=True):
        columns = one.history.columns.difference(TIMINGS)
        pd.testing.assert_frame_equal(
            one.history[columns], two.history[columns], rtol=1e-3, atol=1e-6
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 7}, "epochs = 7: runs side by side must have the same, another has"),
        ({"env": {"num_users": 5}}, r"env\.num_users = 5: runs side by side"),
    ],
)
def test_runs_that_do_not_fit_together(changes, message):
    other = TINY.replace(**changes)
    with pytest.raises(ConfigError, match=message):
        train_together([TINY, other])
    assert alike([TINY, other, TINY.replace(seed=5)]) == [[TINY, TINY.replace(seed=5)], [other]]


def test_devices(tmp_path):
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "cuda:99", "meta", ""):
        with pytest.raises(ConfigError, match=f"device = '{name}': must be auto, cpu or"):
            train(TINY, tmp_path / "run", device=name)
    assert not (tmp_path / "run").exists()


def episodes_in(folder):
    try:
        return len(pd.read_csv(folder / "history.csv"))
    except (OSError, pd.errors.EmptyDataError):
        return 0


def test_history_is_tidy(tmp_path):
    run = train(TINY, tmp_path)
    table = pd.read_csv(tmp_path / "history.csv")
    assert list(table["episode"]) == [0, 1, 2, 3]
    assert list(table["slots"]) == [100, 200, 300, 400]
    expected = [
        "reward_global", "reward_centre", "energy_per_user_slot_j", "failure_ratio_slots",
        "failure_ratio_requests", "migrations_per_frame", "entropy", "approx_kl", "clip_fraction",
        "log_factor_min", "log_factor_max", "explained_variance_global", "act_s", "simulate_s",
        "update_s",
    ]  # fmt: skip
    assert set(expected) <= set(table.columns)
    assert table[expected].notna().all().all()
    pd.testing.assert_frame_equal(run.history, table, check_exact=False, rtol=1e-12)


def test_load_and_evaluate(tmp_path):
    run = train(TINY, tmp_path)
    loaded = load_run(tmp_path)
    assert loaded.config == TINY
    world = sample_world(TINY.env, 5)
    assert torch.equal(run.policies.act(world).power, loaded.policies.act(world).power)
    table = evaluate(loaded, worlds=3).worlds
    assert list(table["world"]) == [0, 1, 2]
    again = evaluate(run, worlds=2).worlds
    pd.testing.assert_frame_equal(table.iloc[:2], again, check_exact=True)
    env = TINY.env.replace(frames=50)  # longer than its training episodes
    assert TINY.env.frames < 50
    same = evaluate_policy(run.policies, env, 2)
    pd.testing.assert_frame_equal(same.worlds, again, check_exact=True)
    with pytest.raises(ConfigError, match="worlds = 0: must be at least 1"):
        evaluate(run, worlds=0)


def test_held_out_worlds_are_not_trained_on():
    trained = {stream_seed("world", seed, episode) for seed in range(50) for episode in range(150)}
    held_out = {stream_seed("held-out", number) for number in range(100)}
    tuned = {stream_seed("tuning", number) for number in range(100)}
    assert len(trained) == 50 * 150 and len(held_out) == len(tuned) == 100
    assert len(trained | held_out | tuned) == 50 * 150 + 200


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
