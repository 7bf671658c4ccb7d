"""What the step-wise environment refuses: one line on what is allowed, and nothing played."""

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence

from dtlib import ConfigError, EnvConfig, TrainConfig
from dtlib.pettingzoo import parallel_env

SMALL = EnvConfig(num_users=4, num_bs=2, frames=3, frame_slots=8, migration_slots=2)
BAD = {
    "too much power": ("mu_3", np.array([1.5], np.float32), "mu_3: action[0] = 1.5: must be "),
    "negative weight": ("bs_1", np.full(8, -0.25), "bs_1: action[0] = -0.25: must be a number in"),
    "nan": ("mu_0", np.array([np.nan]), "mu_0: action[0] = nan: must be a number in [0, 1]"),
    "no such server": (
        "centre",
        [0, 1, 2, 0],
        "centre: action[2] = 2: must be an integer in [0, 1]",
    ),
    "negative server": ("centre", [0, 1, 0, -1], "centre: action[3] = -1: must be an integer in"),
    "fraction of a server": ("centre", np.full(4, 0.5), "centre: action = array([0.5, 0.5, 0.5"),
    "wrong shape": ("bs_0", np.zeros(3), "(shape (3,), float64): must be 8 numbers in [0, 1]"),
    "scalar": ("mu_1", 0.5, "mu_1: action = 0.5 (shape (), float64): must be a number in [0, 1]"),
    "ragged": ("bs_0", [[1], [1, 2]], "bs_0: action = [[1], [1, 2]] (shape (), object): must be "),
    "text": ("mu_2", ["high"], "mu_2: action = ['high'] (shape (1,), <U4): must be a number"),
    "none": ("mu_2", None, "mu_2: action = None (shape (), object): must be a number in [0, 1]"),
    "unknown agent": ("mu_4", np.zeros(1), "'mu_4': unknown agent; must be one of mu_0 … mu_3"),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses_actions_outside_their_space(name):
    agent, value, line = BAD[name]
    stepper = parallel_env(SMALL)
    stepper.reset(seed=0)
    actions = {one: stepper.action_space(one).sample() for one in stepper.agents}
    with pytest.raises(ValueError) as error:
        stepper.step(actions | {agent: value})
    assert line in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 250
    # Nothing was played: the episode goes on as if the bad step had not been tried.
    fresh = parallel_env(SMALL)
    fresh.reset(seed=0)
    assert data_equivalence(stepper.step(actions), fresh.step(actions), exact=True)


def test_refuses_missing_actions():
    stepper = parallel_env(SMALL)
    stepper.reset(seed=0)
    actions = {one: stepper.action_space(one).sample() for one in stepper.agents}
    del actions["bs_1"]
    with pytest.raises(ValueError, match="bs_1: no action; must be given for each of mu_0"):
        stepper.step(actions)
    with pytest.raises(ValueError, match="actions = None: must be a dict"):
        stepper.step(None)


def test_refuses_to_step_without_an_episode():
    stepper = parallel_env(SMALL)
    assert stepper.agents == []
    for call in (lambda: stepper.step({}), stepper.state):
        with pytest.raises(ResetNeeded, match="call reset"):
            call()
    stepper.reset(seed=0)
    while stepper.agents:
        stepper.step({one: stepper.action_space(one).sample() for one in stepper.agents})
    with pytest.raises(ResetNeeded, match="call reset"):
        stepper.step({})


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: parallel_env(EnvConfig(deployment_decision="frame-start")),
            "deployment_decision = 'frame-start': must be 'frame-end'",
        ),
        (lambda: parallel_env(render_mode="human"), "render_mode = 'human': must be None or"),
        (
            lambda: parallel_env({"num_users": 3}),
            "config = {'num_users': 3}: must be an EnvConfig, such as EnvConfig(num_users=12)",
        ),
        (lambda: parallel_env(TrainConfig()), "config = TrainConfig(algorithm='beta-happo', pre"),
    ],
)
def test_refuses_settings_in_one_line(make, line):
    with pytest.raises(ConfigError) as error:
        make()
    assert line in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("seed", [-1, 0.5, "one", True])
def test_refuses_bad_seeds(seed):
    with pytest.raises(ValueError, match="^seed = .*: must be (an integer, )?at least 0$"):
        parallel_env(SMALL).reset(seed=seed)
