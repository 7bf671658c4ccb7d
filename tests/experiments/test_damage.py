"""Whatever happens to a file of the store, it is named and made anew, and never drawn."""

import errno
import os
import shutil
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
from drawn import ALONE, CURVE, again, copied, folders, known, made, tables  # noqa: F401
from processes import start
from tiny import own_folders, trained  # noqa: F401

from dtlib import ConfigError, TrainConfig
from dtlib.experiments import measurements, runner, sealed, status, store
from dtlib.experiments.experiment import PlannedRun
from dtlib.runtime import paths, reading
from dtlib.runtime.errors import FileError
from dtlib.runtime.reading import Damaged
from dtlib.training import run_folder
from dtlib.training.run_folder import CHECKPOINT, CONFIG, HISTORY

TINY = TrainConfig.from_preset("smoke", episodes=3, env={"num_users": 3, "num_bs": 2})


def test_a_history_behind_its_checkpoint_is_not_what_counts():
    """A kill between the two files of the last episode."""
    place = store.folder(TINY)
    store.get(TINY, 2)
    lagging = (place / HISTORY).read_bytes()
    store.get(TINY)
    (place / HISTORY).write_bytes(lagging)
    assert store.episodes_done(TINY) == 3
    planned = PlannedRun(variant="tiny", config=TINY, episodes=2, worlds=1)
    two = measurements.evaluation(planned, "held-out").worlds
    assert (place / "first-2" / CHECKPOINT).exists(), "not the weights of three episodes"
    three = measurements.evaluation(replace(planned, episodes=3), "held-out").worlds
    assert not two.equals(three)
    assert len(store.history(TINY, 3)) == 3
    assert len(pd.read_csv(place / HISTORY)) == 3


SWAPPED = ("2-held-out-2-worlds.csv", "2-held-out-2-users.csv", "2-tuning-2-users.csv")


@pytest.mark.parametrize("name", SWAPPED)
def test_tables_of_two_runs_exchanged_are_measured_anew(drawn, name, capsys):
    first, second = (folder / name for folder in folders())
    content = first.read_bytes(), second.read_bytes()
    assert content[0] != content[1]
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    assert again() == drawn
    assert (first.read_bytes(), second.read_bytes()) == content
    said = capsys.readouterr().err
    for path in (first, second):
        assert f"{path}: damaged; kept as {name}.damaged0, computed anew" in said


def test_a_table_under_another_ones_name_is_measured_anew(drawn, capsys):
    place = folders()[0]
    shutil.copy(place / "2-tuning-2-users.csv", place / "2-held-out-2-users.csv")
    assert again() == drawn and capsys.readouterr().err.count("damaged;") == 1


def test_baselines_exchanged_are_measured_anew(capsys):
    keys = ["a" * 64, "b" * 64]
    values = [pd.DataFrame({"x": [value]}) for value in (1, 2)]
    for key, value in zip(keys, values, strict=True):
        sealed.table("baselines", key, lambda value=value: value)
    one, two = (sealed.table_file("baselines", key) for key in keys)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    for key, value in zip(keys, values, strict=True):
        assert sealed.table("baselines", key, lambda value=value: value).equals(value)
    assert capsys.readouterr().err.count("damaged;") == 2


def test_calibrations_exchanged_are_measured_anew(capsys):
    configs = [TINY, TINY.replace(seed=1)]

    def bar(config):
        def measure(run):
            return [pd.DataFrame({"bar": [run.config.seed]})]

        (row,) = sealed.run_tables(config, 1, names=["calibrated-0.175"], measure=measure)
        return int(row["bar"][0])

    assert list(map(bar, configs)) == [0, 1]
    one, two = (sealed.run_table_file(config, 1, "calibrated-0.175") for config in configs)
    shutil.copy(one, two)
    assert list(map(bar, configs)) == [0, 1] and capsys.readouterr().err.count("damaged;") == 1


TABLE_HARMS = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "emptied": lambda path: path.write_bytes(b""),
    "a digit": lambda path: path.write_bytes(path.read_bytes().replace(b"0.", b"1.", 1)),
    "not UTF-8": lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}
FILES = ("2-held-out-2-worlds.csv", CHECKPOINT)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", TABLE_HARMS.values(), ids=TABLE_HARMS)
def test_a_harmed_file_is_set_aside_and_made_anew(drawn, name, harm, capsys):
    harm(folders()[0] / name)
    found = again()
    assert found.keys() == drawn.keys() and found == drawn
    assert capsys.readouterr().err.count("damaged; kept as") == 1


FOLDER_HARMS = {
    "a folder for settings": lambda place: (
        (place / CONFIG).unlink(),
        (place / CONFIG).mkdir(),
    ),
    "settings of another run": lambda place: shutil.copy(folders()[1] / CONFIG, place / CONFIG),
    "a foreign file and no run": lambda place: (
        shutil.rmtree(place),
        place.mkdir(),
        (place / "thesis.tex").touch(),
    ),
    "an error and no run": lambda place: (
        shutil.rmtree(place),
        place.mkdir(),
        (place / "error.txt").write_text("no room"),
    ),
    "a file": lambda place: (shutil.rmtree(place), place.touch()),
    "another run": lambda place: (shutil.rmtree(place), shutil.copytree(folders()[1], place)),
}


@pytest.mark.parametrize("harm", FOLDER_HARMS.values(), ids=FOLDER_HARMS)
def test_a_folder_that_is_not_the_runs_does_not_block_it(drawn, harm, capsys):
    place = folders()[0]
    harm(place)
    assert again() == drawn
    assert f"{place}: damaged; kept as {place.name}.damaged0" in capsys.readouterr().err


@pytest.mark.parametrize("name", [CONFIG, HISTORY, "origin.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"run": 3}', b"[" * 100_000, None])
def test_what_the_checkpoint_knows_is_not_lost(drawn, name, content, capsys):
    path, stamps = folders()[0] / name, trained()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert again() == drawn and trained() == stamps
    assert status.status([CURVE], "smoke").iloc[0]["done"] == 2
    assert capsys.readouterr().err.count("\n") <= 1


def test_an_error_is_left_only_in_a_run(monkeypatch):
    def fails(*_, **__):
        raise FileError("no room")

    monkeypatch.setattr(store, "claim", fails)
    store.folder(CURVE.runs("smoke")[0].config).mkdir(parents=True)
    with pytest.raises(ConfigError, match="FileError: no room"):
        runner.finish(CURVE.runs("smoke"), ALONE)
    assert not list(paths.store().rglob("error.txt"))


def test_a_file_that_may_not_be_read_stays_where_it_is(drawn, monkeypatch):
    path, opens = folders()[0] / "2-held-out-2-users.csv", os.open

    def refuse(name, *others, **more):
        if str(name) == str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opens(name, *others, **more)

    monkeypatch.setattr(reading.os, "open", refuse)
    with pytest.raises(FileError, match=f"^{path}: cannot be read .Permission denied.$"):
        again()
    assert path.exists() and not list(paths.store().rglob("*damaged*"))


def test_a_complete_store_may_be_read_only(drawn, monkeypatch):
    """Neither a lock nor anything else is written."""
    before = {path: path.stat().st_mtime_ns for path in paths.store().rglob("*")}
    for place in (store, sealed):
        monkeypatch.setattr(place, "locked", lambda *_: pytest.fail("a lock was taken"))
    monkeypatch.setattr(run_folder, "write_text", lambda *_: pytest.fail("written"))
    assert again() == drawn
    sealed.table_file("baselines", "a" * 64).parent.mkdir()
    table = pd.DataFrame({"x": [1]})
    sealed.write_table(sealed.table_file("baselines", "a" * 64), "a" * 64, table)
    assert sealed.table("baselines", "a" * 64, lambda: pytest.fail("computed")).equals(table)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items() if path.is_file())


def race(folder, said):
    """Read damaged tables, at the same time as another process does."""
    with open(folder / said, "w") as sys.stderr:
        while not (folder / "go").exists():
            pass
        for number in range(40):
            sealed.read_table(folder / f"{number}.csv", "key")


def test_a_link_to_nothing_is_written_over(tmp_path):
    path = sealed.table_file("kind", "key")
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "nothing")
    table = pd.DataFrame({"x": [1]})
    assert sealed.table("kind", "key", lambda: table).equals(table)
    assert sealed.table("kind", "key", lambda: 1 / 0).equals(table)


def test_a_seal_says_whose_table_it_is(tmp_path):
    path, text, table = tmp_path / "x.csv", "x,y\n1,2\n", pd.DataFrame({"x": [1], "y": [2]})
    sealed.write_table(path, "mine", table)
    assert sealed._checked_table(path, "mine").equals(table)
    whole = path.read_text()
    for other in ("", whole[:-1], whole + "\n", whole[1:], whole.replace("1", "3", 1), text):
        path.write_text(other)
        with pytest.raises(Damaged, match="its seal does not fit"):
            sealed._checked_table(path, "mine")
    path.write_text(whole)
    with pytest.raises(Damaged, match="its seal does not fit"):
        sealed._checked_table(path, "yours")


def test_two_processes_that_see_a_damaged_file_set_it_aside_once(tmp_path):
    for number in range(40):
        (tmp_path / f"{number}.csv").write_text("damaged")
    racers = [start(race, tmp_path, said) for said in ("one.txt", "two.txt")]
    while len(list(tmp_path.glob("*.txt"))) < 2 and all(racer.is_alive() for racer in racers):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    for racer in racers:
        racer.join()
    said = "".join(path.read_text() for path in tmp_path.glob("*.txt"))
    assert [racer.exitcode for racer in racers] == [0, 0], said
    assert said.count("damaged; kept as") == said.count("\n") == 40
