"""Layouts: what they say of an observation is true of what is observed."""

from __future__ import annotations

import math

import pytest
import torch

from dtlib import EnvConfig, sample_world
from dtlib.model.layouts import (
    Field,
    Layout,
    centre_layout,
    state_layout,
    station_layout,
    twin_layout,
    user_layout,
)
from dtlib.model.observations import (
    global_state,
    observe_centre,
    observe_stations,
    observe_twins,
    observe_users,
)

SIZES = [(1, 1), (4, 3), (7, 5)]


def _seen(users, sites):
    """Each layout with one agent's vectors: [slots, size]."""
    env = EnvConfig(
        num_users=users, num_bs=sites, frame_slots=50, frames=4, migration_slots=2, area_m=300.0
    )
    world = sample_world(env, 6)
    home = torch.arange(world.slots)[:, None] // 50 % sites + torch.zeros_like(world.association)
    queue = torch.rand(1, world.slots, users)
    return {
        "user": (user_layout(env), observe_users(world, env)[0, :, -1]),
        "derived": (
            user_layout(env, derived=True),
            observe_users(world, env, derived=True)[0, :, 0],
        ),
        "station": (station_layout(env), observe_stations(world, home, env)[0, :, -1]),
        "centre": (centre_layout(env), observe_centre(world, env)[0]),
        "twin": (twin_layout(env), observe_twins(world, env)[0, :, 0]),
        "state": (state_layout(env), global_state(world, home, env)[0]),
        "queue": (state_layout(env, queue=True), global_state(world, home, env, queue=queue)[0]),
    }


@pytest.mark.parametrize(("users", "sites"), SIZES)
def test_every_number_is_as_its_field_says(users, sites):
    for layout, seen in _seen(users, sites).values():
        assert seen.shape[-1] == layout.size == len(layout.low)
        assert (seen >= torch.tensor(layout.low) - 1e-6).all()
        parts = layout.split(seen)
        assert list(parts) == [field.name for field in layout]
        for field in layout:
            part = parts[field.name]
            assert part.shape[-1] == field.size == math.prod(field.shape)
            if field.name not in ("log_distance", "log_queue"):
                assert part.max() <= 1 + 1e-6
            if field.flags:
                assert ((part == 0) | (part == 1)).all()
            changed = (part[1:] != part[:-1]).any(-1).float().mean()
            if field.changes == "never":
                assert changed == 0
            if field.changes == "seldom" and field.name != "log_queue":  # random here
                assert changed < 0.2


def test_some_field_of_each_kind_does_change():
    """So that the checks above have something to find."""
    found = {
        field.changes
        for layout, seen in _seen(7, 5).values()
        for field in layout
        if (layout.split(seen)[field.name].diff(dim=0) != 0).any()
    }
    assert found == {"seldom", "always"}


def test_join_is_the_inverse_of_split():
    layout = Layout([Field("b", (2, 3), low=(-1, 0, 0)), Field("a", (4,))])
    vector = torch.rand(5, 6, layout.size)
    parts = layout.split(vector)
    assert torch.equal(parts["a"], vector[..., 6:])
    shaped = {"a": parts["a"], "b": parts["b"].unflatten(-1, (2, 3))}
    assert torch.equal(layout.join(shaped), vector)
    assert layout.low == [-1, 0, 0, -1, 0, 0, 0, 0, 0, 0]
