"""Actors: stacked multi-layer perceptrons with Beta and categorical heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import torch
from torch import Generator, Tensor
from torch.nn import init
from torch.nn.functional import softplus

from dtlib.config import EnvConfig, TrainConfig
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
EDGE = 1e-6
"""Beta samples keep this distance from 0 and 1, where the density may be infinite."""


class MLPStack:
    """Several perceptrons of one shape, stored as one array per layer.

    All of them run in one batched product; one of them alone can be trained through
    :meth:`parameters`, whose tensors are views of the stack.

    Args:
        count: A, number of networks.
        sizes: widths from input to output.
        activation: ``"relu"`` or ``"tanh"``.
        output_gain: gain of the orthogonal initial output layer; hidden layers have √2.
        generator: of the initial weights.
    """

    def __init__(
        self,
        count: int,
        sizes: Sequence[int],
        activation: str = "relu",
        output_gain: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        self.count, self.sizes = count, tuple(sizes)
        self._activate = {"relu": torch.relu_, "tanh": torch.tanh_}[activation]
        self.weights = [torch.empty(count, a, b) for a, b in pairwise(sizes)]
        self.biases = [torch.zeros(count, 1, b) for b in sizes[1:]]
        for layer, weight in enumerate(self.weights):
            gain = output_gain if layer == len(self.weights) - 1 else 2**0.5
            for one in weight:
                init.orthogonal_(one, gain, generator=generator)
        self._leaves = [
            [t[i].detach().requires_grad_() for t in self.weights + self.biases]
            for i in range(count)
        ]

    def __call__(self, inputs: Tensor) -> Tensor:
        """Run every network on its own rows, without gradients: [A, n, in] → [A, n, out]."""
        hidden = inputs
        with torch.no_grad():
            for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                hidden = torch.baddbmm(bias, hidden, weight)
                if layer < len(self.weights) - 1:
                    hidden = self._activate(hidden)
        return hidden

    def single(self, index: int, inputs: Tensor) -> Tensor:
        """Run one network, with gradients to its parameters: [n, in] → [n, out]."""
        leaves, depth = self._leaves[index], len(self.weights)
        hidden = inputs
        for layer in range(depth):
            hidden = torch.addmm(leaves[depth + layer], hidden, leaves[layer])
            if layer < depth - 1:
                hidden = self._activate(hidden)
        return hidden

    def parameters(self, index: int) -> list[Tensor]:
        """Return one network's weights and biases: trainable views of the stack."""
        return self._leaves[index]

    def state(self) -> dict[str, Tensor]:
        """Return the stacked arrays by name."""
        names = [f"weight{i}" for i in range(len(self.weights))]
        names += [f"bias{i}" for i in range(len(self.biases))]
        return dict(zip(names, self.weights + self.biases, strict=True))

    def load(self, state: dict[str, Tensor]) -> None:
        """Copy arrays of :meth:`state` into place; the views stay valid."""
        with torch.no_grad():
            for name, tensor in self.state().items():
                tensor.copy_(state[name])


def beta_parameters(raw: Tensor) -> Tensor:
    """Return Beta parameters above 1, so that the density has one peak: 1 + softplus(raw)."""
    return 1 + softplus(raw)


def beta_log_prob(value: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the log-density (35) of Beta(first, second) at ``value``, elementwise."""
    constant = torch.lgamma(first + second) - torch.lgamma(first) - torch.lgamma(second)
    return (first - 1) * torch.log(value) + (second - 1) * torch.log1p(-value) + constant


def beta_entropy(first: Tensor, second: Tensor) -> Tensor:
    """Return the differential entropy of Beta(first, second), elementwise."""
    both = first + second
    constant = torch.lgamma(both) - torch.lgamma(first) - torch.lgamma(second)
    return (
        -constant
        - (first - 1) * torch.digamma(first)
        - (second - 1) * torch.digamma(second)
        + (both - 2) * torch.digamma(both)
    )


def sample_beta(first: Tensor, second: Tensor, generator: Generator | None) -> Tensor:
    """Draw from Beta(first, second) as a ratio of Gamma variables, elementwise."""
    one = torch._standard_gamma(first, generator=generator)
    two = torch._standard_gamma(second, generator=generator)
    return (one / (one + two)).clamp(EDGE, 1 - EDGE)


def sample_categorical(logits: Tensor, generator: Generator | None) -> Tensor:
    """Draw an index from the last axis by inverting the distribution function."""
    by_choice = logits.movedim(-1, 0).contiguous()
    cumulative = (by_choice - by_choice.amax(0)).exp_().cumsum(0)
    draw = torch.rand(logits.shape[:-1], generator=generator, dtype=logits.dtype) * cumulative[-1]
    return (draw >= cumulative[:-1]).sum(0)


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

    def act(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        carry: Carry | None = None,
    ) -> Actions:
        """Return the actions in every slot of ``world``; see :meth:`decide`."""
        return self.decide(world, generators, carry).actions

    def decide(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        carry: Carry | None = None,
    ) -> Decision:
        """Act in every slot of ``world``: first the centre, then MUs and base stations.

        Args:
            world: leading axes [R, N].
            generators: one per replica, which draw from the policies; the mean action (the most
                likely server, for the centre) is taken if absent.
            carry: the state before the first slot; the start of an episode if absent.
        """
        env = self.config.env
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
        weights = self._weigh(world, deployment, needed, generators)
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
    ) -> Tensor:
        """Base stations' weights [R, N, M, 2K], a window of slots at a time, for the cache."""
        pieces = []
        for start in range(0, world.slots, WINDOW):
            stop = min(start + WINDOW, world.slots)
            obs = observe_stations(
                world.window(start, stop), deployment[:, start:stop], self.config.env
            )
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
        with torch.no_grad():
            raw = stack.single(agent, seen)
        place = row * raw.shape[1] + column
        one = beta_parameters(raw.flatten()[place])
        two = beta_parameters(raw.flatten()[place + mask.shape[-1]])
        drawn = one / (one + two)
        if generators is not None:
            drawn = sample_beta(one, two, generators[replica])
        result[replica, :, agent].index_put_((slot, column), drawn)
    return result
