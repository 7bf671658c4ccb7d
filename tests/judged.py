"""What is said of a cause that was sought, as tests ask it of the committed tables."""

from dataclasses import replace

from dtlib.verdicts import causes, checks, interventions
from dtlib.verdicts.judgement import Finding, judge

TRAINING, HELD_OUT = checks.TRAINING, checks.HELD_OUT


def because(check, way, preset="companion", verdict="not reproduced"):
    source = checks.source("fig04_06", preset, way)
    evidence = check(source)
    finding = Finding(verdict, evidence, part=evidence.parts[0])
    return said(interventions.of_comparison(source, finding))


def said(change):
    return change.said if change else ""


def tried(check, way, preset="companion"):
    source = checks.source("fig04_06", preset, way)
    return causes.remark(source, judge([check(source)])[0], why=interventions.of_comparison)


def decided(why, check, way=HELD_OUT, figure="fig04_06", **changed):
    """Say why, of the part that decides; with what the committed table has changed."""
    source = checks.source(figure, "companion", way)
    (finding,) = judge([check(source)])
    return said(why(source, replace(finding, **changed)))
