"""What a policy does with a request, and whether it has learnt not to send."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from dtlib.baselines.rules import own_distance
from dtlib.experiments.experiment import GAUSSIAN_HAPPO, OWN
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.model.simulator import Outcome
from dtlib.model.world import World
from dtlib.report.columns import FAILED_LABEL, as_texts, summary
from dtlib.report.scales import slice_seconds
from dtlib.settings.env import EnvConfig
from dtlib.studies import corrected
from dtlib.studies.comparison import WORST, beside_curve
from dtlib.verdicts.checks import as_saving
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import gap
from dtlib.verdicts.statistics import interval_text, range_text

HURRIED = 0.85
"""Part of the deadline from which on computing leaves little time to send."""
ROUNDING = 1e-6
"""Of a used part of a slice, in 32 bits."""
FORMATS = {FAILED: ".1f", ENERGY: ".2f", "more": ".0f", WORST: ".1f"}
"""What is told of a policy beside *demand or silence*, with formats."""


def of_episode(outcome: Outcome, world: World, power: torch.Tensor, env: EnvConfig) -> pd.DataFrame:
    """Return a row per request of an episode that a twin could answer.

    Args:
        power: [R, N, K], W.

    Returns:
        ``metres`` to the serving base station, ``compute_share`` of the deadline that the request
        computes on a whole slice, ``power_w``, ``energy_j``, ``used`` part of the slice, whether
        the twin lives ``elsewhere``, ``failed``.
    """
    asked = outcome.request & ~outcome.migrating
    computes = slice_seconds(world.data_bits, world.cycles_per_bit, env)
    columns = {
        "metres": own_distance(world),
        "compute_share": computes / world.deadline_s,
        "power_w": power,
        "energy_j": outcome.energy_j,
        "used": outcome.cpu_hz / (env.cpu_hz / env.num_users),
        "elsewhere": outcome.deployment != world.association,
        "failed": outcome.failure,
    }
    return pd.DataFrame({name: array[asked].double().numpy() for name, array in columns.items()})


def whole(policies: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return means over all :func:`of_episode` of each policy, in a reader's words.

    *Hurried* are requests that can be in time, and whose computing leaves little of the deadline.
    """
    found = {}
    for name, rows in policies.items():
        failed, energy = rows["failed"], rows["energy_j"]
        hurried = rows["compute_share"].between(HURRIED, 1)
        found[name] = {
            FAILED_LABEL: f"{100 * failed.mean():.1f}",
            "of these, hurried (points)": f"{100 * (failed * hurried).mean():.1f}",
            "hurried ones that fail (%)": f"{100 * failed[hurried].mean():.0f}",
            "mean power (mW)": f"{1e3 * rows['power_w'].mean():.3g}",
            "energy of a request (mJ)": f"{1e3 * energy.mean():.3g}",
            "of it for failed requests (%)": f"{100 * (energy @ failed / energy.sum()):.0f}",
            "used part of the slice (%)": f"{100 * rows['used'].mean():.0f}",
            "slices used whole (%)": f"{100 * (rows['used'] > 1 - ROUNDING).mean():.0f}",
            "twins elsewhere (%)": f"{100 * rows['elsewhere'].mean():.1f}",
        }
    return pd.DataFrame.from_dict(found, orient="index")


def profile(rows: pd.DataFrame, by: str, parts: int = 10) -> pd.DataFrame:
    """Return means of :func:`of_episode` in equally large parts, by one of their columns.

    Args:
        rows: of one policy.
        by: ``metres`` or ``compute_share``; its mean is the index.
        parts: how many.
    """
    part = pd.qcut(rows[by], parts, labels=False, duplicates="drop")
    return rows.groupby(np.asarray(part)).mean().set_index(by)


def as_corrected(rows: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return what trained policies achieve as they are and put right, beside the rule.

    Args:
        rows: of :mod:`dtlib.studies.corrected`; those of Beta-HAPPO at the curves' K are shown.
        curves: of :mod:`dtlib.studies.demand`.

    Returns:
        A column per K, a row per number and way, with means over seeds, the least and the greatest.
    """
    found = {}
    own = rows[rows["algorithm"] == OWN]
    for users, curve in curves.groupby("num_users"):
        beside = beside_curve(own[own["num_users"] == users], curve)
        ways = summary(beside.groupby("done", sort=False), FORMATS, range_text)
        found[f"K = {users}"] = ways.T.stack()
    return pd.DataFrame(found)


def beside_gaussian(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what Beta-HAPPO and Gaussian-HAPPO fail in and need, as they are and put right.

    Args:
        rows: of :mod:`dtlib.studies.corrected`; those where both were measured are shown.

    Returns:
        A row per K and way, with means over seeds in %; and within a seed, with 95 % t intervals,
        the difference, and what Beta-HAPPO saves of the other's energy.
    """
    ways = {done: corrected.of_both(rows, done) for done in rows["done"].unique()}
    found = {}
    for users in ways["as trained"].index.unique("num_users"):
        for done, both in ways.items():
            failed, energy = (both.loc[users][metric] for metric in (FAILED, ENERGY))
            saved = gap(energy[OWN], energy[GAUSSIAN_HAPPO])
            more = interval_text(list(failed[OWN] - failed[GAUSSIAN_HAPPO]), ".1f")
            means = {label(learner): f"{failed[learner].mean():.1f}" for learner in failed}
            found[f"K = {users}", done] = means | {
                "difference (points)": more,
                "energy saved (%)": interval_text(list(saved), ".0f", as_saving),
            }
    return pd.DataFrame.from_dict(found, orient="index")


def silence(runs: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Return whether a learner has learnt silence; see :data:`.alternatives.SILENCE` for the rule.

    Args:
        runs: of the experiment ``silence`` on held-out worlds, by variant and seed.
        curve: of *demand or silence* in their network.

    Returns:
        A row per action and η, with means over seeds, the least and the greatest; how many seeds
        need less than the rule where as many requests fail, or where fewest of its own do if the
        seed fails less; and how many do.
    """
    rows = {}
    for variant, part in beside_curve(runs, curve).groupby("variant", sort=False):
        less = f"{(part['more'] < 0).sum()} of {len(part)}"
        fewer = f"{(part[FAILED] < curve[FAILED].min()).sum()} of {len(part)}"
        action, factor = str(variant).split(", eta=")
        rows[action, factor] = as_texts(part, FORMATS, range_text) | {
            "seeds that need less": less,
            "seeds that fail less than the rule can": fewer,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["an action is", "η"])
