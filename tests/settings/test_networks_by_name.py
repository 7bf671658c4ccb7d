"""The two networks by name, and that what was made in the older one is still found."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import Field
from said import call, refused

from dtlib import ConfigError, EnvConfig, TrainConfig
from dtlib.experiments import grids
from dtlib.experiments.keys import config_key, digest
from dtlib.runtime.messages import show
from dtlib.settings.presets import (
    FOUND,
    LEARNT_THERE,
    NETWORKS,
    PRESETS,
    PRINTED,
    SMOKE,
    WORK_CONSERVING,
    merge,
    preset_of,
)
from dtlib.studies import references

RESULTS = Path(__file__).resolve().parents[2] / "results"
OLD = NETWORKS[1]


def line_of(make):
    with pytest.raises(ConfigError) as caught:
        make()
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


# --- names --------------------------------------------------------------------------------------


def test_the_default_is_section_v():
    env = EnvConfig()
    assert env == EnvConfig.named() == EnvConfig.named("section-v")
    assert (env.cpu_sharing, env.objective_scale) == ("slices", "scaled")
    assert (env.deadline_s, env.energy_of_failed) == ((0.05, 0.05), "full")
    for preset in PRESETS:
        assert TrainConfig.from_preset(preset) == TrainConfig.from_preset(preset, "section-v")
        assert TrainConfig.from_preset(preset).gaussian == "original"


def test_the_work_conserving_network_is_the_former_default():
    env = EnvConfig.named(OLD, num_users=7)
    assert (env.cpu_sharing, env.objective_scale) == ("served", "mean")
    assert (env.deadline_s, env.energy_of_failed) == ((0.04, 0.05), "deadline")
    changed = {name for name, value in EnvConfig() if getattr(env, name) != value}
    assert changed == {*WORK_CONSERVING["env"], "num_users"}
    for preset in PRESETS:
        run = TrainConfig.from_preset(preset, OLD)
        assert run.gaussian == "bounded"
        for name in WORK_CONSERVING["env"]:
            assert getattr(run.env, name) == getattr(env, name)


def test_changes_win_over_a_network():
    assert EnvConfig.named(OLD, cpu_sharing="hosted").cpu_sharing == "hosted"
    run = TrainConfig.from_preset(
        "smoke", OLD, gaussian="original", env={"deadline_s": (0.01, 0.02)}
    )
    assert (run.gaussian, run.env.deadline_s) == ("original", (0.01, 0.02))
    assert run.env.cpu_sharing == "served" and run.env.num_users == 6
    whole = EnvConfig(num_users=2)
    assert TrainConfig.from_preset("smoke", env=whole).env == whole
    assert line_of(lambda: TrainConfig.from_preset("smoke", OLD, env=whole)) == (
        f"env = {show(whole)}: must be a dict of changes, such as env={{'num_users': 12}}, "
        "where network = 'work-conserving'"
    )


def test_what_learners_have_in_each_network():
    """The former companion is kept there as it was; MADDPG has its own in each network."""
    companion = TrainConfig.from_preset("companion", OLD)
    for name, value in LEARNT_THERE.items():
        if name != "env":
            assert getattr(companion, name) == value
    assert not companion.env.queue_reset and companion.env.frames == 2
    assert preset_of("paper", network=OLD) == WORK_CONSERVING and not preset_of("paper")
    for network in NETWORKS:
        for preset in PRESETS:
            own = (PRINTED if preset == "paper" else FOUND)[network]
            for algorithm, settings in own.items():
                run = TrainConfig.from_preset(preset, network, algorithm=algorithm)
                for name, value in settings.items():
                    assert getattr(run, name) == (SMOKE if preset == "smoke" else {}).get(
                        name, value
                    )
    printed = TrainConfig.from_preset("paper", algorithm="maddpg")
    assert (printed.learning_rate, printed.noise_variance) == (1e-4, 0.5), "as Table I has it"
    assert printed.updates_per_frame == printed.epochs == 25


def test_merge_keeps_both_networks_and_changes_nothing():
    first, second = {"env": {"a": 1, "b": 2}, "x": 1}, {"env": {"b": 3}, "y": 2}
    assert merge(first, second) == {"env": {"a": 1, "b": 3}, "x": 1, "y": 2}
    assert merge(first, {"x": 5}) == {"env": {"a": 1, "b": 2}, "x": 5}
    assert merge({"x": 1}, {"y": 2}) == {"x": 1, "y": 2} and merge() == {}
    assert first == {"env": {"a": 1, "b": 2}, "x": 1} and second == {"env": {"b": 3}, "y": 2}


@pytest.mark.parametrize("name", ["mars", "", None, 3, ["section-v"], "Section-V"])
def test_unknown_networks(name):
    hint = "; did you mean 'section-v'?" if name == "Section-V" else ""
    expected = f"network = {name!r}: must be one of section-v, work-conserving{hint}"
    assert line_of(lambda: EnvConfig.named(name)) == expected
    assert line_of(lambda: TrainConfig.from_preset("smoke", name)) == expected


def test_bad_changes_of_a_network_are_one_line():
    for network in NETWORKS:
        text = line_of(lambda network=network: EnvConfig.named(network, num_users=0))
        assert text.startswith("num_users = 0: ")
        text = line_of(lambda network=network: EnvConfig.named(network, cpu_sharing="all"))
        assert text.startswith("cpu_sharing = 'all': ")
        assert "'slices', 'whole', 'hosted' or 'served'" in text
    assert line_of(lambda: EnvConfig.named(OLD, nun_users=3)).endswith("did you mean num_users?")


# --- the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize("network", [None, *NETWORKS])
def test_a_run_in_a_network(tmp_path, network):
    chosen = [] if network is None else ["--network", network]
    small = ["--set", "episodes=1", "--set", "env.num_users=3"]
    result = call("train", "--preset", "smoke", *chosen, *small, "--out", tmp_path / "r", "--quiet")
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "r" / "config.json").read_text())
    assert kept["env"]["cpu_sharing"] == EnvConfig.named(network or "section-v").cpu_sharing
    found = TrainConfig.from_dict(kept)
    changes = {"algorithm": "beta-happo", "episodes": 1, "env": {"num_users": 3}}
    assert found == TrainConfig.from_preset("smoke", network or "section-v", **changes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network", "mars"], "network = 'mars': must be one of section-v, work-conserving"),
        (["--set", "network=mars"], "--set network=mars: is chosen by --network"),
        (["--set", "preset=paper"], "--set preset=paper: is chosen by --preset"),
        (["--set", "env.network=x"], "env.network = 'x': unknown field"),
        (["--set", "env.cpu_sharing=all"], "env.cpu_sharing = 'all': "),
    ],
)  # fmt: skip
def test_bad_networks_on_the_command_line(tmp_path, arguments, message):
    assert message in refused("train", "--preset", "smoke", "--out", tmp_path / "r", *arguments)
    assert not (tmp_path / "r").exists()


# --- keys that were made before -----------------------------------------------------------------


def test_younger_fields_are_left_out_at_their_old_value():
    old = TrainConfig.from_preset("companion", OLD)
    values = json.loads(old.canonical_json())
    assert not TrainConfig.younger().keys() & values.keys()
    assert not EnvConfig.younger().keys() & values["env"].keys()
    assert TrainConfig.younger() == {
        "averaged": 0.0, "centre_steps": "slots", "gaussian": "bounded",
    }  # fmt: skip
    assert EnvConfig.younger().items() >= {"cpu_sharing": "served"}.items()
    new = json.loads(TrainConfig.from_preset("companion").canonical_json())
    assert new["env"]["cpu_sharing"] == "slices" and new["gaussian"] == "original"
    assert "cpu_sharing" not in json.loads(old.env.canonical_json())
    for name, other in {"averaged": 0.5, "centre_steps": "frames", "gaussian": "original"}.items():
        assert json.loads(old.replace(**{name: other}).canonical_json())[name] == other
    hosted = json.loads(old.replace(env={"cpu_sharing": "hosted"}).canonical_json())
    assert hosted["env"]["cpu_sharing"] == "hosted"


def test_a_field_with_the_mark_leaves_keys_alone():
    class Longer(EnvConfig):
        reading: str = Field("new", json_schema_extra={"before": "old"})

    class Whole(TrainConfig):
        env: Longer = Field(default_factory=Longer)
        wrong: int = Field(0, json_schema_extra={"before": 0})

    old = Whole(env={"reading": "old"})
    assert config_key(old) == config_key(TrainConfig())
    for other in (Whole(), old.replace(wrong=1)):
        assert config_key(other) != config_key(old)
    for run in (old, Whole()):
        assert Whole.from_dict(json.loads(run.canonical_json())) == run


def test_younger_fields_that_are_missing_have_their_old_value():
    """Also where the default is another one by now; what is there is not overwritten."""
    for run in (
        TrainConfig(),
        TrainConfig.from_preset("smoke"),
        TrainConfig.from_preset("smoke", OLD),
    ):
        assert TrainConfig.from_dict(json.loads(run.canonical_json())) == run
    read = TrainConfig.from_dict({})
    assert (read.averaged, read.gaussian, read.env.cpu_sharing) == (0.0, "bounded", "served")
    assert read.env.objective_scale == EnvConfig().objective_scale, "not a younger field"
    read = TrainConfig.from_dict({"gaussian": "original", "env": {"cpu_sharing": "slices"}})
    assert (read.gaussian, read.env.cpu_sharing) == ("original", "slices")
    given = {"env": {"num_users": 3}}
    TrainConfig.from_dict(given)
    assert given == {"env": {"num_users": 3}}, "what was given was changed in place"
    whole = EnvConfig(num_users=3)
    assert TrainConfig.from_dict({"env": whole}).env == whole


@pytest.mark.parametrize("network", NETWORKS)
def test_json_has_every_field_and_gives_the_same_settings_back(network):
    env = EnvConfig.named(network)
    assert EnvConfig(**env.json_values()) == EnvConfig.from_dict(env.json_values()) == env
    assert EnvConfig.from_dict(json.loads(env.canonical_json())) == env
    run = TrainConfig.from_preset("companion", network)
    assert TrainConfig(**run.json_values()) == TrainConfig.from_dict(run.json_values()) == run
    assert list(run.json_values()) == sorted(TrainConfig.model_fields)
    assert run.json_values()["env"] == run.env.json_values()


MANIFESTS = {
    f"{file.parts[-3]}/{file.parts[-2]}": json.loads(file.read_text(encoding="utf-8"))
    for file in sorted(RESULTS.glob("*/*/manifest.json"))
}


@pytest.mark.parametrize("name", [name for name, one in MANIFESTS.items() if one.get("runs")])
def test_committed_settings_still_have_their_key(name):
    for one in MANIFESTS[name]["runs"]:
        config = TrainConfig.from_dict(one["config"])
        assert config_key(config, MANIFESTS[name]["results_version"]) == one["sha256"]


@pytest.mark.parametrize("preset", ["quick", "companion"])
def test_committed_references_are_of_these_settings(preset):
    known = MANIFESTS[f"{preset}/references"]
    assert references.TABLE.key(preset, known["results_version"]) == known["key"]


PLANNED = {
    "tradeoff": ("f096d26c092a", "e35558c2dbb8"),
    "constrained": ("f6580e29d5dc", "461b936e2c6a"),
    "priced": ("3b45a3e51f4f", "dd9701deee53"),
    "ablations": ("6f42f7536177", "bacb26f15678"),
    "maddpg": ("37630c9eabaf", "ffcceb391a4b"),
}
"""Digests of all keys that commit 8e49fe6 planned for quick and companion, when there was but one
network and results were of version 4."""


def keys_of(name, preset, version):
    runs = grids.find(name).runs(preset)
    return sorted(replace(planned, version=version).key for planned in runs)


@pytest.mark.parametrize("name", PLANNED)
def test_what_is_beyond_the_paper_plans_the_same_runs_as_before(name):
    experiment = grids.find(name)
    assert experiment.network == OLD
    for preset, expected in zip(("quick", "companion"), PLANNED[name], strict=True):
        assert digest(keys_of(name, preset, 4))[:12] == expected, preset


def test_what_was_published_is_still_planned():
    """Its Figs. 4 to 6 of the preset ``paper``."""
    assert digest(keys_of("published", "paper", 4))[:12] == "77dfe805dd16"


@pytest.mark.parametrize("name", PLANNED)
@pytest.mark.parametrize("preset", ["quick", "companion"])
def test_planned_runs_are_the_committed_ones(name, preset):
    """Rows of the same variant, seed and place have the same key."""
    manifest = MANIFESTS[f"{preset}/{name}"]
    committed = {one["run"] for one in manifest["runs"]}
    keys = set(keys_of(name, preset, manifest["results_version"]))
    assert len(keys & committed) >= (0.7 if name == "tradeoff" else 1) * len(keys)
