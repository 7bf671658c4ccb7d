"""Causes that were shown: one thing was changed and nothing else, with what came of it.

Each has a rule that committed rows must pass. Else, or where a preset has none, it is not said.
"""

from collections.abc import Callable

import pandas as pd

from dtlib.experiments import corrected, mechanisms, results
from dtlib.experiments.committed import EVALUATION
from dtlib.experiments.experiment import OWN
from dtlib.experiments.mechanisms import EXPERIMENT
from dtlib.experiments.results import DATA, ENERGY
from dtlib.report.checks import HELD_OUT, RELEVANT_POINTS, Source, as_saving
from dtlib.report.judgement import Finding
from dtlib.report.quantities import gap
from dtlib.report.statistics import estimate
from dtlib.report.worth import BETA, BOUNDED_VARIANT, GAUSSIAN

Cause = Callable[[Source, Finding], str]
"""Says what was changed, and what came of it; empty if its rule is not met."""


def because(found: Source, finding: Finding) -> str:
    """Return the cause of what decides on a sentence; empty where none was shown.

    Nothing was changed at a single point of a sweep.
    """
    assert finding.part is not None and finding.evidence is not None
    own, other = finding.part.learners[0], finding.part.learners[-1]
    cause = CAUSES.get((other, finding.evidence.metric)) if own == OWN else None
    return cause(found, finding) if cause and "=" not in finding.part.name else ""


def _mechanisms(preset: str) -> pd.DataFrame | None:
    """Return what was measured at the end of training, means by variant in %; None if nothing."""
    table = results.table(preset, mechanisms.NAME)
    if table is None:
        return None
    return 100 * table[table["moment"] == "end"].groupby("variant").mean(numeric_only=True)


def _factor(found: Source, finding: Finding) -> str:
    """M alone sets Beta-MAPPO apart; the rule is that it moves an update less than data do."""
    ends = _mechanisms(found.preset)
    if ends is None or not ends.loc[BETA, "effect_of_m"] < ends.loc[BETA, "effect_of_data"]:
        return ""
    moved, data = ends.loc[BETA, ["effect_of_m", "effect_of_data"]]
    return (
        f"M alone sets the two apart, and with M taken as 1 an update differs by {moved:.0f} % of "
        f"its length, on another episode by {data:.0f} %"
    )


def _mean_actions(found: Source, finding: Finding) -> str:
    """The rule: with draws more of Gaussian-HAPPO's requests fail, and with means no more do."""
    ends = _mechanisms(found.preset)
    if ends is None or found.way != HELD_OUT:
        return ""
    draws, means = (ends[f"failed_of_{kind}"] for kind in ("draws", "means"))
    more = [float(kind[GAUSSIAN] - kind[BETA]) for kind in (draws, means)]
    if not more[1] < RELEVANT_POINTS < more[0]:
        return ""
    return (
        f"mean actions are judged: in the same worlds Gaussian-HAPPO fails {draws[GAUSSIAN]:.0f} % "
        f"of requests with draws and {means[GAUSSIAN]:.0f} % with means, Beta-HAPPO "
        f"{draws[BETA]:.0f} and {means[BETA]:.0f} %"
    )


def _bounded(found: Source, finding: Finding) -> str:
    """The rule: a bounded Gaussian needs less, and what is saved of it is the paper's number."""
    assert finding.evidence is not None and finding.evidence.reported is not None
    tables = {name: results.table(found.preset, EXPERIMENT, name) for name in (DATA, EVALUATION)}
    known = {name: rows.assign(algorithm=rows["variant"])
             for name, rows in tables.items() if rows is not None}  # fmt: skip
    if len(known) < len(tables):
        return ""
    energy = Source(found.preset, known, found.way).final(ENERGY)
    pairs = (BOUNDED_VARIANT, GAUSSIAN), (BETA, BOUNDED_VARIANT), (BETA, GAUSSIAN)
    less, saved, original = (estimate(gap(energy[own], energy[other])) for own, other in pairs)
    holds = [low <= finding.evidence.reported <= high for _, low, high in (saved, original)]
    if less[1] <= 0 or holds != [True, False]:
        return ""
    first, second = (
        "{:.3g} % [{:.3g}, {:.3g}]".format(*map(as_saving, of)) for of in (less, saved)
    )
    return (
        f"the original Gaussian needs more: with a bounded one in its place, which needs {first} "
        f"less, Beta-HAPPO saves {second} ({len(energy)} seeds)"
    )


def _idle_cpu(found: Source, finding: Finding) -> str:
    """The rule: with whole slices of the CPU, Beta-HAPPO's r_c is above the other's."""
    table = results.table(found.preset, corrected.NAME)
    if table is None or found.way != HELD_OUT:
        return ""
    done = table.query("num_users == 30").groupby("done")["reward_centre"].mean()
    own, whole = done["as trained"], done["whole slices"]
    other = found.final("reward_centre")[GAUSSIAN_HAPPO].mean()
    if not own < other < whole:
        return ""
    return (
        "a part of each slice of the CPU stays unused: Beta-HAPPO's r_c is "
        f"{own:.3f}, and {whole:.3f} with whole slices; Gaussian-HAPPO's is {other:.3f}"
    )


BETA_MAPPO, GAUSSIAN_HAPPO = "beta-mappo", "gaussian-happo"
CAUSES: dict[tuple[str, str], Cause] = {
    (BETA_MAPPO, "reward_global"): _factor,
    (BETA_MAPPO, "reward_centre"): _factor,
    (BETA_MAPPO, ENERGY): _factor,
    (GAUSSIAN_HAPPO, "reward_global"): _mean_actions,
    (GAUSSIAN_HAPPO, "reward_centre"): _idle_cpu,
    (GAUSSIAN_HAPPO, ENERGY): _bounded,
}
"""By the learner that Beta-HAPPO is compared with, and what is measured."""
