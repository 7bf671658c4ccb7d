"""The benchmark of whole episodes against stepping, on a tiny network."""

import hashlib
import json
import subprocess
import sys

import pandas as pd
import pytest
import torch

from dtlib import ConfigError, EnvConfig, TrainConfig


@pytest.fixture
def episode(request, monkeypatch):
    monkeypatch.syspath_prepend(str(request.config.rootpath))
    from benchmarks import episode

    return episode


def test_measures_every_quantity(episode):
    config = TrainConfig.from_preset("smoke", env={"frames": 30, "num_users": 3, "num_bs": 2})
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


def test_table_names_every_quantity(episode):
    text = episode.table(episode.measure(TrainConfig.from_preset("smoke"), rounds=1, steps=5))
    assert all(meaning in text for meaning in episode.MEANING.values())


def test_writes_tidy_data_and_manifest(episode, request, tmp_path, capsys):
    out = tmp_path / "results"
    options = ["--preset", "smoke", "--rounds", "1", "--steps", "5", "--out", str(out)]
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
    assert config == TrainConfig.from_preset("smoke")
    assert notes["threads"] == 1 and "torch" in notes["packages"]
    assert str(tmp_path) not in text and str(request.config.rootpath) not in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--preset", "huge"], "bench: preset = 'huge': must be one of smoke, quick, paper"),
        (["--rounds", "0"], "bench: rounds = 0: must be at least 1"),
        (["--steps", "0"], "bench: steps = 0: must be at least 1"),
        (["--steps", "few"], "bench: argument --steps: invalid int value: 'few'"),
        (["--fast"], "bench: unrecognized arguments: --fast"),
    ],
)
def test_refuses_bad_options_in_one_line(episode, capsys, options, line):
    try:
        code = episode.main(["--preset", "smoke", *options])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert capsys.readouterr().err == line + "\n"


def test_refuses_foreign_folders_before_measuring(episode, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(episode, "measure", lambda *_: pytest.fail("measured"))
    (tmp_path / "notes.txt").write_text("mine")
    assert episode.main(["--out", str(tmp_path)]) == 2
    assert "is not empty and holds no result" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert episode.main(["--out", str(tmp_path / "notes.txt")]) == 2
    assert "is a file; the output must be a folder" in capsys.readouterr().err


def test_refuses_episodes_too_short_to_time(episode):
    env = EnvConfig(num_users=1, num_bs=1, frames=1, frame_slots=2, migration_slots=0)
    with pytest.raises(ConfigError, match="frames·frame_slots = 2: must be at least 3"):
        episode.measure(TrainConfig(env=env))
