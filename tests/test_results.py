"""The committed results: complete, unaltered, and of the code as it stands."""

import hashlib
import json

import pandas as pd
import pytest

from dtlib import TrainConfig, experiments, paths, store

MANIFESTS = sorted(
    path
    for name in experiments.EXPERIMENTS
    for path in paths.results().glob(f"*/{name}/manifest.json")
)


def test_there_are_results():
    assert {(one.parts[-3], one.parts[-2]) for one in MANIFESTS} >= {("quick", "fig04_06")}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_manifest(path):
    manifest = json.loads(path.read_text(encoding="utf-8"))
    preset, name = path.parts[-3:-1]
    for file, digest in manifest["files_sha256"].items():
        assert hashlib.sha256((path.parent / file).read_bytes()).hexdigest() == digest, file
    for run in manifest["runs"]:
        assert store.key(TrainConfig.from_dict(run["config"])) == run["sha256"], "stale results"
    seeds = len({run["seed"] for run in manifest["runs"]})
    runs = experiments.find(name).runs(preset, seeds)
    assert experiments.plan_key(runs) == manifest["key"], "results of other settings"
    table = experiments.read(experiments.find(name), runs, preset)
    sizes = table.groupby(["variant", "seed"]).size()
    assert len(sizes) == len(runs)
    assert set(sizes) == {runs[0].episodes}
    metrics = ["reward_global", "reward_centre", "energy_per_user_slot_j", "failure_ratio_requests"]
    assert table[metrics].notna().all().all()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_nothing_of_one_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not any(word in text for word in ("/home/", "/root/", "/tmp/", "hostname"))


def test_evaluation_is_of_all_runs():
    for path in MANIFESTS:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        sizes = {"evaluation.csv": 20} | dict.fromkeys(
            ("users.csv", "tuning.csv"), runs[0]["config"]["env"]["num_users"]
        )
        for name, size in sizes.items():
            found = pd.read_csv(path.parent / name).groupby(["variant", "seed"]).size()
            assert len(found) == len(runs) and set(found) == {size}


def test_it_learns():
    """Beta-HAPPO: the last tenth of every seed is above the first of any."""
    table = pd.read_csv(paths.results() / "quick" / "fig04_06" / "data.csv")
    runs = table[table["algorithm"] == "beta-happo"].sort_values("x").groupby("seed")
    for metric in ("reward_global", "reward_centre"):
        tenth = len(table["x"].unique()) // 10
        first = runs[metric].agg(lambda run, n=tenth: run.iloc[:n].mean())
        last = runs[metric].agg(lambda run, n=tenth: run.iloc[-n:].mean())
        assert len(first) >= 2
        assert last.min() > first.max(), metric


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
    assert {one.parent.name for one in BENCHMARKS} == {"critics", "episode", "peer", "training"}
