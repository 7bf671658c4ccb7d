"""Each figure's page: its picture, three lines, and the paper's sentences beside what is found.

The paper's words are quoted from Section V-B. All that is said of this companion is computed from
the rows that are shown, and from their settings.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from dtlib.experiments.baseline import ON_DEMAND
from dtlib.experiments.experiment import BASELINES, GAUSSIAN_HAPPO, OFF_POLICY, OWN
from dtlib.experiments.results import DATA, ENERGY, FAILED
from dtlib.report import scales
from dtlib.report.curves import convergence
from dtlib.report.figures import KB, Sweep, data_size
from dtlib.report.phrases import (
    UNITS,
    ahead,
    each,
    ends,
    equal_slots,
    final,
    held_out,
    lowest_at,
    named,
    path,
    rising,
    savings,
    seeds,
)
from dtlib.report.shown import Shown
from dtlib.verdicts.causes import time_of_training
from dtlib.verdicts.checks import RELEVANT, SYMBOLS, Source, trend
from dtlib.verdicts.interventions import powers_of_ten
from dtlib.verdicts.judgement import judge
from dtlib.verdicts.names import label
from dtlib.verdicts.quantities import (
    best_rule,
    by_point,
    sooner,
    tenths,
    trained_for,
    unrest,
)
from dtlib.verdicts.words import GAP, listed, number, steps, told

SLICED = ("slices", "whole")
"""Values of ``cpu_sharing`` with which each user owns a slice of every CPU."""
Say = Callable[[Shown], str]
"""Makes words of what is shown."""
Draw = Callable[[pd.DataFrame], Figure]
"""Draws tidy data."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """One page's picture and words."""

    draw: Draw
    paper: str
    """What the paper says, in one or two sentences."""
    here: Say
    because: Say
    sentences: tuple[tuple[str, str, Say], ...]
    """Figure, the paper's own words, and what is found here."""


def _both(shown: Shown) -> str:
    return f"Beta-HAPPO needs {ends(shown, ENERGY)}. Failed requests: {ends(shown, FAILED)}."


def _training(shown: Shown) -> str:
    return (
        f"$r_g$ rises in {rising(shown, 'reward_global')}, $r_c$ in "
        f"{rising(shown, 'reward_centre')}, and the energy falls in {rising(shown, ENERGY, -1)}. "
        f"$r_g$ ends at {each(final(shown, 'reward_global'))}."
    )


def _queues_decide(shown: Shown) -> str:
    reward, energy, lost = (
        tenths(shown.data, metric)["first"][OWN].median()
        for metric in ("reward_global", ENERGY, FAILED)
    )
    spread_over = shown.env.slots if shown.env.objective_scale == "letter" else 1
    spent = shown.env.reward_scale * energy / spread_over
    return (
        f"the rewards follow the failures. In the first tenth of Beta-HAPPO's training $r_g$ is "
        f"{number(reward)}, of which {number(-spent)} is energy; the rest are queues "
        f"of failed requests (19). In that tenth {number(100 * lost)}{GAP}% of its requests fail. "
        f"Failed requests in the last tenth: {each(final(shown, FAILED), *UNITS[FAILED])}."
    )


def _slices(shown: Shown) -> str:
    if shown.env.cpu_sharing not in SLICED:
        return "the CPU is not divided into slices here."
    axis, points = next(iter(shown.experiment.axes)), shown.points(FAILED).index
    shares = [100 * scales.too_big(shown.env_at(x)) for x in points]
    return (
        "each user owns a slice $f^{\\max}/K$ of a CPU (14h). Even a whole slice is too small for "
        f"{steps(shares)}{GAP}% of the requests at {told(axis, points)}, whatever is sent."
    )


def _least_request(shown: Shown) -> str:
    if shown.env.cpu_sharing not in SLICED:
        return _slices(shown)
    axis, failed = next(iter(shown.experiment.axes)), shown.points(FAILED)
    spent = [
        1e3 * scales.slice_seconds(env.data_bits[0], env.cycles_per_bit[0], env)
        for env in map(shown.env_at, failed.index[[0, -1]])
    ]
    return (
        f"even the smallest request computes for {steps(spent)}{GAP}ms on its slice at "
        f"{told(axis, failed.index[[0, -1]])}. Of {number(1e3 * shown.env.deadline_s[1])}{GAP}ms "
        "that are allowed, the radio has the rest. Where every request fails, energy is all that a "
        f"learner can still change in $r_g$.{_rules_serve_more(shown)}"
    )


def _rules_serve_more(shown: Shown) -> str:
    """Say how many requests a rule serves at the first point, if it serves more than a learner."""
    own, rule = shown.points(FAILED), shown.points(FAILED, BASELINES[1])
    first = own.index[0]
    if not rule.get(first, math.inf) < own[first]:
        return ""
    return (
        f" Training serves less than the network allows: at {told('num_users', [first])} "
        f"*demand or silence*, which learns nothing, fails in {number(100 * rule[first])}{GAP}% of "
        f"the requests, Beta-HAPPO in {number(100 * own[first])}."
    )


def _nearer(shown: Shown) -> str:
    metres = [scales.nearest_metres(shown.env_at(x)) for x in shown.points(ENERGY).index]
    return f"the nearest base station is nearer: {steps(metres)} m away on average."


def _per_request(shown: Shown) -> str:
    found = shown.points(ENERGY)
    rate = found.index[-1] / found.index[0]
    each = found.iloc[-1] / found.iloc[0] / rate
    why = ", as more users send at once and interfere" if each > 1 else ""
    return (
        f"there are {number(rate)} times as many requests, and each needs {number(each)} times the "
        f"energy{why}."
    )


def _sizes(shown: Shown) -> str:
    if shown.env.cpu_sharing not in SLICED:
        return ""
    spent = [
        1e3 * scales.slice_seconds(x, env.cycles_per_bit[1], env)
        for x in shown.points(ENERGY).index
        for env in [shown.env_at(x)]
    ]
    return (
        "$D$ bits at rate $R$ cost $pD/R$ (13), and more bandwidth makes $R$ larger. The largest "
        f"request also has to be computed: on a slice it takes {steps(spent)}{GAP}ms at these "
        f"$D_{{max}}$, and {number(1e3 * shown.env.deadline_s[1])}{GAP}ms are allowed."
    )


def _crossed(
    shown: Shown, low: float = 0, high: float = math.inf, *, ends: bool = False,
    line: str = "bandwidth_hz", step: str = "data_bits_max",
) -> str:  # fmt: skip
    """Return energies, or their ends, along ``step`` at each ``line``, for a range of sizes."""
    rows = shown.measured.query("algorithm == @OWN and x >= @low and x < @high")
    if rows.empty:
        return "not run"
    table = 1e3 * rows.pivot_table(index=line, columns=step, values=ENERGY, aggfunc="median")
    table = table.iloc[:, [0, -1]] if ends and len(table.columns) > 1 else table
    lines = [
        f"{steps(row)}{GAP}mJ with {told(line, [value])}"
        for value, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return f"{listed(lines)}, at {told(step, table.columns)}"


def _kilobits(shown: Shown) -> float:
    """Return the bound of sizes in Kb; infinite where none of them is shown."""
    return KB if (shown.measured["x"] < KB).any() else math.inf


def _by_powers_of_ten(shown: Shown) -> str:
    """Say what a thousand times η does, where that was shown, and how near a rule is."""
    found = Source(shown.preset, {DATA: shown.measured})
    finding = judge([trend(ENERGY)(found)])[0] if len(shown.points(ENERGY)) > 1 else None
    change = powers_of_ten(found, finding) if finding else None
    said = change.said if change else ""
    return ". ".join(filter(None, [said, _near_the_rule(shown)]))


def _near_the_rule(shown: Shown) -> str:
    runs, energy = by_point(shown.measured)[ENERGY], shown.points(ENERGY)
    spread = f"{number(1e3 * (runs.max() - runs.min()).max())}{GAP}mJ"
    apart = f"; seeds at one η differ by up to {spread}" if runs.count().max() > 1 else ""
    change = 1e3 * (energy.iloc[-1] - energy.iloc[0])
    rules = {name: shown.points(FAILED, name) for name in ON_DEMAND}
    if not any(map(len, rules.values())):
        return ""
    rule = best_rule(rules)
    own = shown.points(FAILED)
    least = rules[rule].iloc[0]
    return (
        f"Beta-HAPPO fails in {number(100 * own.iloc[0])}{GAP}% of requests at "
        f"{told('control_factor', own.index[:1])} already. "
        f"*{label(rule).capitalize()}*, a rule that does not know the channels, fails in "
        f"{number(100 * least)}{GAP}% at every η. From end to end the energy changes by "
        f"{number(change)}{GAP}mJ{apart}."
    )


def _rewards(shown: Shown) -> str:
    ended, new = (
        "; ".join(f"${symbol}$ {each(of(shown, metric))}" for metric, symbol in SYMBOLS.items())
        for of in (final, held_out)
    )
    return f"training ends at {ended}. On held-out worlds: {new} (means over seeds)"


def _time_on_a_core(shown: Shown) -> str:
    spent = [fact["seconds_of_training"] / 60 for fact in shown.facts.values()
             if fact["variant"] == OWN]  # fmt: skip
    here = f"{number(sum(spent) / len(spent))} minutes" if spent else "not measured"
    slots = trained_for(shown.data)[OWN]
    return (
        f"of Table I: {time_of_training()}. A run of Beta-HAPPO in this figure, of {slots:,} "
        f"slots, took {here} on one core, with other runs beside it"
    )


def _settling(shown: Shown) -> str:
    leads = {
        learner: sooner(shown.data, "reward_global", learner, other=OFF_POLICY)
        for learner in (OWN, GAUSSIAN_HAPPO)
    }
    said = [
        f"{label(learner)}'s in {(lead > RELEVANT).sum()} of {seeds(len(lead))}"
        for learner, lead in leads.items()
        if len(lead)
    ]
    if not said:
        return "not measured"
    return (
        f"$r_g$ reaches MADDPG's last value sooner than MADDPG, by more than {RELEVANT:g}{GAP}% of "
        f"its training: {listed(said)}"
    )


def _unrest(shown: Shown) -> str:
    found = {
        symbol: unrest(shown.data, metric).groupby("algorithm").median()[shown.learners]
        for metric, symbol in SYMBOLS.items()
    }
    changes = "; ".join(f"${symbol}$ {each(of)}" for symbol, of in found.items())
    return f"steps from episode to episode in the last half, standard deviation: {changes}"


def _savings(shown: Shown) -> str:
    trained = savings(tenths(shown.data, ENERGY)["last"].unstack("algorithm"))
    measured = savings(shown.by_seed(ENERGY))
    return (
        f"compared with {named(trained)} at the end of training, as in the paper's figure; on "
        f"held-out worlds {named(measured)} [95{GAP}% intervals]; failed requests there: "
        f"{each(held_out(shown, FAILED), *UNITS[FAILED])} (means over seeds). {equal_slots(shown)}"
    )


def _failing(shown: Shown, least: float = 0, most: float = math.inf) -> str:
    """Return failures with so many users, from the fewest to the most."""
    found = shown.points(FAILED)
    some = found[(found.index >= least) & (found.index <= most)]
    return path(shown, FAILED, some) if len(some) else "not run"


STORIES = {
    "fig04_06": Story(
        draw=convergence,
        paper="the rewards of all schemes rise during training, the energy falls, and Beta-HAPPO "
              "ends with the highest reward and the least energy.",
        here=_training,
        because=_queues_decide,
        sentences=(
            ("4, 5", "the rewards of all the schemes gradually increase during training",
             lambda s: f"$r_g$ in {rising(s, 'reward_global')}, "
                       f"$r_c$ in {rising(s, 'reward_centre')}"),
            ("4, 5", "the proposed Beta-HAPPO scheme has the highest reward",
             _rewards),
            ("4, 5", "more stable convergence performance", _unrest),
            ("4, 5", "Beta-HAPPO is better than Beta-MAPPO", lambda s: ahead(s, "beta-mappo")),
            ("4, 5", "Gaussian-HAPPO reaches a lower reward compared to Beta-HAPPO",
             lambda s: ahead(s, "gaussian-happo")),
            ("4, 5", "the convergence speed of HAPPO-based schemes significantly outperform the "
             "MADDPG scheme", _settling),
            ("6", "the average energy consumption steadily decreases",
             lambda s: f"in {rising(s, ENERGY, -1)}; it ends at "
                       f"{each(final(s, ENERGY), *UNITS[ENERGY])}"),
            ("6", "reduced by 20.28%, 29.52%, and 41.08% compared with Beta-MAPPO, "
             "Gaussian-HAPPO, and MADDPG", _savings),
            ("6", "The time required to complete the training is 87 minutes", _time_on_a_core),
        ),
    ),
    "fig07_08": Story(
        draw=Sweep("mobile users K", "Fig. 7", "Fig. 8"),
        paper="energy rises with the number of users, who interfere. No synchronisation fails up "
              "to K = 25, and more and more do beyond 30. Beta-HAPPO is best in both.",
        here=lambda s: f"{_both(s)} Its energy is {lowest_at(s, ENERGY)}, its failures are "
                       f"{lowest_at(s, FAILED)}.",
        because=_slices,
        sentences=(
            ("7", "the average energy consumption of MUs gradually increases as the number of MUs "
             "increases", lambda s: path(s, ENERGY)),
            ("7", "The energy consumption of the proposed Beta-HAPPO scheme is the lowest",
             lambda s: lowest_at(s, ENERGY)),
            ("8", "when the number of MUs is within 25, the synchronization failure ratio is 0",
             lambda s: _failing(s, most=25)),
            ("8", "when the number of MUs exceeds 30, the synchronization failure ratio increases",
             lambda s: _failing(s, least=30)),
            ("8", "Beta-HAPPO scheme has the lowest synchronization failure ratio",
             lambda s: lowest_at(s, FAILED)),
        ),
    ),
    "fig09": Story(
        draw=Sweep("base stations M", "Fig. 9", "the failures beside it"),
        paper="energy falls as the number of base stations grows, by a diversity gain, and "
              "Beta-HAPPO keeps its lead.",
        here=lambda s: f"With {s.env.num_users} users, {_both(s)} Its energy is "
                       f"{lowest_at(s, ENERGY)}.",
        because=_nearer,
        sentences=(
            ("9", "the average energy consumption of MUs decreases as the number of BSs grows",
             lambda s: f"{path(s, ENERGY)}; failed requests: {path(s, FAILED)}"),
            ("9", "The proposed Beta-HAPPO retains its superiority on the benchmarks",
             lambda s: lowest_at(s, ENERGY)),
        ),
    ),
    "fig10": Story(
        draw=Sweep("request probability λ", "Fig. 10", "the failures beside it"),
        paper="energy rises with the request probability, as users send more often.",
        here=_both,
        because=_per_request,
        sentences=(
            ("10", "the average transmit energy increases with the request probability",
             lambda s: path(s, ENERGY)),
        ),
    ),
    "fig11": Story(
        draw=data_size,
        paper="energy rises with the largest data size from 0.2 to 0.3 Mb and falls with the "
              "bandwidth. Section V-A gives sizes in Kb.",
        here=lambda s: f"Beta-HAPPO needs {_crossed(s, high=_kilobits(s), ends=True)}. Failed "
                       f"requests, over all bandwidths: {path(s, FAILED)}.",
        because=_sizes,
        sentences=(
            ("11", "As the maximum data size of synchronization data increases from 0.2 Mb to 0.3 "
             "Mb, the average energy consumption of MUs constantly increases",
             lambda s: f"{_crossed(s, KB)}; {_crossed(s, high=KB)}"),
            ("11", "the increase of bandwidth reduces the energy consumption",
             lambda s: _crossed(s, line="data_bits_max", step="bandwidth_hz")),
        ),
    ),
    "fig12": Story(
        draw=Sweep("control factor η", "Fig. 12: energy", "Fig. 12: failures"),
        paper="as η rises from 0.7 to 1.3, the energy rises and the failure ratio falls.",
        here=_both,
        because=_by_powers_of_ten,
        sentences=(
            ("12", "the energy consumption of MUs increases", lambda s: path(s, ENERGY)),
            ("12", "the synchronization failure ratio of MUs decreases",
             lambda s: path(s, FAILED)),
        ),
    ),
    "fig13_14": Story(
        draw=Sweep("mobile users K", "Fig. 13", "Fig. 14"),
        paper="from 50 to 60 users the energy rises, and at K = 58 every synchronisation fails.",
        here=_both,
        because=_least_request,
        sentences=(
            ("13", "the energy consumption of MU increases", lambda s: path(s, ENERGY)),
            ("14", "when the number of MUs reaches 58, the DT synchronization failure ratio "
             "reaches 100%", _failing),
        ),
    ),
}  # fmt: skip
"""By experiment."""
