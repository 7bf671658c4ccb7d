"""Experiments: grids, tidy data with a manifest, only the rows asked for, several runners."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest

from dtlib import ConfigError, datasets, experiments, paths, progress, results, runner, store
from dtlib.checkpoint import FileError
from dtlib.presets import PRESETS
from dtlib.runner import Effort
from dtlib.training import CHECKPOINT

CURVES, SWEEP = experiments.find("fig05"), experiments.find("fig10")
SMALL = {"algorithm": "beta-happo", "env": {"num_users": 3, "num_bs": 2}, "episodes": 2}
ONE = experiments.Experiment("one", "", {"beta": SMALL}, {"smoke": 1}, axes=SWEEP.axes)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    monkeypatch.setitem(experiments.EXPERIMENTS, "one", ONE)


# --- grids --------------------------------------------------------------------------------------


def test_unknown_names():
    with pytest.raises(
        ConfigError, match="figure = 'fig99': must be one of ablations, constrained, "
    ):
        experiments.find("fig99")
    with pytest.raises(ConfigError, match="preset = 'large': must be one of smoke"):
        CURVES.runs("large")
    with pytest.raises(ConfigError, match="seeds = 0: must be at least 1"):
        CURVES.runs("smoke", 0)
    with pytest.raises(ConfigError, match="values of num_bs: fig10 sweeps request_prob"):
        SWEEP.runs("smoke", values={"num_bs": (2,)})
    with pytest.raises(ConfigError, match="values of num_bs: fig04_06 sweeps nothing"):
        CURVES.runs("smoke", values={"num_bs": (2,)})


def test_every_figure_of_the_paper_is_there():
    for number in range(4, 15):
        assert experiments.find(f"fig{number:02}").variants


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
@pytest.mark.parametrize("preset", ["smoke", "quick", "companion"])
def test_a_grid_is_a_product(name, preset):
    experiment = experiments.find(name)
    runs = experiment.runs(preset)
    points = 1
    for axis in experiment.axes.values():
        points *= len(axis.of(preset))
        assert set(axis.quick) <= set(axis.values)
    each = len(experiment.variants) * experiment.seeds[preset] + len(experiment.baselines)
    assert len(runs) == points * each == len({one.key for one in runs})


def test_swept_values_reach_the_network():
    assert {r.config.env.num_users for r in experiments.find("fig13").runs("quick")} == {50, 58}
    users = {
        (r.config.env.num_users, r.config.env.num_bs)
        for r in experiments.find("fig09").runs("quick")
    }
    assert users == {(25, 3), (25, 7)}
    sizes = {r.config.env.data_bits for r in experiments.find("fig11").runs("smoke")}
    assert sizes == {(15e3, 20e3), (15e3, 200e3)}
    runs = SWEEP.runs("smoke", values={"request_prob": (0.25,)})
    assert (
        {r.config.env.request_prob for r in runs} == {0.25} == {r.at["request_prob"] for r in runs}
    )


def test_changes_of_variant_and_caller_are_both_kept():
    runs = experiments.find("tradeoff").runs("smoke", 1, {"env": {"num_users": 7}})
    factors = {planned.config.env.control_factor for planned in runs}
    assert factors == set(experiments.CONTROL_FACTORS)
    assert {planned.config.env.num_users for planned in runs} == {7}
    assert {planned.config.env.frame_slots for planned in runs} == {20}


def test_maddpg_has_weaker_noise_but_where_table_i_is_to_be_met():
    noise = {
        preset: {one.config.noise_variance for one in CURVES.runs(preset, 1)}
        for preset in CURVES.seeds
    }
    assert noise.pop("paper") == {0.5}
    assert all(values == {0.05, 0.5} for values in noise.values())
    given = CURVES.runs("paper", 1, {"noise_variance": 0.1})
    assert {one.config.noise_variance for one in given} == {0.1}


# --- tables -------------------------------------------------------------------------------------


SCALES = {"power_range_db", "power_top_db", "silent_below", "max_log_factor"}
"""Belong to the settings beside them."""
BUDGET = {"episodes", "env.frames"}


def test_each_setting_of_the_companion_is_taken_back_by_an_ablation():
    def flat(settings):
        inner = {f"env.{name}": value for name, value in settings.get("env", {}).items()}
        return {name: value for name, value in settings.items() if name != "env"} | inner

    companion = flat(PRESETS["companion"])
    ablations = experiments.ABLATIONS.values()
    changed = {
        name for one in ablations for name in flat(one) if flat(one)[name] != companion.get(name)
    }
    assert companion.keys() - SCALES - BUDGET <= changed
    others = {"clip", "entropy_coef", "critic_passes", "value_norm", "anneal"}
    assert others <= changed, "what might have helped beyond them"


def test_learning_curves_are_written_and_read(tmp_path):
    place = datasets.write(CURVES, "smoke", effort=Effort(jobs=2))
    assert place == tmp_path / "results" / "smoke" / "fig04_06"
    table = pd.read_csv(place / "data.csv")
    runs = CURVES.runs("smoke")
    episodes = runs[0].config.episodes
    assert set(table.groupby(["variant", "seed"]).size()) == {episodes}
    assert {"figure", "algorithm", "x", "seed", "energy_per_user_slot_j"} <= set(table.columns)
    worlds, users, tuning = (pd.read_csv(place / name) for name in datasets.MEASURED)
    users_each = runs[0].config.env.num_users
    for found, size in ((worlds, 20), (users, users_each), (tuning, users_each)):
        assert set(found.groupby(["algorithm", "seed"]).size()) == {size}
    assert not users.equals(tuning)
    manifest = json.loads((place / "manifest.json").read_text())
    assert [one["sha256"] for one in manifest["runs"]] == [store.key(r.config) for r in runs]
    pd.testing.assert_frame_equal(datasets.data("fig04", "smoke"), table)

    stamps = {one.name: one.stat().st_mtime_ns for one in place.iterdir()}
    assert stamps.keys() == {datasets.DATA, *datasets.MEASURED, "manifest.json"}
    datasets.write(CURVES, "smoke")
    assert {one.name: one.stat().st_mtime_ns for one in place.iterdir()} == stamps


def test_a_sweep_has_a_row_per_run_and_baseline():
    place = datasets.write(SWEEP, "smoke")
    table = pd.read_csv(place / "data.csv")
    assert [one.name for one in sorted(place.iterdir())] == ["data.csv", "manifest.json"]
    assert len(table) == len(SWEEP.runs("smoke")) == 2 * (4 + 2)
    assert set(table["algorithm"]) == {*experiments.LEARNERS, *experiments.BASELINES}
    assert (table["x"] == table["request_prob"]).all() and set(table["x"]) == {0.3, 0.6}
    learnt = table[table["algorithm"].isin(experiments.LEARNERS)]
    assert learnt[["reward_global", "failure_ratio_slots_user_max"]].notna().all().all()
    pd.testing.assert_frame_equal(datasets.data("fig10", "smoke"), table)


def trained():
    """When each run was last at work, by folder name."""
    return {
        one.parent.name: one.stat().st_mtime_ns for one in paths.store().glob(f"*/*/{CHECKPOINT}")
    }


def test_a_changed_value_recomputes_only_what_is_new():
    datasets.write(ONE, "smoke")
    before = trained()
    values = {"request_prob": (0.3, 0.45)}
    table = datasets.data("one", "smoke", values=values)
    assert list(table["x"]) == [0.3, 0.45]
    after = trained()
    assert len(after) == len(before) + 1 and after.items() >= before.items()
    for one in list(paths.store().iterdir()):  # what is committed needs no store
        one.rename(one.with_name(f"{one.name}-away"))
    again = datasets.data("one", "smoke", values={"request_prob": (0.6, 0.3)})
    assert list(again["x"]) == [0.6, 0.3] and not list(
        paths.store().glob(f"*-smoke/*/{CHECKPOINT}")
    )


def test_finished_rows_are_written_and_kept(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="one: no run of preset 'smoke' is finished"):
        datasets.write(ONE, "smoke", finished=True)
    runs = ONE.runs("smoke")
    runner.finish(runs[:1])
    place = datasets.write(ONE, "smoke", finished=True)
    first = pd.read_csv(place / "data.csv")
    assert list(first["x"]) == [0.3] and len(trained()) == 1
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "another machine"))
    datasets.write(ONE, "smoke", keep=True)
    table = pd.read_csv(place / "data.csv")
    assert list(table["x"]) == [0.3, 0.6] and len(trained()) == 1
    pd.testing.assert_frame_equal(table[:1], first, check_dtype=False)
    made = [one["run"] for one in json.loads((place / "manifest.json").read_text())["runs"]]
    assert made == list(table["run"])
    text = (place / "data.csv").read_text()
    datasets.write(ONE, "smoke")
    assert (place / "data.csv").read_text() == text and len(trained()) == 2


def test_seeds_beyond_those_asked_for_are_kept_and_shown():
    """A grid need not be even: the finest committed data are drawn, and never thrown away."""
    place = datasets.write(ONE, "smoke", 2)
    datasets.write(ONE, "smoke", 1, keep=True)
    table = pd.read_csv(place / "data.csv")
    assert list(zip(table["x"], table["seed"], strict=True)) == [
        (0.3, 0),
        (0.3, 1),
        (0.6, 0),
        (0.6, 1),
    ]
    assert len(datasets.data("one", "smoke")) == 4 and len(datasets.data("one", "smoke", 1)) == 2
    uneven = ONE.runs("smoke", 2)[:3]
    assert [one.config.seed for one in uneven] == [0, 1, 0]
    for one in list(paths.store().glob("*-smoke/*")):
        if one.name == store.folder(ONE.runs("smoke", 2)[3].config).name:
            one.rename(one.with_name("away"))
    datasets.results.write(place, "none", {}, {"runs": []})
    datasets.write(ONE, "smoke", 2, finished=True)
    assert list(datasets.data("one", "smoke")["seed"]) == [0, 1, 0]
    assert [one.key for one in datasets.kept(ONE, "smoke")] == [one.key for one in uneven]
    before = trained()
    assert datasets.chosen(ONE, "smoke", 2) == ONE.runs("smoke", 2) and trained() == before


def test_rows_follow_a_variant_to_its_new_name(monkeypatch):
    datasets.write(ONE, "smoke", seeds=1)
    renamed = replace(ONE, variants={"Beta": SMALL})
    monkeypatch.setitem(experiments.EXPERIMENTS, "one", renamed)
    monkeypatch.setattr(runner, "finish", lambda *_: pytest.fail("nothing is missing"))
    assert set(datasets.data("one", "smoke", 1)["variant"]) == {"Beta"}
    place = datasets.write(renamed, "smoke", seeds=1, keep=True)
    assert {one["variant"] for one in results.manifest(place)["runs"]} == {"Beta"}


def test_other_code_means_other_rows(monkeypatch):
    datasets.write(ONE, "smoke")
    assert len(datasets.committed(ONE, ONE.runs("smoke"), "smoke")) == 2
    monkeypatch.setattr(store, "RESULTS_VERSION", -1)
    assert datasets.committed(ONE, ONE.runs("smoke"), "smoke") is None


def test_altered_data_are_refused():
    place = datasets.write(ONE, "smoke")
    text = (place / "data.csv").read_text()
    (place / "data.csv").write_text(text.replace("0.0", "0.1", 1))
    with pytest.raises(FileError, match="differs from its manifest"):
        datasets.data("one", "smoke")
    datasets.write(ONE, "smoke")
    assert (place / "data.csv").read_text() == text


def test_only_a_share_of_the_episodes_is_run():
    planned = CURVES.runs("paper", 1)[0]
    assert planned.episodes == CURVES.episodes["paper"] < planned.config.episodes == 150
    share = experiments.Experiment("share", "", {"beta": SMALL}, {"smoke": 1}, {"smoke": 1})
    runs = share.runs("smoke")
    assert len(datasets.collect(share, runs)["data.csv"]) == 1
    whole = experiments.Experiment("whole", "", {"beta": SMALL}, {"smoke": 1}).runs("smoke")
    assert runs[0].key != whole[0].key


@pytest.mark.parametrize("preset", ["smoke", "quick", "companion", "paper"])
def test_figures_have_each_algorithm_as_its_preset_is(preset):
    """What `dtlib train` makes of a preset and an algorithm is what figures show."""
    for planned in CURVES.runs(preset, 1):
        changes = {"algorithm": planned.variant, "episodes": planned.config.episodes}
        assert planned.config == experiments.TrainConfig.from_preset(preset, **changes)
    noise = planned.config.noise_variance
    assert planned.variant == "maddpg" and noise == (0.5 if preset == "paper" else 0.05)
    own = experiments.TrainConfig.from_preset(preset, algorithm="maddpg", noise_variance=0.1)
    assert (own.noise_variance, own.learning_rate) == (0.1, 1e-3), "a caller's value holds"


def test_more_episodes_than_the_presets_own():
    quick = experiments.TrainConfig.from_preset("quick").episodes
    planned = CURVES.runs("quick", 1)[0]
    assert planned.episodes == planned.config.episodes == CURVES.episodes["quick"] > quick
    asked = CURVES.runs("quick", 1, {"episodes": 5})[0]
    assert asked.episodes == asked.config.episodes == 5, "a caller's number holds"


# --- runners ------------------------------------------------------------------------------------


def test_parallel_runs_equal_serial_ones(tmp_path, monkeypatch):
    runs = ONE.runs("smoke", 2)
    two = datasets.collect(ONE, runs, Effort(jobs=2))["data.csv"]
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "another"))
    one = datasets.collect(ONE, runs, Effort(jobs=1))["data.csv"]
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_the_longest_runs_come_first():
    """What is long and begins last would leave the other process idle at the end."""
    figures = [one for one in experiments.EXPERIMENTS.values() if one is not ONE]
    runs = [one for figure in figures for one in figure.runs("companion")]
    tasks = runner._one_by_one(runs)
    assert sorted(one.key for task in tasks for (one,) in task) == sorted(one.key for one in runs)
    most = [max(runner.cost(one) for (one,) in task) for task in tasks]
    assert most == sorted(most, reverse=True) and most[0] > 10 * most[-1]
    first = tasks[0][0][0].config
    assert (first.algorithm, first.episodes) == ("maddpg", 150)
    assert runs[0].config != first, "not in the order of the figures"


def test_batches_of_a_gpu_are_bounded_and_have_every_run_once():
    runs = [*ONE.runs("smoke", 40), *CURVES.runs("smoke"), *SWEEP.runs("smoke")]
    batches = [batch for task in runner._side_by_side([*runs, runs[0]]) for batch in task]
    found = [one for batch in batches for one in batch]
    assert sorted(one.key for one in found) == sorted(one.key for one in [*runs, runs[0]])
    sizes = [len({one.config for one in batch}) for batch in batches]
    assert max(sizes) == runner.TOGETHER and sizes.count(runner.TOGETHER) == 2
    for batch in batches:
        assert len({(one.episodes, one.config.algorithm) for one in batch}) == 1
        assert len(batch) == 1 or not any(one.baseline for one in batch)
    shares = [batch[0].episodes for batch in batches]
    assert shares == sorted(shares)


def test_experiments_that_take_shares_of_one_run_train_it_once():
    share = experiments.Experiment("share", "", {"beta": SMALL}, {"smoke": 1}, {"smoke": 1})
    whole = experiments.Experiment("whole", "", {"beta": SMALL}, {"smoke": 1})
    both = [*whole.runs("smoke"), *share.runs("smoke")]
    for order in (both[::-1], both):
        (task,) = runner._one_by_one(order)
        assert [one.episodes for (one,) in task] == [1, 2]
    runner.finish(order, Effort(jobs=1))
    assert all(runner.done(one) for one in order) and len(trained()) == 1
    assert not list(paths.store().rglob("first-*"))


def test_a_bar_tells_how_much_of_the_work_is_done():
    runs = [*ONE.runs("smoke"), *SWEEP.runs("smoke")[-2:]]
    bar = runner._Bar(runs, show=False)
    assert bar._done() == 0
    store.get(runs[0].config, 1)
    training, measuring = runner._costs(runs[0])
    whole = sum(runner.cost(one) for one in runs)
    assert bar._done() == pytest.approx(100 * training / 2 / whole)
    store.get(runs[0].config)
    assert bar._done() == pytest.approx(100 * training / whole) and measuring > 0
    runner.finish(runs, Effort(jobs=1))
    assert bar._done() == pytest.approx(100)


COMMAND = """
import sys
from pathlib import Path
from dtlib import datasets, experiments, paths
paths.results = lambda: Path(sys.argv[1])
small = {"algorithm": "beta-happo", "env": {"num_users": 3, "num_bs": 2}, "episodes": 40}
axes = experiments.find("fig10").axes
one = experiments.Experiment("one", "", {"beta": small}, {"smoke": 2}, axes=axes)
datasets.write(one, "smoke")
"""


def start(results, store_place):
    environment = os.environ | {"DTLIB_STORE": str(store_place)}
    command = [sys.executable, "-c", COMMAND, str(results)]
    return subprocess.Popen(command, env=environment, start_new_session=True)


def test_killed_and_restarted_gives_the_same_bytes(tmp_path):
    """Five times SIGKILL for the whole group of processes, at other moments each time."""
    assert start(tmp_path / "calm", tmp_path / "a").wait() == 0
    survived = 0
    for seconds in (2.5, 3.0, 3.4, 3.8, 4.3):
        process = start(tmp_path / "stormy", tmp_path / "b")
        time.sleep(seconds)
        survived += process.poll() is not None
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
    assert survived < 5
    assert start(tmp_path / "stormy", tmp_path / "b").wait() == 0
    calm, stormy = (
        (tmp_path / one / "smoke/one/data.csv").read_bytes() for one in ("calm", "stormy")
    )
    assert calm == stormy


def test_two_runners_share_the_work(tmp_path):
    processes = [start(tmp_path / f"results{n}", tmp_path / "both") for n in range(2)]
    assert [one.wait() for one in processes] == [0, 0]
    one, two = ((tmp_path / f"results{n}/smoke/one/data.csv").read_bytes() for n in range(2))
    assert one == two
    assert not [path for path in (tmp_path / "both").rglob("*") if "damaged" in path.name]


def test_a_run_in_other_hands_is_left_to_them():
    (planned, *_) = ONE.runs("smoke")
    with store.locked([store.folder(planned.config)]):
        assert runner._work([[planned]], "cpu", str(paths.store()), False) == "busy"
    assert runner._work([[planned]], "cpu", str(paths.store()), False) == ""


def test_damaged_measurements_are_named_and_made_anew(capsys):
    table = datasets.collect(ONE, ONE.runs("smoke"))["data.csv"]
    files = sorted(paths.store().glob("*/*/*-worlds.csv"))
    files[0].write_text(files[0].read_text().replace("0.", "1.", 1))
    files[1].write_bytes(files[1].read_bytes()[:-20])
    again = datasets.collect(ONE, ONE.runs("smoke"))["data.csv"]
    pd.testing.assert_frame_equal(table, again)
    said = capsys.readouterr().err
    for file in files:
        assert f"{file}: damaged; kept as {file.name}.damaged0" in said
        assert file.with_name(f"{file.name}.damaged0").exists()


def test_status_tells_done_begun_missing_and_failed(monkeypatch):
    runs = ONE.runs("smoke", 2)

    def counts():
        row = progress.status([ONE], "smoke", 2).iloc[0]
        return [row[name] for name in ("runs", "done", "begun", "missing", "failed", "in results")]

    assert counts() == [4, 0, 0, 4, 0, 0]
    store.get(runs[0].config, 1)
    assert counts() == [4, 0, 1, 3, 0, 0]

    def fails(config, *others):
        raise FileError(f"no room for seed {config.seed}")

    with monkeypatch.context() as patch:
        patch.setattr(store, "evaluation", fails)
        with pytest.raises(ConfigError, match="4 of 4 runs failed, the first with: FileError: no"):
            runner.finish(runs, Effort(jobs=1))
    assert counts() == [4, 0, 0, 0, 4, 0]
    lines = list(progress.failures([ONE], "smoke", 2))
    assert lines[1] == "one: beta at request_prob = 0.3, seed 1: FileError: no room for seed 1"
    datasets.write(ONE, "smoke", 2)
    assert counts() == [4, 4, 0, 0, 0, 4]
