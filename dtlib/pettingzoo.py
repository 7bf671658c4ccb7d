"""The network as a PettingZoo environment: one slot at a time, through the very same functions.

``dtlib.pettingzoo.parallel_env(config)`` has K users ``mu_0`` …, M base stations ``bs_0`` … and the
control centre ``centre``, which all act at once. That is possible because the centre's choice in
the last slot of a frame is what counts for the next (``deployment_decision="frame-end"``), so that
the base stations see the deployment β in force before they act.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, MultiDiscrete, Space
from pettingzoo import ParallelEnv

from dtlib.model.layouts import (
    Layout,
    centre_layout,
    state_layout,
    station_layout,
    user_layout,
    weight_layout,
)
from dtlib.model.observations import global_state, observe_centre, observe_stations, observe_users
from dtlib.model.simulator import Actions, Carry, Outcome, deploy, initial_carry, simulate
from dtlib.model.world import World, sample_world
from dtlib.report.snapshot import draw
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_type
from dtlib.runtime.messages import check_count, show
from dtlib.settings.env import EnvConfig

CENTRE = "centre"
TOP = 1 + 1e-6
"""Upper bound of every observation: in float32 a value at the upper end may round to above 1."""


def user_names(env: EnvConfig) -> list[str]:
    """Return the users' names, ``mu_0`` to ``mu_{K−1}``."""
    return [f"mu_{k}" for k in range(env.num_users)]


def station_names(env: EnvConfig) -> list[str]:
    """Return the base stations' names, ``bs_0`` to ``bs_{M−1}``."""
    return [f"bs_{m}" for m in range(env.num_bs)]


def slot_actions(actions: Actions, slot: int, env: EnvConfig) -> dict[str, np.ndarray]:
    """Return one slot of an episode's actions as the environment takes them, by agent.

    Powers are divided by P_max in float32 and multiplied by it again in the environment, which is
    exact for a power of two such as the default and otherwise right to the last bit.

    Args:
        actions: of one replica, R = 1.
        slot: its number n.
        env: gives K, M and P_max.

    Returns:
        A user's fraction of P_max [1], a base station's K CPU and K wired weights [2K], both
        float32, and the centre's servers [K], int64.
    """
    if len(actions.power) != 1:
        raise ValueError(f"actions have {len(actions.power)} replicas: must have one")
    power = (actions.power[0, slot] / env.max_power_w).clamp_max(1).float().numpy()
    weights = weight_layout(env).join(
        {"cpu": actions.cpu_share[0, slot], "wired": actions.wired_share[0, slot]}
    )
    return {
        **dict(zip(user_names(env), power[:, None].copy(), strict=True)),
        **dict(zip(station_names(env), weights.float().numpy(), strict=True)),
        CENTRE: actions.deployment[0, slot].numpy().copy(),
    }


class TwinEnv(ParallelEnv[str, np.ndarray, np.ndarray]):
    """A ``ParallelEnv`` over an episode of Q·T slots, which ends by truncation.

    Spaces (K users, M base stations):

    - ``mu_k`` sees (20), acts in Box(0, 1, [1]): its power as a fraction of P_max;
    - ``bs_m`` sees (22), acts in Box(0, 1, [2K]): for each user the part used of its slice of the
      CPU (without effect where ``cpu_sharing`` is ``whole``), or its weight where that is
      ``served``; then K weights on its wires;
    - ``centre`` sees (24), acts in MultiDiscrete [M]·K: the server of each twin.

    Users and base stations are rewarded with r_g (28), the centre with r_c (26). A weight of
    exactly zero for a user that the others' weights starve gives that user an infinite delay; with
    ``centre_delay="letter"`` it also gives the centre a reward of −inf.

    Everything but the base stations' view of β is exogenous, and is drawn and observed for the
    whole episode at :meth:`reset`. No slot follows the last one: the observations returned with the
    truncation repeat the last slot's positions and requests, with the β that would come into force.

    Args:
        config: the network; Table I if absent.
        render_mode: ``None``, or ``"rgb_array"`` for a picture of the area from :meth:`render`.

    Raises:
        ConfigError: ``deployment_decision="frame-start"``, or an unknown ``render_mode``.
    """

    _carry: Carry

    def __init__(self, config: EnvConfig | None = None, render_mode: str | None = None) -> None:
        config = EnvConfig() if config is None else config
        check_type("config", config, EnvConfig, such="EnvConfig(num_users=12)")
        if config.deployment_decision != "frame-end":
            raise ConfigError(
                f"deployment_decision = {config.deployment_decision!r}: must be 'frame-end' to "
                "step slot by slot, or base stations would act before the centre has decided"
            )
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode = {render_mode!r}: must be None or 'rgb_array'")
        self.metadata = {
            "name": "dtlib_twins_v0",
            "render_modes": ["rgb_array"],
            "is_parallelizable": True,
            "render_fps": max(1, round(1 / config.slot_s)),
        }
        self.config, self.render_mode = config, render_mode
        self._users, self._stations = user_names(config), station_names(config)
        self.possible_agents = [*self._users, *self._stations, CENTRE]
        self.agents: list[str] = []
        seen, acts = zip(*_spaces(config), strict=True)
        self.observation_spaces = dict(zip(self.possible_agents, seen, strict=True))
        self.action_spaces = dict(zip(self.possible_agents, acts, strict=True))
        self.state_space = _box(state_layout(config))
        self._generator = np.random.default_rng(0)

    def observation_space(self, agent: str) -> Space[Any]:
        """Return an agent's observation space, float32 and bounded: always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """Return an agent's action space: always the same object."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Begin an episode.

        Args:
            seed: the world is ``sample_world(config, seed)``, and the worlds of later calls without
                a seed follow from it; without any seed ever, they are those that follow seed 0.
                Virtual queues begin at zero; without a seed they go on where ``queue_reset`` is
                false.
            options: not used.

        Returns:
            Observations and empty infos by agent.
        """
        if seed is None:
            number = int(self._generator.integers(2**63))
        else:
            check_count("seed", seed, least=0)
            number = int(seed)
            self._generator = np.random.default_rng(number)
        env = self.config
        self._world = sample_world(env, number)
        self._user_view = observe_users(self._world, env)[0].numpy()
        self._centre_view = observe_centre(self._world, env)[0].numpy()
        goes_on = seed is None and not env.queue_reset and hasattr(self, "_carry")
        self._carry = initial_carry(self._world, self._carry.queue if goes_on else None)
        self.agents = list(self.possible_agents)
        self._look()
        return self._observations(), {agent: {} for agent in self.agents}

    def step(
        self, actions: Mapping[str, np.ndarray]
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Play one slot.

        Args:
            actions: one for each agent, inside its space.

        Returns:
            Observations, rewards, terminations, truncations and infos by agent. Infos hold, for
            users, ``request, failure, migrating, delay_s, rate_bps, energy_j, queue`` (Y[n+1]); for
            base stations, how many ``requests`` reach them and how many ``twins`` they host; for
            the centre, β as ``deployment`` [K], each user's part of r_c as ``reward_user`` [K] and
            the number of ``migrating`` twins.

        Raises:
            ValueError: an action that is missing or outside its space, named in one line.
            ResetNeeded: there is no episode to continue.
        """
        if not self.agents:
            raise ResetNeeded("no episode is under way: call reset() before step()")
        given = self._read(actions)
        window = self._window
        outcome = simulate(window, given, self.config, carry=self._carry)
        self._carry = outcome.carry
        over = self._carry.slot == self.config.slots
        self._look()

        agents = self.agents
        rewards = dict.fromkeys(agents, outcome.reward_global.item())
        rewards[CENTRE] = outcome.reward_centre.item()
        infos = self._infos(window, outcome)
        if over:
            self.agents = []
        terminated, truncated = dict.fromkeys(agents, False), dict.fromkeys(agents, over)
        return self._observations(), rewards, terminated, truncated, infos

    def state(self) -> np.ndarray:
        """Return the critics' global state in the coming slot, float32 in ``state_space``."""
        self._begun()
        return global_state(self._window, self._deployment, self.config)[0, 0].numpy()

    def render(self) -> np.ndarray | None:
        """Return a picture [480, 480, 3], uint8, of the coming slot if ``render_mode`` asks for it.

        Base stations are squares, users dots in the colour of their base station, filled when they
        request; a line leads from a user to the server of its twin if that is another one.
        """
        if self.render_mode is None:
            return None
        self._begun()
        return draw(self._window, self._deployment, self.config, slot=self._carry.slot)

    def _begun(self) -> None:
        if not hasattr(self, "_window"):
            raise ResetNeeded("no episode is under way: call reset() first")

    def _look(self) -> None:
        """Turn to the coming slot: its window of the world, and β in force, [1, 1, K]."""
        env, carry = self.config, self._carry
        self._index = min(carry.slot, env.slots - 1)
        self._window = self._world.window(self._index, self._index + 1)
        if carry.slot % env.frame_slots:
            self._deployment = carry.deployment[:, None]
        else:
            # What the centre chooses in this slot has no influence on β: any choice will do.
            self._deployment = deploy(carry.pending[:, None], env, carry)[0]

    def _observations(self) -> dict[str, np.ndarray]:
        stations = observe_stations(self._window, self._deployment, self.config)[0, 0].numpy()
        # Copies, lest a caller that writes into an observation changes the episode.
        users, centre = self._user_view[self._index].copy(), self._centre_view[self._index].copy()
        return dict(zip(self.possible_agents, (*users, *stations, centre), strict=True))

    def _infos(self, window: World, outcome: Outcome) -> dict[str, dict[str, Any]]:
        arrays = {
            "request": window.request,
            "failure": outcome.failure,
            "migrating": outcome.migrating,
            "delay_s": outcome.delay_s,
            "rate_bps": outcome.rate_bps,
            "energy_j": outcome.energy_j,
            "queue": outcome.queue[:, 1:],
        }
        rows = zip(*(array.flatten().tolist() for array in arrays.values()), strict=True)
        infos = {
            agent: dict(zip(arrays, row, strict=True))
            for agent, row in zip(self._users, rows, strict=True)
        }
        deployment = outcome.deployment.flatten().numpy()
        callers = window.association.flatten().numpy()[window.request.flatten().numpy()]
        requests = np.bincount(callers, minlength=self.config.num_bs).tolist()
        twins = np.bincount(deployment, minlength=self.config.num_bs).tolist()
        for agent, asked, hosted in zip(self._stations, requests, twins, strict=True):
            infos[agent] = {"requests": asked, "twins": hosted}
        infos[CENTRE] = {
            "deployment": deployment.copy(),
            "reward_user": outcome.reward_centre_user.flatten().numpy(),
            "migrating": int(outcome.migrating.sum()),
        }
        return infos

    def _read(self, actions: Mapping[str, np.ndarray]) -> Actions:
        """Check every agent's action and put them together with R = N = 1."""
        if not isinstance(actions, Mapping):
            raise ValueError(
                f"actions = {show(actions, length=40)}: must be a dict with one for each agent"
            )
        if actions.keys() != self.action_spaces.keys():
            for agent in actions:
                if agent not in self.action_spaces:
                    raise ValueError(f"{agent!r}: unknown agent; must be one of {self._known()}")
            absent = next(agent for agent in self.agents if agent not in actions)
            raise ValueError(f"{absent}: no action; must be given for each of {self._known()}")
        env = self.config
        power = self._collect(actions, self._users, shape=(1,), top=1)
        weights = self._collect(actions, self._stations, shape=(weight_layout(env).size,), top=1)
        servers = self._collect(
            actions, [CENTRE], shape=(env.num_users,), top=env.num_bs - 1, kinds="iu"
        )
        shares = weight_layout(env).split(torch.from_numpy(weights.astype(np.float32))[None, None])
        watts = torch.from_numpy(power.astype(np.float32)).view(1, 1, -1) * env.max_power_w
        choice = torch.from_numpy(servers.astype(np.int64))[None]
        return Actions(
            power=watts, cpu_share=shares["cpu"], wired_share=shares["wired"], deployment=choice
        )

    def _known(self) -> str:
        env = self.config
        return f"mu_0 … mu_{env.num_users - 1}, bs_0 … bs_{env.num_bs - 1}, {CENTRE}"

    @staticmethod
    def _collect(
        actions: Mapping[str, Any], agents: Sequence[str], *, shape: tuple[int, ...],
        top: int, kinds: str = "fiu",
    ) -> np.ndarray:  # fmt: skip
        """Return [agents, *shape], every element in [0, top], or raise a ``ValueError``."""
        single, what = ("an integer", "integers") if kinds == "iu" else ("a number", "numbers")
        rule = f"{single} in [0, {top}]" if shape == (1,) else f"{shape[0]} {what} in [0, {top}]"
        rows = []
        for agent in agents:
            try:
                row = np.asarray(actions[agent])
            except (ValueError, TypeError):  # a ragged list
                row = np.empty((), dtype=object)
            if row.shape != shape or row.dtype.kind not in kinds:
                found = f"shape {row.shape}, {row.dtype}"
                raise ValueError(
                    f"{agent}: action = {show(actions[agent], length=40)} ({found}): must be {rule}"
                )
            rows.append(row)
        result = np.array(rows)
        inside = (result >= 0) & (result <= top)
        if not inside.all():
            agent, element = np.argwhere(~inside)[0]
            value = result[agent, element].item()
            raise ValueError(
                f"{agents[agent]}: action[{element}] = {value}: must be {single} in [0, {top}]"
            )
        return result


parallel_env = TwinEnv
"""What makes the environment, under the name that PettingZoo's own environments have for it."""


def _box(layout: Layout) -> Box:
    return Box(np.array(layout.low, dtype=np.float32), TOP, dtype=np.float32)


def _spaces(env: EnvConfig) -> Iterator[tuple[Space[Any], Space[Any]]]:
    """Yield what each agent sees and does, in their order."""
    kinds = [(user_layout(env), 1)] * env.num_users
    kinds += [(station_layout(env), weight_layout(env).size)] * env.num_bs
    for seen, numbers in kinds:
        yield _box(seen), Box(0, 1, (numbers,), np.float32)
    yield _box(centre_layout(env)), MultiDiscrete([env.num_bs] * env.num_users)
