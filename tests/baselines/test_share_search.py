"""The least stretch of deadlines, against a general search over all shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from free_twins import CROWDED, free
from scipy.optimize import minimize

from dtlib import sample_world
from dtlib.baselines.share_search import doublings_for, least_doublings
from dtlib.baselines.slot_problem import Slots, fits


def hard_slots(**settings) -> Slots:
    """Return slots of four users and two servers in which even shares do not suffice."""
    env = free(num_users=4, num_bs=2, frames=40, **settings)
    world = sample_world(env, 5, dtype=torch.float64)
    far = 1 - world.association
    slots = Slots.of(world, env, served=world.request, deployment=far)
    return slots.pick(~fits(slots, slots.even()))


def searched(slots: Slots) -> float:
    """log₂ of the least stretch of one slot, by Nelder and Mead over weights of all shares."""

    def doublings(weights):
        pairs = zip(slots.resources, torch.tensor(weights).exp().view(2, 1, 4), strict=True)
        shares = tuple(resource.divide(weight) for resource, weight in pairs)
        low, high = 0.0, 20.0
        for _ in range(22):
            middle = (low + high) / 2
            low, high = (low, middle) if fits(slots, shares, 2**middle) else (middle, high)
        return high

    start = np.concatenate([resource.load_s.log().numpy().ravel() for resource in slots.resources])
    options = {"xatol": 1e-4, "fatol": 1e-5, "maxiter": 1000}
    return minimize(doublings, start, method="Nelder-Mead", options=options).fun


@pytest.mark.parametrize("name", CROWDED)
def test_least_stretch_against_a_general_search(name):
    slots = hard_slots(**CROWDED[name])
    shares, doublings = least_doublings(slots)
    assert fits(slots, shares, 2**doublings).all()
    loose = doublings[:, 0].argsort(descending=True)[:3]
    assert (doublings[loose] > 0.05).all()
    best = np.array([searched(slots.pick(torch.tensor([number]))) for number in loose.tolist()])
    found = doublings[loose, 0].numpy()
    np.testing.assert_allclose(found, best, rtol=0.01)
    assert (found > 0.999 * best).all()


@pytest.mark.parametrize("name", CROWDED)
def test_whole_shares_need_the_least(name):
    """They bound from below; and bisection finds the edge between what fits and what does not."""
    slots = hard_slots(**CROWDED[name])
    whole = doublings_for(slots, slots.whole())
    assert (whole <= least_doublings(slots)[1]).all()
    assert fits(slots, slots.whole(), 2**whole).all()
    tight = (whole > 0)[:, 0]
    assert tight.any() == (name != "servers")
    assert not fits(slots.pick(tight), slots.pick(tight).whole(), 2 ** (whole[tight] - 0.02)).any()
