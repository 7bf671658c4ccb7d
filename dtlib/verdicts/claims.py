"""Every finding of Section V-B that can be checked, once each, and who is judged with whom.

The reasons that the paper gives for its findings are not among them.
"""

from dataclasses import KW_ONLY, dataclass
from functools import partial

from dtlib.experiments.experiment import OTHERS
from dtlib.experiments.grids import find
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.verdicts import causes, checks, interventions, put_right
from dtlib.verdicts.breakdown import per_served
from dtlib.verdicts.judgement import Evidence, Finding, judge
from dtlib.verdicts.names import label

JUDGED_PRESETS = ("companion", "paper")
"""The two columns: settings with which learners learn, and Table I as printed."""
BOTH = (checks.TRAINING, checks.HELD_OUT)
"""Sentences on trained learners: the paper's way comes first, and it is the one that counts."""
RISE, STRAIGHT = 100 / (58 - 25), "the paper's none at 25 and all at 58"
"""Points by which failures rise with each user in between, and where they are from."""
OF_BETA_HAPPO = "it names no scheme: judged of Beta-HAPPO"


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper."""

    figure: str
    sentence: str
    check: checks.Check | None
    """None where no program can tell."""
    _: KW_ONLY
    ways: tuple[str, ...] = (checks.HELD_OUT,)
    """Ways of measuring. The first one counts."""
    reported: str = ""
    """The paper's number, if it gives one."""
    reading: str = ""
    """How it departs from what the paper says; empty if it only shortens it."""
    why: checks.Why | None = None
    """Says what was changed to find the cause where it does not hold."""
    known: checks.Remark | None = None
    """Says what stands beside it there."""
    uncounted: str = ""
    """Why it is not counted; empty if it is."""
    physical: bool = False
    """Whether it is one on physics, which a rule that learns nothing shows as well."""

    @property
    def shown(self) -> str:
        """The figure as a reader knows it, such as ``Fig. 7``."""
        return self.figure.replace("fig", "Fig. ").replace(" 0", " ")

    @property
    def experiment(self) -> str:
        """Of whose data it speaks."""
        return find(self.figure).name


def _physical(
    figure: str, sentence: str, sign: int = 1, *, axis: str = "x", other: str = "", some: str = "",
    why: checks.Why | None = None, reading: str = "",
) -> Claim:  # fmt: skip
    """Return a sentence on the trend of the energy, which a rule that learns nothing shows as well.

    Args:
        sign: as of :func:`.checks.trend`, like axis, other and some.
        why: what was changed to find the cause; by default, the energy is taken apart.
        reading: how it departs from what the paper says.
    """
    check = checks.trend(ENERGY, sign, axis=axis, other=other, some=some)
    known = partial(causes.served_at_ends, axis=axis, other=other, some=some)
    why = why or per_served(check)
    return Claim(figure, sentence, check, reading=reading, why=why, known=known, physical=True)


CLAIMS = (
    Claim("fig04", "The reward of MUs and BSs rises during training, for all schemes.",
          checks.learns("reward_global"), ways=(checks.TRAINING,)),
    Claim("fig05", "The centre's reward rises during training, for all schemes.",
          checks.learns("reward_centre"), ways=(checks.TRAINING,)),
    *(Claim("fig04", f"Beta-HAPPO has a higher reward than {label(other)}.",
            checks.leads("reward_global", other), ways=BOTH, why=interventions.of_comparison,
            known=causes.unequal_failures)
      for other in checks.SAVINGS),
    Claim("fig05", "Beta-HAPPO has the highest reward of the centre, too.",
          checks.leads("reward_centre", *OTHERS), ways=BOTH, why=interventions.of_comparison,
          known=causes.unequal_failures),
    *(Claim(figure, f"Beta-HAPPO converges more stably than all others{where}.",
            checks.steadier(metric), ways=(checks.TRAINING,),
            why=interventions.unshared(checks.steadier(metric)), known=causes.unequal_unrest)
      for figure, metric, where in (("fig04", "reward_global", ""),
                                    ("fig05", "reward_centre", ", in the centre's reward, too"))),
    Claim("fig04", "HAPPO-based schemes converge faster than MADDPG.", checks.faster,
          ways=(checks.TRAINING,), why=interventions.bounded_is_sooner,
          known=causes.rises_compared),
    Claim("fig06", "Energy falls during training, for all schemes.", checks.energy_falls,
          ways=(checks.TRAINING,), why=interventions.trained_longer, known=causes.still_failing),
    *(Claim("fig06", f"Beta-HAPPO needs less energy than {label(other)}.", checks.saves(other),
            ways=BOTH, reported=f"{saved} %", why=interventions.of_comparison,
            known=causes.unequal_failures)
      for other, saved in checks.SAVINGS.items()),
    Claim("fig06", "Training takes 87 minutes.", None, ways=(checks.BENCHMARKS,), reported="87 min",
          uncounted="another machine; measured is a ratio of work"),
    _physical("fig07", "Energy rises with the number of users."),
    Claim("fig07", "Beta-HAPPO needs the least energy at every K.", checks.lowest(ENERGY, "K"),
          why=put_right.sent_in_vain, known=causes.unequal_failures),
    Claim("fig08", "No request fails up to K = 25.", checks.failing(0, "x <= 25"), reported="0 %",
          reading=OF_BETA_HAPPO, why=interventions.without_slices, known=causes.beside_rules),
    Claim("fig08", "Beyond K = 30 failures rise with K.",
          checks.trend(FAILED, some="x >= 30", effect=10 * RISE, basis=STRAIGHT)),
    Claim("fig08", "Where requests fail (K > 25), Beta-HAPPO fails least at every K.",
          checks.lowest(FAILED, "K", "x > 25"), why=put_right.unused_slices,
          reading="our restriction: up to 25 users no scheme of the paper fails"),
    _physical("fig09", "Energy falls with the number of base stations.", -1),
    Claim("fig09", "Beta-HAPPO needs the least energy at every M.", checks.lowest(ENERGY, "M"),
          known=causes.unequal_failures),
    _physical("fig10", "Energy rises with the request probability."),
    _physical("fig11", "Energy rises with the data size (20–30 Kb).",
              axis="data_bits_max", other="bandwidth_hz", some="x < 1e5",
              reading="our reading: it has 0.2 to 0.3 Mb here, and Kb in Section V-A"),
    Claim("fig11", "Energy rises with the data size (0.2–0.3 Mb, as printed).",
          checks.trend(ENERGY, axis="data_bits_max", other="bandwidth_hz", some="x >= 1e5"),
          uncounted="a misprint: Section V-A has 15 to 25 Kb"),
    _physical("fig11", "Energy falls with the bandwidth.", -1,
              axis="bandwidth_hz", other="data_bits_max", some="x < 1e5"),
    Claim("fig12", "Energy rises with the control factor.", checks.trend(ENERGY),
          why=interventions.powers_of_ten, known=causes.near_the_rule),
    Claim("fig12", "Failures fall with the control factor.", checks.trend(FAILED, -1),
          why=interventions.powers_of_ten, known=causes.near_the_rule),
    _physical("fig13", "Energy rises from K = 50 to 60.", why=interventions.learning_saves),
    Claim("fig14", "At K = 58 every request fails.", checks.failing(100, "x == 58"),
          reported="100 %", reading=OF_BETA_HAPPO, known=causes.beside_rules),
    Claim("fig14", "With fewer than 58 users, some are in time.",
          checks.failing(100, "x < 58", short=True, effect=2 * RISE - checks.RELEVANT_POINTS,
                         basis=STRAIGHT),
          why=interventions.another_action, known=causes.beside_rules,
          reading=f"implied, not said: it has all fail when K reaches 58; {OF_BETA_HAPPO}"),
)  # fmt: skip
"""In the order of Section V-B. "The highest reward" of Fig. 4 is judged other by other."""


@dataclass(frozen=True)
class Judged:
    """A sentence in one preset, measured in one way, with the finding on it."""

    claim: Claim
    way: str
    finding: Finding
    _: KW_ONLY
    found: checks.Source | None = None


def families() -> list[tuple[str, str, list[Claim]]]:
    """Return the families of sentences: experiment, way of measuring, and whom it is of.

    What is not counted corrects nothing that is, and is a family of its own.
    """
    found: dict[tuple[str, str, bool], list[Claim]] = {}
    for claim in CLAIMS:
        for way in claim.ways if claim.check else ():
            found.setdefault((claim.experiment, way, not claim.uncounted), []).append(claim)
    return [(experiment, way, family) for (experiment, way, _), family in found.items()]


def evidence_of(family: list[Claim], found: checks.Source) -> list[Evidence]:
    """Return what a source has to say of each sentence of a family."""
    return [claim.check(found) for claim in family if claim.check]


def judged(preset: str) -> list[Judged]:
    """Return all sentences, judged from what is committed of a preset where a check can judge."""
    time = causes.time_of_training() if preset == "paper" else ""
    not_checked = [claim for claim in CLAIMS if not claim.check]
    rows = [Judged(c, checks.BENCHMARKS, Finding("not counted", note=time)) for c in not_checked]
    for experiment, way, family in families():
        found = checks.source(experiment, preset, way)
        if found is None:
            note = checks.lacking(experiment, preset)
            findings = [Finding("not testable", note=note)] * len(family)
        else:
            findings = judge(evidence_of(family, found))
        rows += [Judged(c, way, f, found=found) for c, f in zip(family, findings, strict=True)]
    return rows
