"""What columns of results are called, in which unit they are told, and tables of them."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from dtlib.experiments.results import ENERGY, FAILED
from dtlib.studies.comparison import ALL, WORST
from dtlib.verdicts.statistics import interval_text

ENERGY_LABEL = "energy per user and slot (mJ)"
FAILED_LABEL = "failed requests (%)"
COLUMNS = {
    "reward_global": ("r_g", 1.0),
    "reward_centre": ("r_c", 1.0),
    ENERGY: (ENERGY_LABEL, 1e3),
    FAILED: (FAILED_LABEL, 100.0),
    ALL: ("failed slots (%)", 100.0),
    WORST: ("failed slots, worst user (%)", 100.0),
    "rule_j": ("energy of the rule (mJ)", 1e3),
    "more": ("more than the rule (%)", 100.0),
    "migrations_per_frame": ("migrations a frame", 1.0),
    "draws_at_bounds": ("draws at a bound (%)", 100.0),
    "energy_of_draws_j": ("energy of draws (mJ)", 1e3),
    "energy_of_means_j": ("energy of means (mJ)", 1e3),
    "failed_of_draws": ("failed, draws (%)", 100.0),
    "failed_of_means": ("failed, means (%)", 100.0),
    "effect_of_m": ("M taken as 1", 100.0),
    "effect_of_order": ("another order of agents", 100.0),
    "effect_of_data": ("another episode", 100.0),
}
"""Name, factor to the unit."""
OverSeeds = Callable[[Sequence[float], str], str]
"""Text of numbers over seeds in a form: :func:`.interval_text`, :func:`.range_text`."""


def as_texts(
    part: pd.DataFrame,
    forms: Mapping[str, str],
    text: OverSeeds = interval_text,
) -> dict[str, str]:
    """Return numbers over seeds as texts, by what a reader calls them.

    Args:
        part: a row per seed.
        forms: how each column's numbers are written, such as ``.3g``.
        text: of a column's numbers.
    """
    return {
        label: text(unit * part[column], form)
        for column, form in forms.items()
        for label, unit in [COLUMNS[column]]
    }


def summary(
    parts: DataFrameGroupBy,
    forms: Mapping[str, str],
    text: OverSeeds = interval_text,
) -> pd.DataFrame:
    """Return a row of :func:`as_texts` for each part of a table of runs."""
    return parts.apply(lambda part: pd.Series(as_texts(part, forms, text)))
