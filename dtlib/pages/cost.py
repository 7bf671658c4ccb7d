"""What a training costs: the committed measurements of benchmarks as tables and pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dtlib.experiments.speed import medians, rows
from dtlib.report.style import COLUMN, PALETTE
from dtlib.settings.train import TrainConfig
from dtlib.verdicts.statistics import holm, t_test

PHASES = {
    "world_s": "draw the world",
    "act_s": "act",
    "simulate_s": "simulate",
    "rest_s": "advantages, layout",
    "critic_s": "critics",
    "actor_s": "actors",
}
"""Phases of an episode, s, and their names."""
PARTS = {"episode_s": "episode", "actor_s": "actors", "critic_s": "critics"}
"""What grows with the network."""
GROWTH = {"users": "users K, M = 5", "sites": "base stations M, K = 30"}
"""Suites in which one number grows, with its name."""
PEERS = {"HARL": "harl", "BenchMARL": "peer"}
"""Libraries that this one is compared with, and the benchmark that does so."""
QUANTITIES = {
    "reward_global": "r_g", "reward_centre": "r_c", "energy_per_user_slot_j": "energy (J)",
    "failure_ratio_requests": "failed requests", "migrations_per_frame": "migrations per frame",
    "explained_variance_global": "explained variance of r_g, first critic",
    "explained_variance_centre": "explained variance of r_c",
}  # fmt: skip
"""What runs with both kinds of critics are compared on."""


def of_phases(training: pd.DataFrame) -> pd.DataFrame:
    """Return seconds of an episode by phase and hours of a training, by critics and threads."""
    cost = medians(training, "phases", *PHASES, "episode_s")
    names = [f"{r.critic}, {r.threads} thread{'s' * (r.threads > 1)}" for r in cost.itertuples()]
    cost["hours"] = cost["episode_s"] * TrainConfig.from_preset("paper").episodes / 3600
    return cost.set_index(pd.Index(names, name="critics"))[[*PHASES, "episode_s", "hours"]]


def draw_phases(cost: pd.DataFrame) -> Figure:
    """Draw :func:`of_phases` as a bar for each case."""
    figure, ax = plt.subplots(figsize=(COLUMN, 2.6))
    left = np.zeros(len(cost))
    for colour, (column, name) in zip(PALETTE, PHASES.items(), strict=False):
        ax.barh(cost.index, cost[column], left=left, color=colour, label=name, height=0.6)
        left += cost[column]
    ax.invert_yaxis()
    ax.set(xlabel="seconds per episode", ylabel="critics, threads")
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.45, 1.0), frameon=False)
    ax.grid(axis="y", visible=False)
    return figure


def exponents(training: pd.DataFrame, from_users: int) -> pd.DataFrame:
    """Return the exponents with which parts of an episode grow: a row per part, a column per suite.

    Args:
        from_users: least K of the fit over users.
    """
    found: dict[str, dict[str, float]] = {}
    for suite in GROWTH:
        grown = medians(training, suite, *PARTS)
        used = grown[grown[suite] >= (from_users if suite == "users" else 0)]
        at = np.log(used[suite].to_numpy(float))
        fits = {part: np.polyfit(at, np.log(used[part].to_numpy()), 1)[0] for part in PARTS}
        found[suite] = {name: float(fits[part]) for part, name in PARTS.items()}
    return pd.DataFrame(found)


def draw_growth(training: pd.DataFrame) -> Figure:
    """Draw the seconds of an episode's parts against K and against M."""
    figure, axes = plt.subplots(2, 1, figsize=(COLUMN, 1.2 * COLUMN), sharey=True)
    for ax, (suite, label) in zip(axes, GROWTH.items(), strict=True):
        grown = medians(training, suite, *PARTS)
        for colour, (part, name) in zip(PALETTE, PARTS.items(), strict=False):
            ax.loglog(grown[suite], grown[part], "o-", color=colour, label=name)
        ax.set(xlabel=label)
        ax.set_xticks(grown[suite], grown[suite].astype(str))
        ax.minorticks_off()
    figure.supylabel("seconds per episode", fontsize=10)
    axes[0].legend()
    return figure


def beside_peers() -> pd.DataFrame:
    """Return medians of another library's seconds and ours, their ratio, and its range at most."""
    shown = {}
    for library, benchmark in PEERS.items():
        seconds = rows(benchmark).groupby(["part", "library"], sort=False)["seconds"]
        table = seconds.agg(["min", "median", "max"])
        theirs, ours = (table.xs(who, level="library") for who in (library, "dtlib"))
        shown[library] = pd.DataFrame({
            "theirs (s)": theirs["median"], "dtlib (s)": ours["median"],
            "ratio": theirs["median"] / ours["median"],
            "at least": theirs["min"] / ours["max"], "at most": theirs["max"] / ours["min"],
        })  # fmt: skip
    return pd.concat(shown)


def of_critics(critics: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what runs with one critic and with one for each agent learn, and their seconds.

    Returns:
        Means over seeds, the deviation over seeds (of both, root mean square), the difference in it
        and its p within seeds, two-sided and corrected for all of them (Holm); seconds of an
        episode, by variant.
    """
    last = critics.groupby(["variant", "quantity", "critic"], sort=False)["last"]
    mean, deviation = last.mean().unstack(), last.std().unstack()
    spread = np.sqrt((deviation**2).mean(axis=1))
    found = pd.DataFrame({
        "shared": mean["shared"], "one each": mean["per-agent"], "deviation over seeds": spread,
        "difference in deviations": (mean["per-agent"] - mean["shared"]) / spread,
    })  # fmt: skip
    seconds = mean.xs("episode_s", level="quantity")
    found = found.drop(index="episode_s", level="quantity")
    by_seed = critics.pivot(
        index=["variant", "quantity"], columns=["critic", "seed"], values="last"
    ).loc[found.index]
    change = (by_seed["per-agent"] - by_seed["shared"]).to_numpy()
    found["p"] = holm(2 * np.minimum(t_test(change), t_test(-change)))
    return found.rename(index=QUANTITIES, level="quantity"), seconds
