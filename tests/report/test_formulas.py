"""What a browser computes is what the model says."""

import altair as alt
import numpy as np
import pytest
import torch
from pictures import texts
from scipy import stats

from dtlib import EnvConfig
from dtlib.model import channel
from dtlib.report import formulas, scales, sliders
from dtlib.studies import readings

OTHERS = [
    {},
    {"cpu_hz": 5e9},
    {"data_bits": (10e3, 30e3), "deadline_s": (0.04, 0.04)},
    {"cycles_per_bit": (300.0, 900.0)},
]


@pytest.mark.parametrize("changes", OTHERS)
def test_thresholds_are_the_librarys(changes):
    env = EnvConfig(**changes)
    ends = [
        formulas.threshold(
            env.cpu_hz,
            env.deadline_s[1],
            bits=env.data_bits[i],
            cycles_per_bit=env.cycles_per_bit[i],
        )
        for i in (1, 0)
    ]
    assert ends == pytest.approx(readings.thresholds(env))


@pytest.mark.parametrize("changes", OTHERS)
@pytest.mark.parametrize("users", [10, 25, 33, 40, 55, 80])
def test_what_is_too_big_is_the_librarys(changes, users):
    """Of each data size, whose cycles per bit are uniform, the share that takes too long."""
    env = EnvConfig(num_users=users, **changes)
    (small, big), (few, many) = env.data_bits, env.cycles_per_bit
    bits = small + (big - small) * (np.arange(4000) + 0.5) / 4000
    most = env.deadline_s[1] / scales.slice_seconds(bits, 1.0, env)
    expected = np.clip((many - most) / (many - few), 0, 1).mean()
    assert scales.too_big(env) == pytest.approx(expected, abs=1e-6)


def test_a_size_that_is_fixed_is_too_big_or_is_not():
    fixed = {"data_bits": (20e3, 20e3), "cycles_per_bit": (600.0, 600.0)}
    shares = [scales.too_big(EnvConfig(num_users=users, **fixed)) for users in (40, 43)]
    assert shares == pytest.approx([0, 1], abs=1e-6), "12e6 cycles, 12.5e6 and 11.6e6 fit"


def test_the_least_power_is_just_enough():
    env = EnvConfig()
    gain = channel.mean_gain(200.0, ref_gain=env.ref_gain, exponent=env.path_loss_exponent)
    power = formulas.least_power(
        20e3, 0.002, bandwidth_hz=env.bandwidth_hz, gain=gain, noise_w=env.noise_w
    )
    rate = channel.rate(torch.tensor([power * gain / env.noise_w]), env.bandwidth_hz)
    assert rate.item() * 0.002 == pytest.approx(20e3, rel=1e-4)


def test_the_gain_is_the_channels_mean():
    scatter = np.random.default_rng(0).normal(0, 0.5**0.5, (20_000, 2))
    drawn = channel.rician_gain(
        200.0, scatter=scatter, ref_gain=1e-3, exponent=2.2, rician_factor=10.0
    )
    assert channel.mean_gain(200.0, ref_gain=1e-3, exponent=2.2) == pytest.approx(
        drawn.mean(), rel=0.02
    )


@pytest.mark.parametrize("shape", [(1.7, 1.7), (2.0, 12.0)])
def test_moments_of_beta(shape):
    law = stats.beta(*shape)
    assert formulas.beta_moments(*shape) == pytest.approx((law.mean(), law.var()))


COMPUTED = {
    "threshold": (
        lambda f, t, d, c: formulas.threshold(f, t, bits=d, cycles_per_bit=c),
        (10e9, 0.047, 25e3, 700.0),
    ),
    "gain": (
        lambda d, g, e: channel.mean_gain(d, ref_gain=g, exponent=e),
        (180.0, 1e-3, 2.2),
    ),
    "least power": (
        lambda d, t, b, g, n: formulas.least_power(d, t, bandwidth_hz=b, gain=g, noise_w=n),
        (20e3, 0.002, 10e6, 1e-8, 1e-9),
    ),
    "mean": (lambda a, b: formulas.beta_moments(a, b)[0], (2.0, 5.0)),
    "variance": (lambda a, b: formulas.beta_moments(a, b)[1], (2.0, 5.0)),
    "too big": (
        lambda cycles, a, b, c, d, **functions: formulas.share_too_big(
            cycles, (a, b), (c, d), **functions
        ),
        (13e6, 15e3, 25e3, 550.0, 700.0),
    ),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_sliders_compute_what_numbers_do(name):
    formula, numbers = COMPUTED[name]
    params = [alt.param(name=f"p{i}", value=number) for i, number in enumerate(numbers)]
    functions = {"log": alt.expr.log, "clamp": alt.expr.clamp} if name == "too big" else {}
    value = alt.expr.format(formula(*params, **functions), ".9e")
    chart = sliders.computed(alt.Chart(alt.InlineData([{}])), text=value)
    chart = chart.mark_text().encode(text="text:N").add_params(*params)
    (text,) = texts(chart)
    assert float(text) == pytest.approx(formula(*numbers), rel=1e-6)
