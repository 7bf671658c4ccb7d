"""Tables beside the learning curves: the ends of training, and trained policies on new worlds."""

import pandas as pd

from dtlib.experiments import datasets
from dtlib.experiments.alternatives import HELD_BACK
from dtlib.experiments.committed import FULLEST
from dtlib.experiments.experiment import OFF_POLICY, OWN
from dtlib.experiments.grids import find
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages.learnt import FORMATS
from dtlib.report.columns import COLUMNS, OverSeeds, as_texts
from dtlib.report.phrases import savings
from dtlib.report.shown import Shown
from dtlib.studies import comparison, demand
from dtlib.studies.comparison import WORST
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import tenths
from dtlib.verdicts.statistics import interval_text, range_text

METRICS = {"reward_global": ".0f", "reward_centre": ".2f", ENERGY: ".3g", FAILED: ".3g"}
"""What both tables show, with formats."""
MORE = {WORST: ".3g", "migrations_per_frame": ".2f"}
"""What only the second shows."""


def ends_of_training(shown: Shown) -> pd.DataFrame:
    """Return the first and the last tenth of training: medians over seeds, least and greatest."""
    rows = {}
    for metric, form in METRICS.items():
        name, unit = COLUMNS[metric]
        found = unit * tenths(shown.data, metric)
        for algorithm in shown.learners:
            spread = found.loc[algorithm].agg(["median", "min", "max"])
            many = len(found.loc[algorithm]) > 1
            text = f"{{:{form}}}" + f" ({{:{form}}} to {{:{form}}})" * many
            rows[name, label(algorithm)] = {
                f"{end} tenth": text.format(*spread[end]) for end in ("first", "last")
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def on_new_worlds(shown: Shown, text: OverSeeds = interval_text) -> pd.DataFrame:
    """Return means over seeds on held-out worlds, a column for each learner.

    The last row but one is the energy of *demand or silence* where as many requests fail.

    Args:
        shown: runs of Figs. 4-6.
        text: 95 % intervals, or :func:`.range_text` where seeds are few.
    """
    measured = comparison.beside_curve(shown.measured, demand.known_curve(shown.env, shown.preset))
    table = {}
    for algorithm in shown.learners:
        part = measured[measured["algorithm"] == algorithm]
        rows = as_texts(part, METRICS | MORE, text)
        rows["demand or silence where as many fail (mJ)"] = text(1e3 * part["rule_j"], ".3g")
        table[label(algorithm)] = rows
    saved, found = savings(shown.by_seed(ENERGY)), pd.DataFrame(table)
    found.loc["energy that Beta-HAPPO saves [95 % interval]"] = pd.Series(saved).rename(label)
    return found.fillna("")


def with_as_many_slots() -> pd.DataFrame:
    """Return MADDPG as trained and with as many slots as others have, beside Beta-HAPPO.

    Means over seeds, the least and the greatest, on held-out worlds, from committed runs.
    """
    parts = ("fig04_06", OFF_POLICY), ("equal_slots", OFF_POLICY), ("fig04_06", OWN)
    rows = {}
    for name, learner in parts:
        runs = datasets.run_means(name, FULLEST[0], who=["algorithm", "seed"])
        part = f"{label(learner)}, {_episodes(name, FULLEST[0], learner)} episodes"
        rows[part] = as_texts(runs.loc[[learner]], FORMATS, range_text)
    return pd.DataFrame.from_dict(rows, orient="index")


def held_back() -> pd.DataFrame:
    """Return Beta-HAPPO as printed, with another credit or rate, and MADDPG beside it.

    Means over seeds and 95 % intervals on held-out worlds, from committed runs of ``paper``.
    """
    printed = datasets.run_means("fig04_06", "paper", who=["algorithm", "seed"])
    changed = datasets.run_means("held_back", "paper", who=["variant", "seed"])
    parts = [
        (label(OWN), "fig04_06", OWN, printed.loc[[OWN]]),
        *((what, "held_back", OWN, changed.loc[[what]]) for what in HELD_BACK),
        (label(OFF_POLICY), "fig04_06", OFF_POLICY, printed.loc[[OFF_POLICY]]),
    ]
    rows = {
        f"{part}, {_episodes(name, 'paper', who)} episodes": as_texts(runs, METRICS, interval_text)
        for part, name, who, runs in parts
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _episodes(name: str, preset: str, learner: str) -> int:
    """Return for how many episodes an experiment trains a learner."""
    (episodes,) = {run.episodes for run in find(name).runs(preset) if run.algorithm == learner}
    return episodes
