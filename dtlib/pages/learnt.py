"""What trained Beta-HAPPO achieves against the number of users, and how its settings were found."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from dtlib.experiments import search
from dtlib.experiments.experiment import OWN
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.columns import COLUMNS, ENERGY_LABEL, FAILED_LABEL, summary
from dtlib.report.style import ALGORITHMS, COLUMN, INK, line_style
from dtlib.settings.train import TrainConfig
from dtlib.studies import comparison, demand
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import tenths
from dtlib.verdicts.statistics import interval_text, range_text

FORMATS = {ENERGY: ".2f", FAILED: ".1f"}
"""What is told of runs, with formats."""


def by_policy(swept: pd.DataFrame, strict: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return rows by who acts: each policy of a sweep, and the learner where (14b) is stricter."""
    parts = {label(name): part for name, part in swept.groupby("algorithm", sort=False)}
    return parts | {f"{label(OWN)}, stricter": strict}


def against_users(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return failures and energy of each policy by K: means over seeds, least and greatest."""
    found = {
        name: summary(part.groupby("num_users"), FORMATS, range_text)
        for name, part in parts.items()
    }
    by_number = pd.concat(found, axis=1).swaplevel(axis=1)[[COLUMNS[FAILED][0], COLUMNS[ENERGY][0]]]
    return by_number.fillna("").rename_axis("K")


def draw(parts: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw failures against K: a dot per run, and a line through the means."""
    figure, ax = plt.subplots(figsize=(COLUMN, 0.8 * COLUMN))
    looks = {look["label"]: look for look in map(line_style, ALGORITHMS)}
    for name, part in parts.items():
        look = looks.get(name, {"color": INK, "linestyle": ":", "marker": "o", "label": name})
        points = 100 * part.set_index("num_users")[FAILED]
        ax.plot(points, look["marker"], color=look["color"], alpha=0.4)
        ax.plot(points.groupby(level=0).mean(), **look | {"marker": "", "markevery": None})
    ax.set(xlabel="mobile users K", ylabel=FAILED_LABEL)
    ax.set_xticks(sorted({users for part in parts.values() for users in part["num_users"]}))
    ax.legend()
    return figure


def at_equal_failures(runs: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Return Beta-HAPPO's energy beside that of *demand or silence* failing as often, by K.

    Args:
        runs: of Beta-HAPPO in the network of Section V.
    """
    forms = {FAILED: ".1f", ENERGY: ".2f", "rule_j": ".2f", "more": ".0f"}
    found = _beside_rule(runs, preset).groupby("num_users")
    return summary(found, forms, range_text).rename_axis("K")


def trained_otherwise(as_is: pd.DataFrame, changed: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Return what training with something changed makes of Beta-HAPPO, a column per K.

    Args:
        as_is: runs of it in the network of Section V.
        changed: of a variant, whose K are shown.

    Returns:
        Means over seeds, the least and the greatest; differences within a seed, and their 95 %
        interval.
    """
    forms = FORMATS | {"more": ".0f", comparison.WORST: ".1f"}
    as_is = as_is[as_is["num_users"].isin(changed["num_users"])]
    tables = {
        name: summary(_beside_rule(part, preset).groupby("num_users"), forms, range_text)
        for name, part in (("as it is", as_is), (changed["variant"].iloc[0], changed))
    }
    found = pd.concat(tables, axis=1).swaplevel(axis=1)[[COLUMNS[metric][0] for metric in forms]]
    before, after = (part.set_index(["num_users", "seed"]) for part in (as_is, changed))
    more = {
        ("more failed requests", "points"): after[FAILED] - before[FAILED],
        ("more energy", "%"): after[ENERGY] / before[ENERGY] - 1,
    }
    for name, pairs in more.items():
        found[name] = (100 * pairs.dropna()).groupby("num_users").apply(interval_text, ".1f")
    return found.rename_axis("K").T


def _beside_rule(runs: pd.DataFrame, preset: str) -> pd.DataFrame:
    parts = []
    for users, part in runs.groupby("num_users"):
        env = TrainConfig.from_preset(preset, env={"num_users": int(users)}).env
        parts.append(comparison.beside_curve(part, demand.known_curve(env, preset)))
    return pd.concat(parts)


def served_by_variant(curves: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return which share of requests each variant serves, in training and after it.

    Args:
        curves: learning curves, whose actions are draws.
        runs: with mean actions on held-out worlds, by variant and seed.

    Returns:
        Means over seeds, the least and the greatest; with the energy of mean actions.
    """
    rows = {}
    for variant, part in curves.groupby("variant", sort=False):
        training, after = 100 * (1 - tenths(part, FAILED)), runs.loc[variant]
        rows[variant] = {
            "served, first tenth (%)": range_text(training["first"], ".3g"),
            "last tenth (%)": range_text(training["last"], ".2f"),
            "held-out worlds (%)": range_text(100 * (1 - after[FAILED]), ".2f"),
            "energy there (mJ)": range_text(1e3 * after[ENERGY], ".2f"),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def short_label(variant: str) -> str:
    """Return a tried setting as a picture has it: the learner, and the values.

    >>> short_label("beta-happo, learning_rate 0.003, epochs 10")
    'Beta-HAPPO 0.003, 10'
    """
    learner, *tried = variant.split(", ")
    return f"{label(learner)} {', '.join(setting.split()[-1] for setting in tried)}"


def rounds(*tuning: pd.DataFrame) -> pd.DataFrame:
    """Return what each setting achieved on tuning worlds, and which is chosen, by round."""
    tables = {}
    for name, results in zip(("first", "second"), tuning, strict=True):
        found = search.ranked(results).droplevel("algorithm")
        columns = {
            FAILED_LABEL: (100 * found["failed"]).round(1),
            ENERGY_LABEL: (1e3 * found["energy_j"]).round(2),
            "chosen": found["chosen"].map({True: "chosen", False: ""}),
        }
        tables[name] = pd.DataFrame(columns)
    return pd.concat(tables, axis=1).astype(object).fillna("")
