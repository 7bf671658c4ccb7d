"""Readings of the paper against the sentences of Section V on physics, by rules that learn nothing.

The rule of choice, written before the runs: the default network is the reading under which most of
``SENTENCES`` hold for power on demand, which always sends, as the paper's agents do: their Beta
policies never draw a power of zero. Among equals it is the one with the fewest departures from the
printed equations. What learners do chooses nothing here.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from dtlib.baselines.clairvoyant import Clairvoyant
from dtlib.baselines.rules import expected_parts
from dtlib.baselines.tuning import tune_failures
from dtlib.experiments.baseline import at_level
from dtlib.experiments.keys import digest, env_key
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.experiments.streams import sample_stream
from dtlib.model.simulator import simulate
from dtlib.model.synchronization import compute_delay
from dtlib.settings.env import EnvConfig
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training.metrics import outcome_metrics

SLICES, DIVIDED = "slices", "divided"
SENDS, GIVES_UP, CLAIRVOYANT = "power on demand", "demand or silence", "clairvoyant"
"""Two readings and the three rules, by name."""
READINGS: dict[str, dict[str, Any]] = {
    SLICES: {},
    DIVIDED: {"cpu_sharing": "served"},
    "hosted": {"cpu_sharing": "hosted"},
    "hosted, 10 GHz in all": {"cpu_sharing": "hosted", "cpu_hz": 2e9},
    "slices, τ of 40 to 50 ms": {"deadline_s": (0.04, 0.05)},
    "slices, (7) as printed": {"interference": "eq7"},
    "slices, φ = 2": {"path_loss_exponent": 2.0},
    "slices, energy until the deadline": {"energy_of_failed": "deadline"},
    "slices, energy of successes": {"energy_of_failed": "none"},
    "slices, all users interfere": {"request_prob": 1.0},
    "divided, τ of 40 to 50 ms": {"cpu_sharing": "served", "deadline_s": (0.04, 0.05)},
    "divided, (7) as printed": {"cpu_sharing": "served", "interference": "eq7"},
    "divided, all users interfere": {"cpu_sharing": "served", "request_prob": 1.0},
    "divided, 2 GHz": {"cpu_sharing": "served", "cpu_hz": 2e9},
}
"""Changes to the default network. Where all users interfere, users without a request send as well.
With slices that is, for those with one, the network in which everybody has one. Where servers are
divided all then draw on the CPU, too, and more requests fail than under that reading."""

NUM_USERS = (10, 15, 20, 25, 28, 30, 35, 40, 50, 52, 54, 56, 58, 60)
POINTS: dict[str, list[dict[str, Any]]] = {
    "K": [{"num_users": users} for users in NUM_USERS],
    "M": [{"num_bs": sites, "num_users": 25} for sites in (3, 4, 5, 6, 7)],
    "λ": [{"request_prob": chance} for chance in (0.3, 0.5, 0.7)],
    "D (Kb)": [{"data_bits": (15e3, top)} for top in (20e3, 25e3, 30e3)],
    "D (Mb)": [{"data_bits": (15e3, top)} for top in (200e3, 250e3, 300e3)],
    "B": [{"bandwidth_hz": width} for width in (8e6, 10e6, 12e6)],
}
"""What Figs. 7 to 11, 13 and 14 sweep."""

POWER_LEVELS = tuple(10 ** (db / 10) for db in range(2, 27, 4))
"""Received power in multiples of what a request needs without interference, linear."""
FAMILIES: dict[str, Callable[[EnvConfig], list[Any]]] = {
    SENDS: lambda env: [at_level(env, "power-on-demand", x) for x in POWER_LEVELS],
    GIVES_UP: lambda env: [at_level(env, "demand-or-silence", x) for x in POWER_LEVELS],
    CLAIRVOYANT: lambda env: [Clairvoyant(env)],
}
"""Policies without learning, of which the one that fails least is taken. All know how much time
their request's computation leaves. The first sends at full power where that is not enough; the
second is silent there; the third knows all gains, and drops what cannot be served with the rest."""


@dataclass(frozen=True)
class Sentence:
    """What Section V says of a figure, and when a rule's numbers agree."""

    figure: str
    text: str
    _: KW_ONLY
    axis: str
    holds: Callable[[pd.DataFrame], bool]
    """Of rows along the axis: ``x``, ``energy_per_user_slot_j``, ``failure_ratio_requests``."""


def _steps(metric: str, sign: int) -> Callable[[pd.DataFrame], bool]:
    return lambda rows: bool((sign * np.diff(rows[metric]) > 0).all())


def _within(
    check: Callable[[pd.DataFrame], bool], low: float, high: float
) -> Callable[[pd.DataFrame], bool]:
    return lambda rows: check(rows[(rows["x"] >= low) & (rows["x"] <= high)])


HARDLY_ANY, NEARLY_ALL = 0.01, 0.99
"""Parts of requests that count as none and as all."""
SENTENCES = (
    Sentence("Fig. 7", "energy rises with K, 10 to 40",
             axis="K", holds=_within(_steps(ENERGY, 1), 10, 40)),
    Sentence("Fig. 8", "no failure up to K = 25",
             axis="K",
             holds=_within(lambda rows: bool((rows[FAILED] <= HARDLY_ANY).all()), 10, 25)),
    Sentence("Fig. 8", "failures rise beyond K = 30",
             axis="K", holds=_within(_steps(FAILED, 1), 30, 40)),
    Sentence("Fig. 9", "energy falls with M", axis="M", holds=_steps(ENERGY, -1)),
    Sentence("Fig. 10", "energy rises with λ", axis="λ", holds=_steps(ENERGY, 1)),
    Sentence("Fig. 11", "energy rises with D (20 to 30 Kb)",
             axis="D (Kb)", holds=_steps(ENERGY, 1)),
    Sentence("Fig. 11", "energy rises with D (0.2 to 0.3 Mb)",
             axis="D (Mb)", holds=_steps(ENERGY, 1)),
    Sentence("Fig. 11", "energy falls with B", axis="B", holds=_steps(ENERGY, -1)),
    Sentence("Fig. 13", "energy rises with K, 50 to 60",
             axis="K", holds=_within(_steps(ENERGY, 1), 50, 60)),
    Sentence("Fig. 14", "all requests fail at K = 58, not all at 50", axis="K",
             holds=lambda rows: bool(rows.set_index("x")[FAILED][50] < NEARLY_ALL
                                     <= rows.set_index("x")[FAILED][58])),
)  # fmt: skip
"""On physics: what does not need a learner to be judged."""


@dataclass(frozen=True)
class Sampling:
    """How much is measured."""

    frames: int = 20
    worlds: int = 3
    tuning: int = 1
    """Worlds on which a rule's level is found; with none it takes the middle one."""


SAMPLINGS = {"smoke": Sampling(1, 1, 0), "quick": Sampling(5, 1, 1)}
"""Presets for which less is measured."""


def sampling_of(preset: str) -> Sampling:
    """Return how much is measured for a preset."""
    return SAMPLINGS.get(preset, Sampling())


def measure_point(
    reading: str, rule: str, axis: str, number: int, sampling: Sampling
) -> dict[str, Any]:
    """Return a row: a rule, tuned to fail least, at one point under one reading.

    Names are of ``READINGS``, ``FAMILIES`` and ``POINTS``; the number is that of a point there.
    ``sampling`` has the numbers of worlds of the streams ``tuning`` and ``held-out``.
    """
    point, change = POINTS[axis][number], READINGS[reading]
    env = EnvConfig(**{"frames": sampling.frames} | point | change)

    policies = FAMILIES[rule](env)
    policy = policies[len(policies) // 2]
    if len(policies) > 1 and sampling.tuning:
        levels, tuning = range(len(policies)), sample_stream(env, "tuning", sampling.tuning)
        policy = tune_failures(lambda level: policies[int(level)], tuning, levels).policy
    world = sample_stream(env, "held-out", sampling.worlds)
    found = outcome_metrics(simulate(world, policy.act(world), env), env)
    if change.get("request_prob") == 1:
        found[ENERGY] *= point.get("request_prob", EnvConfig().request_prob)
    value = next(iter(point.values()))
    x = value[1] if isinstance(value, tuple) else value
    keep = {name: found[name] for name in (ENERGY, FAILED, "failure_ratio_slots")}
    return {"reading": reading, "rule": rule, "axis": axis, "x": x} | keep


def in_both(reading: str, rule: str, axis: str, *_: Any) -> bool:
    """Return whether a part of :data:`TABLE` is one that :func:`of_rules` asks for."""
    return axis == "K" and reading in (SLICES, DIVIDED)


def of_rules(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric of :data:`TABLE` for each rule under both readings, by K."""
    part = rows[list(map(in_both, rows["reading"], rows["rule"], rows["axis"]))]
    return part.pivot(index="x", columns=["rule", "reading"], values=metric)


def holding(rows: pd.DataFrame) -> pd.DataFrame:
    """Return whether each sentence holds: a row per sentence, a column per reading and rule."""
    table = {}
    for (reading, rule), part in rows.groupby(["reading", "rule"], sort=False):
        by_axis: Mapping[Any, pd.DataFrame] = dict(iter(part.groupby("axis", sort=False)))
        table[reading, rule] = [sentence.holds(by_axis[sentence.axis]) for sentence in SENTENCES]
    index = [f"{sentence.figure}: {sentence.text}" for sentence in SENTENCES]
    return pd.DataFrame(table, index=index).rename_axis(columns=["reading", "rule"])


def thresholds(env: EnvConfig) -> tuple[float, float]:
    """Return K at which the first request fails, and at which the last still succeeds.

    Each user owns f_max/K. With no delay of the radio, a request of D bits and C cycles per bit is
    in time while D C K / f_max ≤ τ: for the largest request until K = f_max τ / (D_max C_max), for
    the smallest one until K = f_max τ / (D_min C_min).
    """
    (soon, late), (small, large) = env.deadline_s, env.data_bits
    few, many = env.cycles_per_bit
    most_s, least_s = (
        compute_delay(bits, cycles_per_bit=cycles, cpu_hz=env.cpu_hz)
        for bits, cycles in ((large, many), (small, few))
    )
    return soon / most_s, late / least_s


def best_centre_reward(env: EnvConfig) -> float:
    """Return about the largest r_c (26): nothing but the mean request's computation takes time.

    A request has one of :func:`.expected_parts` of its server.
    """
    computing_s = compute_delay(
        sum(env.data_bits) / 2,
        cycles_per_bit=sum(env.cycles_per_bit) / 2,
        cpu_hz=env.cpu_hz / expected_parts(env),
    )
    delay_s = min(computing_s, env.slot_s)
    return -env.reward_scale * env.request_prob * delay_s


def _tasks(preset: str) -> list[tuple[Any, ...]]:
    sampling = sampling_of(preset)
    places = [(axis, number) for axis, points in POINTS.items() for number in range(len(points))]
    return [
        (reading, rule, *place, sampling)
        for reading, rule, place in product(READINGS, FAMILIES, places)
    ]


TABLE = MeasuredTable(
    name="readings",
    key=lambda preset, version: digest([
        READINGS, POINTS, list(FAMILIES), POWER_LEVELS, env_key(EnvConfig(), version),
        list(vars(sampling_of(preset)).values()),
    ]),
    tasks=_tasks,
    rows=lambda *task: pd.DataFrame([measure_point(*task)]),
    facts=lambda preset: vars(sampling_of(preset)),
)  # fmt: skip
"""A row per reading, rule and point."""
