"""Calibration: the bar moves silence and nothing else, to where the worst user just holds."""

import pytest
import torch

from dtlib import TrainConfig, train
from dtlib.calibration import BARS, STEPS, calibrate, evaluate_calibrated
from dtlib.evaluation import evaluate_policy
from dtlib.seeds import stream_seed
from dtlib.training import evaluation_env
from dtlib.world import sample_world


@pytest.fixture(scope="module")
def run():
    return train(TrainConfig.from_preset("smoke", episodes=6))


def worst(run):
    return evaluate_policy(run.policies, evaluation_env(run.config), 2, "tuning").worst_user


def test_a_higher_bar_silences_more_and_changes_no_level(run):
    world = sample_world(evaluation_env(run.config), stream_seed("tuning", 0))
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
    bar = calibrate(run, target, worlds=2)
    assert run.policies.bar == bar and worst(run) <= target
    run.policies.bar = bar + (BARS[1] - BARS[0]) / 2**STEPS
    assert worst(run) > target


def test_training_and_exploration_do_not_know_the_bar(run):
    world = sample_world(run.config.env, 3)
    found = []
    for bar in (-4.0, 4.0):
        run.policies.bar = bar
        generator = torch.Generator().manual_seed(1)
        found.append(run.policies.act(world, [generator]).power)
    assert torch.equal(*found) and TrainConfig.from_preset("smoke").chooses_silence


def test_what_is_reported_is_at_the_bar(run):
    bar, found = evaluate_calibrated(run, 0.3)
    assert bar == run.policies.bar
    again = evaluate_policy(run.policies, evaluation_env(run.config), 20)
    assert found.summary() == again.summary()
