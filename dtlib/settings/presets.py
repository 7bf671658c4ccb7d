"""Sizes and budgets by name: what each preset has otherwise than the paper's defaults.

There are two networks. ``section-v`` is the one that the paper's figures are of, as far as its
sentences tell (page "Which world did the paper simulate?"). In ``work-conserving``, servers divide
their CPU among those they serve; it has settings of its own, and shows what is beyond the paper.
"""

from typing import Any

NETWORKS = ("section-v", "work-conserving")


def merge(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return all settings of all parts, those of the network as well; the last ones win."""
    env = {name: value for part in parts for name, value in part.get("env", {}).items()}
    whole = {name: value for part in parts for name, value in part.items()}
    return whole | ({"env": env} if env else {})


COMPANION: dict[str, Any] = {
    "env": {"frames": 10},
    "critic": "shared",
    "credit": "difference",
    "actors": "shared",
    "observation": "derived",
    "gae_lambda": 0.0,
    "learning_rate": 3e-3,
    "epochs": 10,
    "episodes": 300,
}
"""What makes the algorithms learn within a small budget, each measured by taking it back (page
"What companion changes"); the same for all four, but for ``FOUND``."""

SMOKE: dict[str, Any] = {
    "env": {"num_users": 6, "num_bs": 3, "frame_slots": 20, "frames": 4, "migration_slots": 2},
    "episodes": 3,
    "epochs": 2,
    "worlds": 2,
}

WORK_CONSERVING: dict[str, Any] = {
    "env": {
        "cpu_sharing": "served",
        "deadline_s": (0.04, 0.05),
        "objective_scale": "mean",
        "energy_of_failed": "deadline",
    },
    "gaussian": "bounded",
}
"""The network in which a server's CPU serves whoever it serves; all presets have it there."""

LEARNT_THERE = merge(
    COMPANION,
    {
        "env": {"queue_reset": False, "frames": 2},
        "power_action": "path-loss",
        "power_range_db": 20.0,
        "power_top_db": 5.0,
        "silent_below": 0.3,
        "silence": "choice",
        "factor": "by-reward",
        "max_log_factor": 1.0,
        "critic_target": "gae",
        "episodes": 150,
        "worlds": 5,
    },
)
"""What learners have in the work-conserving network, but for the preset ``paper``."""

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": merge(COMPANION, SMOKE),
    "quick": merge(COMPANION, {"episodes": 30}),
    "companion": COMPANION,
    "paper": {},
}
_THERE: dict[str, dict[str, Any]] = {
    "smoke": merge(WORK_CONSERVING, LEARNT_THERE, SMOKE),
    "quick": merge(WORK_CONSERVING, LEARNT_THERE, {"episodes": 30}),
    "companion": merge(WORK_CONSERVING, LEARNT_THERE),
    "paper": WORK_CONSERVING,
}

FOUND: dict[str, dict[str, dict[str, Any]]] = {
    "section-v": {
        "gaussian-happo": {"learning_rate": 1e-3, "epochs": 5},
        "maddpg": {"replay_slots": 30_000, "updates_per_frame": 2},
    },
    "work-conserving": {
        "maddpg": {
            "learning_rate": 1e-3, "replay_slots": 30_000, "noise_variance": 0.05,
            "silent_below": 0.0,
        },
    },
}  # fmt: skip
"""What an algorithm has otherwise than the rest, by network, but for the preset ``paper``. In
Section V's, steps and passes are of the search (page "How the learning settings were chosen")."""
PRINTED: dict[str, dict[str, dict[str, Any]]] = {
    "section-v": {"maddpg": {"replay_slots": 30_000, "updates_per_frame": 25}},
    "work-conserving": {"maddpg": {"learning_rate": 1e-3, "replay_slots": 30_000}},
}
"""The same for ``paper``. MADDPG has Table I's noise, rate and Rp updates in a frame; in the
work-conserving network a rate of its own and ten updates."""


def preset_of(name: str, *, algorithm: str = "", network: str = NETWORKS[0]) -> dict[str, Any]:
    """Return what a preset has otherwise than the paper's defaults, for an algorithm."""
    values = (PRESETS if network == NETWORKS[0] else _THERE)[name]
    own = (PRINTED if name == "paper" else FOUND)[network].get(algorithm, {})
    return merge(values, own, SMOKE if name == "smoke" else {})
