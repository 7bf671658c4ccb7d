"""A committed table that is of no grid of runs: measured once for each preset."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dtlib.experiments import results
from dtlib.experiments.results import DATA
from dtlib.runtime.reading import Damaged


@dataclass(frozen=True)
class MeasuredTable:
    """Where such a table lies, and how it is made."""

    name: str
    """Of its folder ``results/<preset>/<name>``."""
    key: Callable[[str, int | None], str]
    """The sha256 of what a preset's table is of, in an older version if one is given."""
    measure: Callable[[str, int, bool], pd.DataFrame]
    """Makes a preset's table, given the number of processes and whether to show a bar."""
    facts: Callable[[str], dict[str, Any]]
    """What the manifest says beside the preset."""

    def write(self, preset: str, jobs: int = 2, progress: bool = False) -> Path:
        """Measure and write a preset's table, unless it is there; return its folder."""
        folder, key = results.folder_of(preset, self.name), self.key(preset, None)
        known = None
        with suppress(Damaged):
            known = results.read(folder, DATA, key)
        if known is None:
            table = self.measure(preset, jobs, progress)
            results.write(folder, key, {DATA: table}, {"preset": preset} | self.facts(preset))
        return folder

    def read(self, preset: str, jobs: int = 2) -> pd.DataFrame:
        """Return the committed table if it has its version's key, else measure it anew."""
        folder = results.folder_of(preset, self.name)
        key = self.key(preset, results.older(results.manifest(folder)))
        known = results.read(folder, DATA, key)
        return self.measure(preset, jobs, False) if known is None else known
