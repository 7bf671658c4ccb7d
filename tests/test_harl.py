"""The benchmark of HARL's HAPPO: its environments always, its training where a checkout is named.

``HARL=/path/to/checkout pytest tests/test_harl.py`` runs the rest.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import beside, harl
from dtlib import ConfigError, EnvConfig, TrainConfig
from dtlib.pettingzoo import CENTRE, parallel_env

TINY = EnvConfig(num_users=3, num_bs=2, frames=2, frame_slots=5, migration_slots=2)
CHECKOUT = os.environ.get("HARL")
needs_harl = pytest.mark.skipif(not CHECKOUT, reason="HARL=... names no checkout of HARL")


def test_steps_as_our_environment_does():
    """Side by side, with the rewards summed, and from the next world on after an episode."""
    twins = harl.Twins(TINY, envs=2, seed=7)
    alone = [parallel_env(TINY) for _ in range(2)]
    assert twins.n_agents == 3 + 2 + 1
    seeds = [7, 8]
    seen = [env.reset(seed=seed)[0] for env, seed in zip(alone, seeds, strict=True)]
    observed, states, available = twins.reset()
    draw = np.random.default_rng(0)
    for slot in range(2 * TINY.slots):
        for a, agent in enumerate(twins.agents):
            assert np.array_equal(observed[:, a], np.stack([one[agent] for one in seen]))
            assert np.array_equal(states[:, a], np.stack([env.state() for env in alone]))
        assert available == [None, None]
        actions = harl.ByAgent(
            draw.integers(0, 2, (2, 3)).astype(np.float32)  # HARL keeps all actions in float32
            if agent == CENTRE
            else draw.uniform(-0.5, 1.5, (2, *space.shape)).astype(np.float32)
            for agent, space in zip(twins.agents, twins.action_space, strict=True)
        )
        observed, states, rewards, dones, infos, available = twins.step(actions)
        for i, env in enumerate(alone):
            chosen = {
                agent: actions[:, a][i].astype(np.int64)
                if agent == CENTRE
                else actions[:, a][i].clip(0, 1)
                for a, agent in enumerate(twins.agents)
            }
            seen[i], earned, _, ended, _ = env.step(chosen)
            ends = slot % TINY.slots == TINY.slots - 1
            assert all(ended.values()) == ends
            assert np.array_equal(rewards[i], np.full((6, 1), sum(earned.values())))
            assert (dones[i] == ends).all() and infos[i][0]["bad_transition"] == ends
            if ends:
                seeds[i] += 2
                seen[i] = env.reset(seed=seeds[i])[0]


def test_settings_are_ours():
    """What is set by hand in HARL is read from our settings, for a whole batch at a time."""
    found = harl.settings(TrainConfig(), slots=40, envs=4)
    assert found["train"] == {"n_rollout_threads": 4, "episode_length": 10}
    assert found["model"]["hidden_sizes"] == list(TrainConfig().hidden_sizes)
    assert found["algo"]["clip_param"] == TrainConfig().clip


def test_says_in_one_line_what_is_no_checkout(tmp_path, capsys):
    assert harl.main(["--checkout", str(tmp_path), "--rounds", "1", "--slots", "10"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and "must be a checkout of HARL" in printed


@needs_harl
def test_trains_with_our_sizes():
    runner = harl.runner(Path(CHECKOUT), TINY, slots=10, epochs=2, envs=2)
    outputs = [1, 1, 1, 6, 6]
    for actor, buffer, width in zip(runner.actor[:-1], runner.actor_buffer, outputs, strict=False):
        assert buffer.actions.shape == (5, 2, width)
        assert actor.actor.act.action_out.fc_mean.weight.shape == (width, 64)
    assert [head.linear.weight.shape for head in runner.actor[-1].actor.act.action_outs] == [
        (2, 64)
    ] * 3
    before = [[p.clone() for p in actor.actor.parameters()] for actor in runner.actor]
    runner.warmup()
    collect, train = harl.iteration(runner, 5)
    assert collect > 0 and train > 0
    for old, actor in zip(before, runner.actor, strict=True):
        new = list(actor.actor.parameters())
        assert any((one != other).any() for one, other in zip(old, new, strict=True))


@needs_harl
def test_writes_tidy_data_and_manifest(tmp_path, capsys):
    out = tmp_path / "results"
    options = ["--slots", "4", "--epochs", "1", "--rounds", "1", "--envs", "2", "--dirty"]
    options += ["--out", str(out)]
    assert harl.main(["--checkout", CHECKOUT, *options]) == 0
    assert "whole iteration" in capsys.readouterr().out
    rows = pd.read_csv(out / "data.csv")
    assert tuple(rows.columns) == beside.COLUMNS and set(rows.part) == set(beside.MEANING)
    assert set(rows.library) == {"HARL", "dtlib"}
    notes = json.loads((out / "manifest.json").read_text())
    assert notes["slots"] == 4 and CHECKOUT not in str(notes)


@needs_harl
def test_refuses_what_cannot_be_measured():
    with pytest.raises(ConfigError, match="slots = 5: must be a multiple of envs = 2"):
        beside.measure("HARL", harl.seconds, TINY, slots=5, envs=2)
