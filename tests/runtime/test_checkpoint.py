"""Checkpoints are read back equal, and refused when damaged or forged."""

import hashlib
import json
import os
import stat

import pytest
import torch
from safetensors.torch import save_file

from dtlib.runtime.checkpoint import load_checkpoint, load_rest, save_checkpoint
from dtlib.runtime.errors import FileError
from dtlib.runtime.reading import Damaged

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


def forge(path, arrays, rest, **more):
    """Write a checkpoint whose checksum fits, whatever it holds."""
    text = rest if isinstance(rest, str) else json.dumps(rest)
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}{array.dtype}{tuple(array.shape)}".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    save_file(arrays, path, {"rest": text, "sha256": digest.hexdigest()} | more)


DEEP = "[" * 100_000 + "]" * 100_000
FORGED = {
    "bfloat16": ({"c": torch.ones(2).bfloat16()}, "{}", "which no run has"),
    "float8": ({"c": torch.ones(2).to(torch.float8_e4m3fn)}, "{}", "which no run has"),
    "NaN": ({"c": torch.tensor([1.0, float("nan")])}, "{}", "'c' has numbers that are not finite"),
    "infinite": ({"c": torch.tensor([float("inf")])}, "{}", "'c' has numbers that are not finite"),
    "no JSON": ({}, "no JSON", "is no JSON"),
    "a list": ({}, "[]", "holds a list"),
    "nested": ({}, DEEP, r"is no JSON \(nested too deep\)"),
}


@pytest.mark.parametrize(("arrays", "rest", "why"), FORGED.values(), ids=FORGED)
def test_forged_with_a_checksum_that_fits(tmp_path, arrays, rest, why):
    path = tmp_path / "c.safetensors"
    forge(path, ARRAYS | arrays, rest)
    with pytest.raises(Damaged, match=f"^{path}: [^\n]*{why}[^\n]*$"):
        load_checkpoint(path)


HEADERS = {
    "empty": b"",
    "cut": b"\x10\0\0\0\0\0\0\0{",
    "huge": b"\xff" * 8 + b"{}",
    "no UTF-8": b"\x02\0\0\0\0\0\0\0\xff\xff",
    "no metadata": b"\x02\0\0\0\0\0\0\0{}",
    "a list": b"\x02\0\0\0\0\0\0\0[]",
    "metadata that are a list": b"\x13\0\0\0\0\0\0\0" + b'{"__metadata__": []}'[:19],
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("load", [load_rest, load_checkpoint])
def test_headers_that_are_none(tmp_path, header, load):
    path = tmp_path / "c.safetensors"
    path.write_bytes(header)
    with pytest.raises(Damaged, match=f"^{path}: [^\n]*$"):
        load(path)


def test_arrays_come_in_the_order_of_their_names(tmp_path):
    names = [f"{letter}{number}" for letter in "zyx" for number in range(9)]
    save_checkpoint(tmp_path / "c", {name: torch.zeros(1) for name in names}, {})
    assert list(load_checkpoint(tmp_path / "c")[0]) == sorted(names)


def test_json_values_are_read_without_the_arrays(tmp_path):
    path = tmp_path / "c.safetensors"
    assert load_rest(path) is None
    save_checkpoint(path, ARRAYS, {"rows": [1, 2.5]})
    path.write_bytes(path.read_bytes()[:-20])
    assert load_rest(path) == {"rows": [1, 2.5]}


def test_a_checkpoint_has_the_mode_that_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "c.safetensors", ARRAYS, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "c.safetensors").stat().st_mode) == 0o644
