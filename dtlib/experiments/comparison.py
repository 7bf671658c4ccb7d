"""What learners are held against, measured as they are: reference policies, informed limit, genie.

Everything is tuned on the worlds of the stream ``tuning`` and measured on the held-out ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from torch import Tensor
from tqdm import tqdm

from dtlib.baselines.admission import genie_under_threshold
from dtlib.baselines.calibration import CUTOFF_GAIN, MARGIN, PRICED, Priced, bisect
from dtlib.baselines.informed import TRAINING_STEPS, train_informed
from dtlib.baselines.rules import (
    DemandInversion,
    EqualPower,
    Inversion,
    RandomPower,
    Reference,
    Shares,
)
from dtlib.baselines.tuning import tune, tune_failures, tune_reward, tune_truncated
from dtlib.experiments import results, store
from dtlib.model.world import World, sample_world
from dtlib.runtime import paths
from dtlib.runtime.seeds import stream_seed
from dtlib.settings.env import EnvConfig
from dtlib.settings.presets import NETWORKS
from dtlib.settings.train import TrainConfig
from dtlib.training.evaluation import FRAMES, WORLDS, Evaluation, evaluate_policy


@dataclass(frozen=True)
class Budget:
    """How much is measured."""

    worlds: int = WORLDS["held-out"]
    tuning: int = WORLDS["tuning"]
    thresholds: tuple[float, ...] = (0.02, 0.05, 0.1, 0.15, MARGIN.failures, 0.2)
    """ε for which parameters are tuned: the last is Table I's; the one before leaves a margin for
    worlds other than those tuned on; the others draw the trade-off."""
    steps: int = TRAINING_STEPS
    """Of the informed limit."""
    stride: int = 4
    """The genie is asked about every so many slots of the held-out worlds."""


BUDGETS = {
    "smoke": Budget(
        worlds=2, tuning=2, thresholds=(0.1, MARGIN.failures, 0.2), steps=60, stride=20
    ),
    "quick": Budget(tuning=5, thresholds=(0.1, MARGIN.failures, 0.2), steps=600, stride=50),
}
"""Presets for which less is measured."""


def budget(preset: str) -> Budget:
    """Return how much is measured for a preset."""
    return BUDGETS.get(preset, Budget())


TUNED_ON, GENIE_STRIDE = 2, 50
"""Of a baseline: worlds that its level is tuned on, and every how many slots the genie is asked."""
INVERSION_LEVELS = tuple(10 ** (db / 10) for db in range(-20, 21, 2))
"""Received over noise, linear, among which channel inversion is tuned."""
DEMAND_LEVELS = tuple(10 ** (db / 10) for db in range(-4, 31, 2))
"""The same in multiples of what a request needs, for power on demand."""


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
        "truncated demand inversion": Family(power(DemandInversion, "demand"), loud),
    }


def tuned(family: Family, world: World) -> Reference:
    """Return the family's policy of least energy that holds (14b) in these worlds."""
    if family.cutoffs is None:
        return tune(family.make, world).policy
    return tune_truncated(family.make, world, family.cutoffs).policy


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


def simple(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield a row per reference policy that is tuned for a threshold; those untuned for 0.

    Args:
        config: gives the network, with the length of worlds.
        budget: worlds.
        threshold: slot failure ratio that no user exceeds on tuning worlds.
    """
    env = config.env
    if not threshold:
        for name, policy in untuned(env).items():
            yield {"policy": name} | evaluate_policy(policy, env, budget.worlds).summary()
        return
    tuning = sample_world(env, [stream_seed("tuning", number) for number in range(budget.tuning)])
    for name, family in families(env.replace(failure_threshold=threshold)).items():
        policy = tuned(family, tuning)
        level, *cutoff = vars(policy.power).values()
        row = {"policy": name, "threshold": threshold, "level": level}
        row["cutoff"] = cutoff[0] if cutoff else math.nan
        yield row | evaluate_policy(policy, env, budget.worlds).summary()


BEST = "truncated demand inversion"
"""The reference policy of least energy under (14b)."""


def priced(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the row of the best reference policy with a cut-off that follows each user's queue.

    Its level is that of the policy tuned without; see `simple` for the rest.
    """
    env = config.env
    without = _piece(config.preset, "simple", MARGIN.failures).set_index("policy").loc[BEST]

    def at(bar: float, worlds: int, stream: str) -> Evaluation:
        def shifted(shift: Tensor) -> Reference:
            cutoff = (shift - bar).exp().unsqueeze(1)
            return Reference(env, DemandInversion(without["level"], cutoff), shares="demand")

        return evaluate_policy(Priced(shifted, CUTOFF_GAIN), env, worlds, stream, carry_queue=True)

    middle = -math.log(without["cutoff"])
    bar = bisect(lambda one: at(one, budget.tuning, "tuning"), threshold, middle - 2, middle + 2)
    row = {"policy": f"{BEST}, priced", "threshold": threshold, "level": without["level"]}
    row["cutoff"] = math.exp(-bar)
    yield row | at(bar, budget.worlds, "held-out").summary()


def informed(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the row of the learners' actors trained on the model's derivatives; see `simple`."""
    smooth = {"silent_below": 0.0, "power_range_db": 30.0, "power_top_db": 10.0}
    config = config.replace(**smooth)  # slopes do not lead over a step into silence
    policy = train_informed(config, threshold, budget.steps)
    found = evaluate_policy(policy, config.env, budget.worlds)
    yield {"policy": "informed limit", "threshold": threshold} | found.summary()


def genies(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the genie's bound under a threshold, and what it achieves.

    The bound is infinite where some request is more than the network can carry; then nothing is
    achieved.
    """
    world = _strided(config.env, budget.worlds, budget.stride)
    found = genie_under_threshold(world, config.env, threshold)
    for name, energy, failed in (
        ("genie bound", found.bound_j, None),
        ("genie", found.energy_j, world.request & ~found.served),
    ):
        if math.isinf(energy) and failed is not None:
            continue
        row = {"policy": name, "threshold": threshold, "energy_per_user_slot_j": energy}
        yield row | ({} if failed is None else _ratios(failed, world.request))


def _strided(env: EnvConfig, worlds: int, stride: int) -> World:
    drawn = (sample_world(env, stream_seed("held-out", number)) for number in range(worlds))
    return World.join([world.every(stride) for world in drawn])


def baseline(name: str, env: EnvConfig, worlds: int) -> dict[str, float]:
    """Return what a baseline achieves on held-out worlds of a network.

    Args:
        name: on tuning worlds, ``power-on-demand`` is at the level of fewest failures, and
            ``channel-inversion`` at that of the largest mean r_g; ``genie`` is the bound under
            (14b).
        env: the network, whatever the length of its episodes.
        worlds: how many.
    """
    env = env.replace(frames=max(FRAMES, env.frames))
    if name == "genie":
        world = _strided(env, worlds, GENIE_STRIDE)
        bound = genie_under_threshold(world, env, env.failure_threshold).bound_j
        return {"energy_per_user_slot_j": bound}
    tuning = sample_world(env, [stream_seed("tuning", number) for number in range(TUNED_ON)])
    if name == "power-on-demand":
        policy = tune_failures(families(env)["demand inversion"].make, tuning, DEMAND_LEVELS).policy
    else:
        make = families(env)["channel inversion"].make
        policy = tune_reward(make, tuning, INVERSION_LEVELS).policy
    return evaluate_policy(policy, env, worlds).summary()


def demand_curve(env: EnvConfig, worlds: int) -> pd.DataFrame:
    """Return energy against failures of *power on demand* on held-out worlds, level by level.

    Levels end at the one of fewest failures: beyond it, users drown in each other's interference.

    Args:
        env: the network, whatever the length of its episodes.
        worlds: how many.

    Returns:
        A row per level, ascending: ``level`` and the columns of :meth:`Evaluation.summary`.
    """
    env = env.replace(frames=max(FRAMES, env.frames))
    make = families(env)["demand inversion"].make
    rows = [
        {"level": level} | evaluate_policy(make(level), env, worlds).summary()
        for level in DEMAND_LEVELS
    ]
    table = pd.DataFrame(rows)
    return table.iloc[: 1 + table["failure_ratio_requests"].argmin()]


def _ratios(failed: Tensor, request: Tensor) -> dict[str, float]:
    by_user = failed.double().mean((0, 1))
    return {
        "failure_ratio_slots": by_user.mean().item(),
        "failure_ratio_slots_user_max": by_user.max().item(),
        "failure_ratio_requests": (failed.sum() / request.sum().clamp_min(1)).item(),
    }


def closed(energy_j: float, equal_j: float, genie_j: float) -> float:
    """Return the share of the logarithmic distance from equal power to the genie bound."""
    return math.log(equal_j / energy_j) / math.log(equal_j / genie_j)


def at_failures(
    policy: pd.DataFrame, ratio: float, column: str = "failure_ratio_slots_user_max"
) -> float:
    """Return the energy of a policy where it fails in so many slots, J.

    Args:
        policy: its rows at several thresholds; the logarithm of energy is linear between them.
        ratio: slot failure ratio; the nearest row is taken outside theirs.
        column: whose ratio it is, the worst user's or another.
    """
    rows = policy.sort_values(column)
    known = rows[column], np.log(rows["energy_per_user_slot_j"])
    return math.exp(np.interp(ratio, *known))


KINDS = {"simple": simple, "informed": informed, "genies": genies, "priced": priced}


def measure(preset: str, jobs: int = 2, progress: bool = False) -> pd.DataFrame:
    """Return a row per policy that is not learnt and threshold that it is tuned for.

    Args:
        preset: of the learners: their network, and the actors of the informed limit.
        jobs: processes.
        progress: show a bar on standard error.
    """
    thresholds = budget(preset).thresholds
    pieces = [("simple", 0.0)]
    pieces += [(kind, one) for kind in ("simple", "informed") for one in thresholds]
    pieces += [("genies", one) for one in (0.0, *thresholds)] + [("priced", PRICED.failures)]
    tasks = (delayed(_piece)(preset, *piece) for piece in pieces)
    found = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    bar = tqdm(found, total=len(pieces), disable=not progress, desc="references")
    return pd.concat(bar, ignore_index=True)


def _piece(preset: str, kind: str, threshold: float) -> pd.DataFrame:
    """Return one kind's rows of a threshold: what is done is kept in the store."""
    config = _config(preset).replace(env={"frames": FRAMES})

    def compute() -> pd.DataFrame:
        return pd.DataFrame([*KINDS[kind](config, budget(preset), threshold)])

    what = [_circumstances(preset), kind, threshold]
    return store.table("references", store.digest(what), compute)


def _config(preset: str) -> TrainConfig:
    return TrainConfig.from_preset(preset, NETWORKS[1])


def place(preset: str) -> Path:
    """Return the folder of the committed table."""
    return paths.results() / preset / "references"


def key(preset: str) -> str:
    """Return the sha256 of what a preset's table is of."""
    return store.digest([_circumstances(preset), list(KINDS)])


def _circumstances(preset: str) -> str:
    what = [store.key(_config(preset)), list(vars(budget(preset)).values())]
    return store.digest(what)


def write(preset: str, jobs: int = 2, progress: bool = False) -> Path:
    """Measure and write ``results/<preset>/references``, unless that has been done."""
    if results.read(place(preset), "data.csv", key(preset)) is not None:
        return place(preset)
    facts = {"preset": preset, **vars(budget(preset))}
    results.write(place(preset), key(preset), {"data.csv": measure(preset, jobs, progress)}, facts)
    return place(preset)


def data(preset: str) -> pd.DataFrame:
    """Return the committed table if it is of these settings, else measure it anew."""
    known = results.read(place(preset), "data.csv", key(preset))
    return measure(preset) if known is None else known
