"""From settings to trained policies: runs that are begun, or taken up where they were stopped."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dtlib.runtime.devices import resolve_device, torch_threads
from dtlib.runtime.kinds import check_path, check_type
from dtlib.runtime.memory import memory_told
from dtlib.runtime.messages import check_count
from dtlib.runtime.reading import Damaged
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Run, Trainer
from dtlib.training.run_folder import Occupied, claim, save, take_up


def train(
    config: TrainConfig,
    out: str | Path | None = None,
    *,
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
        threads: torch threads; the bits of a result do not depend on their number.
        device: ``auto``, ``cpu`` or ``cuda``; a GPU draws other random actions than a CPU.

    Raises:
        ConfigError: no settings, no path, no such device, no threads, what does not fit into
            memory, or numbers that stop being finite.
        FileError: ``out`` cannot be used: not writable, in other use, or a damaged checkpoint.

    >>> run = train(TrainConfig.from_preset("smoke"), episodes=1)
    >>> len(run.history), run.policies.users.count
    (1, 1)
    """
    outs = None if out is None else [out]
    try:
        (run,) = train_together(
            [config], outs, progress=progress, episodes=episodes, threads=threads, device=device
        )
    except Occupied:
        raise
    except Damaged as error:
        raise Damaged(f"{error}; remove it to begin anew, or choose another") from None
    return run


def train_together(
    configs: Sequence[TrainConfig],
    outs: Sequence[str | Path] | None = None,
    *,
    progress: bool = False,
    episodes: int | None = None,
    threads: int = 1,
    device: str = "auto",
) -> list[Run]:
    """Train runs side by side, as one batch: what a GPU needs to be busy.

    Each run gives what it gives alone, up to rounding, but that all have the agents' order and the
    mini-batches of the first. Runs that an earlier call has left behind the others catch up first.
    What is not told here is as for :func:`train`.

    Args:
        configs: equal but for their seeds and what does not change the size of their networks.
        outs: a folder for each run.

    Raises:
        ConfigError: the runs cannot learn side by side, or see :func:`train`.
        FileError: see :func:`train`.
    """
    for config in configs:
        check_type("config", config, TrainConfig, such="TrainConfig.from_preset('quick')")
    where = resolve_device(device)
    if episodes is not None:
        check_count("episodes", episodes, least=0)
    for out in outs or ():
        check_path("out", out)
    folders = [Path(out) for out in outs or ()]
    goal = configs[0].episodes if episodes is None else min(episodes, configs[0].episodes)
    with torch_threads(threads), memory_told(), np.errstate(all="ignore"):  # `finite` tells once
        trainer = Trainer(configs, where)
        for folder, config in zip(folders, configs, strict=outs is not None):
            claim(folder, config)
        for index, folder in enumerate(folders):
            take_up(folder, trainer, index)
        furthest = min(goal, max(map(len, trainer.rows)))
        for index, folder in enumerate(folders):
            if len(trainer.rows[index]) < furthest:
                alone = Trainer([configs[index]], where, trainer.order_seed)
                take_up(folder, alone, 0)
                _run_episodes(alone, furthest, folders=[folder], progress=progress)
                take_up(folder, trainer, index)
        _run_episodes(trainer, goal, folders=folders, progress=progress)
    runs = [trainer.run_so_far(index) for index in range(len(configs))]
    for run in runs:
        run.policies.to("cpu")  # where held-out worlds are drawn
    return runs


def _run_episodes(trainer: Trainer, goal: int, *, folders: Sequence[Path], progress: bool) -> None:
    """Run episodes until there are ``goal``, and save after each."""
    start, config = len(trainer.rows[0]), trainer.configs[0]
    runs = len(trainer.configs)
    which = f"seed {config.seed}" if runs == 1 else f"{runs} runs"
    title = f"{config.algorithm} {config.preset} {which}"
    with tqdm(total=goal, initial=start, unit="ep", disable=not progress, desc=title) as bar:
        for _ in range(start, goal):
            rows = trainer.episode()
            for index, folder in enumerate(folders):
                save(folder, trainer, index)
            energy, failed = (
                sum(row[name] for row in rows) / len(rows)
                for name in ("energy_per_user_slot_j", "failure_ratio_requests")
            )
            bar.set_postfix_str(f"{1e3 * energy:.2f} mJ, {100 * failed:.1f} % failed", False)
            bar.update()
