"""Experiments: grids, tidy data with a manifest, only the rows asked for."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from said import one_line
from tiny import CURVES, ONE, SMALL, SWEEP, own_folders, trained  # noqa: F401

from dtlib import ConfigError, TrainConfig
from dtlib.experiments import alternatives, committed, datasets, grids, keys, results, runner, store
from dtlib.experiments.committed import EVALUATION, TUNING, USERS
from dtlib.experiments.experiment import BASELINES, LEARNERS
from dtlib.experiments.keys import config_key
from dtlib.experiments.runner import Effort
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.settings.presets import LEARNT_THERE, NETWORKS, PRESETS
from dtlib.training.run_folder import CHECKPOINT

# --- grids --------------------------------------------------------------------------------------


def test_unknown_names():
    with pytest.raises(
        ConfigError, match="figure = 'fig99': must be one of ablations, constrained, "
    ):
        grids.find("fig99")
    with pytest.raises(ConfigError, match="preset = 'large': must be one of smoke"):
        CURVES.runs("large")
    with pytest.raises(ConfigError, match="seeds = 1000000000: must be 1 to 10000"):
        CURVES.runs("smoke", 10**9)
    with pytest.raises(ConfigError, match="seeds = 0: must be 1 to 10000"):
        CURVES.runs("smoke", 0)
    with pytest.raises(ConfigError, match="values of num_bs: fig10 sweeps request_prob"):
        SWEEP.runs("smoke", values={"num_bs": (2,)})
    with pytest.raises(ConfigError, match="values of num_bs: fig04_06 sweeps nothing"):
        CURVES.runs("smoke", values={"num_bs": (2,)})


ODD = [
    ({"seeds": "3"}, "seeds = '3': must be an integer, 1 to 10000"),
    ({"seeds": 2.5}, "seeds = 2.5: must be an integer, 1 to 10000"),
    ({"preset": ["smoke"]}, "preset = ['smoke']: must be one of smoke"),
    ({"changes": True}, "changes = True: must be values by name"),
    ({"changes": {1: 2}}, "1 = 2: the name of a field is text"),
    ({"changes": {"env": 3}}, "changes.env = 3: must be values by name"),
    ({"changes": {"seed": 3}}, "changes = {'seed': 3}: seed is not changed but chosen"),
    ({"changes": {"preset": "quick"}}, "changes = {'preset': 'quick'}: preset is not changed"),
    ({"values": 3}, "values = 3: must be values by name"),
    ({"values": {"request_prob": 0.3}}, "values of request_prob = 0.3: must be a list of numbers"),
    ({"values": {"request_prob": "0.3"}}, "values of request_prob = '0.3': must be a list"),
    ({"values": {"request_prob": [1, 1.0]}}, "values of request_prob 1: is given 2 times"),
    ({"values": {"request_prob": 0}}, "values of request_prob = 0: must be a list of numbers"),
    ({"values": {"request_prob": np.ones(2)}}, "values of request_prob = array([1., 1.]): must be"),
    ({"values": {"request_prob": [0.3, 0.3]}}, "values of request_prob 0.3: is given 2 times"),
    ({"changes": {"algorithm": "maddpg"}}, "changes = {'algorithm': 'maddpg'}: algorithm is not"),
]


@pytest.mark.parametrize(("odd", "said"), ODD, ids=range(len(ODD)))
def test_odd_arguments_are_one_line(odd, said):
    text = one_line(lambda: SWEEP.runs(**({"preset": "smoke"} | odd)), shorter_than=300)
    assert text.startswith(said)


def test_every_figure_of_the_paper_is_there():
    for number in range(4, 15):
        assert grids.find(f"fig{number:02}").variants


GRIDS = [
    (experiment.name, preset)
    for experiment in grids.EXPERIMENTS.values()
    for preset in experiment.seeds
]


@pytest.mark.parametrize(("name", "preset"), GRIDS)
def test_a_grid_is_a_product(name, preset):
    experiment = grids.find(name)
    runs = experiment.runs(preset)
    points = 1
    for axis in experiment.axes.values():
        points *= len(axis.of(preset))
        assert set(axis.quick) <= set(axis.values)
    each = sum(experiment.seeds_of(preset).values()) + len(experiment.baselines)
    assert len(runs) == points * each == len({run.key for run in runs})
    baselines = [run.baseline for run in runs if run.baseline]
    assert baselines == points * [*experiment.baselines] and {*baselines} <= {*BASELINES}


def test_swept_values_reach_the_network():
    assert {r.config.env.num_users for r in grids.find("fig13").runs("quick")} == {50, 58}
    users = {
        (r.config.env.num_users, r.config.env.num_bs) for r in grids.find("fig09").runs("quick")
    }
    assert users == {(25, 3), (25, 7)}
    sizes = {r.config.env.data_bits for r in grids.find("fig11").runs("smoke")}
    assert sizes == {(15e3, 20e3), (15e3, 200e3)}
    runs = SWEEP.runs("smoke", values={"request_prob": (0.25,)})
    assert (
        {r.config.env.request_prob for r in runs} == {0.25} == {r.at["request_prob"] for r in runs}
    )


def test_changes_of_variant_and_caller_are_both_kept():
    runs = grids.find("tradeoff").runs("smoke", 1, changes={"env": {"num_users": 7}})
    factors = {planned.config.env.control_factor for planned in runs}
    assert factors == set(alternatives.CONTROL_FACTORS)
    assert {planned.config.env.num_users for planned in runs} == {7}
    assert {planned.config.env.frame_slots for planned in runs} == {20}


def test_maddpg_has_the_noise_of_table_i_but_in_the_work_conserving_network():
    for preset in CURVES.seeds:
        assert {run.config.noise_variance for run in CURVES.runs(preset, 1)} == {0.5}
    there = [run.config for run in grids.find("tradeoff").runs("quick", 1)]
    assert {config.noise_variance for config in there if config.algorithm == "maddpg"} == {0.05}
    given = CURVES.runs("paper", 1, changes={"noise_variance": 0.1})
    assert {run.config.noise_variance for run in given} == {0.1}


# --- tables -------------------------------------------------------------------------------------


SCALES = {"power_range_db", "power_top_db", "silent_below", "max_log_factor"}
"""Belong to the settings beside them."""
BUDGET = {"episodes", "env.frames"}


def flat(settings):
    inner = {f"env.{name}": value for name, value in settings.get("env", {}).items()}
    return {name: value for name, value in settings.items() if name != "env"} | inner


def test_each_setting_learnt_there_is_taken_back_by_an_ablation():
    companion = flat(LEARNT_THERE)
    ablations = alternatives.ABLATIONS.values()
    changed = {
        name
        for changes in ablations
        for name in flat(changes)
        if flat(changes)[name] != companion.get(name)
    }
    assert companion.keys() - SCALES - BUDGET <= changed
    others = {"clip", "entropy_coef", "critic_passes", "value_norm", "anneal"}
    assert others <= changed, "what might have helped beyond them"


def test_each_setting_of_the_companion_is_taken_back_and_won_again():
    """By itself, to what the paper has; and from what is printed, one more at a time."""
    companion, printed = flat(PRESETS["companion"]), TrainConfig()
    taken_back = [flat(changes) for changes in alternatives.TAKEN_BACK.values()]
    names = [name for changes in taken_back for name in changes]
    assert {*names} == companion.keys() and len(names) == len({*names})
    values = {name: value for changes in taken_back for name, value in changes.items()}
    assert values.pop("episodes") == 30, "of 50 frames, as many slots as 150 of 10"
    for name, value in values.items():
        default = printed.env if name.startswith("env.") else printed
        assert value == getattr(default, name.removeprefix("env.")) != companion[name], name
    steps = [flat(changes) for changes in alternatives.forward().values()]
    assert {*steps[0]} == {*names} and len(steps) == len(taken_back) - 1
    for kept, step in enumerate(steps):
        assert step == {k: v for changes in taken_back[kept:] for k, v in changes.items()}


@pytest.mark.parametrize("preset", ["quick", "companion"])
def test_each_step_of_the_companion_plays_as_many_slots(preset):
    runs = grids.find("steps").runs(preset)
    assert len({run.episodes * run.config.env.slots for run in runs}) == 1


OURS = (
    "worth", "silence", "outage", "steps", "search", "finalists", "strict", "trends",
    "equal_slots", "crowd", "whole", "divided", "printed_reward", "unshared", "once_a_frame",
    "held_back",
)  # fmt: skip


def test_networks_of_experiments():
    """The paper's figures are of its own network; what was made before is where it was."""
    for experiment in map(grids.find, {name for name, _ in GRIDS}):
        own = experiment.of_the_paper or experiment.name in OURS
        found = NETWORKS[0 if own else 1]
        assert experiment.network == found, f"{experiment.name}: is to be in OURS, or in {found}"
        env = TrainConfig.from_preset("smoke", experiment.network).env
        for planned in experiment.runs(next(iter(experiment.seeds)), 1):
            others = {"whole": "whole", "divided": "served"}  # who has the CPU, by variants' names
            sharing = [way for name, way in others.items() if name in planned.variant]
            assert planned.config.env.cpu_sharing == (sharing or [env.cpu_sharing])[0]
            assert planned.config.env.energy_of_failed == env.energy_of_failed


def test_settings_of_a_network_hold_but_for_the_smallest_preset():
    """``env`` is a mapping of settings, under what is swept and what a caller changes."""
    grid = replace(ONE, env={"num_users": 25, "request_prob": 0.9, "num_bs": 4}, variants={"b": {}})
    grid = replace(grid, seeds={"smoke": 1, "quick": 1}, network=NETWORKS[1])
    quick = grid.runs("quick", changes={"env": {"num_bs": 2}})
    assert {run.config.env.num_users for run in quick} == {25}
    assert {run.config.env.num_bs for run in quick} == {2}
    assert {run.config.env.request_prob for run in quick} == {*SWEEP.axes["request_prob"].quick}
    assert {run.config.env.cpu_sharing for run in quick} == {"served"}
    assert {run.config.env.num_users for run in grid.runs("smoke")} == {6}


def test_learning_curves_are_written_and_read(tmp_path):
    place = datasets.write_experiment(CURVES, "smoke", effort=Effort(jobs=2))
    assert place == tmp_path / "results" / "smoke" / "fig04_06"
    table = pd.read_csv(place / "data.csv")
    runs = CURVES.runs("smoke")
    episodes = runs[0].config.episodes
    assert set(table.groupby(["variant", "seed"]).size()) == {episodes}
    assert {"figure", "algorithm", "x", "seed", "energy_per_user_slot_j"} <= set(table.columns)
    worlds, users, tuning = (pd.read_csv(place / name) for name in (EVALUATION, USERS, TUNING))
    users_each = runs[0].config.env.num_users
    for found, size in ((worlds, 2), (users, users_each), (tuning, users_each)):
        assert set(found.groupby(["algorithm", "seed"]).size()) == {size}
    assert not users.equals(tuning)
    manifest = json.loads((place / "manifest.json").read_text())
    assert [run["sha256"] for run in manifest["runs"]] == [config_key(r.config) for r in runs]
    pd.testing.assert_frame_equal(datasets.data("fig04", "smoke"), table)

    stamps = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    assert stamps.keys() == {results.DATA, EVALUATION, USERS, TUNING, "manifest.json"}
    datasets.write_experiment(CURVES, "smoke")
    assert {path.name: path.stat().st_mtime_ns for path in place.iterdir()} == stamps


def test_a_sweep_has_a_row_per_run_and_baseline():
    place = datasets.write_experiment(SWEEP, "smoke")
    table = pd.read_csv(place / "data.csv")
    assert [path.name for path in sorted(place.iterdir())] == ["data.csv", "manifest.json"]
    assert len(table) == len(SWEEP.runs("smoke")) == 2 * (4 + 3)
    assert set(table["algorithm"]) == {*LEARNERS, *SWEEP.baselines}
    assert (table["x"] == table["request_prob"]).all() and set(table["x"]) == {0.3, 0.6}
    learnt = table[table["algorithm"].isin(LEARNERS)]
    assert learnt[["reward_global", "failure_ratio_slots_user_max"]].notna().all().all()
    pd.testing.assert_frame_equal(datasets.data("fig10", "smoke"), table)


def test_per_run_by_hand():
    worlds = pd.DataFrame({"run": ["b", "b", "a"], "x": [1.0, 3.0, 5.0]})
    users = pd.DataFrame({"run": ["b", "b", "a"], "failure_ratio_slots": [0.1, 0.4, 0.2]})
    found = datasets.per_run(worlds, users, ["run"])
    assert list(found.index) == ["b", "a"] and found["x"].tolist() == [2.0, 5.0]
    assert found["failure_ratio_slots_user_max"].tolist() == [0.4, 0.2]


def test_a_changed_value_recomputes_only_what_is_new():
    datasets.write_experiment(ONE, "smoke")
    before = trained()
    values = {"request_prob": (0.3, 0.45)}
    table = datasets.data("one", "smoke", values=values)
    assert list(table["x"]) == [0.3, 0.45]
    after = trained()
    assert len(after) == len(before) + 1 and after.items() >= before.items()
    for path in list(paths.store().iterdir()):  # what is committed needs no store
        path.rename(path.with_name(f"{path.name}-away"))
    again = datasets.data("one", "smoke", values={"request_prob": (0.6, 0.3)})
    assert list(again["x"]) == [0.6, 0.3] and not list(
        paths.store().glob(f"*-smoke/*/{CHECKPOINT}")
    )


def test_finished_rows_are_written_and_kept(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="one: no run of preset 'smoke' is finished"):
        datasets.write_experiment(ONE, "smoke", finished=True)
    runs = ONE.runs("smoke")
    runner.finish(runs[:1])
    place = datasets.write_experiment(ONE, "smoke", finished=True)
    first = pd.read_csv(place / "data.csv")
    assert list(first["x"]) == [0.3] and len(trained()) == 1
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "another machine"))
    datasets.write_experiment(ONE, "smoke", keep=True)
    table = pd.read_csv(place / "data.csv")
    assert list(table["x"]) == [0.3, 0.6] and len(trained()) == 1
    pd.testing.assert_frame_equal(table[:1], first, check_dtype=False)
    made = [run["run"] for run in json.loads((place / "manifest.json").read_text())["runs"]]
    assert made == list(table["run"])
    text = (place / "data.csv").read_text()
    datasets.write_experiment(ONE, "smoke")
    assert (place / "data.csv").read_text() == text and len(trained()) == 2


def test_seeds_beyond_those_asked_for_are_kept_and_shown():
    """A grid need not be even: the finest committed data are drawn, and never thrown away."""
    place = datasets.write_experiment(ONE, "smoke", 2)
    datasets.write_experiment(ONE, "smoke", 1, keep=True)
    table = pd.read_csv(place / "data.csv")
    assert list(zip(table["x"], table["seed"], strict=True)) == [
        (0.3, 0),
        (0.3, 1),
        (0.6, 0),
        (0.6, 1),
    ]
    assert len(datasets.data("one", "smoke")) == 4 and len(datasets.data("one", "smoke", 1)) == 2
    uneven = ONE.runs("smoke", 2)[:3]
    assert [run.config.seed for run in uneven] == [0, 1, 0]
    for path in list(paths.store().glob("*-smoke/*")):
        if path.name == store.folder(ONE.runs("smoke", 2)[3].config).name:
            path.rename(path.with_name("away"))
    results.write(place, "none", tables={}, facts={"runs": []})
    datasets.write_experiment(ONE, "smoke", 2, finished=True)
    assert list(datasets.data("one", "smoke")["seed"]) == [0, 1, 0]
    assert [run.key for run in committed.runs_of(ONE, "smoke")] == [run.key for run in uneven]
    before = trained()
    assert committed.shown(ONE, "smoke", 2) == ONE.runs("smoke", 2) and trained() == before


def test_rows_follow_a_variant_to_its_new_name(monkeypatch):
    datasets.write_experiment(ONE, "smoke", seeds=1)
    renamed = replace(ONE, variants={"Beta": SMALL})
    monkeypatch.setitem(grids.EXPERIMENTS, "one", renamed)
    monkeypatch.setattr(runner, "finish", lambda *_: pytest.fail("nothing is missing"))
    assert set(datasets.data("one", "smoke", 1)["variant"]) == {"Beta"}
    place = datasets.write_experiment(renamed, "smoke", seeds=1, keep=True)
    assert {run["variant"] for run in results.manifest(place)["runs"]} == {"Beta"}


def test_other_code_means_other_rows(monkeypatch):
    datasets.write_experiment(ONE, "smoke")
    assert len(committed.rows_of(ONE, ONE.runs("smoke"), "smoke")) == 2
    monkeypatch.setattr(keys, "RESULTS_VERSION", -1)
    assert committed.rows_of(ONE, ONE.runs("smoke"), "smoke") is None


def test_altered_data_are_refused():
    place = datasets.write_experiment(ONE, "smoke")
    text = (place / "data.csv").read_text()
    (place / "data.csv").write_text(text.replace("0.0", "0.1", 1))
    with pytest.raises(FileError, match="differs from its manifest"):
        datasets.data("one", "smoke")
    datasets.write_experiment(ONE, "smoke")
    assert (place / "data.csv").read_text() == text


def test_only_a_share_of_the_episodes_is_run():
    for planned in CURVES.runs("paper", 1):
        so_far = CURVES.episodes["paper"].get(planned.variant, 150)
        assert planned.episodes == so_far <= planned.config.episodes == 150
    share = grids.Experiment(
        "share", "", {"beta": SMALL}, seeds={"smoke": 1}, episodes={"smoke": 1}
    )
    runs = share.runs("smoke")
    assert len(datasets.collect(share, runs)["data.csv"]) == 1
    whole = grids.Experiment("whole", "", {"beta": SMALL}, seeds={"smoke": 1}).runs("smoke")
    assert runs[0].key != whole[0].key


def test_a_share_may_be_of_one_variant():
    both = {"half": SMALL, "whole": SMALL | {"algorithm": "gaussian-happo"}}
    one = grids.Experiment("one", "", both, seeds={"smoke": 1}, episodes={"smoke": {"half": 1}})
    assert [(run.variant, run.episodes) for run in one.runs("smoke")] == [("half", 1), ("whole", 2)]


@pytest.mark.parametrize("preset", ["smoke", "quick", "companion", "paper"])
def test_figures_have_each_algorithm_as_its_preset_is(preset):
    """What `dtlib train` makes of a preset and an algorithm is what figures show."""
    for planned in CURVES.runs(preset, 1):
        changes = {"algorithm": planned.variant, "episodes": planned.config.episodes}
        assert planned.config == TrainConfig.from_preset(preset, **changes)
    noise = planned.config.noise_variance
    assert planned.variant == "maddpg" and noise == 0.5
    own = TrainConfig.from_preset(preset, algorithm="maddpg", noise_variance=0.1)
    rate = 1e-4 if preset == "paper" else 3e-3
    assert (own.noise_variance, own.learning_rate) == (0.1, rate), "a caller's value holds"


def test_more_episodes_than_the_presets_own():
    quick, stated = TrainConfig.from_preset("quick").episodes, CURVES.episodes["quick"]
    planned = CURVES.runs("quick", 1)[0]
    assert planned.episodes == planned.config.episodes == stated[planned.variant] > quick
    asked = CURVES.runs("quick", 1, changes={"episodes": 5})[0]
    assert asked.episodes == asked.config.episodes == 5, "a caller's number holds"
