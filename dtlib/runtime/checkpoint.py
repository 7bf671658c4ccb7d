"""Checkpoints: one file with a checksum, arrays as safetensors, the rest as JSON."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from dtlib.runtime.files import write_whole
from dtlib.runtime.messages import show
from dtlib.runtime.reading import Damaged, parse_json, read_bytes

TYPES = (torch.float32, torch.float64, torch.int16, torch.int32, torch.int64, torch.bool)
"""Of arrays that a checkpoint may hold."""
_MOST_HEADER_BYTES = 100_000_000


def _digest(arrays: dict[str, Tensor], rest: str) -> str:
    digest = hashlib.sha256(rest.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}{array.dtype}{tuple(array.shape)}".encode())
        digest.update(array.contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, arrays: dict[str, Tensor], rest: dict[str, Any]) -> None:
    """Write arrays and JSON values into one file with a checksum.

    Raises:
        FileError: it cannot be written; what was there stays.
    """
    text = json.dumps(rest)
    arrays = {name: array.detach().cpu().contiguous() for name, array in arrays.items()}
    metadata = {"rest": text, "sha256": _digest(arrays, text)}

    def write(aside: Path) -> None:
        try:
            save_file(arrays, aside, metadata)
        except SafetensorError as error:  # a full disk, for one
            raise OSError(str(error)) from None

    write_whole(path, write)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        Damaged: missing, truncated, altered, with numbers that are not finite, or no checkpoint.
        FileError: it cannot be read.
    """
    if (content := read_bytes(path)) is None:
        raise Damaged(f"{path}: not a readable checkpoint (missing)")
    try:
        arrays = dict(sorted(load(content).items()))  # it gives them in any order
    except Exception as error:  # of safetensors or torch, whose types are not all known
        line = " ".join(str(error).split())
        raise Damaged(f"{path}: not a readable checkpoint ({line})") from None
    metadata = _metadata(path, content)
    for name, array in arrays.items():
        if array.dtype not in TYPES:
            raise Damaged(f"{path}: array {show(name)} is {array.dtype}, which no run has")
    if _digest(arrays, metadata["rest"]) != metadata["sha256"]:
        raise Damaged(f"{path}: its checksum does not match: it was altered or damaged")
    for name, array in arrays.items():
        if array.is_floating_point() and not array.isfinite().all():
            raise Damaged(f"{path}: array {show(name)} has numbers that are not finite")
    return arrays, parse_json(path, metadata["rest"])


def load_rest(path: Path) -> dict[str, Any] | None:
    """Return the JSON values of a checkpoint without reading its arrays; None if there is none.

    Raises:
        Damaged: see :func:`load_checkpoint`; the checksum is not looked at.
        FileError: it cannot be read.
    """
    if not os.path.lexists(path):
        return None
    size = int.from_bytes(read_bytes(path, most=8) or b"", "little")
    content = read_bytes(path, most=8 + size) if size <= _MOST_HEADER_BYTES else None
    return parse_json(path, _metadata(path, content or b"")["rest"])


def _metadata(path: Path, content: bytes) -> dict[str, str]:
    """Return what a checkpoint's header says beside the layout of its arrays."""
    size = int.from_bytes(content[:8], "little")
    metadata = parse_json(path, content[8 : 8 + size]).get("__metadata__")
    told = metadata if isinstance(metadata, dict) else {}
    if not all(isinstance(told.get(name), str) for name in ("rest", "sha256")):
        raise Damaged(f"{path}: not a checkpoint of dtlib (its metadata are missing)")
    return told


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
