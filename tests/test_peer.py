"""The benchmark of BenchMARL's MAPPO, and the adapter that it needs, on a tiny network."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import beside
from dtlib import ConfigError, EnvConfig
from dtlib.pettingzoo import CENTRE, parallel_env

peer = pytest.importorskip("benchmarks.peer", reason="needs BenchMARL: it is the extra 'bench'")

pytestmark = pytest.mark.filterwarnings("ignore")  # TorchRL's own: deprecations and versions

TINY = EnvConfig(num_users=3, num_bs=2, frames=2, frame_slots=5, migration_slots=2)


def test_measures_every_part():
    threads = torch.get_num_threads()
    rows = peer.measure(TINY, slots=12, epochs=2, threads=1, rounds=2, envs=2)
    assert torch.get_num_threads() == threads
    assert tuple(rows.columns) == beside.COLUMNS
    assert rows.part.tolist() == 4 * list(beside.MEANING)
    assert rows.library.tolist() == 8 * ["BenchMARL"] + 8 * ["dtlib"]
    assert (rows.slots == 12).all() and (rows.epochs == 2).all() and (rows.threads == 1).all()
    assert (rows.seconds > 0).all() and np.allclose(rows.slots_per_s * rows.seconds, 12)
    for _, one in rows.groupby(["library", "round"]):
        seconds = one.set_index("part").seconds
        assert seconds["iteration"] > seconds["collect"]
        assert seconds["iteration"] > seconds["train"] > seconds["epoch"]
    assert all(meaning in beside.table(rows) for meaning in beside.MEANING.values())


def test_trains_networks_of_our_sizes(tmp_path):
    run = peer.experiment(TINY, slots=10, epochs=1, iterations=1, envs=1, folder=str(tmp_path))
    agents = {"users": 3, "stations": 2, CENTRE: 1}
    outputs = {"users": 1, "stations": 2 * 3, CENTRE: 3 * 2}
    env = parallel_env(TINY)
    seen = {"users": "mu_0", "stations": "bs_0", CENTRE: CENTRE}
    before = {}
    for group, count in agents.items():
        inputs = env.observation_space(seen[group]).shape[0]
        shapes = [tuple(p.shape) for p in run.losses[group].actor_network_params.values(True, True)]
        sizes = [(inputs, 128), (128, 64), (64, 2 * outputs[group])]
        expected = [shape for i, o in sizes for shape in ((count, o), (count, o, i))]
        assert sorted(shapes) == sorted(expected)
        before[group] = run.losses[group].actor_network_params.clone().data
        critic = [
            tuple(p.shape) for p in run.losses[group].critic_network_params.values(True, True)
        ]
        sizes = [(env.state_space.shape[0], 128), (128, 64), (64, 1)]
        assert sorted(critic) == sorted(shape for i, o in sizes for shape in ((o,), (o, i)))
    run.run()
    for group, old in before.items():  # every agent of every group has learnt
        new = run.losses[group].actor_network_params.data
        for one, other in zip(old.values(True, True), new.values(True, True), strict=True):
            assert (one != other).flatten(1).any(1).all()


def test_adapter_steps_as_our_environment_does():
    adapted = peer.TwinTask("twins", {"env": TINY}).get_env_fun(1, True, 7, "cpu")()
    ours = parallel_env(TINY)
    observations, _ = ours.reset(seed=7)
    rewards = None
    state = adapted.reset(seed=7)
    draw = np.random.default_rng(0)
    for slot in range(TINY.slots):
        for group, agents in adapted.group_map.items():
            expected = np.stack([observations[agent] for agent in agents])
            assert np.array_equal(state[group, "observation"].numpy(), expected)
            if rewards is not None:
                expected = np.float32([[rewards[agent]] for agent in agents])
                assert np.array_equal(state[group, "reward"].numpy(), expected)
        assert np.array_equal(state["state"].numpy(), ours.state())

        power = draw.random((3, 1), np.float32)
        weights = draw.random((2, 6), np.float32)
        servers = draw.integers(0, 2, 3)
        actions = {f"mu_{k}": power[k] for k in range(3)} | {
            f"bs_{m}": weights[m] for m in range(2)
        }
        observations, rewards, _, truncated, _ = ours.step(actions | {CENTRE: servers})

        scores = draw.random((3, 2), np.float32) / 2
        scores[np.arange(3), servers] += 0.5
        state["users", "action"] = torch.from_numpy(power)
        state["stations", "action"] = torch.from_numpy(weights)
        state[CENTRE, "action"] = torch.from_numpy(scores.reshape(1, 6))
        state = adapted.step(state)["next"]
        assert state["done"].item() == all(truncated.values()) == (slot == TINY.slots - 1)
        assert not state["terminated"].item()


def test_writes_tidy_data_and_manifest(tmp_path, capsys):
    out = tmp_path / "results"
    options = ["--slots", "4", "--epochs", "1", "--rounds", "1", "--envs", "2", "--dirty"]
    options += ["--out", str(out)]
    assert peer.main(options) == 0
    assert "whole iteration" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["data.csv", "manifest.json"]
    rows = pd.read_csv(out / "data.csv")
    assert tuple(rows.columns) == beside.COLUMNS and set(rows.part) == set(beside.MEANING)
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    (out / "manifest.json").write_text("{}")
    assert peer.main(options) == 2
    assert "holds no result of benchmarks.peer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"slots": 0}, "slots = 0: must be at least 1"),
        ({"epochs": 0}, "epochs = 0: must be at least 1"),
        ({"slots": 5, "envs": 2}, "slots = 5: must be a multiple of envs = 2"),
    ],
)
def test_refuses_what_cannot_be_measured(given, line):
    with pytest.raises(ConfigError, match=line):
        peer.measure(TINY, **given)
