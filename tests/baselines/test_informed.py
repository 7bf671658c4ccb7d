"""The informed limit: it answers as the simulator does, its slopes are right, its target counts."""

from dataclasses import replace

import pytest
import torch
from draws import seeded
from in_windows import assert_windows_are_the_whole
from spy import spy

from dtlib import Actions, ConfigError, Policies, TrainConfig, sample_world, simulate
from dtlib.baselines import informed
from dtlib.baselines.informed import Informed, soft_failures, train_informed
from dtlib.model.simulator import respond

CONFIG = TrainConfig.from_preset("smoke", silent_below=0.0, power_range_db=30.0)
ENV = CONFIG.env


def play(power=None):
    world = sample_world(ENV, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    shape = (1, ENV.slots, ENV.num_bs, ENV.num_users)
    cpu, wired = (torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    if power is None:
        draw = torch.rand(1, ENV.slots, ENV.num_users, generator=generator, dtype=torch.float64)
        power = ENV.max_power_w * 10 ** (-4 * draw)
    return world, Actions(
        power=power, cpu_share=cpu, wired_share=wired, deployment=world.association
    )


def test_a_sharp_step_is_the_simulators():
    world, actions = play()
    outcome = simulate(world, actions, ENV)
    late = outcome.delay_s / world.deadline_s
    sharp = soft_failures(
        world.request,
        migrating=outcome.migrating,
        delay_s=outcome.delay_s,
        deadline_s=world.deadline_s,
        temperature=1e-6,
    )
    clear = (late - 1).abs() > 1e-3
    assert torch.equal(sharp[clear] > 0.5, outcome.failure[clear])
    assert 0.1 < outcome.failure.double().mean() < 0.9


def test_slope_against_finite_differences():
    world, actions = play()
    outcome = simulate(world, actions, ENV)

    def cost(power):
        changed, migrating = replace(actions, power=power), outcome.migrating
        found = respond(world, changed, ENV, deployment=outcome.deployment, migrating=migrating)
        soft = soft_failures(
            world.request,
            migrating=outcome.migrating,
            delay_s=found.delay_s,
            deadline_s=world.deadline_s,
            temperature=0.3,
        )
        return found.energy_j.sum() + 1e-3 * soft.sum()

    with torch.enable_grad():
        power = actions.power.clone().requires_grad_()
        slope = torch.autograd.grad(cost(power), power)[0]
    direction = actions.power * torch.randn(
        power.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    step = 1e-6
    numeric = (cost(actions.power + step * direction) - cost(actions.power - step * direction)) / (
        2 * step
    )
    torch.testing.assert_close((slope * direction).sum(), numeric, rtol=1e-4, atol=1e-10)


def test_windows_are_the_whole(monkeypatch):
    """Powers are those of the policies themselves, where both send."""
    monkeypatch.setattr(informed, "WINDOW", 7)
    roaming = {"frame_slots": 10, "speed_mps": (200.0, 400.0)}
    config = CONFIG.replace(algorithm="maddpg", output_gain=1.0, env=roaming)
    policies, env = Policies(config, seeded(0)), config.env
    world = sample_world(env, 3, replicas=2)
    whole = assert_windows_are_the_whole(Informed(policies), world, env, cuts=(0, 1, 14, 30, 40))
    assert simulate(world, whole, env).migrating.any()
    asked = replace(policies.decide(world).actions, deployment=world.association)
    near = simulate(world, asked, env)
    both = world.request & ~near.migrating & (asked.power > 0)
    torch.testing.assert_close(whole.power[both], asked.power[both])


def test_it_is_trained_on_training_worlds_each_once(monkeypatch):
    told = []
    monkeypatch.setattr(informed, "TRAINING_WORLDS", 2)
    spy(monkeypatch, informed, "stream_seed", lambda *key: told.append(key))
    steps = informed.TRAINING_FRAMES * ENV.frame_slots // informed.TRAINING_SLOTS
    train_informed(CONFIG.replace(seed=3), 0.1, steps=2 * steps + 1)
    assert told == [("world", 3, number) for number in range(6)]


def test_it_repeats():
    first, again = (train_informed(CONFIG, 0.1, steps=30) for _ in range(2))
    assert torch.equal(first.policies.users.flat, again.policies.users.flat)


def test_it_learns():
    ends = {target: train_informed(CONFIG, target, steps=300) for target in (0.1, 0.02)}
    world = sample_world(ENV, seed=5)
    often, seldom = (simulate(world, ends[target].act(world), ENV) for target in (0.1, 0.02))
    # steps are few: the target itself is not met
    assert often.energy_j.mean() < 0.95 * seldom.energy_j.mean()
    assert seldom.failure.float().mean() < often.failure.float().mean()


def test_bad_targets():
    for target in (0.0, 1.0, -1.0):
        with pytest.raises(ConfigError, match=f"target = {target}: must be above 0 and below 1"):
            train_informed(CONFIG, target)
    with pytest.raises(ConfigError, match="steps = 0"):
        train_informed(CONFIG, 0.1, steps=0)
