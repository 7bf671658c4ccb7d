"""What the benchmarks of other libraries share: our own iterations in the same sitting, the table.

An iteration collects slots and then passes over all of them several times. Ours are measured before
the peer's and after them, so that a drift of the machine falls on both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.common import Parser, report
from dtlib.runtime.devices import torch_threads
from dtlib.runtime.errors import ConfigError
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Trainer

COLUMNS = ("library", "part", "round", "slots", "epochs", "threads", "seconds", "slots_per_s")
MEANING = {
    "collect": "collect the slots",
    "train": "train on them: advantages, then epochs",
    "epoch": "one of the epochs",
    "iteration": "whole iteration",
}
OPTIONS = {
    "slots": (5000, "collected in an iteration, by all environments together"),
    "epochs": (25, "passes over them"),
    "threads": (1, "torch threads"),
    "rounds": (5, "iterations to take medians over, after one that does not count"),
    "envs": (10, "environments stepped side by side"),
}


Peer = Callable[..., list[dict[str, float]]]
"""Returns seconds by part, of iterations after one that does not count; given ``env``, ``slots``,
``epochs``, ``rounds`` and ``envs``."""


def measure(
    library: str, peer: Peer, env: EnvConfig | None = None, slots: int = 5000, epochs: int = 25,
    threads: int = 1, rounds: int = 3, envs: int = 10,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per library, part and round, with ``COLUMNS``.

    Args:
        library: the peer's name.
        peer: measures it.
        env: the network; Table I if absent.
        slots, epochs, threads, rounds, envs: see ``OPTIONS``.
    """
    given = {"slots": slots, "epochs": epochs, "threads": threads, "rounds": rounds, "envs": envs}
    for name, value in given.items():
        if value < 1:
            raise ConfigError(f"{name} = {value}: must be at least 1")
    if slots % envs:
        raise ConfigError(f"slots = {slots}: must be a multiple of envs = {envs}")
    env = EnvConfig() if env is None else env
    with torch_threads(threads):
        before = ours(env, slots, epochs, rounds // 2)
        theirs = peer(env=env, slots=slots, epochs=epochs, rounds=rounds, envs=envs)
        after = ours(env, slots, epochs, rounds - rounds // 2)
    rows = [
        (name, part, number, slots, epochs, threads, record[part], slots / record[part])
        for name, records in {library: theirs, "dtlib": before + after}.items()
        for number, record in enumerate(records)
        for part in MEANING
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def parts(collect: float, train: float, epochs: int) -> dict[str, float]:
    """Return the seconds of an iteration by part, from those of its two halves."""
    whole = collect + train
    return {"collect": collect, "train": train, "epoch": train / epochs, "iteration": whole}


def ours(env: EnvConfig, slots: int, epochs: int, rounds: int) -> list[dict[str, float]]:
    """Return the seconds of our iterations, after one that does not count.

    Collecting is drawing the world, acting and simulating; in a peer it includes the world too.
    """
    one_frame = {"frames": 1, "frame_slots": slots, "migration_slots": 0}
    split = {"frames": slots // env.frame_slots}
    env = env.replace(**(one_frame if slots % env.frame_slots else split))
    trainer = Trainer([TrainConfig(env=env, epochs=epochs, critic="shared")])
    rows = [trainer.episode()[0] for _ in range(rounds + 1)][1:]
    return [
        parts(row["world_s"] + row["act_s"] + row["simulate_s"], row["update_s"], epochs)
        for row in rows
    ]


def table(rows: pd.DataFrame) -> str:
    """Return medians as a small table of text."""
    library = rows.library.iloc[0]
    median = rows.groupby(["part", "library"], sort=False).seconds.median().unstack(sort=False)
    slots = rows.slots.iloc[0]
    lines = [f"{'median seconds':40}{library:>12}{'dtlib':>12}{'ratio':>9}{'slots/s':>20}"]
    for part, meaning in MEANING.items():
        peer, mine = median.loc[part, library], median.loc[part, "dtlib"]
        lines.append(
            f"{meaning:40}{peer:12.4g}{mine:12.4g}{peer / mine:9.1f}"
            f"{slots / peer:10.4g}{slots / mine:10.4g}"
        )
    return "\n".join(lines)


def parser(prog: str, about: str, folder: str) -> Parser:
    """Return a parser of ``OPTIONS``."""
    found = Parser(prog, about, folder)
    for name, (value, meaning) in OPTIONS.items():
        found.add_argument(f"--{name}", type=int, default=value, help=f"{meaning} ({value})")
    return found


def run(
    options: Any, parser: Parser, name: str, packages: Sequence[str],
    measure: Callable[..., pd.DataFrame], **notes: Any,
) -> int:  # fmt: skip
    """Run a benchmark, print a table, and write ``data.csv`` and ``manifest.json`` if asked.

    Returns:
        0, or 2 for bad input, which one line on standard error explains.
    """
    given: Mapping[str, Any] = {name: getattr(options, name) for name in OPTIONS}
    rows = report(parser, options, name, packages, lambda: (measure(**given), {**given, **notes}))
    if rows is None:
        return 2
    print(", ".join(f"{name} {value}" for name, value in given.items()))
    print(table(rows))
    return 0
