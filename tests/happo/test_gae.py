"""Generalised advantage estimation against hand calculation and the backward loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dtlib.happo.gae import gae


def backward(reward, value, discount, gae_lambda):
    """The textbook recursion Â[n] = δ[n] + γϱ Â[n+1] on lists."""
    advantage, result = 0.0, []
    for n in reversed(range(len(reward))):
        delta = reward[n] + discount * value[n + 1] - value[n]
        advantage = delta + discount * gae_lambda * advantage
        result.append(advantage)
    return result[::-1]


def column(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_three_slots_by_hand():
    # δ = (1 + ½·1 − ½, 2 + ½·1.5 − 1, 3 + ½·2 − 1.5) = (1, 1.75, 2.5), decay ½·½ = ¼
    advantage = gae(column(1, 2, 3), value=column(0.5, 1, 1.5, 2), discount=0.5, gae_lambda=0.5)
    assert advantage.tolist() == [1 + 0.25 * (1.75 + 0.25 * 2.5), 1.75 + 0.25 * 2.5, 2.5]


def test_four_slots_by_hand_without_discount():
    # γ = ϱ = 1: the rewards to come plus the last value, minus one's own
    advantage = gae(
        column(1, -1, 2, 4), value=column(10, 20, 30, 40, 50), discount=1.0, gae_lambda=1.0
    )
    assert advantage.tolist() == [6 + 50 - 10, 5 + 50 - 20, 6 + 50 - 30, 4 + 50 - 40]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=40),
    st.floats(-5, 5),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_doubling_equals_the_backward_loop(pairs, last, discount, gae_lambda):
    reward, value = [r for r, _ in pairs], [v for _, v in pairs] + [last]
    expected = backward(reward, value, discount, gae_lambda)
    found = gae(column(*reward), value=column(*value), discount=discount, gae_lambda=gae_lambda)
    torch.testing.assert_close(found, column(*expected), rtol=1e-12, atol=1e-10)


def test_one_step_without_trace_and_without_future():
    reward, value = column(1, 2, 3), column(4, 5, 6, 7)
    torch.testing.assert_close(
        gae(reward, value=value, discount=0.9, gae_lambda=0.0),
        reward + 0.9 * value[1:] - value[:-1],
    )
    torch.testing.assert_close(
        gae(reward, value=value, discount=0.0, gae_lambda=0.95), reward - value[:-1]
    )


@pytest.mark.parametrize("slots", [1, 2, 7, 8, 9, 100])
def test_the_last_value_bootstraps_what_follows(slots):
    """An episode that ends by the clock is worth γ V(s[N]) more: dÂ[n]/dV[N] = γ (γϱ)^(N−1−n)."""
    discount, gae_lambda = 0.9, 0.8
    value = torch.zeros(slots + 1, dtype=torch.float64, requires_grad=True)
    advantage = gae(
        torch.zeros(slots, dtype=torch.float64),
        value=value,
        discount=discount,
        gae_lambda=gae_lambda,
    )
    for n in {0, slots // 2, slots - 1}:
        (slope,) = torch.autograd.grad(advantage[n], value, retain_graph=True)
        expected = discount * (discount * gae_lambda) ** (slots - 1 - n)
        assert slope[-1].item() == pytest.approx(expected)
        assert slope[:n].abs().sum() == 0


def test_exact_values_leave_no_advantage():
    """If V solves the Bellman equation along the path, every δ and so every Â is zero."""
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(5, 31, generator=generator, dtype=torch.float64)
    reward = value[:, :-1] - 0.9 * value[:, 1:]
    assert gae(reward, value=value, discount=0.9, gae_lambda=0.95).abs().max() < 1e-12


def test_leading_axes_are_independent_and_inputs_stay():
    generator = torch.Generator().manual_seed(1)
    reward = torch.randn(2, 3, 17, generator=generator)
    value = torch.randn(2, 3, 18, generator=generator)
    before = reward.clone(), value.clone()
    together = gae(reward, value=value, discount=0.9, gae_lambda=0.95)
    for c in range(2):
        for k in range(3):
            assert torch.equal(
                together[c, k], gae(reward[c, k], value=value[c, k], discount=0.9, gae_lambda=0.95)
            )
    assert torch.equal(reward, before[0]) and torch.equal(value, before[1])


def test_an_episode_of_5000_slots_in_single_precision():
    generator = torch.Generator().manual_seed(2)
    reward = torch.randn(5000, generator=generator, dtype=torch.float64)
    value = torch.randn(5001, generator=generator, dtype=torch.float64)
    expected = column(*backward(reward.tolist(), value.tolist(), 0.99, 0.99))
    found = gae(reward.float(), value=value.float(), discount=0.99, gae_lambda=0.99)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
