"""Drawings of tests: without a window, and gone afterwards."""

import matplotlib
import matplotlib.pyplot as plt
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _drawings():
    """Put back the style, and close what was drawn."""
    with plt.rc_context():
        yield
    plt.close("all")
