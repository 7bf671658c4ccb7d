"""A trained policy to pass on: weights of actors, and nothing that training goes on from."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dtlib.agents.policies import Policies
from dtlib.runtime.checkpoint import load_checkpoint, overwrite, save_checkpoint
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.reading import Damaged
from dtlib.settings.train import TrainConfig
from dtlib.training.loop import Run

POLICY = "policy.safetensors"


def is_of(rest: dict[str, Any], config: TrainConfig) -> bool:
    """Return whether what a file holds beside its arrays says that it is of these settings.

    Fields that it lacks, as earlier versions wrote it, have the value that the code had then.
    """
    try:
        return TrainConfig.from_dict(rest["config"]) == config
    except (ConfigError, KeyError):
        return False


def save_policy(folder: Path, run: Run) -> None:
    """Write the weights of a run's actors, with its settings, into ``POLICY``.

    Where the same lie already, nothing is touched: a file's header may list its parts in another
    order each time.

    Raises:
        FileError: it cannot be written; what was there stays.
    """
    weights = {kind: stack.flat for kind, stack in run.policies.stacks.items()}
    rest, path = {"config": run.config.json_values(), "episodes": len(run.history)}, folder / POLICY
    with suppress(Damaged):
        known, told = load_checkpoint(path)
        same = is_of(told, run.config) and told.get("episodes") == rest["episodes"]
        same = same and known.keys() == weights.keys()
        if same and all(torch.equal(known[kind], weights[kind]) for kind in weights):
            return
    save_checkpoint(path, weights, rest)


def load_policy(folder: Path, config: TrainConfig) -> Run:
    """Return a run with what :func:`save_policy` wrote, and a history without rows.

    Raises:
        Damaged: the weights are damaged, or of another run.
        FileError: they cannot be read.
    """
    path, policies = folder / POLICY, Policies(config)
    arrays, rest = load_checkpoint(path)
    if not is_of(rest, config):
        raise Damaged(f"{path}: its settings are not those of the file beside it")
    try:
        overwrite({kind: stack.flat for kind, stack in policies.stacks.items()}, arrays)
    except ValueError as error:
        raise Damaged(f"{path}: {error}") from None
    return Run(config=config, policies=policies, history=pd.DataFrame())
