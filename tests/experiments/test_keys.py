"""Keys: whatever a run's numbers depend on, and nothing else."""

from dataclasses import replace

from dtlib import TrainConfig
from dtlib.experiments import keys
from dtlib.experiments.experiment import PlannedRun
from dtlib.experiments.keys import config_key

TINY = TrainConfig.from_preset("smoke", episodes=2, env={"num_users": 3, "num_bs": 2})


def test_key_is_content():
    assert config_key(TINY) == config_key(TINY.replace())
    others = [TINY.replace(seed=1), TINY.replace(env={"request_prob": 0.4}), TINY.replace(clip=0.1)]
    assert len({config_key(config) for config in [TINY, *others]}) == 4


def test_key_changes_with_the_code(monkeypatch):
    before = config_key(TINY)
    monkeypatch.setattr(keys, "RESULTS_VERSION", -1)
    assert config_key(TINY) != before


def test_keys_of_networks_are_of_a_version():
    env, now = TINY.env, keys.RESULTS_VERSION
    assert keys.env_key(env) == keys.env_key(env, now) != keys.env_key(env, now - 1)
    run = PlannedRun("genie", TINY, 0, baseline="genie")
    assert replace(run, version=now).key == run.key != replace(run, version=now - 1).key
