"""A device that is not the CPU, for tests where there is none: its tensors lie apart.

What a GPU would refuse is refused: an operation on tensors of both devices, and NumPy's view of
what is not on the CPU. All is computed on the CPU, with its generators and its products, so that
the numbers are the CPU's to the last bit.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from dtlib.kernels import portable

BETWEEN = {Tensor.copy_, Tensor.__getitem__, Tensor.__setitem__}
"""Operations that may have tensors of both devices."""
ON_CPU = {Tensor.numpy, Tensor.__array__}
VIEWS = {
    Tensor.device.__get__: torch.device("cuda", 0),
    Tensor.is_cuda.__get__: True,
    Tensor.is_cpu.__get__: False,
}


def affine(bias: Tensor, left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Return the library's, which knows an ``out`` that is the bias by its identity."""
    same = out is not None and out.data_ptr() == bias.data_ptr()
    return portable.affine(bias, left, right, out=bias if same else out)


PRODUCTS = {torch.matmul: portable.product, torch.baddbmm: affine}


class Remote(Tensor):
    """A tensor on the other device."""


class RemoteGenerator(Generator):
    """A generator on the other device."""


class OtherDevice(TorchFunctionMode):
    """While it is entered, ``cuda`` is such a device."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Compute a torch function, on the device of its tensors."""
        kwargs = kwargs or {}
        if function is torch.device:
            return function(*args, **kwargs)
        given = list(_tensors([*args, *kwargs.values()]))
        remote = any(isinstance(value, Remote) for value in given)
        if remote and function in VIEWS:
            return VIEWS[function]
        if remote and function in ON_CPU:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if function in (Tensor.cpu, Tensor.to):
            like = next((value for value in args[1:] if isinstance(value, Tensor)), args[0])
            wanted = [torch.device("cpu")] if function is Tensor.cpu else _devices(args, kwargs)
            remote = wanted[-1].type == "cuda" if wanted else isinstance(like, Remote)
        elif made_on := _devices(args, kwargs):
            remote = made_on[-1].type == "cuda"
        elif remote and function not in BETWEEN:
            apart = [value for value in given if not isinstance(value, Remote) and value.dim()]
            if apart:
                raise RuntimeError(f"{function}: expected all tensors to be on the same device")
        drawn_by = next((one for one in kwargs.values() if isinstance(one, Generator)), None)
        if drawn_by and remote != isinstance(drawn_by, RemoteGenerator):
            raise RuntimeError(f"{function}: expected a generator of the tensors' device")
        function, here = PRODUCTS.get(function, function), _here(args)
        if function is Tensor.__deepcopy__:  # known by its identity: let no other array have that
            _, memory = args
            memory.setdefault(id(memory), []).append(here)
        found = function(*here, **{name: _here(value) for name, value in kwargs.items()})
        return tree_map(_there, found) if remote else found


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have such a GPU, with 64 GiB."""
    memory = SimpleNamespace(total_memory=1 << 36)

    def generator(device: torch.device | str) -> Generator:
        return RemoteGenerator() if torch.device(device).type == "cuda" else Generator()

    monkeypatch.setattr("dtlib.runtime.seeds.Generator", generator)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.synchronize", lambda device: None)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: memory)
    with OtherDevice():
        yield


def _devices(args: Any, kwargs: Any) -> list[torch.device]:
    """Return the devices that a call names."""
    named = [
        value for value in (*args[1:], *kwargs.values()) if isinstance(value, torch.device | str)
    ]
    return [torch.device(value) for value in named if str(value)[:4] in ("cpu", "cuda")]


def _here(value: Any) -> Any:
    """Return an argument as the CPU knows it; a dictionary, such as a copy's memory, as it is."""
    if isinstance(value, Remote):
        return value.as_subclass(Tensor)
    if isinstance(value, list | tuple):
        return type(value)(map(_here, value))
    is_cuda = isinstance(value, torch.device | str) and str(value).startswith("cuda")
    return torch.device("cpu") if is_cuda else value


def _there(value: Any) -> Any:
    return value.as_subclass(Remote) if isinstance(value, Tensor) else value


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
