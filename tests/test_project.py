"""The project's files agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import dtlib
from dtlib import EnvConfig, Outcome, TrainConfig
from dtlib.model.simulator import Actions
from dtlib.model.world import World

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


def requirements() -> list[Requirement]:
    """What ``dtlib[all]`` asks for, extras of extras included."""
    extras = PROJECT["optional-dependencies"]
    listed, wanted = list(PROJECT["dependencies"]), ["all"]
    while wanted:
        for line in extras[wanted.pop()]:
            one = Requirement(line)
            if one.name == PROJECT["name"]:
                wanted += sorted(one.extras)
            else:
                listed.append(line)
    return [Requirement(line) for line in listed]


def locked() -> dict[str, Version]:
    """Names and versions of the lock file."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def tracked() -> list[Path]:
    """Text files that git knows of, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listing.stdout.splitlines()]
    return [file for file in files if file.is_file() and file.suffix != ".png"]


def test_environment_is_pyproject():
    """The conda environment is Python as required and an editable ``dtlib[all]``, no more."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge"]
    assert environment["dependencies"] == [
        "python" + PROJECT["requires-python"],
        "pip",
        {"pip": ["-e .[all]"]},
    ]


def test_all_is_every_extra():
    """``dtlib[all]`` names each extra but the one that only ``make bench`` uses."""
    extras = PROJECT["optional-dependencies"]
    assert Requirement(extras["all"][0]).extras == extras.keys() - {"all", "bench"}


def test_lock_has_names_and_public_versions_only():
    """No addresses, no editable lines, no builds such as ``+cpu``."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line), line
    names = [line.split("==")[0].lower() for line in lines if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert PROJECT["name"] not in names


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_lock_satisfies(requirement):
    """Each direct dependency is locked to a version that pyproject allows."""
    version = locked()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"{version} is not {requirement.specifier}"


def test_no_registry_address():
    """No file names a package registry."""
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npm" + "js", "deb.debian" + ".org")
    for file in tracked():
        text = file.read_text(encoding="utf-8", errors="replace")
        assert not any(host in text for host in hosts), file.relative_to(ROOT)


def test_one_version():
    """pyproject, CITATION.cff and the package agree."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == PROJECT["version"] == dtlib.__version__
    assert citation["license"] == PROJECT["license"]


def test_ci_is_make_test():
    """CI runs what a developer runs."""
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert lines[-1] == "exec make test"


def test_contents_are_the_notebooks():
    """Every notebook is a page of the book."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"file: notebooks/(\S+)", contents))
    assert named == {file.stem for file in (ROOT / "notebooks").glob("*.ipynb")}


def test_reference_covers_every_module():
    """The book's reference documents each module; the command line has a page of its own."""
    pages = (ROOT / "book" / "api").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"automodule:: (dtlib\.\S+)", text))
    files = (ROOT / "dtlib").rglob("*.py")
    modules = {".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files}
    modules = {name.removesuffix(".__init__") for name in modules}
    assert named == modules - {"dtlib.cli", "dtlib"}


@pytest.mark.parametrize("page", ["glossary", "ledger"])
def test_names_in_prose_exist(page):
    """What the glossary and the ledger call by name is in the code."""
    models = {"EnvConfig": EnvConfig, "TrainConfig": TrainConfig}
    records = {"World": World, "Actions": Actions, "Outcome": Outcome}
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    mentions = re.findall(r"`(\w+)\.(\w+)`", text)
    assert mentions
    for owner, name in mentions:
        if owner in models:
            model = models[owner]
            assert name in model.model_fields or hasattr(model, name), f"{owner}.{name}"
        else:
            record = records[owner]
            assert name in record.__dataclass_fields__ or hasattr(record, name), f"{owner}.{name}"


@pytest.mark.parametrize("model", [EnvConfig, TrainConfig], ids=lambda model: model.__name__)
def test_ledger_names_every_open_reading(model):
    """A setting that the paper does not give has an entry in the ledger."""
    text = (ROOT / "book" / "ledger.md").read_text(encoding="utf-8")
    given = ("Table I", "Section V-A")
    for name, field in model.model_fields.items():
        if name in ("algorithm", "preset", "seed", "env") or any(
            g in field.description for g in given
        ):
            continue
        assert re.search(rf"`(?:\w+\.)?{name}`", text), name
