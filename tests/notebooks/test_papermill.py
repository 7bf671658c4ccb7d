"""Every notebook runs with other parameters than its own; mistakes in parameters are errors."""

import re
import sys
from pathlib import Path

import forked_kernels
import nbformat
import pytest

from dtlib import ConfigError, notebook
from dtlib.experiments.grids import EXPERIMENTS
from dtlib.runtime import files, paths
from dtlib.runtime.errors import FileError

SMOKE = {"preset": "smoke", "jobs": "1"}
"""Runs of seconds in the kernel itself; one page has two processes, each of which starts slowly."""
OTHER = {"seed": "7", "num_users": "5", "num_bs": "3"} | SMOKE
"""Values that differ from the defaults of every notebook, for the parameters it has."""
SPECIAL = {
    "10_cost": {"from_users": "30"},
    "11_genie": {"seed": "7", "num_users": "5", "num_bs": "7", "frames": "1"},
    "fig04_06_convergence": SMOKE | {"seeds": "1", "settings": "{'num_users': 4}"},
    "fig07_08_users": SMOKE | {"values": "[4, 5]", "settings": "{'wired_rate_bps': 5e6}"},
    "fig09_base_stations": SMOKE | {"values": "[2]"},
    "fig10_request_probability": SMOKE | {"values": "[0.4]"},
    "fig11_data_size_bandwidth": SMOKE | {"values": "[2e4]"},
    "fig12_control_factor": SMOKE | {"seeds": "2"},
    "scoreboard": {"only": "contradicted"},
    "table_1_as_printed": {"preset": "quick", "seeds": "1"},
    "trained_agents": SMOKE | {"algorithm": "maddpg", "frames": "2"},
}
TABLES = ("explore", "scoreboard")
"""Pages without a picture."""
NAMES = sorted(path.stem for path in paths.notebooks().glob("*.ipynb"))
STARTUP = """
from dtlib.settings.presets import SMOKE
from dtlib.training import evaluation

evaluation.evaluation_env = lambda env: env.replace(frames=2)
SMOKE["updates_per_frame"] = 1
SMOKE["episodes"] = SMOKE["env"]["frames"] = 2
"""
"""What a kernel does before the first cell. Most of a smoke run's time would go into worlds of 50
frames to evaluate it on and into MADDPG's updates; how many there are, pages do not ask."""

FEW_PICTURES = """
from dtlib.report import film

film.MOST_PICTURES = 4
"""
SHORT = {
    "02_two_timescales": FEW_PICTURES,
    "comparison": """
from dtlib.studies import references

references.EVALUATION_FRAMES = 2
references.BUDGETS["smoke"] = references.Budget(
    worlds=1, tuning=1, thresholds=(references.MARGIN.failures, 0.2), steps=5, stride=10
)
""",
    "trained_agents": FEW_PICTURES,
    "which_world": """
from functools import partial

from dtlib.studies import readings

readings.EnvConfig = partial(readings.EnvConfig, frame_slots=10)
shown = [{"num_users": users} for users in (25, 30, 50, 58)]
for points in readings.POINTS.values():
    points[1:-1] = [one for one in points[1:-1] if one in shown]
""",
}
"""Besides, by page: films are short; rules are tuned on one short world; all readings are measured,
at fewer points, for a tenth of the slots."""


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("jupyter_client.launcher.Popen", forked_kernels.launch)


@pytest.fixture
def tiny_runs(name, tmp_path, monkeypatch):
    """Have kernels run ``STARTUP``, and ``SHORT``: IPython runs what lies in its profile."""
    folder = tmp_path / "ipython" / "profile_default" / "startup"
    folder.mkdir(parents=True)
    (folder / "tiny_runs.py").write_text(STARTUP + SHORT.get(name, ""))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def test_all_are_there():
    """Each figure of the paper has a page of its name; the others are these."""
    of_figures = {name for name in NAMES if name.startswith("fig")}
    figures = {each.name for each in EXPERIMENTS.values() if each.of_the_paper}
    assert {re.match(r"fig\d+(_\d+)?", name)[0] for name in of_figures} == figures
    assert len(of_figures) == len(figures)
    assert [name for name in NAMES if name not in of_figures] == [
        "01_mobility", "02_two_timescales", "03_communication", "04_synchronization",
        "05_energy_problem", "06_lyapunov", "07_pomdp", "08_happo", "09_beta_policy",
        "10_cost", "11_genie", "ablations", "comparison", "explore", "how_settings_were_chosen",
        "partition", "scoreboard", "table_1_as_printed", "trained_agents", "what_companion_changes",
        "what_it_learns", "what_m_is_worth", "which_world",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_other_parameters(name, tmp_path, tiny_runs):
    known = notebook.defaults(paths.notebooks() / f"{name}.ipynb")
    values = SPECIAL.get(name) or {key: text for key, text in OTHER.items() if key in known}
    assert values and all(str(known[key]) != text for key, text in values.items())
    out = notebook.execute(name, values, tmp_path / "copy.ipynb", progress=False)
    cells = nbformat.read(out, as_version=4).cells
    injected = [c for c in cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert len(injected) == 1 and all(key in injected[0].source for key in values)
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    kind = "text/html" if name in TABLES else "image/png"
    assert any(kind in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_is_stored_without_outputs(name):
    cells = nbformat.read(paths.notebooks() / f"{name}.ipynb", as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) == 1


@pytest.mark.parametrize(
    "values, message",
    [
        ({"sed": "1"}, "parameter 'sed' is unknown: must be one of .*; did you mean 'seed'?"),
        ({"seed": "one"}, "parameter seed = 'one': must be of type int"),
        ({"seed": "1.5"}, "parameter seed = '1.5': must be of type int, such as 1"),
    ],
)
def test_mistakes_run_nothing(values, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        notebook.execute("01_mobility", values, tmp_path / "copy.ipynb", progress=False)
    assert not list(tmp_path.iterdir())


def test_failing_cell_is_named(tmp_path):
    bad = nbformat.v4.new_notebook()
    parameters = nbformat.v4.new_code_cell("seed = 1", metadata={"tags": ["parameters"]})
    bad.cells = [parameters, nbformat.v4.new_code_cell("assert seed == 1, 'seed is not one'")]
    nbformat.write(bad, tmp_path / "bad.ipynb")
    with pytest.raises(FileError, match="AssertionError: seed is not one"):
        notebook.execute(str(tmp_path / "bad.ipynb"), {"seed": "2"}, tmp_path / "o.ipynb", False)


def test_untagged_notebook(tmp_path):
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("seed = 1")])
    nbformat.write(bad, tmp_path / "bad.ipynb")
    with pytest.raises(ConfigError, match="no cell tagged 'parameters'"):
        notebook.execute(str(tmp_path / "bad.ipynb"), {}, tmp_path / "o.ipynb", False)


SIMPLE = "seed = 1"


def written(path, *sources):
    """Write a notebook of these cells, the first tagged ``parameters``."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_parameters_may_be_annotated_and_values_need_not_be_text(tmp_path):
    source = written(tmp_path / "own.ipynb", "seed: int = 1\nnever: str", "assert seed == 2")
    assert notebook.defaults(source) == {"seed": 1}
    copy = tmp_path / "o.ipynb"
    assert notebook.execute(str(source), {"seed": 2}, str(copy), False) == copy


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")
def test_kernels_have_libraries_from_the_start(tmp_path):
    there = "import sys; assert 'torch' in sys.modules and 'dtlib.cli' not in sys.modules"
    source = written(tmp_path / "own.ipynb", SIMPLE, there)
    notebook.execute(str(source), {"seed": "2"}, tmp_path / "o.ipynb", False)


NO_NOTEBOOKS = {
    "empty": b"",
    "text": b"this is no notebook",
    "bytes": b"\xff\xfe\x00",
    "a list": b"[]",
    "a number": b"3",
    "an object": b"{}",
    "deep": b"[" * 10**5,
    "a later format": b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
    "cells of numbers": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1]}',
    "cells that are none": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 7}',
}


@pytest.mark.parametrize("content", NO_NOTEBOOKS.values(), ids=NO_NOTEBOOKS)
def test_what_is_no_notebook_is_one_line(content, tmp_path):
    (tmp_path / "bad.ipynb").write_bytes(content)
    with pytest.raises(FileError, match=r"bad.ipynb: not a notebook \(.+\)$") as caught:
        notebook.execute(str(tmp_path / "bad.ipynb"), {}, tmp_path / "o.ipynb", False)
    assert len(str(caught.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.ipynb"]


@pytest.mark.parametrize("source", ["seed = (", "seed = open('x')", "seed = " + "-" * 10**5 + "1"])
def test_parameters_that_are_no_values_are_one_line(source, tmp_path):
    bad = written(tmp_path / "bad.ipynb", source)
    with pytest.raises(FileError, match="cell tagged 'parameters' holds other than plain values"):
        notebook.execute(str(bad), {}, tmp_path / "o.ipynb", False)


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("1e4", 1, 10_000), ("-2.0", 1, -2), ("7", 1, 7), ("7", "quick", "7"), ("3", 0.5, 3.0),
        ("true", False, True), ("False", True, False), ("[1, 2]", [], [1, 2]), ("none", 3, None),
        ("smoke", "quick", "smoke"), ("4", None, 4),
    ],
)  # fmt: skip
def test_values_are_of_the_type_of_the_default(text, default, value):
    """Whole numbers are those of ``--set``."""
    found = notebook.parse("seed", text, {"seed": default})
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", ["(" * 10**5, "{[]: 1}", "1_0_", "9" * 5000 + "x", "1e999"])
def test_values_that_are_none_are_one_line(text):
    with pytest.raises(ConfigError, match="^parameter seed = .*: must be of type int") as caught:
        notebook.parse("seed", text, {"seed": 1})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".ipynb", "", ".", "no/such.ipynb"])
def test_names_of_no_notebook_are_one_line(name, tmp_path):
    for elsewhere in (tmp_path, Path("no")):  # not the project's of the same name
        with pytest.raises(ConfigError, match="^notebook = "):
            notebook.find(str(elsewhere / "01_mobility.ipynb"))
    with pytest.raises(ConfigError, match="^notebook = '.*: must be one of 01_mobility, "):
        notebook.find(name)


@pytest.mark.parametrize("name", ["{seed}.ipynb", "{}.ipynb", "{0}.ipynb", "{x!r}/{y}.ipynb", "}{"])
def test_braces_are_plain_letters(name, tmp_path):
    (tmp_path / "s{seed}").mkdir()
    path = written(tmp_path / "s{seed}" / "my.ipynb", SIMPLE)
    before = path.read_bytes()
    out = notebook.execute(str(path), {"seed": "2"}, tmp_path / name, progress=False)
    assert out == tmp_path / name and nbformat.read(out, as_version=4).cells
    assert str(out) in out.read_text() and "copy.ipynb" not in out.read_text()
    assert path.read_bytes() == before


def test_a_copy_never_takes_the_place_of_a_notebook(tmp_path):
    path = written(tmp_path / "my.ipynb", SIMPLE)
    (tmp_path / "link.ipynb").symlink_to(path)
    (tmp_path / "same.ipynb").hardlink_to(path)
    before = path.read_bytes()
    for out in ("my.ipynb", "link.ipynb", "same.ipynb", "../" + tmp_path.name + "/my.ipynb", "."):
        with pytest.raises(FileError, match="is the notebook itself"):
            notebook.execute(str(path), {}, tmp_path / out, progress=False)
    assert path.read_bytes() == before


def test_a_kernel_that_dies_is_one_line(tmp_path):
    path = written(tmp_path / "my.ipynb", SIMPLE, "import os; os._exit(1)")
    with pytest.raises(FileError, match=r"o.ipynb: the kernel died or is missing \(.*\)$"):
        notebook.execute(str(path), {}, tmp_path / "o.ipynb", progress=False)
    assert not list(tmp_path.glob(".*"))


def test_a_kernel_that_never_answers_is_started_again_once(tmp_path, monkeypatch):
    path, tries = written(tmp_path / "my.ipynb", SIMPLE), []

    def execute(*args, **options):
        tries.append(args)
        raise RuntimeError("Kernel didn't respond in 60 seconds")

    monkeypatch.setattr("papermill.execute_notebook", execute)
    with pytest.raises(FileError, match=r"o.ipynb: the kernel does not answer \(.*\)$"):
        notebook.execute(str(path), {}, tmp_path / "o.ipynb", progress=False)
    assert len(tries) == 2


def test_nothing_is_left_where_nothing_can_be_written(tmp_path):
    path = written(tmp_path / "my.ipynb", SIMPLE)
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "o.ipynb", tmp_path / ("x" * 300)):
        with pytest.raises(FileError, match="cannot be written"):
            notebook.execute(str(path), {}, out, progress=False)
    assert {p.name for p in tmp_path.iterdir()} == {"file", "my.ipynb"}


def test_an_earlier_copy_stays_until_there_is_another(tmp_path, monkeypatch):
    path = written(tmp_path / "my.ipynb", SIMPLE)
    (tmp_path / "o.ipynb").write_text("earlier")
    monkeypatch.setattr(notebook, "_run", lambda *_, **__: "the kernel died")
    with pytest.raises(FileError, match="the kernel died"):
        notebook.execute(str(path), {}, tmp_path / "o.ipynb", progress=False)
    assert (tmp_path / "o.ipynb").read_text() == "earlier"


def test_nothing_lies_beside_a_copy_that_the_next_call_would_not_remove(tmp_path, monkeypatch):
    """A kill meanwhile leaves what lies there then."""
    path, seen = written(tmp_path / "my.ipynb", SIMPLE), []

    def run(path, copy, *_, **__):
        seen.extend((tmp_path / "out").iterdir())
        assert tmp_path / "out" not in copy.parents
        return "stopped"

    monkeypatch.setattr(notebook, "_run", run)
    with pytest.raises(FileError, match="stopped"):
        notebook.execute(str(path), {}, tmp_path / "out" / "o.ipynb", progress=False)
    assert [files._PART.fullmatch(left.name) is None for left in seen] == [False]
    assert not list((tmp_path / "out").iterdir())


def test_never_into_the_notebooks_folder():
    with pytest.raises(FileError, match="own folder"):
        notebook.execute("01_mobility", {}, paths.notebooks() / "copy.ipynb", False)
    assert not (paths.notebooks() / "copy.ipynb").exists()
