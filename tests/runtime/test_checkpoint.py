"""Checkpoints are read back equal, and refused when damaged or forged."""

import pytest
import torch
from safetensors.torch import save_file

from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint
from dtlib.runtime.errors import FileError

ARRAYS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


def test_round_trip(tmp_path):
    path = tmp_path / "run" / "c.safetensors"
    save_checkpoint(path, ARRAYS, {"rows": [1, 2.5]})
    arrays, rest = load_checkpoint(path)
    assert rest == {"rows": [1, 2.5]}
    assert arrays.keys() == ARRAYS.keys()
    assert all(torch.equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert [file.name for file in path.parent.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_truncated(tmp_path, keep):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, ARRAYS, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileError, match=r"c\.safetensors: not a readable checkpoint"):
        load_checkpoint(path)


def test_one_flipped_bit(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, ARRAYS, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match="checksum does not match"):
        load_checkpoint(path)


def test_forged(tmp_path):
    path = tmp_path / "c.safetensors"
    save_file(ARRAYS, path)
    with pytest.raises(FileError, match="metadata are missing"):
        load_checkpoint(path)
    path.write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(FileError, match="not a readable checkpoint"):
        load_checkpoint(path)
    with pytest.raises(FileError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "absent")
