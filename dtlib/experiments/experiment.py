"""What an experiment is: a grid of runs, each with its settings and how it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property, partial
from itertools import product
from typing import Any

from dtlib.experiments.keys import config_key, digest, env_key
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_settings
from dtlib.runtime.messages import check_count, check_name, check_once, show
from dtlib.settings.presets import NETWORKS, merge
from dtlib.settings.train import TrainConfig
from dtlib.training.calibration import Target
from dtlib.training.evaluation import WORLDS

OFF_POLICY = "maddpg"
GAUSSIAN_HAPPO, BETA_MAPPO = "gaussian-happo", "beta-mappo"
LEARNERS = ("beta-happo", GAUSSIAN_HAPPO, BETA_MAPPO, OFF_POLICY)
OWN, OTHERS = LEARNERS[0], LEARNERS[1:]
"""The paper's learner, and those that it is compared with."""
BASELINES = ("power-on-demand", "demand-or-silence", "genie")
"""What may be measured at each point of a sweep without being learnt."""
MOST_SEEDS = 10_000
"""More are no grid's; a manifest that says so is not believed."""

CHOSEN = frozenset(("preset", "network", "seed", "algorithm"))
"""Settings of a run that its experiment states or whose number is asked for."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment, or one point of a baseline."""

    variant: str
    config: TrainConfig
    episodes: int
    """How many of the configured episodes are run: all, or a share that is stated."""
    _: KW_ONLY
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
    version: int | None = None
    """Of the results, if they are committed and older than what the code gives now."""

    @property
    def algorithm(self) -> str:
        """Whose row it is."""
        return self.baseline or self.config.algorithm

    @property
    def spot(self) -> tuple[Any, ...]:
        """Variant and swept values: what it shares with other seeds."""
        return (self.variant, *self.at.values())

    def worlds_of(self, stream: str) -> int:
        """Return how many worlds of a stream it is measured on."""
        return self.worlds if stream == "held-out" else min(self.worlds, WORLDS[stream])

    @cached_property
    def digest(self) -> str:
        """The sha256 of everything that its numbers depend on."""
        if self.baseline:
            return digest([self.baseline, env_key(self.config.env, self.version), self.worlds])
        what = [config_key(self.config, self.version), self.episodes, self.worlds]
        if self.target:
            what += [self.target.failures] + [self.target.gain] * bool(self.target.gain)
        return digest(what)

    @property
    def key(self) -> str:
        """The first 16 digits of it, by which tables tell runs apart."""
        return self.digest[:16]


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
    _: KW_ONLY
    seeds: Mapping[str, int | Mapping[str, int]]
    """How many seeds a preset runs, or each of its variants."""
    episodes: Mapping[str, int | Mapping[str, int]] = field(default_factory=dict)
    """How many episodes a preset runs here, or each of its variants: the first so many of its own,
    or more."""
    aliases: tuple[str, ...] = ()
    axes: Mapping[str, Axis] = field(default_factory=dict)
    """What is swept, the abscissa first; nothing where learning curves or variants are shown."""
    network: str = NETWORKS[0]
    """The named network that it is of."""
    env: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the network that hold throughout, but for ``smoke``, which has its own."""
    baselines: tuple[str, ...] = ()
    """What is measured at each point without being learnt."""
    target: Target | None = None
    """What runs are calibrated to; if absent, they are measured as they are."""
    chooses: bool = False
    """Whether settings are chosen by it, so that it must not look at held-out worlds."""

    @property
    def of_the_paper(self) -> bool:
        """Whether the paper has such a figure."""
        return self.name.startswith("fig")

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams of worlds on which its runs are measured."""
        if self.target:
            return ("calibrated",)
        if self.chooses:
            return ("tuning",)
        return ("held-out",) if self.axes else tuple(WORLDS)

    def seeds_of(self, preset: str) -> dict[str, int]:
        """Return how many seeds each variant has in a preset."""
        stated = self.seeds[preset]
        return dict(stated) if isinstance(stated, Mapping) else dict.fromkeys(self.variants, stated)

    def runs(
        self,
        preset: str,
        seeds: int | None = None,
        *,
        changes: Mapping[str, Any] | None = None,
        values: Mapping[str, Sequence[float]] | None = None,
    ) -> list[PlannedRun]:
        """Return the runs of a preset.

        Args:
            seeds: seeds 0 … seeds−1; the preset's number if absent.
            changes: settings that differ from the preset's in all runs.
            values: other values for what is swept, by name; the preset's where absent or empty.

        Raises:
            ConfigError: unknown preset or axis, or settings that are not allowed.
        """
        check_name("preset", preset, self.seeds)
        counts = self.seeds_of(preset) if seeds is None else dict.fromkeys(self.variants, seeds)
        for count in counts.values():
            check_count("seeds", count, most=MOST_SEEDS)
        check_settings("changes", changes := {} if changes is None else changes)
        check_settings("changes.env", changes.get("env", {}))
        check_settings("values", values := {} if values is None else values)
        for name in CHOSEN & changes.keys():
            raise ConfigError(f"changes = {show(changes)}: {name} is not changed but chosen")
        base = {"env": {} if preset == "smoke" else dict(self.env)}
        fixed, planned = merge(base, dict(changes)), []
        for at in self._points(preset, values):
            env = {k: v for name, value in at.items() for k, v in setting(name, value).items()}
            here = merge(fixed, {"env": env})
            run = partial(PlannedRun, at=at, worlds=_worlds(preset, swept=bool(at)))
            learner = partial(run, target=self.target, streams=self.streams)
            planned += [
                learner(variant, *self._learner(preset, variant, here=here, seed=seed))
                for variant in self.variants
                for seed in range(counts[variant])
            ]
            planned += [
                run(name, TrainConfig.from_preset(preset, self.network, **here), 0, baseline=name)
                for name in self.baselines
            ]
        return planned

    def _learner(
        self, preset: str, variant: str, *, here: dict[str, Any], seed: int
    ) -> tuple[TrainConfig, int]:
        """Return a learner's settings, and how many of their episodes are run."""
        given = merge(dict(self.variants[variant]), here) | {"seed": seed}
        config = TrainConfig.from_preset(preset, self.network, **given)
        stated = self.episodes.get(preset, config.episodes)
        episodes = stated.get(variant, config.episodes) if isinstance(stated, Mapping) else stated
        if episodes > config.episodes and "episodes" not in given:
            config = config.replace(episodes=episodes)
        return config, min(episodes, config.episodes)

    def _points(self, preset: str, values: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
        if unknown := values.keys() - self.axes.keys():
            known = ", ".join(self.axes) or "nothing"
            raise ConfigError(f"values of {min(unknown)}: {self.name} sweeps {known}")
        for name, found in values.items():
            if not isinstance(found, Sequence) or isinstance(found, str | bytes):
                raise ConfigError(f"values of {name} = {show(found)}: must be a list of numbers")
            check_once(f"values of {name}", found)
        chosen = [values.get(name) or axis.of(preset) for name, axis in self.axes.items()]
        return [dict(zip(self.axes, point, strict=True)) for point in product(*chosen)]


def _worlds(preset: str, swept: bool) -> int:
    """Return how many held-out worlds a run is measured on; a quick sweep takes fewer."""
    if preset == "smoke":
        return 2
    return 5 if swept and preset == "quick" else WORLDS["held-out"]


def setting(name: str, value: float) -> dict[str, Any]:
    """Return the network's settings at a value of an axis: a field, or the largest data size."""
    if name == "data_bits_max":
        return {"data_bits": (15e3, value)}
    return {name: value}
