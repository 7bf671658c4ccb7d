"""Extreme but valid settings, for all algorithms, evaluation and genie: finite where defined."""

import numpy as np
import pytest

from dtlib import TrainConfig, evaluate, sample_world
from dtlib.baselines.admission import genie_under_threshold
from dtlib.experiments.experiment import LEARNERS
from dtlib.settings.presets import NETWORKS
from dtlib.training.loop import Trainer

pytestmark = pytest.mark.filterwarnings("error")
CHEAP = {"worlds": 1, "epochs": 1, "hidden_sizes": (8,), "updates_per_frame": 1, "batch_size": 8}
SMALL = {"num_users": 3, "num_bs": 2, "frames": 2, "frame_slots": 5, "migration_slots": 1}
EXTREMES = {
    "one user": {"num_users": 1},
    "one base station": {"num_bs": 1},
    "one of each": {"num_users": 1, "num_bs": 1},
    "many": {"num_users": 200, "num_bs": 50, "frame_slots": 2},
    "no requests": {"request_prob": 0.0},
    "always requests": {"request_prob": 1.0},
    "no migration time": {"migration_slots": 0},
    "two slots": {"frames": 1, "frame_slots": 2},
    "no line of sight": {"rician_factor": 0.0},
    "no fading": {"rician_factor": 1e9},
    "a metre wide": {"area_m": 1.0},
    "a thousand kilometres wide": {"area_m": 1e6},
    "hardly any power": {"max_power_w": 1e-12},
    "no weight of energy": {"control_factor": 0.0},
    "whole slices": {"cpu_sharing": "whole"},
    "whole slices of one base station": {"cpu_sharing": "whole", "num_bs": 1},
}
MAY_BE_NAN = {"entropy", "approx_kl", "clip_fraction", "log_factor_min", "log_factor_max",
              "explained_variance_global", "explained_variance_centre", "critic_loss", "q_mean",
              "failure_ratio_requests"}  # fmt: skip
"""Of no data, of MAPPO, of constant returns, of no request: empty cells, as documented."""


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", EXTREMES)
def test_learning_and_evaluation(name, network, monkeypatch):
    monkeypatch.setattr("dtlib.training.evaluation.EVALUATION_FRAMES", 2)
    for algorithm in LEARNERS:
        config = TrainConfig.from_preset(
            "smoke", network, algorithm=algorithm, env=SMALL | EXTREMES[name], **CHEAP
        )
        trainer = Trainer([config])
        row = trainer.episode()[0]
        undefined = {column for column, value in row.items() if not np.isfinite(value)}
        assert undefined <= MAY_BE_NAN, (algorithm, undefined)
        assert all(array.isfinite().all() for array in trainer.state(0).values()), algorithm
        found = evaluate(trainer.run_so_far(0), worlds=1)
        for table in (found.worlds, found.users):
            bare = table.drop(columns=MAY_BE_NAN, errors="ignore")
            assert np.isfinite(bare.to_numpy(float)).all(), algorithm
        if config.env.request_prob:
            assert row["failure_ratio_requests"] <= 1


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", [name for name in EXTREMES if name != "many"])
def test_genie(name, network):
    env = TrainConfig.from_preset("smoke", network, env=SMALL | EXTREMES[name]).env
    found = genie_under_threshold(sample_world(env, 0), env, env.failure_threshold)
    assert found.bound_j >= 0 and not np.isnan(found.energy_j)
    assert found.energy_j >= found.bound_j * (1 - 1e-9) or np.isinf(found.bound_j)
