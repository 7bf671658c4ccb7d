"""A reproducible companion to two-timescale synchronisation and migration of digital twins.

An episode is one expression: ``world = sample_world(env, seed)``,
``actions = policies.act(world)``, ``outcome = simulate(world, actions, env)``.
"""

from dtlib.config import ConfigError, EnvConfig, TrainConfig
from dtlib.policies import Policies
from dtlib.simulator import Actions, Outcome, simulate
from dtlib.training import Run, evaluate, load_run, train
from dtlib.world import World, sample_world

__version__ = "0.1.0"
__all__ = [
    "Actions",
    "ConfigError",
    "EnvConfig",
    "Outcome",
    "Policies",
    "Run",
    "TrainConfig",
    "World",
    "evaluate",
    "load_run",
    "sample_world",
    "simulate",
    "train",
]
