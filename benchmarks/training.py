"""What an episode of training costs, phase by phase, and how near it is to the machine's limit.

    python -m benchmarks.training [--suite phases users sites runs jobs] [--rounds 5] [--out FOLDER]

Every case runs in processes of its own, whole episodes after one that does not count. In each
round the same process also times a large float32 matrix product, the most that the machine does
with as many threads, so that each ratio is of numbers from the same seconds. Floating-point
operations are counted twice: those of the matrix products that are really executed, by torch's own
counter and ours of NumPy's, and those of the same update with every input dense, from the sizes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import Parser, memory_mb, report
from dtlib.agents.episode import Episode
from dtlib.happo.algorithm import Agent
from dtlib.happo.experience import Experience
from dtlib.kernels import portable
from dtlib.runtime.devices import clock, cores, resolve_device, torch_threads
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Rollout, Trainer

NAME, FOLDER = "benchmarks.training", "results/benchmarks/training"
PACKAGES = ("torch", "numpy", "dtlib")
PHASES = ("world_s", "act_s", "simulate_s", "critic_s", "actor_s", "rest_s")
"""Parts of an episode of one run; ``rest_s`` is advantages and layout of the data. With two threads
critics learn beside actors, and ``critic_s`` is what they take longer."""
PEAK_SIZE = (5000, 1024, 1024)


@dataclass(frozen=True)
class Case:
    """What is measured: one episode of ``runs`` runs side by side in each of ``jobs`` processes."""

    suite: str
    users: int = 30
    sites: int = 5
    frames: int = 50
    epochs: int = 25
    critic: str = "shared"
    runs: int = 1
    jobs: int = 1
    threads: int = 1
    device: str = "cpu"


def cases(suite: str) -> list[Case]:
    """Return the cases of a suite."""
    base, both = Case(suite), sorted({1, cores()})
    if suite == "phases":
        return [replace(base, critic=c, threads=t) for c in ("shared", "per-agent") for t in both]
    if suite == "users":
        return [replace(base, users=count) for count in (10, 20, 30, 40, 50, 60)]
    if suite == "sites":
        return [replace(base, sites=count) for count in (3, 5, 7, 9)]
    if suite == "runs":  # small episodes, where calls weigh most
        small = replace(base, frames=10, epochs=10)
        return [replace(small, runs=count) for count in (1, 2, 4, 8)]
    if suite == "jobs":
        return [replace(base, jobs=cores()), replace(base, threads=cores())]
    if suite == "plain":
        return [replace(base, epochs=4)]
    if suite == "gpu":
        return [replace(base, device="cuda", runs=count) for count in (1, 4, 16, 64)]
    raise ConfigError(f"suite = {suite!r}: must be one of {', '.join(SUITES)}, gpu")


SUITES = ("phases", "plain", "users", "sites", "runs", "jobs")


def settings(case: Case) -> list[TrainConfig]:
    """Return the settings of a case's runs: the paper's, with its sizes."""
    env = {"num_users": case.users, "num_bs": case.sites, "frames": case.frames}
    base = TrainConfig(env=env, epochs=case.epochs, critic=case.critic)
    return [base.replace(seed=seed) for seed in range(case.runs)]


class Stopwatch:
    """Adds up the seconds that a function or a method takes."""

    def __init__(self, work: Callable[..., Any], now: Callable[[], float]) -> None:
        self.work, self.now, self.seconds = work, now, 0.0

    def __call__(self, *args: Any) -> Any:
        start = self.now()
        result = self.work(*args)
        self.seconds += self.now() - start
        return result

    def __get__(self, instance: Any, owner: type) -> Callable[..., Any]:
        return partial(self, instance)

    def take(self) -> float:
        """Return the seconds since the last call."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def dense_flop(config: TrainConfig, rows: Sequence[int]) -> float:
    """Count an epoch's operations with dense inputs: forward, and back to all but the inputs.

    Args:
        config: sizes and number of critics.
        rows: slots in which each agent has something to learn.
    """
    from dtlib.happo.learner import Learner

    model = Learner(config, [torch.Generator()])
    networks = [(actor.stack.sizes, n) for actor, n in zip(model.actors, rows, strict=True)]
    networks += [(model.critics.stack.sizes, config.env.slots)] * model.critics.count
    total = 0.0
    for sizes, count in networks:
        products = [2 * count * a * b for a, b in pairwise(sizes)]
        total += 3 * sum(products) - products[0]
    return total


def peak_gflops(device: torch.device, now: Callable[[], float]) -> float:
    """Return the most operations that a large product reaches, in 1e9 per second."""
    n, a, b = PEAK_SIZE
    left, right = torch.randn(1, n, a, device=device), torch.randn(1, a, b, device=device)
    out, best = torch.empty(1, n, b, device=device), float("inf")
    for _ in range(4):
        start = now()
        portable.product(left, right, out=out)
        best = min(best, now() - start)
    return 2 * n * a * b / best / 1e9


def work(case: Case, rounds: int) -> list[dict[str, float]]:
    """Measure one process's part of a case; one record per round."""
    configs, device = settings(case), resolve_device(case.device)
    now = partial(clock, device)
    actors = {name: Stopwatch(getattr(Agent, name), now) for name in ("factor", "step", "hand_on")}
    with torch_threads(case.threads), mock.patch.multiple(Agent, **actors):
        trainer = Trainer(configs, device)
        learner = trainer.learner
        critics = learner.critics.step = Stopwatch(learner.critics.step, now)
        trainer.episode()
        counted = _count(trainer) if case.device == "cpu" else {}
        records = []
        for _ in range(rounds):
            for watch in (critics, *actors.values()):
                watch.take()
            peak = peak_gflops(device, now)
            start = now()
            rows = trainer.episode()
            whole = (now() - start) / case.runs
            record = {name: median(row[name] for row in rows) for name in PHASES[:3]}
            record["actor_s"] = sum(watch.take() for watch in actors.values()) / case.runs
            record["critic_s"] = critics.take() / case.runs
            if case.threads > 1:
                update = median(row["update_s"] for row in rows)
                record["critic_s"] = max(update - record["actor_s"], 0.0)
            record["rest_s"] = whole - sum(record.values())
            record |= {"episode_s": whole, "gemm_gflops": peak, **counted}
            record["peak_mb"] = memory_mb(peak=True)
            if case.suite == "plain":
                record |= compare(trainer)
            if counted:
                update = record["actor_s"] + record["critic_s"]
                for kind in ("executed", "dense"):
                    rate = counted[f"{kind}_gflop"] * case.epochs / update
                    record[f"{kind}_of_peak"] = rate / peak
            records.append(record)
    return records


def compare(trainer: Trainer) -> dict[str, float]:
    """Time one update against the same with autograd, in ``tests/plain_options.py``."""
    from tests.plain_options import PlainLearner

    played = _play(trainer)
    plain = PlainLearner(trainer.learner)
    seconds = {}
    for name, update in (("fast_s", lambda *a: trainer.learner.update([a[0]], a[1])),
                         ("plain_s", plain.update)):  # fmt: skip
        start = clock(trainer.device)
        update(played, torch.Generator().manual_seed(0))
        seconds[name] = clock(trainer.device) - start
    return seconds | {"plain_over_fast": seconds["plain_s"] / seconds["fast_s"]}


def _play(trainer: Trainer) -> Episode:
    """Return an episode of the first run."""
    rollout = Rollout(trainer.configs[0], 999, queue=trainer.queues[0], device=trainer.device)
    return rollout.play(trainer.learner.policies[0], 0, rollout.world.slots)


@contextmanager
def counted_products() -> Iterator[list[int]]:
    """Give a list that has the operations of every product made inside the block, once it ends."""
    counts: list[int] = []

    def matmul(left: np.ndarray, right: np.ndarray, **more: Any) -> np.ndarray:
        counts.append(2 * left.size * right.shape[-1])
        return np.matmul(left, right, **more)

    with (
        FlopCounterMode(display=False) as by_torch,
        mock.patch.object(portable, "np", SimpleNamespace(matmul=matmul)),
    ):
        yield counts
    counts.append(by_torch.get_total_flops())


def _count(trainer: Trainer) -> dict[str, float]:
    """Count one epoch's operations in 1e9, executed and dense."""
    config, learner = trainer.configs[0], trainer.learner
    played = _play(trainer)
    experience = Experience(config, learner.critic_of, [played] * len(trainer.configs))
    layout = experience.batches(torch.zeros_like(experience.rewards))
    rows = [one.rows.shape[1] for one in layout]
    learner.config = config.replace(epochs=1)
    state = {name: array.clone() for name, array in learner.state().items()}
    with counted_products() as one:
        learner.update([played] * len(trainer.configs), torch.Generator())
    learner.config = config.replace(epochs=2)
    learner.load(state)
    with counted_products() as two:
        learner.update([played] * len(trainer.configs), torch.Generator())
    learner.load(state)
    learner.config = config
    return {
        "executed_gflop": (sum(two) - sum(one)) / 1e9 / len(trainer.configs),
        "dense_gflop": dense_flop(config, rows) / 1e9,
    }  # fmt: skip


def measure(case: Case, rounds: int) -> list[dict[str, Any]]:
    """Run a case in processes of its own; return tidy rows, one per round and quantity."""
    command = [sys.executable, "-m", NAME, "--worker", json.dumps(asdict(case))]
    command += ["--rounds", str(rounds)]
    start = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(case.jobs)]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise FileError(f"benchmark {case}: a process failed")
    seconds = time.perf_counter() - start
    rows = []
    for job, output in enumerate(outputs):
        for number, record in enumerate(json.loads(output)):
            values = record | {"process_s": seconds}
            rows += [
                asdict(case) | {"job": job, "round": number, "quantity": name, "value": value}
                for name, value in values.items()
            ]
    return rows


def table(rows: pd.DataFrame) -> str:
    """Return medians as a table of text."""
    columns = list(Case.__dataclass_fields__)
    wide = rows.pivot_table(
        index=columns, columns="quantity", values="value", aggfunc="median", sort=False
    )
    shown = [
        *PHASES,
        "episode_s",
        "dense_of_peak",
        "executed_of_peak",
        "gemm_gflops",
        "peak_mb",
        "plain_over_fast",
    ]
    shown = [name for name in shown if name in wide.columns]
    return wide[shown].reset_index().to_string(index=False, float_format=lambda x: f"{x:.3g}")


def _measure_all(suites: Sequence[str], rounds: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows of all cases, shown as they come, and notes for the manifest."""
    if rounds < 1:
        raise ConfigError(f"rounds = {rounds}: must be at least 1")
    found = []
    for case in [case for suite in suites for case in cases(suite)]:
        found.append(pd.DataFrame(measure(case, rounds)))
        print(table(found[-1]).splitlines()[-1], flush=True)
    return pd.concat(found, ignore_index=True), {"rounds": rounds, "cores": cores()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the suites, print medians, and write ``data.csv`` and ``manifest.json`` if asked.

    Returns:
        0, or 2 for bad input, which one line on standard error explains.
    """
    parser = Parser("training", __doc__.splitlines()[0], FOLDER)
    parser.add_argument("--suite", nargs="+", default=list(SUITES), help="default: all but gpu")
    parser.add_argument("--rounds", type=int, default=5, help="episodes measured in each case (5)")
    parser.add_argument("--worker", help="internal: measure this case here, print JSON")
    options = parser.parse_args(argv)
    if options.worker:
        print(json.dumps(work(Case(**json.loads(options.worker)), options.rounds)))
        return 0
    found = report(
        parser, options, NAME, PACKAGES, lambda: _measure_all(options.suite, options.rounds)
    )
    if found is None:
        return 2
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
