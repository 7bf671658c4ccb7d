"""What an observation and the global state are made of: fields by name, in their order."""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dtlib.settings.env import EnvConfig


class Field(NamedTuple):
    """Numbers of one kind, at least ``low`` and, but for logarithms, at most 1."""

    name: str
    shape: tuple[int, ...]
    low: float | tuple[float, ...] = 0
    """The same for all, or one for each place of the last axis."""
    changes: Literal["never", "seldom", "always"] = "always"
    """From one slot to the next."""
    flags: bool = False
    """Each is 0 or 1, and few are 1."""

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


class Layout(tuple[Field, ...]):
    """The fields of a vector, one after another.

    >>> user_layout(EnvConfig(num_bs=2)).split(torch.arange(10.0))["position"]
    tensor([5., 6.])
    """

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(field.size for field in self)

    @property
    def low(self) -> list[float]:
        """The least value of each number."""
        lows = [field.low if isinstance(field.low, tuple) else (field.low,) for field in self]
        pairs = zip(self, lows, strict=True)
        return [number for field, low in pairs for number in low * (field.size // len(low))]

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Return each field's part of [..., size], by name: views."""
        parts = vector.split([field.size for field in self], dim=-1)
        return {field.name: part for field, part in zip(self, parts, strict=True)}

    def join(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return [..., size] from parts by name, each with its field's shape at the end."""
        flat = [parts[field.name].flatten(-len(field.shape)) for field in self]
        return torch.cat(flat, dim=-1)


def _sites(env: EnvConfig) -> Field:
    return Field("sites", (env.num_bs, 2), low=-1, changes="never")


INDEX = Field("index", (1,), changes="never")
"""The agent's own number from 1 on, as a share of all of its kind."""


def user_layout(env: EnvConfig, derived: bool = False) -> Layout:
    """An MU's observation (20), with what follows from it if asked for."""
    position, request = Field("position", (2,), low=-1), Field("request", (3,))
    more = [
        Field("centred_request", (3,), low=-1),
        Field("log_distance", (1 + env.num_bs,), low=-math.inf),
    ]
    return Layout([INDEX, _sites(env), position, request, *more * derived])


def station_layout(env: EnvConfig) -> Layout:
    """A base station's observation (22).

    ``lives_at`` is the server of its twin, for users associated here; ζ but for i = j.
    """
    users = env.num_users
    shapes = {"associated": (users,), "lives_at": (users, env.num_bs), "hosted": (users,)}
    flags = [Field(name, shape, flags=True) for name, shape in shapes.items()]
    requests = Field("requests", (users, 5), low=(-1, -1, 0, 0, 0))  # position, then the task
    return Layout([INDEX, _sites(env), *flags, requests])


def weight_layout(env: EnvConfig) -> Layout:
    """What a base station chooses (23): weights of all users on its CPU and on its wires."""
    return Layout([Field("cpu", (env.num_users,)), Field("wired", (env.num_users,))])


def centre_layout(env: EnvConfig) -> Layout:
    """The control centre's observation (24)."""
    association = Field("association", (env.num_users, env.num_bs), changes="seldom")
    return Layout([association, _sites(env), Field("positions", (env.num_users, 2), low=-1)])


def twin_layout(env: EnvConfig) -> Layout:
    """What the centre sees of one twin, where one network decides for each."""
    association, load = Field("association", (env.num_bs,)), Field("load", (env.num_bs,))
    return Layout([INDEX, _sites(env), association, load, Field("position", (2,), low=-1)])


def state_layout(env: EnvConfig, queue: bool = False) -> Layout:
    """The critics' global state: all observations merged, nothing twice; the queue if asked for."""
    centre = {field.name: field for field in centre_layout(env)}
    association, positions = centre["association"], centre["positions"]
    deployment = association._replace(name="deployment")
    held = [Field("log_queue", (env.num_users,), changes="seldom")] * queue
    requests = Field("requests", (env.num_users, 3))
    return Layout([association, centre["sites"], deployment, *held, positions, requests])
