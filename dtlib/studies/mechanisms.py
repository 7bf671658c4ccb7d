"""Why learners differ: what their draws cost, and how far the factor M moves an update.

Measured on the runs of the experiment ``worth``, before they have learnt anything and at their end.
The rule, written before the runs: two learners differ on held-out worlds if the 95 % t interval of
their difference within a seed leaves 0 out. That of M is in :mod:`dtlib.studies.effect_of_m`.
"""

from typing import Any

import pandas as pd

from dtlib.experiments import sealed
from dtlib.experiments.experiment import OWN, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.keys import config_key, digest
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.model.simulator import Actions, Carry
from dtlib.model.world import World
from dtlib.runtime.seeds import seeded
from dtlib.settings.env import EnvConfig
from dtlib.studies.effect_of_m import trained, update_effects
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training.evaluation import evaluate_policy, evaluation_env
from dtlib.training.loop import Trainer

EXPERIMENT, NAME = "worth", "mechanisms"


class Drawn:
    """A run's policies as they explore: actions are drawn, and what was drawn is counted."""

    def __init__(self, trainer: Trainer) -> None:
        self.policies = trainer.learner.policies[0]
        self.generator = seeded("actions", trainer.configs[0].seed, len(trainer.rows[0]))
        self.sent = self.at_bounds = 0

    def act(self, world: World, *, carry: Carry, env: EnvConfig) -> Actions:
        """Return drawn actions in every slot."""
        found = self.policies.decide(world, [self.generator], carry=carry, env=env)
        power, sending = found.actions.power, found.sending
        self.sent += int(sending.sum())
        self.at_bounds += int((((power <= 0) | (power >= env.max_power_w)) & sending).sum())
        return found.actions


def draws(trainer: Trainer, worlds: int) -> dict[str, float]:
    """Return what draws of a learner on policy cost against means, on the same held-out worlds."""
    drawn, env = Drawn(trainer), evaluation_env(trainer.configs[0].env)
    means = evaluate_policy(drawn.policies, env, worlds=worlds).summary()
    found = evaluate_policy(drawn, env, worlds=worlds).summary()
    return {
        "energy_of_means_j": means[ENERGY],
        "energy_of_draws_j": found[ENERGY],
        "failed_of_means": means[FAILED],
        "failed_of_draws": found[FAILED],
        "draws_at_bounds": drawn.at_bounds / max(drawn.sent, 1),
    }


def _rows(planned: PlannedRun, preset: str) -> pd.DataFrame:
    """Return the two rows of a run, from the store or measured now, the run trained if need be."""

    def compute() -> pd.DataFrame:
        return pd.DataFrame([_measure(planned, moment, preset) for moment in ("start", "end")])

    return sealed.table(NAME, digest([planned.digest, worlds_of(preset)]), compute)


def _measure(planned: PlannedRun, moment: str, preset: str) -> dict[str, Any]:
    trainer = trained(planned.config) if moment == "end" else Trainer([planned.config])
    row: dict[str, Any] = {"variant": planned.variant, "seed": planned.config.seed}
    row |= {"moment": moment} | draws(trainer, worlds_of(preset))
    return row | (update_effects(trainer) if planned.config.algorithm == OWN else {})


def worlds_of(preset: str) -> int:
    """Return on how many held-out worlds draws are measured."""
    return 1 if preset == "smoke" else 5


TABLE = MeasuredTable(
    name=NAME,
    key=lambda preset, version: digest(
        [
            [config_key(run.config, version) for run in find(EXPERIMENT).runs(preset)],
            worlds_of(preset),
        ]
    ),
    tasks=lambda preset: [(planned, preset) for planned in find(EXPERIMENT).runs(preset)],
    rows=_rows,
    facts=lambda preset: {"worlds": worlds_of(preset)},
)
"""Two rows, ``start`` and ``end``, for each run of the experiment ``worth``."""
