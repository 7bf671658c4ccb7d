"""The training loop: episodes, history, checkpoints, resume; trained runs and their evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from dtlib.agents.episode import Episode
from dtlib.agents.policies import Policies
from dtlib.happo.learner import Learner
from dtlib.maddpg.maddpg import MADDPG
from dtlib.model.simulator import Carry, Outcome, initial_carry, join, simulate
from dtlib.model.world import sample_world
from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint, write_text, write_whole
from dtlib.runtime.devices import clock, resolve_device, torch_threads
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.seeds import seeded, stream_seed
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig
from dtlib.training.averaging import Average
from dtlib.training.evaluation import FRAMES, WORLDS, Evaluation, evaluate_policy, outcome_metrics

CONFIG, CHECKPOINT, HISTORY = "config.json", "checkpoint.safetensors", "history.csv"
TIMINGS = ("world_s", "act_s", "simulate_s", "update_s")
"""Columns of a history that differ between equal runs."""


@dataclass(frozen=True)
class Run:
    """A training run, finished or not."""

    config: TrainConfig
    policies: Policies
    history: pd.DataFrame
    """One row per finished episode."""


class Rollout:
    """One run's next episode, played a stretch of slots at a time."""

    def __init__(
        self, config: TrainConfig, number: int, queue: Tensor, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        begin = clock(device)
        numbers = range(number * config.worlds, (number + 1) * config.worlds)
        seeds = [stream_seed("world", config.seed, one) for one in numbers]
        self.world = sample_world(config.env, seeds, device=device)
        self.seconds = dict.fromkeys(TIMINGS[:-1], 0.0) | {"world_s": clock(device) - begin}
        self.generator = seeded("actions", config.seed, number, device=device)
        self.carry: Carry = initial_carry(self.world, queue)
        self.outcomes: list[Outcome] = []

    def play(self, policies: Policies, start: int, stop: int) -> Episode:
        """Act and simulate in slots ``start`` to ``stop − 1``."""
        world, env = self.world.window(start, stop), self.config.env
        begin = clock(self.device)
        decision = policies.decide(world, [self.generator], self.carry, env)
        decided = clock(self.device)
        outcome = simulate(world, decision.actions, env, self.carry)
        self.carry = outcome.carry
        self.outcomes.append(outcome)
        self.seconds["act_s"] += decided - begin
        self.seconds["simulate_s"] += clock(self.device) - decided
        return Episode(world, decision, outcome)


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
        weights = [seeded("weights", config.seed) for config in configs]
        learner = MADDPG if configs[0].algorithm == "maddpg" else Learner
        self.learner = learner(configs[0], weights, device)
        self.queues = [
            torch.zeros(config.worlds, config.env.num_users, dtype=torch.float64, device=device)
            for config in configs
        ]
        self.rows: list[list[dict[str, float]]] = [[] for _ in configs]
        self.averages = [Average(one, device) for one in configs if one.averaged]
        """One per run, if weights are averaged."""

    def episode(self) -> list[dict[str, float]]:
        """Act, simulate and learn for one episode; return each run's row of the history."""
        number = len(self.rows[0])
        rollouts = [
            Rollout(config, number, queue, self.device)
            for config, queue in zip(self.configs, self.queues, strict=True)
        ]
        order, found, spent = seeded("order", number), [], 0.0
        slots = self.configs[0].env.slots
        stretch = self.learner.stretch(self.configs[0].env)
        for start in range(0, slots, stretch):
            progress = (number + start / slots) / self.configs[0].episodes
            for policies in self.learner.policies:
                policies.progress = progress
            episodes = [
                rollout.play(self.learner.policies[run], start, min(start + stretch, slots))
                for run, rollout in enumerate(rollouts)
            ]
            begin = clock(self.device)
            found.append(self.learner.update(episodes, order, progress))
            spent += clock(self.device) - begin
        for run, rollout in enumerate(rollouts):
            env = rollout.config.env
            row: dict[str, float] = {"episode": number}
            row["slots"] = (number + 1) * env.slots * rollout.config.worlds
            row |= outcome_metrics(join(rollout.outcomes), env)
            row |= pd.DataFrame([stats[run] for stats in found]).mean().to_dict()
            self.rows[run].append(row | rollout.seconds | {"update_s": spent / len(rollouts)})
            if not env.queue_reset:
                self.queues[run].copy_(rollout.carry.queue)
        for average, policies in zip(self.averages, self.learner.policies, strict=False):
            average.take(policies, number)
        return [rows[-1] for rows in self.rows]

    def save(self, out: Path, run: int = 0) -> None:
        """Write one run's checkpoint and history."""
        arrays = self.learner.state(run) | {"queue": self.queues[run]}
        arrays |= self.averages[run].state() if self.averages else {}
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
        average = {name: arrays.pop(name) for name in [*arrays] if name.startswith("average.")}
        try:
            self.learner.load(arrays, run)
            if self.averages:
                self.averages[run].load(average)
            self.queues[run].copy_(queue)
        except (ValueError, RuntimeError) as error:
            raise FileError(f"{path}: {str(error).splitlines()[0]}") from None
        self.rows[run] = rest["rows"]

    def run(self, run: int = 0) -> Run:
        """Return a run as it stands, its policies averaged once that has begun."""
        policies, rows = self.learner.policies[run], self.rows[run]
        if self.averages and self.averages[run].begun(len(rows)):
            policies = self.averages[run].policies
        return Run(self.configs[run], policies, pd.DataFrame(rows))


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


def evaluate(
    run: Run,
    worlds: int = WORLDS["held-out"],
    stream: str = "held-out",
    progress: bool = False,
    threads: int = 1,
) -> Evaluation:
    """Evaluate a run's mean actions on worlds of Table I's length that no run is trained on.

    Args:
        run: trained policies.
        worlds: how many.
        stream: ``held-out``, or ``tuning`` to choose settings by.
        progress: show a bar on standard error.
        threads: torch threads.
    """
    env = evaluation_env(run.config)
    return evaluate_policy(run.policies, env, worlds, stream, progress, threads)


def evaluation_env(config: TrainConfig) -> EnvConfig:
    """Return a run's network with worlds of Table I's length."""
    return config.env.replace(frames=max(FRAMES, config.env.frames))
