"""A committed table that is of no grid of runs: measured once for each preset."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from dtlib.experiments import results
from dtlib.experiments.results import DATA
from dtlib.runtime.reading import Damaged
from dtlib.runtime.workers import in_parallel


@dataclass(frozen=True, kw_only=True)
class MeasuredTable:
    """Where such a table lies, and how it is made."""

    name: str
    """Of its folder ``results/<preset>/<name>``."""
    key: Callable[[str, int | None], str]
    """The sha256 of what a preset's table is of, in an older version if one is given."""
    tasks: Callable[[str], Sequence[tuple[Any, ...]]]
    """Arguments of :attr:`rows`, for each part of a preset's table in its order."""
    rows: Callable[..., pd.DataFrame]
    """Measures a part."""
    facts: Callable[[str], dict[str, Any]]
    """What the manifest says beside the preset."""

    def measure(
        self,
        preset: str,
        jobs: int = 2,
        progress: bool = False,
        only: Callable[..., bool] | None = None,
    ) -> pd.DataFrame:
        """Return a preset's table, measured now, its parts side by side in their order."""
        tasks = [task for task in self.tasks(preset) if only is None or only(*task)]
        parts = in_parallel(self.rows, tasks, jobs)
        bar = tqdm(parts, total=len(tasks), disable=not progress, desc=self.name)
        return pd.concat(bar, ignore_index=True)

    def write(self, preset: str, jobs: int = 2, progress: bool = False) -> Path:
        """Measure and write a preset's table, unless it is there; return its folder."""
        folder, key = results.folder_of(preset, self.name), self.key(preset, None)
        known = None
        with suppress(Damaged):
            known = results.read(folder, DATA, key)
        if known is None:
            table = self.measure(preset, jobs, progress)
            results.write(
                folder, key, tables={DATA: table}, facts={"preset": preset} | self.facts(preset)
            )
        return folder

    def read(
        self, preset: str, jobs: int = 2, only: Callable[..., bool] | None = None
    ) -> pd.DataFrame:
        """Return the committed table if it has its version's key, else measure it anew.

        Args:
            preset: whose.
            jobs: processes that measure.
            only: whether a part, by the arguments of :attr:`rows`, is measured then; all if absent.
        """
        folder = results.folder_of(preset, self.name)
        key = self.key(preset, results.older(results.manifest(folder)))
        known = results.read(folder, DATA, key)
        return self.measure(preset, jobs, only=only) if known is None else known
