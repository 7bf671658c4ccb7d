"""Pictures of experiments, drawn from their data and written into files."""

from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from dtlib.experiments import results
from dtlib.report.figures import Sweep
from dtlib.report.stories import STORIES, Draw
from dtlib.report.style import use_style
from dtlib.runtime import paths
from dtlib.runtime.files import write_whole
from dtlib.runtime.messages import check_name
from dtlib.settings.presets import PRESETS

PICTURES: dict[str, Draw] = {name: story.draw for name, story in STORIES.items()}
"""How each experiment of the paper is drawn: as on its page."""
SWEEPS = {name: draw for name, draw in PICTURES.items() if isinstance(draw, Sweep)}
"""Those of one quantity."""

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
    figure = PICTURES[name](data)
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
        for name in PICTURES:
            data = results.table(of, name)
            if data is not None:
                files += save(name, data, paths.pictures() / of)
    return files
