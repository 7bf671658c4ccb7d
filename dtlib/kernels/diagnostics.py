"""What a run's history tells about an update; kept where it was computed, so that nothing waits."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(kw_only=True)
class UpdateStats:
    """What happened in the actor steps of one update, by run."""

    entropy: list[Tensor] = field(default_factory=list)
    kl: list[Tensor] = field(default_factory=list)
    clip_fraction: list[Tensor] = field(default_factory=list)
    log_factor: list[Tensor] = field(default_factory=list)

    def add(
        self, entropy: Tensor, *, ratio: Tensor, log_ratio: Tensor, share: Tensor, clip: float
    ) -> None:
        """Record one agent's step.

        Args:
            entropy: [R], mean over the run's groups.
            ratio: [R, G], before the step; written.
            log_ratio: [R, G].
            share: [R, 1], weight of a group in a mean.
            clip: ϵ.
        """
        ratio -= 1
        self.entropy.append(entropy)
        self.kl.append((ratio - log_ratio).mul_(share).sum(1))
        self.clip_fraction.append((ratio.abs_() > clip).mul(share).sum(1))

    def spread(self, log_factor: Tensor) -> None:
        """Record the extremes of each run's log M [factors, R, N] once all agents are updated."""
        self.log_factor += [log_factor.amin((0, 2)), log_factor.amax((0, 2))]

    def summary(self, run: int = 0) -> dict[str, float]:
        """Return the columns that a run's history has; nan where no agent had any data."""

        def series(values: list[Tensor]) -> Tensor:
            return torch.stack(values)[:, run] if values else torch.full((1,), torch.nan)

        extremes = series(self.log_factor)  # none in MAPPO
        return {
            "entropy": series(self.entropy).double().nanmean().item(),
            "approx_kl": series(self.kl).double().nanmean().item(),
            "clip_fraction": series(self.clip_fraction).double().nanmean().item(),
            "log_factor_min": extremes.min().clamp(max=0).item(),
            "log_factor_max": extremes.max().clamp(min=0).item(),
        }


def explained_variance(target: Tensor, prediction: Tensor) -> float:
    """Return 1 − Var(target − prediction) / Var(target); nan if the target is constant."""
    if target.numel() < 2 or (variance := target.var()) == 0:
        return float("nan")
    return float(1 - (target - prediction).var() / variance)
