"""The exogenous episode: shapes, ranges, statistics, seeds."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
import torch

from dtlib import ConfigError, EnvConfig, World, sample_world
from dtlib.model.world import bs_positions


@pytest.fixture(scope="module")
def env():
    return EnvConfig(num_users=40, num_bs=5, frame_slots=100, frames=10)


@pytest.fixture(scope="module")
def world(env):
    return sample_world(env, 11, replicas=3, dtype=torch.float64)


def _within(sample, expected, sigmas=4.0):
    """Assert that a sample of independent values has the expected mean."""
    sample = np.asarray(sample, dtype=np.float64).ravel()
    error = sample.std(ddof=1) / math.sqrt(sample.size)
    assert abs(sample.mean() - expected) < sigmas * error, (sample.mean(), expected, error)


def test_other_types_of_numbers_are_refused(env):
    with pytest.raises(ConfigError, match="^dtype = torch.float16: must be torch.float32 or"):
        sample_world(env, 0, dtype=torch.float16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_types(dtype):
    env = EnvConfig(num_users=4, num_bs=3, frame_slots=6, frames=2)
    world = sample_world(env, 0, replicas=2, dtype=dtype)
    lead = (2, 12, 4)
    for name in ("speed", "direction", "data_bits", "cycles_per_bit", "deadline_s"):
        assert getattr(world, name).shape == lead, name
        assert getattr(world, name).dtype == dtype, name
    assert world.position.shape == (*lead, 2) and world.position.dtype == dtype
    assert world.distance.shape == (*lead, 3) and world.distance.dtype == dtype
    assert world.gain.shape == (*lead, 3) and world.gain.dtype == dtype
    assert world.association.shape == lead and world.association.dtype == torch.int64
    assert world.request.shape == lead and world.request.dtype == torch.bool
    assert world.bs_position.shape == (3, 2) and world.bs_position.dtype == dtype
    assert (world.replicas, world.slots) == (2, 12)


def test_one_slot_one_user_one_station():
    env = EnvConfig(num_users=1, num_bs=1, frame_slots=1, frames=1, migration_slots=0)
    assert sample_world(env, 0).gain.shape == (1, 1, 1, 1)


def test_a_replica_is_the_world_of_its_own_seed():
    env = EnvConfig(num_users=5, num_bs=3, frame_slots=10, frames=2)
    for dtype in (torch.float32, torch.float64):
        batch = sample_world(env, 7, replicas=3, dtype=dtype)
        listed = sample_world(env, [9, 7, 8], dtype=dtype)
        for r, place in enumerate([1, 2, 0]):
            alone = sample_world(env, 7 + r, dtype=dtype)
            for field in fields(World)[:-1]:
                one = getattr(alone, field.name)
                assert torch.equal(getattr(batch.replica(r), field.name), one), field.name
                assert torch.equal(getattr(listed.replica(place), field.name), one), field.name


def test_seeds_differ_and_repeat():
    env = EnvConfig(num_users=5, num_bs=3, frame_slots=10, frames=2)
    first, again, other = (sample_world(env, seed) for seed in (1, 1, 2))
    for name in ("position", "gain", "request", "data_bits"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
        assert not torch.equal(getattr(first, name), getattr(other, name)), name
    assert torch.equal(first.position, sample_world(env, np.int64(1)).position)


def test_changing_one_process_leaves_the_others_alone():
    """Sweeps compare the same users: another load must not draw other paths or fading."""
    env = EnvConfig(num_users=5, num_bs=3, frame_slots=10, frames=2)
    base = sample_world(env, 1)
    busy = sample_world(env.replace(request_prob=0.9, data_bits=(1e5, 2e5)), 1)
    for name in ("position", "speed", "direction", "gain", "association", "cycles_per_bit"):
        assert torch.equal(getattr(base, name), getattr(busy, name)), name
    assert (busy.request | ~base.request).all()
    bigger = sample_world(env.replace(area_m=500.0), 1)
    assert torch.equal(base.request, bigger.request)


def test_window_and_replica_are_views(world):
    part = world.window(30, 45)
    assert part.slots == 15 and part.replicas == 3
    assert torch.equal(part.gain, world.gain[:, 30:45])
    assert torch.equal(part.bs_position, world.bs_position)
    assert part.gain.untyped_storage().data_ptr() == world.gain.untyped_storage().data_ptr()
    one = world.replica(2)
    assert torch.equal(one.request, world.request[2:3])
    assert torch.equal(one.position, world.position[2:3])


def test_request_rate(world, env):
    _within(world.request, env.request_prob)
    for prob in (0.0, 1.0):
        extreme = sample_world(env.replace(request_prob=prob, frames=1), 0)
        assert (extreme.request == bool(prob)).all()


def test_requests_are_independent_in_time_and_across_users(world, env):
    asked = world.request.double().numpy() - env.request_prob
    _within(asked[:, 1:] * asked[:, :-1], 0.0)
    _within(asked[..., 1:] * asked[..., :-1], 0.0)


@pytest.mark.parametrize("name", ["data_bits", "cycles_per_bit", "deadline_s"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_ranges(env, name, dtype):
    env = env.replace(deadline_s=(0.04, 0.05))
    low, high = getattr(env, name)
    values = getattr(sample_world(env.replace(frames=4), 3, dtype=dtype), name).double().numpy()
    unit = (values - low) / (high - low)
    slack = 1e-5 if dtype == torch.float32 else 1e-12
    assert unit.min() >= -slack and unit.max() <= 1 + slack
    assert unit.min() < 0.01 and unit.max() > 0.99
    _within(unit, 0.5)
    _within((unit - 0.5) ** 2, 1 / 12)
    np.testing.assert_allclose(np.histogram(unit, 10, (0, 1))[0] / unit.size, 0.1, atol=0.012)


def test_a_range_of_one_value_is_that_value(env):
    fixed = env.replace(data_bits=(2e4, 2e4), speed_mps=(3.0, 3.0), speed_std_mps=0.0, frames=1)
    world = sample_world(fixed, 0)
    assert (world.data_bits == 2e4).all()
    assert (world.deadline_s == 0.05).all()
    assert (world.speed == 3.0).all()


def test_distances_and_association_are_those_of_the_positions(world, env):
    offset = world.position.unsqueeze(-2) - world.bs_position
    length = offset.pow(2).sum(-1).sqrt()
    torch.testing.assert_close(world.distance, length.clamp_min(env.min_distance_m))
    served = length.gather(-1, world.association.unsqueeze(-1)).squeeze(-1)
    assert torch.equal(served, length.min(-1).values)
    assert len(world.association.unique()) == env.num_bs


def test_distances_are_at_least_the_least():
    env = EnvConfig(num_users=30, num_bs=2, area_m=3.0, frame_slots=10, frames=1)
    world = sample_world(env, 0, dtype=torch.float64)
    offset = world.position.unsqueeze(-2) - world.bs_position
    length = offset.pow(2).sum(-1).sqrt()
    assert (length < 1).any() and (world.distance >= 1).all()
    torch.testing.assert_close(world.distance, length.clamp_min(1.0))


def test_rician_power_of_a_world(world, env):
    """Mean ρ₀ d^−φ and variance (1+2κ)/(1+κ)² of its square; independent in time, users, BSs."""
    scale = env.ref_gain * world.distance**-env.path_loss_exponent
    fading = (world.gain / scale).numpy()
    kappa = env.rician_factor
    _within(fading, 1.0)
    _within((fading - 1) ** 2, (1 + 2 * kappa) / (1 + kappa) ** 2)
    _within((fading[:, 1:] - 1) * (fading[:, :-1] - 1), 0.0)
    _within((fading[:, :, 1:] - 1) * (fading[:, :, :-1] - 1), 0.0)
    _within((fading[..., 1:] - 1) * (fading[..., :-1] - 1), 0.0)


def test_no_scatter_leaves_the_path_loss(env):
    world = sample_world(env.replace(rician_factor=1e14, frames=1), 0, dtype=torch.float64)
    expected = env.ref_gain * world.distance**-env.path_loss_exponent
    torch.testing.assert_close(world.gain, expected, rtol=1e-5, atol=0)


def test_speed_is_stationary_with_its_mean_deviation_and_memory():
    env = EnvConfig(
        num_users=400, num_bs=1, frame_slots=100, frames=2, speed_mps=(6.0, 6.0), speed_memory=0.8,
        speed_std_mps=0.7,
    )  # fmt: skip
    speed = sample_world(env, 4, dtype=torch.float64).speed[0].numpy() - 6.0
    for n in (0, 1, 50, 199):  # users are independent, slots are not
        _within(speed[n], 0.0)
        _within(speed[n] ** 2, 0.49)
    for lag in (1, 2, 5, 10):
        _within(speed[30] * speed[30 + lag], 0.49 * 0.8**lag)
        pooled = (speed[lag:] * speed[:-lag]).mean(0)  # one value per independent user
        _within(pooled, 0.49 * 0.8**lag)


def test_with_a_memory_of_one_nothing_changes():
    """The paper has 0 ≤ μ ≤ 1."""
    env = EnvConfig(num_users=4, frames=1, speed_memory=1, heading_memory=1, area_m=1e6)
    world = sample_world(env, 0)
    for path in (world.speed[0], world.direction[0]):
        assert (path == path[0]).all()


def test_mean_speeds_are_uniform_in_their_range():
    env = EnvConfig(num_users=2000, num_bs=1, frame_slots=1, frames=1, migration_slots=0)
    mean = sample_world(env.replace(speed_std_mps=0.0), 0, dtype=torch.float64).speed[0, 0].numpy()
    low, high = env.speed_mps
    assert low <= mean.min() < low + 0.1 and high - 0.1 < mean.max() <= high
    _within(mean, (low + high) / 2)
    _within((mean - 6) ** 2, (high - low) ** 2 / 12)


def test_heading_turns_with_its_deviation_and_memory():
    """Seen where no wall is near: the step from slot to slot of an AR(1) path."""
    env = EnvConfig(
        num_users=500, num_bs=1, frame_slots=30, frames=1, area_m=1e6, heading_memory=0.7,
        heading_std_rad=0.4, migration_slots=0,
    )  # fmt: skip
    heading = np.unwrap(sample_world(env, 2, dtype=torch.float64).direction[0].numpy(), axis=0)
    turn = heading[1] - heading[0]
    _within(turn, 0.0)
    _within(turn**2, 2 * 0.16 * (1 - 0.7))
    far = heading[20] - heading[0]
    _within(far**2, 2 * 0.16 * (1 - 0.7**20))
    _within(np.cos(heading[0]), 0.0)
    _within(np.sin(heading[0]), 0.0)


def test_positions_move_by_the_velocity_and_stay_inside(world, env):
    assert (world.position >= 0).all() and (world.position <= env.area_m).all()
    step = world.position.diff(dim=1)
    unit = torch.stack([world.direction.cos(), world.direction.sin()], -1)
    expected = (world.speed.unsqueeze(-1) * unit * env.slot_s)[:, :-1]
    inner = ((world.position > 2) & (world.position < env.area_m - 2)).all(-1)[:, :-1]
    torch.testing.assert_close(step[inner], expected[inner], rtol=0, atol=1e-9)
    assert inner.double().mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_small_area_is_never_left_and_evenly_filled(dtype):
    """The uniform density is kept by reflection: a tenth of the area holds a tenth of the users."""
    env = EnvConfig(num_users=300, num_bs=1, area_m=5.0, frame_slots=100, frames=3)
    position = sample_world(env, 0, dtype=dtype).position
    assert (position >= 0).all() and (position <= 5).all()
    for n in (0, 299):
        _within((position[0, n] < 0.5).double(), 0.1)
        _within((position[0, n] > 4.5).double(), 0.1)
        _within(position[0, n], 2.5)


@pytest.mark.parametrize("layout", ["spread", "random"])
@pytest.mark.parametrize("sites", range(1, 10))
def test_base_stations(layout, sites):
    env = EnvConfig(num_bs=sites, bs_layout=layout)
    points = bs_positions(env)
    assert points.shape == (sites, 2)
    assert (points > 0).all() and (points < env.area_m).all()
    gaps = [math.dist(a, b) for i, a in enumerate(points) for b in points[:i]]
    assert min(gaps, default=1) > 0
    if layout == "spread":
        assert min(gaps, default=1000) > 0.5 * env.area_m / math.sqrt(sites)
    half = bs_positions(env.replace(area_m=500.0))
    np.testing.assert_allclose(half, points / 2)


def test_base_stations_of_a_seed():
    env = EnvConfig(bs_layout="random")
    assert not np.array_equal(bs_positions(env), bs_positions(env.replace(bs_seed=1)))
    one, two = (sample_world(env.replace(frames=1), seed).bs_position for seed in (0, 1))
    assert torch.equal(one, two)


def test_base_station_positions_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        bs_positions(EnvConfig())[0] = 0
