"""What M and Beta are worth: signs and choices by hand."""

import pandas as pd
import pytest

from dtlib.experiments import results
from dtlib.experiments.alternatives import UNSHARED
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.pages import worth
from dtlib.report.columns import ENERGY_LABEL

STEPS = "bounded Gaussian, Beta's steps"


def runs_of(**energies):
    """Runs by variant and seed, all failing alike."""
    rows = [
        {"variant": name.replace("_", " "), "seed": seed, ENERGY: value / 1e3, FAILED: 0.3}
        for name, values in energies.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows).set_index(["variant", "seed"])


def test_differences_are_within_a_seed_and_named():
    runs = runs_of(
        Beta=[1.0, 2.0, 3.0], Gaussian=[1.5, 2.6, 3.5], bounded_Gaussian=[0.9, 1.89, 2.9]
    )
    without = runs.loc[["Beta"]].rename(index={"Beta": worth.WITHOUT_M}, level=0)
    found = worth.within_seed(pd.concat([runs, without]), "bounded Gaussian")
    said = found["so it has"].xs(ENERGY_LABEL, level=1)
    assert list(said) == ["no difference shown", "less", "more"]
    own = found.loc[("Beta, against Gaussian", ENERGY_LABEL)]
    assert own["difference"].startswith("-0.53 [") and own["P(Beta-HAPPO's is larger)"] == "0.33"
    assert set(found["so it has"].xs("failed requests (%)", level=1)) == {"no difference shown"}


@pytest.mark.parametrize("failures, chosen", [(0.31, STEPS), (0.4, "bounded Gaussian")])
def test_bounded_choice_follows_the_rule_of_the_search(failures, chosen):
    rows = [("bounded Gaussian", 0.30, 2e-3), (STEPS, failures, 1e-3), ("Gaussian", 0.0, 0.0)]
    tuning = pd.DataFrame(rows, columns=["variant", "failure_ratio_requests", "energy_per_slot_j"])
    assert worth.bounded_choice(tuning.assign(algorithm="gaussian-happo", seed=0)) == chosen


def test_tables_speak_of_every_moment():
    columns = [*worth.MECHANISMS, *worth.EFFECTS]
    rows = [
        {"variant": "Beta", "seed": seed, "moment": moment} | dict.fromkeys(columns, 0.1 + seed)
        for seed in range(3)
        for moment in ("start", "end")
    ]
    table = pd.DataFrame(rows)
    assert worth.draws_table(table).shape == (2, 5)
    effects = worth.effects_table(table)
    assert list(effects.index) == ["start", "end"]
    assert effects.loc["end", "another episode"].startswith("110 [")


def test_points_are_told_by_what_is_swept():
    points = [("fig07_08", 10), ("fig07_08", 25), ("fig09", 3)]
    rows = [
        {"figure": figure, "x": x, "seed": seed} | dict.fromkeys(worth.EFFECTS, x / 100)
        for figure, x in points
        for seed in range(3)
    ]
    found = worth.effects_at_points(pd.DataFrame(rows))
    assert list(found["M taken as 1"].str.split().str[0]) == ["10", "25", "3"]
    assert [name for name, _ in found.index] == ["users (Figs. 7–8)"] * 2 + [
        "base stations (Fig. 9)"
    ]


def test_leads_stand_beside_each_other_by_what_users_share():
    """A lead of 4 and a saving of 25 % with a network each, none with one for all."""
    rows = [
        {"algorithm": name, "variant": f"{name}, {what}" if what else name, "seed": seed, "x": x,
         "reward_global": reward, "reward_centre": reward, ENERGY: energy}
        for what, lead in (("", 0), *((what, 40) for what in UNSHARED))
        for name, end, energy in (("beta-happo", lead, 3 if lead else 4), ("beta-mappo", 0, 4))
        for seed in range(3)
        for x, reward in ((1, -1000 + lead), (2, end))
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    shared = table["variant"] == table["algorithm"]
    tables = [
        {DATA: part, EVALUATION: part[part["x"] == 2]} for part in (table[shared], table[~shared])
    ]
    found = worth.unshared(*tables)
    assert found.shape == (6, 3) and {name.rpartition(" (")[2] for name in found} == {"3 seeds)"}
    assert {*found.iloc[:, 0].str.partition(" ")[0]} == {"0"}
    energy = found.xs("energy saved (%)").iloc[:, 1:]
    assert {*energy.stack().str.partition(" ")[0]} == {"25"}
    leads = found[~found.index.get_level_values(0).str.startswith("energy")].iloc[:, 1:]
    assert {*leads.stack().str.partition(" ")[0]} == {"4"}


def test_what_choices_of_every_slot_gain():
    """A lead of 4 in 1000 in either reward, a saving of 25 %, 10 points fewer failures."""

    def tables(end, energy, failed):
        rows = pd.DataFrame([
            {"algorithm": "beta-happo", "seed": seed, "x": x, "reward_global": reward,
             "reward_centre": reward, ENERGY: energy, FAILED: failed}
            for seed in range(3) for x, reward in ((1, end - 1000), (2, end))
        ])  # fmt: skip
        return {DATA: rows, EVALUATION: rows[rows["x"] == 2]}

    found = worth.every_slot(tables(40, 3, 0.3), tables(0, 4, 0.4))
    assert list(found) == ["end of training", "held-out worlds"]
    means = found.apply(lambda column: column.str.partition(" ")[0].astype(float))
    for way in means:
        assert means[way].tolist() == [4, 4, 10, 25]


def test_the_centre_learns_more_from_every_slot():
    """What the page says, from committed rows."""
    both = (
        {name: results.table("companion", figure, name) for name in (DATA, EVALUATION)}
        for figure in ("fig04_06", "once_a_frame")
    )
    found = worth.every_slot(*both).replace("\xa0", " ", regex=True)
    assert found.loc["lead in r_c (% of the height)"].tolist() == [
        "15.8 [12, 19.7]",
        "18.9 [3.75, 34.1]",
    ]
    assert found.loc["lead in r_g (% of the height)"].tolist()[0] == "1.72 [0.924, 2.51]"
    fewer = found.loc["fewer failed requests (points)"]
    assert fewer.tolist() == ["6.59 [5.08, 8.1]", "8.58 [1.8, 15.4]"]
