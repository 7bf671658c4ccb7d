"""A whole episode as one expression against the same episode stepped through PettingZoo.

    python -m benchmarks.episode [--out]        # Table I: 5000 slots, 30 users, 5 base stations

README: both sides run the same functions, networks and worlds, in one process on one torch thread.
``whole`` acts (stochastically) and simulates; a step is one slot of ``TwinEnv`` with the actors'
networks applied to the observations that it returned. Sampling the world is on neither side, for
an episode needs it once either way. Rounds of both alternate, so that a busy machine slows both.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from benchmarks.common import Parser, memory_mb, report
from dtlib.agents.actions import power_watts
from dtlib.agents.policies import Policies
from dtlib.kernels.distributions import beta_parameters, sample_beta, sample_categorical
from dtlib.model.simulator import simulate
from dtlib.model.world import sample_world
from dtlib.pettingzoo import CENTRE, TwinEnv, parallel_env, slot_actions, station_names, user_names
from dtlib.runtime.devices import torch_threads
from dtlib.runtime.errors import ConfigError
from dtlib.settings.train import TrainConfig

FOLDER = "results/benchmarks/episode"
NAME = "benchmarks.episode"
PACKAGES = ("torch", "numpy", "scipy", "pettingzoo", "gymnasium")
WARM_UP = 30
"""Slots stepped before the clock starts."""
COLUMNS = (
    "quantity", "unit", "num_users", "num_bs", "slots", "rounds", "median", "least", "greatest",
)  # fmt: skip
MEANING = {
    "world": "sample the world",
    "act": "act in all slots",
    "simulate": "simulate all slots",
    "whole": "act and simulate",
    "reset": "reset of the environment (samples the world)",
    "step_act": "step the environment, actors decide each slot",
    "step_given": "step the environment, actions given",
    "ratio_act": "stepping over whole, actors decide",
    "ratio_given": "stepping over simulating, actions given",
    "memory_before": "resident before the first episode",
    "memory_peak": "peak resident after whole episodes",
}


SEEN = {
    "algorithm": "beta-happo", "actors": "per-agent", "observation": "positions",
    "power_action": "watt",
}  # fmt: skip
"""What the environment's observations suffice for."""


def act_on(
    observations: dict[str, np.ndarray], policies: Policies, generator: Generator | None = None
) -> dict[str, np.ndarray]:
    """Return all agents' actions in one slot from their observations alone.

    Args:
        observations: by agent, as the environment returned them.
        policies: the actors, with Beta heads and without log-distances.
        generator: of the draws; the mean action (the likeliest server) is taken if absent.
    """
    config, env = policies.config, policies.config.env

    def stacked(names: list[str]) -> Tensor:
        return torch.from_numpy(np.stack([observations[name] for name in names]))[:, None]

    def beta(raw: Tensor) -> Tensor:
        first, second = beta_parameters(raw[:, 0]).chunk(2, dim=-1)
        mean = generator is None
        return first / (first + second) if mean else sample_beta(first, second, generator)

    users, stations = user_names(env), station_names(env)
    unit = beta(policies.users(stacked(users)))
    power = power_watts(unit, distance=None, env=env, train=config) / env.max_power_w
    weights = beta(policies.stations(stacked(stations)))
    logits = policies.centre(stacked([CENTRE])).view(env.num_users, env.num_bs)
    servers = logits.argmax(-1) if generator is None else sample_categorical(logits, generator)
    return {
        **dict(zip(users, power.numpy(), strict=True)),
        **dict(zip(stations, weights.numpy(), strict=True)),
        CENTRE: servers.numpy(),
    }


def timed(work: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """Return the seconds that ``work(*args)`` takes, and what it returns."""
    start = time.perf_counter()
    result = work(*args)
    return time.perf_counter() - start, result


def play(stepper: TwinEnv, given: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray] | None:
    """Step through given actions; return the last observations."""
    observations = None
    for actions in given:
        observations = stepper.step(actions)[0]
    return observations


def play_acting(
    stepper: TwinEnv, observations: dict[str, np.ndarray], slots: int, policies: Policies,
    generator: Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Step through ``slots`` with actors that see only observations; return the last ones."""
    for _ in range(slots):
        observations = stepper.step(act_on(observations, policies, generator))[0]
    return observations


def _rounds(config: TrainConfig, rounds: int, steps: int) -> Iterator[dict[str, float]]:
    """Yield each round's measurements, memory in the first only."""
    env = config.env
    policies = Policies(config, Generator().manual_seed(config.seed))
    generator = Generator()
    memory = {"memory_before": memory_mb()}
    for seed in range(2):
        world = sample_world(env, seed)
        simulate(world, policies.act(world, [generator]), env)
    memory["memory_peak"] = memory_mb(peak=True)

    stepper = parallel_env(env)
    warm_up = min(WARM_UP, env.slots - 2)
    counted = min(steps, env.slots - warm_up)
    for seed in range(rounds):
        generator.manual_seed(seed)
        row = memory if seed == 0 else {}
        row["world"], world = timed(sample_world, env, seed)
        row["act"], actions = timed(policies.act, world, [generator])
        row["simulate"], _ = timed(simulate, world, actions, env)
        row["whole"] = row["act"] + row["simulate"]

        row["reset"], (observations, _) = timed(lambda number: stepper.reset(seed=number), seed)
        observations = play_acting(stepper, observations, warm_up, policies, generator)
        seconds, _ = timed(play_acting, stepper, observations, counted, policies, generator)
        row["step_act"] = seconds / counted

        given = [slot_actions(actions, n, env) for n in range(warm_up + counted)]
        stepper.reset(seed=seed)
        play(stepper, given[:warm_up])
        row["step_given"] = timed(play, stepper, given[warm_up:])[0] / counted

        row["ratio_act"] = row["step_act"] * env.slots / row["whole"]
        row["ratio_given"] = row["step_given"] * env.slots / row["simulate"]
        yield row


def measure(config: TrainConfig | None = None, rounds: int = 7, steps: int = 300) -> pd.DataFrame:
    """Measure whole episodes against stepping, at one torch thread.

    Args:
        config: networks and environment; the ``paper`` preset if absent.
        rounds: how often each side runs; medians are over rounds.
        steps: slots stepped in each round, after a warm-up.

    Returns:
        One row per quantity with ``COLUMNS``; seconds are per episode for whole expressions and per
        slot for ``step_…``, ratios are of seconds per episode within one round.
    """
    if rounds < 1:
        raise ConfigError(f"rounds = {rounds}: must be at least 1")
    if steps < 1:
        raise ConfigError(f"steps = {steps}: must be at least 1")
    config = TrainConfig() if config is None else config
    env = config.env
    if env.slots < 3:
        raise ConfigError(f"frames·frame_slots = {env.slots}: must be at least 3 to be timed")
    with torch_threads(1):
        found = pd.DataFrame(list(_rounds(config, rounds, steps)))
    rows = []
    for quantity in MEANING:
        values = found[quantity].dropna()
        unit = {"ratio": "1", "memory": "MB", "step": "s/slot"}.get(quantity.split("_")[0], "s")
        size = (env.num_users, env.num_bs, env.slots, len(values))
        rows.append((quantity, unit, *size, values.median(), values.min(), values.max()))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def table(rows: pd.DataFrame) -> str:
    """Return the measurements as a small table of text."""
    lines = [f"{'':46}{'median':>10}{'least':>10}{'greatest':>10}"]
    for row in rows.itertuples():
        factor, unit = (1e3, "ms/slot") if row.unit == "s/slot" else (1, row.unit.replace("1", "×"))
        numbers = "".join(f"{v * factor:10.4g}" for v in (row.median, row.least, row.greatest))
        lines.append(f"{MEANING[row.quantity]:46}{numbers} {unit}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark, print a table, and write ``data.csv`` and ``manifest.json`` if asked.

    Returns:
        0, or 2 for bad input, which one line on standard error explains.
    """
    parser = Parser("bench", __doc__.splitlines()[0], FOLDER)
    parser.add_argument("--preset", default="paper", help="smoke, quick or paper (default)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds to take medians over (7)")
    parser.add_argument("--steps", type=int, default=300, help="slots stepped in a round (300)")
    options = parser.parse_args(argv)

    def work() -> tuple[pd.DataFrame, dict[str, Any]]:
        config = TrainConfig.from_preset(options.preset, **SEEN)
        text = config.canonical_json()
        notes = {"config": json.loads(text), "config_sha256": sha256(text.encode()).hexdigest()}
        given = {"threads": 1, "rounds": options.rounds, "steps": options.steps}
        return measure(config, options.rounds, options.steps), notes | given

    rows = report(parser, options, NAME, PACKAGES, work)
    if rows is None:
        return 2
    size = rows.iloc[0]
    print(f"K = {size.num_users}, M = {size.num_bs}, {size.slots} slots, 1 thread")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
