"""Which runs can learn side by side."""

import pytest
from tiny import TINY

from dtlib import ConfigError, sample_world, simulate
from dtlib.training.side_by_side import alike
from dtlib.training.train import train_together


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 7}, "epochs = 7: runs side by side must have the same, another has"),
        ({"env": {"num_users": 5}}, r"env\.num_users = 5: runs side by side"),
        ({"env": {"num_bs": 3}}, r"env\.num_bs = 3: runs side by side"),
        ({"env": {"frame_slots": 21}}, r"env\.frame_slots = 21: runs side by side"),
        ({"env": {"frames": 6}}, r"env\.frames = 6: runs side by side"),
    ],
)
def test_runs_that_do_not_fit_together(changes, message):
    other = TINY.replace(**changes)
    with pytest.raises(ConfigError, match=message):
        train_together([TINY, other])
    assert alike([TINY, other, TINY.replace(seed=5)]) == [[TINY, TINY.replace(seed=5)], [other]]


def test_each_runs_policies_know_its_own_network():
    """P_max, for one, is its own and not the first run's."""
    weak = TINY.replace(env={"max_power_w": 0.25})
    runs = train_together([TINY, weak])
    assert [run.policies.config for run in runs] == [TINY, weak]
    world = sample_world(weak.env, 0)
    simulate(world, runs[1].policies.act(world), weak.env)  # refuses powers above
