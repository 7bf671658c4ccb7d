"""The informed limit: the learners' actors, trained on the derivatives of the network itself.

What a learner loses to the genie has two causes: its agents do not see the fading nor each other's
requests, and it has to find out from rewards what its actions do. Here the second falls away. The
same perceptrons see the same observations, but they descend the objective (14) along its exact
gradient: the simulator is differentiable but for the step by which a request fails. Instead of that
step the slope of a logistic function of ln(t/τ) is used, which is smoothed less and less: it is
wide at first, so that requests far from being served can be won and those that are too dear can be
given up.

Constraint (14b) has one price for each user, in J per failure, which rises while the user fails
more often than the target and falls while it fails less (dual ascent, in the logarithm). The centre
does not learn: each twin follows its user to the nearest base station at the end of each frame.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import sigmoid

from dtlib.agents.actions import mean_action, power_watts
from dtlib.agents.policies import WINDOW, Policies
from dtlib.kernels.portable import exp, log
from dtlib.model.observations import observe_stations, observe_users
from dtlib.model.simulator import Actions, Carry, deploy, first_carry, initial_carry, respond
from dtlib.model.world import World, sample_world
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.seeds import seeded, stream_seed
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig

TRAINING_STEPS = 2000
TRAINING_WORLDS, TRAINING_FRAMES, TRAINING_SLOTS = 100, 2, 4
"""Worlds drawn at a time, their frames, and how many slots of each there are in a gradient step."""
LEARNING_RATE = 3e-3
"""Of Adam at the start; it falls to zero along half a cosine."""
TEMPERATURES = (1.0, 0.03)
"""Of the logistic function at the start and for the last third of the steps, geometric between."""
FIRST_PRICE = 1e-3
"""J per failure."""
PRICE_STEP = 0.03
"""Largest change of a price's logarithm in a step."""
MEMORY = 0.95
"""Of the running mean of failures that prices follow."""
LEAST_UNIT = 1e-6
"""Actions in [0, 1] are at least this: no delay is infinite, every slope finite."""


@dataclass(frozen=True)
class Informed:
    """Trained actors; they act like :class:`Policies`."""

    policies: Policies
    """Users and base stations are trained; the centre is not asked."""

    def act(
        self, world: World, *, carry: Carry | None = None, env: EnvConfig | None = None
    ) -> Actions:
        """Return the actions in every slot, none of them drawn; see :meth:`Policies.decide`."""
        env = self.policies.config.env if env is None else env
        carry = first_carry(world, carry)
        deployment = deploy(world.association, env, carry)[0]
        stacks = (self.policies.users, self.policies.stations)
        flats, pieces = [stack.flat for stack in stacks], []
        for start in range(0, world.slots, WINDOW):
            window = world.window(start, start + WINDOW)
            there = deployment[:, start : start + WINDOW]
            pieces.append(decide(self.policies, flats, world=window, deployment=there, env=env))
        power, cpu, wired = (torch.cat(arrays, dim=1) for arrays in zip(*pieces, strict=True))
        return Actions(power=power, cpu_share=cpu, wired_share=wired, deployment=world.association)


def soft_failures(
    request: Tensor, *, migrating: Tensor, delay_s: Tensor, deadline_s: Tensor, temperature: float
) -> Tensor:
    """Return the failure factor (12) with its step smoothed: 1 / (1 + (τ/t)^(1/temperature)).

    Args:
        request: [...], bool.
        migrating: [...], bool; these requests fail whatever is done.
        delay_s: [...], s.
        deadline_s: [...], s.
        temperature: ratio of delays, in nepers, over which the step is smeared.

    Returns:
        [...], in [0, 1]; a half where the delay is the deadline.
    """
    served = request & ~migrating
    late = log(torch.where(served, delay_s / deadline_s, 1))
    return torch.where(served, sigmoid(late / temperature), request.to(late.dtype))


def decide(
    policies: Policies, flats: Sequence[Tensor], *, world: World, deployment: Tensor, env: EnvConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean actions as :class:`dtlib.agents.policies.Policies` takes them, on the tape.

    Args:
        policies: give shapes and scales.
        flats: parameters [A, P] of users and of base stations.
        world: leading axes [R, N], any slots in any order.
        deployment: [R, N, K], int, β in force.

    Returns:
        Power [R, N, K] in W, also where there is nothing to send; CPU and wired weights, each
        [R, N, M, K], also where they have no effect.
    """
    config = policies.config
    seen = (
        observe_users(world, env, derived=config.observation == "derived"),
        observe_stations(world, deployment, env),
    )
    units = []
    for stack, flat, obs in zip((policies.users, policies.stations), flats, seen, strict=True):
        rows = obs.permute(2, 0, 1, 3).reshape(stack.count, -1, obs.shape[-1])
        unit = mean_action(config.head, [stack(rows, flat)]).clamp_min(LEAST_UNIT)
        units.append(unit.view(obs.shape[2], *obs.shape[:2], -1).permute(1, 2, 0, 3))
    power = power_watts(
        units[0].squeeze(-1), distance=world.distance.amin(-1), env=env, train=config
    )
    cpu, wired = units[1].chunk(2, dim=-1)
    return power, cpu, wired


def _batches(env: EnvConfig, seed: int) -> Iterator[tuple[World, Tensor, Tensor]]:
    """Draw training worlds without end, and yield their slots in random order, each once.

    Yields:
        N slots of each of R worlds, in any order, with deployment and migrations [R, N, K].
    """
    env, order, number = env.replace(frames=TRAINING_FRAMES), seeded("order", seed), 0
    while True:
        world = sample_world(
            env, [stream_seed("world", seed, number + r) for r in range(TRAINING_WORLDS)]
        )
        deployment, migrating, _ = deploy(world.association, env, initial_carry(world))
        for index in torch.randperm(env.slots, generator=order).split(TRAINING_SLOTS):
            arrays = {name: array for name, array in vars(world).items() if array.dim() > 2}
            picked = replace(world, **{name: array[:, index] for name, array in arrays.items()})
            yield picked, deployment[:, index], migrating[:, index]
        number += TRAINING_WORLDS


def train_informed(config: TrainConfig, target: float, steps: int = TRAINING_STEPS) -> Informed:
    """Return actors of least energy among those of which no user fails more often than ``target``.

    Args:
        config: a learner's settings: its network, observations, scales and perceptrons, the seed of
            its weights and training worlds. The head is that of MADDPG, whatever the algorithm, and
            nobody chooses to be silent.
        target: largest slot failure ratio of a user, in (0, 1).
        steps: of Adam.

    Raises:
        ConfigError: ``target`` is not in (0, 1), or there are no steps.
    """
    if not 0 < target < 1:
        raise ConfigError(f"target = {target}: must be above 0 and below 1")
    if steps < 1:
        raise ConfigError(f"steps = {steps}: must be at least 1")
    # Slopes do not lead over a step into silence.
    config, env = config.replace(algorithm="maddpg", silent_below=0.0), config.env
    policies = Policies(config)
    stacks = (policies.users, policies.stations)
    leaves = [stack.flat.clone().requires_grad_() for stack in stacks]
    adam = torch.optim.Adam(leaves, LEARNING_RATE, fused=True)  # else its roots are MKL's
    price = torch.full((env.num_users,), FIRST_PRICE)
    failed = torch.full_like(price, target)

    batches, (hot, cold) = _batches(env, config.seed), TEMPERATURES
    for step in range(steps):
        temperature = hot * (cold / hot) ** min(1.5 * (step / steps), 1)
        slower = (1 + math.cos(math.pi * step / steps)) / 2
        for group in adam.param_groups:
            group["lr"] = LEARNING_RATE * slower
        world, deployment, migrating = next(batches)
        power, cpu, wired = decide(policies, leaves, world=world, deployment=deployment, env=env)
        actions = Actions(power=power, cpu_share=cpu, wired_share=wired, deployment=deployment)
        found = respond(world, actions, env, deployment=deployment, migrating=migrating)
        soft = soft_failures(
            world.request, migrating=migrating, delay_s=found.delay_s,
            deadline_s=world.deadline_s, temperature=temperature,
        ).mean((0, 1))  # fmt: skip
        hard = found.failure.float().mean((0, 1))
        adam.zero_grad()
        (1e3 * (found.energy_j.mean((0, 1)) + price * soft).sum()).backward()
        adam.step()

        failed = MEMORY * failed + (1 - MEMORY) * hard
        price = price * exp(slower * PRICE_STEP * (failed - target) / (failed + target))
    for stack, leaf in zip(stacks, leaves, strict=True):
        stack.flat.copy_(leaf.detach())
    return Informed(policies)
