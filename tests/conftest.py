"""Settings for every test: one thread, the same examples each time, drawings without a window."""

from __future__ import annotations

import dtlib  # noqa: F401 - it settles the arithmetic before torch is loaded

# isort: split
import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
matplotlib.use("Agg")

settings.register_profile(
    "fixed",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _one_thread():
    """Put back one torch thread and the global generator's seed, whatever a test changed."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _drawings():
    """Put back the style, and close what was drawn."""
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def double():
    """Double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def pytest_collection_modifyitems(items):
    """Begin with the longest tests: at the end, they would leave the other core idle."""
    items.sort(key=lambda item: "test_on_another_processor" not in item.name)
