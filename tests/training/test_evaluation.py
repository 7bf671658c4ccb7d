"""What a policy is worth: metrics against loops over worlds, slots and users; intervals by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import networks, random_actions, simulate_by_loops

from dtlib import ConfigError, EnvConfig, sample_world, simulate
from dtlib.runtime.seeds import stream_seed
from dtlib.training.evaluation import evaluate_policy, interquartile_mean, interval, outcome_metrics

ENV = EnvConfig(num_users=5, num_bs=3, frame_slots=6, frames=4, migration_slots=2, cpu_hz=4e9)


class Rough:
    """A policy that acts at random, the same in the same world; it counts its worlds."""

    def __init__(self):
        self.worlds = []

    def act(self, world, *, env, carry=None):
        self.worlds.append(world)
        return random_actions(world, env, int(world.data_bits.sum()))


def metrics_by_loops(world, actions, env):
    """The columns of ``outcome_metrics`` from the slow simulation of every replica."""
    rewards, centre, energies, worst, moves, queues = [], [], [], [], [], []
    failed = asked = 0
    slots, users = env.frames * env.frame_slots, env.num_users
    for r in range(world.replicas):
        series = simulate_by_loops(world, actions, env, r)
        asks = world.request[r].tolist()
        rewards += series.reward_global
        centre += series.reward_centre
        energies += [series.energy_j[n][k] for n in range(slots) for k in range(users)]
        counts = [sum(series.failure[n][k] for n in range(slots)) for k in range(users)]
        failed += sum(counts)
        asked += sum(map(sum, asks))
        worst.append(max(counts) / slots)
        queues += series.queue[-1]
        pairs = itertools.pairwise(series.deployment)
        moves.append(sum(a != b for pair in pairs for a, b in zip(*pair, strict=True)))
    return {
        "reward_global": np.mean(rewards),
        "reward_centre": np.mean(centre),
        "energy_per_user_slot_j": np.mean(energies),
        "energy_per_served_request_j": sum(energies) / max(asked - failed, 1),
        "failure_ratio_slots": failed / (world.replicas * slots * users),
        "failure_ratio_slots_worst_user": np.mean(worst),
        "failure_ratio_requests": failed / max(asked, 1),
        "migrations_per_frame": np.mean(moves) / max(env.frames - 1, 1),
        "queue_rate": np.mean(queues) / slots,
    }


@given(networks(), st.integers(0, 2**20), st.integers(1, 3))
def test_metrics_by_loops(env, seed, replicas):
    world = sample_world(env, seed, replicas, dtype=torch.float64)
    actions = random_actions(world, env, seed)
    found = outcome_metrics(simulate(world, actions, env), env)
    assert found == pytest.approx(metrics_by_loops(world, actions, env), rel=1e-6, abs=1e-9)
    assert all(type(value) is float for value in found.values())


# --- held-out worlds ----------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["held-out", "tuning"])
def test_worlds_and_users_by_loops(stream):
    policy = Rough()
    found = evaluate_policy(policy, ENV, 3, stream)
    rows, (energy, failed, asked) = [], np.zeros((3, 5))
    for number in range(3):
        world = sample_world(ENV, stream_seed(stream, number))
        assert torch.equal(policy.worlds[number].gain, world.gain)
        actions = policy.act(world, env=ENV)
        rows.append({"world": number} | metrics_by_loops(world, actions, ENV))
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
    few, many = evaluate_policy(Rough(), ENV, 2), evaluate_policy(Rough(), ENV, 4)
    pd.testing.assert_frame_equal(many.worlds.iloc[:2], few.worlds, check_exact=True)
    other = evaluate_policy(Rough(), ENV, 2, "tuning").worlds
    assert (other["reward_global"] != few.worlds["reward_global"]).all()


def test_users_that_never_ask():
    """Requests: a ratio of nothing to nothing is none."""
    found = evaluate_policy(Rough(), ENV.replace(request_prob=0.0), 1)
    assert not found.users.drop(columns="user").to_numpy().any() and found.worst_user == 0
    assert found.worlds["failure_ratio_requests"].item() == 0


@pytest.mark.parametrize("worlds", [0, -1])
def test_at_least_one_world(worlds):
    with pytest.raises(ConfigError, match=f"worlds = {worlds}: must be at least 1"):
        evaluate_policy(Rough(), ENV, worlds)


# --- over seeds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_interval_against_all_resamples(level):
    """The percentiles of the mean over every one of the 6⁶ equally likely resamples."""
    values = [0.3, 1.0, 1.9, 4.2, 5.5, 9.1]
    mean, low, high = interval(values, level)
    means = np.mean(list(itertools.product(values, repeat=6)), axis=1)
    expected = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    assert mean == pytest.approx(22 / 6)
    assert [low, high] == pytest.approx(expected, abs=0.1)
    assert interval(values, level) == (mean, low, high)  # the same at every call
    assert interval(np.array(values) + 7, level) == pytest.approx((mean + 7, low + 7, high + 7))


def test_interval_of_one_value_and_of_equal_ones():
    assert interval([2.5]) == (2.5, 2.5, 2.5)
    assert interval([2.5, 2.5, 2.5]) == (2.5, 2.5, 2.5)


def test_interquartile_mean_by_hand():
    assert interquartile_mean([8, 1, 100, 4, 6, -50, 5, 7]) == pytest.approx((4 + 5 + 6 + 7) / 4)
    assert interquartile_mean([9, 2, 4, 3, -70]) == pytest.approx(3)
    assert np.isnan(interquartile_mean([1, 2, 3, 4]))
