"""The fast update equals the plain one, in double precision, and runs side by side equal alone."""

from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from draws import seeded
from plain_options import PlainLearner
from said import one_line

import dtlib.happo.plain
from dtlib import EnvConfig, TrainConfig, sample_world, simulate
from dtlib.agents.episode import Episode
from dtlib.happo.learner import Learner
from dtlib.settings.presets import COMPANION, LEARNT_THERE, WORK_CONSERVING

SIZE = {"num_users": 5, "num_bs": 3, "frame_slots": 10, "frames": 4, "migration_slots": 2}
ENV = EnvConfig.named("work-conserving", **SIZE)
SECTION_V = {"env": {name: getattr(EnvConfig(), name) for name in WORK_CONSERVING["env"]}}
"""Changes that lead back to the default network."""
CONFIG = TrainConfig(env=ENV, hidden_sizes=(16, 8), epochs=3, learning_rate=1e-2)
SMALL = LEARNT_THERE | {"env": {}, "worlds": 2, "epochs": 3, "clip": 0.02}
BOUNDED = {"algorithm": "gaussian-happo", "gaussian": "bounded"}
ORIGINAL = {"algorithm": "gaussian-happo", "gaussian": "original"}
VARIANTS = {
    "published": {},
    "per-user": {
        "critic": "shared", "credit": "per-user", "power_action": "decibel", "gae_lambda": 0.0,
        "factor": "by-reward", "max_log_factor": 0.05, "critic_target": "gae",
    },
    "other": {
        "critic_passes": 2, "critic_sees_queue": True, "value_norm": False, "activation": "tanh",
        "normalize_advantage": False, "entropy_coef": 0.0, "clip": 0.02, "max_grad_norm": 0.1,
        "anneal": True,
    },
    "companion": SMALL | {"max_log_factor": 0.05},
    "one actor for all users": {"actors": "shared", "worlds": 2, "max_log_factor": 0.05},
    "difference": {"credit": "difference", "observation": "derived", "power_action": "decibel"},
    "gaussian": BOUNDED | {"worlds": 3},
    "gaussian companion": SMALL | BOUNDED | {"actors": "per-agent"},
    "gaussian in watt": SMALL | BOUNDED | {"power_action": "watt"},
    "original gaussian": ORIGINAL | {"worlds": 3},
    "original gaussian companion": COMPANION | SECTION_V | ORIGINAL | {"epochs": 3, "clip": 0.02},
    "original gaussian with silence": SMALL | ORIGINAL | {"actors": "by-twin"},
    "section-v": COMPANION | SECTION_V | {"epochs": 3, "clip": 0.02, "worlds": 2},
    "by twin": {"actors": "by-twin", "credit": "per-user", "worlds": 2},
    "by twin, one advantage": SECTION_V | {"actors": "by-twin", "critic": "shared"},
    "mappo": {"algorithm": "beta-mappo", "critic": "shared", "worlds": 2, "clip": 0.02},
    "mappo companion": SMALL | {
        "algorithm": "beta-mappo",
        "env": {"interference": "eq7", "migrating_transmits": True, "objective_scale": "letter"},
    },
    "centre once a frame": {"centre_steps": "frames"},
    "centre once a frame, companion": SMALL | {
        "centre_steps": "frames", "env": {"deployment_decision": "frame-start"},
    },
    "no hidden layer": {"hidden_sizes": (), "output_gain": 1.0, "credit": "per-user"},
}  # fmt: skip


def play(learner, seed, run=0, env=None):
    env = learner.config.env if env is None else env
    seeds = [seed + 100 * one for one in range(learner.config.worlds)]
    world = sample_world(env, seeds, dtype=torch.get_default_dtype())
    decision = learner.policies[run].decide(world, [seeded(seed)], env=env)
    return Episode(decision, simulate(world, decision.actions, env))


def assert_same_weights(learner, plain):
    """Every weight of every network of a learner's first run."""
    pairs = [*zip(learner.actors, plain.networks, strict=True)]
    pairs += zip(learner.critics.train_states, [one.network for one in plain.critics], strict=True)
    for train_state, network in pairs:
        found = train_state.stack.parameters(train_state.which.start)
        layers = [*network][::2]
        expected = [one.weight.mT for one in layers] + [one.bias[None] for one in layers]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other.detach(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("changes", [{}, {"worlds": 2}, {"max_log_factor": 1e-4}], ids=str)
def test_algorithm_is_the_plain_one_as_published(double, changes):
    """The settings of the preset ``paper``, on a small network; a tight bound on M bites."""
    config = TrainConfig(env=EnvConfig(**SIZE), epochs=5, **changes)
    learner = Learner(config, [seeded(0)])
    plain = dtlib.happo.plain.PlainLearner(learner)
    start = learner.actors[0].stack.flat.clone()
    for number in range(2):
        episode = play(learner, number)
        learner.update([episode], seeded(number))
        plain.update(episode, seeded(number))
        assert_same_weights(learner, plain)
    assert (learner.actors[0].stack.flat != start).any(1).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            ORIGINAL,
            "algorithm = 'gaussian-happo': must be 'beta-happo', the default, in PlainLearner",
        ),
        ({"algorithm": "beta-mappo"}, "algorithm = 'beta-mappo': must be 'beta-happo'"),
        ({"normalize_advantage": False}, "normalize_advantage = False: must be True"),
        ({"critic_passes": 2}, "critic_passes = 2: must be 1"),
        ({"credit": "difference"}, "credit = 'difference': must be 'joint'"),
        ({"centre_steps": "frames"}, "centre_steps = 'frames': must be 'slots'"),
    ],
)
def test_what_the_plain_one_has_not_is_refused(changes, said):
    learner = Learner(CONFIG.replace(**changes), [seeded(0)])
    assert one_line(lambda: dtlib.happo.plain.PlainLearner(learner), 200).startswith(said)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_fast_equals_plain(double, changes):
    """Every weight after three episodes; clipping and bounds on M are made to bite."""
    learner = Learner(CONFIG.replace(**changes), [seeded(0)])
    plain = PlainLearner(learner)
    for number in range(3):
        episode = play(learner, number)
        row = learner.update([episode], seeded(number), number / 3)[0]
        plain.update(episode, seeded(number), number / 3)
        assert_same_weights(learner, plain)
    assert row["clip_fraction"] > 0
    assert row["log_factor_max"] > 0.05 or learner.config.algorithm == "beta-mappo"


def cast(record, dtype):
    """A record with its floating arrays in another precision."""
    if isinstance(record, torch.Tensor):
        return record.to(dtype) if record.is_floating_point() else record
    if is_dataclass(record):
        changes = {one.name: cast(getattr(record, one.name), dtype) for one in fields(record)}
        return replace(record, **changes)
    return record


def test_single_precision_is_close_to_double(double):
    """Stated tolerance: 1e-3 of how far an episode of three epochs moves the actors."""
    moved = []
    for dtype in (torch.float64, torch.float32):
        torch.set_default_dtype(torch.float64)
        double_learner = Learner(CONFIG, [seeded(0)])
        episode = play(double_learner, 0)
        torch.set_default_dtype(dtype)
        learner = Learner(CONFIG, [seeded(0)])
        for name, array in learner.state().items():
            array.copy_(double_learner.state()[name])
        start = [one.flat.clone() for one in learner.policies[0].stacks.values()]
        learner.update([cast(episode, dtype)], seeded(0))
        ends = learner.policies[0].stacks.values()
        moved.append([(end.flat - one).double() for end, one in zip(ends, start, strict=True)])
    for one, two in zip(*moved, strict=True):
        assert 0 < (one - two).norm() < 1e-3 * one.norm()


@pytest.mark.parametrize(
    "variant",
    [
        "published",
        "per-user",
        "other",
        "companion",
        "gaussian",
        "original gaussian",
        "by twin",
        "mappo",
    ],
)
def test_side_by_side_equals_alone(double, variant):
    """Three runs with other seeds, and other networks of the same size, learn as each alone."""
    config = CONFIG.replace(**VARIANTS[variant])
    envs = [
        ENV,
        ENV.replace(request_prob=0.2),
        ENV.replace(control_factor=0.3, data_bits=(3e4, 4e4)),
    ]
    together = Learner(config, [seeded(run) for run in range(3)])
    alone = [Learner(config.replace(env=env), [seeded(run)]) for run, env in enumerate(envs)]
    for number in range(2):
        episodes = [play(together, 10 * run + number, run, env) for run, env in enumerate(envs)]
        rows = together.update(episodes, seeded(number))
        for run, one in enumerate(alone):
            (row,) = one.update([play(one, 10 * run + number)], seeded(number))
            assert row == pytest.approx(rows[run], rel=1e-6, abs=1e-9, nan_ok=True)
            for name, array in one.state().items():
                torch.testing.assert_close(
                    together.state(run)[name], array, rtol=1e-7, atol=1e-9, msg=name
                )


def test_a_run_without_any_data_stays_as_it_is_beside_one_with(double):
    envs = [ENV, ENV.replace(request_prob=0.0)]
    learner = Learner(CONFIG, [seeded(0), seeded(1)])
    before = {name: array.clone() for name, array in learner.state(1).items()}
    episodes = [play(learner, run, run, env) for run, env in enumerate(envs)]
    rows = learner.update(episodes, seeded(0))
    assert rows[1]["entropy"] != rows[1]["entropy"] and rows[0]["entropy"] == rows[0]["entropy"]
    for name, array in learner.state(1).items():
        if name.startswith(("actors.", "adam.actor")):
            assert torch.equal(array, before[name]), name
    assert all(array.isfinite().all() for array in learner.state(0).values())
