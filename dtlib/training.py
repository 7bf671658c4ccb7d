"""The training loop: episodes, history, checkpoints, resume; trained runs and their evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator
from tqdm import tqdm

from dtlib.algorithms.learner import Episode, Learner
from dtlib.checkpoint import FileError, load_checkpoint, save_checkpoint, write_text, write_whole
from dtlib.config import ConfigError, EnvConfig, TrainConfig
from dtlib.devices import resolve_device, torch_threads
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
        key: the run's seed and the episode; only the episode for the agents' order, which runs
            side by side have in common; for held-out worlds, the world's number.
    """
    sequence = np.random.SeedSequence([_STREAMS[stream], *key])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def _generator(stream: str, *key: int, device: torch.device | str = "cpu") -> Generator:
    return Generator(device).manual_seed(stream_seed(stream, *key))


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
    """Runs in progress that learn side by side; :func:`train` and :func:`train_together` drive it.

    Args:
        configs: one per run; seeds may differ, and networks of one size.
        device: where they learn.

    Raises:
        ConfigError: the settings do not fit together.
    """

    def __init__(self, configs: Sequence[TrainConfig], device: torch.device | str = "cpu") -> None:
        for config in configs:
            _check_alike(configs[0], config)
        self.configs, self.device = list(configs), torch.device(device)
        weights = [_generator("weights", config.seed) for config in configs]
        self.learner = Learner(configs[0], weights, device)
        self.queues = [
            torch.zeros(1, config.env.num_users, dtype=torch.float64, device=device)
            for config in configs
        ]
        self.rows: list[list[dict[str, float]]] = [[] for _ in configs]

    def episode(self) -> list[dict[str, float]]:
        """Act, simulate and learn for one episode; return each run's row of the history."""
        number = len(self.rows[0])
        played = [self._play(run, number) for run in range(len(self.configs))]
        start = self._now()
        episodes = [episode for episode, _ in played]
        diagnostics = self.learner.update(episodes, _generator("order", number))
        spent = (self._now() - start) / len(played)
        for run, (episode, seconds) in enumerate(played):
            env = self.configs[run].env
            row = {"episode": number, "slots": (number + 1) * env.slots}
            row |= outcome_metrics(episode.outcome, env) | diagnostics[run] | seconds
            self.rows[run].append(row | {"update_s": spent})
        return [rows[-1] for rows in self.rows]

    def _play(self, run: int, number: int) -> tuple[Episode, dict[str, float]]:
        """Return one run's next episode, and the seconds that its parts took."""
        config, env = self.configs[run], self.configs[run].env
        clock = [self._now()]
        seed = stream_seed("world", config.seed, number)
        world = sample_world(env, seed, device=self.device)
        clock.append(self._now())
        carry = initial_carry(world, self.queues[run])
        generator = _generator("actions", config.seed, number, device=self.device)
        decision = self.learner.policies[run].decide(world, [generator], carry, env)
        clock.append(self._now())
        outcome = simulate(world, decision.actions, env, carry)
        clock.append(self._now())
        if not env.queue_reset:
            self.queues[run].copy_(outcome.queue[:, -1])
        return Episode(world, decision, outcome), dict(
            zip(TIMINGS, np.diff(clock).tolist(), strict=False)
        )

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def save(self, out: Path, run: int = 0) -> None:
        """Write one run's checkpoint and history."""
        arrays = self.learner.state(run) | {"queue": self.queues[run]}
        config = json.loads(self.configs[run].canonical_json())
        save_checkpoint(out / CHECKPOINT, arrays, {"config": config, "rows": self.rows[run]})
        history = self.run(run).history
        write_whole(out / HISTORY, lambda aside: history.to_csv(aside, index=False))

    def load(self, path: Path, run: int = 0) -> None:
        """Take up a checkpoint of the same settings.

        Raises:
            FileError: the file is damaged, or does not belong to this run.
        """
        arrays, rest = load_checkpoint(path)
        if rest.get("config") != json.loads(self.configs[run].canonical_json()):
            raise FileError(f"{path}: its settings are not those of {CONFIG} beside it")
        queue = arrays.pop("queue", torch.empty(0))
        try:
            self.learner.load(arrays, run)
            self.queues[run].copy_(queue)
        except (ValueError, RuntimeError) as error:
            raise FileError(f"{path}: {str(error).splitlines()[0]}") from None
        self.rows[run] = rest["rows"]

    def run(self, run: int = 0) -> Run:
        """Return a run as it stands."""
        return Run(self.configs[run], self.learner.policies[run], pd.DataFrame(self.rows[run]))


def _check_alike(one: TrainConfig, other: TrainConfig) -> None:
    """Raise if two runs cannot learn side by side."""
    for name in TrainConfig.model_fields:
        if name not in ("seed", "env", "preset") and getattr(one, name) != getattr(other, name):
            raise ConfigError(
                f"{name} = {getattr(other, name)!r}: runs side by side must have the same, "
                f"another has {getattr(one, name)!r}"
            )
    for name in ("num_users", "num_bs", "frame_slots", "frames"):
        a, b = getattr(one.env, name), getattr(other.env, name)
        if a != b:
            raise ConfigError(
                f"env.{name} = {b}: runs side by side must have the same, another has {a}"
            )


def alike(configs: Sequence[TrainConfig]) -> list[list[TrainConfig]]:
    """Return the settings in groups that can learn side by side."""
    groups: list[list[TrainConfig]] = []
    for config in configs:
        for group in groups:
            try:
                _check_alike(group[0], config)
            except ConfigError:
                continue
            group.append(config)
            break
        else:
            groups.append([config])
    return groups


def train(
    config: TrainConfig,
    out: str | Path | None = None,
    progress: bool = False,
    episodes: int | None = None,
    threads: int = 1,
    device: str = "auto",
) -> Run:
    """Train, or take up where an earlier call with the same settings and folder was stopped.

    Args:
        config: the run's settings.
        out: folder for settings, checkpoint and history; nothing is written if absent.
        progress: show a bar on standard error.
        episodes: stop after so many in all, to be continued later; all if absent.
        threads: torch threads; the bits of a result may depend on their number.
        device: ``auto``, ``cpu`` or ``cuda``; a GPU draws other random actions than a CPU.

    Raises:
        FileError: ``out`` cannot be used: not writable, in other use, or a damaged checkpoint.
    """
    outs = None if out is None else [out]
    return train_together([config], outs, progress, episodes, threads, device)[0]


def train_together(
    configs: Sequence[TrainConfig],
    outs: Sequence[str | Path] | None = None,
    progress: bool = False,
    episodes: int | None = None,
    threads: int = 1,
    device: str = "auto",
) -> list[Run]:
    """Train runs side by side, as one batch: what a GPU needs to be busy.

    Each run gives what it gives alone, up to rounding. Runs that an earlier call has left behind
    the others catch up first.

    Args:
        configs: equal but for their seeds and what does not change the size of their networks.
        outs: a folder for each run.
        progress: see :func:`train`; so are the rest.
        episodes: see :func:`train`.
        threads: see :func:`train`.
        device: see :func:`train`.

    Raises:
        ConfigError: the runs cannot learn side by side, or no such device.
        FileError: see :func:`train`.
    """
    where = resolve_device(device)
    folders = [None] * len(configs) if outs is None else [Path(out) for out in outs]
    for config in configs:
        _check_alike(configs[0], config)
    for folder, config in zip(folders, configs, strict=True):
        if folder is not None:
            _claim(folder, config)
    goal = configs[0].episodes if episodes is None else min(episodes, configs[0].episodes)
    with torch_threads(threads):
        trainer = _resume(configs, folders, where)
        done = [len(rows) for rows in trainer.rows]
        behind = [run for run, count in enumerate(done) if count < min(goal, max(done))]
        for run in behind:
            alone = _resume([configs[run]], [folders[run]], where)
            _run_episodes(alone, min(goal, max(done)), [folders[run]], progress)
        trainer = _resume(configs, folders, where) if behind else trainer
        _run_episodes(trainer, goal, folders, progress)
    return [trainer.run(run) for run in range(len(configs))]


def _resume(
    configs: Sequence[TrainConfig], folders: Sequence[Path | None], device: torch.device
) -> Trainer:
    trainer = Trainer(configs, device)
    for run, folder in enumerate(folders):
        if folder is not None and (folder / CHECKPOINT).exists():
            trainer.load(folder / CHECKPOINT, run)
    return trainer


def _run_episodes(
    trainer: Trainer, goal: int, folders: Sequence[Path | None], progress: bool
) -> None:
    start, config = len(trainer.rows[0]), trainer.configs[0]
    which = f"seed {config.seed}" if len(folders) == 1 else f"{len(folders)} runs"
    title = f"{config.algorithm} {config.preset} {which}"
    with tqdm(total=goal, initial=start, unit="ep", disable=not progress, desc=title) as bar:
        for _ in range(start, goal):
            rows = trainer.episode()
            for run, folder in enumerate(folders):
                if folder is not None:
                    trainer.save(folder, run)
            energy, failed = (
                sum(row[name] for row in rows) / len(rows)
                for name in ("energy_per_user_slot_j", "failure_ratio_requests")
            )
            bar.set_postfix_str(f"{1e3 * energy:.2f} mJ, {100 * failed:.1f} % failed", False)
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
    trainer = Trainer([_read_config(folder / CONFIG)])
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
