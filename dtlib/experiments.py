"""Each figure of the paper as a grid of runs: what is stated here is all that is run and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from dtlib import store
from dtlib.calibration import MARGIN, PRICED, Target
from dtlib.config import ConfigError, TrainConfig
from dtlib.evaluation import WORLDS

LEARNERS = ("beta-happo", "gaussian-happo", "beta-mappo", "maddpg")
BASELINES = ("channel-inversion", "genie")
"""What may be measured at each point of a sweep without being learnt."""


@dataclass(frozen=True)
class Planned:
    """One run of an experiment, or one point of a baseline."""

    variant: str
    config: TrainConfig
    episodes: int
    """How many of the configured episodes are run: all, or a share that is stated."""
    at: Mapping[str, float] = field(default_factory=dict)
    """Values of what the experiment sweeps."""
    worlds: int = WORLDS["held-out"]
    """Held-out worlds that it is measured on."""
    baseline: str = ""
    """One of ``BASELINES`` that takes the learner's place in its network; empty for a learner."""

    target: Target | None = None
    """What it is calibrated to, if it is."""

    streams: tuple[str, ...] = ()
    """Of worlds that a learner is measured on; ``calibrated`` where it has a target."""

    @property
    def algorithm(self) -> str:
        """Whose row it is."""
        return self.baseline or self.config.algorithm

    @property
    def spot(self) -> tuple[Any, ...]:
        """Variant and swept values: what it shares with other seeds."""
        return (self.variant, *self.at.values())

    @property
    def key(self) -> str:
        """A digest of everything that its numbers depend on."""
        if self.baseline:
            what = [self.baseline, store.env_key(self.config.env), self.worlds]
        else:
            what = [store.key(self.config), self.episodes, self.worlds]
            if self.target:
                what += [self.target.failures] + [self.target.gain] * bool(self.target.gain)
        return store.digest(what)[:16]


@dataclass(frozen=True)
class Axis:
    """Values of one swept setting; a quick look takes fewer, a smoke test hardly any."""

    values: tuple[float, ...]
    quick: tuple[float, ...]
    smoke: tuple[float, ...]

    def of(self, preset: str) -> tuple[float, ...]:
        """Return a preset's values."""
        return {"quick": self.quick, "smoke": self.smoke}.get(preset, self.values)


@dataclass(frozen=True)
class Experiment:
    """A grid of runs that one or more figures of the paper are drawn from."""

    name: str
    title: str
    variants: Mapping[str, Mapping[str, Any]]
    """Changes to a preset's settings, by the name of the variant."""
    seeds: Mapping[str, int]
    """How many seeds each preset runs."""
    episodes: Mapping[str, int | Mapping[str, int]] = field(default_factory=dict)
    """How many episodes a preset runs here, or each of its variants: the first so many of its own,
    or more."""
    aliases: tuple[str, ...] = field(default=())
    axes: Mapping[str, Axis] = field(default_factory=dict)
    """What is swept, the abscissa first; nothing where learning curves or variants are shown."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the network that hold throughout, but for ``smoke``, which has its own."""
    baselines: tuple[str, ...] = ()
    """What is measured at each point without being learnt."""
    target: Target | None = None
    """What runs are calibrated to; if absent, they are measured as they are."""

    @property
    def of_the_paper(self) -> bool:
        """Whether the paper has such a figure."""
        return self.name.startswith("fig")

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams of worlds on which its runs are measured."""
        if self.target:
            return ("calibrated",)
        return ("held-out",) if self.axes else tuple(WORLDS)

    def runs(
        self,
        preset: str,
        seeds: int | None = None,
        changes: Mapping[str, Any] | None = None,
        values: Mapping[str, Sequence[float]] | None = None,
    ) -> list[Planned]:
        """Return the runs of a preset.

        Args:
            preset: budget and size.
            seeds: seeds 0 … seeds−1; the preset's number if absent.
            changes: settings that differ from the preset's in all runs.
            values: other values for what is swept, by name; the preset's where absent or empty.

        Raises:
            ConfigError: unknown preset or axis, or settings that are not allowed.
        """
        if preset not in self.seeds:
            raise ConfigError(f"preset = {preset!r}: must be one of {', '.join(self.seeds)}")
        seeds = self.seeds[preset] if seeds is None else seeds
        if seeds < 1:
            raise ConfigError(f"seeds = {seeds}: must be at least 1")
        base = {"env": {} if preset == "smoke" else dict(self.network)}
        fixed, found = merge(base, changes or {}), []
        for at in self._points(preset, values or {}):
            env = {k: v for name, value in at.items() for k, v in setting(name, value).items()}
            here = merge(fixed, {"env": env})
            worlds = SWEPT_WORLDS.get(preset, WORLDS["held-out"]) if at else WORLDS["held-out"]
            for name, variant in self.variants.items():
                for seed in range(seeds):
                    given = merge(variant, here) | {"seed": seed}
                    config = TrainConfig.from_preset(preset, **given)
                    share = self._share(preset, name, config.episodes)
                    if share > config.episodes and "episodes" not in given:
                        config = config.replace(episodes=share)
                    share = min(share, config.episodes)
                    what = (name, config, share, at, worlds)
                    found.append(Planned(*what, target=self.target, streams=self.streams))
            if self.baselines:
                config = TrainConfig.from_preset(preset, **here)
                found += [Planned(one, config, 0, at, worlds, one) for one in self.baselines]
        return found

    def _share(self, preset: str, variant: str, whole: int) -> int:
        share = self.episodes.get(preset, whole)
        return share.get(variant, whole) if isinstance(share, Mapping) else share

    def _points(self, preset: str, values: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
        if unknown := values.keys() - self.axes.keys():
            known = ", ".join(self.axes) or "nothing"
            raise ConfigError(f"values of {min(unknown)}: {self.name} sweeps {known}")
        chosen = [values.get(name) or axis.of(preset) for name, axis in self.axes.items()]
        return [dict(zip(self.axes, point, strict=True)) for point in product(*chosen)]


SWEPT_WORLDS = {"smoke": 1, "quick": 5}
"""Held-out worlds at each point of a sweep, where they are fewer than in other experiments."""


def setting(name: str, value: float) -> dict[str, Any]:
    """Return the network's settings at a value of an axis: a field, or the largest data size."""
    if name == "data_bits_max":
        return {"data_bits": (15e3, value)}
    return {name: value}


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return all changes of both, those of the network as well; the second's win."""
    env = {**first.get("env", {}), **second.get("env", {})}
    return {**first, **second} | ({"env": env} if env else {})


VARIANTS: dict[str, dict[str, Any]] = {name: {"algorithm": name} for name in LEARNERS}
CONTROL_FACTORS = (0.0003, 0.001, 0.01, 1.0)
"""η of the trade-off: from nearly the constrained problem (14) to Table I's. The less η, the longer
the queue that makes a failure dear, and the steadier its price."""

CONSTRAINED = {
    name: VARIANTS[name] | {"env": {"control_factor": CONTROL_FACTORS[1]}, "averaged": 0.2}
    for name in LEARNERS[:3]
}
"""Learners that choose silence, where it pays, trained until energy at equal failures has stopped
falling, with the mean of their last weights. With less η still, users fail less equally."""
LONGER = {"companion": 300}
"""Episodes of these runs: after half of them, energy at equal failures still falls."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "companion": {},
    "credit per user": {"credit": "per-user"},
    "credit joint": {"credit": "joint"},
    "power in dB": {"power_action": "decibel", "power_range_db": 40.0},
    "power in W": {"power_action": "watt"},
    "positions only": {"observation": "positions"},
    "a network each": {"actors": "per-agent"},
    "silent below a threshold": {"silence": "threshold"},
    "never silent": {"silence": "threshold", "silent_below": 0.0},
    "one world": {"worlds": 1, "env": {"frames": 10}},
    "a critic each": {"critic": "per-agent"},
    "GAE 0.95": {"gae_lambda": 0.95},
    "returns unscaled": {"value_norm": False},
    "4 critic steps": {"critic_passes": 4},
    "25 epochs": {"epochs": 25},
    "rate of Table I": {"learning_rate": 1e-4},
    "falling rate": {"anneal": True},
    "no entropy bonus": {"entropy_coef": 0.0},
    "clip 0.1": {"clip": 0.1},
    "M of all agents": {"factor": "all", "max_log_factor": 10.0},
    "queue reset": {"env": {"queue_reset": True}},
    "as published": {
        "credit": "joint", "power_action": "watt", "observation": "positions", "worlds": 1,
        "actors": "per-agent", "env": {"frames": 10, "queue_reset": True}, "gae_lambda": 0.95,
        "critic_target": "td", "factor": "all", "max_log_factor": 10.0,
    },
}  # fmt: skip
"""The companion's settings, each taken back by itself to what the paper has or implies, and single
changes of how actors and critics step."""

TABLE_I = {"noise_variance": 0.5}
TRIED_FOR_MADDPG: dict[str, dict[str, Any]] = {
    "noise of Table I": TABLE_I,
    "falling noise and rate": TABLE_I | {"anneal": True},
    "short memory": TABLE_I | {"replay_slots": 4000},
    "small batches": TABLE_I | {"batch_size": 64, "updates_per_frame": 40},
    "queue reset": TABLE_I | {"env": {"queue_reset": True}},
    "weak noise (as used)": {},
}
"""MADDPG with the noise of Table I, and single changes that might have made it better."""

SO_FAR = {"maddpg": 20}
"""Episodes of the preset ``paper`` that have been run, where they are not all."""

BEYOND = {"smoke": 1, "quick": 1, "companion": 3}
ONCE = BEYOND | {"paper": 1}
"""Seeds of what is beyond the paper, and of its sweeps."""
SHORTER = {"companion": 60}
"""Episodes at each point of a sweep and of each ablation: rewards and energy change little after
them (Figs. 4–6). Quick runs of Figs. 4–6 and 12 are as long, for in half the time their
trends are not there yet; quick ablations, of no figure of the paper, are the shortest."""
SHORTEST = SHORTER | {"quick": 15}

EXPERIMENTS = {
    one.name: one
    for one in [
        Experiment(
            "fig04_06",
            "Convergence: rewards and energy against time slots",
            VARIANTS,
            {"smoke": 1, "quick": 2, "companion": 5, "paper": 3},
            {"paper": SO_FAR, "quick": 60},
            ("fig04", "fig05", "fig06"),
        ),
        Experiment(
            "fig07_08",
            "Energy and failures against the number of users",
            VARIANTS,
            ONCE,
            SHORTER,
            aliases=("fig07", "fig08"),
            axes={"num_users": Axis((10, 15, 20, 25, 30, 35, 40), (10, 25, 40), (4, 6))},
            baselines=BASELINES,
        ),
        Experiment(
            "fig09",
            "Energy against the number of base stations",
            VARIANTS,
            ONCE,
            SHORTER,
            axes={"num_bs": Axis((3, 4, 5, 6, 7), (3, 7), (2, 3))},
            network={"num_users": 25},
            baselines=BASELINES,
        ),
        Experiment(
            "fig10",
            "Energy against the request probability",
            VARIANTS,
            ONCE,
            SHORTER,
            axes={"request_prob": Axis((0.3, 0.4, 0.5, 0.6, 0.7), (0.3, 0.7), (0.3, 0.6))},
            baselines=BASELINES,
        ),
        Experiment(
            "fig11",
            "Energy against data size and bandwidth",
            {"beta-happo": {}},
            ONCE,
            SHORTER,
            axes={
                "data_bits_max": Axis(
                    (20e3, 25e3, 30e3, 200e3, 250e3, 300e3), (20e3, 30e3, 200e3, 300e3), (20e3, 2e5)
                ),
                "bandwidth_hz": Axis((8e6, 10e6, 12e6), (8e6, 12e6), (10e6,)),
            },
            baselines=BASELINES,
        ),
        Experiment(
            "fig12",
            "Energy and failures against the control factor",
            {"beta-happo": {}},
            ONCE | {"quick": 2},
            SHORTER | {"quick": 60},
            axes={
                "control_factor": Axis((0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3), (0.7, 1.3), (0.7, 1.3))
            },
            baselines=BASELINES,
        ),
        Experiment(
            "fig13_14",
            "Energy and failures with many users",
            {"beta-happo": {}},
            ONCE | {"quick": 2},
            SHORTER,
            aliases=("fig13", "fig14"),
            axes={"num_users": Axis((50, 52, 54, 56, 58, 60), (50, 58), (7, 8))},
            baselines=BASELINES,
        ),
        Experiment(
            "tradeoff",
            "Energy against failures: every learner at several control factors",
            {
                f"{name} eta={eta:g}": VARIANTS[name] | {"env": {"control_factor": eta}}
                for name in LEARNERS
                for eta in CONTROL_FACTORS
            },
            BEYOND,
        ),
        Experiment(
            "constrained",
            "(14b) held by every user: learners calibrated as reference policies are",
            CONSTRAINED,
            {"smoke": 1, "quick": 1, "companion": 5},
            LONGER,
            target=MARGIN,
        ),
        Experiment(
            "priced",
            "The same where users see their virtual queues",
            {"beta-happo": CONSTRAINED["beta-happo"]},
            {"smoke": 1, "quick": 1, "companion": 5},
            LONGER,
            target=PRICED,
        ),
        Experiment(
            "ablations",
            "What each of the companion's settings buys Beta-HAPPO",
            ABLATIONS,
            BEYOND,
            SHORTEST,
        ),
        Experiment(
            "maddpg",
            "What was tried to make MADDPG learn",
            {name: VARIANTS["maddpg"] | changes for name, changes in TRIED_FOR_MADDPG.items()},
            BEYOND,
            SHORTEST,
        ),
    ]
}


def find(name: str) -> Experiment:
    """Return the experiment of that name or of that figure, such as ``fig05``."""
    for experiment in EXPERIMENTS.values():
        if name in (experiment.name, *experiment.aliases):
            return experiment
    known = sorted(n for one in EXPERIMENTS.values() for n in (one.name, *one.aliases))
    raise ConfigError(f"figure = {name!r}: must be one of {', '.join(known)}")
