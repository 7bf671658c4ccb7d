"""Tables beside learning curves: ends of training, new worlds, longer training."""

import re
from dataclasses import replace

from dtlib.experiments import committed, results
from dtlib.experiments.alternatives import HELD_BACK
from dtlib.experiments.experiment import LEARNERS
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import training_tables
from dtlib.report.columns import ENERGY_LABEL
from dtlib.report.shown import load
from dtlib.verdicts import words
from dtlib.verdicts.statistics import estimate


def test_tables_of_training():
    shown = load("fig04_06", "quick")
    ends = training_tables.ends_of_training(shown)
    assert ends.shape == (4 * len(LEARNERS), 2)
    assert re.fullmatch(r"\S+ \(\S+ to \S+\)", ends.loc[(ENERGY_LABEL, "MADDPG"), "last tenth"])
    table = training_tables.on_new_worlds(shown)
    assert list(table) == ["Beta-HAPPO", "Gaussian-HAPPO", "Beta-MAPPO", "MADDPG"]
    saved = table.loc["energy that Beta-HAPPO saves [95 % interval]"]
    assert saved["Beta-HAPPO"] == ""
    assert re.fullmatch(rf"\S+{words.GAP}% \[\S+, \S+\]", saved["Gaussian-HAPPO"])
    one = training_tables.ends_of_training(replace(shown, data=shown.data.query("seed == 0")))
    assert re.fullmatch(r"[\d.]+", one.loc[(ENERGY_LABEL, "MADDPG"), "last tenth"])


def test_maddpg_beside_itself_with_as_many_slots():
    table = training_tables.with_as_many_slots()
    assert [*table.index] == [
        "MADDPG, 50 episodes", "MADDPG, 300 episodes", "Beta-HAPPO, 300 episodes",
    ]  # fmt: skip
    runs = results.table("companion", "equal_slots", committed.EVALUATION).groupby("seed")
    means = 1e3 * runs[ENERGY].mean()
    assert table.loc["MADDPG, 300 episodes", ENERGY_LABEL] == (
        f"{means.mean():.2f} [{means.min():.2f},{words.GAP}{means.max():.2f}]"
    )
    of = results.table("companion", "fig04_06", committed.EVALUATION).query(
        "algorithm == 'beta-happo'"
    )
    failed = 100 * of.groupby("seed")[FAILED].mean().mean()
    assert table.loc["Beta-HAPPO, 300 episodes", "failed requests (%)"].startswith(
        f"{failed:.1f} ["
    )


def test_what_holds_beta_happo_back_stands_between_what_is_printed_and_maddpg():
    table = training_tables.held_back()
    assert [*table.index] == [
        "Beta-HAPPO, 150 episodes",
        *(f"{what}, 20 episodes" for what in HELD_BACK),
        "MADDPG, 2 episodes",
    ]
    runs = results.table("paper", "held_back", committed.EVALUATION)
    for what in HELD_BACK:
        failed = 100 * runs[runs["variant"] == what].groupby("seed")[FAILED].mean()
        mean, low, high = estimate(failed)
        text = f"{mean:.3g} [{low:.3g},{words.GAP}{high:.3g}]"
        assert table.loc[f"{what}, 20 episodes", "failed requests (%)"] == text
