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
LEAST_COST = 5
"""Failures in % below which there is nothing to win back."""


def of_learner() -> pd.DataFrame:
    """Return Beta-HAPPO's medians over seeds in Section V's network, by K, from committed runs."""
    found = (results.table(LEARNT, name) for name in OVER_USERS)
    tables = [table for table in found if table is not None]
    whole = pd.concat([by_point(table)[[FAILED, ENERGY]].median() for table in tables])
    return whole[~whole.index.duplicated()].sort_index()


def costs(rows: pd.DataFrame, learned: pd.DataFrame) -> pd.DataFrame:
    """Return what slices cost *demand or silence*, and which failures Beta-HAPPO wins back, by K.

    Args:
        rows: the table of :mod:`dtlib.studies.readings`.
        learned: :func:`of_learner`.
    """
    failed, energy = (unit * of_rules(rows, of) for unit, of in ((100, FAILED), (1e3, ENERGY)))
    lost, spent, own = failed[GIVES_UP], energy[GIVES_UP], 100 * learned[FAILED]
    cost = lost[SLICES] - lost[DIVIDED]
    found = {
        "failed, divided (%)": lost[DIVIDED],
        "failed, slices (%)": lost[SLICES],
        "failed, clairvoyant (%)": failed[CLAIRVOYANT, SLICES],
        "Beta-HAPPO fails (%)": own,
        "failures won back (%)": (100 * (lost[SLICES] - own) / cost).where(cost > LEAST_COST),
        "energy, divided (mJ)": spent[DIVIDED],
        "energy, slices (mJ)": spent[SLICES],
        "power on demand (mJ)": energy[SENDS, SLICES],
        "Beta-HAPPO's (mJ)": 1e3 * learned[ENERGY],
    }
    both = failed.index.intersection(learned.index)
    return pd.DataFrame(found).loc[both].set_axis(both.astype(int)).rename_axis("K")


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
