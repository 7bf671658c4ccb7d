"""A reproducible companion to two-timescale synchronisation and migration of digital twins.

An episode is one expression: ``world = sample_world(env, seed)``,
``actions = policies.act(world)``, ``outcome = simulate(world, actions, env)``.
"""

from dtlib.runtime import bits

bits.settle()  # before anything below imports NumPy or torch

from dtlib.agents.policies import Policies
from dtlib.model.simulator import Actions, Outcome, simulate
from dtlib.model.world import World, sample_world
from dtlib.runtime.errors import ConfigError
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig
from dtlib.training.evaluation import evaluate
from dtlib.training.loop import Run
from dtlib.training.run_folder import load_run
from dtlib.training.train import train

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
