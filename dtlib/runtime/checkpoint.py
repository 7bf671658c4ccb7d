"""Checkpoints: one file with a checksum, arrays as safetensors, the rest as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_whole


def _digest(arrays: dict[str, Tensor], rest: str) -> str:
    digest = hashlib.sha256(rest.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}{array.dtype}{tuple(array.shape)}".encode())
        digest.update(array.contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, arrays: dict[str, Tensor], rest: dict[str, Any]) -> None:
    """Write arrays and JSON values into one file with a checksum.

    Args:
        path: where to.
        arrays: by name.
        rest: anything that JSON holds.
    """
    text = json.dumps(rest)
    arrays = {name: array.detach().contiguous() for name, array in arrays.items()}
    metadata = {"rest": text, "sha256": _digest(arrays, text)}
    write_whole(path, lambda aside: save_file(arrays, aside, metadata))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        FileError: missing, truncated, altered, or not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise FileError(f"{path}: not a readable checkpoint ({error})") from None
    if not {"rest", "sha256"} <= metadata.keys():
        raise FileError(f"{path}: not a checkpoint of dtlib (its metadata are missing)")
    if _digest(arrays, metadata["rest"]) != metadata["sha256"]:
        raise FileError(f"{path}: its checksum does not match: it was altered or damaged")
    return arrays, json.loads(metadata["rest"])


def check_arrays(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise ``ValueError``, one line, if names, shapes or types of arrays differ."""
    if wrong := sorted(own.keys() ^ given.keys()):
        raise ValueError(f"array {wrong[0]!r} is missing or not expected")
    for name, tensor in own.items():
        if given[name].shape != tensor.shape or given[name].dtype != tensor.dtype:
            raise ValueError(
                f"array {name!r} is {given[name].dtype} {tuple(given[name].shape)}: "
                f"must be {tensor.dtype} {tuple(tensor.shape)}"
            )


def overwrite(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Copy arrays into place, all or, where :func:`check_arrays` raises, none."""
    check_arrays(own, given)
    for name, tensor in own.items():
        tensor.copy_(given[name])
