"""What M and the Beta policy are worth: differences within a seed, and where they come from."""

from __future__ import annotations

import pandas as pd

from dtlib.experiments import search
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.statistics import estimate, improvement, interval_text

BETA, WITHOUT_M, GAUSSIAN = "Beta", "Beta, M = 1", "Gaussian"
"""Variants of the experiment ``worth``; those of the bounded Gaussian begin with its name."""
BOUNDED = "bounded Gaussian"
SAID = {FAILED: ("failed requests (%)", 100.0), ENERGY: ("energy (mJ)", 1e3)}
MECHANISMS = {
    "draws_at_bounds": ("draws at a bound (%)", 100.0),
    "energy_of_draws_j": ("energy of draws (mJ)", 1e3),
    "energy_of_means_j": ("energy of means (mJ)", 1e3),
    "failed_of_draws": ("failed, draws (%)", 100.0),
    "failed_of_means": ("failed, means (%)", 100.0),
}
EFFECTS = {
    "effect_of_m": "M taken as 1",
    "effect_of_order": "another order of agents",
    "effect_of_data": "another episode",
}
"""Columns of :mod:`dtlib.experiments.mechanisms`, in a reader's words."""


def bounded_choice(tuning: pd.DataFrame) -> str:
    """Return which steps of the bounded Gaussian the search's rule chooses on tuning worlds."""
    tried = search.ranked(tuning[tuning["variant"].str.startswith(BOUNDED)])
    (chosen,) = tried.index[tried["chosen"]].get_level_values("variant")
    return str(chosen)


def differences(runs: pd.DataFrame, bounded: str) -> pd.DataFrame:
    """Return what Beta-HAPPO has less or more than each other variant, within a seed.

    Args:
        runs: on held-out worlds, by variant and seed.
        bounded: the variant of the bounded Gaussian that is compared.

    Returns:
        A row per comparison and metric: both means, the difference with its 95 % t interval, the
        probability that Beta's number is the larger one, and what the rule says.
    """
    rows = {}
    for name, other in (("M", WITHOUT_M), ("Beta", GAUSSIAN), ("Beta", bounded)):
        for metric, (label, unit) in SAID.items():
            first, second = (unit * runs.loc[variant][metric] for variant in (BETA, other))
            gap = (first - second).dropna()
            _, low, high = estimate(gap)
            rows[f"{name}, against {other}", label] = {
                "Beta-HAPPO": f"{first.mean():.3g}",
                "the other": f"{second.mean():.3g}",
                "difference": interval_text(list(gap), ".2g"),
                "P(Beta-HAPPO's is larger)": f"{improvement(first, second):.2f}",
                "so it has": "less" if high < 0 else "more" if low > 0 else "not told apart",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def draws_table(mechanisms: pd.DataFrame) -> pd.DataFrame:
    """Return what draws cost, means over seeds with intervals, by variant and moment."""
    grouped = mechanisms.groupby(["variant", "moment"], sort=False)
    return pd.DataFrame(
        {
            label: grouped[name].agg(lambda values, unit=unit: interval_text(list(unit * values)))
            for name, (label, unit) in MECHANISMS.items()
        }
    )


def effects_table(mechanisms: pd.DataFrame) -> pd.DataFrame:
    """Return how far an update of Beta-HAPPO moves otherwise, in % of its length, by moment."""
    own = mechanisms[mechanisms["variant"] == BETA].groupby("moment", sort=False)
    return pd.DataFrame(
        {
            label: own[name].agg(lambda values: interval_text(list(100 * values)))
            for name, label in EFFECTS.items()
        }
    )
