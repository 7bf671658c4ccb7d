"""The comparison's tables, from committed rows and from two seeds made up by hand."""

from types import SimpleNamespace

import pandas as pd

from dtlib.experiments import measurements
from dtlib.experiments.results import ENERGY
from dtlib.pages import compared
from dtlib.report.columns import ENERGY_LABEL
from dtlib.studies import comparison
from dtlib.studies.comparison import ALL, WORST

SERVED = "energy_per_served_request_j"


def runs(algorithm, energies, **more):
    same = {"algorithm": algorithm, ALL: 0.1, "bar": 1.0}
    rows = [
        same | {"seed": seed, ENERGY: energy, SERVED: 2 * energy, WORST: 0.2 + 0.1 * seed} | more
        for seed, energy in enumerate(energies)
    ]
    return pd.DataFrame(rows)


def references():
    energies = {"equal power": 1e-3, "genie bound": 1e-5, "silence": 2e-3, comparison.BEST: 2e-4}
    columns = {ENERGY: energies, SERVED: energies, "level": {"equal power": 0.25}}
    return pd.DataFrame(columns).assign(**{ALL: 0.1, WORST: 0.2})


HELD = runs("beta-happo", [1e-4, 1e-4]).set_index(["algorithm", "seed"])
PRICED = runs("beta-happo", [5e-5]).set_index(["algorithm", "seed"])
INDEX = ["algorithm", "control_factor", "seed"]


def test_what_it_takes_to_keep_14b():
    trained = [
        runs("maddpg", [1e-2], control_factor=eta, **{WORST: worst})
        for eta, worst in ((0.01, 0.9), (1.0, 0.4))
    ]
    tuned, trained = references(), pd.concat(trained).set_index(INDEX)
    table, aside = compared.at_limit(tuned, held=HELD, priced=PRICED, trained=trained)
    assert list(aside.index) == ["silence"]
    assert list(table.index[-3:]) == ["Beta-HAPPO", "Beta-HAPPO, priced", "MADDPG"]
    own = table.loc["Beta-HAPPO"].to_dict()
    assert own[ENERGY_LABEL].startswith("0.1000 [") and own["parameter"] == "logit 1.00"
    assert own["closed (%)"].startswith("50 [") and own["worst user (%)"] == "30.0"
    assert table.loc["equal power", ["parameter", "closed (%)"]].to_list() == ["0.25", "0"]
    assert table.loc["genie bound", ["parameter", "closed (%)"]].to_list() == ["", "100"]
    assert table.loc["MADDPG", "parameter"] == "η = 1", "where its worst user fails least"


def test_savings_stand_beside_the_papers(monkeypatch):
    def ratios(algorithms, **tables):
        assert "maddpg" in algorithms and len(tables) == 4
        found = {("η = 1", "maddpg"): [0.25, 0.25], ("(14b) held", "a rule"): [0.9]}
        return {at: pd.Series(ratio) for at, ratio in found.items()}

    monkeypatch.setattr(comparison, "energy_ratios", ratios)
    table = compared.savings_table(held=HELD, priced=PRICED, trained=HELD, references=references())
    assert table.loc[("η = 1", "MADDPG")].to_list() == ["75.0 [75.0,\xa075.0]", 41.08]
    assert table.loc[("(14b) held", "a rule")].to_list() == ["10.0", "–"]


def test_as_published_stands_beside_no_training(monkeypatch):
    def untrained(run, stream):
        assert run.episodes == 0 and stream == "held-out"
        return SimpleNamespace(
            summary=lambda: {ENERGY: 1e-3, ALL: 0.5, WORST: 0.6, "reward_centre": -1.0}
        )

    monkeypatch.setattr(measurements, "evaluation", untrained)
    table, curves = compared.to_the_letter()
    first = table.iloc[0]
    assert first["seeds"] == 3 and first["episodes run"] == "0 of 150"
    assert first[ENERGY_LABEL].startswith("1 [1,") and first["hours of all"] == ""
    assert set(table.index[1:]) == {"Beta-HAPPO", "Gaussian-HAPPO", "Beta-MAPPO", "MADDPG"}
    assert table.loc["MADDPG", "episodes run"] == "20 of 150"
    assert curves["reward_global"].notna().all()
