"""Trained policies with one thing put right and nothing trained: what their failures come from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from dtlib.agents.policies import Policies
from dtlib.experiments import sealed, store
from dtlib.experiments.baseline import on_demand
from dtlib.experiments.experiment import PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.keys import config_key, digest
from dtlib.model.simulator import Actions, Carry
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training.evaluation import Acts, evaluate_policy, evaluation_env

EXPERIMENT, NAME = "outage", "corrected"


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
    """Return trained policies as they are and put right, by what is done.

    Args:
        policies: the trained actors, which take mean actions.
        rule: whose silence is borrowed, *demand or silence*.
    """
    whole = WholeSlice(policies)
    return {
        "as trained": policies,
        "modes, not means": policies.by_modes(),
        "whole slices": whole,
        "silenced": Silenced(policies, rule),
        "whole slices, silenced": Silenced(whole, rule),
    }


def measure_ways(policies: Policies, env: EnvConfig, worlds: int) -> Iterator[dict[str, Any]]:
    """Yield what trained policies achieve on held-out worlds, in each of :func:`ways`.

    Args:
        policies: the trained actors.
        env: the network, whatever the length of its episodes.
        worlds: how many.
    """
    env = evaluation_env(env)
    for done, policy in ways(policies, on_demand(env, "demand-or-silence")).items():
        yield {"done": done} | evaluate_policy(policy, env, worlds=worlds).summary()


def _learners(preset: str) -> list[PlannedRun]:
    return [run for run in find(EXPERIMENT).runs(preset) if not run.baseline]


def _rows(planned: PlannedRun) -> pd.DataFrame:
    """Return a run's rows, from the store or measured now, the run trained if need be."""
    config = planned.config
    whose = {"num_users": config.env.num_users, "seed": config.seed}

    def compute() -> pd.DataFrame:
        rows = measure_ways(store.get(config).policies, config.env, planned.worlds)
        return pd.DataFrame([whose | row for row in rows])

    return sealed.table(NAME, planned.digest, compute)


def table_key(preset: str, version: int | None = None) -> str:
    """Return the sha256 of what a preset's table is of, in an older version if one is given."""
    runs = _learners(preset)
    return digest([[config_key(run.config, version), run.worlds] for run in runs])


TABLE = MeasuredTable(
    name=NAME,
    key=table_key,
    tasks=lambda preset: [(planned,) for planned in _learners(preset)],
    rows=_rows,
    facts=lambda preset: {"worlds": min(run.worlds for run in _learners(preset))},
)
"""A row per run of the experiment ``outage`` and way."""
