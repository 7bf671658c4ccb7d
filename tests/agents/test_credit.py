"""Credit: what one user's power changes, against simulating the network again without it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from dtlib import Actions, EnvConfig, sample_world, simulate
from dtlib.agents.credit import difference_reward, reward_streams
from dtlib.agents.episode import Episode
from dtlib.settings.presets import WORK_CONSERVING

SIZE = {"num_users": 5, "num_bs": 3, "frame_slots": 4, "frames": 6, "migration_slots": 1}
SMALL = EnvConfig.named("work-conserving", **SIZE, area_m=400)


def play(env, seed=0):
    """A world, random actions with several failures, and what comes of them."""
    world = sample_world(env, seed, replicas=2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(2, env.slots, *shape, generator=generator, dtype=torch.float64)

    power = env.max_power_w * 10 ** (-4 * draw(env.num_users))
    choice = torch.where(draw(env.num_users) < 0.8, world.association, 0)
    share = env.num_bs, env.num_users
    actions = Actions(
        power=power, cpu_share=draw(*share), wired_share=draw(*share), deployment=choice
    )
    return world, actions, simulate(world, actions, env)


VARIANTS = [
    {},
    {"interference": "eq7"},
    {"energy_of_failed": "none"},
    {"energy_of_failed": "full", "objective_scale": "letter"},
    {"migrating_transmits": True, "control_factor": 0.3},
    {"objective_scale": "scaled"},
    {"cpu_sharing": "hosted", "cpu_hz": 5e9, "energy_of_failed": "full"},
    {name: getattr(EnvConfig(), name) for name in WORK_CONSERVING["env"]} | {"cpu_hz": 4e9},
]


def played(world, actions, outcome, env):
    """An episode of actions that no policy chose."""
    served = world.request & ~outcome.migrating
    sending = world.request if env.migrating_transmits else served
    decision = SimpleNamespace(
        world=world, actions=actions, env=env, sending=sending, served=served
    )
    return Episode(decision, outcome)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("factor", [0.0, 0.2, 5.0])
def test_difference_is_that_of_two_simulations(changes, factor):
    env = SMALL.replace(**changes)
    world, actions, outcome = play(env)
    instead = actions.power * factor
    found = difference_reward(played(world, actions, outcome, env), instead)
    sends = outcome.sinr > 0
    assert 0.1 < outcome.failure.double().mean() < 0.9 and sends.any() and not sends.all()
    for user in range(env.num_users):
        power = actions.power.clone()
        power[..., user] = instead[..., user]
        louder = env.replace(max_power_w=5 * env.max_power_w)  # for powers of five times as much
        other = simulate(world, replace(actions, power=power), louder)
        # The queue of later slots differs: take the reward under the queue as it was.
        pressure = env.control_factor * outcome.frame_queue
        users, nu = env.num_users, env.reward_scale
        scale = {"scaled": nu / users, "mean": 1 / users, "letter": nu}[env.objective_scale]
        energy = nu * (other.energy_j - outcome.energy_j)
        energy /= users * (env.slots if env.objective_scale == "letter" else 1)
        failed = other.failure.double() - outcome.failure.double()
        expected = (energy + scale * pressure * failed).sum(-1)
        expected = torch.where(sends[..., user], expected, 0)
        torch.testing.assert_close(found[..., user], expected, rtol=1e-9, atol=1e-9)


def test_transmissions_are_worked_off_in_chunks(monkeypatch):
    world, actions, outcome = play(SMALL)
    episode = played(world, actions, outcome, SMALL)
    whole = difference_reward(episode, torch.zeros_like(actions.power))
    monkeypatch.setattr("dtlib.agents.credit.CHUNK", 7)
    assert (whole != 0).sum() > 14
    assert torch.equal(difference_reward(episode, torch.zeros_like(actions.power)), whole)


def test_parts_add_up_to_the_rewards():
    outcome = play(SMALL)[2]
    joint = reward_streams("joint", outcome)
    for credit in ("per-user", "difference"):
        streams = reward_streams(credit, outcome)
        for whole, parts in zip(joint, streams, strict=True):
            assert whole.shape == (1, 2, SMALL.slots)
            assert parts.shape == (SMALL.num_users, 2, SMALL.slots)
            torch.testing.assert_close(parts.sum(0), whole[0])
