"""What a student is given to fill in says what goes in and out."""

import ast
import doctest
import math
import re
from itertools import pairwise

import nbformat
import pytest
import torch
from torch import nn
from witnesses import NOTEBOOKS

from ddpm_course.exercises import reference

CALL = re.compile(r'^(?:(\w+) = )?(?:check|use)\("([\w.]+)"', re.M)


def tags(cell):
    return set(cell.metadata.get("tags", []))


def stubs():
    """(number, source, page) of the exercises that ask for a function or a class."""
    for path in NOTEBOOKS:
        code = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
        for stub, check in pairwise(code):
            asks = re.match(r"(def|class) ", stub.source)
            if asks and "exercise-stub" in tags(stub):
                ((_, number),) = CALL.findall(check.source)
                yield pytest.param(number, stub.source, code, id=number)


def known_on(page):
    """What an example may use: imports, pieces that are right, and what they build."""
    names = {"math": math, "torch": torch, "nn": nn, "T": 200}
    names |= {"images": torch.zeros(9, 1, 28, 28)}
    names |= {"alpha_bar": torch.linspace(1, 0.01, 201)}
    for cell in page:
        for name, number in CALL.findall(cell.source):
            names |= {name: reference(number)} if name else {}
        kinds = {type(node) for node in parsed(cell)}
        defines = {ast.ClassDef} <= kinds <= {ast.ClassDef, ast.FunctionDef}
        if defines and not tags(cell) & {"exercise-stub", "exercise-solution"}:
            exec(f"from torch.nn import functional as F\n{cell.source}", names)
    if "UNet" in names:
        names["network"] = names["UNet"](names["Block"], names["embed"])
    return names


def parsed(cell):
    return ast.parse(cell.source).body


@pytest.mark.parametrize(("number", "source", "page"), list(stubs()))
def test_a_stub_states_shapes_and_works_an_example(number, source, page):
    """Its example is what the reference gives. A hunt for a bug asks for a pair."""
    asked, right = ast.parse(source).body, reference(number)
    right = right if isinstance(right, tuple) else (right,)
    names = known_on(page)
    names |= {one.name: answer for one, answer in zip(asked, right, strict=True)}
    for one in asked:
        text = ast.get_docstring(one)
        examples = doctest.DocTestParser().get_doctest(text, names, number, None, 0)
        assert examples.examples, f"{number}: {one.name} has no example"
        said: list[str] = []
        doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
        assert "".join(said) == ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_exercises_need_no_cell_of_the_chapter_but_its_first(path, monkeypatch):
    """Whoever comes for the exercises runs the imports, and can begin."""
    monkeypatch.setenv("DDPM_STRICT", "0")
    cells = nbformat.read(path, 4).cells
    heads = [
        i for i, cell in enumerate(cells) if "\n## Exercises" in f"\n{cell.source}"
    ]
    if not heads:
        pytest.skip("no section of exercises")
    last = max(i for i, cell in enumerate(cells) if "exercise-check" in tags(cell))
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    names: dict = {}
    for i in (first, *range(heads[0], last + 1)):
        if cells[i].cell_type == "code" and "exercise-solution" not in tags(cells[i]):
            exec(cells[i].source, names)
