"""Notebooks that students hand in are run, and their exercises counted."""

import csv

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from ddpm_course.__main__ import main
from ddpm_course.lab.grading import _CHECKS, Grade, table

RIGHT = 'check("1.1", sp.sqrt(1 - beta_t))'
HEAD = """import sympy as sp
from ddpm_course.equations import beta_t
from ddpm_course.exercises import check"""

SLEEP = "import time\ntime.sleep(600)"

#: A path that the environment names.
OS = "import os, pathlib\npathlib.Path(os.environ"

pytestmark = pytest.mark.filterwarnings(
    # the client that runs a kernel speaks of its own deprecations
    "ignore::DeprecationWarning",
    "ignore::UserWarning",
)


def hand_in(path, *cells):
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(c) for c in (HEAD, *cells)]), path)


@pytest.mark.slow
def test_a_folder_of_notebooks_becomes_a_table(tmp_path, capsys):
    folder, out = tmp_path / "handed in", tmp_path / "grades.csv"
    hand_in(folder / "all.ipynb", RIGHT, 'check("2.1", 3)', 'check("6.5", ...)')
    hand_in(folder / "fails.ipynb", "1 / 0", RIGHT)
    hand_in(folder / "sleeps.ipynb", RIGHT, SLEEP, 'check("2.1", ...)')
    hand_in(folder / "hides.ipynb", RIGHT, f"{OS}['DDPM_PROGRESS']).write_text('[]')")
    hand_in(folder / "blocks.ipynb", f"{OS}['DDPM_PROGRESS']).mkdir()", RIGHT)
    (folder / "torn.ipynb").write_text("{", encoding="utf-8")
    command = ["grade", str(folder), "--out", str(out), "--seconds", "20"]
    assert main(command) == 0
    with out.open(encoding="utf-8") as file:
        rows = {row["notebook"]: row for row in csv.DictReader(file)}
    names = ["all", "blocks", "fails", "hides", "sleeps", "torn"]
    assert list(rows) == [f"{name}.ipynb" for name in names]

    def states(name):
        return [rows[name][key] for key in ("solved", "of", "1.1", "2.1", "6.5")]

    assert states("all.ipynb") == ["1", "3", "solved", "tried", "open"]
    assert states("fails.ipynb") == ["1", "1", "solved", "", ""]
    assert states("sleeps.ipynb") == ["1", "2", "solved", "open", ""]
    assert states("torn.ipynb") == ["0", "0", "", "", ""]
    assert rows["all.ipynb"]["trouble"] == ""
    assert rows["fails.ipynb"]["trouble"] == "ZeroDivisionError: division by zero"
    assert rows["sleeps.ipynb"]["trouble"] == "a cell took longer than 20 seconds"
    assert rows["torn.ipynb"]["trouble"].startswith("not a notebook")
    for name in ("hides.ipynb", "blocks.ipynb"):
        assert states(name)[:3] == ["0", "1", "open"] and rows[name]["trouble"]
    assert "progress file is lost or changed" in rows["hides.ipynb"]["trouble"]
    assert "all.ipynb: 1 of 3 solved" in capsys.readouterr().err

    assert main(command) == 1  # nothing is overwritten unasked
    assert "exists: give --overwrite" in capsys.readouterr().err


def test_a_folder_without_notebooks(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert main(["grade", str(folder), "--out", str(tmp_path / "t.csv")]) == 1
        assert "expected a folder that holds notebooks" in capsys.readouterr().err


def test_columns_stand_in_the_order_of_the_course():
    grades = [
        Grade("a", {"10.2": "open", "B.1": "open"}),
        Grade("b", {"2.10": "open", "2.9": "solved"}),
    ]
    head, *rows = csv.reader(table(grades).splitlines())
    assert head == ["notebook", "solved", "of", "2.9", "2.10", "10.2", "B.1", "trouble"]
    assert rows[1] == ["b", "1", "2", "solved", "open", "", "", ""]


def test_what_counts_as_a_check():
    code = '# check("1.9", a)\ncheck("1.1", a)\nx = use("B.2", f)  # check("1.8", a)'
    assert _CHECKS.findall(code) == ["1.1", "B.2"]
