"""Policies that are not learnt, or not without the model: rules, informed limit, genie.

Everything is tuned on the worlds of the stream ``tuning`` and measured on the held-out ones.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from dtlib.baselines.admission import genie_under_threshold
from dtlib.baselines.informed import TRAINING_STEPS, train_informed
from dtlib.baselines.rules import DemandInversion, Reference
from dtlib.baselines.tuning import tune
from dtlib.experiments import sealed
from dtlib.experiments.families import BEST, families, untuned
from dtlib.experiments.keys import config_key, digest
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.experiments.streams import sample_stream
from dtlib.kernels.portable import exp
from dtlib.settings.presets import NETWORKS
from dtlib.settings.train import TrainConfig
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training.calibration import CUTOFF_GAIN, MARGIN, PRICED, Priced, bisect
from dtlib.training.evaluation import EVALUATION_FRAMES, WORLDS, Evaluation, evaluate_policy


@dataclass(frozen=True, kw_only=True)
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


def simple_rows(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield a row per reference policy that is tuned for a threshold; those untuned for 0.

    Args:
        config: gives the network, with the length of worlds.
        budget: worlds.
        threshold: slot failure ratio that no user exceeds on tuning worlds.
    """
    env = config.env
    if not threshold:
        for name, policy in untuned(env).items():
            yield {"policy": name} | evaluate_policy(policy, env, worlds=budget.worlds).summary()
        return
    tuning = sample_stream(env, "tuning", budget.tuning)
    for name, family in families(env.replace(failure_threshold=threshold)).items():
        policy = tune(family.make, tuning, family.cutoffs).policy
        level, *cutoff = vars(policy.power).values()
        row = {"policy": name, "threshold": threshold, "level": level}
        row["cutoff"] = cutoff[0] if cutoff else math.nan
        yield row | evaluate_policy(policy, env, worlds=budget.worlds).summary()


def priced_row(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the row of the best reference policy with a cut-off that follows each user's queue.

    Its level is that of the policy tuned without; see :func:`simple_rows` for the rest.
    """
    env = config.env
    without = _piece(config.preset, "simple", MARGIN.failures).set_index("policy").loc[BEST]

    def at(bar: float, worlds: int, stream: str) -> Evaluation:
        def shifted(shift: Tensor) -> Reference:
            cutoff = exp(shift - bar).unsqueeze(1)
            return Reference(env, DemandInversion(without["level"], cutoff), shares="demand")

        return evaluate_policy(
            Priced(shifted, CUTOFF_GAIN), env, worlds=worlds, stream=stream, carry_queue=True
        )

    middle = -math.log(without["cutoff"])
    bar = bisect(
        lambda bar: at(bar, budget.tuning, "tuning"),
        target=threshold,
        low=middle - 2,
        high=middle + 2,
    )
    row = {"policy": f"{BEST}, priced", "threshold": threshold, "level": without["level"]}
    row["cutoff"] = math.exp(-bar)
    yield row | at(bar, budget.worlds, "held-out").summary()


def informed_row(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the row of the learners' actors trained on the model's derivatives.

    See :func:`simple_rows`.
    """
    config = config.replace(power_range_db=30.0, power_top_db=10.0)
    policy = train_informed(config, threshold, budget.steps)
    found = evaluate_policy(policy, config.env, worlds=budget.worlds)
    yield {"policy": "informed limit", "threshold": threshold} | found.summary()


def genie_rows(config: TrainConfig, budget: Budget, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield the genie's bound under a threshold, and what it achieves.

    The bound is infinite where some request is more than the network can carry; then nothing is
    achieved.
    """
    world = sample_stream(config.env, "held-out", budget.worlds).every(budget.stride)
    found = genie_under_threshold(world, config.env, threshold)
    row = {"policy": "genie bound", "threshold": threshold, ENERGY: found.bound_j}
    yield row
    if not math.isinf(found.energy_j):
        failed = world.request & ~found.served
        by_user = failed.double().mean((0, 1))
        yield row | {
            "policy": "genie",
            ENERGY: found.energy_j,
            "failure_ratio_slots": by_user.mean().item(),
            "failure_ratio_slots_user_max": by_user.max().item(),
            FAILED: (failed.sum() / world.request.sum().clamp_min(1)).item(),
        }


BY_KIND: dict[str, Callable[[TrainConfig, Budget, float], Iterator[dict[str, Any]]]] = {
    "simple": simple_rows,
    "informed": informed_row,
    "genies": genie_rows,
    "priced": priced_row,
}


def _pieces(preset: str) -> list[tuple[str, str, float]]:
    """Return preset, kind and threshold of all of a preset's rows, those untuned at 0."""
    thresholds = budget(preset).thresholds
    pieces = [("simple", 0.0)]
    pieces += [(kind, threshold) for kind in ("simple", "informed") for threshold in thresholds]
    pieces += [("genies", threshold) for threshold in (0.0, *thresholds)]
    pieces += [("priced", PRICED.failures)]
    return [(preset, *piece) for piece in pieces]


def _piece(preset: str, kind: str, threshold: float) -> pd.DataFrame:
    """Return one kind's rows of a threshold: what is done is kept in the store."""
    rows, config = BY_KIND[kind], _config(preset).replace(env={"frames": EVALUATION_FRAMES})
    key = digest([_circumstances(preset), kind, threshold])
    return sealed.table(
        "references", key, lambda: pd.DataFrame(rows(config, budget(preset), threshold))
    )


def _config(preset: str) -> TrainConfig:
    return TrainConfig.from_preset(preset, NETWORKS[1])


def _circumstances(preset: str, version: int | None = None) -> str:
    return digest([config_key(_config(preset), version), list(vars(budget(preset)).values())])


TABLE = MeasuredTable(
    name="references",
    key=lambda preset, version: digest([_circumstances(preset, version), list(BY_KIND)]),
    tasks=_pieces,
    rows=_piece,
    facts=lambda preset: vars(budget(preset)),
)
"""A row per policy that is not learnt and threshold that it is tuned for."""
