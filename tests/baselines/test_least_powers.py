"""Least powers against the equations of all users, in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from by_loops import powers_by_users
from free_twins import READINGS
from hypothesis import given
from hypothesis import strategies as st

from dtlib.baselines.least_powers import Receivers, signal_part
from dtlib.model.channel import sinr

NOISE_W = 1e-9


def double(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def least_powers(target, gain, near, reading):
    """Powers that reach SINRs, W."""
    receivers = Receivers.of(gain, association=near, noise_w=NOISE_W, interference=reading)
    return receivers.least_powers(target.log1p())


@st.composite
def radios(draw):
    """Gains of a few users at a few stations over four decades, and targets from idle to absurd.

    No parts Γ/(1 + Γ) of these add up to 1, where a rounding error decides whether powers exist.
    """
    users, sites = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    exponent = st.floats(-11, -7)
    gain = [[10 ** draw(exponent) for _ in range(sites)] for _ in range(users)]
    near = [draw(st.integers(0, sites - 1)) for _ in range(users)]
    target = [draw(st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.9, 5.0])) for _ in range(users)]
    return target, gain, near


@pytest.mark.parametrize("reading", READINGS)
@given(radio=radios())
def test_least_powers_solve_the_equations_of_all_users(reading, radio):
    target, gain, near = radio
    wanted, gains, stations = double(target), double(gain), torch.tensor(near)
    got = least_powers(wanted, gains, stations, reading)
    expected = powers_by_users(wanted.tolist(), gain, near, NOISE_W, reading)
    if expected is None:
        assert (got[wanted > 0] == math.inf).all() and (got[wanted == 0] == 0).all()
    else:
        expected = np.where(wanted > 0, expected, 0)  # what silent users have is rounding
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-9)
        reached = sinr(got, gain=gains, association=stations, noise_w=NOISE_W, interference=reading)
        torch.testing.assert_close(reached, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reading", READINGS)
def test_powers_end_where_the_spectral_radius_is_one(reading):
    """Both sides of the limit, found by bisection in the equations of all users."""
    generator = torch.Generator().manual_seed(4)
    gain = 10 ** (-10 + 3 * torch.rand(40, 6, 3, generator=generator, dtype=torch.float64))
    near = torch.randint(0, 3, (40, 6), generator=generator)
    shape = torch.rand(40, 6, generator=generator, dtype=torch.float64) + 0.1
    limit = []
    for n in range(40):
        low, high = 0.0, 100.0
        for _ in range(60):
            middle = (low + high) / 2
            target = (middle * shape[n]).tolist()
            found = powers_by_users(target, gain[n].tolist(), near[n].tolist(), NOISE_W, reading)
            low, high = (low, middle) if found is None else (middle, high)
        limit.append(low)
    limit = double(limit)[:, None]
    for factor, exist in ((1 - 1e-6, True), (1 + 1e-6, False)):
        powers = least_powers(factor * limit * shape, gain, near, reading)
        assert (powers.isfinite() == exist).all() and (powers > 0).all()


def test_parts_of_what_is_received():
    """c = Γ/(1 + Γ): nothing of the silent, all of what has no time left."""
    target = double([0.0, 0.25, 1.0, 4.0, math.inf])
    assert signal_part(target.log1p()).tolist() == pytest.approx([0, 0.2, 0.5, 0.8, 1])


@pytest.mark.parametrize("reading", READINGS)
def test_without_time_nobody_is_heard_but_the_silent_stay_silent(reading):
    gain, near = double([[3.0, 1.0], [1.0, 2.0], [2.0, 2.0]]), torch.tensor([0, 1, 1])
    powers = least_powers(double([math.inf, 0.1, 0.0]), gain, near, reading)
    assert powers.tolist() == [math.inf, math.inf, 0]


@pytest.mark.parametrize("reading", READINGS)
def test_harm_is_what_more_noise_costs(reading):
    """A signal is noise to all others, at each station as loud as it is there."""
    generator = torch.Generator().manual_seed(1)
    gain, part, slope = (
        torch.rand(shape, generator=generator, dtype=torch.float64) for shape in ((6, 3), 6, 6)
    )
    near = torch.tensor([0, 1, 2, 0, 1, 0])
    receivers = Receivers.of(gain, association=near, noise_w=NOISE_W, interference=reading)
    coupling = receivers.coupling(0.1 * part)
    own = gain[range(6), near]
    if reading == "eq7":
        gain, near = own[:, None], torch.zeros_like(near)
    inverse = np.linalg.inv(np.eye(len(coupling)) - coupling.numpy())
    cost = [
        slope.numpy() @ (inverse @ (heard / mine))[near]
        for heard, mine in zip(gain.numpy(), own.numpy(), strict=True)
    ]
    np.testing.assert_allclose(receivers.harm(coupling, slope).numpy(), cost, rtol=1e-12)
