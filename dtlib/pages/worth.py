"""What M and the Beta policy are worth: differences within a seed, and where they come from."""

from itertools import product

import pandas as pd

from dtlib.experiments import search
from dtlib.experiments.alternatives import BETA, BOUNDED_VARIANT, GAUSSIAN, UNSHARED, WITHOUT_M
from dtlib.experiments.experiment import BETA_MAPPO, OWN
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.report.columns import COLUMNS, summary
from dtlib.verdicts.checks import HELD_OUT, SYMBOLS, TRAINING, Source, as_saving, leads, saves
from dtlib.verdicts.interventions import with_change
from dtlib.verdicts.quantities import gap, height
from dtlib.verdicts.statistics import estimate, improvement, interval_text

MECHANISMS = dict.fromkeys(
    ("draws_at_bounds", "energy_of_draws_j", "energy_of_means_j", "failed_of_draws",
     "failed_of_means"), ".3g",
)  # fmt: skip
EFFECTS = dict.fromkeys(("effect_of_m", "effect_of_order", "effect_of_data"), ".3g")
"""Columns of :mod:`dtlib.studies.mechanisms`, with formats."""
WHAT_IS_SWEPT = {"fig07_08": "users (Figs. 7–8)", "fig09": "base stations (Fig. 9)"}
"""What is swept in a figure."""


def bounded_choice(tuning: pd.DataFrame) -> str:
    """Return which steps of the bounded Gaussian the search's rule chooses on tuning worlds."""
    tried = search.ranked(tuning[tuning["variant"].str.startswith(BOUNDED_VARIANT)])
    (chosen,) = tried.index[tried["chosen"]].get_level_values("variant")
    return str(chosen)


def within_seed(runs: pd.DataFrame, bounded: str) -> pd.DataFrame:
    """Return what Beta-HAPPO has less or more than each other variant, within a seed.

    Args:
        runs: on held-out worlds, by variant and seed.
        bounded: the variant of the bounded Gaussian that is compared.

    Returns:
        A row per comparison and metric, with both means, the difference with its 95 % t interval,
        the probability that Beta's number is the larger one, and what the rule says.
    """
    rows = {}
    for name, other in (("M", WITHOUT_M), ("Beta", GAUSSIAN), ("Beta", bounded)):
        for metric in (FAILED, ENERGY):
            label, unit = COLUMNS[metric]
            first, second = (unit * runs.loc[variant][metric] for variant in (BETA, other))
            less = (first - second).dropna()
            _, low, high = estimate(less)
            rows[f"{name}, against {other}", label] = {
                "Beta-HAPPO": f"{first.mean():.3g}",
                "the other": f"{second.mean():.3g}",
                "difference": interval_text(list(less), ".2g"),
                "P(Beta-HAPPO's is larger)": f"{improvement(first, second):.2f}",
                "so it has": "less" if high < 0 else "more" if low > 0 else "no difference shown",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def unshared(common: dict[str, pd.DataFrame], apart: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how far Beta-HAPPO is ahead of Beta-MAPPO, with common weights and without.

    Args:
        common: tables of Figs. 4 to 6, with one network for all users; their height is the unit.
        apart: of the experiment ``unshared``.

    Returns:
        A row per quantity and way of measuring, a column per kind of weights: means of differences
        within a seed, positive where Beta-HAPPO is better, with 95 % t intervals.
    """
    kinds = {"one network for all": common} | {what: with_change(apart, what) for what in UNSHARED}
    ahead = {
        "lead in r_g (% of the height)": leads("reward_global", BETA_MAPPO),
        "lead in r_c (% of the height)": leads("reward_centre", BETA_MAPPO),
        "energy saved (%)": saves(BETA_MAPPO),
    }
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for (name, check), way in product(ahead.items(), (TRAINING, HELD_OUT)):
        cells = rows[name, way] = {}
        for kind, tables in kinds.items():
            evidence = check(Source("", tables, way, drawn=common[DATA]))
            (part,) = evidence.parts
            text = interval_text(part.values, ".3g", evidence.show)
            cells[f"{kind} ({len(part.values)} seeds)"] = text
    return pd.DataFrame.from_dict(rows, orient="index")


def every_slot(slots: dict[str, pd.DataFrame], frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what Beta-HAPPO gains where its centre learns from the choices of all slots.

    Args:
        slots: tables of Figs. 4 to 6, where it does so.
        frames: of the experiment ``once_a_frame``, where it does not.

    Returns:
        A row per quantity and a column per way of measuring: means of differences within a seed,
        positive where all slots are better, with 95 % t intervals.
    """
    scales = {
        f"lead in {name} (% of the height)": (metric, height(slots[DATA], metric))
        for metric, name in SYMBOLS.items()
    } | {"fewer failed requests (points)": (FAILED, -1)}
    found: dict[str, dict[str, str]] = {}
    for way in (TRAINING, HELD_OUT):
        both = Source("", slots, way), Source("", frames, way)
        cells = found[way] = {}
        for name, (metric, scale) in scales.items():
            own, other = (one.final(metric)[OWN] for one in both)
            cells[name] = interval_text(list(100 * (own - other).dropna() / scale), ".3g")
        saved = gap(*(one.final(ENERGY)[OWN] for one in both))
        cells["energy saved (%)"] = interval_text(list(saved), ".3g", as_saving)
    return pd.DataFrame(found)


def draws_table(mechanisms: pd.DataFrame) -> pd.DataFrame:
    """Return what draws cost, means over seeds with intervals, by variant and moment."""
    return summary(mechanisms.groupby(["variant", "moment"], sort=False), MECHANISMS)


def effects_table(mechanisms: pd.DataFrame) -> pd.DataFrame:
    """Return how far an update of Beta-HAPPO moves otherwise, in % of its length, by moment."""
    own = mechanisms[mechanisms["variant"] == BETA]
    return summary(own.groupby("moment", sort=False), EFFECTS)


def effects_at_points(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the same at each point of sweeps, of :mod:`dtlib.studies.effect_of_m`."""
    swept = effects.assign(swept=effects["figure"].map(WHAT_IS_SWEPT))
    return summary(swept.groupby(["swept", "x"], sort=False), EFFECTS).rename_axis(["", ""])
