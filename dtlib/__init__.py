"""A reproducible companion to two-timescale synchronisation and migration of digital twins.

An episode is one expression: ``world = sample_world(env, seed)``,
``actions = policies.act(world)``, ``outcome = simulate(world, actions, env)``. ``train`` gives a
run, ``load_run`` gets it back, ``evaluate`` says what it is worth in worlds that it has not seen.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dtlib.runtime import bits

bits.settle()  # before anything imports NumPy or torch

if TYPE_CHECKING:
    from dtlib.agents.policies import Policies
    from dtlib.model.simulator import Actions, Outcome, simulate
    from dtlib.model.world import World, sample_world
    from dtlib.runtime.errors import ConfigError, FileError
    from dtlib.settings.env import EnvConfig
    from dtlib.settings.train import TrainConfig
    from dtlib.training.evaluation import evaluate, evaluate_policy, evaluation_env
    from dtlib.training.loop import Run
    from dtlib.training.run_folder import load_run
    from dtlib.training.train import train

__version__ = "0.1.0"
__all__ = [
    "Actions",
    "ConfigError",
    "EnvConfig",
    "FileError",
    "Outcome",
    "Policies",
    "Run",
    "TrainConfig",
    "World",
    "evaluate",
    "evaluate_policy",
    "evaluation_env",
    "load_run",
    "sample_world",
    "simulate",
    "train",
]
_PLACES = {
    "agents.policies": ("Policies",),
    "model.simulator": ("Actions", "Outcome", "simulate"),
    "model.world": ("World", "sample_world"),
    "runtime.errors": ("ConfigError", "FileError"),
    "settings.env": ("EnvConfig",),
    "settings.train": ("TrainConfig",),
    "training.evaluation": ("evaluate", "evaluate_policy", "evaluation_env"),
    "training.loop": ("Run",),
    "training.run_folder": ("load_run",),
    "training.train": ("train",),
}
"""Where each name comes from, as above, when it is first asked for: torch takes seconds."""


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            found = getattr(import_module(f"dtlib.{place}"), name)
            globals()[name] = found
            return found
    if name == "pettingzoo":
        return import_module("dtlib.pettingzoo")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
