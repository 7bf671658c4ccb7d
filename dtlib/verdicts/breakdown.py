"""A sentence on energy taken apart: how many requests are served, and what each of them needs.

The energy of all requests is that of a served one times the number served, so that it need not
move as a sentence says where its requests are not served.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dtlib.experiments.results import ENERGY, FAILED, PER_SERVED
from dtlib.verdicts.checks import Change, Check, Source, Why
from dtlib.verdicts.judgement import Finding, number_text
from dtlib.verdicts.statistics import estimate


@dataclass(frozen=True)
class PerServed(Source):
    """The same tables, with a served request's energy, or what is in proportion, as the energy.

    Where nothing is served there is none.
    """

    @property
    def data(self) -> pd.DataFrame:
        """The experiment's first table."""
        each = {ENERGY: lambda rows: rows[PER_SERVED].where(rows[FAILED] < 1)}
        return super().data.assign(**each)

    def final(self, metric: str) -> pd.DataFrame:
        """Return what trained learners have, a row per seed and a column per algorithm."""
        whole = Source(self.preset, self.tables, self.way)
        found, failed = whole.final(metric), whole.final(FAILED)
        return found / (1 - failed).where(failed < 1) if metric == ENERGY else found


def per_served(check: Check) -> Why:
    """Return a cause: what a sentence says of the energy holds of each served request.

    The rule: the 95 % t interval of the part that decides is on the sentence's side, where it was
    not shown to be with the energy of all.
    """

    def why(found: Source, finding: Finding) -> Change | None:
        if finding.verdict == "reproduced in part":
            return None
        evidence = check(PerServed(found.preset, found.tables, found.way))
        part = next((part for part in evidence.parts if part.name == finding.part.name), None)
        if part is None or not np.isfinite(part.values).all():
            return None
        return Change(
            "unequal shares of requests are served",
            f"per served one, the {evidence.quantity.strip(',')} is {number_text(evidence, part)}",
            all(evidence.sign * (bound - evidence.level) > 0 for bound in estimate(part.values)),
        )

    return why
