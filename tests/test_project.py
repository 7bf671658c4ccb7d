"""The project's files agree with each other."""

from __future__ import annotations

import json
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
from dtlib.experiments import grids
from dtlib.model.simulator import Actions
from dtlib.model.world import World
from dtlib.runtime.bits import PORTABLE

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


HASH = r" \\\n    --hash=sha256:[0-9a-f]{64}"
PINNED = re.compile(rf"([a-z0-9-]+)==([0-9][0-9a-z.]*)(?: ; ([^\n]+?))?((?:{HASH})+)\n")
TORCH = "torch"  # its builds share a version, not a hash


def lock() -> str:
    """The lock file without its comments."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return re.sub(r"(?m)^#.*\n", "", text)


def locked() -> dict[str, Version]:
    """Names and versions of the lock file."""
    return {name: Version(version) for name, version, *_ in PINNED.findall(lock())}


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
    """The conda environment is Python as required, an editable ``dtlib[all]``, its arithmetic."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge"]
    assert environment["dependencies"] == [
        "python" + PROJECT["requires-python"],
        "pip",
        {"pip": ["-e .[all]"]},
    ]
    assert environment["variables"] == PORTABLE


def test_all_is_every_extra():
    """``dtlib[all]`` names each extra but the one that only ``make bench`` uses."""
    extras = PROJECT["optional-dependencies"]
    assert Requirement(extras["all"][0]).extras == extras.keys() - {"all", "bench"}


def test_lock_has_names_versions_and_hashes_only():
    """Each name once, in order; no addresses, no editable lines, no builds such as ``+cpu``."""
    assert PINNED.sub("", lock()) == ""
    names = [name for name, *_ in PINNED.findall(lock())]
    assert names == sorted(set(names))
    assert PROJECT["name"] not in names
    assert not [name for name in names if re.match(f"{TORCH}$|nvidia-|cuda-|triton", name)]


def test_lock_is_for_every_python_and_system():
    """No package is tied to the Python or the system that made the lock; pip is pinned, too."""
    markers = {name: marker for name, _, marker, _ in PINNED.findall(lock())}
    assert {"pip", "setuptools"} <= markers.keys()
    assert "3.12" in markers["aiohttp"]  # papermill's, on Python 3.12 alone
    assert "win32" in markers["colorama"]
    wheels = {name: hashes.count("--hash") for name, _, _, hashes in PINNED.findall(lock())}
    # CPython 3.11 to 3.13 on Linux (x86-64, ARM), macOS and Windows, and the source.
    assert wheels["numpy"] > 3 * 4


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_lock_satisfies(requirement):
    """Each direct dependency is locked to a version that pyproject allows, torch in pyproject."""
    if requirement.name == TORCH:
        assert re.fullmatch(r"==[\d.]+", str(requirement.specifier))
        return
    version = locked()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"{version} is not {requirement.specifier}"


def test_installation_checks_hashes():
    """The locked pip comes first; both it and the lock file are installed by hash."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile[makefile.index("$(STAMP):") : makefile.index("define check_python")]
    cut = re.search(r"sed -n '(.*)' requirements.lock > (\S+)", recipe)
    command = ["sed", "-n", cut[1].replace("$$", "$"), "requirements.lock"]
    pip = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [name for name, *_ in PINNED.findall(pip)] == ["pip"]
    assert PINNED.sub("", pip) == ""
    installed = re.findall(r"pip install -qq (.*?)(?:  #.*)?\n", recipe)
    assert installed == [
        f"--require-hashes -r {cut[2]}",
        "--no-compile --require-hashes --no-deps -r requirements.lock",
        "--no-compile --no-build-isolation -e .",
    ]


def test_no_registry_address():
    """No file names a package registry."""
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npm" + "js", "deb.debian" + ".org")
    for file in tracked():
        text = file.read_text(encoding="utf-8", errors="replace")
        assert not any(host in text for host in hosts), file.relative_to(ROOT)


def test_public_names_are_there_when_asked_for():
    places = [name for names in dtlib._PLACES.values() for name in names]
    assert sorted(places) == sorted(dtlib.__all__) and {*dtlib.__all__} <= {*dir(dtlib)}
    for name in dtlib.__all__:
        assert getattr(dtlib, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'dtlib' has no attribute 'nonsense'"):
        _ = dtlib.nonsense


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
    entries = re.findall(r"(?:file|glob): notebooks/(\S+)", contents)
    named = [file.stem for name in entries for file in (ROOT / "notebooks").glob(f"{name}.ipynb")]
    assert sorted(named) == sorted(file.stem for file in (ROOT / "notebooks").glob("*.ipynb"))


def test_no_line_of_prose_is_a_comment():
    """MyST takes a line that begins with a per cent sign for a comment, and drops it."""
    pages = {page: page.read_text(encoding="utf-8") for page in (ROOT / "book").rglob("*.md")}
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        pages[notebook] = "\n".join(prose)
    lost = {page.name: re.findall(r"(?m)^\s*%.*", text) for page, text in pages.items()}
    assert not any(lost.values()), lost


def test_map_has_every_figure():
    """Each figure of the paper has its page and its command in a row of the map."""
    rows = (ROOT / "book" / "map.md").read_text(encoding="utf-8").splitlines()
    for page in (ROOT / "notebooks").glob("fig*.ipynb"):
        (row,) = [row for row in rows if f"../notebooks/{page.stem}`" in row]
        command = re.search(r"`dtlib figure (\w+)`", row)
        assert page.stem.startswith(f"{grids.find(command[1]).name}_")


def test_reference_covers_every_module():
    """The book's reference documents each module; the command line has a page of its own."""
    pages = (ROOT / "book" / "api").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"automodule:: (dtlib\.\S+)", text))
    files = (ROOT / "dtlib").rglob("*.py")
    modules = {".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files}
    modules = {name.removesuffix(".__init__") for name in modules}
    assert named == modules - {"dtlib.cli", "dtlib.__main__", "dtlib"}


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
        found = re.search(rf"`(?:\w+\.)?{name}`", text) is not None
        assert found, f"book/ledger.md has no entry for `{name}`; see book/carry_on.md"
