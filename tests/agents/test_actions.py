"""From numbers in [0, 1] to watts."""

from functools import partial
from typing import get_args

import pytest
import torch
from draws import seeded
from hypothesis import given
from hypothesis import strategies as st

from dtlib import EnvConfig, TrainConfig
from dtlib.agents.actions import mean_action, power_watts, sample
from dtlib.kernels.batch import TERMS
from dtlib.settings.train import Head

ENV = EnvConfig(num_users=7, num_bs=3, frame_slots=10, frames=6, migration_slots=3)
CONFIG = TrainConfig(env=ENV, hidden_sizes=(16, 8), output_gain=1.0)


def test_power_scales():
    unit, far = torch.tensor([0.0, 0.5, 1.0]), torch.full((3,), 700.0)
    watt = power_watts(unit, distance=far, env=ENV, train=CONFIG)
    assert watt.tolist() == pytest.approx([0, 0.25, 0.5])
    decibel = CONFIG.replace(power_action="decibel", power_range_db=40.0)
    assert power_watts(unit, distance=far, env=ENV, train=decibel).tolist() == pytest.approx(
        [0.5e-4, 0.5e-2, 0.5]
    )


def test_path_loss_powers_by_hand():
    """The mean received power: 10 dB above the noise at 1, 20 dB less at ½, silence at 0."""
    config = CONFIG.replace(power_action="path-loss", power_range_db=40.0, power_top_db=10.0)
    unit = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    near = power_watts(unit, distance=torch.full_like(unit, 100.0), env=ENV, train=config)
    loss = 1e-3 * 100**-2.2
    assert near.tolist() == pytest.approx([0, 1e-9 * 10 * (99 / 9999) / loss, 1e-9 * 10 / loss])
    far = power_watts(unit, distance=torch.full_like(unit, 1000.0), env=ENV, train=config)
    assert far.tolist() == pytest.approx([0, 1e-8 * (99 / 9999) / (1e-3 * 1000**-2.2), 0.5])
    high = config.replace(power_top_db=20.0, power_range_db=10.0)
    close = power_watts(
        unit, distance=torch.ones_like(unit), env=ENV, train=high
    )  # at 1 m the gain is ρ₀
    assert close.tolist() == pytest.approx([0, 1e-4 * (10**0.5 - 1) / 9, 1e-4])


def test_silence_is_silence_however_steep_the_path_loss():
    """Its factor is beyond float32 there."""
    steep, unit = ENV.replace(path_loss_exponent=20.0), torch.tensor([0.0, 0.5, 1.0])
    for silence in ("threshold", "choice"):
        config = CONFIG.replace(power_action="path-loss", silence=silence)
        power = power_watts(unit, distance=torch.full((3,), 700.0), env=steep, train=config)
        assert power.tolist() == [0, 0.5, 0.5]


@given(
    st.floats(0, 1, width=32),
    st.floats(1, 5000, width=32),
    st.sampled_from(["watt", "decibel", "path-loss"]),
    st.floats(5, 80),
    st.floats(-30, 60),
)
def test_powers_are_never_above_the_largest(unit, distance, scale, reach, top):
    config = CONFIG.replace(power_action=scale, power_range_db=reach, power_top_db=top)
    units = torch.tensor([unit, 1.0, 0.0])
    power = power_watts(units, distance=torch.full((3,), distance), env=ENV, train=config)
    assert (power <= ENV.max_power_w).all() and (power >= 0).all()
    assert power[2] <= power[0] <= power[1]


@pytest.mark.parametrize("head", [head for head in get_args(Head) if head != "deterministic"])
def test_draws_are_of_the_density_that_updates_have(head):
    """The mean of the log-density's slope is zero over draws of it, and of no others."""
    raw = torch.tensor([0.7, -0.4], dtype=torch.float64).view(1, 2, 1).expand(1, 2, 200_000)
    drawn = sample(head, list(raw.unbind(1)), seeded(0), noise_variance=0.0)
    given = torch.stack([drawn.log(), (-drawn).log1p()], 1) if head == "beta" else drawn
    slope = TERMS[head](raw, given).slopes(torch.ones_like(drawn), None)[1][0]
    error = slope.std(1) / slope.shape[1] ** 0.5
    assert (slope.mean(1).abs() < 4 * error).all()
    mean = mean_action(head, [raw[:, 0, :1], raw[:, 1, :1]]).item()
    assert drawn.mean().item() == pytest.approx(mean, abs=4 * drawn.std().item() / 200_000**0.5)


@pytest.mark.parametrize(
    "act", [mean_action, partial(sample, generator=seeded(0), noise_variance=0)]
)
def test_an_unknown_head_is_not_taken_for_another(act):
    with pytest.raises(AssertionError, match="kumaraswamy"):
        act("kumaraswamy", [torch.zeros(1), torch.zeros(1)])
