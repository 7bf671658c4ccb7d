"""Where numbers come from: software, commit, processor, arithmetic; and that all is committed."""

import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dtlib.runtime import paths
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.fingerprint import arithmetic
from dtlib.settings.base import RESULTS_VERSION

PACKAGES = ("dtlib", "torch", "numpy", "scipy", "pydantic", "safetensors")
FACTS = ("commit", "torch", "processor", "arithmetic", "device")
"""What is noted of where a single run was trained."""
CHANGED = "-dirty"
"""Behind a commit from which the library differs."""


def origin(device: str | None = None) -> dict[str, Any]:
    """Return what a single run's entry says of where it was trained."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    processor = found[1] if found else platform.machine()
    facts = (_commit(), version("torch"), processor, arithmetic(), device)
    return dict(zip(FACTS, facts, strict=True))


def software() -> dict[str, Any]:
    """Return what a manifest says of the software; no host names, no paths."""
    return {
        "results_version": RESULTS_VERSION,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "arithmetic": arithmetic(),
    }


def check_clean(preset: str, dirty: bool) -> None:
    """Raise :class:`ConfigError` if results would be of code that no commit has.

    Those of ``smoke`` may be, as they are never committed; others if it is asked for.
    """
    if preset != "smoke" and not dirty and (_commit() or "").endswith(CHANGED):
        raise ConfigError(
            "dtlib/ has changes that no commit has, and results must tell what made them: "
            "commit first (`git status`), or add --dirty"
        )


def _commit() -> str | None:
    """Return the checkout's commit, marked if the library differs from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + CHANGED * bool(_git("status", "--porcelain", "--", "dtlib"))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(paths.root()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
