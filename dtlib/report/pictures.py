"""Pictures of experiments, drawn from their data and written into files."""

from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from dtlib.experiments import results
from dtlib.report.figures import Sweep
from dtlib.report.stories import STORIES
from dtlib.report.style import use_style
from dtlib.runtime import paths
from dtlib.runtime.files import write_whole
from dtlib.runtime.messages import check_name
from dtlib.settings.presets import PRESETS

SWEEPS = {name: story.draw for name, story in STORIES.items() if isinstance(story.draw, Sweep)}
"""How experiments on one quantity are drawn."""

KINDS: dict[str, dict[str, None]] = {
    "png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None},
}  # fmt: skip
"""Formats that pictures are written in, each with what it must not say: the same data give the same
bytes."""


def save(name: str, data: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw an experiment into ``folder`` as PNG, SVG and PDF; return the files.

    Raises:
        FileError: they cannot be written.
    """
    use_style()
    figure = STORIES[name].draw(data)
    files = {kind: folder / f"{name}.{kind}" for kind in KINDS}
    for kind, file in files.items():
        write_whole(file, partial(figure.savefig, format=kind, metadata=KINDS[kind]))
    plt.close(figure)
    return list(files.values())


def redraw(preset: str) -> list[Path]:
    """Draw every figure whose data are committed; return the files.

    Args:
        preset: only of this one; of all if empty.

    Raises:
        ConfigError: there is no such preset.
        FileError: a table is not what its manifest says, or a picture cannot be written.
    """
    if preset:
        check_name("preset", preset, PRESETS)
    files = []
    for of in [preset] if preset else PRESETS:
        for name in STORIES:
            data = results.table(of, name)
            if data is not None:
                files += save(name, data, paths.pictures() / of)
    return files
