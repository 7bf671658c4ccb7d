"""Every exercise is a command that runs, with parameters that its notebook has."""

from __future__ import annotations

import re
import shlex

import pytest
from said import call

from dtlib import ConfigError, EnvConfig, cli, notebook
from dtlib.experiments import committed, grids
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report.shown import load
from dtlib.runtime import paths

PAGE = (paths.root() / "book" / "exercises.md").read_text(encoding="utf-8")
EXERCISES = PAGE.split("\n## ")[1:]
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
NOTEBOOKS = [command for command in COMMANDS if command[0] == "notebook"]
FIGURES = [command for command in NOTEBOOKS if command[1].startswith("fig")]


def of(command):
    """Return the notebook of a command, and its parameters as the notebook reads them."""
    parsed = cli.main.commands["notebook"].make_context("notebook", command[1:])
    known = notebook.defaults(notebook.find(parsed.params["name"]))
    given = dict(parsed.params["parameters"])
    return parsed.params["name"], {key: notebook.parse(key, given[key], known) for key in given}


def test_ten_with_a_command_and_a_folded_solution_each():
    assert len(EXERCISES) == 10
    assert "\n%" not in PAGE  # MyST takes such a line for a comment
    for number, text in enumerate(EXERCISES, 1):
        assert text.startswith(f"{number}. ")
        task, folded = text.split(":::{dropdown} Solution")
        assert "```sh\ndtlib " in task and "```sh" not in folded and folded.strip().endswith(":::")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_are_understood(command):
    """No name or option is unknown, whatever the command would run."""
    name, *arguments = command
    parsed = cli.main.commands[name].make_context(name, arguments)
    if name == "train":
        cli.settings(parsed.params["preset"], parsed.params["assignments"])


@pytest.mark.parametrize("command", NOTEBOOKS, ids=" ".join)
def test_notebooks_have_the_parameters(command):
    name, values = of(command)
    known = notebook.defaults(notebook.find(name))
    assert values and any(values[key] != known[key] for key in values)
    EnvConfig(**values.get("settings", {}))


@pytest.mark.parametrize("command", FIGURES, ids=" ".join)
def test_figures_run_in_small(command, tmp_path, monkeypatch):
    """Runs of seconds with the same settings of the network, of the smallest point."""
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path))
    name, values = of(command)
    figure = next(one for one in grids.EXPERIMENTS if name.startswith(f"{one}_"))
    point = min(next(iter(run.at.values())) for run in grids.find(figure).runs("smoke", 1))
    settings = values.get("settings", {})
    shown = load(figure, "smoke", seeds=1, values=[point], settings=settings, jobs=1)
    assert all(
        getattr(run.config.env, key) == settings[key] for run in shown.runs for key in settings
    )
    learnt = shown.measured[shown.measured["algorithm"].isin(shown.learners)]
    assert len(learnt) and learnt[[ENERGY, FAILED]].notna().all().all()


QUOTED = {
    "{:.2f} mJ at 0.3 ": ("quick", "fig10", 0.3, "beta-happo", 1e3, ENERGY),
    "{:.2f} mJ at 0.7": ("quick", "fig10", 0.7, "beta-happo", 1e3, ENERGY),
    "than Beta-HAPPO: {:.2f} and": ("quick", "fig10", 0.3, "beta-mappo", 1e3, ENERGY),
    "and {:.2f} mJ. Gaussian": ("quick", "fig10", 0.7, "beta-mappo", 1e3, ENERGY),
    "failed in {:.1f} % of the requests at $K = 25$": (
        "quick", "fig07_08", 25, "beta-happo", 100, FAILED
    ),
    "with {:.2f} mJ per user and": ("quick", "fig07_08", 25, "beta-happo", 1e3, ENERGY),
    "the {:.1f} % that it had at 1.3": ("quick", "fig12", 1.3, "beta-happo", 100, FAILED),
    "mJ after {:.2f}. At": ("quick", "fig12", 1.3, "beta-happo", 1e3, ENERGY),
    "At 0.7 it was {:.1f} %": ("quick", "fig12", 0.7, "beta-happo", 100, FAILED),
    "({:.3f} → 0.778": ("companion", "fig12", 0.7, "beta-happo", 1e3, ENERGY),
    "0.754 → {:.3f} mJ": ("companion", "fig12", 1.3, "beta-happo", 1e3, ENERGY),
}  # fmt: skip
"""Numbers that exercises quote from committed results: medians over seeds."""


@pytest.mark.parametrize("text", QUOTED)
def test_what_is_quoted_is_committed(text):
    preset, figure, x, who, unit, metric = QUOTED[text]
    data = committed.fullest(figure, preset).query("x == @x and algorithm == @who")
    assert text.format(unit * data[metric].median()) in PAGE


def test_a_run_is_trained_and_evaluated_in_small(tmp_path):
    train, *evaluations = [c for c in COMMANDS if c[0] in ("train", "evaluate")]
    folder = str(tmp_path / "run")
    small = [*train, "--set", "episodes=1", "--quiet"]
    small[small.index("--preset") + 1] = "smoke"
    small[small.index("--out") + 1] = folder
    assert call(*small).exit_code == 0
    for name, _, *rest in evaluations:
        answer = call(name, folder, *rest, "--worlds", "1", "--quiet")
        assert answer.exit_code == 0 and "(14b)" in answer.output


def test_a_mistyped_parameter_is_found():
    with pytest.raises(ConfigError, match="unknown"):
        of(["notebook", "11_genie", "-p", "num_user", "10"])
