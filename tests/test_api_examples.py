"""Examples on the pages of the API reference: they run, and leave no public name of theirs out."""

import ast
import doctest
import re

import pytest
import torch

from dtlib.runtime import paths
from dtlib.training import evaluation

WHOLE = ("settings", "model", "agents", "happo")
"""Pages whose session uses all that is public; each is of the folder with its name."""
PAGES = (*WHOLE, "kernels")
"""Pages with a session."""
BLOCK = re.compile(r"^```pycon\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITHOUT = {"Settings"}
"""Names without an example: the base class of both kinds of settings."""


def session(page):
    """The examples of a page, one after another, as one test."""
    file = paths.root() / "book" / "api" / f"{page}.md"
    text = "\n".join(BLOCK.findall(file.read_text(encoding="utf-8")))
    return doctest.DocTestParser().get_doctest(text, {}, page, str(file), 0)


@pytest.mark.parametrize("page", ["README.md", "book/run_it_yourself.md"])
def test_blocks_of_python_run_in_their_order(page, tmp_path, monkeypatch, capsys):
    """A newcomer pastes one after the other."""
    text = (paths.root() / page).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation, "EVALUATION_FRAMES", 2)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(block, names)
    assert names["outcome"].failure_ratio_slots.shape == (4, names["env"].num_users)
    assert "energy_per_user_slot_j" in capsys.readouterr().out


@pytest.fixture(autouse=True)
def _print_options():
    yield
    torch.set_printoptions(profile="default")


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page, capsys):
    test = session(page)
    assert len(test.examples) > 8
    result = doctest.DocTestRunner(verbose=False).run(test)
    assert result.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("page", WHOLE)
def test_no_public_name_is_left_out(page):
    """A name is used in an example, there or in its docstring, or a variable is of its type."""
    test = session(page)
    doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
    shown = {type(value).__name__ for value in test.globs.values()}
    for node in ast.walk(ast.parse("".join(example.source for example in test.examples))):
        used = isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
        shown |= {getattr(node, "id", "") or getattr(node, "attr", "")} if used else set()
    public = set()
    for file in (paths.root() / "dtlib" / page).rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                public.add(node.name)
                shown |= {node.name} if ">>>" in (ast.get_docstring(node) or "") else set()
    assert public - shown - WITHOUT == set()
