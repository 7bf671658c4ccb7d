"""The folder of a run: read back equal; files that are damaged or not ours are refused."""

import json
import os
import shutil

import pandas as pd
import pytest
import torch
from tiny import TINY

from dtlib import ConfigError, TrainConfig, load_run, sample_world, train
from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.runtime.errors import FileError
from dtlib.runtime.reading import Damaged
from dtlib.training import run_folder
from dtlib.training.loop import Trainer
from dtlib.training.run_folder import CHECKPOINT, CONFIG, HISTORY, episodes_in


def test_load(tmp_path):
    run, loaded = train(TINY, tmp_path), load_run(tmp_path)
    assert loaded.config == TINY
    world = sample_world(TINY.env, 5)
    assert torch.equal(run.policies.act(world).power, loaded.policies.act(world).power)


def test_folder_of_another_run(tmp_path):
    train(TINY.replace(episodes=1), tmp_path)
    with pytest.raises(FileError, match="holds a run with another seed: 0, not 3"):
        train(TINY.replace(episodes=1, seed=3), tmp_path)
    with pytest.raises(FileError, match=r"env\.num_users: 4, not 5"):
        train(TINY.replace(episodes=1, env={"num_users": 5}), tmp_path)


def test_settings_that_no_episode_followed_give_way(tmp_path):
    with pytest.raises(ConfigError):
        train(TINY.replace(learning_rate=1e30), tmp_path)
    assert os.listdir(tmp_path) == [CONFIG]
    assert len(train(TINY.replace(episodes=1), tmp_path).history) == 1
    assert load_run(tmp_path).config == TINY.replace(episodes=1)
    (tmp_path / CHECKPOINT).unlink()
    with pytest.raises(FileError, match="holds a run with another episodes: 1, not 4"):
        train(TINY, tmp_path)


@pytest.mark.parametrize("value", [None, 3, b"run"])
def test_what_is_no_path_is_told(value):
    with pytest.raises(ConfigError, match="^folder = .*: must be a path, such as 'runs/mine'$"):
        load_run(value)
    if value is not None:
        with pytest.raises(ConfigError, match="^out = .*: must be a path"):
            train(TINY, value)


def test_foreign_folder(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FileError, match="is not empty and holds no run"):
        train(TINY, tmp_path)
    with pytest.raises(FileError, match="is a file"):
        train(TINY, tmp_path / "thesis.tex")
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(FileError, match=r"holds no run \(config.json is missing\)"):
        load_run(tmp_path)


def test_checkpoint_of_another_run(tmp_path):
    for seed in (0, 1):
        train(TINY.replace(seed=seed, episodes=1), tmp_path / str(seed))
    os.replace(tmp_path / "1" / CHECKPOINT, tmp_path / "0" / CHECKPOINT)
    with pytest.raises(FileError, match="its settings are not those"):
        load_run(tmp_path / "0")


@pytest.mark.parametrize("harm", ["missing", "shape"])
def test_checkpoint_with_wrong_arrays(tmp_path, harm):
    config = TINY.replace(episodes=1)
    train(config, tmp_path)
    arrays, rest = load_checkpoint(tmp_path / CHECKPOINT)
    name = "actors.stations.weight0"
    if harm == "missing":
        del arrays[name]
    else:
        arrays[name] = arrays[name][:1]
    save_checkpoint(tmp_path / CHECKPOINT, arrays, rest)
    with pytest.raises(FileError, match=name):
        load_run(tmp_path)


def test_settings_file_that_is_not_ours(tmp_path):
    train(TINY.replace(episodes=1), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["env"]["num_users"] = -3
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(FileError, match=r"not a run's settings \(env.num_users = -3: "):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(FileError, match="not a run's settings"):
        load_run(tmp_path)


# --- what is harmed -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder of two episodes."""
    folder = tmp_path_factory.mktemp("sound") / "run"
    train(TINY, folder, episodes=2)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "run")


HISTORIES = {
    "cut": lambda content: content[:-30],
    "emptied": lambda content: b"",
    "a flipped bit": lambda content: content.replace(b"0", b"1", 1),
    "two rows less": lambda content: b"".join(content.splitlines(True)[:-2]),
    "a row more": lambda content: content + content.splitlines(True)[-1],
    "not UTF-8": lambda content: b"\xff" + content,
}


@pytest.mark.parametrize("harm", HISTORIES.values(), ids=HISTORIES)
def test_a_history_that_is_not_the_checkpoints_is_written_anew(folder, harm, capsys):
    path = folder / HISTORY
    content = path.read_bytes()
    path.write_bytes(harm(content))
    assert len(load_run(folder).history) == 2 == episodes_in(folder)
    assert path.read_bytes() == content
    assert capsys.readouterr().err.splitlines() == [
        f"dtlib: {path}: is not what {CHECKPOINT} has; written anew"
    ]


def test_a_history_that_lacks_the_last_episode_is_of_a_run_that_was_stopped(folder, capsys):
    path = folder / HISTORY
    content = path.read_bytes()
    path.write_bytes(b"".join(content.splitlines(True)[:-1]))
    load_run(folder)
    assert path.read_bytes() == content and capsys.readouterr().err == ""


def test_who_lags_behind_takes_nothing_back(folder):
    """Two processes train into one folder."""
    behind = Trainer([TINY])
    behind.episode()
    whole = (folder / CHECKPOINT).read_bytes(), (folder / HISTORY).read_bytes()
    run_folder.save(folder, behind, 0)
    assert ((folder / CHECKPOINT).read_bytes(), (folder / HISTORY).read_bytes()) == whole


def test_who_reads_leaves_the_history_of_a_run_that_goes_on(folder, capsys, monkeypatch):
    load = run_folder.load_checkpoint

    def went_on(path):
        found = load(path)
        monkeypatch.undo()
        train(TINY, folder, episodes=3)
        return found

    monkeypatch.setattr(run_folder, "load_checkpoint", went_on)
    assert len(load_run(folder).history) == 2
    assert len(pd.read_csv(folder / HISTORY)) == 3 and capsys.readouterr().err == ""


def test_who_trains_is_told_what_to_do_with_a_damaged_checkpoint(folder):
    path = folder / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FileError, match=r"\); remove it to begin anew, or choose another$"):
        train(TINY, folder)
    with pytest.raises(FileError, match=r"\)$"):
        load_run(folder)


def test_a_history_that_is_missing_is_written_and_one_that_cannot_be_is_named(folder, capsys):
    path = folder / HISTORY
    content = path.read_bytes()
    path.unlink()
    load_run(folder)
    assert path.read_bytes() == content and not capsys.readouterr().err
    path.unlink()
    path.mkdir()
    assert len(load_run(folder).history) == 2
    assert capsys.readouterr().err.count("\n") == 1


def row(**changes):
    return lambda rows: [rows[0], rows[1] | changes]


ROWS = {
    "none": lambda rows: [],
    "no list": lambda rows: 3,
    "too many": lambda rows: [rows[0] | {"episode": number} for number in range(5)],
    "of other columns": lambda rows: [{"episode": 0}, {"episode": 1}],
    "no numbers": row(reward_global="0"),
    "truths": row(reward_global=True),
    "a list in a row": row(reward_global=[1.0]),
    "twice": lambda rows: [rows[0], rows[0]],
    "lists": lambda rows: [[1], [2]],
}


@pytest.mark.parametrize("harm", ROWS.values(), ids=ROWS)
def test_a_checkpoint_with_rows_that_are_none(folder, harm):
    path = folder / CHECKPOINT
    arrays, rest = load_checkpoint(path)
    save_checkpoint(path, arrays, rest | {"rows": harm(rest["rows"])})
    with pytest.raises(Damaged, match=f"^{path}: [^\n]*$"):
        load_run(folder)


@pytest.mark.parametrize(
    "more",
    [
        {"extra": torch.zeros(3)},
        {"queue": torch.zeros(1, dtype=torch.float64)},
        {"queue": torch.zeros(1, 4)},
        {"actors.stations.weight0": torch.tensor(float("nan"))},
    ],
)
def test_a_checkpoint_with_arrays_that_are_none(folder, more):
    path = folder / CHECKPOINT
    arrays, rest = load_checkpoint(path)
    save_checkpoint(path, arrays | more, rest)
    with pytest.raises(Damaged, match=f"^{path}: array '{min(more)}' [^\n]*$"):
        load_run(folder)


FORGED_REPLAY = {
    "no such base station": ("replay.association", lambda array: array + TINY.env.num_bs),
    "one before the first": ("replay.choice", lambda array: array - array.max() - 1),
    "a single number": ("replay.linked", lambda array: array[0]),
}


@pytest.mark.parametrize(("name", "forge"), FORGED_REPLAY.values(), ids=FORGED_REPLAY)
def test_a_replay_buffer_that_is_none(tmp_path, name, forge):
    config = TINY.replace(algorithm="maddpg", replay_slots=200, batch_size=8)
    train(config, tmp_path, episodes=1)
    arrays, rest = load_checkpoint(tmp_path / CHECKPOINT)
    save_checkpoint(tmp_path / CHECKPOINT, arrays | {name: forge(arrays[name])}, rest)
    with pytest.raises(Damaged, match="safetensors: array '[^\n]*$"):
        load_run(tmp_path)


@pytest.mark.parametrize("harm", ["missing", "emptied", "cut", "of another run"])
def test_settings_that_are_lost_are_taken_from_the_checkpoint(folder, harm, capsys):
    path = folder / "config.json"
    content = path.read_bytes()
    if harm == "of another run":
        path.write_text(json.dumps(TINY.replace(seed=1).model_dump(mode="json")))
        with pytest.raises(Damaged, match="another seed: 1, not 0; choose a new folder$"):
            train(TINY, folder)
        return
    path.write_bytes(content[: len(content) // 2 if harm == "cut" else 0])
    if harm == "missing":
        path.unlink()
    assert len(train(TINY, folder).history) == 4
    assert path.read_bytes() == content
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"dtlib: {path}: ") and "written anew" in line
    path.write_bytes(b"")
    with pytest.raises(Damaged, match="not a run's settings"):
        train(TINY.replace(seed=1), folder)


def test_a_folder_of_an_earlier_version_is_taken_up(tmp_path):
    """It lacks fields that have the value of the code of then; what it has stays as it is."""
    config = TrainConfig.from_preset("smoke", "work-conserving", episodes=2, env={"frames": 2})
    train(config, tmp_path, episodes=1)
    arrays, rest = load_checkpoint(tmp_path / CHECKPOINT)
    before = {"config": json.loads(config.canonical_json())}
    assert before["config"] != rest["config"] == config.json_values()
    save_checkpoint(tmp_path / CHECKPOINT, arrays, rest | before)
    (tmp_path / CONFIG).unlink()
    assert len(train(config, tmp_path, episodes=1).history) == 1
    (tmp_path / CONFIG).write_text(json.dumps(before["config"]))
    assert len(load_run(tmp_path).history) == 1
    assert len(train(config, tmp_path).history) == 2


def test_episodes_are_counted_in_the_checkpoint(folder):
    assert episodes_in(folder) == 2
    (folder / HISTORY).write_text("")
    assert episodes_in(folder) == 2
    (folder / CHECKPOINT).write_bytes(b"")
    assert episodes_in(folder) == 0
    (folder / CHECKPOINT).unlink()
    assert episodes_in(folder) == 0
