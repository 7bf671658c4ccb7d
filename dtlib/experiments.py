"""Each figure of the paper as a grid of runs, and the data that come of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from dtlib import paths, results, store
from dtlib.config import ConfigError, TrainConfig
from dtlib.devices import resolve_device
from dtlib.evaluation import WORLDS
from dtlib.training import TIMINGS, alike

TABLES = ("data.csv", "evaluation.csv", "users.csv", "tuning.csv")
"""Of each experiment: histories; results by held-out world; by user; by user on tuning worlds."""


@dataclass(frozen=True)
class Planned:
    """One run of an experiment."""

    variant: str
    config: TrainConfig
    episodes: int
    """How many of the configured episodes are run: all, or a share that is stated."""


@dataclass(frozen=True)
class Experiment:
    """A grid of runs that one or more figures of the paper are drawn from."""

    name: str
    title: str
    variants: Mapping[str, Mapping[str, Any]]
    """Changes to a preset's settings, by the name of the variant."""
    seeds: Mapping[str, int]
    """How many seeds each preset runs."""
    episodes: Mapping[str, int] = field(default_factory=dict)
    """Presets of which only the first so many episodes are run."""
    aliases: tuple[str, ...] = field(default=())

    def runs(
        self, preset: str, seeds: int | None = None, changes: Mapping[str, Any] | None = None
    ) -> list[Planned]:
        """Return the runs of a preset.

        Args:
            preset: budget and size.
            seeds: seeds 0 … seeds−1; the preset's number if absent.
            changes: settings that differ from the preset's in all runs.

        Raises:
            ConfigError: unknown preset, or settings that are not allowed.
        """
        if preset not in self.seeds:
            raise ConfigError(f"preset = {preset!r}: must be one of {', '.join(self.seeds)}")
        seeds = self.seeds[preset] if seeds is None else seeds
        if seeds < 1:
            raise ConfigError(f"seeds = {seeds}: must be at least 1")
        configs = [
            (name, TrainConfig.from_preset(preset, **_merge(variant, changes or {}), seed=seed))
            for name, variant in self.variants.items()
            for seed in range(seeds)
        ]
        share = self.episodes.get(preset, max(config.episodes for _, config in configs))
        return [Planned(name, one, min(share, one.episodes)) for name, one in configs]


def _merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return all changes of both, those of the network as well."""
    env = {**first.get("env", {}), **second.get("env", {})}
    return {**first, **second} | ({"env": env} if env else {})


LEARNERS = ("beta-happo", "gaussian-happo", "beta-mappo", "maddpg")
CONTROL_FACTORS = (0.001, 0.01, 1.0)
"""η of the trade-off: from nearly the constrained problem (14) to Table I's."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "companion": {},
    "credit per user": {"credit": "per-user"},
    "credit joint": {"credit": "joint"},
    "power in dB": {"power_action": "decibel", "power_range_db": 40.0},
    "power in W": {"power_action": "watt"},
    "positions only": {"observation": "positions"},
    "a network each": {"actors": "per-agent"},
    "silent below a threshold": {"silence": "threshold"},
    "never silent": {"silence": "threshold", "silent_below": 0.0},
    "one world": {"worlds": 1, "env": {"frames": 10}},
    "GAE 0.95": {"gae_lambda": 0.95},
    "M of all agents": {"factor": "all", "max_log_factor": 10.0},
    "queue reset": {"env": {"queue_reset": True}},
    "as published": {
        "credit": "joint", "power_action": "watt", "observation": "positions", "worlds": 1,
        "actors": "per-agent", "env": {"frames": 10, "queue_reset": True}, "gae_lambda": 0.95,
        "critic_target": "td", "factor": "all", "max_log_factor": 10.0,
    },
}  # fmt: skip
"""The companion's settings, and each taken back by itself to what the paper has or implies."""

EXPERIMENTS = {
    one.name: one
    for one in [
        Experiment(
            "fig04_06",
            "Convergence: rewards and energy against time slots",
            {name: {"algorithm": name} for name in LEARNERS},
            {"smoke": 1, "quick": 2, "companion": 5, "paper": 3},
            {"paper": 12},
            ("fig04", "fig05", "fig06"),
        ),
        Experiment(
            "tradeoff",
            "Energy against failures: every learner at several control factors",
            {
                f"{name} eta={eta:g}": {"algorithm": name, "env": {"control_factor": eta}}
                for name in LEARNERS
                for eta in CONTROL_FACTORS
            },
            {"smoke": 1, "quick": 1, "companion": 5},
        ),
        Experiment(
            "ablations",
            "What each of the companion's settings buys Beta-HAPPO",
            ABLATIONS,
            {"smoke": 1, "quick": 1, "companion": 3},
        ),
    ]
}


def find(name: str) -> Experiment:
    """Return the experiment of that name or of that figure, such as ``fig05``."""
    for experiment in EXPERIMENTS.values():
        if name in (experiment.name, *experiment.aliases):
            return experiment
    known = sorted(n for one in EXPERIMENTS.values() for n in (one.name, *one.aliases))
    raise ConfigError(f"figure = {name!r}: must be one of {', '.join(known)}")


def _rows(planned: Planned, experiment: Experiment) -> pd.DataFrame:
    history = store.get(planned.config, planned.episodes).history
    history = history.drop(columns=["episode", *TIMINGS]).rename(columns={"slots": "x"})
    return _labelled(history, planned, figure=experiment.name)


def _labelled(table: pd.DataFrame, planned: Planned, **head: str) -> pd.DataFrame:
    """Put in front of a run's table whose it is."""
    head |= {"algorithm": planned.config.algorithm, "variant": planned.variant}
    head |= {"seed": planned.config.seed, "control_factor": planned.config.env.control_factor}
    for place, (name, value) in enumerate(head.items()):
        table.insert(place, name, value)
    return table


def collect(
    experiment: Experiment,
    runs: list[Planned],
    jobs: int = 2,
    progress: bool = False,
    device: str = "auto",
) -> pd.DataFrame:
    """Train what the store lacks and return tidy data: one row per run and x-value.

    Args:
        experiment: whose runs they are.
        runs: see :meth:`Experiment.runs`.
        jobs: processes, each with one torch thread; a GPU is used by one process.
        progress: show a bar over episodes on standard error.
        device: ``auto``, ``cpu``, or ``cuda``, where runs that fit together train side by side.
    """
    missing = [r for r in runs if store.episodes_done(r.config) < r.episodes]
    batches = [([planned.config], planned.episodes) for planned in missing]
    if (where := resolve_device(device)).type == "cuda":
        shares = {planned.episodes for planned in missing}
        batches, jobs = (
            [
                (batch, share)
                for share in shares
                for batch in alike(
                    [planned.config for planned in missing if planned.episodes == share]
                )
            ],
            1,
        )
    with _EpisodeBar(missing, progress):
        jobs = max(1, min(jobs, len(batches)))
        done = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(_finish)(*batch, str(where)) for batch in batches
        )
        for _ in done:
            pass
    return pd.concat([_rows(planned, experiment) for planned in runs], ignore_index=True)


def _finish(configs: list[TrainConfig], episodes: int, device: str) -> None:
    store.get_together(configs, episodes, device=device)


def _evaluate(planned: Planned) -> tuple[pd.DataFrame, ...]:
    held, tuning = (store.evaluation(planned.config, planned.episodes, stream) for stream in WORLDS)
    return tuple(_labelled(one, planned) for one in (held.worlds, held.users, tuning.users))


def evaluate_runs(runs: list[Planned], jobs: int = 2) -> list[pd.DataFrame]:
    """Evaluate runs on the same worlds, or take what the store has.

    Returns:
        One row per run and held-out world; per run and user there; per run and user in the worlds
        that settings are chosen by.
    """
    found = Parallel(n_jobs=max(1, min(jobs, len(runs))))(delayed(_evaluate)(one) for one in runs)
    return [pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True)]


class _EpisodeBar:
    """A bar over the episodes of several runs, read off their histories while they grow."""

    def __init__(self, runs: list[Planned], show: bool) -> None:
        self._configs = [planned.config for planned in runs]
        self._stop = threading.Event()
        self._bar = tqdm(
            total=sum(planned.episodes for planned in runs),
            initial=self._done(),
            unit="ep",
            desc=f"training {len(runs)} runs",
            disable=not (show and runs),
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _done(self) -> int:
        return sum(store.episodes_done(config) for config in self._configs)

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self._bar.update(self._done() - self._bar.n)

    def __enter__(self) -> None:
        if not self._bar.disable:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if not self._bar.disable:
            self._thread.join()
            self._bar.update(self._done() - self._bar.n)
        self._bar.close()


def plan_key(runs: list[Planned]) -> str:
    """Return the sha256 of a list of runs: their variants, settings and version of the results."""
    parts = [[planned.variant, store.key(planned.config), planned.episodes] for planned in runs]
    return results.sha256(store.canonical(parts))


def write(
    experiment: Experiment,
    preset: str,
    seeds: int | None = None,
    jobs: int = 2,
    progress: bool = False,
    device: str = "auto",
) -> Path:
    """Run an experiment and write its tables and manifest to ``results/<preset>/<name>/``.

    Where the same runs gave the same tables before, nothing is touched.
    """
    runs = experiment.runs(preset, seeds)
    tables = collect(experiment, runs, jobs, progress, device), *evaluate_runs(runs, jobs)
    spent = [
        store.get(planned.config, planned.episodes).history[list(TIMINGS)].to_numpy().sum()
        for planned in runs
    ]
    facts = {
        "experiment": experiment.name,
        "preset": preset,
        "threads_per_run": 1,
        "device": resolve_device(device).type,
        "seconds_of_training": round(float(sum(spent)), 1),
        "runs": [
            {
                "variant": planned.variant,
                "seed": planned.config.seed,
                "episodes": planned.episodes,
                "sha256": store.key(planned.config),
                "config": json.loads(planned.config.canonical_json()),
            }
            for planned in runs
        ],
    }
    place = paths.results() / preset / experiment.name
    results.write(place, plan_key(runs), dict(zip(TABLES, tables, strict=True)), facts)
    return place


def read(
    experiment: Experiment, runs: list[Planned], preset: str, name: str = TABLES[0]
) -> pd.DataFrame | None:
    """Return a committed table if it is that of exactly these runs; see :func:`results.read`."""
    return results.read(paths.results() / preset / experiment.name, plan_key(runs), name)


def data(
    name: str,
    preset: str = "quick",
    seeds: int | None = None,
    changes: Mapping[str, Any] | None = None,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Return a figure's data: the committed ones if they fit, else trained or taken from the store.

    Args:
        name: of the experiment or the figure.
        preset: budget and size.
        seeds: how many; the preset's number if absent.
        changes: settings that differ from the preset's.
        jobs: processes for what has to be trained.
        progress: show a bar on standard error.
    """
    experiment = find(name)
    runs = experiment.runs(preset, seeds, changes)
    committed = read(experiment, runs, preset)
    return collect(experiment, runs, jobs, progress) if committed is None else committed


def evaluation(
    name: str,
    preset: str = "quick",
    seeds: int | None = None,
    changes: Mapping[str, Any] | None = None,
    jobs: int = 2,
) -> list[pd.DataFrame]:
    """Return an experiment's results, see :func:`evaluate_runs` and :func:`data`."""
    experiment = find(name)
    runs = experiment.runs(preset, seeds, changes)
    known = [read(experiment, runs, preset, table) for table in TABLES[1:]]
    return evaluate_runs(runs, jobs) if any(one is None for one in known) else known
