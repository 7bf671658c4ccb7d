"""What the book's first page shows, as Markdown: findings, verdicts and figures, all committed."""

import json
import os
from collections.abc import Mapping

import pandas as pd
from IPython.display import Markdown

from dtlib.experiments import committed
from dtlib.experiments.alternatives import BETA, BOUNDED_VARIANT, HELD_BACK, UNSHARED
from dtlib.experiments.experiment import (
    BASELINES,
    BETA_MAPPO,
    GAUSSIAN_HAPPO,
    LEARNERS,
    OFF_POLICY,
    OWN,
)
from dtlib.experiments.grids import find
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.columns import COLUMNS
from dtlib.report.page import markdown_table
from dtlib.report.stories import STORIES
from dtlib.report.tables import NAMED, chips, of_experiment
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.settings.env import EnvConfig
from dtlib.studies import corrected, readings
from dtlib.studies.comparison import WORST
from dtlib.verdicts.checks import as_saving, lacking, whole_table
from dtlib.verdicts.claims import JUDGED_PRESETS
from dtlib.verdicts.quantities import by_point, gap, tenths
from dtlib.verdicts.rates import POWER
from dtlib.verdicts.scoreboard import kept, trained_with
from dtlib.verdicts.statistics import estimate, interval_text
from dtlib.verdicts.words import GAP, listed, minus, number

COMPARED = {
    BETA_MAPPO: "Beta-MAPPO, which updates all agents at once, without HAPPO's factor M",
    GAUSSIAN_HAPPO: "Gaussian-HAPPO, with the Gaussian of HARL, the code of HAPPO's authors",
    OFF_POLICY: "MADDPG, which learns off policy, here from a sixth of the slots",
}
SAVED = "energy"


def findings() -> Markdown:
    """Return what was found, in six lines."""
    lines = {
        "Which sentences hold": _sentences(),
        "Whether Beta-HAPPO is better": _better(),
        "In which world": _world(),
        "What Table I as printed gives": _printed(),
        "What the partition of the CPU explains": _partition(),
        "How far learning gets": _learning(),
    }
    return Markdown("\n".join(f"1. **{what}.** {text}" for what, text in lines.items()))


def _percent(ratio: float) -> str:
    return f"{number(100 * ratio)}{GAP}%"


def _millijoules(joules: float) -> str:
    return f"{number(1e3 * joules)}{GAP}mJ"


def _users(count: float) -> str:
    return f"K{GAP}={GAP}{number(count)}"


def _sentences() -> str:
    counts = kept("claims_counts.csv").set_index("verdict").astype(int)
    shown = counts[JUDGED_PRESETS[0]].drop("not counted")
    undecided = shown["not testable"]
    wait = f" {undecided} cannot be judged before more runs are there." if undecided else ""
    return (
        f"Of the {shown.sum()} sentences that can be checked, the preset `{JUDGED_PRESETS[0]}` "
        f"reproduces {shown['reproduced']}, and {shown['reproduced in part']} in part. It does not "
        f"reproduce {shown['not reproduced']}. For {_weak()} of these the test is weak: more than "
        "once in five times it would miss a true effect, of the size that the scoreboard names. It "
        f"contradicts {listed(_contradicted()) or 'none'}.{wait}"
    )


def _beside_others() -> dict[str, dict[str, pd.Series]]:
    """Return Beta-HAPPO's failures less another's, in points, by K, and the gap of energy, in %.

    All within a seed; by whom it is compared with.
    """
    trained, worth = _whole("fig04_06"), _whole("worth")
    crowded = committed.fullest("fig07_08").pivot_table(FAILED, ["x", "seed"], "algorithm")
    lost, energy = (trained.pivot_table(name, "seed", "algorithm") for name in (FAILED, ENERGY))
    failed = {_users(30): lost}
    failed |= {_users(x): crowded.loc[x] for x in crowded.index.unique("x")[-2:]}
    lost, spent = (worth.pivot_table(name, "seed", "variant") for name in (FAILED, ENERGY))
    return {
        text: {x: 100 * (rows[OWN] - rows[who]) for x, rows in failed.items()}
        | {SAVED: gap(energy[OWN], energy[who])}
        for who, text in COMPARED.items()
    } | {
        "a *bounded Gaussian*, whose mean starts in the middle of the range": {
            _users(30): 100 * (lost[BETA] - lost[BOUNDED_VARIANT]),
            SAVED: gap(spent[BETA], spent[BOUNDED_VARIANT]),
        }
    }


def _whole(name: str, preset: str = JUDGED_PRESETS[0]) -> pd.DataFrame:
    """Return what an experiment has on held-out worlds, if no planned run is lacking."""
    table = whole_table(name, preset, committed.EVALUATION)
    if table is None:
        raise FileError(
            f"{name}: {lacking(name, preset)}; "
            f"dtlib figure {name} --preset {preset} --keep makes the others"
        )
    return table


def _better() -> str:
    compared = _beside_others()
    shown: dict[str, list[str]] = {"saves": [], "needs more": [], "is not shown to save": []}
    for other, gaps in compared.items():
        _, low, high = map(as_saving, estimate(gaps[SAVED]))
        how = "saves" if low > 0 else "needs more" if high < 0 else "is not shown to save"
        shown[how].append(other.partition(",")[0])
    energy = [f"{how} energy against {listed(those)}" for how, those in shown.items() if those]
    failures = [
        f"Against {other.partition(',')[0]} {_failing(gaps)}." for other, gaps in compared.items()
    ]
    return (
        f"{_with_a_network_each()} There, at {_users(30)}, Beta-HAPPO {listed(energy)}. "
        f"{' '.join(failures)} *About* means that the seeds show no difference."
    )


def _with_a_network_each() -> str:
    """Return how often Beta-HAPPO and Beta-MAPPO fail where HAPPO is at home."""
    what, runs = list(UNSHARED)[-1], _whole("unshared")
    failed = runs.pivot_table(FAILED, "seed", "variant")
    own, other = (failed[f"{learner}, {what}"] for learner in (OWN, BETA_MAPPO))
    more = list(100 * (other - own).dropna())
    return (
        "With a network for each user and one reward for all, as HAPPO is made for, it fails in "
        f"{_percent(own.mean())} of the requests at {_users(30)}, and Beta-MAPPO in "
        f"{_percent(other.mean())}: {interval_text(more, '.1f')} points more. "
        f"In `{JUDGED_PRESETS[0]}` all users share a network, and each learns from the difference "
        "that its own power makes to the reward."
    )


def _failing(gaps: Mapping[str, pd.Series]) -> str:
    """Return where Beta-HAPPO fails less or more, as far as 95 % intervals tell."""
    where: dict[str, list[str]] = {"less": [], "more": [], "about as often": []}
    for users, values in gaps.items():
        if users != SAVED:
            _, low, high = estimate(values.dropna())
            way = "less" if high < 0 else "more" if low > 0 else "about as often"
            where[way].append(users)
    return f"it fails {listed([f'{way} at {listed(at)}' for way, at in where.items() if at])}"


def beside_others() -> Markdown:
    """Return a table of how often Beta-HAPPO fails and what it saves, compared with others."""
    rows = {
        other: {
            f"more failures at {head} (points)": minus(interval_text(list(values.dropna()), ".1f"))
            for head, values in gaps.items()
            if head != SAVED
        }
        | {f"energy saved at {_users(30)} (%)": minus(interval_text(gaps[SAVED], ".3g", as_saving))}
        for other, gaps in _beside_others().items()
    }
    cells = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    return markdown_table(["against", *cells], cells.itertuples(name=None))


def _contradicted() -> list[str]:
    """Return the sentences that are contradicted, as words in a sentence."""
    known = kept("claims.csv").drop_duplicates(NAMED)
    known = known[known[JUDGED_PRESETS[0]] == "contradicted"]
    return [
        f"{row['figure']}'s *{row['the paper says'].rstrip('.')}*"
        + f" ({row['not its words'].partition(':')[0]})" * bool(row["not its words"])
        for row in known.to_dict("records")
    ]


def _weak() -> int:
    """Return how many sentences are not reproduced by tests of less power than is asked for."""
    rates = kept("claims_rates.csv").query("preset == @JUDGED_PRESETS[0]").drop_duplicates(NAMED)
    power = pd.to_numeric(rates.set_index(NAMED)["finds, %"], errors="coerce")
    verdict = kept("claims.csv").drop_duplicates(NAMED).set_index(NAMED)[JUDGED_PRESETS[0]]
    return int((power[verdict.reindex(power.index) == "not reproduced"] < 100 * POWER).sum())


def _world() -> str:
    first, last = readings.thresholds(EnvConfig())
    return (
        "In the reading taken here of (14h), the limit of a server's CPU, each user owns a slice "
        "of every server. "
        f"Then computing alone makes the largest request late beyond {_users(first)}, and the "
        f"smallest beyond {number(last)}; the radio moves both down a little. The paper has no "
        "failure up to 25, and nothing but failures at 58."
    )


def _printed() -> str:
    data = committed.fullest("fig04_06", "paper")
    failed = tenths(data, FAILED).loc[OWN].mean()
    unseen = _whole("fig04_06", "paper").pivot_table(FAILED, "seed", "algorithm")[OWN].mean()
    own, other = (find(name).runs("paper", 1)[0].episodes for name in ("fig04_06", "held_back"))
    changed = _whole("held_back", "paper").groupby("variant")[FAILED].mean()[next(iter(HELD_BACK))]
    return (
        f"Beta-HAPPO fails in {_percent(failed['first'])} of the requests when training begins, "
        f"and in {_percent(failed['last'])} when its {own} episodes end. On held-out worlds, "
        f"where agents take their mean actions, it fails in {_percent(unseen)}. With one thing "
        "changed, that each user learns from the difference that its own power makes to the "
        f"reward, it fails there in {_percent(changed)} after {other} episodes."
    )


def _partition() -> str:
    failed = readings.of_rules(readings.TABLE.read(JUDGED_PRESETS[0]), FAILED)[readings.GIVES_UP]
    at_30, at_58 = (failed.loc[users] for users in (30, 58))
    return (
        f"The outage at {_users(58)}. *Demand or silence*, with seven levels of power to choose "
        f"from here, fails in {_percent(at_58[readings.SLICES])} of the requests there with "
        f"slices, and in {_percent(at_58[readings.DIVIDED])} where servers divide their CPU "
        f"among those who ask. At {_users(30)} it fails in {_percent(at_30[readings.SLICES])} and "
        f"{_percent(at_30[readings.DIVIDED])}."
    )


def _learning() -> str:
    outage = committed.fullest("outage")
    own, rule = (_by_users(outage, who) for who in (OWN, BASELINES[1]))
    seeds = outage.loc[outage["algorithm"] == OWN, "seed"].nunique()
    return (
        f"In the mean of {seeds} seeds, trained Beta-HAPPO fails in "
        f"{_percent(own[FAILED].iloc[0])} of the requests at {_users(own.index[0])}. At "
        f"{_users(30)} it fails in {_percent(own.loc[30, FAILED])}, for "
        f"{_millijoules(own.loc[30, ENERGY])} per user and slot. Its worst user fails in "
        f"{_percent(own.loc[30, WORST])} of all slots there; (14b), the limit of each user's "
        f"failures, allows {_percent(EnvConfig().failure_threshold)}. *Demand or silence*, with "
        f"eighteen levels, fails in {_percent(rule.loc[30, FAILED])} of the requests there, for "
        f"{_millijoules(rule.loc[30, ENERGY])}. The second table below "
        "shows what can be put right."
    )


def _by_users(data: pd.DataFrame, who: str) -> pd.DataFrame:
    return by_point(data, who)[[FAILED, ENERGY, WORST]].mean()


def corrected_table() -> Markdown:
    """Return a table of trained Beta-HAPPO with 30 users, put right, and of rules beside it."""
    outage, known = committed.fullest("outage"), readings.TABLE.read(JUDGED_PRESETS[0])
    table_of = corrected.TABLE.read(JUDGED_PRESETS[0])
    right = table_of.query("num_users == 30 and algorithm == @OWN").set_index("done")
    knows = readings.CLAIRVOYANT, readings.SLICES
    rows = {
        "Beta-HAPPO, as trained": _by_users(outage, OWN).loc[30],
        "the same, with slices used whole, and silent where *demand or silence* is": right.loc[
            "whole slices, silenced", [FAILED, ENERGY, WORST]
        ].mean(),
        "trained with whole slices": _by_users(committed.fullest("whole"), OWN).loc[30],
        "*demand or silence*, eighteen levels": _by_users(outage, BASELINES[1]).loc[30],
        "a clairvoyant rule, which knows all channels": pd.Series(
            {name: readings.of_rules(known, name).loc[30, knows] for name in (FAILED, ENERGY)}
        ),
    }
    numbers = pd.DataFrame(rows, index=[FAILED, ENERGY, WORST]).T * [100, 1e3, 100]
    cells = numbers.map(number, na_action="ignore").fillna("")
    return markdown_table(["", *(COLUMNS[name][0] for name in cells)], cells.itertuples(name=None))


def verdict_chips() -> Markdown:
    """Return how many sentences have which verdict, a line of coloured chips for each preset."""
    counts = kept("claims_counts.csv").set_index("verdict").astype(int)
    what = {"companion": "under which agents do learn", "paper": "Table I as printed"}
    lines = [
        f"`{preset}`, {text}, {trained_with(preset)}: {chips(counts[preset])}"
        for preset, text in what.items()
    ]
    return Markdown("\n\n".join(lines))


def gallery() -> Markdown:
    """Return a card per page of figures, with its picture from the preset with most budget."""
    cards = "\n".join(_card(name) for name in STORIES if find(name).of_the_paper)
    return Markdown(f"::::{{grid}} 1 2 2 3\n:gutter: 2\n\n{cards}\n::::")


def _of_runs(preset: str, name: str) -> str:
    """Say of which preset a picture is, and of how many seeds of each learner."""
    data = committed.fullest(name, preset)
    counts = data[data["algorithm"].isin(LEARNERS)].groupby("algorithm")["seed"].nunique()
    seeds = " or ".join(map(str, sorted(set(counts))))
    return f"`{preset}`, {seeds} seed{'s' * (seeds != '1')}"


def _card(name: str) -> str:
    (notebook,) = paths.notebooks().glob(f"{name}_*.ipynb")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    said = [cell["metadata"].get("mystnb", {}).get("image", {}).get("alt") for cell in cells]
    pictures = (paths.pictures() / preset / f"{name}.png" for preset in committed.FULLEST)
    picture = next((file for file in pictures if file.is_file()), None)
    if picture is None:
        raise FileError(
            f"{name}: no picture is committed; dtlib figure {name} --preset companion makes one"
        )
    title = cells[0]["source"][0].removeprefix("# ").strip()
    here = paths.root() / "book"
    return (
        f":::{{grid-item-card}} {title}\n"
        f":link: {os.path.relpath(notebook.with_suffix(''), here)}\n:link-type: doc\n"
        f":img-top: {os.path.relpath(picture, here)}\n"
        f":img-alt: {next(filter(None, said))}\n\n{_of_runs(picture.parent.name, name)}\n\n"
        f"{chips(of_experiment(name)[JUDGED_PRESETS[0]].value_counts())}\n:::"
    )
