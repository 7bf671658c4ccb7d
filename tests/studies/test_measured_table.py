"""Tables of no runs: what is committed is measured again, and a digit that differs is named."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from said import call

from dtlib import ConfigError
from dtlib.experiments import results
from dtlib.runtime import paths
from dtlib.studies import tables
from dtlib.studies.measured_table import MeasuredTable

STORES: list[Path] = []


def measured(name: str, count: int) -> pd.DataFrame:
    """Return a part; the last one has a column more, so that others have no number there."""
    STORES.append(paths.store())
    last = {"limit_w": [0.25] * count} if name == "c" else {}
    return pd.DataFrame({"rule": [name] * count, "x": range(count), "energy_j": 1 / 3} | last)


TABLE = MeasuredTable(
    name="parts",
    key=lambda preset, version: f"{preset} {version}",
    tasks=lambda preset: [("a", 1), ("b", 2), ("c", 1), ("d", 3)],
    rows=measured,
    facts=lambda preset: {},
)


@pytest.fixture(autouse=True)
def own_table(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    monkeypatch.setitem(tables.MEASURED, "parts", TABLE)
    STORES.clear()


def of_parts(*arguments):
    return call(*arguments, "parts", "--preset", "smoke")


@pytest.mark.parametrize(
    ("count", "parts"), [(1, ["a"]), (2, ["a", "c"]), (3, ["a", "b", "c"]), (0, [*"abcd"])]
)
def test_parts_are_measured_again(count, parts):
    TABLE.write("smoke", jobs=1)
    STORES.clear()
    found = TABLE.verify("smoke", count=count, jobs=1)
    assert found["variant"].tolist() == parts and set(found["differs"]) == {""}
    assert found["rows"].tolist() == [dict(TABLE.tasks("smoke"))[part] for part in parts]
    assert len(set(STORES)) == 1 and not STORES[0].exists(), "in a store of its own"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"energy_j": 0.33}, "data.csv: energy_j is 0.33, not 0.3333333 (row 1)"),
        ({"x": [0, 5]}, "data.csv: x is 5, not 0 (row 1)"),
        ({"limit_w": 1.0}, "data.csv: limit_w is 1, not  (row 1)"),
        ({"new": 1.0}, "data.csv: other columns"),
    ],
)
def test_what_differs_is_named(other, said):
    TABLE.write("smoke", jobs=1)
    changed = replace(TABLE, rows=lambda *task: measured(*task).assign(**other))
    found = replace(changed, tasks=lambda preset: [("b", 2)]).verify("smoke", jobs=1)
    assert found["differs"].tolist() == [said]


def test_what_is_not_there_or_of_older_code_is_said(monkeypatch):
    assert TABLE.state("smoke") == "missing"
    with pytest.raises(ConfigError, match="parts: no table of preset 'smoke' is committed"):
        TABLE.verify("smoke")
    monkeypatch.setattr("dtlib.experiments.provenance.RESULTS_VERSION", 5)
    results.write(
        results.folder_of("smoke", "parts"), TABLE.key("smoke", 5),
        tables={results.DATA: TABLE.measure("smoke", jobs=1)}, facts={"preset": "smoke"},
    )  # fmt: skip
    assert TABLE.state("smoke") == "committed, of version 5"
    with pytest.raises(ConfigError, match="parts: what is committed is of results version 5, the"):
        TABLE.verify("smoke")


def test_on_the_command_line():
    assert of_parts("status").output == "parts: missing\n"
    TABLE.write("smoke", jobs=1)
    assert of_parts("status").output == "parts: committed\n"
    answer = of_parts("verify", "--jobs", "1", "--runs", "0", "--quiet")
    assert answer.exit_code == 0, answer.output
    assert answer.output.endswith("4 of 4 runs or parts are the same in every byte\n")
    every = call("status", "--preset", "quick").output.splitlines()
    assert {line.split(":")[0] for line in every} >= set(tables.MEASURED)
    assert "mechanisms: preset = 'quick': must be one of smoke, companion" in every
