"""Does a critic for each agent learn otherwise than one for each reward? Same runs, both ways.

    python -m benchmarks.critics [--preset quick] [--seeds 5] [--out FOLDER]

In the published scheme 35 of 36 critics are trained on identical data and differ in their initial
weights only. Runs in the work-conserving network are trained with one critic per agent and with
shared ones; the table compares the last tenth of the episodes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pandas as pd

from benchmarks.common import Parser, report
from dtlib.experiments import grids, runner, store
from dtlib.experiments.experiment import PlannedRun
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import TIMINGS

NAME, FOLDER = "benchmarks.critics", "results/benchmarks/critics"
PACKAGES = ("torch", "numpy", "dtlib")
QUANTITIES = (
    "reward_global",
    "reward_centre",
    "energy_per_user_slot_j",
    "failure_ratio_requests",
    "migrations_per_frame",
    "explained_variance_global",
)


def measure(preset: str = "quick", seeds: int = 5, jobs: int = 2) -> pd.DataFrame:
    """Return one row per variant, critic, seed and quantity: first and last tenth, seconds."""
    rows = []
    ablations = grids.find("ablations")
    variants = {name: ablations.variants[name] for name in ("as published", "companion")}
    for critic in ("shared", "per-agent"):
        configs = [
            (
                name,
                TrainConfig.from_preset(
                    preset, ablations.network, **changes, critic=critic, seed=seed
                ),
            )
            for name, changes in variants.items()
            for seed in range(seeds)
        ]
        runs = [
            PlannedRun(variant=name, config=one, episodes=one.episodes) for name, one in configs
        ]
        runner.finish(runs, runner.Effort(jobs, progress=True))
        for planned in runs:
            history = store.get(planned.config).history
            tenth = max(len(history) // 10, 1)
            head = {"variant": planned.variant, "critic": critic, "seed": planned.config.seed}
            for name in QUANTITIES:
                first, last = history[name][:tenth].mean(), history[name][-tenth:].mean()
                rows.append(head | {"quantity": name, "first": first, "last": last})
            seconds = history[list(TIMINGS)].sum(axis=1)
            rows.append(
                head | {"quantity": "episode_s", "first": seconds[:tenth].mean(),
                        "last": seconds[-tenth:].mean()}
            )  # fmt: skip
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> str:
    """Return means and standard deviations over seeds at the end of training."""
    found = rows.groupby(["variant", "quantity", "critic"], sort=False)["last"]
    return found.agg(["mean", "std"]).unstack().to_string(float_format=lambda x: f"{x:.4g}")


def main(argv: Sequence[str] | None = None) -> int:
    """Train what the store lacks, print the comparison, and write it if asked.

    Returns:
        0, or 2 for bad input, which one line on standard error explains.
    """
    parser = Parser("critics", __doc__.splitlines()[0], FOLDER)
    parser.add_argument("--preset", default="quick", help="smoke, quick (default) or paper")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each kind (5)")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side (2)")
    options = parser.parse_args(argv)
    given = {"preset": options.preset, "seeds": options.seeds}
    rows = report(
        parser, options, NAME, PACKAGES, lambda: (measure(**given, jobs=options.jobs), given)
    )
    if rows is None:
        return 2
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
