"""Actors: stacked multi-layer perceptrons with Beta and categorical heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from torch import Generator, Tensor

from dtlib.config import EnvConfig, TrainConfig
from dtlib.distributions import beta_parameters, sample_beta, sample_categorical
from dtlib.networks import MLPStack
from dtlib.observations import (
    centre_size,
    observe_centre,
    observe_stations,
    observe_users,
    station_size,
    user_size,
)
from dtlib.simulator import Actions, Carry, deploy, initial_carry
from dtlib.world import World

WINDOW = 500
"""Slots whose base stations' observations, the largest arrays of all, exist at the same time."""


def power_watts(unit: Tensor, env: EnvConfig, train: TrainConfig) -> Tensor:
    """Map an MU's action in (0, 1) to a transmit power in W, on the scale of ``power_action``."""
    if train.power_action == "watt":
        return unit * env.max_power_w
    return env.max_power_w * 10 ** ((unit - 1) * (train.power_range_db / 10))


@dataclass(frozen=True)
class Decision:
    """A policy's actions in N slots with what they were based on; the learner's raw material."""

    actions: Actions
    power_unit: Tensor
    """[R, N, K], the MUs' Beta samples; zero where the user does not send."""
    sending: Tensor
    """[R, N, K], bool: the user transmits, so that its power counts."""
    served: Tensor
    """[R, N, K], bool: request whose twin is not migrating, so that shares count."""
    deployment: Tensor
    """[R, N, K], int, β in force."""
    user_obs: Tensor
    """[R, N, K, d]."""
    centre_obs: Tensor
    """[R, N, d]."""
    world: World
    env: EnvConfig

    @cached_property
    def station_obs(self) -> Tensor:
        """[R, N, M, d]; large, and computed when it is first asked for."""
        return observe_stations(self.world, self.deployment, self.env)


class Policies:
    """The actors of all K + M + 1 agents.

    MUs and base stations have Beta heads on (0, 1): an MU's power, a base station's CPU and wired
    weight for each user. The centre has an independent categorical choice among the M servers for
    each twin. Where an action has no effect (no request, a user that a base station neither serves
    nor would serve under the centre's latest choice) nothing is drawn.

    Args:
        config: sizes of the networks and of the environment.
        generator: of the initial weights.
    """

    def __init__(self, config: TrainConfig, generator: Generator | None = None) -> None:
        self.config = config
        env, hidden = config.env, config.hidden_sizes

        def stack(count: int, inputs: int, outputs: int) -> MLPStack:
            sizes = (inputs, *hidden, outputs)
            return MLPStack(count, sizes, config.activation, config.output_gain, generator)

        self.users = stack(env.num_users, user_size(env), 2)
        self.stations = stack(env.num_bs, station_size(env), 4 * env.num_users)
        self.centre = stack(1, centre_size(env), env.num_users * env.num_bs)

    @property
    def stacks(self) -> dict[str, MLPStack]:
        """The three kinds of agents, in the order of their numbers."""
        return {"users": self.users, "stations": self.stations, "centre": self.centre}

    def to(self, device: torch.device | str) -> None:
        """Move the networks."""
        for stack in self.stacks.values():
            stack.to(device)

    def act(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        carry: Carry | None = None,
        env: EnvConfig | None = None,
    ) -> Actions:
        """Return the actions in every slot of ``world``; see :meth:`decide`."""
        return self.decide(world, generators, carry, env).actions

    def decide(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        carry: Carry | None = None,
        env: EnvConfig | None = None,
    ) -> Decision:
        """Act in every slot of ``world``: first the centre, then MUs and base stations.

        Args:
            world: leading axes [R, N].
            generators: one per replica, which draw from the policies; the mean action (the most
                likely server, for the centre) is taken if absent.
            carry: the state before the first slot; the start of an episode if absent.
            env: the network that ``world`` is of, if it is another than the policies'.
        """
        env = self.config.env if env is None else env
        carry = initial_carry(world) if carry is None else carry
        centre_obs = observe_centre(world, env)
        choice = self._choose(centre_obs, generators)
        deployment, migrating, _ = deploy(choice, env, carry)
        served = world.request & ~migrating

        user_obs = observe_users(world, env)
        sending = world.request if env.migrating_transmits else served
        unit = _draw(self.users, user_obs, sending.unsqueeze(-1), generators).squeeze(-1)
        power = torch.where(sending, power_watts(unit, env, self.config), 0)

        needed = station_mask(world.association, deployment, served, env)
        needed |= station_mask(world.association, choice, world.request, env)
        weights = self._weigh(world, deployment, needed, generators, env)
        cpu, wired = weights.chunk(2, dim=-1)
        return Decision(
            Actions(power, cpu, wired, choice), unit, sending, served, deployment,
            user_obs, centre_obs, world, env,
        )  # fmt: skip

    def _weigh(
        self,
        world: World,
        deployment: Tensor,
        needed: Tensor,
        generators: Sequence[Generator] | None,
        env: EnvConfig,
    ) -> Tensor:
        """Base stations' weights [R, N, M, 2K], a window of slots at a time, for the cache."""
        pieces = []
        for start in range(0, world.slots, WINDOW):
            stop = min(start + WINDOW, world.slots)
            obs = observe_stations(world.window(start, stop), deployment[:, start:stop], env)
            pieces.append(_draw(self.stations, obs, needed[:, start:stop], generators))
        return torch.cat(pieces, dim=1)

    def _choose(self, obs: Tensor, generators: Sequence[Generator] | None) -> Tensor:
        env = self.config.env
        raw = self.centre(obs.reshape(1, -1, obs.shape[-1]))
        logits = raw.view(*obs.shape[:2], env.num_users, env.num_bs)
        if generators is None:
            return logits.argmax(-1)
        pairs = zip(logits, generators, strict=True)
        return torch.stack([sample_categorical(one, generator) for one, generator in pairs])


def station_mask(association: Tensor, deployment: Tensor, served: Tensor, env: EnvConfig) -> Tensor:
    """Return which of a base station's weights count: CPU of hosted, wire of remote users.

    Args:
        association: [R, N, K], int.
        deployment: [R, N, K], int, β in force.
        served: [R, N, K], bool.
        env: gives M.

    Returns:
        [R, N, M, 2K], bool: K CPU weights, then K wired weights.
    """
    site = torch.arange(env.num_bs, device=served.device)[:, None]
    hosted = (deployment.unsqueeze(-2) == site) & served.unsqueeze(-2)
    remote = served & (deployment != association)
    sender = (association.unsqueeze(-2) == site) & remote.unsqueeze(-2)
    return torch.cat([hosted, sender], dim=-1)


def _draw(
    stack: MLPStack, obs: Tensor, mask: Tensor, generators: Sequence[Generator] | None
) -> Tensor:
    """Beta actions [R, N, A, D] of A agents; zero where the mask is not set.

    Each network runs only on slots in which it has something to decide, one after another: their
    hidden layers then stay in the cache, which is faster than one product over all agents.
    """
    result = obs.new_zeros(mask.shape)
    for replica, agent in product(range(mask.shape[0]), range(stack.count)):
        slot, column = mask[replica, :, agent].nonzero(as_tuple=True)
        rows, row = slot.unique_consecutive(return_inverse=True)
        seen = obs[replica, :, agent]
        seen = seen if len(rows) == len(seen) else seen[rows]
        raw = stack.single(agent, seen)
        place = row * raw.shape[1] + column
        one = beta_parameters(raw.flatten()[place])
        two = beta_parameters(raw.flatten()[place + mask.shape[-1]])
        drawn = one / (one + two)
        if generators is not None:
            drawn = sample_beta(one, two, generators[replica])
        result[replica, :, agent].index_put_((slot, column), drawn)
    return result
