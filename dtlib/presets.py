"""Sizes and budgets by name: what each preset has otherwise than the paper's defaults."""

from __future__ import annotations

from typing import Any

COMPANION: dict[str, Any] = {
    "env": {"queue_reset": False, "frames": 2},
    "critic": "shared",
    "credit": "difference",
    "actors": "shared",
    "observation": "derived",
    "power_action": "path-loss",
    "power_range_db": 20.0,
    "power_top_db": 5.0,
    "silent_below": 0.3,
    "silence": "choice",
    "factor": "by-reward",
    "max_log_factor": 1.0,
    "gae_lambda": 0.0,
    "critic_target": "gae",
    "learning_rate": 3e-3,
    "epochs": 10,
    "episodes": 150,
    "worlds": 5,
}
"""What makes the algorithms learn within a small budget; the same for all four, but for
``OFF_POLICY``."""

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": COMPANION
    | {
        "env": {
            "num_users": 6, "num_bs": 3, "frame_slots": 20, "frames": 4, "migration_slots": 2,
            "queue_reset": False,
        },
        "episodes": 3,
        "epochs": 2,
        "worlds": 2,
    },
    "quick": COMPANION | {"episodes": 30},
    "companion": COMPANION,
    "paper": {},
}  # fmt: skip

OFF_POLICY: dict[str, Any] = {"learning_rate": 1e-3, "replay_slots": 30_000, "silent_below": 0.0}
"""What MADDPG has otherwise in every preset: found best for it among values that were tried."""
WEAK_NOISE: dict[str, Any] = {"noise_variance": 0.05}
"""So it has but for the preset ``paper``, which keeps Table I's."""


def preset_of(name: str, algorithm: str) -> dict[str, Any]:
    """Return what a preset has otherwise than the paper's defaults, for an algorithm."""
    own = OFF_POLICY | (WEAK_NOISE if name != "paper" else {}) if algorithm == "maddpg" else {}
    return PRESETS[name] | own
