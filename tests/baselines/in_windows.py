"""Policies that act in windows, one after another, as they act in the whole."""

import torch

from dtlib import simulate
from dtlib.model.simulator import initial_carry


def assert_windows_are_the_whole(policy, world, env, cuts):
    """Act from cut to cut with the carry of what came before, and compare; return the whole."""
    whole, carry = policy.act(world), initial_carry(world)
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        part = world.window(start, stop)
        actions = policy.act(part, carry=carry)
        for name, array in vars(actions).items():
            torch.testing.assert_close(array, getattr(whole, name)[:, start:stop])
        carry = simulate(part, actions, env, carry=carry).carry
    return whole
