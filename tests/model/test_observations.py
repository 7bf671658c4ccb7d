"""What agents see, eqs. (20), (22) and (24), against loops; and that requests do not leak."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from dtlib import EnvConfig, sample_world
from dtlib.model.layouts import station_layout, twin_layout, user_layout
from dtlib.model.observations import (
    global_state,
    observe_centre,
    observe_stations,
    observe_twins,
    observe_users,
)

SIZES = [(1, 1), (4, 3), (7, 5)]


def _network(users=4, sites=3):
    env = EnvConfig(
        num_users=users, num_bs=sites, frame_slots=8, frames=2, migration_slots=2, area_m=400.0,
        deadline_s=(0.04, 0.05),
    )  # fmt: skip
    world = sample_world(env, 6, replicas=2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    home = torch.randint(0, sites, world.request.shape, generator=generator)
    return env, world, home


def _unit(position, env):
    return [2 * position[0].item() / env.area_m - 1, 2 * position[1].item() / env.area_m - 1]


def _sites(world, env):
    return [value for site in world.bs_position for value in _unit(site, env)]


def _request(world, env, at):
    if not world.request[at]:
        return [0.0, 0.0, 0.0]
    return [
        world.data_bits[at].item() / env.data_bits[1],
        world.cycles_per_bit[at].item() / env.cycles_per_bit[1],
        world.deadline_s[at].item() / env.deadline_s[1],
    ]


def _slots(world):
    return [(0, 0), (1, 5), (1, world.slots - 1)]


def _close(got, expected):
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(("users", "sites"), SIZES)
def test_what_users_derive_by_loops(users, sites):
    """The request within its ranges, then log-distances: computed here from the positions."""
    env, world, _ = _network(users, sites)
    bare, got = observe_users(world, env), observe_users(world, env, derived=True)
    assert got.shape[-1] == user_layout(env, derived=True).size == user_layout(env).size + sites + 4
    assert torch.equal(got[..., : user_layout(env).size], bare)
    for r, n in _slots(world):
        for k in range(users):
            request = [0.0, 0.0, 0.0]
            if world.request[r, n, k]:
                request = [
                    2 * (getattr(world, name)[r, n, k].item() - low) / (high - low) - 1
                    for name, (low, high) in (
                        ("data_bits", env.data_bits),
                        ("cycles_per_bit", env.cycles_per_bit),
                        ("deadline_s", env.deadline_s),
                    )
                ]
            place = world.position[r, n, k].tolist()
            lengths = [math.dist(place, site) for site in world.bs_position.tolist()]
            logs = [math.log10(max(length, 1.0)) - 2 for length in lengths]
            _close(got[r, n, k, user_layout(env).size :], [*request, min(logs), *logs])


def test_a_range_of_no_width_derives_to_zero():
    for column, (name, value) in enumerate(
        {"data_bits": (2e4, 2e4), "deadline_s": (0.05,) * 2}.items()
    ):
        env = EnvConfig.named(
            "work-conserving", num_users=3, num_bs=2, frame_slots=8, frames=2, **{name: value}
        )
        world = sample_world(env, 0)
        request = observe_users(world, env, derived=True)[..., user_layout(env).size :][..., :3]
        of_width = [one for one in range(3) if one != 2 * column]
        assert not request[..., 2 * column].any()
        assert request[..., of_width][world.request].abs().min() > 0


def test_types_follow_the_world_and_values_are_scaled():
    env = EnvConfig(num_users=6, num_bs=3, frame_slots=20, frames=2)
    world = sample_world(env, 0)
    home = world.association
    for array in (
        observe_users(world, env),
        observe_users(world, env, derived=True),
        observe_stations(world, home, env),
        observe_centre(world, env),
        observe_twins(world, env),
        global_state(world, home, env),
    ):
        assert array.dtype == torch.float32
        assert (array.abs() <= 1 + 1e-6).all()
        assert array.std() > 0.1


@pytest.mark.parametrize(("users", "sites"), SIZES)
def test_users_by_loops(users, sites):
    env, world, _ = _network(users, sites)
    got = observe_users(world, env)
    for r, n in _slots(world):
        for k in range(users):
            expected = [
                (k + 1) / users,
                *_sites(world, env),
                *_unit(world.position[r, n, k], env),
                *_request(world, env, (r, n, k)),
            ]
            _close(got[r, n, k], expected)


@pytest.mark.parametrize(("users", "sites"), SIZES)
def test_stations_by_loops(users, sites):
    env, world, home = _network(users, sites)
    got = observe_stations(world, home, env)
    for r, n in _slots(world):
        for m in range(sites):
            asks = [world.request[r, n, k].item() for k in range(users)]
            near = [world.association[r, n, k].item() for k in range(users)]
            lives = [home[r, n, k].item() for k in range(users)]
            here = [float(asks[k] and near[k] == m) for k in range(users)]
            about, where = [], []
            for k in range(users):
                place = _unit(world.position[r, n, k], env) if asks[k] else [0.0, 0.0]
                about += [*place, *_request(world, env, (r, n, k))]
                where += [float(here[k] and lives[k] == j) for j in range(sites)]
            hosted = [float(asks[k] and lives[k] == m) for k in range(users)]
            head = [(m + 1) / sites, *_sites(world, env)]
            _close(got[r, n, m], [*head, *here, *where, *hosted, *about])


def test_where_a_twin_lives_is_seen_also_where_nothing_is_sent():
    """Unlike ζ, which is 1 for i ≠ j only."""
    env, world, _ = _network(4, 3)
    seen = observe_stations(world, world.association, env)
    fields = station_layout(env).split(seen)
    lives = fields["lives_at"].unflatten(-1, (4, 3))
    assert fields["associated"].any() and torch.equal(lives.sum(-1), fields["associated"])
    own = lives.diagonal(dim1=2, dim2=4)  # of base station m, at server m
    assert torch.equal(own.sum(-1), lives.sum((2, 4)))


@pytest.mark.parametrize(("users", "sites"), SIZES)
def test_centre_and_state_by_loops(users, sites):
    env, world, home = _network(users, sites)
    queue = 10 * torch.rand(2, world.slots, users, dtype=torch.float64)
    centre, state = observe_centre(world, env), global_state(world, home, env, queue=queue)
    bare = global_state(world, home, env)
    for r, n in _slots(world):
        near, lives, places, tasks = [], [], [], []
        for k in range(users):
            near += [float(world.association[r, n, k] == m) for m in range(sites)]
            lives += [float(home[r, n, k] == m) for m in range(sites)]
            places += _unit(world.position[r, n, k], env)
            tasks += _request(world, env, (r, n, k))
        head = [*near, *_sites(world, env)]
        _close(centre[r, n], [*head, *places])
        waiting = torch.log1p(queue[r, n]).tolist()
        _close(state[r, n], [*head, *lives, *waiting, *places, *tasks])
        _close(bare[r, n], [*head, *lives, *places, *tasks])


@pytest.mark.parametrize(("users", "sites"), SIZES)
def test_twins_by_loops(users, sites):
    env, world, _ = _network(users, sites)
    got = observe_twins(world, env)
    assert got.shape == (2, world.slots, users, twin_layout(env).size)
    for r, n in _slots(world):
        near = world.association[r, n].tolist()
        load = [near.count(m) / users for m in range(sites)]
        for k in range(users):
            own = [float(near[k] == m) for m in range(sites)]
            place = _unit(world.position[r, n, k], env)
            _close(got[r, n, k], [(k + 1) / users, *_sites(world, env), *own, *load, *place])


def test_data_of_users_without_a_request_is_seen_by_nobody():
    """Other sizes, cycles, deadlines and positions where nobody asks change nothing they see."""
    env, world, home = _network(7, 3)
    asks = world.request
    other = replace(
        world,
        data_bits=torch.where(asks, world.data_bits, 1.0),
        cycles_per_bit=torch.where(asks, world.cycles_per_bit, 2.0),
        deadline_s=torch.where(asks, world.deadline_s, 3.0),
    )
    assert not torch.equal(other.data_bits, world.data_bits)
    for derived in (False, True):
        one, two = (observe_users(each, env, derived=derived) for each in (world, other))
        assert torch.equal(one, two)
    assert torch.equal(global_state(world, home, env), global_state(other, home, env))
    assert (observe_users(world, env)[..., -3:][~asks] == 0).all()
    assert (observe_users(world, env)[..., -3:][asks] > 0).all()

    away = replace(
        other,
        position=torch.where(asks.unsqueeze(-1), world.position, 5.0),
        association=torch.where(asks, world.association, (world.association + 1) % 3),
    )
    moved = torch.where(asks, home, (home + 1) % 3)
    assert torch.equal(observe_stations(world, home, env), observe_stations(away, moved, env))


def test_fading_is_seen_by_nobody():
    env, world, home = _network()
    other = replace(world, gain=world.gain * 2, speed=world.speed * 2, direction=-world.direction)
    assert torch.equal(observe_users(world, env), observe_users(other, env))
    assert torch.equal(observe_stations(world, home, env), observe_stations(other, home, env))
    assert torch.equal(global_state(world, home, env), global_state(other, home, env))


def test_the_centre_sees_no_request_and_no_deployment():
    env, world, _ = _network()
    quiet = replace(world, request=torch.zeros_like(world.request))
    assert torch.equal(observe_centre(world, env), observe_centre(quiet, env))
    assert torch.equal(observe_twins(world, env), observe_twins(quiet, env))


def test_a_window_sees_what_the_episode_sees():
    env, world, home = _network(7, 5)
    part, stay = world.window(3, 9), home[:, 3:9]
    assert torch.equal(observe_users(part, env), observe_users(world, env)[:, 3:9])
    assert torch.equal(
        observe_stations(part, stay, env), observe_stations(world, home, env)[:, 3:9]
    )
    assert torch.equal(global_state(part, stay, env), global_state(world, home, env)[:, 3:9])
