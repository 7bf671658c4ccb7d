"""Policies in the repository: what is committed gives the results beside it, byte for byte."""

import hashlib

import pandas as pd
import pytest
from click.testing import CliRunner
from tiny import CURVES

from dtlib import EnvConfig, TrainConfig, evaluate, load_run
from dtlib.cli import main
from dtlib.experiments import cards, results
from dtlib.experiments.experiment import LEARNERS
from dtlib.runtime import paths
from dtlib.runtime.fingerprint import arithmetic
from dtlib.training import evaluation
from dtlib.training.published import POLICY


@pytest.mark.skipif(
    arithmetic() != "portable", reason="this processor has no AVX2, or DTLIB_ARITHMETIC=native"
)
@pytest.mark.parametrize("algorithm", LEARNERS)
def test_committed_policies_give_their_results(algorithm):
    folder = cards.policy_folder(algorithm)
    known = results.read(folder, cards.BY_WORLD)
    assert known is not None, f"run `dtlib policies --preset companion`: {folder} is not there"
    found = results.as_committed(evaluate(load_run(folder), worlds=1).worlds)
    assert found.equals(known[:1])


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_cards_are_of_what_lies_beside_them(algorithm):
    folder = cards.policy_folder(algorithm)
    digest = hashlib.sha256((folder / POLICY).read_bytes()).hexdigest()
    assert results.manifest(folder)["policy_sha256"] == digest
    card = (folder / cards.CARD).read_text(encoding="utf-8")
    assert digest in card
    version = results.manifest(folder)["results_version"]
    assert f"of results version {version}: " in card


def test_settings_of_a_card_are_all_that_differ():
    found = cards._departures(TrainConfig(averaged=0.2, env=EnvConfig.named("work-conserving")))
    assert found["averaged"] == 0.2 and found["env"]["cpu_sharing"] == "served"
    assert cards._departures(TrainConfig()) == {}


def test_a_card_tells_of_all_slots():
    planned = next(run for run in CURVES.runs("smoke", 1) if run.config.worlds == 2)
    card = cards._card(planned, pd.Series(dict.fromkeys(cards.TOLD, 0.5)), "abc")
    slots = planned.episodes * 2 * planned.config.env.slots
    assert f"Trained for {planned.episodes} episodes, {slots} slots, " in card
    assert "| energy per user and slot | 500 mJ |" in card and "| failed slots | 50 % |" in card


def test_are_written_from_first_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    monkeypatch.setattr(evaluation, "EVALUATION_FRAMES", 2)
    made = CliRunner().invoke(main, ["policies", "--preset", "smoke", "--jobs", "1", "--quiet"])
    assert made.exit_code == 0, made.output
    for algorithm in LEARNERS:
        folder = tmp_path / "results" / "policies" / algorithm
        run = load_run(folder)
        assert (run.config.algorithm, run.config.seed) == (algorithm, cards.SEED)
        energy = results.read(folder, cards.BY_WORLD)[results.ENERGY].mean()
        assert f"| energy per user and slot | {1e3 * energy:.4g} mJ |" in (
            folder / cards.CARD
        ).read_text(encoding="utf-8")
    made = CliRunner().invoke(main, ["policies", "--preset", "quick", "--dirty", "--quiet"])
    assert made.exit_code == 2 and len(made.output.splitlines()) == 1
    assert "preset = 'quick'" in made.output and "has those of 'smoke'" in made.output
