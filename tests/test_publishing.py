"""What hosts, tests and contains the project calls the Makefile, and links appear where asked."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = SpecifierSet(PROJECT["requires-python"])
MINORS = [f"3.{minor}" for minor in range(30) if PYTHONS.contains(f"3.{minor}")]
LINKS = re.compile(r"mybinder\.org|colab\.research|/edit/main/|git clone")


class Strict(yaml.SafeLoader):
    """YAML in which a key stands once and ``on`` is a word."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
        return super().construct_mapping(node, deep)


Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:bool"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(file: Path) -> dict:
    """Return a YAML file."""
    return yaml.load(file.read_text(encoding="utf-8"), Strict)


def combinations(job: dict) -> list[dict]:
    """Return what a job's matrix gives, its plain lists with each other and what is included."""
    matrix = dict(job.get("strategy", {}).get("matrix", {}))
    included = matrix.pop("include", [])
    found: list[dict] = [{}]
    for name, values in matrix.items():
        found = [{**one, name: value} for one in found for value in values]
    return found + included


def commands(job: dict) -> list[str]:
    """Return what a job runs, the matrix filled in."""
    lines = [step["run"] for step in job["steps"] if "run" in step]
    return [
        re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda match, values=values: values[match[1]], line)
        for line in lines
        for values in combinations(job)
    ]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_call_the_makefile(file):
    """Each step is an action of GitHub's own or one target that exists; rights are named."""
    workflow = read(file)
    assert workflow.keys() == {"name", "on", "permissions", "concurrency", "jobs"}
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1")), step
        for line in commands(job):
            command, target = shlex.split(line)
            assert command == "make"
            assert target in TARGETS


def test_workflows_do_what_is_promised():
    """Lint, verify, and tests on each Python that pyproject allows; the book; a release."""
    assert [file.stem for file in WORKFLOWS] == ["book", "release", "tests"]
    book, release, tests = map(read, WORKFLOWS)
    runs = combinations(tests["jobs"]["make"])
    assert sorted(run["python"] for run in runs if run["target"] == "test") == MINORS
    assert {run["target"] for run in runs} == {"lint", "test", "verify"}
    assert "pull_request" in tests["on"]
    build, deploy = book["jobs"].values()
    assert commands(build) == ["make book"]
    assert build["steps"][-1]["with"]["path"] == "_build/html"
    assert deploy["needs"] == "build"
    assert release["on"] == {"push": {"tags": ["v*"]}}
    assert commands(release["jobs"]["publish"]) == ["make publish"]


def test_verify_is_one_run_of_each_algorithm():
    """`make verify` makes as many runs as the figure has learners, and one of each."""
    from dtlib.experiments import committed, grids
    from dtlib.experiments.verify import chosen

    name, preset, count = re.search(
        r"dtlib verify (\w+) --preset (\w+) --runs (\d+)", MAKEFILE
    ).groups()
    runs = chosen(committed.runs_of(grids.find(name), preset), int(count))
    algorithms = ["beta-happo", "beta-mappo", "gaussian-happo", "maddpg"]
    assert sorted(run.config.algorithm for run in runs) == algorithms


def test_python_bound_is_the_same_everywhere():
    """pyproject's bound is the Makefile's, the classifiers', the container's and the reader's."""
    spoken = f"{', '.join(MINORS[:-1])} or {MINORS[-1]}"
    for file in ("Makefile", "README.md", "book/run_it_yourself.md"):
        assert f"Python {spoken}" in (ROOT / file).read_text(encoding="utf-8"), file
    known = [line.split(" :: ")[-1] for line in PROJECT["classifiers"] if " :: Python ::" in line]
    assert known == MINORS
    image = re.search(r"^FROM python:([\d.]+)-slim$", (ROOT / "Dockerfile").read_text(), re.M)
    assert image[1] in MINORS


@pytest.mark.parametrize(
    ("version", "refused"), [((3, 10), True), ((3, 11), False), ((3, 13), False), ((3, 14), True)]
)
def test_makefile_refuses_other_pythons(tmp_path, version, refused):
    """Another Python is refused in one line that names what is allowed and what was given."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\n[ \"$1\" = -c ] || exit 1\nexec '{sys.executable}' -c "
        f'"import sys; sys.version_info = {(*version, 0)}; $2"\n'
    )
    python.chmod(0o755)
    probe = "\nprobe:\n\t@$(call check_python)\n"
    (tmp_path / "Makefile").write_text(MAKEFILE + probe)
    command = ["make", "-s", "probe", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    allowed = f"{', '.join(MINORS[:-1])} or {MINORS[-1]}"
    line = f"dtlib needs Python {allowed}, but '{python}' is not: name one with make PYTHON=..."
    assert (done.returncode != 0) == refused
    assert done.stderr.splitlines()[:1] == [line] * refused


def test_container_runs_the_makefile():
    """The image is made by `make install` and runs `make reproduce`; an editor's is the same."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    steps = [line.split(" ", 1) for line in re.findall(r"^[A-Z]+ .*", text, re.M)]
    assert [word for word, _ in steps] == ["FROM", "RUN", "WORKDIR", "COPY", "RUN", "CMD"]
    assert steps[-2][1] == "make install"
    assert json.loads(steps[-1][1]) == ["make", "reproduce"]
    for package in ("make", "git", "chromium", "qemu-user"):  # what .ci/run installs, and make, git
        assert re.search(rf"install .*\b{package}\b", text), package
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    assert (folder / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert settings["postCreateCommand"] == "make install"


def test_commit_hooks_are_make_lint():
    """Before a commit runs what `make lint` runs, from .venv, with nothing fetched."""
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)[1]
    lines = recipe.replace("$(BIN)", ".venv/bin").replace("\t", "").splitlines()
    assert [hook["entry"] for hook in repository["hooks"]] == lines


def pages(folder: Path, address: str | None) -> subprocess.CompletedProcess:
    """Build two pages in the book's manner, a notebook and what readers are told."""
    told = (ROOT / "book" / "run_it_yourself.md").read_text(encoding="utf-8")
    block = re.search(r"````\{only\} hosted\n.*?\n````\n", told, re.S)[0]
    toctree = "```{toctree}\nnotebook\n```\n"
    (folder / "index.md").write_text(f"# Page\n\n{toctree}\n{block}", encoding="utf-8")
    shutil.copy(ROOT / "notebooks" / "01_mobility.ipynb", folder / "notebook.ipynb")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
        "extensions = ['myst_nb', 'sphinx_book_theme', 'hosted']\n"
        "html_theme = 'sphinx_book_theme'\nnb_execution_mode = 'off'\n"
        "myst_enable_extensions = ['dollarmath', 'amsmath', 'substitution']\n"
        "suppress_warnings = ['myst.xref_missing', 'ref.*', 'toc.*']\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "BOOK_REPOSITORY"}
    if address is not None:
        environ["BOOK_REPOSITORY"] = address
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(folder), str(folder / "out")]
    return subprocess.run(command, env=environ, capture_output=True, text=True)


def test_without_an_address_there_is_no_link(tmp_path):
    """No launch, no edit, no word of either."""
    done = pages(tmp_path, None)
    assert done.returncode == 0, done.stderr
    for name in ("index", "notebook"):
        text = (tmp_path / "out" / f"{name}.html").read_text(encoding="utf-8")
        assert not LINKS.search(text)
        assert "Colab" not in text


def test_with_an_address_there_are_links(tmp_path):
    """Each link leads to the page's own source in the named repository."""
    done = pages(tmp_path, "https://github.com/someone/companion/")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "notebook.html").read_text(encoding="utf-8")
    for link in (
        "https://github.com/someone/companion/edit/main/notebook.ipynb",
        "https://mybinder.org/v2/gh/someone/companion/main?urlpath=lab/tree/notebook.ipynb",
        "https://colab.research.google.com/github/someone/companion/blob/main/notebook.ipynb",
    ):
        assert link in text
    told = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "git clone --depth 1 https://github.com/someone/companion dtlib" in told
    assert "edit/main/index.md" in told


def test_an_address_that_is_none_is_told(tmp_path):
    """What links cannot be made of is an error that names setting, value and form."""
    done = pages(tmp_path, "github.com/someone")
    assert done.returncode != 0
    assert "BOOK_REPOSITORY: 'github.com/someone' is not https://github.com/OWNER/" in done.stderr
