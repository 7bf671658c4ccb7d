"""What the preset ``companion`` changes, one setting at a time: the tables and the picture."""

import pandas as pd
from matplotlib.figure import Figure

from dtlib.experiments.alternatives import FORWARD, TAKEN_BACK
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import variants
from dtlib.settings.train import TrainConfig
from dtlib.verdicts.quantities import tenths

EPOCHS = "25 epochs"
"""On the way from ``paper``, what short episodes lead to: the companion but for this."""
ORDER = (*FORWARD, EPOCHS, "companion", *(v for v in TAKEN_BACK if v != EPOCHS))
"""The way from ``paper`` to ``companion``, then what is taken back."""
SHOWN = {FAILED: ".1f", ENERGY: ".2f", "reward_centre": ".2f"}
"""What is shown of them, with formats."""


def differences() -> pd.DataFrame:
    """Return the settings that ``paper`` and ``companion`` have otherwise, a row for each."""
    paper, companion = (
        dict(one) | {f"env.{name}": value for name, value in one.env}
        for one in map(TrainConfig.from_preset, ("paper", "companion"))
    )
    differ = {
        name: (value, companion[name])
        for name, value in paper.items()
        if value != companion[name] and name not in ("preset", "env")
    }
    return pd.DataFrame.from_dict(differ, orient="index", columns=["paper", "companion"])


def by_run(curves: pd.DataFrame, tuning: pd.DataFrame) -> pd.DataFrame:
    """Return each run's failures and energy on tuning worlds, and r_c at the end of training.

    Args:
        curves: learning curves of the experiment ``steps``.
        tuning: its results on tuning worlds.

    Returns:
        Columns of ``SHOWN``, by variant, whose names say where each stands on the way, and seed.
    """
    ends = tenths(curves.assign(algorithm=curves["variant"]), "reward_centre")["last"]
    found = (
        variants.on_tuning_worlds(tuning)
        .assign(reward_centre=ends)
        .reindex(list(ORDER), level="variant")
    )
    return found.rename(index={EPOCHS: f"+ episodes of 1000 slots ({EPOCHS})"}, level="variant")


def draw(runs: pd.DataFrame) -> Figure:
    """Draw each run's failures and energy, the way to ``companion`` above a line."""
    figure = variants.draw(runs, (FAILED, ENERGY))
    for ax in figure.axes:
        ax.axhline(len(FORWARD) + 1.5, color="0.7", linewidth=0.8)
    return figure
