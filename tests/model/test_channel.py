"""Rician gain, SINR and rate, eqs. (5)–(8)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from by_loops import power_gain
from hypothesis import given
from hypothesis import strategies as st

from dtlib.model.channel import heard, needed_sinr, own_gain, rate, rician_gain, sinr


@given(
    st.floats(1, 1500),
    st.floats(-4, 4),
    st.floats(-4, 4),
    st.floats(1e-5, 1),
    st.floats(2, 4),
    st.floats(0, 100),
)
def test_gain_with_complex_numbers(distance, real, imaginary, ref_gain, exponent, factor):
    expected = power_gain(distance, complex(real, imaginary), ref_gain, exponent, factor)
    place = {"ref_gain": ref_gain, "exponent": exponent, "rician_factor": factor}
    scatter = np.array([real, imaginary])
    got = rician_gain(np.array(distance), scatter=scatter, **place)
    assert got == pytest.approx(expected, rel=1e-10, abs=1e-25)
    tensor = torch.tensor(distance, dtype=torch.float64)
    got = rician_gain(tensor, scatter=torch.from_numpy(scatter), **place)
    assert got.item() == pytest.approx(expected, rel=1e-6, abs=1e-25)


@pytest.mark.parametrize("factor", [0.0, 1.0, 10.0])
def test_rician_moments(factor):
    """E|h|² = ρ₀ d^−φ, Var|h|² = (ρ₀ d^−φ)² (1 + 2κ)/(1 + κ)², within four standard errors."""
    count = 200_000
    scatter = np.random.default_rng(3).normal(size=(count, 2)) * math.sqrt(0.5)
    power = rician_gain(
        np.full(count, 50.0), scatter=scatter, ref_gain=1e-3, exponent=2.2, rician_factor=factor
    ) / (1e-3 * 50.0**-2.2)
    variance = (1 + 2 * factor) / (1 + factor) ** 2
    assert power.mean() == pytest.approx(1, abs=4 * math.sqrt(variance / count))
    square = (power - power.mean()) ** 2
    assert square.mean() == pytest.approx(variance, abs=4 * square.std() / math.sqrt(count))


def _example():
    power = torch.tensor([0.5, 0.2, 0.0, 0.3], dtype=torch.float64)
    gain = torch.tensor([[4.0, 1.0], [2.0, 8.0], [5.0, 1.0], [0.5, 3.0]], dtype=torch.float64)
    return power, gain, torch.tensor([0, 1, 0, 1])


def test_sinr_at_the_receiver_by_hand():
    power, gain, association = _example()
    got = sinr(power, gain=gain, association=association, noise_w=0.1, interference="receiver")
    # At station 0 arrive 2.0, 0.4, 0 and 0.15 W, at station 1 0.5, 1.6, 0 and 0.9 W.
    expected = [2.0 / 0.65, 1.6 / 1.5, 0.0, 0.9 / 2.2]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


def test_sinr_by_the_letter_by_hand():
    power, gain, association = _example()
    got = sinr(power, gain=gain, association=association, noise_w=0.1, interference="eq7")
    # Each at its own station: 2.0, 1.6, 0 and 0.9 W.
    expected = [2.0 / 2.6, 1.6 / 3.0, 0.0, 0.9 / 3.7]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("interference", ["receiver", "eq7"])
def test_one_station_makes_the_readings_equal(interference):
    power, gain, _ = _example()
    got = sinr(
        power,
        gain=gain[:, :1],
        association=torch.zeros(4, dtype=torch.long),
        noise_w=0.1,
        interference=interference,
    )
    received = (power * gain[:, 0]).tolist()
    expected = [one / (sum(received) - one + 0.1) for one in received]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("interference", ["receiver", "eq7"])
def test_a_near_user_does_not_drown_the_noise_in_float32(interference):
    """Subtracting the own signal from the sum must not leave rounding errors of its size."""
    generator = torch.Generator().manual_seed(0)
    gain = 1e-3 * torch.rand(50, 20, 3, generator=generator) ** 8
    gain[:, 0, :] = 1.0
    power = torch.rand(50, 20, generator=generator)
    association = torch.randint(0, 3, (50, 20), generator=generator)
    exact = sinr(
        power.double(),
        gain=gain.double(),
        association=association,
        noise_w=1e-9,
        interference=interference,
    )
    got = sinr(power, gain=gain, association=association, noise_w=1e-9, interference=interference)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sinr_of_a_slot_does_not_depend_on_the_others(dtype):
    generator = torch.Generator().manual_seed(1)
    for users, sites in [(1, 1), (7, 3), (30, 5), (60, 7), (33, 1)]:
        power = torch.rand(3, 50, users, generator=generator).to(dtype)
        gain = torch.rand(3, 50, users, sites, generator=generator).to(dtype)
        association = torch.randint(0, sites, (3, 50, users), generator=generator)
        whole = sinr(power, gain=gain, association=association, noise_w=1e-9)
        for n in (0, 17, 49):
            alone = sinr(power[1, n], gain=gain[1, n], association=association[1, n], noise_w=1e-9)
            assert torch.equal(whole[1, n], alone)


@pytest.mark.parametrize("interference", ["receiver", "eq7"])
def test_what_is_heard_is_what_the_sinr_is_made_of(interference):
    power, gain = torch.rand(2, 3, 4), torch.rand(2, 3, 4, 5)
    association = gain.argmax(-1)
    signal, others = heard(power, gain=gain, association=association, interference=interference)
    assert torch.equal(signal, power * own_gain(gain, association))
    assert others.dtype == torch.float64 and others.shape == signal.shape
    expected = signal / (others + 0.1).float()
    assert torch.equal(
        sinr(power, gain=gain, association=association, noise_w=0.1, interference=interference),
        expected,
    )


def test_own_gain_is_that_of_the_serving_station():
    _, gain, association = _example()
    assert own_gain(gain, association).tolist() == [4.0, 8.0, 5.0, 3.0]


@given(st.floats(0, 1e6))
def test_rate_is_shannon(ratio):
    got = rate(torch.tensor(ratio, dtype=torch.float64), 10e6).item()
    assert got == pytest.approx(10e6 * math.log2(1 + ratio), rel=1e-12, abs=1e-7)
    tiny = rate(torch.tensor(ratio * 1e-20, dtype=torch.float64), 1.0).item()
    assert tiny == pytest.approx(ratio * 1e-20 / math.log(2), rel=1e-12)


@given(st.floats(1e3, 1e6), st.floats(1e-4, 1e-1))
def test_needed_sinr_is_just_in_time(bits, seconds):
    size, left = (torch.tensor(value, dtype=torch.float64) for value in (bits, seconds))
    needed = needed_sinr(size, seconds=left, bandwidth_hz=10e6)
    assert float(rate(needed, 10e6)) * seconds == pytest.approx(bits, rel=1e-9)


def test_needed_sinr_by_hand():
    bits, seconds = torch.tensor([2e4, 2e4, 2e4, 2e4, 0.0]), torch.tensor([2e-3, 1e-3, 0, -1, 1])
    expected = [1.0, 3.0, math.inf, math.inf, 0.0]
    assert needed_sinr(bits, seconds=seconds, bandwidth_hz=10e6).tolist() == pytest.approx(expected)
