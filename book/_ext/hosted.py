"""A small Sphinx extension: links to the place that hosts the book, where one is named.

`make book BOOK_REPOSITORY=https://github.com/OWNER/NAME` adds to each page "Suggest edit", to each
notebook a launch on Binder and, as Colab reads from GitHub only, there on Colab, and to the pages
what stands in ``{only} hosted``. Without the address there is none of it.
"""

from __future__ import annotations

import os
import re

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

ADDRESS = re.compile(r"https://(?:github|gitlab)\.com/[\w.-]+/[\w.-]+")
COLAB_CELL = """```
!git clone --depth 1 {address} dtlib-companion
%cd dtlib-companion
%pip install --quiet --editable .
```"""


def address() -> str:
    """Return the repository's address, or nothing.

    Raises:
        ConfigError: it is not an address that the links can be made of.
    """
    given = os.environ.get("BOOK_REPOSITORY", "").strip().removesuffix("/").removesuffix(".git")
    if given and not ADDRESS.fullmatch(given):
        raise ConfigError(
            f"BOOK_REPOSITORY: {given!r} is not https://github.com/OWNER/NAME, nor on gitlab.com"
        )
    return given


def link_to_the_host(app: Sphinx, config: Config) -> None:
    """Tell the theme of the repository."""
    config.myst_substitutions["colab_cell"] = COLAB_CELL.format(address=address())
    if not address():
        return
    launch = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}
    if "github" in address():
        launch["colab_url"] = "https://colab.research.google.com"
    config.html_theme_options.update(
        repository_url=address(),
        repository_branch="main",
        use_edit_page_button=True,
        launch_buttons=launch,
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    if address():
        app.tags.add("hosted")
    app.connect("config-inited", link_to_the_host)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
