"""A run ends where its numbers stop being finite, before its weights are written."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dtlib.runtime.errors import ConfigError


def check_finite(number: int, played: Mapping[str, float], arrays: Mapping[str, Tensor]) -> None:
    """Raise an error if an episode's results or what was learnt from it are not finite.

    What learning tells of itself may be undefined, such as a ratio to something that does not vary;
    it is not looked at.

    Args:
        number: of the episode, counted from 0.
        played: its results.
        arrays: weights and the like, after it.

    Raises:
        ConfigError: names the quantity and the episode.
    """
    for name, value in played.items():
        if not math.isfinite(value):
            raise _stopped(number, name, value)
    real = {name: array for name, array in arrays.items() if array.is_floating_point()}
    sound = torch.stack([array.isfinite().all() for array in real.values()])
    if not sound.all():  # the only time that anything waits for a GPU
        name = list(real)[int(sound.int().argmin())]
        raise _stopped(number, name, float(real[name][~real[name].isfinite()][0]))


def _stopped(number: int, name: str, value: float) -> ConfigError:
    return ConfigError(
        f"episode {number}: {name} = {value}: is not finite, so that nothing more can be learnt "
        "with these settings; what was saved before stays"
    )
