"""The committed results: complete, unaltered, and of the code as it stands."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dtlib import ConfigError, TrainConfig
from dtlib.experiments import committed, grids, results
from dtlib.experiments.keys import config_key
from dtlib.report import pictures
from dtlib.report.stories import STORIES
from dtlib.runtime import paths
from dtlib.settings.base import RESULTS_VERSION
from dtlib.settings.presets import PRESETS
from dtlib.verdicts import claims
from dtlib.verdicts.checks import source
from dtlib.verdicts.judgement import judge

KNOWN_VERSIONS = (RESULTS_VERSION, 5, 4)
"""Longer runs of versions before are shown until they are made anew."""
MANIFESTS = sorted(
    path
    for preset in PRESETS
    for name in grids.EXPERIMENTS
    for path in paths.results().glob(f"{preset}/{name}/manifest.json")
)


def test_there_are_results():
    """The quick preset of every figure, which notebooks and book draw."""
    known = {(path.parts[-3], path.parts[-2]) for path in MANIFESTS}
    quick = {name for name, experiment in grids.EXPERIMENTS.items() if "quick" in experiment.seeds}
    assert known >= {("quick", name) for name in quick}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_manifest(path):
    manifest = json.loads(path.read_text(encoding="utf-8"))
    preset, name = path.parts[-3:-1]
    for file, digest in manifest["files_sha256"].items():
        assert hashlib.sha256((path.parent / file).read_bytes()).hexdigest() == digest, file
    seeds = len({run["seed"] for run in manifest["runs"]})
    experiment = grids.find(name)
    runs = experiment.runs(preset, max(seeds, *experiment.seeds_of(preset).values()))
    version = manifest["results_version"]
    assert version in KNOWN_VERSIONS
    planned = {run.key: run for run in (replace(run, version=version) for run in runs)}
    for run in manifest["runs"]:
        config = TrainConfig.from_dict(run["config"])
        assert config_key(config, version) == run["sha256"], "stale results"
        assert run["run"] in planned, "results of other settings"
        assert run["episodes"] == planned[run["run"]].episodes
        assert run["variant"] == planned[run["run"]].variant
    if preset == "quick":
        assert len(manifest["runs"]) == len(experiment.runs(preset))
        assert version == RESULTS_VERSION or not experiment.of_the_paper
    assert set(manifest["files_sha256"]) == set(committed.tables_of(experiment))
    learnt = {run["run"]: run["episodes"] for run in manifest["runs"] if run["episodes"]}
    for file in manifest["files_sha256"]:
        table = pd.read_csv(path.parent / file)
        assert set(table["run"]) == {run["run"] for run in manifest["runs"]}
        assert (table["variant"] == [planned[key].variant for key in table["run"]]).all(), file
        for key, size in table.groupby("run").size().items():
            users = planned[key].config.env.num_users
            sizes = {"evaluation.csv": 20, "users.csv": users, "tuning.csv": users}
            curve = 1 if experiment.axes or experiment.target else learnt[key]
            assert size == (curve if file == "data.csv" else sizes[file]), (file, key)
    table = pd.read_csv(path.parent / "data.csv")
    metrics = ["reward_global", "reward_centre", "energy_per_user_slot_j", "failure_ratio_requests"]
    assert table[table["run"].isin(learnt)][metrics].notna().all().all()


SWEPT = [
    claim for claim in claims.CLAIMS if claim.figure >= "fig07" and "Beyond K" not in claim.sentence
]
"""Of Figs. 7-14; beyond K = 30, quick sweeps have but one point."""


@pytest.mark.parametrize("claim", SWEPT, ids=lambda claim: claim.sentence)
def test_quick_runs_have_the_trends_of_full_ones(claim):
    """Wherever the full results leave no doubt about a sign; but quick hardly trains MADDPG."""
    known = [source(claim.figure, preset) for preset in ("companion", "quick")]
    if known[0] is None:
        pytest.skip("no full results of this figure are committed yet")
    full, quick = map(claim.check, known)
    finding = judge([full])[0]
    one = [finding.part]
    each = {"reproduced": full.parts, "reproduced in part": one, "contradicted": one}
    tried = {part.name: part.values for part in quick.parts if "maddpg" not in part.learners}
    for part in each.get(finding.verdict, ()):
        if part.name in tried:
            assert np.sign(np.mean(tried[part.name])) == np.sign(np.mean(part.values)), part.name


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_nothing_of_one_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not any(word in text for word in ("/home/", "/root/", "/tmp/", "hostname"))


DRAWN = [path for path in MANIFESTS if path.parent.name in STORIES]


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_the_books_pictures_are_of_these_results(path, tmp_path):
    """Drawn again from the committed table, the picture is the committed one, byte for byte."""
    preset, name = path.parts[-3:-1]
    data = results.read(path.parent, "data.csv")
    drawn = {path.suffix: path for path in pictures.save(name, data, tmp_path)}
    known = paths.pictures() / preset / f"{name}.svg"
    same = drawn[".svg"].read_bytes() == known.read_bytes()  # no diff of ten thousand lines
    assert same, f"{known.name} is not drawn from these data: run `dtlib figure`"
    assert known.with_suffix(".png").is_file()


@pytest.mark.parametrize(
    ("metric", "sign"),
    [
        ("reward_global", 1), ("reward_centre", 1), ("failure_ratio_requests", -1),
        ("energy_per_user_slot_j", -1),
    ],
)  # fmt: skip
def test_it_learns(metric, sign):
    """Beta-HAPPO: the last tenth of every seed is better than the first of any."""
    table = pd.read_csv(paths.results() / "quick" / "fig04_06" / "data.csv")
    runs = table[table["algorithm"] == "beta-happo"].sort_values("x").groupby("seed")[metric]
    tenth = len(table["x"].unique()) // 10
    first, last = (
        sign * part.groupby(table["seed"]).mean() for part in (runs.head(tenth), runs.tail(tenth))
    )
    assert len(first) >= 2
    assert last.min() > first.max()


BENCHMARKS = sorted(paths.results().glob("benchmarks/*/manifest.json"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.parent.name)
def test_benchmark(path):
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert manifest["benchmark"] == f"benchmarks.{path.parent.name}"
    assert {"python", "torch", "numpy"} <= manifest["packages"].keys()
    assert not any(word in path.read_text() for word in ("/home/", "/root/", "/tmp/", "hostname"))
    table = pd.read_csv(path.parent / "data.csv")
    assert len(table) and table.select_dtypes("number").notna().any().all()


def test_every_benchmark_has_results():
    names = {"critics", "episode", "harl", "peer", "training"}
    assert {path.parent.name for path in BENCHMARKS} == names


def test_the_fullest_rows_are_those_of_the_first_preset_that_has_any():
    found = committed.fullest("fig07", "smoke", "quick", "companion")
    pd.testing.assert_frame_equal(
        found, results.read(paths.results() / "quick" / "fig07_08", "data.csv"), check_exact=True
    )
    with pytest.raises(ConfigError, match="published: no rows are committed for smoke or quick"):
        committed.fullest("published", "smoke", "quick")
