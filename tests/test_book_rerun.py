"""What rerun.py finds. The chapters themselves are run with nbval; see chapters.py."""

import nbformat
import pytest
from nbclient import NotebookClient
from rerun import failures

LINE = "import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()"
#: The cell of a figure, made short.
CURVES = """import matplotlib.pyplot as plt
import numpy as np
u = np.linspace(0.1, 3)
for color, y, name in [("k", u - 1, "$u - 1$"), ("r", np.log(u), r"$\\log\\,u$")]:
    plt.plot(u, y, color)
    plt.text(2, 0, name, color=color)
plt.show()"""
FIGURE = {"figure": {"name": "fig-elbo-log"}}
UPSIDE_DOWN = CURVES.replace("u, y,", "u, -y,")


def ran(source, **metadata):
    """A cell with its outputs."""
    cell = nbformat.v4.new_code_cell(source, metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, kernel_name="python3").execute()
    return cell


def store(path, *cells):
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


@pytest.mark.slow
def test_a_name_that_a_later_cell_takes_is_found(tmp_path):
    code = nbformat.v4.new_code_cell
    cells = [code("x = 1"), code("print(x + 1)"), code('x = "a symbol"')]
    (failed,) = failures(store(tmp_path / "chapter.ipynb", *cells))
    assert failed.startswith("cell 1 alone: TypeError")


@pytest.mark.slow
def test_a_chapter_that_fails_at_once_says_where(tmp_path):
    path = store(tmp_path / "chapter.ipynb", nbformat.v4.new_code_cell("1 / 0"))
    assert failures(path) == ["cell 0: ZeroDivisionError: division by zero"]


@pytest.mark.slow
def test_a_picture_of_something_else_is_found(tmp_path):
    cell = ran(LINE.replace("[0, 1]", "[1, 0]"))
    path = store(tmp_path / "chapter.ipynb", cell)
    assert failures(path) == []
    cell.source = LINE
    (failed,) = failures(store(path, cell))
    assert failed.startswith("cell 0 draws another picture: a block of it is 0.")


@pytest.mark.slow
def test_a_figure_that_shows_something_wrong_is_found(tmp_path):
    path = tmp_path / "chapter.ipynb"
    assert failures(store(path, ran(CURVES, mystnb=FIGURE))) == []
    (failed,) = failures(store(path, ran(UPSIDE_DOWN, mystnb=FIGURE)))
    assert failed.startswith("cell 0 draws something wrong: fig-elbo-log")
