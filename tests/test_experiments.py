"""Experiments: tidy data with a manifest, drawn only if they are the runs that are asked for."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from dtlib import ConfigError, experiments, paths, store
from dtlib.checkpoint import FileError

FIGURE = experiments.find("fig05")


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")


def test_unknown_names():
    with pytest.raises(ConfigError, match="figure = 'fig99': must be one of ablations, fig04, "):
        experiments.find("fig99")
    with pytest.raises(ConfigError, match="preset = 'large': must be one of smoke"):
        FIGURE.runs("large")
    with pytest.raises(ConfigError, match="seeds = 0: must be at least 1"):
        FIGURE.runs("smoke", 0)


def test_write_and_read(tmp_path):
    place = experiments.write(FIGURE, "smoke", jobs=2)
    assert place == tmp_path / "results" / "smoke" / "fig04_06"
    table = pd.read_csv(place / "data.csv")
    runs = FIGURE.runs("smoke")
    episodes = runs[0].config.episodes
    assert len(table) == len(runs) * episodes
    assert set(table.groupby(["variant", "seed"]).size()) == {episodes}
    assert {"figure", "algorithm", "x", "seed", "energy_per_user_slot_j"} <= set(table.columns)
    worlds, users, tuning = (pd.read_csv(place / name) for name in experiments.TABLES[1:])
    users_each = runs[0].config.env.num_users
    for found, size in ((worlds, 20), (users, users_each), (tuning, users_each)):
        assert set(found.groupby(["algorithm", "seed"]).size()) == {size}
    assert not users.equals(tuning)
    manifest = json.loads((place / "manifest.json").read_text())
    assert [one["sha256"] for one in manifest["runs"]] == [store.key(r.config) for r in runs]

    stored = experiments.data("fig04", "smoke")
    pd.testing.assert_frame_equal(stored, table)
    assert experiments.read(FIGURE, FIGURE.runs("smoke", 2), "smoke") is None
    other = FIGURE.runs("smoke", changes={"env": {"request_prob": 0.4}})
    assert experiments.read(FIGURE, other, "smoke") is None


def test_only_a_share_of_the_episodes_is_run():
    planned = FIGURE.runs("paper", 1)[0]
    assert planned.episodes == FIGURE.episodes["paper"] < planned.config.episodes == 150
    runs = [replace(one, episodes=1) for one in FIGURE.runs("smoke", 1)]
    data = experiments.collect(FIGURE, runs)
    assert set(data.groupby("algorithm").size()) == {1}
    assert experiments.plan_key(runs) != experiments.plan_key(FIGURE.runs("smoke", 1))


def test_changes_of_variant_and_caller_are_both_kept():
    tradeoff = experiments.find("tradeoff")
    runs = tradeoff.runs("smoke", 1, {"env": {"num_users": 7}})
    factors = {planned.config.env.control_factor for planned in runs}
    assert factors == set(experiments.CONTROL_FACTORS)
    assert {planned.config.env.num_users for planned in runs} == {7}


def test_parallel_runs_equal_serial_ones(tmp_path, monkeypatch):
    runs = FIGURE.runs("smoke", 1)
    two = experiments.collect(FIGURE, runs, jobs=2)
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "another"))
    one = experiments.collect(FIGURE, runs, jobs=1)
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_altered_data_are_refused():
    place = experiments.write(FIGURE, "smoke", seeds=1)
    text = (place / "data.csv").read_text()
    (place / "data.csv").write_text(text.replace("0.0", "0.1", 1))
    with pytest.raises(FileError, match="differs from its manifest"):
        experiments.read(FIGURE, FIGURE.runs("smoke", 1), "smoke")
    experiments.write(FIGURE, "smoke", seeds=1)
    assert (place / "data.csv").read_text() == text


def test_unchanged_results_are_left_alone():
    place = experiments.write(FIGURE, "smoke", seeds=1)
    stamps = {one.name: one.stat().st_mtime_ns for one in place.iterdir()}
    assert stamps.keys() == {*experiments.TABLES, "manifest.json"}
    experiments.write(FIGURE, "smoke", seeds=1)
    assert {one.name: one.stat().st_mtime_ns for one in place.iterdir()} == stamps


def test_changes_apply_to_all_runs():
    runs = FIGURE.runs("smoke", 1, {"env": {"num_users": 7}})
    assert {planned.config.env.num_users for planned in runs} == {7}
    assert {planned.config.env.frame_slots for planned in runs} == {20}
