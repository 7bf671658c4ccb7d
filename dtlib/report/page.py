"""A figure's page, part by part, most of it as Markdown: made from rows, settings and manifests."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from IPython.display import Markdown
from matplotlib.figure import Figure

from dtlib.experiments import committed, results
from dtlib.experiments.experiment import BASELINES, PlannedRun, setting
from dtlib.experiments.results import ENERGY
from dtlib.report.pictures import KINDS
from dtlib.report.shown import Shown
from dtlib.report.stories import STORIES
from dtlib.report.tables import chips, of_experiment
from dtlib.runtime import paths
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig
from dtlib.verdicts.claims import JUDGED_PRESETS
from dtlib.verdicts.names import label
from dtlib.verdicts.words import told

NO_DIFFERENCE = ("algorithm", "preset", "seed", "env")
RULES = {
    "power-on-demand": "*Power on demand* sends what a request needs, or as much as it can.",
    "demand-or-silence": "*Demand or silence* does not send where that is too little.",
}
"""Of rules that may be drawn beside learners."""
DRAWN_WHERE = (
    "These rules do not learn ({term}`glossary <Power on demand>`). They are drawn where they fail "
    "no more often than any learner: elsewhere they would spend less because they serve less."
)
GENIE = (
    "The genie's bound ({doc}`11_genie`) is among the numbers below. It uses up what (14b) allows, "
    'and "inf" says that not even the genie could keep it.'
)
TABLES = {
    "CSV": results.DATA,
    "CSV of held-out worlds": committed.EVALUATION,
    "CSV of their users": committed.USERS,
    "settings and times": results.MANIFEST,
}
"""What a page's numbers come from: files of an experiment, by what a reader calls them."""
BOX = (
    '<div class="admonition dropdown">\n<p class="admonition-title">{title}</p>\n\n{text}\n\n</div>'
)
"""A folded box of the book's theme; Jupyter shows its title and its Markdown."""
SECOND_CALL = (
    "Runs that are missing are trained and kept, so that a second call costs nothing. "
    "{doc}`../book/run_it_yourself` has more."
)
EXAMPLE = "{'cpu_hz': 2e10}"
"""Another setting of the network, for the command that makes a figure with other values."""


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def lines(shown: Shown) -> Markdown:
    """Return the three lines that a page opens with; a single point has no trend to explain."""
    story = STORIES[shown.experiment.name]
    said = {"The paper says": f"that {story.paper}", "Here": story.here(shown)}
    several = not shown.experiment.axes or len(shown.points(ENERGY)) > 1
    if several and (why := story.because(shown)):
        said["Because"] = why
    said["Here"] += _verdicts(shown)
    return Markdown("\n\n".join(f"**{start}** {text}" for start, text in said.items()))


def _verdicts(shown: Shown) -> str:
    """Return the verdicts on the paper's sentences, if all that is judged is shown."""
    name, known = shown.experiment.name, results.runs(shown.preset, shown.experiment.name)
    if shown.preset not in JUDGED_PRESETS or shown.facts.keys() != known.keys():
        return ""
    return f" The paper's sentences: {chips(of_experiment(name)[shown.preset].value_counts())}"


def picture(shown: Shown) -> Figure:
    """Draw what is shown."""
    return STORIES[shown.experiment.name].draw(shown.data)


def beside(shown: Shown) -> Markdown:
    """Return the paper's sentences and, beside each, what is found in what is shown."""
    rows = [
        (figure, f"“{words}”", ours(shown))
        for figure, words, ours in STORIES[shown.experiment.name].sentences
    ]
    return markdown_table(
        ("Fig.", "the paper", f"here, preset `{shown.preset}` (medians of seeds, unless said)"),
        rows,
    )


def drawn(shown: Shown) -> Markdown:
    """Return how long learners are trained, and which rules and bounds stand beside them.

    Only of what is in the rows.
    """
    known = set(shown.data["algorithm"])
    rules = [text for name, text in RULES.items() if name in known]
    said = ["Failures are counted per request.", _trained(shown)]
    said += [*rules, DRAWN_WHERE] if rules else []
    said += [GENIE] if BASELINES[-1] in known else []
    return Markdown(" ".join(filter(None, said)))


def _trained(shown: Shown) -> str:
    """Say for how many episodes learners are trained: what all are, and who for fewer."""
    runs = _first(shown.runs)
    episodes = {name: run.episodes for name, run in runs.items()}
    most = max(runs.values(), key=lambda run: run.episodes)
    of = f" of {most.config.episodes}" if most.episodes < most.config.episodes else ""
    fewer = [
        f"{label(name)} for {count}" for name, count in episodes.items() if count < most.episodes
    ]
    return f"{', '.join([f'Learners are trained for {most.episodes}{of} episodes', *fewer])}."


def differences(shown: Shown) -> Markdown:
    """Return a box: settings that are not those of the preset ``paper``, points, episodes, seeds.

    A learner that has another value than Beta-HAPPO is named with it. A setting of one learner,
    whose meaning begins with its name, has that learner's value alone. Nothing is returned of an
    experiment that ``paper`` does not have.
    """
    experiment = shown.experiment
    if "paper" not in experiment.seeds:
        return Markdown("")
    paper, here = _first(experiment.runs("paper", 1)), _first(shown.runs)
    swept = {name for axis in experiment.axes for name in setting(axis, 1.0)}
    rows = []
    for model, where in ((TrainConfig, "config"), (EnvConfig, "config.env")):
        for name, field in model.model_fields.items():
            if name in swept or name in NO_DIFFERENCE:
                continue
            meaning = str(field.description).split("; ")[0]
            pair = [_values(_who_has(meaning, runs), f"{where}.{name}") for runs in (paper, here)]
            if pair[0] != pair[1]:
                rows.append((f"`{name}`: {meaning}", *pair))
    rows += _budget(shown, paper)
    head = ("what", "preset `paper`: Table I, or what is usual", f"here, preset `{shown.preset}`")
    return Markdown(
        BOX.format(title="Paper and here: what differs", text=markdown_table(head, rows).data)
    )


def _first(runs: Sequence[PlannedRun]) -> dict[str, PlannedRun]:
    """Return the first run of each learner."""
    found: dict[str, PlannedRun] = {}
    for run in committed.learnt(runs):
        found.setdefault(run.variant, run)
    return found


def _who_has(meaning: str, runs: dict[str, PlannedRun]) -> dict[str, PlannedRun]:
    """Return the runs of the learner whom a setting's meaning begins with; of all, if of none."""
    return {who: run for who, run in runs.items() if meaning.startswith(f"{label(who)}: ")} or runs


def _values(runs: dict[str, PlannedRun], where: str) -> str:
    """Return a setting's value; see :func:`_usual`."""
    return _usual({learner: _plain(attrgetter(where)(run)) for learner, run in runs.items()})


def _usual(values: Mapping[str, str]) -> str:
    """Return the first learner's value, and by name those of learners that have another."""
    usual, *_ = values.values()
    others = [f"{label(who)}: {value}" for who, value in values.items() if value != usual]
    return f"{usual} ({', '.join(others)})" if others else usual


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return " to ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _budget(shown: Shown, paper: dict[str, PlannedRun]) -> list[tuple[str, str, str]]:
    """Return what is no setting: what is swept, how many episodes are run, how many seeds."""
    rows = []
    for name, axis in shown.experiment.axes.items():
        values = sorted({run.at[name] for run in shown.runs})
        if list(axis.values) != values:
            rows.append(("what is swept", told(name, axis.values), told(name, values)))
    cut = {
        label(name): f"{run.episodes} of {run.config.episodes}"
        for name, run in _first(shown.runs).items()
        if run.episodes < run.config.episodes
    }
    if cut:
        done = ", ".join(f"{name} {text}" for name, text in cut.items())
        rows.append(("episodes that are run", "all", done))
    seeds = shown.data.groupby("algorithm")["seed"].nunique()[shown.learners].map(str)
    return [*rows, ("seeds of each learner", "not stated", _usual(seeds.to_dict()))]


def again(shown: Shown) -> Markdown:
    """Return the commands that make the figure again and with other values, and how long it takes.

    All of the preset's runs are counted, whatever is shown; one in the store is not trained again.
    """
    name, preset = shown.experiment.name, shown.preset
    (notebook,) = paths.notebooks().glob(f"{name}_*.ipynb")
    command = f"dtlib notebook {notebook.stem} -p preset {preset} \\\n "
    runs = shown.experiment.runs(preset)
    whole = _minutes(shown, len(runs))
    lines = [
        f"# this figure, from nothing: {whole}",
        f"dtlib figure {name} --preset {preset}",
        f"# with another setting: {whole}",
        f'{command} -p settings "{EXAMPLE}"',
    ]
    if shown.experiment.axes:
        axis, value = _between(shown)
        point = len(runs) / len({run.at[axis] for run in runs})
        lines += [
            f"# at another point: {_minutes(shown, point)}",
            f'{command} -p values "[{value:g}]"',
        ]
    code = "\n".join(lines)
    return Markdown(f"```sh\n{code}\n```\n\n{SECOND_CALL}")


def _between(shown: Shown) -> tuple[str, float]:
    """Return the first axis, and a value in the middle of its first two."""
    name = next(iter(shown.experiment.axes))
    first, second = (*sorted({run.at[name] for run in shown.runs}), 0.0)[:2]
    value = (first + second) / 2 if second else first
    return name, round(value) if name.startswith("num_") else value


def _minutes(shown: Shown, runs: float) -> str:
    """Return how long so many runs take, from those of these that are committed."""
    spent = [fact.get("seconds_of_training", 0.0) for fact in shown.facts.values()]
    if not spent:
        return "not measured yet"
    minutes = math.ceil(sum(spent) / len(spent) * runs / shown.jobs / 60)
    beside = f", {shown.jobs} runs side by side" if shown.jobs > 1 else ""
    return f"about {minutes} min of training{beside}"


def downloads(shown: Shown) -> Markdown:
    """Return links to the committed tables and pictures of this preset."""
    name = shown.experiment.name
    folder = results.folder_of(shown.preset, name)
    files = {said: folder / file for said, file in TABLES.items()}
    files |= {kind.upper(): paths.pictures() / shown.preset / f"{name}.{kind}" for kind in KINDS}
    links = [
        f"[{kind}]({os.path.relpath(file, paths.notebooks())})"
        for kind, file in files.items()
        if file.is_file()
    ]
    if not links:
        return Markdown(f"No data are committed for the preset `{shown.preset}`.")
    return Markdown(
        f"To download, as committed for the preset `{shown.preset}`: {', '.join(links)}. "
        "{ref}`Columns of the tables <columns>` says what they hold."
    )
