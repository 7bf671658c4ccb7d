"""What trained agents achieve against K, and the search's rounds, from rows made up by hand."""

import pandas as pd
import pytest

from dtlib import TrainConfig
from dtlib.experiments.experiment import OWN
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import learnt, variants
from dtlib.report.columns import ENERGY_LABEL
from dtlib.studies import comparison, demand
from dtlib.verdicts.statistics import range_text

ROWS = pd.DataFrame(
    [
        ("beta-happo", 10, 0.1, 2e-3),
        ("beta-happo", 10, 0.3, 4e-3),
        ("beta-happo", 20, 0.4, 8e-3),
        ("power-on-demand", 20, 0.2, 1e-3),
    ],
    columns=["algorithm", "num_users", FAILED, ENERGY],
)
PARTS = learnt.by_policy(ROWS, ROWS[:1])


def test_a_column_per_policy_and_a_row_per_k():
    assert list(PARTS) == ["Beta-HAPPO", "power on demand", "Beta-HAPPO, stricter"]
    table = learnt.against_users(PARTS)
    own = table["failed requests (%)", "Beta-HAPPO"]
    assert own[10].replace("\xa0", " ") == "20.0 [10.0, 30.0]" and own[20] == "40.0"
    assert table[ENERGY_LABEL, "power on demand"].to_dict() == {
        10: "",
        20: "1.00",
    }


def test_a_dot_per_run_and_a_line_through_the_means():
    (ax,) = learnt.draw(PARTS).axes
    dots, line = ax.lines[:2]
    assert dots.get_ydata().tolist() == [10, 30, 40] and line.get_ydata().tolist() == [20, 40]
    assert ax.get_xticks().tolist() == [10, 20]


def test_energy_beside_the_rule_of_as_many_users(monkeypatch):
    def known(env, preset):
        """A rule that needs as many mJ as there are users, whatever it fails."""
        assert preset == "quick"
        own = TrainConfig.from_preset("quick", env={"num_users": env.num_users})
        assert env == own.env, "a preset's runs are in its network"
        return pd.DataFrame({FAILED: [0.0, 1.0], ENERGY: 1e-3 * env.num_users})

    monkeypatch.setattr(demand, "known_curve", known)
    table = learnt.at_equal_failures(PARTS["Beta-HAPPO"], "quick")
    assert table.loc[20].to_dict() == {
        "failed requests (%)": "40.0", ENERGY_LABEL: "8.00", "energy of the rule (mJ)": "20.00",
        "more than the rule (%)": "-60",
    }  # fmt: skip
    assert table.loc[10, "energy of the rule (mJ)"].startswith("10.00 [")


def test_what_is_trained_otherwise_within_a_seed(monkeypatch):
    curve = pd.DataFrame({FAILED: [0.2, 0.4], ENERGY: 1e-3})
    monkeypatch.setattr(demand, "known_curve", lambda env, preset: curve)
    columns = ["num_users", "seed", FAILED, ENERGY, comparison.WORST]
    as_is = pd.DataFrame([(30, s, 0.3 + s / 100, 1e-3, 0.22) for s in range(3)], columns=columns)
    whole = as_is.assign(
        variant="whole slices", **{FAILED: [0.25, 0.27, 0.26], ENERGY: 2e-3, comparison.WORST: 0.15}
    )
    elsewhere = as_is.assign(num_users=10)
    table = learnt.trained_otherwise(pd.concat([as_is, elsewhere]), whole[::-1], "quick")
    assert list(table) == [30]
    found = table[30].str.replace("\xa0", " ")
    expected = {
        ("failed requests (%)", "as it is"): "31.0 [30.0, 32.0]",
        ("failed requests (%)", "whole slices"): "26.0 [25.0, 27.0]",
        (ENERGY_LABEL, "as it is"): "1.00 [1.00, 1.00]",
        (ENERGY_LABEL, "whole slices"): "2.00 [2.00, 2.00]",
        ("failed slots, worst user (%)", "as it is"): "22.0 [22.0, 22.0]",
        ("failed slots, worst user (%)", "whole slices"): "15.0 [15.0, 15.0]",
        ("more than the rule (%)", "as it is"): "0 [0, 0]",
        ("more than the rule (%)", "whole slices"): "100 [100, 100]",
        ("more failed requests", "points"): "-5.0 [-7.5, -2.5]",
        ("more energy", "%"): "100.0 [100.0, 100.0]",
    }
    assert found.to_dict() == expected


def test_what_is_served_in_training_and_after_it():
    curves = pd.DataFrame(
        [("watts", OWN, seed, x, 1 - 0.01 * (x + seed)) for seed in (0, 2) for x in range(20)],
        columns=["variant", "algorithm", "seed", "x", FAILED],
    )  # fmt: skip
    runs = pd.DataFrame(
        {"variant": "watts", "seed": [0, 2], FAILED: [0.9, 1.0], ENERGY: [1e-3, 2e-3]}
    ).set_index(["variant", "seed"])
    row = learnt.served_by_variant(curves, runs).loc["watts"].str.replace("\xa0", " ")
    assert list(row) == [
        "1.5 [0.5, 2.5]", "19.50 [18.50, 20.50]", "5.00 [0.00, 10.00]", "1.50 [1.00, 2.00]"
    ]  # fmt: skip


def test_variants_and_rounds():
    table = variants.table(ROWS.assign(variant=ROWS["num_users"]), learnt.FORMATS, range_text)
    assert list(table) == [ENERGY_LABEL, "failed requests (%)"]
    assert table.loc[20, "failed requests (%)"].startswith("30.0 [20.0")
    tuning = pd.DataFrame(
        [("maddpg", "few", 0, 0.5, 1e-3), ("maddpg", "many", 0, 0.1, 2e-3)],
        columns=["algorithm", "variant", "seed", FAILED, "energy_per_slot_j"],
    )
    found = learnt.rounds(tuning, tuning[:1])
    assert list(found["first", "chosen"]) == ["", "chosen"]
    assert found.loc["few", "second"].to_list() == [50.0, 1.0, "chosen"]
    assert found.loc["many", "second"].to_list() == ["", "", ""]
    assert found.loc["many", ("first", ENERGY_LABEL)] == pytest.approx(2.0)
