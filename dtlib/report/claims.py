"""Every checkable sentence of Section V: what the paper says, what was measured, and a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.checks import (
    Check,
    ends_above,
    energy_falls,
    falls,
    highest,
    learns,
    lowest,
    none_fail_up_to_25,
    outage_at_58,
    rises,
    saves,
    sooner,
    source,
    steadier,
    untestable,
)
from dtlib.report.judgement import Finding
from dtlib.runtime import paths
from dtlib.runtime.files import write_text

SAVINGS = {"beta-mappo": 20.28, "gaussian-happo": 29.52, "maddpg": 41.08}
"""Energy that Beta-HAPPO saves according to Section V-B, in % of each benchmark's."""


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper."""

    figure: str
    sentence: str
    check: Check
    reported: str = ""
    """The paper's number, if it gives one."""


CLAIMS = (
    Claim("fig04", "The reward of MUs and BSs rises during training.", learns("reward_global")),
    Claim("fig05", "The centre's reward rises during training.", learns("reward_centre")),
    Claim("fig04", "Beta-HAPPO has the highest reward of all.", highest),
    Claim("fig04", "Beta-HAPPO converges more stably than all others.", steadier),
    Claim("fig04", "Beta-HAPPO ends above Beta-MAPPO.", ends_above("beta-mappo")),
    Claim("fig04", "HAPPO-based schemes converge faster than MADDPG.", sooner),
    Claim("fig04", "Beta-HAPPO ends above Gaussian-HAPPO.", ends_above("gaussian-happo")),
    Claim("fig04", "Beta-HAPPO ends above MADDPG.", ends_above("maddpg")),
    Claim("fig06", "Energy falls during training.", energy_falls),
    Claim("fig06", "Beta-HAPPO needs less energy than Beta-MAPPO.",
          saves("beta-mappo", SAVINGS["beta-mappo"]),
          reported=f"{SAVINGS['beta-mappo']} %"),
    Claim("fig06", "Beta-HAPPO needs less energy than Gaussian-HAPPO.",
          saves("gaussian-happo", SAVINGS["gaussian-happo"]),
          reported=f"{SAVINGS['gaussian-happo']} %"),
    Claim("fig06", "Beta-HAPPO needs less energy than MADDPG.",
          saves("maddpg", SAVINGS["maddpg"]),
          reported=f"{SAVINGS['maddpg']} %"),
    Claim("fig06", "Training takes 87 minutes on a laptop.", untestable, reported="87 min"),
    Claim("fig07", "Energy rises with the number of users.", rises(ENERGY)),
    Claim("fig07", "Beta-HAPPO needs the least energy at every K.", lowest(ENERGY)),
    Claim("fig08", "No request fails up to K = 25.", none_fail_up_to_25, reported="0 %"),
    Claim("fig08", "Beyond K = 30 failures rise with K.", rises(FAILED, some="x >= 30")),
    Claim("fig08", "Beta-HAPPO fails least at every K.", lowest(FAILED)),
    Claim("fig09", "Energy falls with the number of base stations.", falls(ENERGY)),
    Claim("fig09", "Beta-HAPPO needs the least energy at every M.", lowest(ENERGY)),
    Claim("fig10", "Energy rises with the request probability.", rises(ENERGY)),
    Claim("fig11", "Energy rises with the data size (20–30 Kb).", rises(ENERGY, some="x < 1e5")),
    Claim("fig11", "Energy rises with the data size (0.2–0.3 Mb, as printed).",
          rises(ENERGY, some="x >= 1e5")),
    Claim("fig11", "Energy falls with the bandwidth.", falls(ENERGY, "bandwidth_hz")),
    Claim("fig12", "Energy rises with the control factor.", rises(ENERGY)),
    Claim("fig12", "Failures fall with the control factor.", falls(FAILED)),
    Claim("fig13", "Energy rises from K = 50 to 60.", rises(ENERGY)),
    Claim("fig14", "At K = 58 every request fails.", outage_at_58, reported="100 %"),
)  # fmt: skip
"""In the order of Section V-B."""


def verdicts() -> pd.DataFrame:
    """Return one row per claim: figure, sentence, the paper's number, ours, verdict, preset."""
    rows = []
    for claim in CLAIMS:
        known = source(claim.figure)
        found = Finding("not testable", "no data yet") if known is None else claim.check(known)
        rows.append(
            {
                "figure": claim.figure.replace("fig", "Fig. ").replace(" 0", " "),
                "the paper says": claim.sentence,
                "its number": claim.reported,
                "measured": found.measured,
                "verdict": found.verdict,
                "preset": "" if known is None else known.preset,
            }
        )
    return pd.DataFrame(rows)


def verdicts_file() -> Path:
    """Return where the table of verdicts is kept."""
    return paths.results() / "claims.csv"


def as_text(found: pd.DataFrame) -> str:
    """Return a table of verdicts as it is kept."""
    return found.to_csv(index=False, lineterminator="\n")


def kept_text() -> str:
    """Return the table that is kept; empty if there is none."""
    file = verdicts_file()
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def write_verdicts() -> Path:
    """Judge all claims from the committed results and keep the table."""
    if (text := as_text(verdicts())) != kept_text():
        write_text(verdicts_file(), text)
    return verdicts_file()
