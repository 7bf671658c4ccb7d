"""Arguments that cannot be: one line before anything is allocated or written."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from said import one_line

from dtlib import EnvConfig, TrainConfig, evaluate, sample_world, train
from dtlib.runtime import memory
from dtlib.runtime.devices import resolve_device
from dtlib.training.loop import Trainer
from dtlib.training.size import check_size

SMOKE = TrainConfig.from_preset("smoke")
SMALL = SMOKE.env
BILLION = 10**9


_line = partial(one_line, shorter_than=300)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sample_world(SMOKE, 0), "must be an EnvConfig, such as config.env"),
        (lambda: train(SMALL), "must be a TrainConfig, such as TrainConfig.from_preset('quick')"),
        (lambda: evaluate(SMOKE), "must be a Run, such as load_run(folder)"),
    ],
)
def test_what_is_something_else_is_told_in_one_line(make, said):
    assert _line(make).endswith(f"…: {said}")


HUGE = {
    "users": ({"env": {"num_users": BILLION}}, "env.num_users = 1000000000: the worlds"),
    "more users": ({"env": {"num_users": 10**17}}, "env.num_users = 1"),
    "frames": ({"env": {"frames": BILLION}}, "env.frames = 1000000000: the worlds"),
    "slots": ({"env": {"frame_slots": BILLION}}, "env.frame_slots = 1000000000: the worlds"),
    "worlds": ({"worlds": BILLION}, "worlds = 1000000000: the worlds"),
    "first width": ({"hidden_sizes": (BILLION, 64)}, "hidden_sizes = (1000000000, 64): the netw"),
    "last width": ({"hidden_sizes": (64, BILLION)}, "hidden_sizes = (64, 1000000000): the netw"),
    "replay": ({"algorithm": "maddpg", "replay_slots": BILLION}, "replay_slots = 1000000000: the"),
    "batch": ({"algorithm": "maddpg", "batch_size": BILLION}, "batch_size = 1000000000: a mini"),
}


@pytest.mark.parametrize(("changes", "start"), HUGE.values(), ids=HUGE)
def test_what_no_memory_holds_is_told_before(changes, start, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "present", lambda device="cpu": 24.0 * memory.GIB)
    config = TrainConfig.from_preset("smoke", **changes)
    text = _line(lambda: train(config, tmp_path / "run"))
    assert text.startswith(start) and text.endswith("GiB of memory, there are 24 GiB")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["num_users", "frames", "frame_slots"])
def test_huge_worlds_are_not_drawn(name):
    env = SMALL.replace(**{name: BILLION})
    assert _line(lambda: sample_world(env, 0)).startswith(f"{name} = 1000000000: worlds")


def test_huge_numbers_of_replicas_are_not_drawn():
    assert _line(lambda: sample_world(SMALL, 0, replicas=BILLION)).startswith(
        "replicas = 1000000000: wor"
    )


@pytest.mark.parametrize("algorithm", ["beta-happo", "gaussian-happo", "beta-mappo", "maddpg"])
@pytest.mark.parametrize("preset", ["smoke", "quick", "companion", "paper"])
def test_the_least_size_is_below_what_is_allocated(algorithm, preset, monkeypatch):
    """Networks and buffer are counted to within a half or so, and never higher than they are."""
    config = TrainConfig.from_preset(preset, algorithm=algorithm)
    counted = {}
    monkeypatch.setattr(
        "dtlib.training.size.check_fits", lambda what, size, *_, **__: counted.update({what: size})
    )
    check_size([config], resolve_device("cpu"))
    if preset == "smoke":
        state = Trainer([config]).state(0)
        own = [array for name, array in state.items() if not name.startswith(("replay", "queue"))]
        held = sum(array.numel() * array.element_size() for array in own)
        assert 0.6 * held < counted["the networks"] <= 4 / 3 * held  # gradients are held besides
    assert sum(counted.values()) < 2 * memory.GIB


def test_runs_side_by_side_take_as_much_memory_as_they_are(monkeypatch):
    told = []
    monkeypatch.setattr(
        "dtlib.training.size.check_fits", lambda what, size, *_, **__: told.append((what, size))
    )
    for runs in (1, 3):
        check_size([SMOKE] * runs, resolve_device("cpu"))
    (_, world), (_, nets), (worlds, three), (networks, many) = told
    assert (three, many) == (3 * world, 3 * nets)
    assert worlds.endswith(" of 3 runs") and networks.endswith("3 runs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "threads = 0: must be 1 to "),
        ({"threads": -1}, "threads = -1: must be 1 to "),
        ({"threads": 2**31 - 1}, "threads = 2147483647: must be 1 to "),
        ({"threads": 1.0}, "threads = 1.0: must be an integer"),
        ({"threads": True}, "threads = True: must be an integer"),
        ({"episodes": -1}, "episodes = -1: must be at least 0"),
        ({"episodes": "1"}, "episodes = '1': must be an integer"),
        ({"device": "cpu:7"}, "device = 'cpu:7': must be auto, cpu or cuda"),
        ({"device": "meta"}, "device = 'meta': must be auto, cpu or cuda"),
        ({"device": ""}, "device = '': must be auto, cpu or cuda, a GPU"),
        ({"device": None}, "device = None: must be auto, cpu or cuda, a GPU"),
        ({"device": 3}, "device = 3: must be auto, cpu or cuda, a GPU"),
        ({"device": "cuda:99"}, "device = 'cuda:99': must be auto, cpu or cuda, a GPU"),
    ],
)
def test_bad_training(arguments, message, tmp_path):
    assert _line(lambda: train(SMOKE, tmp_path / "run", **arguments)).startswith(message)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run():
    return train(SMOKE, episodes=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": "x"}, "stream = 'x': must be one of held-out, tuning"),
        ({"stream": "world"}, "stream = 'world': must be one of held-out, tuning"),
        ({"stream": None}, "stream = None: must be one of held-out, tuning"),
        ({"worlds": 0}, "worlds = 0: must be 1 to 1000000"),
        ({"worlds": 1.5}, "worlds = 1.5: must be an integer, 1 to 1000000"),
        ({"worlds": True}, "worlds = True: must be an integer, 1 to 1000000"),
        ({"worlds": 2**63}, "worlds = 9223372036854775808: must be 1 to 1000000"),
        ({"threads": 0}, "threads = 0: must be 1 to "),
    ],
)
def test_bad_evaluation(run, arguments, message):
    assert _line(lambda: evaluate(run, **arguments)).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "replicas = 0: must be 1 to "),
        ((0, -1), "replicas = -1: must be 1 to "),
        ((0, 1.5), "replicas = 1.5: must be an integer"),
        ((0, 10**30), "replicas = 1"),
        ((-1,), "seed = -1: must be at least 0"),
        ((1.5,), "seed = 1.5: must be an integer, at least 0"),
        (("x",), "seed = 'x': must be an integer, at least 0"),
        ((None,), "seed = None: must be an integer, at least 0"),
        (([],), "seed = []: must be a seed or at least one"),
        (([0, -1],), "seed = -1: must be at least 0"),
    ],
)
def test_bad_worlds(arguments, message):
    names = dict(zip(("seed", "replicas"), arguments, strict=False))
    assert _line(lambda: sample_world(SMALL, **names)).startswith(message)


def test_seeds_of_every_kind():
    env = EnvConfig(num_users=2, frames=1)
    worlds = [
        sample_world(env, seed, replicas=2) for seed in (3, np.int64(3), [3, 4], np.array([3, 4]))
    ]
    assert all((world.gain == worlds[0].gain).all() for world in worlds)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"seed": [3, 4], "replicas": 7},
            "replicas = 7: must be the number of seeds, 2, or absent",
        ),
        ({"seed": 3, "device": "gpu"}, "device = 'gpu': must be auto, cpu or cuda"),
        ({"seed": 3, "device": "cpu:7"}, "device = 'cpu:7': must be auto, cpu or cuda"),
    ],
)
def test_worlds_that_are_none(arguments, said):
    assert _line(lambda: sample_world(SMALL, **arguments)).startswith(said)


def test_wires_of_many_stations_take_memory():
    """A simulation has M² numbers in each slot, which 2 users and 500 stations need most for."""
    small = EnvConfig(num_users=2, num_bs=500, frames=1)
    assert memory.bytes_of_world(small) > 100 * 4 * 500**2


@pytest.mark.parametrize("error", [MemoryError("array"), RuntimeError("x: can't allocate memory")])
def test_memory_that_runs_out_all_the_same_is_one_line(error):
    def fails():
        with memory.memory_told():
            raise error

    assert _line(fails).startswith("memory ran out: choose fewer users")


def test_other_errors_are_not_about_memory():
    with pytest.raises(RuntimeError, match="shape"), memory.memory_told():
        raise RuntimeError("shape '[3]' is invalid")
