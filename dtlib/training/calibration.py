"""The operating point of a trained policy: how sure an MU has to be that it should send.

Reference policies are tuned on tuning worlds until (14b) just holds for every user. A learner that
chooses silence has a number for that as well, though it learnt at another point of the trade-off:
the logit above which its mean action is to send. Nothing else of the policy changes.

The number may also follow each user's virtual queue (15). No observation of the paper has the
queue, but a user knows it: it counts the user's own failures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dtlib.model.simulator import Actions, Carry, simulate
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig
from dtlib.training.evaluation import WORLDS, Acts, Evaluation, evaluate_policy, evaluation_env
from dtlib.training.loop import Run

BARS, BISECTIONS = (-4.0, 12.0), 9
"""Logits that are considered, and how often the interval is halved: to 0.03."""


@dataclass(frozen=True)
class Target:
    """What an operating point has to hold on tuning worlds."""

    failures: float
    """Largest slot failure ratio of a user."""
    gain: float = 0.0
    """By how much a failure in the queue lowers the logit, if users see theirs: :class:`Priced`."""

    def __str__(self) -> str:
        return f"{self.failures:g}" + f"-gain{self.gain:g}" * bool(self.gain)


MARGIN = Target(0.175)
"""What policies are tuned to, so that the 0.2 of (14b) hold on other worlds as well."""
PRICED = Target(0.195, gain=0.03)
"""The same where users see their queues, which make up for what other worlds are like. The gain is
the one of least energy on tuning worlds among 0.001, 0.003, 0.01 and 0.03, of one run."""
CUTOFF_GAIN = 0.001
"""By how much a failure in the queue raises the logarithm of a reference policy's cut-off; of least
energy among 0.0003, 0.001 and 0.003. Gains are small, since (14b) is about the long run."""


@dataclass(frozen=True)
class Priced:
    """A policy whose users send the sooner the longer their virtual queue is.

    At the start of each frame a user's threshold falls by ``gain`` times its Y[qT]: drift plus
    penalty (19), with the queue as the price of a failure, acted on and not only learnt from.
    """

    at: Callable[[Tensor], Acts]
    """The policy with thresholds lowered by a shift, [R, K]."""
    gain: float
    """Per failure in the queue."""

    def act(self, world: World, *, carry: Carry, env: EnvConfig) -> Actions:
        """Return mean actions in every slot, decided frame by frame; see ``Acts``."""
        parts, start = [], 0
        while start < world.slots:
            left = env.frame_slots - carry.slot % env.frame_slots
            window = world.window(start, min(start + left, world.slots))
            policy = self.at(self.gain * carry.queue)
            parts.append(policy.act(window, carry=carry, env=env))
            carry = simulate(window, parts[-1], env, carry=carry).carry
            start += left
        whole = {k: torch.cat([vars(part)[k] for part in parts], 1) for k in vars(parts[0])}
        return Actions(**whole)


def bisect(at: Callable[[float], Evaluation], *, target: float, low: float, high: float) -> float:
    """Return the largest parameter, within 2⁻⁹ of the interval, at which no user fails too often.

    Args:
        at: what a parameter achieves; failures rise with it.
        target: largest slot failure ratio of a user.
        low: taken to hold.
        high: taken not to.
    """
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).worst_user <= target else (low, middle)
    return low


def operate(run: Run, target: Target, *, worlds: int, stream: str) -> Evaluation:
    """Return what a run achieves at its present bar, with or without a price."""
    policy = Priced(run.policies.at, target.gain) if target.gain else run.policies
    env = evaluation_env(run.config.env)
    return evaluate_policy(policy, env, worlds=worlds, stream=stream, carry_queue=target.gain > 0)


def calibrate(run: Run, target: Target, worlds: int = WORLDS["tuning"]) -> float:
    """Set the largest bar with which no user fails in more than a share of slots; return it.

    Args:
        run: its policies are changed; their MUs choose silence.
        worlds: how many tuning worlds.
    """

    def at(bar: float) -> Evaluation:
        run.policies.bar = bar
        return operate(run, target, worlds=worlds, stream="tuning")

    low, high = BARS
    run.policies.bar = bisect(at, target=target.failures, low=low, high=high)
    return run.policies.bar
