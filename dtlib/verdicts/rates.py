"""How often verdicts err, and how often they find what is true: simulated, with what we have.

A family of sentences is simulated with its own parts, seeds and spreads, through the very tests
that judge it. Seeds are normal, and parts independent of each other. (A difference between runs
that are alike is symmetric, however runs are distributed; tests try heavy tails, failed runs and
common worlds as well.)

- *Spreads* are those of the committed data: of the part itself where it has three seeds, else of
  the same part in the other preset, in ``quick`` or in ``outage``, else of the learners at K = 30.
- *True effects* have the paper's size. Where it gives no number, a trend of physics has the size
  that power on demand, which learns nothing, has in the same network, and all else that of
  :data:`dtlib.verdicts.checks.SIZE` and :data:`dtlib.verdicts.checks.SIZE_POINTS`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from dtlib.experiments import committed
from dtlib.experiments.experiment import BASELINES, OWN, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.verdicts.checks import Source, source
from dtlib.verdicts.claims import JUDGED_PRESETS, Claim, evidence_of, families
from dtlib.verdicts.judgement import ERROR, Evidence, for_family, starts_of
from dtlib.verdicts.statistics import FEWEST, sign_test, t_test

POWER = 0.8
"""How often a true effect of the paper's size is to be found."""
MORE_SEEDS = (6, 7, 8, 10, 12, 15, 20, 25, 30, 40)
"""Numbers that are tried where those planned do not do."""
SIMULATIONS = 2000
RIGHT = 0.99
"""In how many seeds an effect is there that is only counted: the paper calls it significant."""
Spreads = Mapping[str, Mapping[str, float]]
Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[Any]]


@dataclass(frozen=True)
class Design:
    """A family of C sentences with P parts in a row, in units of each part's spread."""

    starts: Sequence[int]
    """[C], where each sentence's parts begin."""
    effect: NDArray[Any]
    """[P], on the sentence's side."""
    margin: NDArray[Any]
    """[P]."""
    _: KW_ONLY
    exact: NDArray[Any]
    """[P], whether seeds are only counted."""

    def p(self, drawn: NDArray[Any]) -> NDArray[Any]:
        """Return two p, [2, S, C]: that a sentence is contradicted, and that it is reproduced.

        Args:
            drawn: [S, P, n], of S simulated families.
        """
        p = np.stack([t_test(-drawn, self.margin), t_test(drawn)])
        if self.exact.any():
            some = drawn[:, self.exact]
            p[:, :, self.exact] = np.stack([sign_test(-some), sign_test(some)])
        return np.stack(for_family(p[0], p[1], self.starts))

    def nulls(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield truths, [P], and which sentences, [C], have no effect in them.

        No part has an effect; or but one of each sentence has none, which is the hardest for what
        is to hold everywhere; the same where every other sentence is true; or all parts go the
        other way by just what is not yet relevant.
        """
        count = len(self.starts)
        sentence = np.searchsorted(self.starts, np.arange(len(self.effect)), side="right") - 1
        but_one = np.full_like(self.effect, 1e3)
        but_one[list(self.starts)] = 0.0
        every = np.ones(count, dtype=bool)
        yield 0 * self.effect, every
        yield but_one, every
        yield np.where(sentence % 2, but_one, 1e3), np.arange(count) % 2 == 1
        yield -self.margin, every

    def error(self, seeds: int, draw: Draw = np.random.Generator.standard_normal) -> float:
        """Return how often a family gets any verdict but "not reproduced" on a true null.

        Args:
            seeds: n.
            draw: what seeds add to the truth, [S, P, n], with variance 1.
        """
        rng, worst = np.random.default_rng(0), 0.0
        for truth, null in self.nulls():
            drawn = draw(rng, (SIMULATIONS, len(truth), seeds)) + truth[:, None]
            wrong = self.p(drawn)[:, :, null] <= ERROR / 2
            worst = max(worst, float(wrong.any(axis=(0, 2)).mean()))
        return worst

    def power(self, seeds: int) -> NDArray[Any]:
        """Return how often each sentence is found, [C], if all are as true as the paper says."""
        drawn = np.random.default_rng(1).standard_normal((SIMULATIONS, len(self.effect), seeds))
        return np.asarray((self.p(drawn + self.effect[:, None])[1] <= ERROR / 2).mean(axis=0))


def learners_spreads() -> Spreads:
    """Return each learner's SD over seeds at K = 30 in held-out worlds: energy in %, or points."""
    if (found := source("fig04_06", "companion")) is None:
        return {}
    energy, failed = found.final(ENERGY), found.final(FAILED)
    return {ENERGY: dict(100 * energy.std() / energy.mean()), FAILED: dict(100 * failed.std())}


def spread_of(name: str, known: Sequence[Evidence], learners: Spreads) -> float:
    """Return a part's SD over seeds, in its unit; nan where no data tell.

    Args:
        name: of the part.
        known: evidence on its sentence, the nearest first.
        learners: what is taken if none of it has seeds enough.
    """
    same = [part for evidence in known for part in evidence.parts if part.name == name]
    for part in same:
        if len(part.values) >= FEWEST:
            return max(float(np.std(part.values, ddof=1)), 1e-6)
    of = learners.get(known[0].metric, {})
    return float(np.sqrt(sum(of.get(learner, np.nan) ** 2 for learner in same[0].learners)))


def design(
    family: Sequence[Evidence], elsewhere: Sequence[Sequence[Evidence]], learners: Spreads
) -> Design:
    """Return a family to simulate.

    Args:
        family: the evidence on its sentences.
        elsewhere: evidence on the same sentences in other presets.
        learners: see :func:`learners_spreads`.
    """
    rows = [
        (1.0, float(stats.norm.ppf(RIGHT)), 0.0, True)
        if known[0].exact
        else (spread_of(part.name, known, learners), part.effect, known[0].margin, False)
        for known in zip(family, *elsewhere, strict=True)
        for part in known[0].parts
    ]
    spread, effect, margin, exact = (np.array(column) for column in zip(*rows, strict=True))
    return Design(starts_of(family), effect / spread, margin / spread, exact=exact)


def as_planned(family: list[Claim], preset: str) -> list[Evidence] | None:
    """Return the parts of sentences on a sweep of which nothing is measured; None of a training."""
    experiment = find(family[0].figure)
    if not experiment.axes:
        return None
    grid = pd.DataFrame([_row(run) for run in experiment.runs(preset, 1) if not run.baseline])
    return [
        replace(evidence, parts=tuple(replace(part, values=()) for part in evidence.parts))
        for evidence in evidence_of(family, Source(preset, {DATA: grid}))
    ]


def _row(run: PlannedRun) -> dict[str, Any]:
    at = {"x": next(iter(run.at.values())), **run.at}
    return at | {"algorithm": run.algorithm, "seed": run.config.seed, ENERGY: 1.0, FAILED: 0.5}


def with_physics(family: list[Claim], evidence: list[Evidence]) -> list[Evidence]:
    """Return evidence whose trends of physics have the size that power on demand shows."""
    experiment = find(family[0].figure)
    table = committed.rows_of(experiment, committed.runs_of(experiment, "quick"), "quick")
    if table is None:
        return evidence
    rule = table[table["algorithm"] == BASELINES[0]].assign(algorithm=OWN)
    found = []
    for claim, of in zip(family, evidence, strict=True):
        if claim.physical and claim.check:
            shown = claim.check(Source("quick", {DATA: rule})).parts
            size = of.sign * float(np.mean([part.values[0] for part in shown]))
            parts = tuple(replace(part, effect=size) for part in of.parts)
            of = replace(of, parts=parts, basis="as power on demand's in `quick`")
        found.append(of)
    return found


def assumed(of: Evidence) -> str:
    """Say which effect is taken as true where powers are simulated: its size, and its source."""
    if of.exact:
        return f"in {in_percent(RIGHT)} % of seeds, {of.basis}"
    sizes = sorted({round(of.show(of.level + of.sign * part.effect), 2) for part in of.parts})
    ends = " to ".join(f"{size:.4g}" for size in dict.fromkeys([sizes[0], sizes[-1]]))
    return f"{ends} {of.unit}, {of.basis}"


def rates() -> pd.DataFrame:
    """Return error rates and powers of all sentences: now, and with the seeds that are planned."""
    tables = []
    learners = learners_spreads()
    for experiment, way, family in families():
        if family[0].uncounted:
            continue
        known = _known(experiment, way, family)
        for preset in JUDGED_PRESETS:
            own = known.get(preset) or as_planned(family, preset)
            if own is None:
                continue
            own = with_physics(family, own)
            elsewhere = [of for name, of in known.items() if name != preset]
            planned = _planned(
                design(own, elsewhere, learners), find(experiment).seeds_of(preset)[OWN]
            )
            table = _now(own, elsewhere, learners) | planned
            what = {"figure": [claim.shown for claim in family],
                    "the paper says": [claim.sentence for claim in family],
                    "measured on": way, "preset": preset,
                    "true effect": [assumed(of) for of in own]}  # fmt: skip
            tables.append(pd.DataFrame(what | table))
    return pd.concat(tables, ignore_index=True)


def _known(experiment: str, way: str, family: list[Claim]) -> dict[str, list[Evidence]]:
    """Return the evidence that is committed on a family, by where it is, the nearest first."""
    found = {preset: source(experiment, preset, way) for preset in (*JUDGED_PRESETS, "quick")}
    if experiment == "fig07_08":
        found["outage"] = source("outage", "companion", way)
    return {name: evidence_of(family, of) for name, of in found.items() if of is not None}


def _now(own: list[Evidence], elsewhere: list[list[Evidence]], learners: Spreads) -> dict[str, Any]:
    """Return seeds, the family's error rate and each power, %; empty where nothing is testable."""
    tested = [index for index, of in enumerate(own) if of.seeds >= of.needed]
    error, power = "", [""] * len(own)
    if tested:
        some = design(
            [own[i] for i in tested], [[of[i] for i in tested] for of in elsewhere], learners
        )
        seeds = min(own[index].seeds for index in tested)
        error = in_percent(some.error(seeds))
        for index, found in zip(tested, some.power(seeds), strict=True):
            power[index] = in_percent(found)
    return {"seeds": [of.seeds for of in own], "errs, %": error, "finds, %": power}


def _planned(family: Design, plan: int) -> dict[str, Any]:
    """Return the same with the seeds that are planned, and how many each sentence needs."""
    columns = ("seeds planned", "errs then, %", "finds then, %", "seeds for 80 %")
    if np.isnan(family.effect).any():
        return dict.fromkeys(columns, "")
    power = {plan: family.power(plan)}
    for seeds in MORE_SEEDS:
        if seeds > plan and (power[max(power)] < POWER).any():
            power[seeds] = family.power(seeds)
    needs = [
        next((f"{n}" for n, of in power.items() if of[i] >= POWER), f"more than {max(power)}")
        for i in range(len(family.starts))
    ]
    found = [in_percent(of) for of in power[plan]]
    return dict(zip(columns, (plan, in_percent(family.error(plan)), found, needs), strict=True))


def in_percent(ratio: float) -> str:
    """Return a simulated rate in %."""
    return f"{100 * ratio:.1f}"
