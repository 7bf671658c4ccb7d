"""Twin synchronisation and migration: shares, delay, failure and energy, eqs. (9)–(13)."""

from typing import Any, Literal

import torch
from torch import Tensor


def shares(weight: Tensor, *, group: Tensor, member: Tensor, groups: int) -> Tensor:
    """Divide one unit of each resource among its members in proportion to their weights.

    The shares of a group add up to 1, so a capacity multiplied by them satisfies (14e)–(14h) by
    construction. Where all weights of a group are zero its members share equally.

    Args:
        weight: [..., K], non-negative.
        group: [..., K], int, which resource (server or link) a user draws on.
        member: [..., K], bool, whether it draws on it in this slot.
        groups: number of resources.

    Returns:
        [..., K], in [0, 1]; zero for non-members.

    >>> weight, server = torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 1])
    >>> shares(weight, group=server, member=torch.tensor([True, True, False]), groups=2)
    tensor([0.2500, 0.7500, 0.0000])
    """
    asked = torch.where(member, weight, 0)
    count = member.to(weight.dtype)
    none = weight.new_zeros((*weight.shape[:-1], groups))
    total, heads = (none.scatter_add(-1, group, of).gather(-1, group) for of in (asked, count))
    divisor = torch.where(total > 0, total, 1)
    return torch.where(total > 0, asked / divisor, count / heads.clamp_min(1))


def pick(weight: Tensor, index: Tensor) -> Tensor:
    """Return, for each user, its weight at one base station: [..., K] from [..., M, K]."""
    return weight.gather(-2, index.unsqueeze(-2)).squeeze(-2)


def transfer_delay(bits: Tensor, *, rate_bps: Tensor) -> Tensor:
    """Return the time to send ``bits``, s; infinite at rate zero, zero if there are none."""
    needed = bits > 0
    return torch.where(needed, bits / torch.where(needed, rate_bps, 1), 0)


def compute_delay(bits: Any, *, cycles_per_bit: Any, cpu_hz: Any) -> Any:
    """Return the time to compute a request, D C/f: [...], s, of numbers, arrays or expressions."""
    return bits * cycles_per_bit / cpu_hz


def edge_delay(
    bits: Tensor, *, cycles_per_bit: Tensor, cpu_hz: Tensor, wired_bps: Tensor, remote: Tensor
) -> Tensor:
    """Return the delay behind the radio link: wire and computation, eqs. (9) and (27).

    Args:
        bits: [..., K], bit; zero without a request.
        cycles_per_bit: [..., K].
        cpu_hz: [..., K], frequency that the twin's server gives the user, Hz.
        wired_bps: [..., K], rate from the serving base station to the twin's, bit/s.
        remote: [..., K], bool, the twin lives elsewhere than at the serving base station.

    Returns:
        [..., K], s.
    """
    given = torch.where(bits > 0, cpu_hz, 1)  # not 0/0, whose slope is none on a tape
    compute = compute_delay(bits, cycles_per_bit=cycles_per_bit, cpu_hz=given)
    return compute + torch.where(remote, transfer_delay(bits, rate_bps=wired_bps), 0)


def failures(request: Tensor, *, migrating: Tensor, delay_s: Tensor, deadline_s: Tensor) -> Tensor:
    """Return the failure factor X, eq. (12): [..., K], bool; a delay that is none fails, too."""
    return request & (migrating | ~(delay_s <= deadline_s))


def energy(
    power: Tensor,
    *,
    bits: Tensor,
    rate_bps: Tensor,
    deadline_s: Tensor,
    failure: Tensor,
    rule: Literal["deadline", "full", "none"],
) -> Tensor:
    """Return the transmit energy, eq. (13), under a stated rule for requests that fail.

    Args:
        power: [..., K], W; zero for silent users.
        bits: [..., K], bit; zero without a request.
        rate_bps: [..., K], bit/s.
        deadline_s: [..., K], s.
        failure: [..., K], bool.
        rule: ``"deadline"`` stops a transmission at its deadline, ``"full"`` pays p·D/R however
            late, ``"none"`` charges only requests that succeed.

    Returns:
        [..., K], J.
    """
    airtime = transfer_delay(torch.where(power > 0, bits, 0), rate_bps=rate_bps)
    if rule == "deadline":
        airtime = torch.minimum(airtime, deadline_s)
    elif rule == "none":
        airtime = torch.where(failure, 0, airtime)
    return power * airtime
