"""What a policy is worth on held-out worlds, against loops over worlds, slots and users."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from by_loops import random_actions, simulate_by_loops

from dtlib import (
    ConfigError,
    EnvConfig,
    TrainConfig,
    evaluate,
    load_run,
    sample_world,
    simulate,
    train,
)
from dtlib.baselines.rules import EqualPower, Reference
from dtlib.model.simulator import initial_carry
from dtlib.runtime.seeds import stream_seed
from dtlib.training.evaluation import EVALUATION_FRAMES, evaluate_policy, evaluation_env
from dtlib.training.metrics import outcome_metrics

ENV = EnvConfig(num_users=5, num_bs=3, frame_slots=6, frames=4, migration_slots=2, cpu_hz=4e9)


class Rough:
    """A policy that acts at random, the same in the same world; it counts its worlds."""

    def __init__(self):
        self.worlds = []

    def act(self, world, *, env, carry=None):
        self.worlds.append(world)
        return random_actions(world, env, int(world.data_bits.sum()))


@pytest.mark.parametrize("stream", ["held-out", "tuning"])
def test_worlds_and_users_by_loops(stream):
    policy = Rough()
    found = evaluate_policy(policy, ENV, worlds=3, stream=stream)
    rows, (energy, failed, asked) = [], np.zeros((3, 5))
    for number in range(3):
        world = sample_world(ENV, stream_seed(stream, number))
        assert torch.equal(policy.worlds[number].gain, world.gain)
        actions = policy.act(world, env=ENV)
        rows.append({"world": number} | outcome_metrics(simulate(world, actions, ENV), ENV))
        series = simulate_by_loops(world, actions, ENV)
        for n, k in itertools.product(range(ENV.slots), range(5)):
            energy[k] += series.energy_j[n][k]
            failed[k] += series.failure[n][k]
            asked[k] += world.request[0, n, k].item()
    pd.testing.assert_frame_equal(found.worlds, pd.DataFrame(rows), rtol=1e-5)
    users = found.users
    assert list(users["user"]) == [0, 1, 2, 3, 4]
    slots = 3 * ENV.frames * ENV.frame_slots
    np.testing.assert_allclose(users["energy_per_slot_j"], energy / slots, rtol=1e-5)
    np.testing.assert_allclose(users["failure_ratio_slots"], failed / slots)
    np.testing.assert_allclose(users["failure_ratio_requests"], failed / asked)
    assert failed.min() > 0 and found.worst_user == pytest.approx(failed.max() / slots)


def test_the_first_worlds_are_always_the_same():
    few, many = evaluate_policy(Rough(), ENV, worlds=2), evaluate_policy(Rough(), ENV, worlds=4)
    pd.testing.assert_frame_equal(many.worlds.iloc[:2], few.worlds, check_exact=True)
    other = evaluate_policy(Rough(), ENV, worlds=2, stream="tuning").worlds
    assert (other["reward_global"] != few.worlds["reward_global"]).all()


class Quiet:
    """Sends too little to be heard, and remembers the queue that each world begins with."""

    def __init__(self):
        self.queues = []

    def act(self, world, *, carry, env):
        self.queues.append(carry.queue)
        return Reference(env, EqualPower(1e-9)).act(world, carry=carry)


@pytest.mark.parametrize("carried", [True, False])
def test_a_queue_goes_from_world_to_world_if_asked_for(carried):
    env, policy = EnvConfig(num_users=3, num_bs=2, frames=1, frame_slots=20), Quiet()
    evaluate_policy(policy, env, worlds=3, carry_queue=carried)
    first, second, third = policy.queues
    assert not first.any()
    world = sample_world(env, stream_seed("held-out", 0))
    actions = Quiet().act(world, carry=initial_carry(world), env=env)
    left = simulate(world, actions, env).carry.queue
    assert left.all() and torch.equal(second, left if carried else torch.zeros_like(left))
    assert (third > second).all() if carried else not third.any()


def test_users_that_never_ask():
    """Requests: a ratio of nothing to nothing is none."""
    found = evaluate_policy(Rough(), ENV.replace(request_prob=0.0), worlds=1)
    assert not found.users.drop(columns="user").to_numpy().any() and found.worst_user == 0
    assert found.worlds["failure_ratio_requests"].item() == 0


@pytest.mark.parametrize("worlds", [0, -1])
def test_at_least_one_world(worlds):
    with pytest.raises(ConfigError, match=f"worlds = {worlds}: must be 1 to 1000000"):
        evaluate_policy(Rough(), ENV, worlds=worlds)


class WorldAlone:
    def act(self, world):
        """As a README's short form has it."""


class Forgetful:
    def act(self, world, *, carry, env):
        """Return nothing."""


def test_who_returns_no_actions_is_told():
    with pytest.raises(ConfigError, match="actions = None: must be an Actions, such as policies"):
        evaluate_policy(Forgetful(), ENV, worlds=1)


def test_what_cannot_act_is_named():
    for policy in (Rough().act, None, WorldAlone()):
        with pytest.raises(ConfigError, match="policy = .*: cannot act: must be run.policies, "):
            evaluate_policy(policy, ENV, worlds=1)
    with pytest.raises(ConfigError, match="env = .*: must be an EnvConfig"):
        evaluate_policy(Rough(), TrainConfig(env=ENV), worlds=1)


def test_a_run_is_evaluated_on_long_worlds(tmp_path):
    """Its own are shorter; what is loaded is worth what was trained."""
    tiny = {"num_users": 4, "num_bs": 2, "frames": 5}
    run = train(TrainConfig.from_preset("smoke", episodes=1, worlds=1, env=tiny), tmp_path)
    table = evaluate(load_run(tmp_path), worlds=3).worlds
    assert list(table["world"]) == [0, 1, 2]
    again = evaluate(run, worlds=2).worlds
    pd.testing.assert_frame_equal(table.iloc[:2], again, check_exact=True)
    assert run.config.env.frames < 50 == EVALUATION_FRAMES
    same = evaluate_policy(run.policies, run.config.env.replace(frames=50), worlds=2)
    pd.testing.assert_frame_equal(same.worlds, again, check_exact=True)
    with pytest.raises(ConfigError, match="worlds = 0: must be 1 to 1000000"):
        evaluate(run, worlds=0)


def test_worlds_are_never_shorter_than_episodes():
    assert [evaluation_env(ENV.replace(frames=n)).frames for n in (1, 50, 60)] == [50, 50, 60]


def test_held_out_worlds_are_not_trained_on():
    trained = {stream_seed("world", seed, episode) for seed in range(50) for episode in range(150)}
    held_out = {stream_seed("held-out", number) for number in range(100)}
    tuned = {stream_seed("tuning", number) for number in range(100)}
    assert len(trained) == 50 * 150 and len(held_out) == len(tuned) == 100
    assert len(trained | held_out | tuned) == 50 * 150 + 200
