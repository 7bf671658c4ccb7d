"""What slices of a CPU cost, against a CPU divided among those who ask, and who wins it back.

The same rules act under both readings of (14h), with the same deadlines
(:mod:`dtlib.studies.readings`); learners are Section V's, under slices.
"""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from dtlib.experiments import results
from dtlib.experiments.committed import FULLEST
from dtlib.experiments.experiment import OWN
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.columns import ENERGY_LABEL, FAILED_LABEL
from dtlib.report.figures import by_ratio
from dtlib.report.style import COLUMN, INK, PALETTE, line_style
from dtlib.studies.readings import CLAIRVOYANT, DIVIDED, GIVES_UP, SENDS, SLICES, of_rules
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import by_point

OVER_USERS = ("fig07_08", "outage", "fig13_14")
"""Experiments whose runs of Beta-HAPPO are over K; the first that has a K is taken."""
LEARNT = FULLEST[0]
"""The preset of those runs: in a smaller one learners have learnt less."""
DRAWN = {
    (GIVES_UP, DIVIDED): {"color": PALETTE[2], "linestyle": "-", "marker": "s"},
    (GIVES_UP, SLICES): {"color": PALETTE[1], "linestyle": "--", "marker": "^"},
    (SENDS, SLICES): {"color": PALETTE[3], "linestyle": "--", "marker": "v"},
    (CLAIRVOYANT, SLICES): {"color": INK, "linestyle": ":", "marker": "*"},
}
"""Rule, reading and how they are drawn."""
LEAST_COST = 0.05
"""Ratio of failures below which there is nothing to win back."""


def of_learner() -> pd.DataFrame:
    """Return Beta-HAPPO's medians over seeds in Section V's network, by K, from committed runs."""
    found = (results.table(LEARNT, name) for name in OVER_USERS)
    tables = [table for table in found if table is not None]
    whole = pd.concat([by_point(table)[[FAILED, ENERGY]].median() for table in tables])
    return whole[~whole.index.duplicated()].sort_index()


def won_back(divided: float, sliced: float, learned: float) -> float:
    """Return which share of the failures that slices cost a learner avoids; nan if they cost few.

    Args:
        divided: failures of the rule where the CPU is divided.
        sliced: of the same rule under slices.
        learned: of the learner under slices.

    >>> won_back(0.1, 0.5, 0.3)
    0.5
    """
    cost = sliced - divided
    return (sliced - learned) / cost if cost > LEAST_COST else float("nan")


def costs(rows: pd.DataFrame, learned: pd.DataFrame) -> pd.DataFrame:
    """Return what slices cost *demand or silence*, and which failures Beta-HAPPO wins back, by K.

    Args:
        rows: the table of :mod:`dtlib.studies.readings`.
        learned: :func:`of_learner`.
    """
    failed, energy = of_rules(rows, FAILED), of_rules(rows, ENERGY)
    found = {}
    for users in failed.index.intersection(learned.index):
        own, lost = learned.loc[users], failed.loc[users, GIVES_UP]
        spent = energy.loc[users, GIVES_UP]
        fewer = won_back(lost[DIVIDED], lost[SLICES], own[FAILED])
        found[int(users)] = {
            "failed, divided (%)": 100 * lost[DIVIDED],
            "failed, slices (%)": 100 * lost[SLICES],
            "failed, clairvoyant (%)": 100 * failed.loc[users, (CLAIRVOYANT, SLICES)],
            "Beta-HAPPO fails (%)": 100 * own[FAILED],
            "failures won back (%)": 100 * fewer,
            "energy, divided (mJ)": 1e3 * spent[DIVIDED],
            "energy, slices (mJ)": 1e3 * spent[SLICES],
            "power on demand (mJ)": 1e3 * energy.loc[users, (SENDS, SLICES)],
            "Beta-HAPPO's (mJ)": 1e3 * own[ENERGY],
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("K")


def draw(rows: pd.DataFrame, learned: pd.DataFrame) -> Figure:
    """Draw failures above energy against K, divided and sliced; see :func:`costs`."""
    figure, axes = plt.subplots(2, 1, figsize=(COLUMN, 1.25 * COLUMN), sharex=True)
    for ax, metric, unit in zip(axes, (FAILED, ENERGY), (100, 1e3), strict=True):
        table = unit * of_rules(rows, metric)
        for (rule, reading), style in DRAWN.items():
            ax.plot(table[rule, reading], label=f"{rule}, {reading}", **style)
        own = line_style(OWN) | {"label": f"{label(OWN)}, slices", "markevery": None}
        ax.plot(unit * learned[metric], **own)
    axes[0].set(ylabel=FAILED_LABEL)
    axes[1].set(ylabel=ENERGY_LABEL, xlabel="mobile users K")
    axes[1].set_ylim(0.05, None)
    by_ratio(axes[1])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
