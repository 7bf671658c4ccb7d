"""The clairvoyant rule: whom it serves, with how much energy, in windows as in the whole."""

import math

import numpy as np
import pytest
import torch
from in_windows import assert_windows_are_the_whole

from dtlib import EnvConfig, sample_world, simulate
from dtlib.baselines.clairvoyant import Clairvoyant
from dtlib.baselines.rules import DemandInversion, EqualPower, Reference
from dtlib.model.simulator import check_actions
from dtlib.studies.readings import POWER_LEVELS

SMALL = {"num_users": 10, "num_bs": 3, "frame_slots": 20, "frames": 5, "migration_slots": 2}
NETWORKS = {
    "slices": {},
    "hosted": {"cpu_sharing": "hosted"},
    "served": {"cpu_sharing": "served"},
    "crowded": {"num_users": 35},
    "one receiver": {"interference": "eq7"},
    "narrow": {"bandwidth_hz": 1.5e6},
}
DROPS = ("crowded", "narrow")
"""Where not all requests can be served, for want of CPU and of bandwidth."""


@pytest.mark.parametrize("name", NETWORKS)
def test_it_serves_at_least_as_many(name):
    """Each request that any level of power on demand serves; what is sent is just in time."""
    env = EnvConfig(**SMALL | NETWORKS[name])
    world = sample_world(env, 1, dtype=torch.float64)
    actions = Clairvoyant(env).act(world)
    check_actions(actions, world, env)
    knows = simulate(world, actions, env)
    for level in POWER_LEVELS:
        for cutoff in (math.inf, env.max_power_w):
            rule = Reference(env, DemandInversion(level, cutoff), shares="demand")
            outcome = simulate(world, rule.act(world), env)
            assert knows.failure.sum() + (name in DROPS) <= outcome.failure.sum()
            if name not in DROPS:
                assert not (knows.failure & ~outcome.failure).any()
    sent = actions.power > 0
    assert not (sent & (~world.request | knows.migrating)).any()
    dropped = knows.failure & ~knows.migrating
    assert (name in DROPS) == bool(dropped.any()) and not (dropped & sent).any()
    assert sent.sum() > 100
    due = world.deadline_s[sent]
    assert (knows.delay_s[sent] <= due).all()
    np.testing.assert_allclose(knows.delay_s[sent], due, rtol=1e-3)


def test_it_needs_less_than_full_power():
    env = EnvConfig(**SMALL)
    world = sample_world(env, 1)
    loud = simulate(world, Reference(env, EqualPower(0.5), shares="demand").act(world), env)
    knows = simulate(world, Clairvoyant(env).act(world), env)
    assert knows.failure.sum() < loud.failure.sum()
    assert knows.energy_j.sum() < 0.1 * loud.energy_j.sum()


def test_windows_are_the_whole():
    env = EnvConfig(**SMALL | {"speed_mps": (200.0, 400.0)})
    world, policy = sample_world(env, 3, replicas=2), Clairvoyant(env)
    whole = assert_windows_are_the_whole(policy, world, env, cuts=(0, 1, 14, 40, 100))
    assert simulate(world, whole, env).migrating.any()
