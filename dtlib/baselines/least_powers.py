"""The least powers with which given requests are in time, all at once.

A request of D bits is in time if its SINR is Γ = 2^(D/(Bu)) − 1, from (8), where u is what the
deadline leaves for the uplink. Then its signal is the part c = Γ/(1 + Γ) of all that its base
station receives.

Let H_m be all that base station m receives, noise included. Targets are met exactly if
p_k g_{k,m(k)} = c_k H_{m(k)} at the own station m(k). So H solves M linear equations, H = σ² + A H
with A_{mj} = Σ_{k: m(k)=j} c_k g_{km}/g_{kj} ≥ 0. Powers exist if and only if A's spectral radius
is below 1, that is if the solution is positive (Perron and Frobenius); all powers that reach the
targets are at least these, user by user (Foschini and Miljanic 1993, Yates 1995). Under ``"eq7"``
there is one receiver for all: M = 1.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dtlib.model.channel import own_gain
from dtlib.settings.env import Interference


def signal_part(efficiency: Tensor) -> Tensor:
    """Return c = Γ/(1 + Γ) of a spectral efficiency ln(1 + Γ) in nat/s/Hz: [...], in [0, 1]."""
    return -torch.expm1(-efficiency)


@dataclass(frozen=True, kw_only=True)
class Receivers:
    """Base stations, and how strongly each hears each user; everything is float64."""

    own_gain: Tensor
    """[..., K], linear, to the own receiver."""
    relative_gain: Tensor
    """[..., K, M], the gain to each receiver over that to the own one."""
    station: Tensor
    """[..., K], int, the own receiver."""
    noise_w: float
    """σ², W."""

    @classmethod
    def of(
        cls,
        gain: Tensor,
        *,
        association: Tensor,
        noise_w: float,
        interference: Interference = "receiver",
    ) -> Self:
        """Return the receivers of a network; see :func:`dtlib.model.channel.sinr`."""
        gain = gain.double()
        own = own_gain(gain, association)
        if interference == "eq7":  # one receiver hears each user with its gain to its own station
            gain, association = own.unsqueeze(-1), torch.zeros_like(association)
        relative = gain / own.unsqueeze(-1)
        return cls(own_gain=own, relative_gain=relative, station=association, noise_w=noise_w)

    @property
    def members(self) -> Tensor:
        """[..., K, M]: 1 at each user's own receiver, 0 elsewhere."""
        return one_hot(self.station, self.relative_gain.shape[-1]).double()

    def coupling(self, part: Tensor) -> Tensor:
        """Return A [..., M, M]: what m hears of the users of n, per unit of all that n hears.

        Args:
            part: [..., K], c; zero for silent users.
        """
        return self.relative_gain.mT @ (self.members * part.unsqueeze(-1))

    def received(self, coupling: Tensor) -> Tensor:
        """Return H at each user's own receiver, [..., K] in W; infinite where no powers do."""
        noise = torch.full_like(coupling[..., :1], self.noise_w)
        solution, info = torch.linalg.solve_ex(_system(coupling), noise)
        exists = (solution > 0).all(-2, keepdim=True) & (info == 0)[..., None, None]
        total = torch.where(exists, solution, math.inf).squeeze(-1)
        return total.gather(-1, self.station)

    def powers(self, part: Tensor, received: Tensor) -> Tensor:
        """Return the least powers p = c H/g: [..., K], W; zero for silent users."""
        return torch.where(part > 0, part * received / self.own_gain, 0)

    def least_powers(self, efficiency: Tensor) -> Tensor:
        """Return the least powers that reach SINRs: [..., K], W; infinite where no powers do.

        Args:
            efficiency: [..., K], ln(1 + γ); zero for silent users.
        """
        part = signal_part(efficiency)
        return self.powers(part, self.received(self.coupling(part)))

    def harm(self, coupling: Tensor, slope: Tensor) -> Tensor:
        """Return what a user's signal costs all others, by the adjoint of H = σ² + A H.

        Args:
            coupling: A.
            slope: [..., K], by how much a user's cost grows with H at its receiver.

        Returns:
            [..., K], per W received at the own receiver.
        """
        total = self.members.mT @ slope.unsqueeze(-1)
        adjoint = torch.linalg.solve_ex(_system(coupling).mT, total)[0]
        return (self.relative_gain @ adjoint).squeeze(-1)


def _system(coupling: Tensor) -> Tensor:
    eye = torch.eye(coupling.shape[-1], dtype=coupling.dtype, device=coupling.device)
    return eye - coupling
