"""How far the factor M moves an update, which is all that sets Beta-HAPPO apart from Beta-MAPPO.

Measured at the end of Beta-HAPPO's runs at each point of the figures whose sentences compare
learners there. A rule was written before the runs of ``worth``, and before those of the points but
for one (Fig. 9, six stations, seed 0: 16 and 93 %): M explains nothing that data do not if it moves
an update by less than another episode does, as means over the seeds of a point.

The rule is no test. At every point M moves an update by less, and by about as much; yet at 35 and
40 users fewer requests fail with M in each of six seeds. What it moves adds up. So no verdict rests
on it.
"""

import pandas as pd
import torch
from torch import Tensor

from dtlib.experiments import sealed, store
from dtlib.experiments.experiment import OWN, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.keys import config_key, digest
from dtlib.happo.learner import Learner
from dtlib.runtime.seeds import seeded
from dtlib.settings.train import TrainConfig
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training.loop import Rollout, Trainer
from dtlib.training.run_folder import take_up

FIGURES, NAME = ("fig07_08", "fig09"), "effect_of_m"


def trained(config: TrainConfig, episodes: int | None = None) -> Trainer:
    """Return a trainer at the end of a run of the store, which is trained if need be.

    The run has so many of its episodes; all if none are given.
    """
    store.get(config, episodes)
    trainer = Trainer([config])
    take_up(store.folder(config, episodes), trainer, 0)
    return trainer


def update_effects(trainer: Trainer) -> dict[str, float]:
    """Return how far an update moves otherwise if M is 1, if the order is another, on other data.

    All updates begin with the same actors, critics and optimisers. Each number is the distance of
    two changes of all actors' weights, divided by the length of the change with M = 1. The trainer,
    Beta-HAPPO's, is left as it is.
    """
    number = len(trainer.rows[0])
    without = _change(trainer, "beta-mappo", number=number)
    with_factor = _change(trainer, "beta-happo", number=number)
    reordered = _change(trainer, "beta-happo", number=number, order=1)
    on_other_data = _change(trainer, "beta-mappo", number=number + 1)
    length = without.norm()
    return {
        "effect_of_m": float((with_factor - without).norm() / length),
        "effect_of_order": float((with_factor - reordered).norm() / length),
        "effect_of_data": float((on_other_data - without).norm() / length),
    }


def _change(trainer: Trainer, algorithm: str, *, number: int, order: int = 0) -> Tensor:
    """Return by how much an update moves all actors' weights, float64.

    Args:
        trainer: whose run.
        algorithm: ``beta-mappo`` hands no ratio on.
        number: of the episode that is played and learnt from.
        order: which order agents are taken in.
    """
    config = trainer.configs[0]
    rollout = Rollout(config, number, queue=trainer.queues[0], device=trainer.device)
    episode = rollout.play(trainer.learner.policies[0], 0, config.env.slots)
    learner = Learner(config.replace(algorithm=algorithm), [seeded("weights", config.seed)])
    learner.load(trainer.learner.state(0))
    before = _weights(learner)
    learner.update([episode], seeded("order", config.seed, number, order))
    return _weights(learner) - before


def _weights(learner: Learner) -> Tensor:
    stacks = learner.policies[0].stacks.values()
    return torch.cat([stack.flat.double().flatten() for stack in stacks])


def _runs(preset: str) -> list[tuple[str, PlannedRun]]:
    """Return Beta-HAPPO's runs of the figures, each with its figure."""
    return [
        (figure, planned)
        for figure in FIGURES
        for planned in find(figure).runs(preset)
        if planned.algorithm == OWN
    ]


def _row(figure: str, planned: PlannedRun) -> pd.DataFrame:
    """Return a run's row, from the store or measured now, the run trained if need be."""
    config, episodes, (x,) = planned.config, planned.episodes, planned.at.values()

    def compute() -> pd.DataFrame:
        whose = {"figure": figure, "x": x, "seed": config.seed}
        return pd.DataFrame([whose | update_effects(trained(config, episodes))])

    return sealed.table(NAME, digest([figure, planned.digest]), compute)


TABLE = MeasuredTable(
    name=NAME, tasks=_runs, rows=_row, facts=lambda preset: {"figures": list(FIGURES)},
    key=lambda preset, version: digest(
        [[config_key(run.config, version), run.episodes] for _, run in _runs(preset)]
    ),
)  # fmt: skip
"""A row for each of Beta-HAPPO's runs of these figures."""
