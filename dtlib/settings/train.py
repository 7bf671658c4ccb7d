"""A training run: Table I, and a field for each open reading of the algorithm."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dtlib.runtime.errors import ConfigError
from dtlib.runtime.messages import check_name, show
from dtlib.settings.base import BelowOne, Fraction, NonNegative, Positive, Settings
from dtlib.settings.env import EnvConfig
from dtlib.settings.presets import NETWORKS, PRESETS, merge, preset_of

Algorithm = Literal["beta-happo", "gaussian-happo", "beta-mappo", "maddpg"]
Preset = Literal["smoke", "quick", "companion", "paper"]
Credit = Literal["joint", "per-user", "difference"]
Head = Literal["beta", "gaussian", "original-gaussian", "deterministic"]
PLAIN_FIELDS = (
    "algorithm", "normalize_advantage", "value_norm", "critic", "critic_target", "critic_passes",
    "critic_sees_queue", "credit", "centre_steps", "actors", "silence", "factor", "anneal",
)  # fmt: skip
"""Fields that :mod:`dtlib.happo.plain` knows only at their defaults."""


class TrainConfig(Settings):
    """One training run. The defaults are the preset ``paper``: Table I, and for what it leaves open
    the usual values. :meth:`from_preset` gives other presets, and what MADDPG has in ``paper``."""

    algorithm: Algorithm = Field("beta-happo", description="the learner")
    preset: Preset = Field("paper", description="a label that from_preset sets; it moves nothing")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of worlds, initial weights, actions")
    env: EnvConfig = Field(default_factory=EnvConfig, description="the network")
    episodes: int = Field(150, ge=1, description="Me, training episodes (Table I)")
    worlds: int = Field(1, ge=1, description="independent worlds of an episode, side by side")
    epochs: int = Field(
        25, ge=1, description="HAPPO and MAPPO: Rp, passes over an episode's data (Table I)"
    )
    learning_rate: Positive = Field(1e-4, description="l_a = l_c, Adam's step (Table I)")
    discount: Fraction = Field(0.9, description="γ (Table I)")
    hidden_sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (128, 64), description="widths of the hidden layers of every network (Table I)"
    )
    gae_lambda: Fraction = Field(
        0.95, description="HAPPO and MAPPO: ϱ in (31); not given, default of Schulman et al. 2017"
    )
    clip: Positive = Field(
        0.2, description="HAPPO and MAPPO: ϵ in (30); not given, default of Schulman et al. 2017"
    )
    entropy_coef: NonNegative = Field(
        0.01, description="HAPPO and MAPPO: ψ in (30); not given, default of HARL"
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
        True, description="HAPPO and MAPPO: advantages standardised in each episode; not given"
    )
    value_norm: bool = Field(
        True, description="critics predict standardised returns; not given, default of MAPPO"
    )
    critic: Literal["per-agent", "shared"] = Field(
        "per-agent",
        description="a critic for each agent (Fig. 3), or one for each reward: r_g and r_c",
    )
    critic_target: Literal["td", "gae"] = Field(
        "td", description="HAPPO and MAPPO: critics' target: 'td': r + γV(s'), (32); 'gae': Â + V"
    )
    critic_passes: int = Field(1, ge=1, description="HAPPO and MAPPO: critic steps in each epoch")
    critic_sees_queue: bool = Field(
        False, description="add the queue Y[qT] to the global state; the paper's is without it"
    )
    credit: Credit = Field(
        "joint",
        description="'joint': one ratio and one advantage of an agent (30); 'per-user': base "
        "stations and the centre have one of each for every user they decide for; 'difference': so "
        "they do, and an MU learns from r_g minus what it would have been with the policy's mean "
        "action (MADDPG: with silence)",
    )
    observation: Literal["positions", "derived"] = Field(
        "positions",
        description="MUs see (20), or also what follows from it: log-distances, and the request "
        "scaled to [−1, 1]",
    )
    centre_steps: Literal["slots", "frames"] = Field(
        "slots",
        description="HAPPO and MAPPO: the centre learns from its choices of all 'slots', as "
        "published, or of each of the 'frames' only from the one that is carried out",
        json_schema_extra={"before": "slots"},
    )
    actors: Literal["per-agent", "by-twin", "shared"] = Field(
        "per-agent",
        description="a network for each agent (Fig. 3); 'by-twin': the centre's decides twin by "
        "twin, not for all at once; 'shared': besides, one for all MUs, which the index in their "
        "observation (20) tells apart",
    )
    gaussian: Literal["original", "bounded"] = Field(
        "original",
        description="Gaussian-HAPPO: 'original', HARL's: on the range itself, the mean 0 at first, "
        "one deviation for a number, whatever is observed; 'bounded': the mean in the middle at "
        "first, the deviation a network's output, above 2 % of the range",
        json_schema_extra={"before": "bounded"},
    )
    power_action: Literal["watt", "decibel", "path-loss"] = Field(
        "watt",
        description="an MU's action: 'watt': a fraction of P_max; 'decibel': a level in dB below "
        "it; 'path-loss': its mean received power over the noise in dB, from which the path loss "
        "gives the power: open-loop power control as in LTE and 5G",
    )
    power_range_db: Positive = Field(40.0, le=300, description="reach of a level below the top, dB")
    power_top_db: Annotated[float, Field(ge=-300, le=300, allow_inf_nan=False)] = Field(
        10.0, description="the highest level when power_action='path-loss', dB above the noise"
    )
    silent_below: BelowOne = Field(
        0.0, description="with 'path-loss': actions below this are silence, as (21) allows"
    )
    silence: Literal["threshold", "choice"] = Field(
        "threshold",
        description="when power_action='path-loss': 'choice' lets an MU first draw whether it "
        "sends at all, unless its policy is deterministic; silent_below is not used then",
    )
    factor: Literal["all", "by-reward"] = Field(
        "all",
        description="HAPPO: predecessors in the factor M: 'all' agents (Algorithm 1); 'by-reward': "
        "those that learn from the same reward, r_g or r_c",
    )
    max_log_factor: Positive = Field(
        10.0, le=80, description="HAPPO: |ln| of M's product of ratios stays below this"
    )
    anneal: bool = Field(
        False, description="the learning rate and the deviation of MADDPG's noise fall to zero"
    )
    averaged: Fraction = Field(
        0.0,
        description="policies are the mean of their weights over this share of the episodes, the "
        "last; not given: 0, the weights after the last episode",
        json_schema_extra={"before": 0.0},
    )
    noise_variance: NonNegative = Field(
        0.5, le=1e6, description="MADDPG: variance of noise on an action in [−1, 1] (Table I)"
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
        if self.algorithm == "maddpg" and self.replay_slots <= self.worlds:
            raise ValueError(
                f"replay_slots = {self.replay_slots}: must be above worlds = {self.worlds}, or "
                "MADDPG keeps no slot together with the next one of its world"
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
        cls, /, preset: str = "paper", network: str = NETWORKS[0], **changes: Any
    ) -> Self:
        """Return a preset's settings for an algorithm, with some fields changed.

        Args:
            preset: its name.
            network: ``section-v`` or ``work-conserving``, with what learners have there.
            changes: fields, ``algorithm`` among them; ``env`` may be a dict of changes or, where
                ``network`` is ``section-v``, an ``EnvConfig`` in the place of all the preset's.

        Raises:
            ConfigError: unknown preset or field, or a value that is not allowed.

        >>> config = TrainConfig.from_preset("quick", algorithm="maddpg", env={"num_users": 10})
        >>> config.env.num_users, config.episodes, config.head
        (10, 30, 'deterministic')
        """
        check_name("preset", preset, PRESETS)
        check_name("network", network, NETWORKS)
        algorithm, env = changes.get("algorithm", ""), changes.get("env", {})
        if isinstance(env, EnvConfig) and network != NETWORKS[0]:
            raise ConfigError(
                f"env = {show(env)}: must be a dict of changes, such as env={{'num_users': 12}}, "
                f"where network = {network!r}"
            )
        values = preset_of(preset, algorithm=str(algorithm), network=network) | {"preset": preset}
        return cls(**(merge(values, changes) if isinstance(env, dict) else values | changes))
