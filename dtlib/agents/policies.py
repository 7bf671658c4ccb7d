"""Actors of all agents, which draw from (35), and the order in which they decide."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Self

import torch
from torch import Generator, Tensor

from dtlib.agents.actions import mean_action, power_watts, sample
from dtlib.agents.spaces import layouts, outputs, station_mask
from dtlib.kernels.distributions import sample_categorical
from dtlib.kernels.networks import MLPStack
from dtlib.model.layouts import weight_layout
from dtlib.model.observations import (
    observe_centre,
    observe_stations,
    observe_twins,
    observe_users,
)
from dtlib.model.simulator import Actions, Carry, deploy, first_carry
from dtlib.model.world import World
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_type
from dtlib.runtime.messages import show
from dtlib.runtime.seeds import seeded
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig

WINDOW = 500
"""Slots whose base stations' observations, the largest arrays of all, exist at the same time."""


@dataclass(frozen=True, kw_only=True)
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

    @property
    def weight_counts(self) -> Tensor:
        """[R, N, M, 2K], bool: which of the base stations' actions have an effect."""
        near, env = self.world.association, self.env
        return station_mask(near, env, deployment=self.deployment, served=self.served)

    @cached_property
    def station_obs(self) -> Tensor:
        """[R, N, M, d]; large, and computed when it is first asked for."""
        return observe_stations(self.world, self.deployment, self.env)


class Policies:
    """The actors of all K + M + 1 agents.

    MUs and base stations act on [0, 1]: an MU's power, a base station's CPU and wired weight for
    each user. The centre has an independent categorical choice among the M servers for each twin.
    Where an action has no effect (no request, a user that a base station neither serves nor would
    serve under the centre's latest choice) nothing is drawn.

    Args:
        config: sizes of the networks and of the environment.
        generator: of the initial weights; absent, they are those with which the run of ``config``
            begins.
    """

    def __init__(self, config: TrainConfig, generator: Generator | None = None) -> None:
        check_type("config", config, TrainConfig, such="TrainConfig(env=env)")
        generator = seeded("weights", config.seed) if generator is None else generator
        self.config = config
        self.bar: float | Tensor = 0.0
        """Logit of sending above which an MU sends, where it takes mean actions; [R, 1, K] if each
        has its own."""
        self.modes = False
        """Whether modes are taken in place of mean actions; see :meth:`by_modes`."""
        self.progress = 0.0
        """How much of the training is over, from 0 to 1: exploration may fall with it."""

        seen, self.outputs = layouts(config), outputs(config)

        def stack(kind: str, count: int) -> MLPStack:
            out = self.outputs[kind]
            original = config.head == "original-gaussian" and not out.choices
            deviations = slice(out.numbers, 2 * out.numbers) if original else slice(0)
            return MLPStack(
                count,
                (seen[kind].size, *config.hidden_sizes, out.size),
                activation=config.activation,
                output_gain=config.output_gain,
                generator=generator,
                blind=deviations,
            )

        self.users = stack("users", 1 if config.shares_users else config.env.num_users)
        self.stations = stack("stations", config.env.num_bs)
        self.centre = stack("centre", 1)

    @property
    def stacks(self) -> dict[str, MLPStack]:
        """The three kinds of agents, in the order of their numbers."""
        return {"users": self.users, "stations": self.stations, "centre": self.centre}

    def to(self, device: torch.device | str) -> None:
        """Move the networks."""
        for stack in self.stacks.values():
            stack.to(device)

    def at(self, shift: Tensor) -> Self:
        """Return the same actors with each user's bar lowered by ``shift``, [R, K]."""
        moved = copy(self)
        moved.bar = self.bar - shift.unsqueeze(1)
        return moved

    def by_modes(self) -> Self:
        """Return the same actors, who take the most likely action where they took the mean."""
        moved = copy(self)
        moved.modes = True
        return moved

    def act(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        *,
        carry: Carry | None = None,
        env: EnvConfig | None = None,
    ) -> Actions:
        """Return the actions in every slot of ``world``; see :meth:`decide`."""
        return self.decide(world, generators, carry=carry, env=env).actions

    def decide(
        self,
        world: World,
        generators: Sequence[Generator] | None = None,
        *,
        carry: Carry | None = None,
        env: EnvConfig | None = None,
    ) -> Decision:
        """Act in every slot of ``world``: first the centre, then MUs and base stations.

        Args:
            world: leading axes [R, N].
            generators: a list of one for each replica, or of one for all, which draw from the
                policies; the mean action (the most likely server, for the centre) is taken if
                absent.
            carry: the state before the first slot; the start of an episode if absent.
            env: the network that ``world`` is of, if it is another than the policies'.

        Raises:
            ConfigError: no world, no such list, or the world is of another K or M than the policies
                or ``env``.
        """
        check_type("world", world, World, such="sample_world(env, seed)")
        _check_generators(generators, len(world.request))
        env = self.config.env if env is None else env
        check_type("env", env, EnvConfig, such="run.config.env")
        for network in (self.config.env, env):
            world.check(network)
        carry = first_carry(world, carry)
        by_twin = self.config.twin_by_twin
        centre_obs = (observe_twins if by_twin else observe_centre)(world, env)
        choice = self._choose(centre_obs, generators)
        deployment, migrating, _ = deploy(choice, env, carry)
        served = world.request & ~migrating

        user_obs = observe_users(world, env, derived=self.config.observation == "derived")
        sending = world.request if env.migrating_transmits else served
        unit, mean = self._level(user_obs, sending, generators)
        far = world.distance.amin(-1)
        power, mean_power = (
            torch.where(sending, power_watts(level, distance=far, env=env, train=self.config), 0)
            for level in (unit, mean)
        )

        near = world.association
        needed = station_mask(near, env, deployment=deployment, served=served)
        needed |= station_mask(near, env, deployment=choice, served=world.request)
        weights = self._weigh(world, env, generators, deployment=deployment, needed=needed)
        shares = weight_layout(env).split(weights.clamp(0, 1))
        actions = Actions(
            power=power, cpu_share=shares["cpu"], wired_share=shares["wired"], deployment=choice
        )
        return Decision(
            actions=actions, power_unit=unit, mean_power=mean_power, weight_unit=weights,
            sending=sending, served=served, deployment=deployment, user_obs=user_obs,
            centre_obs=centre_obs, world=world, env=env,
        )  # fmt: skip

    def _level(
        self, obs: Tensor, sending: Tensor, generators: Sequence[Generator] | None
    ) -> tuple[Tensor, Tensor]:
        """MUs' actions and mean actions, [R, N, K] each, on observations [R, N, K, d]."""
        bar = torch.as_tensor(self.bar, device=sending.device).expand(sending.shape).unsqueeze(-1)
        mask = sending.unsqueeze(-1)
        if self.config.shares_users:  # one network: its rows are the slots of all users
            obs, mask, bar = (array.flatten(1, 2).unsqueeze(2) for array in (obs, mask, bar))
        unit, mean = self._draw("users", generators, obs=obs, mask=mask, bar=bar)
        return unit.view(sending.shape), mean.view(sending.shape)

    def _weigh(
        self,
        world: World,
        env: EnvConfig,
        generators: Sequence[Generator] | None,
        *,
        deployment: Tensor,
        needed: Tensor,
    ) -> Tensor:
        """Base stations' weights [R, N, M, 2K], a window of slots at a time, for the cache."""
        pieces = []
        for start in range(0, world.slots, WINDOW):
            stop = min(start + WINDOW, world.slots)
            obs = observe_stations(world.window(start, stop), deployment[:, start:stop], env)
            mask = needed[:, start:stop]
            pieces.append(self._draw("stations", generators, obs=obs, mask=mask)[0])
        return torch.cat(pieces, dim=1)

    def _draw(
        self,
        kind: str,
        generators: Sequence[Generator] | None,
        *,
        obs: Tensor,
        mask: Tensor,
        bar: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Actions [R, N, A, D] of A agents, and their mean actions; zero where there is no mask.

        Each network runs only on slots in which it has something to decide, one after another:
        their hidden layers then stay in the cache, which is faster than one product over all.
        """
        shape, stack, output = mask.shape, self.stacks[kind], self.outputs[kind]
        if generators is None or len(generators) < len(obs):
            obs, mask = (array.flatten(0, 1)[None] for array in (obs, mask))
            bar = bar if bar is None else bar.flatten(0, 1)[None]
        result, mean = obs.new_zeros(mask.shape), obs.new_zeros(mask.shape)
        for replica, agent in product(range(mask.shape[0]), range(stack.count)):
            slot, column = mask[replica, :, agent].nonzero(as_tuple=True)
            rows, row = slot.unique_consecutive(return_inverse=True)
            seen = obs[replica, :, agent]
            seen = seen if len(rows) == len(seen) else seen[rows]
            raw, start = stack.single(agent, seen).flatten(), row * output.size
            places = [start + output.place(column, part) for part in range(output.parts)]
            values, gate = output.split([raw[place] for place in places])
            limit = 0.0 if bar is None else bar[replica, :, agent][slot, column]
            middle = mean_action(self.config.head, values, gate=gate, bar=limit, mode=self.modes)
            mean[replica, :, agent].index_put_((slot, column), middle)
            if generators is not None:
                noise = self.config.noise_variance * self.config.left(self.progress) ** 2
                drawn = sample(
                    self.config.head, values, generators[replica], noise_variance=noise, gate=gate
                )
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
        return torch.stack([sample_categorical(scores, generator) for scores, generator in pairs])


def _check_generators(generators: Sequence[Generator] | None, replicas: int) -> None:
    if generators is None:
        return
    several = isinstance(generators, Sequence) and len(generators) in (1, replicas)
    if not several or not all(isinstance(one, Generator) for one in generators):
        allowed = f"1 or {replicas}" if replicas > 1 else "1"
        raise ConfigError(
            f"generators = {show(generators)}: must be a list of {allowed} torch.Generator"
        )
