"""A committed table that is of no grid of runs: measured once for each preset."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype
from tqdm import tqdm

from dtlib.experiments import results, verify
from dtlib.experiments.results import DATA
from dtlib.runtime.errors import ConfigError
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
        jobs: int = 1,
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
        self, preset: str, jobs: int = 1, only: Callable[..., bool] | None = None
    ) -> pd.DataFrame:
        """Return the committed table if it has its version's key, else measure it anew.

        Args:
            only: whether a part, by the arguments of :attr:`rows`, is measured then; all if absent.
        """
        known = self._committed(preset)
        return self.measure(preset, jobs, only=only) if known is None else known

    def verify(self, preset: str, *, count: int = 1, jobs: int = 2) -> pd.DataFrame:
        """Measure parts of a preset's committed table again, and compare every byte.

        Args:
            count: how many parts, spread over the table; all if 0.

        Returns:
            A row per part, as for runs (:func:`.verify.verify`); ``variant`` is what a part says of
            itself, and it has no ``seed``.

        Raises:
            ConfigError: no table is committed that the code would give, or it is of older code.
        """
        verify.check_version(self.name, preset)
        known = self._committed(preset)
        if known is None:
            raise ConfigError(f"{self.name}: no table of preset {preset!r} is committed")
        tasks = self.tasks(preset)
        some = tasks[:: max(1, len(tasks) // count)][:count] if count else tasks
        with verify.empty_store():
            parts = list(in_parallel(self.rows, some, jobs))
        kept = results.as_text(known)
        return pd.DataFrame([self._compared(kept, part) for part in parts])

    def state(self, preset: str) -> str:
        """Return whether a preset's table is committed, and of which version, in a few words."""
        version = results.older(results.manifest(results.folder_of(preset, self.name)))
        try:
            known = self._committed(preset)
        except ConfigError as error:  # another preset's only
            return str(error)
        if known is None:
            return "missing"
        return f"committed, of version {version}" if version else "committed"

    def _committed(self, preset: str) -> pd.DataFrame | None:
        """Return the committed table if it has its version's key."""
        folder = results.folder_of(preset, self.name)
        key = self.key(preset, results.older(results.manifest(folder)))
        return results.read(folder, DATA, key)

    def _compared(self, kept: pd.DataFrame, part: pd.DataFrame) -> dict[str, Any]:
        """Return a part's row of :meth:`verify`: its rows are sought in the table's texts."""
        about = part.iloc[0][[name for name in part if not is_numeric_dtype(part[name])]]
        columns = dict.fromkeys([*kept, *part])  # other parts have had numbers that this one lacks
        made = results.as_text(part.reindex(columns=list(columns)))
        nearest = [int(kept.eq(row).sum(axis=1).argmax()) for _, row in made.iterrows()]
        said = verify.differs(kept.iloc[nearest], made.set_index(kept.index[nearest]))
        return {
            "figure": self.name,
            "variant": ", ".join(map(str, about)),
            "seed": "-",
            "rows": len(made),
            "differs": said and f"{DATA}: {said}",
        }
