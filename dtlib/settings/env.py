"""The network: Table I, and a field for each open reading of the model."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dtlib.runtime.messages import check_name
from dtlib.settings.base import Fraction, NonNegative, Positive, Range, Settings
from dtlib.settings.presets import NETWORKS, preset_of

Interference = Literal["receiver", "eq7"]


class EnvConfig(Settings):
    """The network: Table I, and a field for each reading that the paper leaves open (SI units).

    >>> EnvConfig(num_users=10, deadline_s=(0.04, 0.05)).slots
    5000
    >>> EnvConfig(num_users=0)
    Traceback (most recent call last):
    dtlib.runtime.errors.ConfigError: num_users = 0: input should be greater than or equal to 1
    """

    num_users: int = Field(30, ge=1, description="K, number of mobile users (Section V-A)")
    num_bs: int = Field(
        5, ge=1, le=500, description="M, number of base stations with an edge server (Section V-A)"
    )
    frame_slots: int = Field(100, ge=1, description="T, slots in a frame (Table I)")
    frames: int = Field(50, ge=1, description="Q, frames in an episode (Table I)")
    slot_s: Positive = Field(0.05, le=86_400, description="δ_t, length of a slot, s (Table I)")
    bandwidth_hz: Positive = Field(10e6, description="B, shared by all users, Hz (Table I)")
    wired_rate_bps: Positive = Field(
        10e6, description="w_ij, rate of each directed link between base stations, bit/s (Table I)"
    )
    max_power_w: Positive = Field(0.5, description="P_max, largest transmit power, W (Table I)")
    cpu_hz: Positive = Field(10e9, description="f_max, CPU frequency of a server, Hz (Table I)")
    request_prob: Fraction = Field(
        0.5, description="λ, probability that a user requests synchronisation in a slot (Table I)"
    )
    ref_gain: Positive = Field(1e-3, description="ρ₀, power gain at 1 m, linear (Table I: −30 dB)")
    rician_factor: NonNegative = Field(10.0, description="κ, Rician factor, linear (Table I)")
    noise_w: Positive = Field(1e-9, description="σ², noise, W (Table I: −90 dBW)")
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
    speed_memory: Fraction = Field(0.9, description="μ₁ in (1); not given")
    heading_memory: Fraction = Field(0.9, description="μ₂ in (2); not given")
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
        "spread", description="base stations at centroids of equal cells, or uniformly at random"
    )
    bs_seed: int = Field(0, ge=0, description="seed of bs_layout='random'")
    interference: Interference = Field(
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
    cpu_sharing: Literal["slices", "whole", "hosted", "served"] = Field(
        "slices",
        description="(14h): 'slices': each of all K users owns f_max/K of every server, and uses "
        "the part that the action says; 'whole': it uses all; 'hosted': each user whose twin is at "
        "a server owns an equal part; 'served': those it serves in a slot share it by weights",
        json_schema_extra={"before": "served"},
    )
    energy_of_failed: Literal["deadline", "full", "none"] = Field(
        "full",
        description="energy of a failed request: 'full': the whole of (13), however late; "
        "'deadline': what is sent until the deadline; 'none': none at all",
    )
    centre_delay: Literal["capped", "letter"] = Field(
        "capped",
        description="delays in r_c (27): 'capped': at most one slot; 'letter': as they are, "
        "endless where a user has no share",
    )
    migrating_transmits: bool = Field(
        False, description="a user whose twin is migrating still transmits (and fails)"
    )
    deployment_decision: Literal["frame-end", "frame-start"] = Field(
        "frame-end",
        description="β(q) is the centre's choice: 'frame-end': in the last slot of frame q−1 "
        "(Section III-B-3, Algorithm 1 line 15); 'frame-start': in slot qT (text below (27))",
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
                f"deadline_s = {self.deadline_s}: must be at most slot_s = {self.slot_s}"
            )
        if self.migration_slots >= self.frame_slots:
            raise ValueError(
                f"migration_slots = {self.migration_slots}: must be below "
                f"frame_slots = {self.frame_slots} (0 ≤ G < T)"
            )
        return self

    @classmethod
    def named(cls, /, network: str = NETWORKS[0], **changes: Any) -> Self:
        """Return the network ``section-v``, the default, or ``work-conserving``, with changes.

        Raises:
            ConfigError: no such network, or a value that is not allowed.
        """
        check_name("network", network, NETWORKS)
        return cls(**preset_of("paper", network=network).get("env", {}) | changes)

    @property
    def slots(self) -> int:
        """Slots in an episode, Q·T."""
        return self.frames * self.frame_slots
