"""The floors of ``dtlib``: the contract names all that there is, and the picture shows it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def floors():
    """The extension of the book that draws them."""
    spec = importlib.util.spec_from_file_location("floors", ROOT / "book" / "_ext" / "floors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_folder_has_a_floor(floors):
    named = [name for floor in floors.layers() for name in floor]
    there = {p.stem for p in (ROOT / "dtlib").iterdir() if p.suffix == ".py" or p.is_dir()}
    assert len(named) == len(set(named))
    assert set(named) == there - {"__init__", "__pycache__"}


def test_imports_lead_down(floors):
    order = {name: place for place, floor in enumerate(floors.layers()) for name in floor}
    pairs = [(name, other) for name in order for other in floors.imports(name)]
    assert pairs
    assert all(order[name] < order[other] for name, other in pairs)


def test_the_front_leads_nowhere_else(floors):
    for name in floors.FRONT:
        assert floors.imports(name) <= {*floors.FRONT, "kernels", "runtime"}, name


def test_the_front_is_thin():
    """Settings, model and HAPPO are an evening's reading, examples in docstrings included."""
    files = [
        path
        for name in ("settings", "model", "happo")
        for path in (ROOT / "dtlib" / name).glob("*.py")
    ]
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in files)
    assert 2000 < lines <= 2500, "shorten something there, or raise the limit and say why"
    page = (ROOT / "dtlib" / "happo" / "algorithm.py").read_text(encoding="utf-8")
    plain = (ROOT / "dtlib" / "happo" / "plain.py").read_text(encoding="utf-8")
    assert page.count("\n") <= 150 and plain.count("\n") <= 150


def nodes(*folders):
    """Everything in the code of some folders, each with the name of its file."""
    for path in (ROOT / "dtlib").rglob("*.py"):
        if not any(path.is_relative_to(ROOT / "dtlib" / folder) for folder in folders):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path.stem, node


def test_at_most_three_values_go_without_a_name():
    """In a call of what ``dtlib`` defines, unless it takes any number of them, as ``*args``."""
    defined = [node for _, node in nodes("") if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    any_number = {one.name for one in defined if getattr(getattr(one, "args", None), "vararg", 0)}
    known = {one.name for one in defined} - any_number
    calls = [(file, node) for file, node in nodes("") if isinstance(node, ast.Call)]
    names = [getattr(call.func, "attr", getattr(call.func, "id", "")) for _, call in calls]
    assert known & set(names)
    assert not [
        f"{file}:{call.lineno}: {name}"
        for (file, call), name in zip(calls, names, strict=True)
        if name in known and len(call.args) > 3
    ]


def test_at_most_three_fields_of_a_record_go_without_a_name():
    for file, node in nodes(""):
        made = [ast.unparse(one) for one in getattr(node, "decorator_list", ())]
        if not any(one.startswith("dataclass") and "kw_only" not in one for one in made):
            continue
        fields = [
            ast.unparse(one.annotation) for one in node.body if isinstance(one, ast.AnnAssign)
        ]
        free = fields.index("KW_ONLY") if "KW_ONLY" in fields else len(fields)
        assert free <= 3, f"{file}: {node.name}"


SHARED = {"EXPERIMENT", "FORMATS", "NAME", "TABLE"}
"""Constants that mean the same in each file that has them: of its experiment, of its columns."""


def test_a_constant_is_defined_once():
    """So that whoever knows it from one file knows it in another."""
    found = [
        target.id
        for path in (ROOT / "dtlib").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for one in getattr(node, "targets", None) or [node.target]
        for target in ast.walk(one)
        if isinstance(target, ast.Name) and target.id.isupper() and target.id[0] != "_"
    ]
    assert len(found) > 100
    assert {name for name in found if found.count(name) > 1} <= SHARED


def test_the_picture_shows_every_import(floors):
    tree = ElementTree.fromstring(floors.picture())
    space = "{http://www.w3.org/2000/svg}"
    titles = {one.text for one in tree.iter(f"{space}title")}
    names = [name for floor in floors.layers() for name in floor]
    assert titles == {f"{one} imports {two}" for one in names for two in floors.imports(one)}
    shown = {one.text.rstrip("/") for one in tree.iter(f"{space}tspan") if one.get("font-weight")}
    assert shown == set(names)


def test_imports_inside_functions_count(floors, tmp_path):
    (tmp_path / "dtlib" / "one").mkdir(parents=True)
    text = """
def f():
    from dtlib.model import world
    import dtlib.runtime.seeds

from dtlib import cli
"""
    (tmp_path / "dtlib" / "one" / "a.py").write_text(text, encoding="utf-8")
    assert floors.imports("one", tmp_path) == {"model", "runtime", "cli"}
