"""What a run of a chapter by nbval notices; see chapters.py."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT
from nbclient import NotebookClient

CURVES = """import matplotlib.pyplot as plt
import numpy as np
u = np.linspace(0.1, 3)
for color, y, name in [("k", u - 1, "$u - 1$"), ("r", np.log(u), r"$\\log\\,u$")]:
    plt.plot(u, y, color)
    plt.text(2, 0, name, color=color)
plt.show()"""
STUB = "answer_1_1 = ..."
CHECK = 'from ddpm_course.exercises import check\ncheck("1.1", answer_1_1)'
SOLUTION = """import sympy as sp
from ddpm_course.equations import beta_t
solution_1_1 = sp.sqrt(1 - beta_t)
check("1.1", solution_1_1)"""


WRONG = SOLUTION.replace("- beta_t", "+ beta_t")


def cell(source, *tags, figure=None, like=None):
    made = nbformat.v4.new_code_cell(source, execution_count=1)
    made.metadata["tags"] = ["nbval-ignore-output", *tags]
    if figure:
        made.metadata["mystnb"] = {"figure": {"name": figure}}
        made.outputs = like
    return made


def picture(source):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    return notebook.cells[0].outputs


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What nbval says of a good notebook and of some with faults."""
    folder = tmp_path_factory.mktemp("chapters")
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "book").mkdir()
    (folder / "book" / "beside.txt").touch()
    for name in ("pyproject.toml", "book/conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    stub, check = cell(STUB, "exercise-stub"), cell(CHECK, "exercise-check")
    figure = {"figure": "fig-elbo-log", "like": picture(CURVES)}
    notebooks = {
        "05_good": [
            cell(CURVES, **figure),
            *(stub, check, cell(SOLUTION, "exercise-solution")),
        ],
        "06_bad": [
            cell('open("beside.txt")'),
            cell(CURVES.replace("u, y,", "u, -y,"), **figure),
            *(stub, check, cell(WRONG, "exercise-solution")),
        ],
        "07_solved": [
            cell(STUB.replace("...", "0"), "exercise-stub"),
            *(check, cell(SOLUTION, "exercise-solution")),
        ],
        "01_steps": [cell("x = 1"), cell("print(x + 1)"), cell('x = "a symbol"')],
    }
    for name, cells in notebooks.items():
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": ""}
        nbformat.write(notebook, folder / "book" / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "book", "-rA", "-q"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        **{"cwd": folder, "capture_output": True, "text": True},
        env=os.environ | {"DDPM_STRICT": "0", "DDPM_PROGRESS": ""},
    )
    outcome = r"^(PASSED|FAILED) book/(\d+_\w+)\.ipynb::(.+?)(?: - .*)?$"
    found = re.findall(outcome, done.stdout, re.M)
    return {(name, what): outcome for outcome, name, what in found}


def failed(said, name):
    return [w for (n, w), outcome in said.items() if n == name and outcome == "FAILED"]


@pytest.mark.slow
def test_a_good_chapter_passes(said):
    assert failed(said, "05_good") == []
    assert said["05_good", "figures"] == said["05_good", "exercises"] == "PASSED"


@pytest.mark.slow
def test_what_lies_beside_the_notebook_is_not_there_in_colab(said):
    assert said["06_bad", "Cell 0"] == "FAILED"


@pytest.mark.slow
def test_a_figure_and_a_solution_that_are_wrong_are_found(said):
    assert failed(said, "06_bad") == ["Cell 0", "figures", "exercises"]


@pytest.mark.slow
def test_a_stub_that_holds_an_answer_is_found(said):
    assert failed(said, "07_solved") == ["exercises"]


@pytest.mark.slow
def test_a_cell_that_a_later_one_spoils_is_found(said):
    assert failed(said, "01_steps") == ["reader who steps back"]
