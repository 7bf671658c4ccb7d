"""HAPPO as its authors publish it (HARL), on this environment: the seconds of an iteration.

    python -m benchmarks.harl --checkout FOLDER [--slots 5000] [--epochs 25] [--out FOLDER]

Takes a checkout of HARL and what its setup asks for: absl-py, PyYAML and setproctitle.
The same as ours: the environment of ``dtlib.pettingzoo`` with its state for the critic, an actor of
its own for every agent, which are updated one after another with the factor M, slots and epochs,
the whole batch as the one minibatch, one process on CPU, and what ``TrainConfig()`` has for hidden
layers, activation, Adam, discount, advantages, clipping and entropy. All else is HARL's default
for HAPPO.

Adapted:

- HARL's own environments are not needed: one that steps several of ours in this process stands in,
  as its ``ShareDummyVecEnv`` does. Observations and actions of different width stay apart, where
  HARL would pad them to the widest: its loops over agents get a list for each.
- A Gaussian's draws are cut to the action space. The centre chooses one of M servers for each user,
  HARL's ``MultiDiscrete``.
- One critic for the sum of all rewards, as HARL has one critic.
- HARL's masks of agents that are dead are off: none dies here, and for a ``MultiDiscrete`` with n
  slots they would take products [n, n], and most of the time.
- Nothing is evaluated, logged or saved.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import beside
from dtlib.pettingzoo import CENTRE, parallel_env
from dtlib.runtime.errors import ConfigError
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig

FOLDER = "results/benchmarks/harl"
NAME = "benchmarks.harl"
PACKAGES = ("torch", "numpy", "pettingzoo", "gymnasium")


class ByAgent(list):
    """Arrays [environments, width], one per agent, asked for as HARL does: ``array[:, agent]``."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index[1] if isinstance(index, tuple) else index)


class Twins:
    """Several of our environments, stepped one after another, as HARL asks for them."""

    def __init__(self, env: EnvConfig, envs: int, seed: int) -> None:
        self.envs = [parallel_env(env) for _ in range(envs)]
        self.seeds = [iter(range(seed + i, 10**9, envs)) for i in range(envs)]
        first = self.envs[0]
        self.agents, self.n_agents = first.possible_agents, len(first.possible_agents)
        self.observation_space = [first.observation_space(agent) for agent in self.agents]
        self.action_space = [first.action_space(agent) for agent in self.agents]
        self.share_observation_space = [first.state_space] * self.n_agents

    def _begin(self, i: int) -> dict[str, np.ndarray]:
        return self.envs[i].reset(seed=next(self.seeds[i]))[0]

    def _shown(self, seen: Sequence[dict[str, np.ndarray]]) -> tuple[ByAgent, np.ndarray]:
        by_agent = ByAgent(np.stack([one[agent] for one in seen]) for agent in self.agents)
        states = np.stack([env.state() for env in self.envs])
        return by_agent, np.broadcast_to(
            states[:, None], (len(seen), self.n_agents, states.shape[1])
        )

    def reset(self) -> tuple[ByAgent, np.ndarray, list[None]]:
        """Begin every environment's next episode."""
        return *self._shown([self._begin(i) for i in range(len(self.envs))]), [None] * len(
            self.envs
        )

    def step(self, actions: ByAgent) -> tuple[Any, ...]:
        """Play a slot everywhere; an environment that has ended begins again."""
        seen, rewards, dones, infos = [], [], [], []
        for i, env in enumerate(self.envs):
            chosen = {
                agent: self._action(agent, actions[:, a][i]) for a, agent in enumerate(self.agents)
            }
            observed, earned, _, ended, _ = env.step(chosen)
            done = all(ended.values())
            infos.append([{"bad_transition": done}] * self.n_agents)  # an end by truncation
            seen.append(self._begin(i) if done else observed)
            rewards.append([[sum(earned.values())]] * self.n_agents)
            dones.append([done] * self.n_agents)
        observed, states = self._shown(seen)
        return observed, states, np.array(rewards), np.array(dones), infos, [None] * len(seen)

    def _action(self, agent: str, action: np.ndarray) -> np.ndarray:
        return action.astype(np.int64) if agent == CENTRE else action.clip(0, 1)

    def close(self) -> None:
        """HARL calls it."""


def settings(config: TrainConfig, slots: int, envs: int) -> dict[str, Any]:
    """Return what HARL's defaults for HAPPO are changed to, by section of its file."""
    return {
        "seed": {"seed_specify": True, "seed": config.seed},
        "device": {"cuda": False, "torch_threads": torch.get_num_threads()},
        "train": {"n_rollout_threads": envs, "episode_length": slots // envs},
        "eval": {"use_eval": False},
        "model": {
            "hidden_sizes": list(config.hidden_sizes), "activation_func": config.activation,
            "lr": config.learning_rate, "critic_lr": config.learning_rate,
            "opti_eps": config.adam_eps,
        },
        "algo": {
            "ppo_epoch": config.epochs, "critic_epoch": config.epochs, "clip_param": config.clip,
            "entropy_coef": config.entropy_coef, "gamma": config.discount,
            "gae_lambda": config.gae_lambda, "max_grad_norm": config.max_grad_norm,
            "use_policy_active_masks": False,
        },
    }  # fmt: skip


def modules(checkout: Path, *names: str) -> list[Any]:
    """Import modules of HARL.

    Raises:
        ConfigError: ``checkout`` is not a checkout of HARL, or lacks a package.
    """
    if not (checkout / "harl" / "runners" / "on_policy_ha_runner.py").is_file():
        raise ConfigError(f"checkout = {str(checkout)!r}: must be a checkout of HARL")
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    try:
        return [importlib.import_module(f"harl.{name}") for name in names]
    except ModuleNotFoundError as error:
        raise ConfigError(f"checkout: HARL needs {error.name}, which is not installed") from None


def by_agent(base: type) -> type:
    """Return HARL's runner with actions that stay apart, as agents have different widths."""

    class Runner(base):
        @torch.no_grad()
        def collect(self, step: int) -> tuple[Any, ...]:
            found = [
                actor.get_actions(buffer.obs[step], buffer.rnn_states[step], buffer.masks[step])
                for actor, buffer in zip(self.actor, self.actor_buffer, strict=True)
            ]
            actions, log_probs, states = zip(*found, strict=True)
            critic = self.critic_buffer
            value, critic_state = self.critic.get_values(
                critic.share_obs[step], critic.rnn_states_critic[step], critic.masks[step]
            )
            return (
                value.numpy(),
                ByAgent(one.numpy() for one in actions),
                ByAgent(one.numpy() for one in log_probs),
                torch.stack(states, dim=1).numpy(),
                critic_state.numpy(),
            )

    return Runner


def runner(checkout: Path, env: EnvConfig, slots: int, epochs: int, envs: int) -> Any:
    """Return HARL's runner of HAPPO on our environment."""
    base, ha, tools = modules(
        checkout, "runners.on_policy_base_runner", "runners.on_policy_ha_runner",
        "utils.configs_tools",
    )  # fmt: skip
    config = TrainConfig(env=env, epochs=epochs)
    arguments, _ = tools.get_defaults_yaml_args("happo", "pettingzoo_mpe")
    for section, values in settings(config, slots, envs).items():
        arguments[section] |= values
    twins = Twins(env, envs, config.seed)
    base.make_train_env = lambda *_: twins
    base.get_num_agents = lambda *_: twins.n_agents
    base.init_dir = lambda *_, **__: (None, None, None, None)
    base.save_config = lambda *_: None
    base.LOGGER_REGISTRY["dtlib"] = lambda *_: None
    with redirect_stdout(StringIO()):
        return by_agent(ha.OnPolicyHARunner)(
            {"algo": "happo", "env": "dtlib", "exp_name": NAME}, arguments, {}
        )


def iteration(runner: Any, slots: int) -> tuple[float, float]:
    """Return the seconds of collecting and of training: HARL's ``run`` without its logger."""
    start = time.perf_counter()
    runner.prep_rollout()
    for step in range(slots):
        values, actions, log_probs, states, critic_states = runner.collect(step)
        played = runner.envs.step(actions)
        runner.insert((*played, values, actions, log_probs, states, critic_states))
    collected = time.perf_counter()
    runner.compute()
    runner.prep_training()
    runner.train()
    trained = time.perf_counter()
    runner.after_update()
    return collected - start, trained - collected


def seconds(
    checkout: Path, env: EnvConfig, slots: int, epochs: int, rounds: int, envs: int
) -> list[dict[str, float]]:
    """Return the seconds of HARL's iterations, after one that does not count."""
    found = runner(checkout, env, slots, epochs, envs)
    found.warmup()
    halves = [iteration(found, slots // envs) for _ in range(rounds + 1)]
    return [beside.parts(*half, epochs) for half in halves[1:]]


def commit(checkout: Path) -> str | None:
    """Return what is checked out; None if git cannot tell."""
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; see :func:`benchmarks.beside.run`."""
    parser = beside.parser("harl", __doc__.splitlines()[0], FOLDER)
    parser.add_argument("--checkout", type=Path, required=True, help="a checkout of HARL")
    options = parser.parse_args(argv)
    measure = partial(beside.measure, "HARL", partial(seconds, options.checkout.absolute()))
    return beside.run(options, parser, NAME, PACKAGES, measure, harl=commit(options.checkout))


if __name__ == "__main__":
    sys.exit(main())
