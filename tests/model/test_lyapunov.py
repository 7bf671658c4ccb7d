"""The virtual queue (15), and the lemmas that bound its drift: (16), (17) and (36)–(40)."""

from __future__ import annotations

import itertools

import pytest
import torch
from by_loops import lindley, random_actions
from hypothesis import given
from hypothesis import strategies as st

from dtlib import EnvConfig, sample_world, simulate
from dtlib.model.lyapunov import (
    constant_one,
    constant_two,
    drift,
    frame_start,
    objective,
    virtual_queue,
)

FAILURES = st.lists(st.booleans(), min_size=1, max_size=80)
THRESHOLD = st.one_of(st.floats(1e-3, 0.999), st.sampled_from([0.2, 0.25, 0.5]))
BACKLOG = st.one_of(st.just(0.0), st.floats(0, 50))


def _tensor(failures):
    return torch.tensor(failures)[None, :, None]


@given(FAILURES, THRESHOLD, BACKLOG)
def test_closed_form_is_the_recursion(failures, threshold, initial):
    start = torch.tensor([[initial]], dtype=torch.float64)
    queue = virtual_queue(_tensor(failures), threshold, initial=start)
    assert queue.shape == (1, len(failures) + 1, 1) and queue.dtype == torch.float64
    expected = torch.tensor(lindley(failures, threshold, initial), dtype=torch.float64)
    torch.testing.assert_close(queue[0, :, 0], expected, rtol=1e-9, atol=1e-9)
    assert (queue >= 0).all()


@given(FAILURES, THRESHOLD, st.integers(1, 80))
def test_closed_form_is_exact_on_a_dyadic_threshold_and_splits(failures, threshold, cut):
    """With ε a multiple of 2⁻⁴⁰ every sum is exact, so the recursion gives the same bits."""
    dyadic = round(threshold * 2**40) / 2**40
    whole = virtual_queue(_tensor(failures), threshold)
    assert whole[0, :, 0].tolist() == lindley(failures, dyadic)
    first = virtual_queue(_tensor(failures)[:, :cut], threshold)
    second = virtual_queue(_tensor(failures)[:, cut:], threshold, initial=first[:, -1])
    assert torch.equal(torch.cat([first, second[:, 1:]], dim=1), whole)


@given(FAILURES, THRESHOLD, BACKLOG)
def test_slopes_of_eq_38(failures, threshold, initial):
    start = torch.tensor([[initial]], dtype=torch.float64)
    queue = virtual_queue(_tensor(failures), threshold, initial=start)[0, :, 0]
    slot = torch.arange(len(queue), dtype=torch.float64)
    assert (queue >= initial - slot * threshold - 1e-9).all()
    assert (queue <= initial + slot * (1 - threshold) + 1e-9).all()


def test_queue_by_hand():
    failures = torch.tensor([[[1, 0], [1, 0], [0, 1], [0, 0], [0, 0]]], dtype=torch.bool)
    queue = virtual_queue(failures, 0.5)
    assert queue[0, :, 0].tolist() == [0, 0.5, 1.0, 0.5, 0, 0]
    assert queue[0, :, 1].tolist() == [0, 0, 0, 0.5, 0, 0]


def test_frame_start_holds_the_first_slot():
    values = torch.arange(12.0).view(1, 12, 1)
    assert frame_start(values, frame_slots=5)[0, :, 0].tolist() == [0] * 5 + [5] * 5 + [10] * 2
    held = frame_start(values, frame_slots=5, first_slot=10)[0, :, 0]
    assert held.tolist() == [0] * 5 + [5] * 5 + [10] * 2
    before = torch.full((1, 1), -1.0)
    late = frame_start(values, frame_slots=5, first_slot=8, before=before)[0, :, 0]
    assert late.tolist() == [-1] * 2 + [2] * 5 + [7] * 5


def test_drift_by_hand():
    queue = torch.tensor([0.0, 1, 2, 3, 1, 0, 4]).view(1, 7, 1)
    assert drift(queue, 3)[0, :, 0].tolist() == [4.5, 3.5]
    assert drift(queue, 2)[0, :, 0].tolist() == [2.0, -1.5, 7.5]


def test_constants_of_the_lemmas():
    assert constant_one(request_prob=0.5, threshold=0.2) == pytest.approx(0.27)
    assert constant_two(request_prob=0.5, threshold=0.2, frame_slots=100) == pytest.approx(
        0.27 + 99 * (0.8 * 0.5 + 0.04) / 2
    )
    assert constant_two(request_prob=0.5, threshold=0.2, frame_slots=1) == constant_one(
        request_prob=0.5, threshold=0.2
    )


@pytest.fixture(scope="module", params=["light", "overloaded", "light slices", "slices"])
def episode(request):
    """Queues of simulated episodes with few and with many failures."""
    load = {
        "light": {"cpu_hz": 10e9},
        "overloaded": {"cpu_hz": 1e9, "migration_slots": 9},
        "light slices": {"cpu_hz": 100e9},
        "slices": {"cpu_hz": 5e9},
    }
    network = "section-v" if "slices" in request.param else "work-conserving"
    size = {"num_users": 12, "num_bs": 3, "frame_slots": 20, "frames": 15}
    env = EnvConfig.named(network, **size, **load[request.param])
    world = sample_world(env, 5, replicas=4)
    outcome = simulate(world, random_actions(world, env), env)
    ratio = outcome.failure.double().mean()
    assert (0.01 < ratio < 0.2) if "light" in request.param else ratio > 0.3
    return env, world, outcome


def _per_frame(values, env):
    """[R, N, K] to [R, Q, T, K]."""
    return values.double().unflatten(1, (env.frames, env.frame_slots))


def test_eq_36_in_every_slot(episode):
    env, _, outcome = episode
    before, after = outcome.queue[:, :-1], outcome.queue[:, 1:]
    failed, eps = outcome.failure.double(), env.failure_threshold
    bound = failed**2 + eps**2 + 2 * before * (failed - eps)
    assert (after**2 - before**2 <= bound + 1e-9).all()
    assert (after**2 - before**2 > bound - 2 * eps - 2 * before * eps - eps**2).any()


def test_lemma_1_in_every_frame(episode):
    """(37) before its expectation is taken: the number of requests stands for λT."""
    env, world, outcome = episode
    queue = _per_frame(outcome.queue[:, :-1], env)
    failed, asked = _per_frame(outcome.failure, env), _per_frame(world.request, env)
    eps = env.failure_threshold
    work = (queue * (failed - eps)).sum(2)
    step = drift(outcome.queue, env.frame_slots)
    tight = 0.5 * (failed**2).sum(2) + 0.5 * eps**2 * env.frame_slots
    loose = 0.5 * asked.sum(2) + 0.5 * eps**2 * env.frame_slots
    assert (step <= tight + work + 1e-9).all()
    assert (tight <= loose).all()


def test_lemma_2_in_every_frame_with_the_sign_of_eq_39_corrected(episode):
    """Σ Y[n](X−ε) ≤ Y[qT] Σ (X−ε) **plus** Σ (n−qT)[(1−ε)X + ε²]; (39) prints a minus."""
    env, world, outcome = episode
    queue = _per_frame(outcome.queue[:, :-1], env)
    failed, asked = _per_frame(outcome.failure, env), _per_frame(world.request, env)
    eps = env.failure_threshold
    slot = torch.arange(env.frame_slots, dtype=torch.float64)[:, None]
    work = (queue * (failed - eps)).sum(2)
    frozen = queue[:, :, 0] * (failed - eps).sum(2)
    growth = (slot * ((1 - eps) * failed + eps**2)).sum(2)
    assert (work <= frozen + growth + 1e-9).all()
    assert (work > frozen - growth + 1e-9).any(), "the printed sign fails on simulated queues"

    constant = 0.5 * (asked.sum(2) + eps**2 * env.frame_slots)
    constant = constant + (slot * ((1 - eps) * asked + eps**2)).sum(2)
    assert (drift(outcome.queue, env.frame_slots) <= constant + frozen + 1e-9).all()


@given(FAILURES, THRESHOLD, BACKLOG)
def test_corrected_eq_39_on_any_path(failures, threshold, initial):
    queue = lindley(failures, threshold, initial)
    work = sum(y * (x - threshold) for y, x in zip(queue, failures, strict=False))
    frozen = initial * sum(x - threshold for x in failures)
    growth = sum(n * ((1 - threshold) * x + threshold**2) for n, x in enumerate(failures))
    assert work <= frozen + growth + 1e-9


def test_printed_eq_39_fails_when_every_slot_fails():
    """T = 2, Y = 0, X = 1, ε = 0.2: the left side is 0.64, the printed bound −0.84."""
    queue = lindley([True, True], 0.2)
    work = sum(y * 0.8 for y in queue[:2])
    growth = 1 * (0.8 + 0.04)
    assert work == pytest.approx(0.64)
    assert work > -growth
    assert work <= growth


POLICIES = {
    "never fails": lambda n, y: False,
    "always fails": lambda n, y: True,
    "fails while the queue is short": lambda n, y: y < 0.5,
    "fails once the queue is long": lambda n, y: y > 0.9,
    "fails in odd slots": lambda n, y: n % 2 == 1,
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("initial", [0.0, 0.3, 5.0])
@pytest.mark.parametrize(("request_prob", "threshold"), [(0.5, 0.2), (0.9, 0.05), (0.2, 0.6)])
def test_lemmas_with_their_expectations_enumerated(policy, initial, request_prob, threshold):
    """E{·|Y[qT]} over all 2^T request sequences of a frame; X follows requests and the queue."""
    slots = 6
    drifts = work = failed = 0.0
    for asked in itertools.product([False, True], repeat=slots):
        prob = 1.0
        queue, y = [initial], initial
        fails = []
        for n, ask in enumerate(asked):
            prob *= request_prob if ask else 1 - request_prob
            fails.append(ask and policy(n, y))
            y = max(y + fails[-1] - threshold, 0.0)
            queue.append(y)
        drifts += prob * (queue[-1] ** 2 - queue[0] ** 2) / 2
        work += prob * sum(y * (x - threshold) for y, x in zip(queue, fails, strict=False))
        failed += prob * sum(fails)
    one = constant_one(request_prob=request_prob, threshold=threshold) * slots
    two = constant_two(request_prob=request_prob, threshold=threshold, frame_slots=slots) * slots
    assert drifts <= one + work + 1e-12
    assert drifts <= two + initial * (failed - slots * threshold) + 1e-12


def test_lemma_1_is_tight():
    """An always failing user far from zero comes within εT of the bound: B₁ cannot be halved."""
    request_prob, threshold, slots, initial = 1.0, 0.01, 5, 100.0
    queue = lindley([True] * slots, threshold, initial)
    change = (queue[-1] ** 2 - queue[0] ** 2) / 2
    work = sum(y * (1 - threshold) for y in queue[:-1])
    bound = constant_one(request_prob=request_prob, threshold=threshold) * slots + work
    assert change <= bound
    assert bound - change == pytest.approx(threshold * slots)


@pytest.mark.parametrize("scale", ["scaled", "mean", "letter"])
def test_objective_by_hand(scale):
    energy = torch.tensor([[[1e-3, 2e-3]]], dtype=torch.float64)
    failed = torch.tensor([[[True, False]]])
    held = torch.tensor([[[3.0, 5.0]]], dtype=torch.float64)
    env = EnvConfig(
        num_users=2, frame_slots=10, frames=5, control_factor=2.0, objective_scale=scale
    )
    got = objective(energy, failure=failed, frame_queue=held, env=env)
    pressure = [2.0 * 3.0 * 0.8, 2.0 * 5.0 * -0.2]
    if scale == "scaled":
        expected = [50 * (1e-3 + 4.8), 50 * (2e-3 - 2.0)]
    elif scale == "mean":
        expected = [(0.1 + pressure[0]) / 2, (0.2 + pressure[1]) / 2]
    else:
        expected = [100 * (1e-5 + pressure[0]), 100 * (2e-5 + pressure[1])]
    torch.testing.assert_close(got[0, 0], torch.tensor(expected, dtype=torch.float64))
