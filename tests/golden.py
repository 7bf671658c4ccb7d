"""What must have the same bits on every processor, a hash for each.

Small, as emulation takes a hundred times as long: one episode of two short frames of each
algorithm, its evaluation on as many, all that a simulation tells, the genie.
Run as a program with a number of threads it prints them, without it keeps them in `golden.json`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import dtlib

# isort: split
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dtlib.baselines.admission import genie_under_threshold
from dtlib.experiments.experiment import LEARNERS
from dtlib.runtime.fingerprint import fingerprint
from dtlib.settings.base import RESULTS_VERSION
from dtlib.settings.presets import NETWORKS
from dtlib.training.evaluation import evaluate
from dtlib.training.loop import TIMINGS, Trainer

FILE = Path(__file__).with_name("golden.json")


def digest(*arrays: Tensor | np.ndarray) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def numbers(table: pd.DataFrame) -> np.ndarray:
    return table.drop(columns=list(TIMINGS), errors="ignore").to_numpy(float)


def hashes_of(network: str) -> Iterator[tuple[str, str]]:
    """Yield what is computed in a network, and its hash."""
    small = {"episodes": 1, "updates_per_frame": 1, "batch_size": 8}
    small["env"] = {"num_users": 4, "num_bs": 2, "frames": 2, "frame_slots": 8}
    for algorithm in LEARNERS:
        config = dtlib.TrainConfig.from_preset("smoke", network, algorithm=algorithm, **small)
        trainer = Trainer([config])
        if algorithm == LEARNERS[0]:
            world = dtlib.sample_world(config.env, 5)
            yield "world", digest(*(x for x in vars(world).values()))
            drawn = [torch.Generator().manual_seed(5)]
            actions = trainer.learner.policies[0].act(world, drawn)
            outcome = dict(vars(dtlib.simulate(world, actions, config.env)))
            after = vars(outcome.pop("carry"))
            parts = [*outcome.values(), *after.values()]
            yield "simulation", digest(*map(torch.as_tensor, parts))
            genie = genie_under_threshold(world, config.env, 0.2)
            yield "genie", digest(*map(np.asarray, vars(genie).values()))
        yield f"{algorithm} initial weights", digest(*trainer.state(0).values())
        row = trainer.episode()[0]
        yield f"{algorithm} episode", digest(numbers(pd.DataFrame([row])))
        yield f"{algorithm} weights", digest(*trainer.state(0).values())
        with mock.patch("dtlib.training.evaluation.EVALUATION_FRAMES", 2):
            found = evaluate(trainer.run_so_far(0), worlds=1)
        yield f"{algorithm} evaluation", digest(numbers(found.worlds), numbers(found.users))


def hashes() -> dict[str, str]:
    found = {"operations": fingerprint()}
    for network in NETWORKS:
        found |= {f"{network}: {what}": sha for what, sha in hashes_of(network)}
    return found


if __name__ == "__main__":
    if sys.argv[1:]:
        torch.set_num_threads(int(sys.argv[1]))
        print(json.dumps(hashes()))
    else:
        kept = {"version": RESULTS_VERSION, "sha256": hashes()}
        FILE.write_text(json.dumps(kept, indent=1) + "\n")
