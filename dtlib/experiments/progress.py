"""How much work runs are, how much of it is done, and a bar that shows it while they are made."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from dtlib.experiments import store
from dtlib.experiments.experiment import PlannedRun
from dtlib.experiments.measurements import done
from dtlib.training.algorithms import learning_of
from dtlib.training.calibration import BISECTIONS
from dtlib.training.evaluation import EVALUATION_FRAMES


def cost(planned: PlannedRun) -> float:
    """Return roughly how long a run takes, in passes of one epoch over one slot of one user."""
    return training_cost(planned) + measuring_cost(planned)


def training_cost(planned: PlannedRun) -> float:
    """Return the part of :func:`cost` that is training."""
    env, config = planned.config.env, planned.config
    frames = planned.episodes * config.worlds * env.frames  # none of a baseline
    return learning_of(config).passes(config) * frames * env.frame_slots * env.num_users


def measuring_cost(planned: PlannedRun) -> float:
    """Return the rest of it: to act in a world and to simulate it takes about two passes."""
    env = planned.config.env
    tuning = planned.worlds_of("tuning")
    calibrated = planned.worlds + BISECTIONS * tuning
    worlds = {"held-out": planned.worlds, "tuning": tuning, "calibrated": calibrated}
    streams = ("held-out",) if planned.baseline else planned.streams
    frames = EVALUATION_FRAMES * sum(worlds[stream] for stream in streams)
    return 2 * frames * env.frame_slots * env.num_users


class Progress:
    """Tells how much of the cost of runs is paid, read off the store while they grow."""

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        self._open = list(runs)
        self._cost = sum(cost(planned) for planned in runs)

    def percent(self) -> float:
        """Return how much is done; what is finished is not looked at again."""
        self._open = [planned for planned in self._open if not done(planned)]
        return 100 * (1 - sum(map(left, self._open)) / (self._cost or 1))


def left(planned: PlannedRun) -> float:
    """Return how much of an unfinished run's cost is still to be paid."""
    if planned.baseline:
        return measuring_cost(planned)
    trained = store.episodes_done(planned.config) / planned.episodes
    return training_cost(planned) * max(1 - trained, 0.0) + measuring_cost(planned)


@contextmanager
def bar(runs: Sequence[PlannedRun], show: bool) -> Iterator[None]:
    """Show a bar over runs on standard error while inside.

    A run may take hours and a batch of a GPU ends all at once, so what counts is not how many have
    ended: a thread reads their histories.
    """
    if not show:
        yield
        return
    progress, ended = Progress(runs), threading.Event()
    shown = tqdm(
        total=100,
        initial=progress.percent(),
        smoothing=0,
        desc=f"{len(runs)} runs",
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
    )

    def watch() -> None:
        while not ended.wait(1.0):
            shown.update(max(0, progress.percent() - shown.n))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        shown.update(progress.percent() - shown.n)
        shown.close()
