"""Which requests are served, against all subsets and all ways to drop some."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from free_twins import CROWDED, READINGS, free

from dtlib import EnvConfig, sample_world
from dtlib.baselines.admission import admit, genie_under_threshold
from dtlib.baselines.genie import genie
from dtlib.settings.presets import NETWORKS


@pytest.mark.parametrize("name", CROWDED)
def test_admission_against_all_subsets(name):
    """Never more than the largest set that can be served; that many in nine slots of ten."""
    env = free(num_users=6, num_bs=3, frames=60, **CROWDED[name])
    world = sample_world(env, 3, dtype=torch.float64)
    subsets = torch.tensor(list(product([False, True], repeat=6)))
    copies = sample_world(env, [3] * len(subsets), dtype=torch.float64)
    served = subsets[:, None].expand_as(copies.request)
    fits = genie(copies, env, served=served, deployment=copies.association).feasible
    best = (fits * subsets.sum(-1, keepdim=True)).amax(0)
    kept = admit(world, env, served=world.request, deployment=world.association)
    assert genie(world, env, served=kept, deployment=world.association).feasible.all()
    number = kept[0].sum(-1)
    hard = best < 6
    assert hard.sum() > 20 and (number <= best).all()
    assert (number == best)[~hard].all()
    assert (number == best)[hard].float().mean() >= 0.9


def test_admission_keeps_what_fits_and_only_what_was_wanted():
    env = free(num_users=6, num_bs=3, frames=40, request_prob=0.5)
    world = sample_world(env, 3, replicas=2, dtype=torch.float64)
    near = world.association
    assert torch.equal(admit(world, env, served=world.request, deployment=near), world.request)
    for cpu_hz in (1e8, 1.0):
        hopeless = env.replace(cpu_hz=cpu_hz)
        assert not admit(world, hopeless, served=world.request, deployment=near).any()


@pytest.mark.parametrize("reading", READINGS)
def test_threshold_against_all_ways_to_drop(reading):
    """Three users, three slots, each may miss one: the bounds enclose the best of all choices."""
    gaps, choices = [], torch.tensor(list(product(range(3), repeat=3)))
    missed = choices[:, None] == torch.arange(3)[:, None]
    for seed in range(6):
        env = free(frames=3, bandwidth_hz=2e6, area_m=300.0, interference=reading)
        copies = sample_world(env, [seed] * len(choices), dtype=torch.float64)
        found = genie(copies, env, served=~missed, deployment=copies.association)
        best = found.energy_j.mean((1, 2)).min().item()
        got = genie_under_threshold(copies.replica(0), env, threshold=1 / 3)
        assert got.bound_j <= best * (1 + 1e-9) and best <= got.energy_j * (1 + 1e-9)
        gaps.append(got.energy_j / got.bound_j - 1)
    assert np.median(gaps) < 0.25


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("reading", READINGS)
def test_threshold_uses_the_allowance_of_each_user(reading, network):
    env = EnvConfig.named(network, num_users=8, num_bs=3, frames=2, interference=reading)
    world = sample_world(env, 1, replicas=2, dtype=torch.float64)
    found = genie(world, env, served=world.request, deployment=world.association)
    everything = found.energy_j.mean().item()
    last = everything
    for threshold, spare in ((0.001, 0), (0.1, 40), (0.25, 100)):
        got = genie_under_threshold(world, env, threshold)
        dropped = (world.request & ~got.served).sum((0, 1))
        assert (dropped == spare).all()
        found = genie(world, env, served=got.served, deployment=world.association)
        energy = found.energy_j.mean().item()
        assert got.energy_j == pytest.approx(energy, rel=1e-12)
        assert 0.8 * got.energy_j < got.bound_j <= got.energy_j <= last * (1 + 1e-9)
        last = got.energy_j
    nothing = genie_under_threshold(world, env, 0.99)
    assert nothing.energy_j == nothing.bound_j == 0 and not nothing.served.any()


def test_threshold_that_cannot_be_kept():
    env = free(num_users=2, frames=4, cpu_hz=1e8)
    got = genie_under_threshold(sample_world(env, 0, dtype=torch.float64), env, 0.25)
    assert got.energy_j == got.bound_j == math.inf and not got.served.any()
