"""Settings: Table I, errors of one line, presets, and text that identifies a configuration."""

from __future__ import annotations

import json
import math

import pytest
import torch
from by_loops import networks
from hypothesis import assume, given
from hypothesis import strategies as st

from dtlib import ConfigError, EnvConfig, TrainConfig
from dtlib.settings.presets import PRESETS

BAD = {
    "no users": ({"num_users": 0}, "num_users", "0", "greater than or equal to 1"),
    "negative users": ({"num_users": -3}, "num_users", "-3", "greater than or equal to 1"),
    "half a user": ({"num_users": 2.5}, "num_users", "2.5", "integer"),
    "users in words": ({"num_users": "ten"}, "num_users", "'ten'", "integer"),
    "endless users": ({"num_users": math.inf}, "num_users", "inf", "finite"),
    "no users given": ({"num_users": None}, "num_users", "None", "integer"),
    "no stations": ({"num_bs": 0}, "num_bs", "0", "greater than or equal to 1"),
    "too many stations": ({"num_bs": 501}, "num_bs", "501", "less than or equal to 500"),
    "no frames": ({"frames": 0}, "frames", "0", "greater than or equal to 1"),
    "empty frames": ({"frame_slots": 0}, "frame_slots", "0", "greater than or equal to 1"),
    "negative power": ({"max_power_w": -0.5}, "max_power_w", "-0.5", "greater than 0"),
    "no power": ({"max_power_w": 0}, "max_power_w", "0", "greater than 0"),
    "power not a number": ({"max_power_w": math.nan}, "max_power_w", "nan", "finite"),
    "infinite CPU": ({"cpu_hz": math.inf}, "cpu_hz", "inf", "finite"),
    "no noise to speak of": ({"noise_w": 1e-31}, "noise_w", "1e-31", "should be 1e-30 to 1e30, as"),
    "no power in float32": ({"max_power_w": 1e-46}, "max_power_w", "1e-46", "1e-30 to 1e30, as"),
    "too sudden": (
        {"speed_std_mps": 1e39},
        "speed_std_mps",
        "1e+39",
        "should be 1e-30 to 1e30, as",
    ),
    "too wide a band": ({"bandwidth_hz": 1e39}, "bandwidth_hz", "1e+39", "should be 1e-30 to 1e30"),
    "infinite noise": ({"noise_w": -math.inf}, "noise_w", "-inf", "finite"),
    "probability above one": ({"request_prob": 1.5}, "request_prob", "1.5", "less than or equal"),
    "probability nan": ({"request_prob": math.nan}, "request_prob", "nan", "finite"),
    "speeds reversed": ({"speed_mps": (10, 2)}, "speed_mps", "(10.0, 2.0)", "lower end"),
    "data reversed": ({"data_bits": (3e4, 2e4)}, "data_bits", "(30000.0, 20000.0)", "lower end"),
    "cycles reversed": ({"cycles_per_bit": (9, 8)}, "cycles_per_bit", "(9.0, 8.0)", "lower end"),
    "deadline reversed": ({"deadline_s": (0.05, 0.04)}, "deadline_s", "(0.05, 0.04)", "lower end"),
    "half a range": ({"speed_mps": 3}, "speed_mps", "3", "tuple"),
    "range of three": ({"speed_mps": (1, 2, 3)}, "speed_mps", "(1, 2, 3)", "at most 2"),
    "range with nan": ({"speed_mps": (math.nan, 2)}, "speed_mps.0", "nan", "finite"),
    "range below zero": ({"data_bits": (-1, 2)}, "data_bits.0", "-1", "greater than 0"),
    "deadline above slot": ({"deadline_s": (0.01, 0.2)}, "deadline_s", "(0.01, 0.2)", "slot_s"),
    "G = T": ({"migration_slots": 100}, "migration_slots", "100", "below frame_slots = 100"),
    "G > T": ({"frame_slots": 3}, "migration_slots", "5", "below frame_slots = 3"),
    "G < 0": ({"migration_slots": -1}, "migration_slots", "-1", "greater than or equal to 0"),
    "threshold of none": ({"failure_threshold": 0}, "failure_threshold", "0", "greater than 0"),
    "threshold of one": ({"failure_threshold": 1}, "failure_threshold", "1", "less than 1"),
    "flat path loss": ({"path_loss_exponent": 1.9}, "path_loss_exponent", "1.9", "equal to 2"),
    "memory above one": ({"speed_memory": 2}, "speed_memory", "2", "less than or equal to 1"),
    "reading": ({"interference": "eq8"}, "interference", "'eq8'", "'receiver' or 'eq7'"),
    "not a truth": ({"queue_reset": 7}, "queue_reset", "7", "boolean"),
    "mistyped": ({"nun_users": 3}, "nun_users", "3", "unknown field; did you mean num_users?"),
    "unknown": ({"zzz": 3}, "zzz", "3", "unknown field; known are num_users, num_bs"),
    "many lines": ({"speed_mps": torch.eye(3)}, "speed_mps", "tensor([[1., 0., 0.], [0.", "tuple"),
    "newline": ({"num_users": "1\n2"}, "num_users", "'1\\n2'", "integer"),
}


def _error(make) -> str:
    with pytest.raises(ConfigError) as caught:
        make()
    text = str(caught.value)
    assert len(text.splitlines()) == 1 and text == text.strip()
    return text


@pytest.mark.parametrize(("changes", "field", "value", "rule"), BAD.values(), ids=BAD)
def test_bad_network_is_one_line(changes, field, value, rule):
    text = _error(lambda: EnvConfig(**changes))
    assert text.startswith(f"{field} = {value}")
    assert rule in text
    assert _error(lambda: EnvConfig().replace(**changes)) == text


WAYS = {
    "from_preset": lambda changes: TrainConfig.from_preset(env=changes),
    "smoke": lambda changes: TrainConfig.from_preset("smoke", env={"frame_slots": 100} | changes),
    "constructor": lambda changes: TrainConfig(env=changes),
    "replace": lambda changes: TrainConfig().replace(env=changes),
    "from_dict": lambda changes: TrainConfig.from_dict({"env": changes}),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("case", ["no users", "speeds reversed", "G = T", "mistyped", "range nan"])
def test_bad_network_inside_a_run_is_named_with_env(way, case):
    changes, field, value, rule = BAD.get(case, BAD["range with nan"])
    text = _error(lambda: way(changes))
    assert text.startswith(f"env.{field} = {value}")
    assert rule.replace("mean ", "mean env.") in text


@pytest.mark.parametrize(
    ("changes", "start", "rule"),
    [
        ({"algorithm": "ppo"}, "algorithm = 'ppo'", "beta-happo"),
        ({"preset": "huge"}, "preset = 'huge'", "'smoke', 'quick', 'companion' or 'paper'"),
        ({"episodes": 0}, "episodes = 0", "greater than or equal to 1"),
        ({"learning_rate": math.nan}, "learning_rate = nan", "finite"),
        ({"learning_rate": -1e-4}, "learning_rate = -0.0001", "greater than 0"),
        ({"power_range_db": 4000}, "power_range_db = 4000", "less than or equal to 300"),
        ({"power_top_db": math.nan}, "power_top_db = nan", "finite"),
        ({"discount": 1.1}, "discount = 1.1", "less than or equal to 1"),
        ({"hidden_sizes": (128, 0)}, "hidden_sizes.1 = 0", "greater than or equal to 1"),
        ({"silent_below": 1}, "silent_below = 1: ", "less than 1"),
        ({"max_log_factor": 81}, "max_log_factor = 81: ", "less than or equal to 80"),
        ({"target_rate": 1.1}, "target_rate = 1.1: ", "less than or equal to 1"),
        ({"target_rate": 0}, "target_rate = 0: ", "greater than 0"),
        ({"seed": -1}, "seed = -1", "greater than or equal to 0"),
        ({"seed": 2**31}, "seed = 2147483648: ", "equal to 2147483647"),
        (
            {"algorithm": "maddpg", "worlds": 3, "replay_slots": 3},
            "replay_slots = 3",
            "must be above worlds = 3",
        ),
        ({"credit": "each"}, "credit = 'each'", "'joint', 'per-user' or 'difference'"),
        ({"lerning_rate": 1}, "lerning_rate = 1", "did you mean learning_rate?"),
        ({"env": 5}, "env = 5", "EnvConfig, such as env.num_users=12 on the command line"),
        ({"credit": "per_user"}, "credit = 'per_user'", "; did you mean 'per-user'?"),
        ({"env": [("num_users", 3)]}, "env = [('num_users', 3)]", "EnvConfig"),
    ],
)
def test_bad_run_is_one_line(changes, start, rule):
    text = _error(lambda: TrainConfig(**changes))
    assert text.startswith(start) and rule in text
    if "preset" not in changes:
        assert _error(lambda: TrainConfig.from_preset(**changes)) == text
    assert _error(lambda: TrainConfig().replace(**changes)) == text


@pytest.mark.parametrize("preset", ["huge", "", None, 3, ["quick"], "Quick"])
def test_unknown_preset(preset):
    text = _error(lambda: TrainConfig.from_preset(preset))
    hint = "; did you mean 'quick'?" if preset == "Quick" else ""
    assert text == f"preset = {preset!r}: must be one of smoke, quick, companion, paper{hint}"


@pytest.mark.parametrize("values", [[], "text", None, 3])
def test_settings_that_are_no_mapping(values):
    assert _error(lambda: TrainConfig.from_dict(values)).startswith(f"settings = {values!r}")


def test_ends_that_touch_are_allowed():
    TrainConfig(algorithm="maddpg", worlds=3, replay_slots=4)
    TrainConfig(algorithm="beta-happo", worlds=3, replay_slots=3)
    EnvConfig(speed_mps=(3, 3), deadline_s=(0.05, 0.05), frame_slots=6, migration_slots=5)


def test_long_values_are_cut_and_further_problems_counted():
    text = _error(lambda: EnvConfig(max_power_w="9" * 5000 + "x", request_prob=2))
    assert len(text) < 200 and "…" in text and text.endswith("(and 1 more)")


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.lists(st.floats(), max_size=3), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip


@given(st.sampled_from(list(TrainConfig.model_fields)), ANYTHING)
def test_anything_is_accepted_or_refused_in_one_line(field, value):
    try:
        TrainConfig(**{field: value})
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
        assert str(error).startswith(field)


@given(st.sampled_from(list(EnvConfig.model_fields)), ANYTHING)
def test_anything_in_a_network_is_accepted_or_refused_in_one_line(field, value):
    try:
        EnvConfig(**{field: value})
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
        assert " = " in str(error)


def test_table_one():
    """Every number of Table I and Section V-A that the network and the learner take."""
    env = EnvConfig()
    assert (env.num_users, env.num_bs, env.frame_slots, env.frames) == (30, 5, 100, 50)
    assert env.slots == 5000
    assert (env.slot_s, env.bandwidth_hz, env.wired_rate_bps) == (0.05, 10e6, 10e6)
    assert (env.max_power_w, env.cpu_hz, env.request_prob) == (0.5, 10e9, 0.5)
    assert env.ref_gain == pytest.approx(10 ** (-30 / 10))
    assert env.noise_w == pytest.approx(10 ** (-90 / 10))
    assert (env.rician_factor, env.area_m, env.speed_mps) == (10, 1000, (2, 10))
    assert (env.data_bits, env.cycles_per_bit) == ((15e3, 25e3), (550, 700))
    assert (env.failure_threshold, env.control_factor, env.reward_scale) == (0.2, 1, 100)
    run = TrainConfig()
    assert (run.episodes, run.epochs, run.learning_rate, run.discount) == (150, 25, 1e-4, 0.9)
    assert run.hidden_sizes == (128, 64) and run.critic == "per-agent"
    assert run == TrainConfig.from_preset("paper")


@pytest.mark.parametrize("model", [EnvConfig, TrainConfig])
def test_every_field_has_a_default_and_a_description(model):
    for name, field in model.model_fields.items():
        assert field.description and not field.is_required(), name


ON_POLICY = (
    "epochs", "gae_lambda", "clip", "entropy_coef", "normalize_advantage", "critic_target",
    "critic_passes", "centre_steps",
)  # fmt: skip


def test_fields_of_one_kind_of_learner_begin_with_its_name():
    """What the others leave unused: MAPPO hands no ratio on, so M has no setting there."""
    told = {name: field.description for name, field in TrainConfig.model_fields.items()}

    def begin(who):
        return {name for name, text in told.items() if text.startswith(f"{who}: ")}

    assert begin("HAPPO and MAPPO") == {*ON_POLICY}
    assert begin("HAPPO") == {"factor", "max_log_factor"}
    assert begin("Gaussian-HAPPO") == {"gaussian"}
    assert begin("MADDPG") == {
        "noise_variance", "replay_slots", "batch_size", "updates_per_frame", "target_rate",
        "gumbel_temperature",
    }  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset):
    run = TrainConfig.from_preset(preset)
    assert run.preset == preset
    for name, value in PRESETS[preset].items():
        if name != "env":
            assert getattr(run, name) == value
    for name, value in PRESETS[preset].get("env", {}).items():
        assert getattr(run.env, name) == value


def test_the_label_of_a_preset_is_no_preset():
    """``from_preset`` sets it; MADDPG has more in the preset ``paper`` than the defaults."""
    assert TrainConfig(preset="smoke") == TrainConfig().replace(preset="smoke")
    assert TrainConfig.from_preset(algorithm="beta-mappo") == TrainConfig(algorithm="beta-mappo")
    assert TrainConfig.from_preset(algorithm="maddpg") != TrainConfig(algorithm="maddpg")
    assert "label" in TrainConfig.model_fields["preset"].description
    assert "MADDPG" in TrainConfig.__doc__


def test_preset_takes_changes_on_top():
    run = TrainConfig.from_preset("smoke", seed=3, env={"num_users": 12})
    smoke = TrainConfig.from_preset("smoke")
    assert run.env == smoke.env.replace(num_users=12)
    assert (run.seed, run.epochs) == (3, smoke.epochs)
    whole = EnvConfig(num_users=2)
    assert TrainConfig.from_preset("smoke", env=whole).env == whole
    assert TrainConfig.from_preset("smoke") == smoke, "a preset was changed in place"


def test_replace_keeps_the_rest():
    run = TrainConfig.from_preset("smoke")
    other = run.replace(seed=1, env={"num_bs": 2})
    assert other.env == run.env.replace(num_bs=2) and other.env.num_users == run.env.num_users
    assert other.seed == 1 and other.epochs == run.epochs
    assert run.seed == 0 and run.env.num_bs != 2
    assert run.replace(env=EnvConfig()).env == EnvConfig()


def test_frozen_and_hashable():
    env = EnvConfig()
    with pytest.raises(ConfigError, match=r"^num_users = 3: settings are fixed; use replace\(num_"):
        env.num_users = 3
    assert env.num_users == 30
    assert hash(env) == hash(EnvConfig()) and env == EnvConfig()
    assert env != env.replace(num_users=3)
    assert len({TrainConfig(), TrainConfig(), TrainConfig(seed=1)}) == 2


@given(networks(), st.integers(0, 100))
def test_canonical_json_returns_to_the_same_settings(env, seed):
    assume(env.slots > 1)
    run = TrainConfig(env=env, seed=seed)
    text = run.canonical_json()
    assert TrainConfig.from_dict(json.loads(text)) == run
    assert hash(TrainConfig.from_dict(json.loads(text))) == hash(run)
    assert TrainConfig.from_dict(json.loads(text)).canonical_json() == text
    shuffled = dict(reversed(json.loads(text).items()))
    assert TrainConfig.from_dict(shuffled).canonical_json() == text


def test_equal_settings_have_equal_text():
    one = EnvConfig(max_power_w=1, speed_mps=[2, 10], num_users=30.0, control_factor=-0.0)
    two = EnvConfig(max_power_w=1.0, speed_mps=(2.0, 10.0), control_factor=0.0)
    assert one == two and hash(one) == hash(two)
    assert one.canonical_json() == two.canonical_json()
    assert one.canonical_json() != two.replace(num_bs=2).canonical_json()
    assert "\n" not in one.canonical_json()
    unused = {name for name, before in EnvConfig.younger().items() if getattr(one, name) == before}
    assert list(json.loads(one.canonical_json())) == sorted(EnvConfig.model_fields.keys() - unused)
