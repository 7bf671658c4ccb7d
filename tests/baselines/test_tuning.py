"""How policies that learn nothing are measured and tuned."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from by_loops import simulate_by_loops

from dtlib import EnvConfig, sample_world
from dtlib.baselines.rules import DemandInversion, EqualPower, Inversion, Reference
from dtlib.baselines.tuning import LEVELS, measure, tune

SMALL = EnvConfig(num_users=6, num_bs=3, frame_slots=20, frames=20, migration_slots=2)
LESS, MORE = np.array([0.98, 0.9, 0.7, 0.3]), np.array([1, 1.1, 2, 10])
CUTOFFS = {Inversion: (30.0, 1500.0), DemandInversion: (1e-5, 1.0)}


@pytest.fixture(scope="module")
def worlds():
    return sample_world(SMALL, 11, replicas=3)


def test_measured_by_loops(worlds):
    """Means over all slots of all worlds, for each user; not the worst of each world."""
    policy = Reference(SMALL, Inversion(0.05))
    actions = policy.act(worlds)
    games = [simulate_by_loops(worlds, actions, SMALL, replica) for replica in range(3)]
    users, slots = range(SMALL.num_users), 3 * SMALL.slots
    failures = [sum(row[k] for game in games for row in game.failure) for k in users]
    energy = sum(sum(row) for game in games for row in game.energy_j)
    result = measure(policy, worlds)
    assert result.failure_ratio.tolist() == pytest.approx([count / slots for count in failures])
    assert result.worst_user == pytest.approx(max(failures) / slots)
    assert result.failed_requests == pytest.approx(sum(failures) / worlds.request.sum().item())
    assert result.energy_j == pytest.approx(energy / slots / SMALL.num_users, rel=1e-5)
    assert result.holds == (max(failures) / slots <= SMALL.failure_threshold)


def family(rule, env=SMALL):
    return lambda *parameters: Reference(
        env, rule(*parameters), deployment="never", shares="demand"
    )


@pytest.mark.parametrize("rule", [EqualPower, Inversion, DemandInversion])
def test_tuned_holds_and_less_power_does_not(rule, worlds):
    of = family(rule)
    best = tune(of, worlds)
    level = next(iter(vars(best.policy.power).values()))
    assert best.policy == of(level)
    assert best.holds and best.worst_user > 0.5 * SMALL.failure_threshold
    assert not any(measure(of(less), worlds).holds for less in level * LESS)
    energies = [measure(of(more), worlds).energy_j for more in level * MORE]
    assert energies == sorted(energies) and energies[0] == best.energy_j


@pytest.mark.parametrize("rule", [Inversion, DemandInversion])
def test_silence_pays(rule, worlds):
    of, (low, high) = family(rule), CUTOFFS[rule]
    plain, cut = tune(of, worlds), tune(of, worlds, (low, high))
    assert cut.holds and cut.energy_j < 0.9 * plain.energy_j
    level, cutoff = vars(cut.policy.power).values()
    assert cut.policy == of(level, cutoff)
    assert not any(measure(of(level, less), worlds).holds for less in cutoff * LESS)
    grid = torch.logspace(math.log10(low), math.log10(high), 60).tolist()
    for gain in (0.7, 1.5):  # no other level does much better at its own cut-off
        tried = [measure(of(gain * level, other), worlds) for other in grid]
        held = [result.energy_j for result in tried if result.holds]
        assert min(held, default=math.inf) > 0.97 * cut.energy_j


def test_nothing_holds(worlds):
    """In a hundredth of the bandwidth nobody can be served often: the least bad is returned."""
    of = family(EqualPower, SMALL.replace(bandwidth_hz=1e5))
    best = tune(of, worlds)
    assert not best.holds
    assert best.worst_user == min(measure(of(level), worlds).worst_user for level in LEVELS)
    cut = family(Inversion, SMALL.replace(bandwidth_hz=1e5))
    assert not tune(cut, worlds, CUTOFFS[Inversion]).holds


def test_everybody_may_be_silent():
    """With fewer requests than failures allowed, silence is within the limit."""
    env = SMALL.replace(request_prob=0.05)
    world = sample_world(env, 1)
    assert tune(family(EqualPower, env), world).policy.power == EqualPower(LEVELS[0])
    cut = tune(family(DemandInversion, env), world, (1e-30, 1.0))
    assert cut.holds and cut.energy_j == 0
