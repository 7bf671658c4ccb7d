"""Names by content: the sha256 of settings, of plans and of texts."""

import json
from typing import Any

from dtlib.runtime.reading import sha256
from dtlib.settings.base import RESULTS_VERSION
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig


def digest(what: Any) -> str:
    """Return the sha256 of anything that JSON holds, its names sorted."""
    return sha256(json.dumps(what, sort_keys=True, separators=(",", ":")))


def config_key(config: TrainConfig, version: int | None = None) -> str:
    """Return the sha256 of a run's settings and of the version of results, the code's if absent."""
    version = RESULTS_VERSION if version is None else version
    return sha256(f"{version}\n{config.canonical_json()}")


def env_key(env: EnvConfig, version: int | None = None) -> str:
    """Return the sha256 of a network's settings and of the version of results; see above."""
    return digest([RESULTS_VERSION if version is None else version, env.canonical_json()])
