"""Settings: Table I of the paper and every open reading.

Both models are frozen, hashable and refuse unknown fields. A bad value raises :class:`ConfigError`
whose text is one line: the field, the value and what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtlib.presets import NETWORKS, PRESETS, merge, preset_of

RESULTS_VERSION = 4
"""Raised with every change of the code that changes results, so that no stale number is drawn."""
YOUNGER: dict[str, Any] = {
    "averaged": 0.0,
    "cpu_sharing": "served",
    "gaussian": "bounded",
}
"""Fields that came without such a change, with the value that the code had before. JSON does not
have them there, so that what was made before keeps its key."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_unsigned = AfterValidator(lambda value: value + 0.0)  # −0.0 equals 0.0 and must read the same
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), _unsigned]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), _unsigned]
Memory = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), _unsigned]
Range = tuple[Positive, Positive]


class ConfigError(ValueError):
    """A setting that cannot be used; the message is one line that names field, value and rule."""


def explain(error: ValidationError, prefix: str = "", fields: Iterable[str] = ()) -> str:
    """Return one line for the first problem of a pydantic ``ValidationError``.

    Args:
        error: what pydantic raised.
        prefix: put before the field's dotted name, for example ``"env."``.
        fields: the names that are allowed, to say so when one is unknown.
    """
    problems = error.errors()
    first = problems[0]
    field = prefix + ".".join(_show(part, str) for part in first["loc"])
    rule = first["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    if first["type"] == "value_error":  # our own line, already with a field's name and value
        line = (field + "." if first["loc"] else prefix) + rule
    else:
        if first["type"] == "extra_forbidden":
            close = get_close_matches(str(first["loc"][-1]), fields, n=1)
            known = f"did you mean {close[0]}?" if close else f"known are {', '.join(fields)}"
            rule = f"unknown field; {known}"
        line = f"{field or 'settings'} = {_show(first['input'])}: {rule}"
    more = len(problems) - 1
    return line + (f" (and {more} more)" if more else "")


def _show(value: Any, text: Callable[[Any], str] = repr) -> str:
    """Return a value as text on one line, cut if long."""
    line = " ".join(text(value).split())
    return line if len(line) <= 80 else line[:79] + "…"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(explain(error, fields=type(self).model_fields)) from None

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed; ``env`` may be a dict of changes."""
        values = dict(self)
        for name, change in changes.items():
            nested = isinstance(values.get(name), BaseModel) and isinstance(change, dict)
            values[name] = dict(values[name]) | change if nested else change
        return type(self)(**values)

    def canonical_json(self) -> str:
        """Return the settings as JSON with sorted keys, but for unused ``YOUNGER``.

        Equal settings have equal text.
        """
        values = _without_younger(self.model_dump(mode="json"))
        return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _check_name(field: str, value: Any, known: Iterable[str]) -> None:
    if value not in list(known):
        raise ConfigError(f"{field} = {_show(value)}: must be one of {', '.join(known)}")


def _without_younger(values: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in values.items() if k not in YOUNGER or v != YOUNGER[k]}
    return {k: _without_younger(v) if k == "env" else v for k, v in kept.items()}


def _with_younger(values: dict[str, Any], model: type[_Settings]) -> dict[str, Any]:
    return {k: v for k, v in YOUNGER.items() if k in model.model_fields} | values


class EnvConfig(_Settings):
    """The network: Table I, and a field for each reading that the paper leaves open (SI units)."""

    num_users: int = Field(30, ge=1, description="K, number of mobile users (Section V-A)")
    num_bs: int = Field(
        5, ge=1, le=500, description="M, number of base stations with an edge server (Section V-A)"
    )
    frame_slots: int = Field(100, ge=1, description="T, slots in a frame (Table I)")
    frames: int = Field(50, ge=1, description="Q, frames in an episode (Table I)")
    slot_s: Positive = Field(0.05, description="δ_t, length of a slot, s (Table I)")
    bandwidth_hz: Positive = Field(
        10e6, description="B, bandwidth shared by all users, Hz (Table I)"
    )
    wired_rate_bps: Positive = Field(
        10e6, description="w_ij, rate of each directed link between base stations, bit/s (Table I)"
    )
    max_power_w: Positive = Field(0.5, description="P_max, largest transmit power, W (Table I)")
    cpu_hz: Positive = Field(10e9, description="f_max, CPU frequency of a server, Hz (Table I)")
    request_prob: Probability = Field(
        0.5, description="λ, probability that a user requests synchronisation in a slot (Table I)"
    )
    ref_gain: Positive = Field(1e-3, description="ρ₀, power gain at 1 m, linear (Table I: −30 dB)")
    rician_factor: NonNegative = Field(10.0, description="κ, Rician factor, linear (Table I)")
    noise_w: Positive = Field(1e-9, description="σ², noise power, W (Table I: −90 dBW)")
    speed_mps: Range = Field(
        (2.0, 10.0), description="s̄, range of a user's mean speed, m/s (Table I); uniform per user"
    )
    area_m: Positive = Field(1000.0, description="W, side of the square service area, m (Table I)")
    data_bits: Range = Field(
        (15e3, 25e3), description="D, range of the synchronised data, bit (Section V-A); uniform"
    )
    cycles_per_bit: Range = Field(
        (550.0, 700.0), description="C, range of CPU cycles per bit (Section V-A); uniform"
    )
    failure_threshold: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        0.2, description="ε, largest long-run failure ratio (14b) (Table I)"
    )
    control_factor: NonNegative = Field(
        1.0, description="η, weight of reliability against energy (19) (Table I)"
    )
    reward_scale: Positive = Field(100.0, description="ν, factor on every reward (Section V-A)")

    path_loss_exponent: Annotated[float, Field(ge=2, allow_inf_nan=False)] = Field(
        2.2, description="φ in (5); the paper says only φ ≥ 2"
    )
    deadline_s: Range = Field(
        (0.05, 0.05), description="τ, range of a request's deadline, s; the paper says only τ < δ_t"
    )
    migration_slots: int = Field(
        5, ge=0, description="G, slots that a migration takes; the paper says only 0 ≤ G < T"
    )
    speed_memory: Memory = Field(0.9, description="μ₁ in (1); not given")
    heading_memory: Memory = Field(0.9, description="μ₂ in (2); not given")
    speed_std_mps: NonNegative = Field(
        0.5, description="ζ_v, standard deviation of Φ in (1), m/s; not given"
    )
    heading_std_rad: NonNegative = Field(
        0.5, description="ζ_θ, standard deviation of Ψ in (2), rad; not given"
    )
    min_distance_m: Positive = Field(
        1.0, description="distances in (5) are at least this, m: ρ₀ is the gain at 1 m"
    )
    bs_layout: Literal["spread", "random"] = Field(
        "spread",
        description="base stations at the centroids of equal cells, or uniformly at random",
    )
    bs_seed: int = Field(0, ge=0, description="seed of bs_layout='random'")
    interference: Literal["receiver", "eq7"] = Field(
        "receiver",
        description="interferer i reaches the receiver of user k through its gain to that base "
        "station ('receiver', physical) or to its own ('eq7', the letter of (7))",
    )
    objective_scale: Literal["scaled", "mean", "letter"] = Field(
        "scaled",
        description="rewards (28): 'scaled' = −(ν/K) Σ_k [E_k + η Y_k (X_k − ε)]; 'mean' has ν on "
        "the energy alone, −(1/K) Σ_k [ν E_k + η Y_k (X_k − ε)]; 'letter' = "
        "−ν Σ_k [E_k/(QKT) + η Y_k (X_k − ε)]",
    )
    cpu_sharing: Literal["slices", "hosted", "served"] = Field(
        "slices",
        description="whose CPU it is in (14h): each of all K users owns f_max/K of every server, "
        "each user whose twin a server hosts owns an equal part of it, or those it serves in this "
        "slot divide it by weights",
    )
    energy_of_failed: Literal["deadline", "full", "none"] = Field(
        "full",
        description="energy of a transmission: stopped at the deadline, the whole of (13) however "
        "late, or none at all when the request fails",
    )
    centre_delay: Literal["capped", "letter"] = Field(
        "capped",
        description="delays in r_c (27) count as at most one slot, or as long as they are: endless "
        "where a user has no share",
    )
    migrating_transmits: bool = Field(
        False, description="a user whose twin is migrating still transmits (and fails)"
    )
    deployment_decision: Literal["frame-end", "frame-start"] = Field(
        "frame-end",
        description="β(q) is the centre's choice in the last slot of frame q−1 (Section III-B-3, "
        "Algorithm 1 line 15) or in slot qT (text below (27))",
    )
    queue_reset: bool = Field(
        True, description="the virtual queue (15) restarts at zero with each training episode"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("speed_mps", "data_bits", "cycles_per_bit", "deadline_s"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = {(low, high)}: the lower end must not exceed the upper")
        if self.deadline_s[1] > self.slot_s:
            raise ValueError(
                f"deadline_s = {self.deadline_s}: must not exceed slot_s = {self.slot_s} (τ < δ_t)"
            )
        if self.migration_slots >= self.frame_slots:
            raise ValueError(
                f"migration_slots = {self.migration_slots}: must be below "
                f"frame_slots = {self.frame_slots} (0 ≤ G < T)"
            )
        return self

    @classmethod
    def named(cls, network: str = NETWORKS[0], **changes: Any) -> EnvConfig:
        """Return the network ``section-v``, the default, or ``work-conserving``, with changes.

        Raises:
            ConfigError: no such network, or a value that is not allowed.
        """
        _check_name("network", network, NETWORKS)
        return cls(**preset_of("paper", network=network).get("env", {}) | changes)

    @property
    def slots(self) -> int:
        """Slots in an episode, Q·T."""
        return self.frames * self.frame_slots


Algorithm = Literal["beta-happo", "gaussian-happo", "beta-mappo", "maddpg"]
Preset = Literal["smoke", "quick", "companion", "paper"]
Head = Literal["beta", "gaussian", "original-gaussian", "deterministic"]


class TrainConfig(_Settings):
    """One training run. The defaults are the ``paper`` preset: Table I, then what is usual."""

    algorithm: Algorithm = Field("beta-happo", description="the learner")
    preset: Preset = Field("paper", description="the preset these settings started from")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of worlds, initial weights, actions")
    env: EnvConfig = Field(default_factory=EnvConfig, description="the network")
    episodes: int = Field(150, ge=1, description="Me, training episodes (Table I)")
    worlds: int = Field(
        1, ge=1, description="independent worlds that an episode consists of, played side by side"
    )
    epochs: int = Field(25, ge=1, description="Rp, passes over an episode's data (Table I)")
    learning_rate: Positive = Field(1e-4, description="l_a = l_c, Adam's step (Table I)")
    discount: Probability = Field(0.9, description="γ (Table I)")
    hidden_sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (128, 64), description="widths of the hidden layers of every network (Table I)"
    )
    gae_lambda: Probability = Field(
        0.95, description="ϱ in (31); not given, default of Schulman et al. 2017"
    )
    clip: Positive = Field(0.2, description="ϵ in (30); not given, default of Schulman et al. 2017")
    entropy_coef: NonNegative = Field(
        0.01, description="ψ in (30); not given, default of HARL (Zhong et al. 2024)"
    )
    max_grad_norm: Positive = Field(
        10.0, description="gradients are scaled to at most this norm; not given, default of HARL"
    )
    adam_eps: Positive = Field(
        1e-5, description="ϵ of Adam; not given, default of HARL (Zhong et al. 2024)"
    )
    activation: Literal["relu", "tanh"] = Field(
        "relu", description="between layers; not given, default of HARL"
    )
    output_gain: Positive = Field(
        0.01, description="gain of the orthogonal initial output layer; not given, default of HARL"
    )
    normalize_advantage: bool = Field(
        True, description="advantages to mean 0, deviation 1 in each episode; not given"
    )
    value_norm: bool = Field(
        True, description="critics predict standardised returns; not given, default of MAPPO"
    )
    critic: Literal["per-agent", "shared"] = Field(
        "per-agent",
        description="a critic for each agent (Fig. 3), or one for each reward: r_g and r_c",
    )
    critic_target: Literal["td", "gae"] = Field(
        "td", description="critics regress on r + γV(s') (32), or on advantage + V (usual in PPO)"
    )
    critic_passes: int = Field(1, ge=1, description="critic steps in each epoch")
    critic_sees_queue: bool = Field(
        False,
        description="add the queue Y[qT] to the global state; the paper's merges observations only",
    )
    credit: Literal["joint", "per-user", "difference"] = Field(
        "joint",
        description="'joint': one reward for all (30); 'per-user': base stations and the centre "
        "learn with one ratio and one advantage for each user they decide for; 'difference': so "
        "they do, and an MU learns from what r_g gains by its transmission",
    )
    observation: Literal["positions", "derived"] = Field(
        "positions",
        description="MUs see (20), or also what follows from it: log-distances, and the request "
        "scaled to [−1, 1]",
    )
    actors: Literal["per-agent", "by-twin", "shared"] = Field(
        "per-agent",
        description="a network for each agent (Fig. 3); 'by-twin': the centre's decides twin by "
        "twin, not for all at once; 'shared': besides, one for all MUs, which the index in their "
        "observation (20) tells apart",
    )
    gaussian: Literal["original", "bounded"] = Field(
        "original",
        description="Gaussian-HAPPO's policy: HARL's on the range itself, mean 0 at first, a "
        "deviation for each number whatever is observed; or its mean in the middle at first, and "
        "a deviation that is a network's output, held above 2 % of the range",
    )
    power_action: Literal["watt", "decibel", "path-loss"] = Field(
        "watt",
        description="an MU's action is a fraction of P_max, a level in dB below it, or the level "
        "of its mean received power against the noise in dB, from which the path loss gives the "
        "power: open-loop power control as in LTE and 5G",
    )
    power_range_db: Positive = Field(40.0, description="reach of a level in dB, below the highest")
    power_top_db: Annotated[float, Field(allow_inf_nan=False)] = Field(
        10.0, description="the highest level when power_action='path-loss', dB above the noise"
    )
    silent_below: Memory = Field(
        0.0,
        description="actions below this are silence when power_action='path-loss': a request given "
        "up, as (21) allows with an association to none",
    )
    silence: Literal["threshold", "choice"] = Field(
        "threshold",
        description="when power_action='path-loss': 'choice' lets an MU first draw whether it "
        "sends at all, unless its policy is deterministic; silent_below is not used then",
    )
    factor: Literal["all", "by-reward"] = Field(
        "all",
        description="predecessors in the factor M: all agents (Algorithm 1), or only those that "
        "learn from the same reward, r_g or r_c",
    )
    max_log_factor: Positive = Field(
        10.0, description="|log M| is held below this, so that exp cannot overflow"
    )
    anneal: bool = Field(
        False,
        description="the learning rate, and the deviation of MADDPG's noise, fall linearly to zero",
    )
    averaged: Probability = Field(
        0.0,
        description="policies are the mean of their weights over this share of the episodes, the "
        "last; not given: 0, the weights after the last episode",
    )
    noise_variance: NonNegative = Field(
        0.5, description="MADDPG: variance of exploration noise on an action in [−1, 1] (Table I)"
    )
    replay_slots: int = Field(100_000, ge=2, description="MADDPG: slots that the buffer holds")
    batch_size: int = Field(256, ge=1, description="MADDPG: slots in a mini-batch")
    updates_per_frame: int = Field(10, ge=1, description="MADDPG: updates after each frame")
    target_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        0.01, description="MADDPG: step of the target networks, default of Lowe et al. 2017"
    )
    gumbel_temperature: Positive = Field(
        1.0, description="MADDPG: of the centre's relaxed choice, default of Lowe et al. 2017"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.env.slots < 2:
            raise ValueError(
                f"env.frames = {self.env.frames}: an episode must have at least 2 slots to learn "
                f"from, frames × frame_slots is {self.env.slots}"
            )
        return self

    @property
    def head(self) -> Head:
        """What the actors of MUs and base stations put out."""
        if self.algorithm == "maddpg":
            return "deterministic"
        if self.algorithm == "gaussian-happo":
            return "gaussian" if self.gaussian == "bounded" else "original-gaussian"
        return "beta"

    @property
    def shares_users(self) -> bool:
        """Whether all MUs have one network."""
        return self.actors == "shared"

    @property
    def twin_by_twin(self) -> bool:
        """Whether the centre's network decides for one twin at a time."""
        return self.actors != "per-agent"

    def left(self, progress: float) -> float:
        """Return which share of the learning rate, and of the noise's deviation, is left.

        Args:
            progress: how much of the training is over, from 0 to 1.
        """
        return 1 - progress * self.anneal

    @property
    def chooses_silence(self) -> bool:
        """Whether MUs draw if they send before they draw how strongly."""
        level = self.power_action == "path-loss" and self.silence == "choice"
        return level and self.head != "deterministic"

    @classmethod
    def from_preset(
        cls, preset: str = "paper", network: str = NETWORKS[0], **changes: Any
    ) -> TrainConfig:
        """Return a preset's settings for an algorithm, with some fields changed.

        Args:
            preset: its name.
            network: ``section-v`` or ``work-conserving``, with what learners have there.
            changes: fields, ``algorithm`` among them; ``env`` may be a dict of changes.

        Raises:
            ConfigError: unknown preset or field, or a value that is not allowed.
        """
        _check_name("preset", preset, PRESETS)
        _check_name("network", network, NETWORKS)
        values = preset_of(preset, changes.get("algorithm", ""), network) | {"preset": preset}
        if isinstance(changes.get("env", {}), dict):
            return cls(**merge(values, changes))
        return cls(**values | changes)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Return the settings that :meth:`canonical_json` wrote, or raise :class:`ConfigError`."""
        if not isinstance(values, dict):
            raise ConfigError(f"settings = {_show(values)}: must be a mapping of fields to values")
        env = values.get("env", {})
        if isinstance(env, dict):
            values = values | {"env": _with_younger(env, EnvConfig)}
        return cls(**_with_younger(values, cls))
