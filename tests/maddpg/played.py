"""A run of MADDPG that takes seconds, and an episode of it."""

from draws import seeded

from dtlib import TrainConfig, sample_world, simulate
from dtlib.agents.episode import Episode

SMALL = TrainConfig.from_preset(
    "smoke", algorithm="maddpg", hidden_sizes=(8,), updates_per_frame=1, batch_size=8,
    env={"num_users": 4, "frame_slots": 10, "speed_mps": (200.0, 400.0)},
)  # fmt: skip


def play(policies, seed=3):
    """Have policies explore in an episode's worlds."""
    config = policies.config
    world = sample_world(config.env, [seed + number for number in range(config.worlds)])
    decision = policies.decide(world, [seeded(seed)])
    return Episode(decision, simulate(world, decision.actions, config.env))
