"""The exogenous episode: everything random that no action can change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

from dtlib.kernels.halton import centroids
from dtlib.model.channel import rician_gain
from dtlib.model.mobility import fold, gauss_markov, reflect_heading, travel
from dtlib.runtime.devices import resolve_device
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.kinds import check_type
from dtlib.runtime.memory import check_world
from dtlib.runtime.messages import show
from dtlib.runtime.seeds import replica_seeds
from dtlib.settings.env import EnvConfig


@dataclass(frozen=True, kw_only=True)
class World:
    """Exogenous processes of R independent replicas over N slots, K users and M base stations."""

    position: Tensor
    """[R, N, K, 2], m."""
    speed: Tensor
    """[R, N, K], m/s; below zero is backwards."""
    direction: Tensor
    """[R, N, K], rad, after reflections at the border."""
    distance: Tensor
    """[R, N, K, M], m, at least ``min_distance_m``."""
    gain: Tensor
    """[R, N, K, M], |h|², linear."""
    association: Tensor
    """[R, N, K], int, the nearest base station."""
    request: Tensor
    """[R, N, K], bool."""
    data_bits: Tensor
    """[R, N, K], bit; drawn for every slot, used only with a request."""
    cycles_per_bit: Tensor
    """[R, N, K], CPU cycles for each bit."""
    deadline_s: Tensor
    """[R, N, K], s."""
    bs_position: Tensor
    """[M, 2], m."""

    @property
    def replicas(self) -> int:
        """R."""
        return self.request.shape[0]

    @property
    def slots(self) -> int:
        """N."""
        return self.request.shape[1]

    def check(self, env: EnvConfig) -> None:
        """Raise ``ConfigError`` unless this may be a world of ``env``, by its K and M."""
        users, sites = self.request.shape[2], len(self.bs_position)
        if (users, sites) != (env.num_users, env.num_bs):
            raise ConfigError(
                f"world has num_users = {users}, num_bs = {sites}: must have {env.num_users} and "
                f"{env.num_bs}, as sample_world(env, seed) draws it for this network"
            )

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, **{f.name: change(getattr(self, f.name)) for f in fields(self)[:-1]})

    def window(self, start: int, stop: int) -> Self:
        """Return slots ``start`` to ``stop − 1`` as views."""
        return self._map(lambda array: array[:, start:stop])

    def every(self, stride: int) -> Self:
        """Return every ``stride``-th slot: a sample of slots, not an episode."""
        return self._map(lambda array: array[:, ::stride])

    def replica(self, index: int) -> Self:
        """Return one replica, with R = 1, as views."""
        return self._map(lambda array: array[index : index + 1])


def bs_positions(env: EnvConfig) -> np.ndarray:
    """Return the base stations' positions, [M, 2] in m; the same for every world of ``env``.

    ``spread`` puts them at the centroids of equal cells, ``random`` draws them from ``bs_seed``.
    """
    return _positions_of(env.bs_layout, count=env.num_bs, seed=env.bs_seed, area_m=env.area_m)


@lru_cache(maxsize=64)
def _positions_of(layout: str, *, count: int, seed: int, area_m: float) -> np.ndarray:
    """Return :func:`bs_positions` of the settings that they depend on, computed only once."""
    draw = np.random.default_rng(seed)
    positions = (draw.random((count, 2)) if layout == "random" else centroids(count)) * area_m
    positions.setflags(write=False)
    return positions


def sample_world(
    env: EnvConfig,
    seed: int | Sequence[int],
    *,
    replicas: int = 1,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> World:
    """Draw the exogenous episode of Q·T slots, eqs. (1)–(5).

    Args:
        seed: of the first replica; replica r is the world of ``seed + r`` alone. A sequence gives
            each replica's seed.
        replicas: R; as many as there are seeds, or absent, where these are a sequence.
        dtype: of the arrays; trajectories and requests are drawn in float64 and are the same
            either way, fading and tasks are drawn in ``dtype`` and are not.
        device: where the arrays live; they are always drawn on the CPU.

    Returns:
        A :class:`World` with leading axes [R, N].

    Raises:
        ConfigError: no network, no such ``dtype`` or ``device``, no replicas, a negative seed, or
            no memory.

    >>> sample_world(EnvConfig(num_users=4, frames=1), seed=0, replicas=2).request.shape
    torch.Size([2, 100, 4])
    """
    check_type("env", env, EnvConfig, such="config.env")
    if dtype not in (torch.float32, torch.float64):
        raise ConfigError(f"dtype = {show(dtype)}: must be torch.float32 or torch.float64")
    seeds, device = replica_seeds(seed, replicas), resolve_device(device)
    check_world(env, len(seeds))
    drawn = [_draw(env, number, dtype) for number in seeds]
    arrays = {name: torch.stack([arrays[name] for arrays in drawn]).to(device) for name in drawn[0]}
    sites = torch.as_tensor(bs_positions(env).copy(), dtype=dtype, device=device)
    return World(**arrays, bs_position=sites)


def _draw(env: EnvConfig, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    streams = np.random.SeedSequence(seed).spawn(4)
    travels, fades, requests, tasks = (np.random.default_rng(stream) for stream in streams)
    slots, users = env.slots, env.num_users
    real = torch.empty((), dtype=dtype).numpy().dtype

    mean_speed = travels.uniform(*env.speed_mps, users)
    mean_heading = travels.uniform(-np.pi, np.pi, users)
    start = travels.uniform(0, env.area_m, (users, 2))
    first = travels.standard_normal((2, users))
    noise = travels.standard_normal((2, slots - 1, users))
    speed = gauss_markov(
        mean_speed, memory=env.speed_memory, std=env.speed_std_mps, noise=noise[0],
        initial=mean_speed + env.speed_std_mps * first[0],
    )  # fmt: skip
    heading = gauss_markov(
        mean_heading, memory=env.heading_memory, std=env.heading_std_rad, noise=noise[1],
        initial=mean_heading + env.heading_std_rad * first[1],
    )  # fmt: skip
    unbounded = travel(start, speed=speed, heading=heading, slot_s=env.slot_s)
    position, sign = fold(unbounded, env.area_m)

    offset = position[:, :, None] - bs_positions(env)
    distance = np.sqrt((offset**2).sum(-1))
    association = distance.argmin(-1)
    distance = np.maximum(distance, env.min_distance_m).astype(real)
    scatter = fades.standard_normal((slots, users, env.num_bs, 2), dtype=real)
    scatter *= real.type(0.5**0.5)
    gain = rician_gain(
        distance, scatter=scatter, ref_gain=env.ref_gain, exponent=env.path_loss_exponent,
        rician_factor=env.rician_factor,
    )  # fmt: skip

    def uniform(low: float, high: float) -> np.ndarray:
        return low + (high - low) * tasks.random((slots, users), dtype=real)

    arrays = {
        "position": position.astype(real),
        "speed": speed.astype(real),
        "direction": reflect_heading(heading, sign).astype(real),
        "distance": distance,
        "gain": gain.astype(real),
        "association": association,
        "request": requests.random((slots, users)) < env.request_prob,
        "data_bits": uniform(*env.data_bits),
        "cycles_per_bit": uniform(*env.cycles_per_bit),
        "deadline_s": uniform(*env.deadline_s),
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
