"""Each figure of the paper as a grid of runs, and the data that come of it."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from dtlib import paths, store
from dtlib.checkpoint import FileError, write_text
from dtlib.config import ConfigError, TrainConfig
from dtlib.devices import resolve_device
from dtlib.training import TIMINGS, Trainer, alike, evaluate

MANIFEST = "manifest.json"
HELD_OUT = 5
"""Held-out worlds on which the runs of a figure are evaluated."""

COMPANION: dict[str, Any] = {
    "credit": "per-user",
    "factor": "by-reward",
    "max_log_factor": 1.0,
    "power_action": "decibel",
    "power_range_db": 30.0,
    "gae_lambda": 0.0,
    "critic_target": "gae",
    "entropy_coef": 0.001,
}
"""What makes Beta-HAPPO learn within a small budget; each is a setting of :class:`TrainConfig`."""


@dataclass(frozen=True)
class Planned:
    """One run of an experiment."""

    variant: str
    config: TrainConfig


@dataclass(frozen=True)
class Experiment:
    """A grid of runs that one or more figures of the paper are drawn from."""

    name: str
    title: str
    variants: Mapping[str, Mapping[str, Any]]
    """Changes to a preset's settings, by the name of the variant."""
    seeds: Mapping[str, int]
    """How many seeds each preset runs."""
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
        return [
            Planned(
                name, TrainConfig.from_preset(preset, **{**variant, **(changes or {})}, seed=seed)
            )
            for name, variant in self.variants.items()
            for seed in range(seeds)
        ]


EXPERIMENTS = {
    one.name: one
    for one in [
        Experiment(
            "fig04_06",
            "Convergence: rewards and energy against time slots",
            {"published": {}, "companion": COMPANION},
            {"smoke": 2, "quick": 3, "paper": 3},
            ("fig04", "fig05", "fig06"),
        )
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
    history = store.get(planned.config).history.drop(columns=["episode", *TIMINGS])
    history = history.rename(columns={"slots": "x"})
    head = {
        "figure": experiment.name,
        "algorithm": planned.config.algorithm,
        "variant": planned.variant,
        "seed": planned.config.seed,
    }
    for place, (name, value) in enumerate(head.items()):
        history.insert(place, name, value)
    return history


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
    missing = [r for r in runs if store.episodes_done(r.config) < r.config.episodes]
    batches = [[planned.config] for planned in missing]
    if (where := resolve_device(device)).type == "cuda":
        batches, jobs = alike([planned.config for planned in missing]), 1
    with _EpisodeBar(missing, progress):
        jobs = max(1, min(jobs, len(batches)))
        done = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(_finish)(batch, str(where)) for batch in batches
        )
        for _ in done:
            pass
    return pd.concat([_rows(planned, experiment) for planned in runs], ignore_index=True)


def _finish(configs: list[TrainConfig], device: str) -> None:
    store.get_together(configs, device=device)


def _evaluate(planned: Planned) -> pd.DataFrame:
    run = store.get(planned.config)
    stages = {"before": Trainer([planned.config]).run(), "after": run}
    tables = [evaluate(one, HELD_OUT).assign(stage=stage) for stage, one in stages.items()]
    table = pd.concat(tables, ignore_index=True)
    return table.assign(variant=planned.variant, seed=planned.config.seed)


def evaluate_runs(runs: list[Planned], jobs: int = 2) -> pd.DataFrame:
    """Evaluate finished runs, and their policies before training, on the same held-out worlds.

    Returns:
        One row per variant, seed, stage (``before`` or ``after``) and world.
    """
    tables = Parallel(n_jobs=max(1, min(jobs, len(runs))))(delayed(_evaluate)(one) for one in runs)
    return pd.concat(tables, ignore_index=True)


class _EpisodeBar:
    """A bar over the episodes of several runs, read off their histories while they grow."""

    def __init__(self, runs: list[Planned], show: bool) -> None:
        self._configs = [planned.config for planned in runs]
        self._stop = threading.Event()
        self._bar = tqdm(
            total=sum(config.episodes for config in self._configs),
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
    text = store.canonical([[planned.variant, store.key(planned.config)] for planned in runs])
    return _sha256(text)


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
    tables = {
        "data.csv": collect(experiment, runs, jobs, progress, device),
        "evaluation.csv": evaluate_runs(runs, jobs),
    }
    texts = {name: one.to_csv(index=False, lineterminator="\n") for name, one in tables.items()}
    spent = [store.get(planned.config).history[list(TIMINGS)].to_numpy().sum() for planned in runs]
    manifest = {
        "experiment": experiment.name,
        "preset": preset,
        "key": plan_key(runs),
        "files_sha256": {name: _sha256(text) for name, text in texts.items()},
        "threads_per_run": 1,
        "device": resolve_device(device).type,
        "seconds_of_training": round(float(sum(spent)), 1),
        **store.provenance(),
        "runs": [
            {
                "variant": planned.variant,
                "seed": planned.config.seed,
                "sha256": store.key(planned.config),
                "config": json.loads(planned.config.canonical_json()),
            }
            for planned in runs
        ],
    }
    place = paths.results() / preset / experiment.name
    if _manifest(place).get("key") == manifest["key"] and all(
        _text(place / name) == text for name, text in texts.items()
    ):
        return place
    for name, text in texts.items():
        write_text(place / name, text)
    write_text(place / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return place


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def _manifest(place: Path) -> dict[str, Any]:
    try:
        return json.loads(_text(place / MANIFEST) or "{}")
    except json.JSONDecodeError:
        return {}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read(
    experiment: Experiment, runs: list[Planned], preset: str, name: str = "data.csv"
) -> pd.DataFrame | None:
    """Return a committed table if it is that of exactly these runs, else None.

    Raises:
        FileError: the table does not have the checksum that its manifest states.
    """
    place = paths.results() / preset / experiment.name
    manifest = _manifest(place)
    if manifest.get("key") != plan_key(runs):
        return None
    if (text := _text(place / name)) is None:
        return None
    if _sha256(text) != manifest.get("files_sha256", {}).get(name):
        raise FileError(f"{place / name}: differs from its manifest; run `dtlib figure` again")
    return pd.read_csv(io.StringIO(text))


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
) -> pd.DataFrame:
    """Return the evaluation of a figure's runs before and after training; see :func:`data`."""
    experiment = find(name)
    runs = experiment.runs(preset, seeds, changes)
    committed = read(experiment, runs, preset, "evaluation.csv")
    return evaluate_runs(runs, jobs) if committed is None else committed
