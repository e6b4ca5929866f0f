"""What a run of a chapter by nbval notices; see chapters.py."""

import os
import re
import shutil
import subprocess
import sys
from copy import deepcopy

import nbformat
import pytest
from helpers import ROOT
from test_book_rerun import CURVES, FIGURE, LINE, UPSIDE_DOWN, ran

STUB = "answer_1_1 = ..."
CHECK = 'from ddpm_course.exercises import check\ncheck("1.1", answer_1_1)'
SOLUTION = """import sympy as sp
from ddpm_course.equations import beta_t
solution_1_1 = sp.sqrt(1 - beta_t)
check("1.1", solution_1_1)"""
WRONG = SOLUTION.replace("- beta_t", "+ beta_t")


def cell(source, *tags, like=None):
    """A cell as a chapter has it; with the figure and the outputs of another."""
    made = nbformat.v4.new_code_cell(source, execution_count=1)
    if like:
        made.metadata, made.outputs = deepcopy(like.metadata), like.outputs
    made.metadata["tags"] = ["nbval-ignore-output", *tags]
    return made


def notebooks():
    """A good one, and some with faults."""
    stub, check = cell(STUB, "exercise-stub"), cell(CHECK, "exercise-check")
    right, wrong = (cell(source, "exercise-solution") for source in (SOLUTION, WRONG))
    figure = ran(CURVES, mystnb=FIGURE)
    other = ran(LINE, mystnb={"figure": {"name": "fig-without-a-check"}})
    picture = deepcopy(figure)
    del picture.metadata["mystnb"]
    upside_down = cell(UPSIDE_DOWN, like=figure)
    return {
        "05_good": [cell(CURVES, like=figure), stub, check, right],
        "05_bad": [cell('open("beside.txt")'), upside_down, stub, check, wrong],
        "05_solved": [cell(STUB.replace("...", "0"), "exercise-stub"), check, right],
        "05_lost": [cell(STUB, "exercise-stub"), cell(CHECK), right],
        "05_stranger": [cell(CURVES, like=other)],
        "05_skipped": [cell("x = 1", "nbval-skip"), cell("x = 2")],
        "01_spoiled": [cell("x = 1"), cell("print(x + 1)"), cell('x = "a symbol"')],
        "01_picture": [cell(UPSIDE_DOWN, like=picture)],
    }


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """What nbval says of each notebook: why its parts fail, or False if they pass."""
    folder = tmp_path_factory.mktemp("chapters")
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "book").mkdir()
    (folder / "book" / "beside.txt").touch()
    for name in ("pyproject.toml", "book/conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    for name, cells in notebooks().items():
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": ""}
        nbformat.write(notebook, folder / "book" / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "book", "-rA", "-q"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        **{"cwd": folder, "capture_output": True, "text": True},
        env=os.environ | {"DDPM_STRICT": "0", "DDPM_PROGRESS": "", "COLUMNS": "300"},
    )
    line = r"^(PASSED|FAILED) book/(\w+)\.ipynb::(.+?)(?: - (.*))?$"
    found = {}
    for outcome, name, what, why in re.findall(line, done.stdout, re.M):
        found.setdefault(name, {})[what] = outcome == "FAILED" and (why or "?")
    return found


@pytest.mark.slow
def test_a_good_chapter_passes(failures):
    good = failures["05_good"]
    assert {"Cell 0", "figures", "exercises"} <= good.keys() and not any(good.values())


@pytest.mark.slow
def test_a_file_a_figure_and_a_solution_that_are_wrong_are_found(failures):
    """What lies beside the notebook is not there in Colab."""
    failed = {what: why for what, why in failures["05_bad"].items() if why}
    assert failed.keys() == {"Cell 0", "figures", "exercises"}
    assert "fig-elbo-log" in failed["figures"]
    assert "1.1: not yet" in failed["exercises"]


@pytest.mark.slow
def test_a_stub_that_holds_an_answer_and_a_check_that_is_lost_are_found(failures):
    assert "1.1: not yet" in failures["05_solved"]["exercises"]
    assert "a check was not run" in failures["05_lost"]["exercises"]


@pytest.mark.slow
def test_another_picture_is_found_even_without_a_check_of_its_own(failures):
    assert "fig-without-a-check" in failures["05_stranger"]["figures"]
    assert "cell 0 draws another picture" in failures["01_picture"]["steps back"]


@pytest.mark.slow
def test_a_cell_that_is_skipped_hides_nothing(failures):
    assert "a cell is skipped" in failures["05_skipped"]["figures"]


@pytest.mark.slow
def test_a_cell_that_a_later_one_spoils_is_found(failures):
    assert [what for what, why in failures["01_spoiled"].items() if why] == [
        "steps back"
    ]
    assert "cell 1 alone: TypeError" in failures["01_spoiled"]["steps back"]
