"""Calibration: the bar moves silence and nothing else, to where the worst user just holds."""

import pytest
import torch

from dtlib import EnvConfig, Policies, TrainConfig, simulate, train
from dtlib.baselines.rules import EqualPower, Reference
from dtlib.model.simulator import initial_carry
from dtlib.model.world import sample_world
from dtlib.runtime.seeds import stream_seed
from dtlib.training import calibration
from dtlib.training.calibration import (
    BARS,
    BISECTIONS,
    Priced,
    Target,
    calibrate,
    operate,
)
from dtlib.training.evaluation import evaluate_policy, evaluation_env


@pytest.fixture(scope="module")
def run():
    return train(TrainConfig.from_preset("smoke", "work-conserving", episodes=6))


def worst(run):
    return evaluate_policy(
        run.policies, evaluation_env(run.config.env), worlds=2, stream="tuning"
    ).worst_user


def test_a_higher_bar_silences_more_and_changes_no_level(run):
    world = sample_world(evaluation_env(run.config.env), stream_seed("tuning", 0))
    powers = []
    for bar in torch.linspace(*BARS, 161).tolist():
        run.policies.bar = bar
        powers.append(run.policies.act(world).power)
    for more, fewer in zip(powers, powers[1:], strict=False):
        sent = fewer > 0
        assert torch.equal(more[sent], fewer[sent]) and (more > 0).sum() >= sent.sum()
    counts = [int((power > 0).sum()) for power in powers]
    assert counts[0] > 0 == counts[-1] and len(set(counts)) > 2


@pytest.mark.parametrize("target", [0.1, 0.3])
def test_the_bar_is_the_highest_that_holds(run, target):
    run.policies.bar = BARS[1]
    assert worst(run) > target, "silence does not hold"
    bar = calibrate(run, Target(target), worlds=2)
    assert run.policies.bar == bar and worst(run) <= target
    run.policies.bar = bar + (BARS[1] - BARS[0]) / 2**BISECTIONS
    assert worst(run) > target


def test_training_and_exploration_do_not_know_the_bar(run):
    world = sample_world(run.config.env, 3)
    found = []
    for bar in (-4.0, 4.0):
        run.policies.bar = bar
        generator = torch.Generator().manual_seed(1)
        found.append(run.policies.act(world, [generator]).power)
    assert torch.equal(*found) and run.config.chooses_silence


def test_what_is_reported_is_at_the_bar(run):
    bar = calibrate(run, Target(0.3))
    found = operate(run, Target(0.3), worlds=20, stream="held-out")
    assert bar == run.policies.bar
    again = evaluate_policy(run.policies, evaluation_env(run.config.env), worlds=20)
    assert found.summary() == again.summary()


def test_each_user_may_have_a_bar_of_its_own(run):
    world = sample_world(evaluation_env(run.config.env), stream_seed("tuning", 0))
    run.policies.bar = 0.25
    shift = torch.linspace(-1, 1, run.config.env.num_users, dtype=torch.float64)[None]
    together = run.policies.at(shift).act(world).power
    for user, lower in enumerate(shift[0].tolist()):
        run.policies.bar = 0.25 - lower
        assert torch.equal(together[..., user], run.policies.act(world).power[..., user])


GAIN = 0.01


class Watched:
    """Sends as hard as it is told to; remembers what it was told, and where."""

    def __init__(self):
        self.told, self.slots = [], []

    def at(self, shift):
        self.told.append(shift)
        return self

    def act(self, world, *, carry, env):
        self.slots.append(range(carry.slot, carry.slot + world.slots))
        power = EqualPower(1e-5 * (1 + self.told[-1].sum().item()))
        return Reference(env, power).act(world, carry=carry)


def test_the_price_is_the_queue_at_each_frame():
    """The shift that a policy is told is GAIN Y[qT] of what its own actions lead to, by (15)."""
    env = EnvConfig(num_users=4, num_bs=2, frame_slots=5, frames=6, migration_slots=1)
    world, watched = sample_world(env, 1), Watched()
    start = torch.full((1, 4), 3.0, dtype=torch.float64)
    actions = Priced(watched.at, GAIN).act(world, carry=initial_carry(world, start), env=env)
    assert watched.slots == [range(slot, slot + 5) for slot in range(0, 30, 5)]
    failure = simulate(world, actions, env, carry=initial_carry(world, start)).failure[0]
    queue, expected = [3.0] * 4, []
    for slot in range(30):
        if slot % 5 == 0:
            expected.append([GAIN * failures for failures in queue])
        queue = [max(y + float(x) - 0.2, 0) for y, x in zip(queue, failure[slot], strict=True)]
    assert torch.allclose(torch.cat(watched.told), torch.tensor(expected, dtype=torch.float64))
    assert failure.any() and max(map(max, expected)) > 3 * GAIN


def test_a_price_is_told_at_frames_also_where_one_begins_within():
    env = EnvConfig(num_users=4, num_bs=2, frame_slots=5, frames=3, migration_slots=1)
    world, watched = sample_world(env, 1), Watched()
    start = world.window(0, 3)
    carry = simulate(start, Reference(env, EqualPower(1e-9)).act(start), env).carry
    Priced(watched.at, 0.1).act(world.window(3, 15), carry=carry, env=env)
    assert watched.slots == [range(3, 5), range(5, 10), range(10, 15)]


def test_operating_with_a_price_carries_the_queue(run, monkeypatch):
    told = []
    monkeypatch.setattr(
        calibration, "evaluate_policy",
        lambda policy, env, **how: told.append((type(policy), how["carry_queue"], how["stream"])),
    )  # fmt: skip
    for target in (Target(0.3), Target(0.3, gain=0.01)):
        operate(run, target, worlds=1, stream="tuning")
    assert told == [(Policies, False, "tuning"), (Priced, True, "tuning")]


def test_a_price_makes_users_alike(run):
    """Who fails more often than others is made to send sooner."""
    spread = []
    for target in (Target(0.3), Target(0.3, gain=0.01)):
        calibrate(run, target, worlds=2)
        users = operate(run, target, worlds=2, stream="tuning").users
        assert users.failure_ratio_slots.max() <= 0.3
        spread.append(users.failure_ratio_slots.std())
    assert spread[1] < spread[0]


def test_names_of_targets():
    assert str(Target(0.175)) == "0.175" and str(Target(0.195, 0.03)) == "0.195-gain0.03"
