"""The operating point of a trained policy: how sure an MU has to be that it should send.

Reference policies are tuned on tuning worlds until (14b) just holds for every user. A learner that
chooses silence has a number for that as well, though it learnt at another point of the trade-off:
the logit above which its mean action is to send. Nothing else of the policy changes.
"""

from __future__ import annotations

from dtlib.evaluation import WORLDS, Evaluation, evaluate_policy
from dtlib.training import Run, evaluation_env

MARGIN = 0.175
"""What policies are tuned to on tuning worlds, so that 0.2 holds on others as well."""
BARS, STEPS = (-4.0, 4.0), 8
"""Logits that are considered, and how often the interval is halved: to 0.03."""


def calibrate(run: Run, target: float, worlds: int = WORLDS["tuning"]) -> float:
    """Set the largest bar with which no user fails in more than a share of slots; return it.

    Args:
        run: its policies are changed; their MUs choose silence.
        target: largest slot failure ratio of a user in tuning worlds.
        worlds: how many of these.
    """
    low, high = BARS
    env = evaluation_env(run.config)
    for _ in range(STEPS):
        run.policies.bar = (low + high) / 2
        found = evaluate_policy(run.policies, env, worlds, "tuning")
        low, high = (
            (run.policies.bar, high) if found.worst_user <= target else (low, run.policies.bar)
        )
    run.policies.bar = low
    return low


def evaluate_calibrated(run: Run, target: float) -> tuple[float, Evaluation]:
    """Calibrate a run and evaluate it on the held-out worlds; return the bar and the results."""
    bar = calibrate(run, target)
    return bar, evaluate_policy(run.policies, evaluation_env(run.config), WORLDS["held-out"])
