"""A watch on operations that would stall a GPU."""

from torch.utils._python_dispatch import TorchDispatchMode


class Syncs(TorchDispatchMode):
    """Notes operations whose result the host must wait for."""

    waits = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique", "masked_select")

    def __init__(self):
        super().__init__()
        self.seen, self.count = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        if any(name in str(func) for name in self.waits):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))
