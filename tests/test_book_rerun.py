"""What rerun.py finds. The chapters themselves are run with nbval; see chapters.py."""

import nbformat
import pytest
from nbclient import NotebookClient
from rerun import failures


@pytest.mark.slow
def test_a_name_that_a_later_cell_takes_is_found(tmp_path):
    code = nbformat.v4.new_code_cell
    cells = [code("x = 1"), code("print(x + 1)"), code('x = "a symbol"')]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    (failed,) = failures(path)
    assert failed.startswith("cell 1 alone: TypeError")


@pytest.mark.slow
def test_a_chapter_that_fails_at_once_says_where(tmp_path):
    cells = [nbformat.v4.new_code_cell("1 / 0")]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert failures(path) == ["cell 0: ZeroDivisionError: division by zero"]


@pytest.mark.slow
def test_a_picture_of_something_else_is_found(tmp_path):
    draw = "import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()"
    cell = nbformat.v4.new_code_cell(draw.replace("[0, 1]", "[1, 0]"))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, kernel_name="python3").execute()
    path = tmp_path / "chapter.ipynb"
    nbformat.write(notebook, path)
    assert failures(path) == []
    cell.source = draw
    nbformat.write(notebook, path)
    (failed,) = failures(path)
    assert failed.startswith("cell 0 draws another picture: a block of it is 0.")


@pytest.mark.slow
def test_a_figure_that_shows_something_wrong_is_found(tmp_path):
    draw = """import matplotlib.pyplot as plt
import numpy as np
u = np.linspace(0.1, 3)
for color, y, name in [("k", u - 1, "$u - 1$"), ("r", np.log(u), r"$\\log\\,u$")]:
    plt.plot(u, y, color)
    plt.text(2, 0, name, color=color)
plt.show()"""
    cell = nbformat.v4.new_code_cell(draw)
    cell.metadata["mystnb"] = {"figure": {"name": "fig-elbo-log"}}
    path = tmp_path / "chapter.ipynb"
    found = []
    for source in (draw, draw.replace("u, y,", "u, -y,")):
        cell.source = source
        notebook = nbformat.v4.new_notebook(cells=[cell])
        NotebookClient(notebook, kernel_name="python3").execute()
        nbformat.write(notebook, path)
        found.append(failures(path))
    assert found[0] == [] != found[1]
    assert found[1][0].startswith("cell 0 draws something wrong: fig-elbo-log")
