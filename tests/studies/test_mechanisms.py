"""Why learners differ: draws are of the policy that means are of."""

from types import SimpleNamespace

import pytest
from tiny import own_folders  # noqa: F401

from dtlib import TrainConfig
from dtlib.experiments import results
from dtlib.studies import mechanisms
from dtlib.training import evaluation
from dtlib.training.loop import Trainer

CONFIG = TrainConfig.from_preset("smoke", algorithm="beta-happo")


@pytest.fixture(autouse=True)
def short_worlds(monkeypatch):
    monkeypatch.setattr(evaluation, "EVALUATION_FRAMES", 2)


def test_draws_at_bounds_are_half_of_harls_gaussian_and_none_of_beta():
    gaussian = CONFIG.replace(algorithm="gaussian-happo")
    found = mechanisms.draws(Trainer([gaussian]), 1)
    assert found["draws_at_bounds"] == pytest.approx(0.5, abs=0.05)  # mean 0 on [0, 1]
    found = mechanisms.draws(Trainer([CONFIG]), 1)
    assert found["draws_at_bounds"] == 0
    assert found["energy_of_draws_j"] > 0 and found["energy_of_means_j"] > 0


def test_draws_and_means_are_told_apart(monkeypatch):
    def told(policy, env, *, worlds):
        of_draws = isinstance(policy, mechanisms.Drawn)
        numbers = {results.ENERGY: 1.0 + of_draws, results.FAILED: 3.0 + of_draws}
        return SimpleNamespace(summary=lambda: numbers)

    monkeypatch.setattr(mechanisms, "evaluate_policy", told)
    assert mechanisms.draws(Trainer([CONFIG]), 1) == {
        "energy_of_means_j": 1, "energy_of_draws_j": 2, "failed_of_means": 3, "failed_of_draws": 4,
        "draws_at_bounds": 0,
    }  # fmt: skip


def test_table_is_written_once_and_read():
    table = mechanisms.TABLE.read("smoke", jobs=1)
    assert list(table.groupby("variant")["moment"].count()) == [2] * 5
    assert table.query("variant == 'Beta'")["effect_of_m"].notna().all()
    assert table.query("variant != 'Beta'")["effect_of_m"].isna().all()
    moments = [part["energy_of_means_j"].to_numpy() for _, part in table.groupby("moment")]
    assert (moments[0] != moments[1]).all(), "training has changed every policy"
    folder = mechanisms.TABLE.write("smoke", jobs=1)
    assert results.read(folder, results.DATA, mechanisms.TABLE.key("smoke", None)) is not None
