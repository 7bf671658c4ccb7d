"""What is no world, no network or no actions of it is refused in one line."""

from dataclasses import replace

import pytest
from by_loops import random_actions

from dtlib import ConfigError, EnvConfig, Policies, TrainConfig, sample_world, simulate
from dtlib.model.simulator import check_actions, initial_carry


@pytest.mark.parametrize("network", ["section-v", "work-conserving"])
@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("power", -0.1, "[0, 0.5]"),
        ("power", 0.6, "[0, 0.5]"),
        ("power", float("nan"), "[0, 0.5]"),
        ("cpu_share", -1.0, "[0, 1e+30]"),
        ("cpu_share", float("inf"), "[0, 1e+30]"),
        ("wired_share", float("nan"), "[0, 1e+30]"),
        ("wired_share", 3e38, "[0, 1e+30]"),
        ("deployment", 2, "[0, 1]"),
        ("deployment", -1, "[0, 1]"),
    ],
)
def test_check_actions_names_what_is_wrong(name, value, rule, network):
    size = {"num_users": 3, "num_bs": 2, "frame_slots": 4, "frames": 1, "migration_slots": 1}
    env = EnvConfig.named(network, **size)
    if name == "cpu_share" and network == "section-v":
        rule = "[0, 1]"
    world = sample_world(env, 0)
    actions = random_actions(world, env)
    array = getattr(actions, name).clone()
    array.view(-1)[1] = value
    with pytest.raises(ValueError) as caught:
        simulate(world, replace(actions, **{name: array}), env)
    text = str(caught.value)
    assert f"actions.{name}" in text and rule in text and "\n" not in text
    short = replace(actions, **{name: array[:, :-1]})
    with pytest.raises(ValueError, match=f"actions.{name} has shape"):
        check_actions(short, world, env)
    for wrong, kind in ((array.int(), "torch.int32"), (array.numpy(), "ndarray")):
        with pytest.raises(ValueError, match=f"actions.{name}: must be a tensor of .*, not {kind}"):
            check_actions(replace(actions, **{name: wrong}), world, env)


def test_what_is_no_world_no_actions_or_no_network_is_named():
    env = EnvConfig(num_users=3, num_bs=2, frame_slots=4, frames=1, migration_slots=1)
    world = sample_world(env, 0)
    actions = random_actions(world, env)
    for arguments, message in (
        ((actions, world, env), "world = .*: must be a World, such as sample_world"),
        ((world, None, env), "actions = None: must be an Actions, such as policies.act"),
        ((world, actions, {"num_users": 3}), "env = .*: must be an EnvConfig, such as run.config"),
    ):
        with pytest.raises(ConfigError, match=message):
            simulate(*arguments)


def test_what_another_world_left_is_refused():
    """Also where one replica's would fit all of another world's."""
    env = EnvConfig(num_users=3, num_bs=2, frame_slots=4, frames=1, migration_slots=1)
    two, one = (sample_world(env, 0, replicas=replicas) for replicas in (2, 1))
    policies, left = Policies(TrainConfig(env=env)), initial_carry(one)
    actions = policies.act(two)
    for act in (policies.act, lambda world, carry: simulate(world, actions, env, carry=carry)):
        with pytest.raises(ConfigError, match=r"carry has \[R, K\] = \(1, 3\): must be \(2, 3\)"):
            act(two, carry=left)
        with pytest.raises(ConfigError, match="carry = 5: must be a Carry, such as outcome.carry"):
            act(two, carry=5)
