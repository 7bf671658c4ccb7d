"""A run or an evaluation ends where its numbers stop being finite, before any is written."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dtlib.model.simulator import Actions, Carry, Outcome, simulate
from dtlib.model.world import World
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_type
from dtlib.settings.env import EnvConfig


def check_finite(where: str, played: Mapping[str, float], arrays: Mapping[str, Tensor]) -> None:
    """Raise an error if an episode's results or what was learnt from it are not finite.

    What learning tells of itself may be undefined, such as a ratio to something that does not vary;
    it is not looked at.

    Args:
        where: the episode of training, or the world of an evaluation.
        played: its results.
        arrays: weights and the like, after it.

    Raises:
        ConfigError: names the quantity and where it is.
    """
    for name, value in played.items():
        if not math.isfinite(value):
            raise _stopped(where, name, value)
    real = {name: array for name, array in arrays.items() if array.is_floating_point()}
    if not real:
        return
    sound = torch.stack([array.isfinite().all() for array in real.values()])
    if not sound.all():  # the only time that anything waits for a GPU
        name = list(real)[int(sound.int().argmin())]
        raise _stopped(where, name, float(real[name][~real[name].isfinite()][0]))


def simulate_finite(
    world: World, actions: Actions, env: EnvConfig, *, carry: Carry, where: str
) -> Outcome:
    """Simulate, and tell of actions that are not finite as :func:`check_finite` does, with where.

    Raises:
        ConfigError: names the action and where it is.
    """
    try:
        return simulate(world, actions, env, carry=carry)
    except ValueError:  # it has looked at the actions anyway
        check_type("actions", actions, Actions, such="policies.act(world)")
        arrays = {f"actions.{k}": v for k, v in vars(actions).items() if isinstance(v, Tensor)}
        check_finite(where, {}, arrays)
        raise


def _stopped(where: str, name: str, value: float) -> ConfigError:
    return ConfigError(
        f"{where}: {name} = {value}: is not finite, so that nothing more can be learnt or measured "
        "with these settings; what was saved before stays"
    )
