"""Tables that are not committed, for tests of causes."""

import pytest

from dtlib.experiments import results
from dtlib.experiments.results import DATA


@pytest.fixture
def as_if(monkeypatch):
    """Have other tables committed of an experiment, by its name."""
    known, read = {}, results.table

    def table(preset, name, file=DATA):
        return known[name](file) if name in known else read(preset, name, file)

    monkeypatch.setattr(results, "table", table)
    return known
