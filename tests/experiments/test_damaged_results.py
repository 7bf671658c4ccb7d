"""Whatever happens to a file of results, it is named and made anew, and never drawn."""

import json
import shutil

import pandas as pd
import pytest
from drawn import again, copied, known, made  # noqa: F401
from tiny import own_folders  # noqa: F401

from dtlib.experiments import committed, datasets, results
from dtlib.runtime.reading import Damaged
from dtlib.studies.measured_table import MeasuredTable


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
    with pytest.raises(Damaged, match="run `dtlib figure references --preset smoke` again"):
        kept.read("smoke")
    kept.write("smoke", jobs=1)
    assert (place / results.MANIFEST).read_bytes() == whole
    assert (place / "data.csv").read_text() == "x\n1\n"
