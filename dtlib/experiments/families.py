"""Reference policies by name: families of one or two parameters, and policies without."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dtlib.baselines.rules import (
    DemandInversion,
    EqualPower,
    Inversion,
    RandomPower,
    Reference,
    Shares,
)
from dtlib.settings.env import EnvConfig

BEST = "truncated demand inversion"
"""The family that has the least energy under (14b); *demand or silence* is one of it."""


@dataclass(frozen=True)
class Family:
    """Reference policies that differ in one or two parameters."""

    make: Callable[..., Reference]
    """Of a level and, if there are cut-offs, a cut-off."""
    cutoffs: tuple[float, float] | None = None


def families(env: EnvConfig) -> dict[str, Family]:
    """Return the reference policies that are tuned, by name."""
    far, loud = (1.0, 2 * env.area_m), (1e-9, env.max_power_w)

    def power(rule: Callable[..., Any], shares: Shares = "equal") -> Callable[..., Reference]:
        return lambda *numbers: Reference(env, rule(*numbers), shares=shares)

    return {
        "equal power": Family(power(EqualPower)),
        "channel inversion": Family(power(Inversion)),
        "truncated inversion": Family(power(Inversion), far),
        "demand inversion": Family(power(DemandInversion, "demand")),
        BEST: Family(power(DemandInversion, "demand"), loud),
    }


def untuned(env: EnvConfig) -> dict[str, Reference]:
    """Return reference policies without a parameter, and inversion with other deployments."""
    at_noise = Inversion(10**-1.1)
    return {
        "random power": Reference(env, RandomPower()),
        "inversion at −11 dB": Reference(env, at_noise),
        "inversion at −11 dB, never migrate": Reference(env, at_noise, deployment="never"),
        "inversion at −11 dB, random servers": Reference(env, at_noise, deployment="random"),
        "inversion at −11 dB, demand shares": Reference(env, at_noise, shares="demand"),
    }
