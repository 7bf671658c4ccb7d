"""The tables of the page that compares learners with what is not learnt."""

from dataclasses import replace
from typing import Any

import pandas as pd

from dtlib.experiments import committed, datasets, grids, measurements
from dtlib.experiments.experiment import OFF_POLICY, OWN
from dtlib.experiments.families import BEST
from dtlib.experiments.results import DATA, ENERGY, PER_SERVED
from dtlib.report.columns import ENERGY_LABEL, as_texts
from dtlib.report.shown import training_hours
from dtlib.studies import comparison
from dtlib.studies.comparison import ALL, WORST
from dtlib.verdicts.checks import SAVINGS
from dtlib.verdicts.names import label
from dtlib.verdicts.statistics import interval_text, range_text

MAIN = ("equal power", "channel inversion", "informed limit", "genie bound")
"""What is not learnt and stands beside the learners; the rest is folded away."""


def _row(part: pd.DataFrame, ends: pd.Series, parameter: str) -> dict[str, str]:
    """Return a line of :func:`at_limit`: of one policy, or of a learner's seeds."""
    energy = part[ENERGY]
    equal, bound = ends["equal power"], ends["genie bound"]
    shares = [
        100 * comparison.closed(energy_j, equal_j=equal, genie_j=bound) for energy_j in energy
    ]
    return {
        "parameter": parameter,
        ENERGY_LABEL: interval_text(1e3 * energy, ".4f"),
        "per served request (mJ)": f"{1e3 * part[PER_SERVED].mean():.3f}",
        "failed slots (%)": f"{100 * part[ALL].mean():.1f}",
        "worst user (%)": f"{100 * part[WORST].max():.1f}",
        "closed (%)": interval_text(shares, ".0f"),
    }


def at_limit(
    tuned: pd.DataFrame, *, held: pd.DataFrame, priced: pd.DataFrame, trained: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what it takes to keep (14b), and the rows of it that are folded away.

    MADDPG is not calibrated: the η with which its worst user fails least stands for it.

    Args:
        tuned: of :func:`.comparison.as_asked`.
        held: calibrated runs, by algorithm and seed.
        priced: the same where users see their queues.
        trained: runs as they come out of training, by algorithm, control factor η and seed.
    """
    ends, rows = tuned[ENERGY], {}
    for name, part in tuned.groupby(level=0, sort=False):
        level = part["level"].item()
        rows[name] = _row(part, ends, "" if pd.isna(level) else f"{level:.3g}")
    for algorithm, part in held.groupby(level="algorithm", sort=False):
        rows[label(str(algorithm))] = _row(part, ends, f"logit {part['bar'].mean():.2f}")
    rows["Beta-HAPPO, priced"] = _row(priced, ends, f"logit {priced['bar'].mean():.2f}")
    off_policy = trained.loc[OFF_POLICY]
    worst = off_policy[WORST].groupby("control_factor").mean()
    rows["MADDPG"] = _row(off_policy.loc[worst.idxmin()], ends, f"η = {worst.idxmin():g}")
    table = pd.DataFrame.from_dict(rows, orient="index").replace("nan", "")
    aside = table.index.isin(tuned.index) & ~table.index.isin(MAIN)
    aside &= ~table.index.str.startswith(BEST)
    return table[~aside], table[aside]


def savings_table(**tables: pd.DataFrame) -> pd.DataFrame:
    """Return how much energy Beta-HAPPO saves, from the tables of :func:`.energy_ratios`."""
    ratios = comparison.energy_ratios(**tables, algorithms=SAVINGS)
    rows: dict[Any, dict[str, Any]] = {}
    for (where, whom), ratio in ratios.items():
        rows[where, label(whom)] = {
            "saves (%)": interval_text(100 * (1 - ratio), ".1f"),
            "the paper (%)": SAVINGS.get(whom, "–"),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def to_the_letter() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what Table I and Fig. 3 achieve as printed, beside no training, and learning curves.

    Policies that have not learnt are measured here: their worlds are held-out ones.
    """
    experiment = grids.find("published")
    runs = committed.runs_of(experiment, "paper")
    curves, worlds, users = (
        committed.rows_of(experiment, runs, "paper", name=name)
        for name in (DATA, committed.EVALUATION, committed.USERS)
    )
    measured = datasets.per_run(worlds, users, ["algorithm", "seed"])
    own_runs = [replace(run, episodes=0) for run in runs if run.algorithm == OWN]
    untrained = [measurements.evaluation(run, "held-out").summary() for run in own_runs]
    hours = {
        label(name): range_text(found, ".1f")
        for name, found in training_hours("published", "paper").items()
    }
    parts = {"before learning (Beta-HAPPO)": (0, pd.DataFrame(untrained))}
    for algorithm, part in measured.groupby(level="algorithm", sort=False):
        (episodes,) = {run.episodes for run in runs if run.algorithm == algorithm}
        parts[label(algorithm)] = episodes, part
    rows = {
        name: {
            "seeds": len(part),
            "episodes run": f"{episodes} of {own_runs[0].config.episodes}",
            "hours of all": hours.get(name, ""),
        }
        | as_texts(part, dict.fromkeys((ENERGY, ALL, WORST, "reward_centre"), ".3g"))
        for name, (episodes, part) in parts.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index"), curves
