"""Random numbers of tests."""

import torch


def seeded(seed: int) -> torch.Generator:
    """Return a generator whose numbers are the same in every run."""
    return torch.Generator().manual_seed(seed)
