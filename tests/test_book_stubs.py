"""What a student is given to fill in says what goes in and out."""

import ast
import doctest
import math
import re
from itertools import pairwise

import nbformat
import pytest
import torch
from witnesses import NOTEBOOKS

from ddpm_course.exercises import find_the_bug, reference


def stubs():
    """(number, source) of the exercises that ask for a function or a class."""
    for path in NOTEBOOKS:
        code = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
        for stub, check in pairwise(code):
            asks = re.match(r"(def|class) ", stub.source)
            if asks and "exercise-stub" in stub.metadata.get("tags", []):
                (number,) = re.findall(r'(?:check|use)\("([\w.]+)"', check.source)
                yield pytest.param(number, stub.source, id=number)


@pytest.mark.parametrize(("number", "source"), list(stubs()))
def test_a_stub_states_shapes_and_works_an_example(number, source):
    """Its example is what the reference gives."""
    right = reference(number)
    known = {"torch": torch, "math": math}
    if isinstance(right, tuple):  # two functions, about a program in a cell of the page
        known |= vars(find_the_bug)
    functions = ast.parse(source).body
    names = [function.name for function in functions]
    known |= zip(names, right if isinstance(right, tuple) else (right,), strict=True)
    for function in functions:
        text = ast.get_docstring(function)
        examples = doctest.DocTestParser().get_doctest(text, known, number, None, 0)
        assert examples.examples, f"{number} has no example"
        said: list[str] = []
        doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
        assert "".join(said) == ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_exercises_need_no_cell_of_the_chapter_but_its_first(path, monkeypatch):
    """Whoever comes for the exercises runs the imports, and can begin."""
    monkeypatch.setenv("DDPM_STRICT", "0")
    cells = nbformat.read(path, 4).cells
    tags = [set(cell.metadata.get("tags", [])) for cell in cells]
    heads = [
        i for i, cell in enumerate(cells) if "\n## Exercises" in f"\n{cell.source}"
    ]
    if not heads:
        pytest.skip("no section of exercises")
    last = max(i for i, of_cell in enumerate(tags) if "exercise-check" in of_cell)
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    names: dict = {}
    for i in (first, *range(heads[0], last + 1)):
        if cells[i].cell_type == "code" and "exercise-solution" not in tags[i]:
            exec(cells[i].source, names)
