"""Shares, delay, failure and energy, eqs. (9)–(13), and the capacities (14e)–(14h)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dtlib.model.synchronization import edge_delay, energy, failures, pick, shares, transfer_delay

WEIGHT = st.one_of(st.just(0.0), st.floats(1e-30, 1e30), st.floats(0, 1))


@st.composite
def crowds(draw):
    users, groups = draw(st.integers(1, 8)), draw(st.integers(1, 4))

    def some(values):
        return draw(st.lists(values, min_size=users, max_size=users))

    return some(WEIGHT), some(st.integers(0, groups - 1)), some(st.booleans()), groups


@given(crowds(), st.sampled_from([torch.float32, torch.float64]))
def test_shares_divide_one_unit_among_members(crowd, dtype):
    weight, group, member, groups = crowd
    got = shares(
        torch.tensor(weight, dtype=dtype),
        group=torch.tensor(group),
        member=torch.tensor(member),
        groups=groups,
    )
    assert got.dtype == dtype
    weight = torch.tensor(weight, dtype=dtype).tolist()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for g in range(groups):
        inside = [k for k in range(len(weight)) if group[k] == g and member[k]]
        total = math.fsum(weight[k] for k in inside)
        for k in inside:
            expected = weight[k] / total if total > 0 else 1 / len(inside)
            assert got[k].item() == pytest.approx(expected, rel=tolerance, abs=1e-30)
        if inside:
            assert sum(got[k].item() for k in inside) == pytest.approx(1, rel=tolerance)
    outside = ~torch.tensor(member)
    assert (got[outside] == 0).all()
    assert ((got >= 0) & (got <= 1 + tolerance)).all()


def test_shares_by_hand():
    weight = torch.tensor([1.0, 3.0, 5.0, 0.0, 0.0, 7.0])
    group = torch.tensor([0, 0, 0, 1, 1, 2])
    member = torch.tensor([True, True, False, True, True, False])
    found = shares(weight, group=group, member=member, groups=4)
    assert found.tolist() == [0.25, 0.75, 0, 0.5, 0.5, 0]


def test_pick_takes_each_users_column():
    weight = torch.arange(6.0).view(2, 3)
    assert pick(weight, torch.tensor([1, 0, 1])).tolist() == [3.0, 1.0, 5.0]


def test_transfer_delay():
    bits = torch.tensor([10.0, 10.0, 0.0, 0.0])
    rate = torch.tensor([4.0, 0.0, 0.0, 5.0])
    assert transfer_delay(bits, rate_bps=rate).tolist() == [2.5, math.inf, 0, 0]


def test_edge_delay_pays_the_wire_only_when_remote():
    bits = torch.tensor([20.0, 20.0, 0.0, 20.0])
    cycles = torch.tensor([5.0, 5.0, 5.0, 5.0])
    cpu = torch.tensor([50.0, 50.0, 0.0, 50.0])
    wired = torch.tensor([0.0, 10.0, 0.0, 0.0])
    remote = torch.tensor([False, True, True, True])
    assert edge_delay(
        bits, cycles_per_bit=cycles, cpu_hz=cpu, wired_bps=wired, remote=remote
    ).tolist() == [2.0, 4.0, 0.0, math.inf]


def test_slopes_are_finite_where_nothing_is_sent():
    """The informed limit climbs them; a silent user has neither CPU nor rate."""
    given, power = (torch.tensor([0.0, 2.0], requires_grad=True) for _ in range(2))
    bits, none = torch.tensor([0.0, 4.0]), torch.zeros(2, dtype=torch.bool)
    delay = edge_delay(
        bits,
        cycles_per_bit=bits + 1,
        cpu_hz=given,
        wired_bps=given,
        remote=torch.tensor([1, 1]) > 0,
    )
    paid = energy(power, bits=bits, rate_bps=given, deadline_s=bits, failure=none, rule="full")
    (delay + paid).sum().backward()
    assert given.grad.isfinite().all() and given.grad[1] < 0
    assert power.grad.isfinite().all() and power.grad[1] > 0


def test_failures_are_every_case_of_eq_12():
    request = torch.tensor([True, True, True, True, False, False, True])
    migrating = torch.tensor([False, False, False, True, True, False, False])
    delay = torch.tensor([0.01, 0.02, 0.03, 0.0, 0.0, math.inf, math.nan])
    got = failures(request, migrating=migrating, delay_s=delay, deadline_s=torch.full((7,), 0.02))
    assert got.tolist() == [False, False, True, True, False, False, True]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("full", [0.5, 10.0, 0.5, 0.0, 0.0]),
        ("deadline", [0.5, 1.0, 0.5, 0.0, 0.0]),
        ("none", [0.5, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_energy_of_each_rule(rule, expected):
    """In time, too late, in time but failed behind the radio link, silent, no data."""
    power = torch.tensor([0.5, 0.5, 0.5, 0.0, 0.5])
    bits = torch.tensor([10.0, 10.0, 10.0, 10.0, 0.0])
    rate = torch.tensor([10.0, 0.5, 10.0, 0.0, 0.0])
    failed = torch.tensor([False, True, True, True, False])
    got = energy(
        power, bits=bits, rate_bps=rate, deadline_s=torch.full((5,), 2.0), failure=failed, rule=rule
    )
    torch.testing.assert_close(got, torch.tensor(expected))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e5), st.floats(1, 1e8)), min_size=1))
def test_the_deadline_only_lowers_energy(cases):
    power, bits, rate = (
        torch.tensor(column, dtype=torch.float64) for column in zip(*cases, strict=True)
    )
    deadline = torch.full_like(power, 0.05)
    failed = bits / rate > deadline
    full, capped, none = (
        energy(power, bits=bits, rate_bps=rate, deadline_s=deadline, failure=failed, rule=rule)
        for rule in ("full", "deadline", "none")
    )
    assert (none >= 0).all() and (none <= capped).all() and (capped <= full).all()
    assert (capped <= power * 0.05).all()
    assert torch.equal(full[~failed], none[~failed])
