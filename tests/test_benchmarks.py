"""The benchmark of whole episodes against stepping, on a tiny network."""

import hashlib
import json
import subprocess
import sys

import pandas as pd
import pytest
import torch

from benchmarks import critics, episode, training
from dtlib import ConfigError, EnvConfig, TrainConfig
from dtlib.experiments import provenance
from dtlib.happo.algorithm import Agent
from dtlib.model.layouts import centre_layout, state_layout, station_layout, user_layout


def test_measures_every_quantity():
    config = TrainConfig.from_preset(
        "smoke", env={"frames": 30, "num_users": 3, "num_bs": 2}, **episode.SEEN
    )
    threads = torch.get_num_threads()
    rows = episode.measure(config, rounds=3, steps=20)
    assert torch.get_num_threads() == threads
    assert tuple(rows.columns) == episode.COLUMNS
    assert rows.quantity.tolist() == list(episode.MEANING)
    assert (rows.num_users == 3).all() and (rows.num_bs == 2).all() and (rows.slots == 600).all()
    assert (rows["least"] > 0).all()
    assert (rows["least"] <= rows["median"]).all() and (rows["median"] <= rows["greatest"]).all()
    found = rows.set_index("quantity")
    assert found.loc["memory_peak", "median"] >= found.loc["memory_before", "median"]
    assert found.loc["whole", "least"] >= found.loc["act", "least"]
    assert found.loc["ratio_act", "median"] > 1 and found.loc["ratio_given", "median"] > 1


def test_table_names_every_quantity():
    text = episode.table(
        episode.measure(TrainConfig.from_preset("smoke", **episode.SEEN), rounds=1, steps=5)
    )
    assert all(meaning in text for meaning in episode.MEANING.values())


def test_writes_tidy_data_and_manifest(request, tmp_path, capsys):
    out = tmp_path / "results"
    options = ["--preset", "smoke", "--rounds", "1", "--steps", "5", "--dirty", "--out"]
    options.append(str(out))
    command = [sys.executable, "-m", "benchmarks.episode", *options]
    done = subprocess.run(
        command, cwd=request.config.rootpath, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "act and simulate" in done.stdout
    assert episode.main(options) == 0  # replaces its own results
    assert "act and simulate" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["data.csv", "manifest.json"]
    assert "ratio_act" in pd.read_csv(out / "data.csv").quantity.tolist()
    text = (out / "manifest.json").read_text()
    notes = json.loads(text)
    config = TrainConfig.from_dict(notes["config"])
    assert notes["config_sha256"] == hashlib.sha256(config.canonical_json().encode()).hexdigest()
    assert config == TrainConfig.from_preset("smoke", **episode.SEEN)
    assert notes["threads"] == 1 and "torch" in notes["packages"]
    assert notes["made_by"] == provenance.origin()
    assert str(tmp_path) not in text and str(request.config.rootpath) not in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--preset", "huge"],
            "bench: preset = 'huge': must be one of smoke, quick, companion, paper",
        ),
        (["--rounds", "0"], "bench: rounds = 0: must be at least 1"),
        (["--steps", "0"], "bench: steps = 0: must be at least 1"),
        (["--steps", "few"], "bench: argument --steps: invalid int value: 'few'"),
        (["--fast"], "bench: unrecognized arguments: --fast"),
    ],
)
def test_refuses_bad_options_in_one_line(capsys, options, line):
    try:
        code = episode.main(["--preset", "smoke", *options])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert capsys.readouterr().err == line + "\n"


def test_refuses_foreign_folders_before_measuring(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(episode, "measure", lambda *_: pytest.fail("measured"))
    (tmp_path / "notes.txt").write_text("mine")
    assert episode.main(["--out", str(tmp_path)]) == 2
    assert "is not empty and holds no result" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert episode.main(["--out", str(tmp_path / "notes.txt")]) == 2
    assert "is a file; the output must be a folder" in capsys.readouterr().err


def test_results_of_a_changed_tree_are_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(episode, "measure", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(provenance, "_commit", lambda: f"0123abc{provenance.CHANGED}")
    assert episode.main(["--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("bench: dtlib/ has changes that no commit has")


def test_refuses_episodes_too_short_to_time():
    env = EnvConfig(num_users=1, num_bs=1, frames=1, frame_slots=2, migration_slots=0)
    with pytest.raises(ConfigError, match="frames·frame_slots = 2: must be at least 3"):
        episode.measure(TrainConfig(env=env))


# --- training -----------------------------------------------------------------------------------


def test_training_measures_each_phase_in_processes_of_its_own(tmp_path, monkeypatch):
    case = training.Case("plain", users=4, sites=2, frames=1, epochs=2, jobs=2)
    rows = pd.DataFrame(training.measure(case, rounds=2))
    assert set(rows["job"]) == {0, 1} and set(rows["round"]) == {0, 1}
    one = rows[(rows["job"] == 0) & (rows["round"] == 1)].set_index("quantity").value
    assert (one > 0).all()
    assert one[list(training.PHASES)].sum() == pytest.approx(one["episode_s"])
    assert one["dense_gflop"] > one["executed_gflop"]
    rate = one["dense_gflop"] * case.epochs / (one["actor_s"] + one["critic_s"])
    assert one["dense_of_peak"] == pytest.approx(rate / one["gemm_gflops"])
    assert one["plain_over_fast"] == pytest.approx(one["plain_s"] / one["fast_s"])
    assert "episode_s" in training.table(rows)


def test_dense_operations_by_hand():
    """Two users with 3 and 5 rows, one base station with 4, the centre with 2; 10 slots."""
    config = TrainConfig(
        env={"num_users": 2, "num_bs": 1, "frame_slots": 10, "frames": 1, "migration_slots": 0},
        hidden_sizes=(7,), critic="shared",
    )  # fmt: skip
    found = training.dense_flop(config, [3, 5, 4, 2])
    env = EnvConfig(num_users=2, num_bs=1)
    expected = 0
    for inputs, outputs, rows in (
        (user_layout(env).size, 2, 3 + 5), (station_layout(env).size, 8, 4),
        (centre_layout(env).size, 2, 2),
        (state_layout(env).size, 1, 2 * 10),
    ):  # fmt: skip
        expected += rows * (2 * 2 * inputs * 7 + 3 * 2 * 7 * outputs)
    assert found == expected


def test_counted_operations_are_those_executed():
    """Products that are replaced by look-ups are not counted."""
    case = training.Case("phases", users=3, sites=2, frames=1, epochs=1)
    methods = dict(vars(Agent))
    record = training.work(case, rounds=1)[0]
    assert 0 < record["executed_gflop"] < record["dense_gflop"]
    assert dict(vars(Agent)) == methods, "who is timed is left as he was"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--suite", "sites", "moon"], "suite = 'moon': must be one of phases"),
        (["--rounds", "0"], "rounds = 0: must be at least 1"),
        (["--rounds", "x"], "invalid int value"),
    ],
)
def test_training_refuses_bad_input(options, line, capsys, monkeypatch):
    monkeypatch.setattr(training, "measure", lambda *_: pytest.fail("was measured"))
    try:
        assert training.main(options) == 2
    except SystemExit as stop:
        assert stop.code == 2
    assert line in capsys.readouterr().err


def test_critics_are_compared_on_the_same_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(critics.store.paths, "store", lambda: tmp_path)
    rows = critics.measure("smoke", seeds=1, jobs=1)
    assert set(rows["critic"]) == {"shared", "per-agent"}
    assert set(rows["quantity"]) == {*critics.QUANTITIES, "episode_s"}
    assert len(rows) == 2 * 2 * len(set(rows["quantity"]))
    assert "reward_centre" in critics.table(rows)
