"""Committed rows made again: what is the same is said to be, what is not is named."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from said import call
from tiny import ONE, SMALL, own_folders  # noqa: F401

from dtlib import ConfigError
from dtlib.experiments import datasets, grids, results
from dtlib.experiments.experiment import PlannedRun
from dtlib.experiments.runner import Effort
from dtlib.experiments.verify import chosen, verify
from dtlib.runtime import paths
from dtlib.runtime.reading import Damaged, sha256

ALONE, CURVE = Effort(jobs=1), replace(ONE, axes={})
CURVE_TABLES = ("data.csv", "evaluation.csv", "users.csv", "tuning.csv")


def forge(folder: Path, name: str, old: str, new: str) -> None:
    """Change a committed table, and its checksum with it."""
    text = (folder / name).read_text()
    assert old in text
    text = text.replace(old, new, 1)
    (folder / name).write_text(text)
    state(folder, lambda manifest: manifest["files_sha256"].update({name: sha256(text)}))


def state(folder: Path, change) -> None:
    """Change what a manifest states."""
    manifest = json.loads((folder / results.MANIFEST).read_text())
    change(manifest)
    manifest.pop(results.CHECKSUM, None)
    (folder / results.MANIFEST).write_text(json.dumps(manifest))


def test_the_same_bytes_and_another_digit(monkeypatch):
    folder = datasets.write_experiment(ONE, "smoke", effort=ALONE)
    store = list(paths.store().rglob("*.csv"))
    found = verify(ONE, "smoke", count=0, effort=ALONE)
    assert len(found) == len(ONE.runs("smoke")) and set(found["differs"]) == {""}
    assert list(paths.store().rglob("*.csv")) == store, "it has a store of its own"

    energy = results.read(folder, "data.csv")[results.ENERGY][0]
    forge(folder, "data.csv", f"{energy:.7g}", f"{energy * 1.00001:.7g}")
    found = verify(ONE, "smoke", count=1, effort=ALONE)
    assert found["differs"][0].startswith(f"data.csv: {results.ENERGY} is ")

    command = ["verify", "one", "--preset", "smoke", "--jobs", "1", "--quiet"]
    answer = call(*command)
    assert answer.exit_code == 1
    assert "0 of 1 runs or parts are the same in every byte" in answer.output
    forge(folder, "data.csv", f"{energy * 1.00001:.7g}", f"{energy:.7g}")
    answer = call(*command)
    assert answer.exit_code == 0
    assert "1 of 1 runs or parts are the same in every byte" in answer.output


def of_row(number, cell):
    """Change the last cell of one line."""
    return lambda lines: [
        ",".join([*line.split(",")[:-1], cell]) if place == number else line
        for place, line in enumerate(lines)
    ]


OTHERS = [
    *((name, of_row(2, "-77"), "{} is {}, not -77{} (row 1)") for name in CURVE_TABLES),
    ("data.csv", of_row(1, ""), "{} is {}, not nan (row 0)"),
    ("data.csv", lambda lines: lines[:-1], "{} rows, not {}"),
    ("users.csv", lambda lines: [line + ",1" for line in lines], "other columns"),
]


@pytest.mark.parametrize(("name", "change", "said"), OTHERS)
def test_whatever_differs_is_named(name, change, said, monkeypatch):
    curves = replace(ONE, axes={})
    monkeypatch.setitem(grids.EXPERIMENTS, "one", curves)
    folder = datasets.write_experiment(curves, "smoke", effort=ALONE)
    text = (folder / name).read_text()
    forge(folder, name, text, "\n".join(change(text.splitlines())) + "\n")
    (differs,) = verify(curves, "smoke", count=1, effort=ALONE)["differs"]
    pattern = ".*".join(map(re.escape, f"{name}: {said}".split("{}")))
    assert re.fullmatch(pattern, differs), differs


def test_what_older_code_gave_is_not_made_again():
    folder = datasets.write_experiment(ONE, "smoke", effort=ALONE)

    def older(manifest):
        keys = {run.key: replace(run, version=5).key for run in ONE.runs("smoke")}
        manifest["results_version"] = 5
        for run in manifest["runs"]:
            run["run"] = keys[run["run"]]

    state(folder, older)
    with pytest.raises(ConfigError, match="is of results version 5, the code gives version 6"):
        verify(ONE, "smoke", effort=ALONE)


def test_one_algorithm_without_what_only_the_other_measures(monkeypatch):
    variants = {name: SMALL | {"algorithm": name} for name in ("beta-happo", "maddpg")}
    two = grids.Experiment("one", "", variants, seeds={"smoke": 1})
    monkeypatch.setitem(grids.EXPERIMENTS, "one", two)
    table = results.read(datasets.write_experiment(two, "smoke", effort=ALONE), "data.csv")
    assert any(own.isna().all().any() for _, own in table.groupby("run"))
    assert verify(two, "smoke", count=1, effort=ALONE)["differs"].tolist() == [""]


def test_a_key_that_reads_as_a_number_is_none(monkeypatch):
    """As 369407e142235237 of Figs. 13 and 14: as a number it is infinite."""
    key = PlannedRun.key.fget
    number = property(lambda run: "369407e142235237" if run.config.seed == 0 else key(run))
    monkeypatch.setattr(PlannedRun, "key", number)
    for seeds in (1, 2):
        planned = replace(CURVE, seeds={"smoke": seeds})
        monkeypatch.setitem(grids.EXPERIMENTS, "one", planned)
        datasets.write_experiment(planned, "smoke", effort=ALONE)
        found = verify(planned, "smoke", count=1, effort=ALONE).iloc[0]
        assert found["seed"] == 0 and found["rows"] and not found["differs"], found["differs"]


def test_nothing_committed_is_said():
    with pytest.raises(ConfigError, match="one: no run of preset 'smoke' is committed"):
        verify(ONE, "smoke", effort=ALONE)


def test_a_manifest_that_is_cut_is_no_empty_folder():
    folder = datasets.write_experiment(ONE, "smoke", effort=ALONE)
    (folder / results.MANIFEST).write_text("{")
    with pytest.raises(Damaged, match="data.csv: its manifest.json is missing or not its own"):
        verify(ONE, "smoke", effort=ALONE)


def test_each_algorithm_comes_before_any_comes_twice():
    runs = ONE.runs("smoke", 3)
    others = [replace(run, baseline="genie", episodes=0) for run in runs[:2]]
    first = chosen([*runs, *others], 2)
    assert [run.algorithm for run in first] == ["beta-happo", "genie"]
    assert len(chosen([*runs, *others], 0)) == len(runs) + 2


def test_the_cheapest_comes_first():
    run = ONE.runs("smoke", 1)[0]
    runs = [replace(run, episodes=episodes) for episodes in (3, 1, 2)]
    gaussian = run.config.replace(algorithm="gaussian-happo")
    found = chosen([replace(run, config=gaussian, episodes=9), *runs], 0)
    assert [of.episodes for of in found] == [1, 9, 2, 3]
