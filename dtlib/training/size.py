"""How much memory a run takes at least: its largest arrays, counted before there are any."""

from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter

import torch

from dtlib.agents.credit import reward_parts
from dtlib.agents.spaces import layouts, outputs
from dtlib.model.layouts import state_layout
from dtlib.runtime.memory import WORLD, bytes_of_world, check_fits
from dtlib.settings.train import TrainConfig
from dtlib.training.algorithms import learning_of

REAL = 4
"""Bytes of a number."""
COPIES = 4
"""A weight, its gradient and Adam's two moments."""


def check_size(configs: Sequence[TrainConfig], device: torch.device) -> None:
    """Raise :class:`~dtlib.runtime.errors.ConfigError` if runs side by side do not fit.

    Args:
        configs: equal in all that changes sizes, as those that learn side by side are.
        device: where they learn.
    """
    config, runs = configs[0], len(configs)
    sizes = {
        "the worlds of an episode": (
            config.worlds * bytes_of_world(config.env),
            ("worlds", *(f"env.{name}" for name in WORLD)),
        ),
        "the networks": (
            _weights(config) * COPIES * REAL,
            ("hidden_sizes", "env.num_users", "env.num_bs"),
        ),
    } | learning_of(config).held(config)
    for what, (size, fields) in sizes.items():
        whole = f"{what} of {runs} runs" if runs > 1 else what
        grown = {name: tuple(map(attrgetter(name), (config, TrainConfig()))) for name in fields}
        check_fits(whole, runs * size, grown, device=device)


def _weights(config: TrainConfig) -> int:
    """Return how many weights actors and critics have.

    MADDPG's targets, and the actions that its critics see as well, are not counted.
    """
    seen, out, env = layouts(config), outputs(config), config.env
    counts = {"users": 1 if config.shares_users else env.num_users, "stations": env.num_bs}
    actors = [(counts.get(kind, 1), seen[kind].size, out[kind].size) for kind in seen]
    critics = 2 if config.critic == "shared" else env.num_users + env.num_bs + 1
    state = state_layout(env, config.critic_sees_queue).size
    stacks = [*actors, (critics, state, reward_parts(config))]
    return sum(
        count * sum((a + 1) * b for a, b in pairwise((first, *config.hidden_sizes, last)))
        for count, first, last in stacks
    )
