"""Gauss–Markov mobility, eqs. (1)–(4), and reflection at the border."""

from __future__ import annotations

import math

import numpy as np
import pytest
from by_loops import walk_with_reflections
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from dtlib.model.mobility import fold, gauss_markov, reflect_heading, travel


@given(
    st.floats(0, 0.99),
    st.floats(0, 5),
    st.integers(1, 12),
    st.integers(0, 2**31),
)
def test_gauss_markov_is_the_recurrence(memory, std, slots, seed):
    rng = np.random.default_rng(seed)
    mean, initial = rng.normal(size=(2, 3))
    noise = rng.normal(size=(slots - 1, 3))
    path = gauss_markov(mean, memory=memory, std=std, noise=noise, initial=initial)
    assert path.shape == (slots, 3)
    for k in range(3):
        value = initial[k]
        for n in range(slots):
            if n > 0:
                phi = std * noise[n - 1, k]
                value = memory * value + (1 - memory) * mean[k] + math.sqrt(1 - memory**2) * phi
            assert path[n, k] == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_no_noise_stays_at_the_mean():
    mean = np.array([3.0, -1.0])
    path = gauss_markov(mean, memory=0.9, std=0.0, noise=np.ones((20, 2)), initial=mean)
    np.testing.assert_array_equal(path, np.broadcast_to(mean, (21, 2)))


def test_travel_uses_the_velocity_of_the_slot_before():
    start = np.array([[0.0, 0.0]])
    speed = np.array([[1.0], [2.0], [99.0]])
    heading = np.array([[0.0], [np.pi / 2], [1.0]])
    path = travel(start, speed=speed, heading=heading, slot_s=0.5)
    np.testing.assert_allclose(path[:, 0], [[0, 0], [0.5, 0], [0.5, 1.0]], atol=1e-15)
    np.testing.assert_array_equal(
        travel(start, speed=speed[:1], heading=heading[:1], slot_s=0.5), start[None]
    )


@given(st.floats(-1e4, 1e4), st.floats(0.1, 1e3))
def test_fold_stays_inside_and_mirrors(position, width):
    inside, sign = fold(np.array(position), width)
    assert 0 <= inside <= width
    x, direction = position, 1
    while not 0 <= x <= width:
        x, direction = (-x if x < 0 else 2 * width - x), -direction
    assert inside == pytest.approx(x, abs=1e-8)
    if 1e-6 < x < width - 1e-6:
        assert sign == direction


def test_fold_by_hand():
    inside, sign = fold(np.array([-3.0, 4.0, 12.0, 23.0, -12.0]), 10.0)
    np.testing.assert_allclose(inside, [3, 4, 8, 3, 8])
    np.testing.assert_array_equal(sign, [-1, 1, -1, 1, 1])


@given(
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([1.0, 10.0, 300.0]),
)
def test_folded_path_is_the_walk_that_bounces(seed, memory, std, fastest):
    """Position and heading, slot by slot; at 300 m/s a user meets more than one wall in a slot."""
    rng = np.random.default_rng(seed)
    slots, users, width, slot_s = 60, 3, 4.0, 0.05
    speed = rng.uniform(-fastest, fastest, (slots, users))
    mean, initial = rng.uniform(-np.pi, np.pi, (2, users))
    noise = rng.normal(size=(slots - 1, users))
    start = rng.uniform(0, width, (users, 2))
    heading = gauss_markov(mean, memory=memory, std=std, noise=noise, initial=initial)
    position, sign = fold(travel(start, speed=speed, heading=heading, slot_s=slot_s), width)
    direction = reflect_heading(heading, sign)
    assert (np.abs(direction) <= np.pi).all()
    for k in range(users):
        where, towards = walk_with_reflections(
            *start[k], speed[:, k].tolist(), mean[k], initial[k], memory, std,
            noise[:, k].tolist(), slot_s, width,
        )  # fmt: skip
        np.testing.assert_allclose(position[:, k], where, atol=1e-9)
        np.testing.assert_allclose(np.cos(direction[:, k]), np.cos(towards), atol=1e-9)
        np.testing.assert_allclose(np.sin(direction[:, k]), np.sin(towards), atol=1e-9)


def test_reflected_heading_is_the_way_it_goes():
    rng = np.random.default_rng(1)
    heading = rng.uniform(-np.pi, np.pi, (200, 2))
    speed = np.full((200, 2), 5.0)
    position, sign = fold(
        travel(np.full((2, 2), 3.0), speed=speed, heading=heading, slot_s=0.1), 6.0
    )
    direction = reflect_heading(heading, sign)
    step = np.diff(position, axis=0)
    straight = (sign[1:] == sign[:-1]).all(-1)
    expected = 0.5 * np.stack([np.cos(direction), np.sin(direction)], -1)[:-1]
    assert 0.5 < straight.mean() < 1
    np.testing.assert_allclose(step[straight], expected[straight], atol=1e-9)


@pytest.mark.parametrize("memory", [0.0, 0.3, 0.999])
def test_the_path_is_scipys_filter_in_every_bit(memory):
    rng = np.random.default_rng(3)
    mean, noise = rng.standard_normal(4), rng.standard_normal((99, 4))
    drive = np.concatenate([(1 - mean)[None], np.sqrt(1 - memory**2) * 0.7 * noise])
    found = gauss_markov(mean, memory=memory, std=0.7, noise=noise, initial=np.ones(4))
    assert np.array_equal(found, mean + lfilter([1.0], [1.0, -memory], drive, axis=0))
