"""BenchMARL's MAPPO on this environment: how long it takes to collect slots and to train on them.

    python -m benchmarks.peer [--slots 5000] [--epochs 25] [--threads 1] [--out FOLDER]

Needs BenchMARL, which the library itself does not. An iteration is what BenchMARL calls one:
collect the slots, then pass over all of them ``epochs`` times; its own clock is read.

The same as ours: the environment of ``dtlib.pettingzoo`` with its state for the critics, an actor
of its own for every agent (``share_policy_params=False``), slots and epochs, the whole batch as the
one minibatch, one process on CPU, and what ``TrainConfig()`` has for hidden layers, Adam, discount,
advantages, clipping and entropy. All else is BenchMARL's default: one critic on the state for each
group, and ten environments side by side, which about halves a slot (``--envs 1`` plays one whole
episode).

Adapted:

- The centre scores all K·M pairs in [0, 1] and a wrapper takes the best server for each twin, since
  BenchMARL knows Box and Discrete actions only. Each score has a mean and a spread, so the centre's
  last layer is twice as wide as ours: 1.4% more weights over all actors. Users and base stations
  have as many outputs as ours: a tanh-normal distribution has two parameters as a Beta has.
- Users, base stations and the centre are three groups, for spaces within a group must be equal.
- Infos are left out: TorchRL would copy them in every slot and then drop them.
- Nothing is evaluated, logged or saved.

MAPPO updates the agents of a group at once where HAPPO goes from agent to agent. So this compares
the time of an iteration over equal data with equal networks, not what is learnt from it. Most of a
slot goes into TorchRL's general PettingZoo wrapper, which handles agent by agent what we stack.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space
from pettingzoo.utils import BaseParallelWrapper
from torch import nn

try:
    from benchmarl.algorithms import MappoConfig
    from benchmarl.environments.common import TaskClass
    from benchmarl.experiment import Experiment, ExperimentConfig
    from benchmarl.models.mlp import MlpConfig
    from tensordict import TensorDictBase
    from torchrl.data import Composite
    from torchrl.envs import EnvBase, PettingZooWrapper
except ModuleNotFoundError as error:
    if __name__ != "__main__":
        raise
    print(f"peer: {error}; install what pyproject.toml lists as 'bench'", file=sys.stderr)
    sys.exit(2)

from benchmarks import beside
from dtlib.pettingzoo import CENTRE, TwinEnv, parallel_env, station_names, user_names
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig

FOLDER = "results/benchmarks/peer"
NAME = "benchmarks.peer"
PACKAGES = ("benchmarl", "torchrl", "tensordict", "torch", "numpy", "pettingzoo", "gymnasium")


class ScoredEnv(BaseParallelWrapper):
    """The environment with scores for the centre's action, and without infos."""

    def __init__(self, env: TwinEnv):
        super().__init__(env)
        self._shape = (env.config.num_users, env.config.num_bs)
        self._scores = Box(0, 1, (env.config.num_users * env.config.num_bs,), np.float32)

    def action_space(self, agent: str) -> Space:
        """Return an agent's own space; for the centre, K·M scores in [0, 1]."""
        return self._scores if agent == CENTRE else self.env.action_space(agent)

    def step(self, actions: Mapping[str, np.ndarray]) -> tuple[dict, dict, dict, dict, dict]:
        """Play one slot in which the centre chooses the server with the highest score."""
        servers = np.reshape(actions[CENTRE], self._shape).argmax(-1)
        *rest, infos = self.env.step({**actions, CENTRE: servers})
        return *rest, {agent: {} for agent in infos}


class TwinTask(TaskClass):
    """The environment as BenchMARL asks for it; ``config["env"]`` is the ``EnvConfig``."""

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], EnvBase]:
        env: EnvConfig = self.config["env"]
        groups = {"users": user_names(env), "stations": station_names(env), CENTRE: [CENTRE]}
        seeds = count(seed or 0)  # else environments side by side would play the same world
        settings = {"return_state": True, "group_map": groups, "device": device}
        return lambda: PettingZooWrapper(ScoredEnv(parallel_env(env)), seed=next(seeds), **settings)

    def supports_continuous_actions(self) -> bool:
        return True

    def supports_discrete_actions(self) -> bool:
        return False

    def max_steps(self, env: EnvBase) -> int:
        return self.config["env"].slots

    def has_render(self, env: EnvBase) -> bool:
        return False

    def group_map(self, env: EnvBase) -> dict[str, list[str]]:
        return env.group_map

    def observation_spec(self, env: EnvBase) -> Composite:
        specs = env.observation_spec.clone()
        del specs["state"]
        return specs

    def state_spec(self, env: EnvBase) -> Composite:
        return Composite({"state": env.observation_spec["state"].clone()})

    def action_spec(self, env: EnvBase) -> Composite:
        return env.full_action_spec

    def info_spec(self, env: EnvBase) -> None:
        return None

    def action_mask_spec(self, env: EnvBase) -> None:
        return None

    @staticmethod
    def env_name() -> str:
        return "dtlib"


class TimedExperiment(Experiment):
    """An experiment that keeps the seconds of every iteration by part in ``seconds``."""

    def _setup_logger(self) -> None:
        super()._setup_logger()
        self.seconds: list[dict[str, float]] = []
        self._updates = 0.0
        self.logger.log = self._keep  # where BenchMARL reports its timers; no logger is set up

    def _optimizer_loop(self, group: str) -> TensorDictBase:
        start = time.perf_counter()
        losses = super()._optimizer_loop(group)
        self._updates += time.perf_counter() - start
        return losses

    def _keep(self, entries: Mapping[str, Any], step: int | None = None) -> None:
        if "timers/iteration_time" not in entries:
            return
        timers = {"collect": "collection", "train": "training", "iteration": "iteration"}
        row = {part: entries[f"timers/{timer}_time"] for part, timer in timers.items()}
        row["epoch"] = self._updates / self.config.n_optimizer_steps(self.on_policy)
        self.seconds.append(row)
        self._updates = 0.0


def experiment(
    env: EnvConfig, slots: int, epochs: int, iterations: int, envs: int, folder: str
) -> TimedExperiment:
    """Return BenchMARL's experiment with our settings; it insists on writing into ``folder``."""
    ours = TrainConfig(env=env)
    config = ExperimentConfig.get_from_yaml()
    config.share_policy_params = False
    config.gamma, config.lr, config.adam_eps = ours.discount, ours.learning_rate, ours.adam_eps
    config.clip_grad_val = ours.max_grad_norm
    config.max_n_iters, config.max_n_frames = iterations, None
    config.on_policy_collected_frames_per_batch = config.on_policy_minibatch_size = slots
    config.on_policy_n_envs_per_worker = envs
    config.on_policy_n_minibatch_iters = epochs
    config.evaluation = config.create_json = False
    config.loggers, config.save_folder = [], folder
    algorithm = MappoConfig.get_from_yaml()
    algorithm.clip_epsilon, algorithm.entropy_coef = ours.clip, ours.entropy_coef
    algorithm.lmbda = ours.gae_lambda
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[ours.activation]
    model = MlpConfig(
        num_cells=list(ours.hidden_sizes), layer_class=nn.Linear, activation_class=activation
    )
    return TimedExperiment(TwinTask("twins", {"env": env}), algorithm, model, ours.seed, config)


def seconds(
    env: EnvConfig, slots: int, epochs: int, rounds: int, envs: int
) -> list[dict[str, float]]:
    """Return the seconds of BenchMARL's iterations, after one that does not count."""
    logging.getLogger("torchrl").setLevel(logging.WARNING)
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # deprecations, and episodes longer than an iteration
        found = experiment(env, slots, epochs, rounds + 1, envs, folder)
        found.run()
    return found.seconds[1:]


measure = partial(beside.measure, "BenchMARL", seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; see :func:`benchmarks.beside.run`."""
    parser = beside.parser("peer", __doc__.splitlines()[0], FOLDER)
    return beside.run(parser.parse_args(argv), parser, NAME, PACKAGES, measure)


if __name__ == "__main__":
    sys.exit(main())
