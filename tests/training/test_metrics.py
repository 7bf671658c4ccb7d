"""Metrics of an episode, against loops over worlds, slots and users."""

import itertools

import numpy as np
import pytest
import torch
from by_loops import networks, random_actions, simulate_by_loops
from hypothesis import given
from hypothesis import strategies as st

from dtlib import EnvConfig, sample_world, simulate
from dtlib.training.metrics import outcome_metrics


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
    world = sample_world(env, seed, replicas=replicas, dtype=torch.float64)
    actions = random_actions(world, env, seed)
    found = outcome_metrics(simulate(world, actions, env), env)
    assert found == pytest.approx(metrics_by_loops(world, actions, env), rel=1e-6, abs=1e-9)
    assert all(type(value) is float for value in found.values())


def test_where_nothing_is_served_the_energy_of_all_stands():
    env = EnvConfig(num_users=2, num_bs=1, frames=1, deadline_s=(1e-9, 1e-9))
    world = sample_world(env, 0)
    outcome = simulate(world, random_actions(world, env, 0), env)
    found = outcome_metrics(outcome, env)
    assert found["failure_ratio_requests"] == 1
    whole = outcome.energy_j.double().sum().item()
    assert found["energy_per_served_request_j"] == pytest.approx(whole) and whole > 0
    assert "no request is served" in outcome_metrics.__doc__
