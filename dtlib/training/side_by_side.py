"""Which runs can learn side by side, as one batch."""

from collections.abc import Sequence
from typing import Any

from dtlib.runtime.errors import ConfigError
from dtlib.settings.train import TrainConfig

MAY_DIFFER = ("seed", "env", "preset")
"""Fields that each run may have its own of; of its network, all but ``SIZES``."""
SIZES = ("num_users", "num_bs", "frame_slots", "frames")


def check_alike(configs: Sequence[TrainConfig]) -> None:
    """Raise :class:`ConfigError` if runs cannot learn side by side."""
    first = _common(configs[0])
    for config in configs[1:]:
        for name, value in _common(config).items():
            if value != first[name]:
                raise ConfigError(
                    f"{name} = {value!r}: runs side by side must have the same, "
                    f"another has {first[name]!r}"
                )


def alike(configs: Sequence[TrainConfig]) -> list[list[TrainConfig]]:
    """Return the settings in groups that can learn side by side."""
    groups: dict[tuple[Any, ...], list[TrainConfig]] = {}
    for config in configs:
        groups.setdefault(tuple(_common(config).values()), []).append(config)
    return list(groups.values())


def _common(config: TrainConfig) -> dict[str, Any]:
    """Return what runs side by side have in common, by name."""
    learning = {name: value for name, value in config if name not in MAY_DIFFER}
    return learning | {f"env.{name}": getattr(config.env, name) for name in SIZES}
