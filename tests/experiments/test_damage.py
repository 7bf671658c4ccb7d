"""Whatever happens to a file of store or results, it is named and made anew, and never drawn."""

import errno
import json
import os
import shutil
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
from processes import start
from tiny import CURVES, ONE, SMALL, own_folders, trained  # noqa: F401

from dtlib import ConfigError, TrainConfig
from dtlib.experiments import (
    committed,
    datasets,
    grids,
    measurements,
    provenance,
    results,
    runner,
    sealed,
    status,
    store,
)
from dtlib.experiments.experiment import PlannedRun
from dtlib.experiments.runner import Effort
from dtlib.runtime import paths, reading
from dtlib.runtime.errors import FileError
from dtlib.runtime.reading import Damaged
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training import evaluation, run_folder
from dtlib.training.run_folder import CHECKPOINT, CONFIG, HISTORY

TINY = TrainConfig.from_preset("smoke", episodes=3, env={"num_users": 3, "num_bs": 2})
CURVE = replace(ONE, name="curve", axes={}, seeds={"smoke": 2})
ALONE = Effort(jobs=1)


@pytest.fixture(scope="module", autouse=True)
def known():
    """A commit, and worlds of few frames: what is harmed is measured anew in nearly every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(grids.EXPERIMENTS, "curve", CURVE)
        patch.setattr(provenance, "_commit", lambda: "abc")
        patch.setattr(evaluation, "EVALUATION_FRAMES", 5)
        yield


@pytest.fixture(scope="module")
def made(known, tmp_path_factory):
    """A store and the results of two runs."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DTLIB_STORE", str(place / "store"))
        patch.setattr(paths, "results", lambda: place / "results")
        datasets.write_experiment(CURVE, "smoke", effort=ALONE)
    return place


@pytest.fixture
def drawn(made, tmp_path):
    """A copy of them below the test's folder; gives the bytes of the tables."""
    for name in ("store", "results"):
        shutil.copytree(made / name, tmp_path / name)
    return tables()


def tables():
    folder = results.folder_of("smoke", "curve")
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def folders():
    return [store.folder(planned.config) for planned in CURVE.runs("smoke")]


def again(**more):
    datasets.write_experiment(CURVE, "smoke", effort=ALONE, **more)
    return tables()


# --- the store ----------------------------------------------------------------------------------


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


# --- results ------------------------------------------------------------------------------------


def altered(change):
    def harm(folder):
        path = folder / results.MANIFEST
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return harm


def without(*names):
    return altered(lambda found: {k: v for k, v in found.items() if k not in names})


def with_runs(change):
    return altered(
        lambda found: (
            {k: v for k, v in found.items() if k != results.CHECKSUM}
            | {"runs": [change(run) for run in found["runs"]]}
        )
    )


MANIFESTS = {
    "a digit of a checksum": altered(
        lambda found: found | {"files_sha256": found["files_sha256"] | {"data.csv": "0" * 64}}
    ),
    "a digit of a fact": altered(lambda found: found | {"threads_per_run": 2}),
    "another key": altered(lambda found: found | {"key": "0" * 64}),
    "a list": altered(lambda found: [found]),
    "a number": altered(lambda found: 3),
    "nested": lambda folder: (folder / results.MANIFEST).write_text("[" * 100_000),
    "nested inside": altered(lambda found: found | {"runs": [[[[[]]]]]}),
    "emptied": lambda folder: (folder / results.MANIFEST).write_text(""),
    "not UTF-8": lambda folder: (folder / results.MANIFEST).write_bytes(b"\xff"),
    "missing": lambda folder: (folder / results.MANIFEST).unlink(),
    "no key": without("key", results.CHECKSUM),
    "no checksums": without("files_sha256", results.CHECKSUM),
    "runs without names": with_runs(lambda run: {k: v for k, v in run.items() if k != "run"}),
    "runs without seeds": with_runs(lambda run: {k: v for k, v in run.items() if k != "seed"}),
    "a billion seeds": with_runs(lambda run: run | {"seed": 10**9}),
    "runs of text": with_runs(lambda run: "run"),
    "a killed write": lambda folder: (folder / "data.csv").write_text("newer\n1\n"),
    "a table that is cut": lambda folder: (folder / "data.csv").write_text(""),
    "a table not UTF-8": lambda folder: (folder / "data.csv").write_bytes(b"\xff"),
    "of another experiment": altered(lambda found: found | {"experiment": "one"}),
}


@pytest.mark.parametrize("harm", MANIFESTS.values(), ids=MANIFESTS)
def test_results_heal(drawn, harm):
    """Reading them is one line or nothing; with rows to be kept, too; writing them mends all."""
    folder = results.folder_of("smoke", "curve")
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    harm(folder)
    for read in (lambda: datasets.data("curve", "smoke"), lambda: again(keep=True)):
        try:
            read()
        except Damaged as error:
            assert str(error).startswith(f"{folder}/") and "\n" not in str(error)
    again()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


@pytest.mark.parametrize("content", [None, "{"])
def test_a_manifest_is_told_from_its_table(drawn, content):
    path = results.folder_of("smoke", "curve") / results.MANIFEST
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(Damaged, match="data.csv: its manifest.json is missing or not its own"):
        results.read(path.parent, results.DATA)


@pytest.mark.parametrize(("preset", "name"), [("smoke", "one"), ("quick", "curve")])
def test_folders_of_results_exchanged_are_not_read(drawn, preset, name):
    shutil.copytree(results.folder_of("smoke", "curve"), results.folder_of(preset, name))
    said = f"{preset}/{name}/data.csv: its manifest.json is missing or not its own"
    with pytest.raises(Damaged, match=said):
        committed.fullest(name, preset)


def test_manifests_of_earlier_versions_have_no_seal_and_stay_as_they_are(drawn):
    path = results.folder_of("smoke", "curve") / results.MANIFEST
    without(results.CHECKSUM)(path.parent)
    old = path.read_bytes()
    again()
    assert path.read_bytes() == old


def test_what_is_made_once_heals():
    place, table = results.folder_of("smoke", "references"), pd.DataFrame({"x": [1]})
    kept = MeasuredTable(
        name="references",
        key=lambda *_: "key",
        tasks=lambda _: [()],
        rows=lambda: table,
        facts=lambda _: {},
    )
    kept.write("smoke", jobs=1)
    whole = (place / results.MANIFEST).read_bytes()
    (place / "data.csv").write_text("x\n2\n")
    with pytest.raises(Damaged, match="run `dtlib references --preset smoke` again"):
        kept.read("smoke")
    kept.write("smoke", jobs=1)
    assert (place / results.MANIFEST).read_bytes() == whole
    assert (place / "data.csv").read_text() == "x\n1\n"
