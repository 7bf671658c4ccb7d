"""The search for the companion's learning settings: what each learner tries, and who is chosen.

Every algorithm tries as many settings as the others, on tuning worlds and in its training alone.
The rule was written before the runs: within an algorithm, the setting under which the fewest
requests fail on tuning worlds is the best one (mean over seeds); of those within ``TIE`` of it,
the one with the least energy is chosen. Training is short here, which favours large steps. If the
choice is not what the companion has, both are trained for half of its episodes, and the same rule
decides between them.

The companion's settings were chosen in version 4 of the results. In version 6 the same short runs
choose a larger step for Gaussian-HAPPO and for Beta-MAPPO. Both are in the second round, too.
Written before they were run there: the preset keeps its settings, with which all its runs were
made; if the rule now chooses another one, the page says so, with what it changes on tuning worlds.
It chose the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

FINALISTS = (
    "beta-happo, learning_rate 0.003, epochs 10",
    "beta-happo, learning_rate 0.01, epochs 5",
    "gaussian-happo, learning_rate 0.003, epochs 10",
    "gaussian-happo, learning_rate 0.001, epochs 5",
    "gaussian-happo, learning_rate 0.01, epochs 5",
    "beta-mappo, learning_rate 0.003, epochs 10",
    "beta-mappo, learning_rate 0.001, epochs 10",
    "beta-mappo, learning_rate 0.01, epochs 5",
    "maddpg, learning_rate 0.001, noise_variance 0.05",
    "maddpg, learning_rate 0.003, noise_variance 0.5",
)
"""What the companion had, and what the short runs chose in version 4 and 6: the second round."""
TIE = 0.02
"""Share of the requests; failures that differ by less count as equal."""

ON_POLICY_GRID = {"learning_rate": (1e-3, 3e-3, 1e-2), "epochs": (5, 10)}
OFF_POLICY_GRID = {"learning_rate": (3e-4, 1e-3, 3e-3), "noise_variance": (0.05, 0.5)}
"""Values that are tried: three rates and two of what an algorithm needs besides, which is how often
it passes over an episode, or how much MADDPG explores."""


def grid(algorithm: str) -> list[dict[str, Any]]:
    """Return the settings that an algorithm tries: as many as the others."""
    tried: Mapping[str, Sequence[float]] = (
        OFF_POLICY_GRID if algorithm == "maddpg" else ON_POLICY_GRID
    )
    points = product(*tried.values())
    return [{"algorithm": algorithm, **dict(zip(tried, point, strict=True))} for point in points]


def setting_label(tried: dict[str, Any]) -> str:
    """Return the name of a tried setting, such as ``maddpg, learning_rate 0.001``."""
    changes = [f"{name} {value:g}" for name, value in tried.items() if name != "algorithm"]
    return ", ".join([tried["algorithm"], *changes])


def episodes_of(tried: Iterable[str], maddpg: int, others: int) -> dict[str, int]:
    """Return how many episodes each tried setting is run; those of MADDPG take far longer."""
    return {name: maddpg if name.startswith("maddpg") else others for name in tried}


def ranked(tuning: pd.DataFrame) -> pd.DataFrame:
    """Return every tried setting with its results, and which one of each algorithm is chosen.

    Args:
        tuning: results by user on tuning worlds, a row per run and user.

    Returns:
        Indexed by algorithm and variant, ``failed``, a share of the requests; ``energy_j``, of a
        user and slot; ``chosen``.
    """
    runs = tuning.groupby(["algorithm", "variant", "seed"], sort=False)[
        ["failure_ratio_requests", "energy_per_slot_j"]
    ].mean()
    means = runs.groupby(["algorithm", "variant"], sort=False).mean()
    means.columns = pd.Index(["failed", "energy_j"])
    least = means.groupby("algorithm")["failed"].transform("min")
    near = means[means["failed"] <= least + TIE]
    best = near.groupby("algorithm")["energy_j"].idxmin()
    return means.assign(chosen=means.index.isin(list(best)))
