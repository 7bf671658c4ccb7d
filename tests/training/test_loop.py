"""The loop: what an episode is made of, what the learner is told, what history keeps."""

import itertools
from typing import get_args

import pandas as pd
import pytest
import torch
from spy import spy
from tiny import TINY

from dtlib import Actions, Policies, sample_world, simulate, train
from dtlib.model.simulator import initial_carry, join
from dtlib.runtime import seeds
from dtlib.runtime.checkpoint import load_checkpoint
from dtlib.runtime.seeds import stream_seed
from dtlib.settings.train import Algorithm
from dtlib.training import loop
from dtlib.training.algorithms import LEARNING
from dtlib.training.loop import Rollout, Trainer
from dtlib.training.run_folder import CHECKPOINT


def assert_same_outcome(found, expected):
    for name in vars(expected).keys() - {"carry"}:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    for name, value in vars(expected.carry).items():
        assert torch.equal(torch.as_tensor(vars(found.carry)[name]), torch.as_tensor(value)), name


def test_each_name_says_who_learns():
    """A name that only the settings have would be another learner in silence."""
    assert {*LEARNING} == {*get_args(Algorithm)}


@pytest.mark.parametrize("decision", ["frame-end", "frame-start"])
@pytest.mark.parametrize("length", [1, 7, 20, 33, 100])
def test_a_game_played_in_stretches_is_one_episode(decision, length):
    """What its stretches join to is the outcome of all their actions in one expression."""
    config = TINY.replace(worlds=2, env={"deployment_decision": decision})
    queue = torch.arange(1, 9, dtype=torch.float64).view(2, 4) / 8
    rollout = Rollout(config, 3, queue=queue, device=torch.device("cpu"))
    policies = Policies(config, torch.Generator().manual_seed(0))
    slots = config.env.slots
    edges = [*range(0, slots, length), slots]
    parts = [rollout.play(policies, *ends) for ends in itertools.pairwise(edges)]
    arrays = [vars(part.decision.actions) for part in parts]
    actions = Actions(**{name: torch.cat([part[name] for part in arrays], 1) for name in arrays[0]})
    whole = simulate(rollout.world, actions, config.env, carry=initial_carry(rollout.world, queue))
    assert whole.migrations.all() and whole.queue[:, 0].all()
    assert_same_outcome(join(rollout.outcomes), whole)


def test_an_episode_of_several_worlds(tmp_path):
    """Each world of each episode is drawn once, and has a queue of its own that goes on."""
    config = TINY.replace(worlds=3, env={"queue_reset": False, "failure_threshold": 0.01})
    rollouts = [
        Rollout(config, number, queue=torch.zeros(3, 4), device=torch.device("cpu"))
        for number in range(2)
    ]
    gains = [gain for rollout in rollouts for gain in rollout.world.gain]
    for number, gain in enumerate(gains):
        alone = sample_world(config.env, stream_seed("world", config.seed, number))
        assert torch.equal(gain, alone.gain[0])
    run = train(config, tmp_path, episodes=2)
    assert list(run.history["slots"]) == [300, 600]
    queue = load_checkpoint(tmp_path / CHECKPOINT)[0]["queue"]
    assert queue.shape == (3, 4) and (queue[0] != queue[1]).any() and queue.max() > 10


def test_what_is_random_depends_on_the_seed_and_the_episode(monkeypatch):
    """The same for no two seeds nor episodes; the order of agents is that of all runs."""
    told = []
    for name in ("seeded", "stream_seed"):
        spy(monkeypatch, loop, name, lambda *key, device=None: told.append(key))
    trainer = Trainer([TINY.replace(seed=seed, worlds=2) for seed in (7, 8)])
    for _ in range(2):
        trainer.episode()
    expected = {("order", 7, 0), ("order", 7, 1)}
    for seed in (7, 8):
        expected |= {("weights", seed)} | {("actions", seed, number) for number in range(2)}
        expected |= {("world", seed, world) for world in range(4)}
    assert {*told} == expected and len(told) == len(expected)


def test_streams_are_apart():
    found = {stream_seed(stream, 5, 3) for stream in seeds._STREAMS}
    assert len(found) == len(seeds._STREAMS) == 6


@pytest.mark.parametrize(("stretch", "steps"), [(100, 1), (40, 3)])
def test_the_learner_is_told_how_far_training_is(monkeypatch, stretch, steps):
    """From 0 to below 1, by episodes, and within one if policies improve more often."""
    trainer, told = Trainer([TINY]), []
    original = trainer.learner.update

    def update(episodes, order, progress):
        told.append((progress, episodes[0].decision.world.slots))
        return original(episodes, order, progress)

    monkeypatch.setattr(trainer.learner, "update", update)
    monkeypatch.setattr(trainer.learner, "stretch", lambda env: stretch)
    rows = [trainer.episode()[0] for _ in range(4)]
    starts = [0.0, 0.4, 0.8][:steps]
    expected = [(number + start) / 4 for number in range(4) for start in starts]
    assert [progress for progress, _ in told] == pytest.approx(expected)
    assert [slots for _, slots in told] == 4 * ([100] if steps == 1 else [40, 40, 20])
    assert [row["slots"] for row in rows] == [100, 200, 300, 400]


def test_what_learning_tells_are_means_over_stretches(monkeypatch):
    trainer = Trainer([TINY])
    told = iter([1.0, 2.0, 6.0])
    monkeypatch.setattr(trainer.learner, "stretch", lambda env: 40)
    monkeypatch.setattr(trainer.learner, "update", lambda *_: [{"x": next(told)}])
    assert trainer.episode()[0]["x"] == 3.0


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
