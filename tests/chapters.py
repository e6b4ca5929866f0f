"""What a run of a chapter by nbval shows besides its outputs.

To run a chapter takes up to a minute, so one run serves all tests. ``book/conftest.py``
lets nbval collect each notebook as a ``Chapter``: its cells run in an empty folder, as
in Colab, and after the last one come the figures, the reader who steps back, and the
exercises, solved one after the other.
"""

import re
import tempfile
from copy import deepcopy
from itertools import pairwise

import pytest
from drawn import KIND, RECORD
from figures import faults
from nbformat import NotebookNode
from nbval.plugin import IPyNbFile
from rerun import Kernel, code_of, drawn_otherwise, steps_back, strangers

#: The chapters that train nothing: they are run again, cell by cell. `nox -s rerun`
#: takes the others.
QUICK = ("01", "02", "03", "04")


class Chapter(IPyNbFile):
    """A notebook whose cells run once, for all that is to be seen in it."""

    def setup(self) -> None:
        super().setup()
        self.skip_compare += (KIND,)  # what RECORD adds to the outputs
        self.folder = tempfile.TemporaryDirectory()
        here = f"import os; os.chdir({self.folder.name!r})"
        Kernel(self.kernel.kc).run(f"{here}\n{RECORD}")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()

    def collect(self):
        self.cells = list(super().collect())
        yield from self.cells
        afterwards = ["figures", "exercises"]
        if self.path.name.startswith(QUICK):
            afterwards.insert(1, "reader who steps back")
        for name in afterwards:
            yield Afterwards.from_parent(self, name=name)

    def run(self) -> NotebookNode:
        """The notebook with the outputs of this run."""
        if any(cell.test_outputs is None for cell in self.cells):
            pytest.skip("needs a run of all cells")
        run = deepcopy(self.nb)
        code = (cell for cell in run.cells if cell.cell_type == "code")
        for cell, ran in zip(code, self.cells, strict=True):
            cell.outputs = ran.test_outputs
        return run


class Afterwards(pytest.Item):
    def runtest(self) -> None:
        chapter: Chapter = self.parent
        run, kernel = chapter.run(), Kernel(chapter.kernel.kc)
        if self.name == "figures":
            assert faults(chapter.nb, run) == []
            assert strangers(chapter.nb, run) == []
        elif self.name == "exercises":
            assert all("not attempted yet" in text for text in said(run.cells))
            answers = solved(run.cells, chapter.nb)
            for cell in answers:
                assert kernel.run(cell.source) is None, cell.source
                cell.outputs = kernel.outputs
            assert all(": correct" in text for text in said(answers)), said(answers)
        else:
            ran = {cell.id: cell.outputs for cell in run.cells if "outputs" in cell}
            code = code_of(chapter.path)
            for i, cell in code:
                assert drawn_otherwise(i, cell, ran[cell.id]) == []
            assert steps_back(code, kernel) == []


def solved(cells: list[NotebookNode], source: NotebookNode) -> list[NotebookNode]:
    """The stubs with the chapter's solutions in them, each with its check."""
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
