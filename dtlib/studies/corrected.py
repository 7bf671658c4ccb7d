"""Trained policies with one thing put right and nothing trained: what their failures come from.

The rule for where Gaussian-HAPPO fails less, written before anything was measured there: the unused
parts of slices are why Beta-HAPPO fails more at a K if, with the slices of both used whole, the
95 % t interval of Beta-HAPPO's failures less Gaussian-HAPPO's, within a seed, ends below one point.
It was known that as trained it fails in 7.5 points more at 35 users and 8.2 at 40, and that at 25
and 30 users whole slices save it about 4 points.

The rule for where Gaussian-HAPPO needs less energy, written when these rows were known: requests
that are sent in vain are why at a K if, with both silenced, the 95 % t interval of what Beta-HAPPO
saves of its energy, within a seed, lies above the margin of relevance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from dtlib.agents.policies import Policies
from dtlib.experiments import sealed, store
from dtlib.experiments.baseline import on_demand
from dtlib.experiments.experiment import GAUSSIAN_HAPPO, OWN, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.keys import config_key, digest
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.model.simulator import Actions, Carry
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training.evaluation import Acts, evaluate_policy, evaluation_env

NAME, FEW_USERS, MANY_USERS = "corrected", "outage", "fig07_08"
"""Of the table, and the experiments whose runs are put right: Beta-HAPPO's of the first, and of the
second, both learners' with its two largest numbers of users."""


@dataclass(frozen=True)
class WholeSlice:
    """A policy whose users' slices of the CPU are used up."""

    policy: Acts

    def act(self, world: World, *, carry: Carry, env: EnvConfig) -> Actions:
        """Return the policy's actions in every slot, but for the CPU; see ``Acts``."""
        own = self.policy.act(world, carry=carry, env=env)
        return replace(own, cpu_share=torch.ones_like(own.cpu_share))


@dataclass(frozen=True)
class Silenced:
    """A policy that does not send where a rule does not."""

    policy: Acts
    rule: Acts

    def act(self, world: World, *, carry: Carry, env: EnvConfig) -> Actions:
        """Return the policy's actions in every slot, with the rule's silence; see ``Acts``."""
        own = self.policy.act(world, carry=carry, env=env)
        sent = self.rule.act(world, carry=carry, env=env).power > 0
        return replace(own, power=torch.where(sent, own.power, 0))


def ways(policies: Policies, rule: Acts) -> dict[str, Acts]:
    """Return trained policies as they are and put right, some with a rule's silence, by name."""
    whole = WholeSlice(policies)
    return {
        "as trained": policies,
        "modes, not means": policies.by_modes(),
        "whole slices": whole,
        "silenced": Silenced(policies, rule),
        "whole slices, silenced": Silenced(whole, rule),
    }


def measure_ways(policies: Policies, env: EnvConfig, worlds: int) -> Iterator[dict[str, Any]]:
    """Yield what trained policies achieve on so many held-out worlds, in each of :func:`ways`.

    The length of the network's episodes does not matter.
    """
    env = evaluation_env(env)
    for done, policy in ways(policies, on_demand(env, "demand-or-silence")).items():
        yield {"done": done} | evaluate_policy(policy, env, worlds=worlds).summary()


def of_both(rows: pd.DataFrame, done: str) -> pd.DataFrame:
    """Return what Beta-HAPPO and Gaussian-HAPPO have, both put right in one of :func:`ways`.

    Returns:
        Failed requests in % and energy in J, by number of users and seed, a column per learner.
    """
    found = rows[rows["done"] == done].assign(**{FAILED: 100 * rows[FAILED]})
    found = found.set_index(["num_users", "seed", "algorithm"])
    return found[[FAILED, ENERGY]].unstack().dropna()


def _learners(preset: str) -> list[PlannedRun]:
    compared = (OWN, GAUSSIAN_HAPPO)
    sweep = [run for run in find(MANY_USERS).runs(preset) if run.config.algorithm in compared]
    most = sorted({run.config.env.num_users for run in sweep})[-2:]
    crowded = [run for run in sweep if run.config.env.num_users in most]
    runs = {run.key: run for run in find(FEW_USERS).runs(preset) + crowded}
    return [run for run in runs.values() if not run.baseline]


def _rows(planned: PlannedRun) -> pd.DataFrame:
    """Return a run's rows, from the store or measured now, the run trained if need be."""
    config = planned.config
    whose = {"num_users": config.env.num_users, "seed": config.seed}

    def compute() -> pd.DataFrame:
        rows = measure_ways(store.get(config).policies, config.env, planned.worlds)
        return pd.DataFrame([whose | row for row in rows])

    rows = sealed.table(NAME, planned.digest, compute)
    return rows.assign(algorithm=config.algorithm)  # stores from before have rows without it


TABLE = MeasuredTable(
    name=NAME,
    key=lambda preset, version: digest(
        [[config_key(run.config, version), run.worlds] for run in _learners(preset)]
    ),
    tasks=lambda preset: [(planned,) for planned in _learners(preset)],
    rows=_rows,
    facts=lambda preset: {"worlds": min(run.worlds for run in _learners(preset))},
)
"""A row per run and way."""
