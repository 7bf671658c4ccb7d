"""What agents see and put out, and which weights count."""

import pytest
import torch
from by_loops import loop_mask

from dtlib import EnvConfig, Policies, TrainConfig, sample_world
from dtlib.agents.spaces import layouts, outputs, station_mask

ENV = EnvConfig(num_users=7, num_bs=3, frame_slots=10, frames=6, migration_slots=3)


@pytest.mark.parametrize("sharing", ["slices", "whole"])
def test_station_mask_against_a_loop(sharing):
    env = ENV.replace(cpu_sharing=sharing)
    generator = torch.Generator().manual_seed(3)
    association = torch.randint(3, (2, 8, 7), generator=generator)
    deployment = torch.randint(3, (2, 8, 7), generator=generator)
    served = torch.rand(2, 8, 7, generator=generator) < 0.5
    found = station_mask(association, env, deployment=deployment, served=served)
    assert torch.equal(found, loop_mask(association, deployment, served, env))


@pytest.mark.parametrize("algorithm", ["beta-happo", "gaussian-happo", "maddpg"])
@pytest.mark.parametrize("actors", ["per-agent", "by-twin", "shared"])
@pytest.mark.parametrize("observation", ["positions", "derived"])
def test_networks_have_the_sizes_that_are_said(algorithm, actors, observation):
    """Inputs are as long as what is observed, outputs as what the distributions need."""
    config = TrainConfig(env=ENV, algorithm=algorithm, actors=actors, observation=observation)
    policies = Policies(config, torch.Generator().manual_seed(0))
    decision = policies.decide(sample_world(ENV, 0))
    seen = {
        "users": decision.user_obs,
        "stations": decision.station_obs,
        "centre": decision.centre_obs,
    }
    parts = 1 if algorithm == "maddpg" else 2
    sizes = {"users": parts, "stations": 14 * parts, "centre": 21 if actors == "per-agent" else 3}
    for kind, stack in policies.stacks.items():
        assert stack.sizes[0] == layouts(config)[kind].size == seen[kind].shape[-1]
        assert stack.sizes[-1] == outputs(config)[kind].size == sizes[kind]
