"""What a run of a chapter by nbval shows besides its outputs.

To run a chapter takes up to a minute, so one run serves all tests. ``book/conftest.py``
lets nbval collect each notebook as a ``Chapter``: its cells run in an empty folder, as
in Colab. After the last one come the figures, in quick chapters the reader who steps
back, and the exercises, solved one after the other.
"""

import re
import tempfile
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import pytest
from drawn import KIND, RECORD
from figures import faults
from nbformat import NotebookNode
from nbval.plugin import IPyNbFile
from rerun import Kernel, code_of, drawn_otherwise, steps_back, strangers

#: The chapters that are quick enough to be run again here, cell by cell. For the others
#: there is `nox -s rerun`.
QUICK = ("01", "02", "03", "04")


class Chapter(IPyNbFile):
    """A notebook whose cells run once, for all that is to be seen in it."""

    def setup(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        super().setup()
        self.skip_compare += (KIND,)  # what RECORD adds to the outputs
        here = f"import os; os.chdir({self.folder.name!r})"
        error = Kernel(self.kernel.kc).run(f"{here}\n{RECORD}")
        assert error is None, error

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()

    def collect(self):
        self.cells = list(super().collect())
        yield from self.cells
        yield Afterwards.from_parent(self, name="figures", look=figures)
        if self.path.name.startswith(QUICK):
            yield Afterwards.from_parent(self, name="steps back", look=steps_taken_back)
        yield Afterwards.from_parent(self, name="exercises", look=exercises)

    def run(self) -> NotebookNode:
        """The notebook with the outputs of this run."""
        assert not any(cell.options["skip"] for cell in self.cells), "a cell is skipped"
        if any(cell.test_outputs is None for cell in self.cells):
            pytest.skip("needs a run of all cells")
        run = deepcopy(self.nb)
        for (_, cell), ran in zip(code_of(run), self.cells, strict=True):
            cell.outputs = ran.test_outputs
        return run


class Afterwards(pytest.Item):
    """What is looked at after the last cell, while the kernel still runs."""

    def __init__(self, look: Callable, **options):
        super().__init__(**options)
        self.look = look

    def runtest(self) -> None:
        chapter: Chapter = self.parent
        self.look(chapter.nb, chapter.run(), Kernel(chapter.kernel.kc))


def figures(source: NotebookNode, run: NotebookNode, kernel: Kernel) -> None:
    wrong = faults(source, run) + strangers(source, run)
    assert not wrong, wrong


def steps_taken_back(source: NotebookNode, run: NotebookNode, kernel: Kernel) -> None:
    code, wrong = code_of(source), []
    for (i, stored), (_, ran) in zip(code, code_of(run), strict=True):
        wrong += drawn_otherwise(i, stored, ran.outputs)
    wrong += steps_back(code, kernel)
    assert not wrong, wrong


def exercises(source: NotebookNode, run: NotebookNode, kernel: Kernel) -> None:
    answers = solved(run.cells, source)
    for cell in answers:
        assert kernel.run(cell.source) is None, cell.source
        cell.outputs = kernel.outputs
    before, after = said(run.cells), said(answers)
    assert len(before) == len(after) == len(answers) / 2, "a check was not run"
    assert all("not attempted yet" in text for text in before), before
    assert all(": correct" in text for text in after), after


def solved(cells: list[NotebookNode], source: NotebookNode) -> list[NotebookNode]:
    """The stubs with the chapter's solutions in them, each with its check.

    A check may take a pair: an experiment and a repair. What else a solution shows is
    left out.
    """
    solutions = {}
    for cell in source.cells:
        if "exercise-solution" in cell.metadata.get("tags", []):
            for number, name in re.findall(r'check\("([\w.]+)", (\w+)\)', cell.source):
                solutions[number] = (name, cell.source)
    answers = []
    for stub, check in pairwise(cells):
        if "exercise-stub" in stub.metadata.get("tags", []):
            number, answer = re.search(
                r'(?:check|use)\("([\w.]+)", (\w+|\(.+\))\)', check.source
            ).groups()
            name, code = solutions.pop(number)
            stub, check = deepcopy(stub), deepcopy(check)
            stub.source = f"{code}\n{answer} = {name}"
            answers += [stub, check]
    assert not solutions
    return answers


def said(cells: list[NotebookNode]) -> list[str]:
    """What the checks of exercises have printed."""
    return [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in cells
        if "exercise-check" in cell.metadata.get("tags", [])
    ]
