"""Actors: stacked multi-layer perceptrons with Beta, Gaussian, plain and categorical heads."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import log

import torch
from torch import Generator, Tensor

from dtlib.kernels.distributions import (
    beta_parameters,
    gaussian_parameters,
    sample_beta,
    sample_categorical,
    sample_gaussian,
)
from dtlib.kernels.networks import MLPStack
from dtlib.model.observations import (
    centre_size,
    observe_centre,
    observe_stations,
    observe_twins,
    observe_users,
    station_size,
    twin_size,
    user_size,
)
from dtlib.model.simulator import Actions, Carry, deploy, initial_carry
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import Head, TrainConfig

WINDOW = 500
"""Slots whose base stations' observations, the largest arrays of all, exist at the same time."""


def power_watts(
    unit: Tensor, distance: Tensor | None, env: EnvConfig, train: TrainConfig
) -> Tensor:
    """Map MUs' actions in [0, 1] to transmit powers in W, on the scale of ``power_action``.

    The level of ``path-loss`` falls by ``power_range_db`` from 1 down to ``silent_below``, beneath
    which is silence; where that is 0, it is logarithmic but near 0, where it reaches silence. Where
    silence is a choice of its own, it is 0, and the level falls from 1 down to 0.

    Args:
        unit: [..., K]; clipped to [0, 1].
        distance: [..., K], m, to the serving base station; only ``path-loss`` needs it.
        env: P_max, path loss and noise.
        train: the scale.
    """
    silence, unit = unit == 0, unit.clamp(0, 1)
    if train.power_action == "watt":
        return unit * env.max_power_w
    decades = train.power_range_db / 10
    if train.power_action == "decibel":
        return env.max_power_w * 10 ** ((unit - 1) * decades)
    assert distance is not None
    silent = train.silent_below
    if train.chooses_silence:
        level = (10 ** ((unit - 1) * decades)).masked_fill(silence, 0)
    elif silent:
        level = 10 ** ((unit - 1) * (decades / (1 - silent))) * (unit >= silent)
    else:
        level = torch.expm1(unit * (decades * log(10))) / (10**decades - 1)
    top = env.noise_w / env.ref_gain * 10 ** (train.power_top_db / 10)
    return (top * distance**env.path_loss_exponent * level).clamp_max(env.max_power_w)


@dataclass(frozen=True)
class Decision:
    """A policy's actions in N slots with what they were based on; the learner's raw material."""

    actions: Actions
    power_unit: Tensor
    """[R, N, K], the MUs' actions on the scale of [0, 1]; zero where the user does not send.

    A Gaussian's samples are as drawn, also outside; what is executed is clipped. Zero, which no
    distribution yields, is silence where that is a choice.
    """
    mean_power: Tensor
    """[R, N, K], W, of the mean action."""
    weight_unit: Tensor
    """[R, N, M, 2K], the base stations' actions on that scale: K CPU weights, K wired ones."""
    sending: Tensor
    """[R, N, K], bool: the user transmits, so that its power counts."""
    served: Tensor
    """[R, N, K], bool: request whose twin is not migrating, so that shares count."""
    deployment: Tensor
    """[R, N, K], int, β in force."""
    user_obs: Tensor
    """[R, N, K, d]."""
    centre_obs: Tensor
    """[R, N, d], or [R, N, K, d] where one network decides for each twin."""
    world: World
    env: EnvConfig

    @cached_property
    def station_obs(self) -> Tensor:
        """[R, N, M, d]; large, and computed when it is first asked for."""
        return observe_stations(self.world, self.deployment, self.env)


class Policies:
    """The actors of all K + M + 1 agents.

    MUs and base stations act on [0, 1]: an MU's power, a base station's CPU and wired weight for
    each user. The algorithm gives the head: two parameters of a Beta or of a Gaussian distribution
    for each number, or for MADDPG the number itself; a third output of MUs may be the logit of
    sending at all. The centre has an independent categorical choice among the M servers for each
    twin. Where an action has no effect (no request, a user that a base station neither serves nor
    would serve under the centre's latest choice) nothing is drawn.

    Args:
        config: sizes of the networks and of the environment.
        generator: of the initial weights.
    """

    def __init__(self, config: TrainConfig, generator: Generator | None = None) -> None:
        self.config = config
        self.bar: float | Tensor = 0.0
        """Logit of sending above which an MU sends, where it takes mean actions; [R, 1, K] if each
        has its own."""
        self.progress = 0.0
        """How much of the training is over, from 0 to 1: exploration may fall with it."""
        env, hidden = config.env, config.hidden_sizes

        def stack(count: int, inputs: int, outputs: int, numbers: int = 0) -> MLPStack:
            original = config.head == "original-gaussian"  # deviations follow the means
            blind = slice(numbers, 2 * numbers) if original else slice(0)
            sizes = (inputs, *hidden, outputs)
            return MLPStack(count, sizes, config.activation, config.output_gain, generator, blind)

        parts = 1 if config.head == "deterministic" else 2
        users = user_size(env, config.observation == "derived")
        count = 1 if config.shares_users else env.num_users
        weights = 2 * env.num_users
        self.users = stack(count, users, parts + config.chooses_silence, 1)
        self.stations = stack(env.num_bs, station_size(env), weights * parts, weights)
        if config.twin_by_twin:
            self.centre = stack(1, twin_size(env), env.num_bs)
        else:
            self.centre = stack(1, centre_size(env), env.num_users * env.num_bs)

    @property
    def stacks(self) -> dict[str, MLPStack]:
        """The three kinds of agents, in the order of their numbers."""
        return {"users": self.users, "stations": self.stations, "centre": self.centre}

    def to(self, device: torch.device | str) -> None:
        """Move the networks."""
        for stack in self.stacks.values():
            stack.to(device)

    def at(self, shift: Tensor) -> Policies:
        """Return the same actors with each user's bar lowered by ``shift``, [R, K]."""
        moved = copy(self)
        moved.bar = self.bar - shift.unsqueeze(1)
        return moved

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
            generators: one for each replica, or one for all, which draw from the policies; the mean
                action (the most likely server, for the centre) is taken if absent.
            carry: the state before the first slot; the start of an episode if absent.
            env: the network that ``world`` is of, if it is another than the policies'.
        """
        env = self.config.env if env is None else env
        carry = initial_carry(world) if carry is None else carry
        by_twin = self.config.twin_by_twin
        centre_obs = (observe_twins if by_twin else observe_centre)(world, env)
        choice = self._choose(centre_obs, generators)
        deployment, migrating, _ = deploy(choice, env, carry)
        served = world.request & ~migrating

        user_obs = observe_users(world, env, self.config.observation == "derived")
        sending = world.request if env.migrating_transmits else served
        bar = torch.as_tensor(self.bar, device=sending.device).expand(sending.shape)
        seen, mask, bar = user_obs, sending.unsqueeze(-1), bar.unsqueeze(-1)
        if self.config.shares_users:  # one network: its rows are the slots of all users
            seen, mask, bar = (one.flatten(1, 2).unsqueeze(2) for one in (seen, mask, bar))
        drawn = self._draw(self.users, seen, mask, generators, bar)
        unit, mean = (one.view(sending.shape) for one in drawn)
        near = world.distance.amin(-1)
        power, mean_power = (
            torch.where(sending, power_watts(one, near, env, self.config), 0)
            for one in (unit, mean)
        )

        needed = station_mask(world.association, deployment, served, env)
        needed |= station_mask(world.association, choice, world.request, env)
        weights = self._weigh(world, deployment, needed, generators, env)
        cpu, wired = weights.clamp(0, 1).chunk(2, dim=-1)
        return Decision(
            Actions(power, cpu, wired, choice), unit, mean_power, weights, sending,
            served, deployment, user_obs, centre_obs, world, env,
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
            pieces.append(self._draw(self.stations, obs, needed[:, start:stop], generators)[0])
        return torch.cat(pieces, dim=1)

    def _draw(
        self,
        stack: MLPStack,
        obs: Tensor,
        mask: Tensor,
        generators: Sequence[Generator] | None,
        bar: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Actions [R, N, A, D] of A agents, and their mean actions; zero where there is no mask.

        Each network runs only on slots in which it has something to decide, one after another:
        their hidden layers then stay in the cache, which is faster than one product over all.
        """
        shape = mask.shape
        if generators is None or len(generators) < len(obs):
            obs, mask = (one.flatten(0, 1)[None] for one in (obs, mask))
            bar = bar if bar is None else bar.flatten(0, 1)[None]
        result, mean = obs.new_zeros(mask.shape), obs.new_zeros(mask.shape)
        for replica, agent in product(range(mask.shape[0]), range(stack.count)):
            slot, column = mask[replica, :, agent].nonzero(as_tuple=True)
            rows, row = slot.unique_consecutive(return_inverse=True)
            seen = obs[replica, :, agent]
            seen = seen if len(rows) == len(seen) else seen[rows]
            raw = stack.single(agent, seen)
            place = row * raw.shape[1] + column
            parts = raw.shape[1] // mask.shape[-1]
            values = [raw.flatten()[place + part * mask.shape[-1]] for part in range(parts)]
            limit = 0.0 if bar is None else bar[replica, :, agent][slot, column]
            middle = mean_action(self.config.head, values, limit)
            mean[replica, :, agent].index_put_((slot, column), middle)
            if generators is not None:
                noise = self.config.noise_variance * self.config.left(self.progress) ** 2
                drawn = sample(self.config.head, values, generators[replica], noise)
                result[replica, :, agent].index_put_((slot, column), drawn)
        return (mean if generators is None else result).view(shape), mean.view(shape)

    def _choose(self, obs: Tensor, generators: Sequence[Generator] | None) -> Tensor:
        env = self.config.env
        raw = self.centre(obs.reshape(1, -1, obs.shape[-1]))  # of slots, or of slots and twins
        logits = raw.view(*obs.shape[:2], env.num_users, env.num_bs)
        if generators is None:
            return logits.argmax(-1)
        if len(generators) == 1:
            return sample_categorical(logits, generators[0])
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


def mean_action(head: Head, raw: Sequence[Tensor], bar: float | Tensor = 0.0) -> Tensor:
    """Return mean actions on the scale of [0, 1].

    Args:
        head: what the network puts out.
        raw: its outputs for each action: two parameters of a distribution, or the action; perhaps
            a third, the logit of acting at all.
        bar: where the logit of acting is not above it, the result is 0; at 0, that is where not
            acting is likelier.
    """
    if len(raw) == 3:
        return mean_action(head, raw[:2]).masked_fill(raw[2] <= bar, 0)
    if head == "deterministic":
        return (1 + torch.tanh(raw[0])) / 2
    if head != "beta":
        return gaussian_parameters(*raw, original=head == "original-gaussian")[0]
    one, two = map(beta_parameters, raw)
    return one / (one + two)


def sample(
    head: Head, raw: Sequence[Tensor], generator: Generator, noise_variance: float
) -> Tensor:
    """Draw actions on the scale of [0, 1]; see :func:`mean_action`.

    Args:
        head: what the network puts out.
        raw: its outputs.
        generator: source of the randomness.
        noise_variance: of the noise on a deterministic action, on the scale of [−1, 1].
    """
    if len(raw) == 3:
        acts = torch.empty_like(raw[2]).uniform_(generator=generator) < torch.sigmoid(raw[2])
        return sample(head, raw[:2], generator, noise_variance).masked_fill(~acts, 0)
    if head == "deterministic":
        unit = mean_action(head, raw)
        std = torch.full_like(unit, noise_variance**0.5 / 2)
        return sample_gaussian(unit, std, generator).clamp_(0, 1)
    if head != "beta":
        mean, std = gaussian_parameters(*raw, original=head == "original-gaussian")
        return sample_gaussian(mean, std, generator)
    one, two = map(beta_parameters, raw)
    return sample_beta(one, two, generator)
