"""The training loop: episodes, history, checkpoints, resume; trained runs and their evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator
from tqdm import tqdm

from dtlib.algorithms.learner import Learner
from dtlib.checkpoint import FileError, load_checkpoint, save_checkpoint, write_text, write_whole
from dtlib.config import ConfigError, EnvConfig, TrainConfig
from dtlib.policies import Policies
from dtlib.simulator import Outcome, initial_carry, simulate
from dtlib.world import sample_world

CONFIG, CHECKPOINT, HISTORY = "config.json", "checkpoint.safetensors", "history.csv"
TIMINGS = ("world_s", "act_s", "simulate_s", "update_s")
"""Columns of a history that differ between equal runs."""
_STREAMS = {"weights": 0, "world": 1, "actions": 2, "order": 3, "held-out": 4}


def stream_seed(stream: str, *key: int) -> int:
    """Return a seed of its own for each purpose, run and episode.

    All randomness of a run is derived from its seed and the number of the episode, so the number
    of finished episodes is the whole state of its generators.

    Args:
        stream: ``weights``, ``world``, ``actions``, ``order`` or ``held-out``.
        key: the run's seed and the episode; for held-out worlds, the world's number.
    """
    sequence = np.random.SeedSequence([_STREAMS[stream], *key])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def _generator(stream: str, *key: int) -> Generator:
    return Generator().manual_seed(stream_seed(stream, *key))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Use this many torch threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def outcome_metrics(outcome: Outcome, env: EnvConfig) -> dict[str, float]:
    """Return an episode's results as numbers, means over replicas and users.

    Args:
        outcome: of whole episodes.
        env: their network.
    """
    served = outcome.request & ~outcome.failure
    slot_ratio = outcome.failure_ratio_slots
    return {
        "reward_global": outcome.reward_global.mean().item(),
        "reward_centre": outcome.reward_centre.mean().item(),
        "energy_per_user_slot_j": outcome.energy_per_slot_j.mean().item(),
        "energy_per_served_request_j": (
            outcome.energy_j.double().sum() / served.sum().clamp_min(1)
        ).item(),
        "failure_ratio_slots": slot_ratio.mean().item(),
        "failure_ratio_slots_worst_user": slot_ratio.max(-1).values.mean().item(),
        "failure_ratio_requests": (
            outcome.failure.sum() / outcome.request.sum().clamp_min(1)
        ).item(),
        "migrations_per_frame": (outcome.migrations.mean() / max(env.frames - 1, 1)).item(),
        "queue_rate": (outcome.queue[:, -1].mean() / env.slots).item(),
    }


@dataclass(frozen=True)
class Run:
    """A training run, finished or not."""

    config: TrainConfig
    policies: Policies
    history: pd.DataFrame
    """One row per finished episode."""


class Trainer:
    """A run in progress; :func:`train` drives it.

    Args:
        config: the run's settings.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.learner = Learner(config, _generator("weights", config.seed))
        self.queue = torch.zeros(1, config.env.num_users, dtype=torch.float64)
        self.rows: list[dict[str, float]] = []

    def episode(self) -> dict[str, float]:
        """Act, simulate and learn for one episode; return its row of the history."""
        config, env, number = self.config, self.config.env, len(self.rows)
        clock = [time.perf_counter()]
        world = sample_world(env, stream_seed("world", config.seed, number))
        clock.append(time.perf_counter())
        carry = initial_carry(world, self.queue)
        generator = _generator("actions", config.seed, number)
        decision = self.learner.policies.decide(world, [generator], carry)
        clock.append(time.perf_counter())
        outcome = simulate(world, decision.actions, env, carry)
        clock.append(time.perf_counter())
        order = _generator("order", config.seed, number)
        diagnostics = self.learner.update(world, decision, outcome, order)
        clock.append(time.perf_counter())
        if not env.queue_reset:
            self.queue.copy_(outcome.queue[:, -1])
        seconds = dict(zip(TIMINGS, np.diff(clock).tolist(), strict=True))
        row = {"episode": number, "slots": (number + 1) * env.slots}
        self.rows.append(row | outcome_metrics(outcome, env) | diagnostics | seconds)
        return self.rows[-1]

    def save(self, out: Path) -> None:
        """Write checkpoint and history."""
        arrays = self.learner.state() | {"queue": self.queue}
        rest = {"config": json.loads(self.config.canonical_json()), "rows": self.rows}
        save_checkpoint(out / CHECKPOINT, arrays, rest)
        history = self.run().history
        write_whole(out / HISTORY, lambda aside: history.to_csv(aside, index=False))

    def load(self, path: Path) -> None:
        """Take up a checkpoint of the same settings.

        Raises:
            FileError: the file is damaged, or does not belong to this run.
        """
        arrays, rest = load_checkpoint(path)
        if rest.get("config") != json.loads(self.config.canonical_json()):
            raise FileError(f"{path}: its settings are not those of {CONFIG} beside it")
        queue = arrays.pop("queue", torch.empty(0))
        try:
            self.learner.load(arrays)
            self.queue.copy_(queue)
        except (ValueError, RuntimeError) as error:
            raise FileError(f"{path}: {str(error).splitlines()[0]}") from None
        self.rows = rest["rows"]

    def run(self) -> Run:
        """Return the run as it stands."""
        return Run(self.config, self.learner.policies, pd.DataFrame(self.rows))


def train(
    config: TrainConfig,
    out: str | Path | None = None,
    progress: bool = False,
    episodes: int | None = None,
    threads: int = 1,
) -> Run:
    """Train, or take up where an earlier call with the same settings and folder was stopped.

    Args:
        config: the run's settings.
        out: folder for settings, checkpoint and history; nothing is written if absent.
        progress: show a bar on standard error.
        episodes: stop after so many in all, to be continued later; all if absent.
        threads: torch threads; the bits of a result may depend on their number.

    Raises:
        FileError: ``out`` cannot be used: not writable, in other use, or a damaged checkpoint.
    """
    folder = None if out is None else Path(out)
    if folder is not None:
        _claim(folder, config)
    with torch_threads(threads):
        trainer = Trainer(config)
        if folder is not None and (folder / CHECKPOINT).exists():
            trainer.load(folder / CHECKPOINT)
        goal = config.episodes if episodes is None else min(episodes, config.episodes)
        _run_episodes(trainer, goal, folder, progress)
    return trainer.run()


def _run_episodes(trainer: Trainer, goal: int, folder: Path | None, progress: bool) -> None:
    start, config = len(trainer.rows), trainer.config
    title = f"{config.algorithm} {config.preset} seed {config.seed}"
    with tqdm(total=goal, initial=start, unit="ep", disable=not progress, desc=title) as bar:
        for _ in range(start, goal):
            row = trainer.episode()
            if folder is not None:
                trainer.save(folder)
            bar.set_postfix_str(
                f"{1e3 * row['energy_per_user_slot_j']:.2f} mJ, "
                f"{100 * row['failure_ratio_requests']:.1f} % failed",
                refresh=False,
            )
            bar.update()


def _claim(folder: Path, config: TrainConfig) -> None:
    """Make ``folder`` this run's, or raise if it is anybody else's."""
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: is a file; the output must be a folder")
    settings = folder / CONFIG
    if settings.exists():
        found = _read_config(settings)
        if found != config:
            raise FileError(
                f"{folder}: holds a run with another {_first_difference(found, config)}"
            )
        return
    if folder.exists() and any(not one.name.endswith(".part") for one in folder.iterdir()):
        raise FileError(f"{folder}: is not empty and holds no run; choose a new folder")
    write_text(settings, json.dumps(json.loads(config.canonical_json()), indent=2) + "\n")


def _read_config(path: Path) -> TrainConfig:
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        return TrainConfig.from_dict(values)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ConfigError, TypeError) as error:
        raise FileError(f"{path}: not a run's settings ({str(error).splitlines()[0]})") from None


def _first_difference(found: TrainConfig, wanted: TrainConfig) -> str:
    for name in TrainConfig.model_fields:
        a, b = getattr(found, name), getattr(wanted, name)
        if name == "env" and a != b:
            changed = [f for f in EnvConfig.model_fields if getattr(a, f) != getattr(b, f)]
            return f"env.{changed[0]}: {getattr(a, changed[0])!r}, not {getattr(b, changed[0])!r}"
        if a != b:
            return f"{name}: {a!r}, not {b!r}"
    return "setting"


def load_run(folder: str | Path) -> Run:
    """Load a run's settings, policies and history.

    Raises:
        FileError: no run there, or a damaged one.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FileError(f"{folder}: holds no run ({CONFIG} is missing)")
    trainer = Trainer(_read_config(folder / CONFIG))
    if not (folder / CHECKPOINT).is_file():
        raise FileError(f"{folder}: holds no checkpoint yet")
    trainer.load(folder / CHECKPOINT)
    return trainer.run()


def evaluate(run: Run, worlds: int = 20, progress: bool = False, threads: int = 1) -> pd.DataFrame:
    """Evaluate mean actions on held-out worlds, which no training run ever sees.

    Args:
        run: trained policies.
        worlds: how many episodes; the first n are always the same.
        progress: show a bar on standard error.
        threads: torch threads.

    Returns:
        One row per world with the columns of :func:`outcome_metrics`.
    """
    if worlds < 1:
        raise ConfigError(f"worlds = {worlds}: must be at least 1")
    env, rows = run.config.env, []
    with torch_threads(threads):
        for number in tqdm(range(worlds), unit="world", disable=not progress, desc="evaluate"):
            world = sample_world(env, stream_seed("held-out", number))
            outcome = simulate(world, run.policies.act(world), env)
            rows.append({"world": number} | outcome_metrics(outcome, env))
    return pd.DataFrame(rows)
