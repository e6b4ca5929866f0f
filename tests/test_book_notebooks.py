"""What nbval does not see: unexecuted cells, pictures, the shape of a chapter."""

import re
from statistics import median

import nbformat
import pytest
from witnesses import NOTEBOOKS

chapters = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code_cells(path):
    return [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]


def has_picture(cell):
    return any("image/png" in o.get("data", {}) for o in cell.outputs)


def prints_a_number(cell):
    return any(
        o.output_type == "stream" and re.search(r"\d", o.text) for o in cell.outputs
    )


def unexecuted(cells):
    return [c.source for c in cells if c.execution_count is None]


def pictures_without_number(cells):
    followers = [*cells[1:], None]
    return [
        cell.source
        for cell, follower in zip(cells, followers, strict=True)
        if has_picture(cell)
        and not prints_a_number(cell)
        and not (follower and prints_a_number(follower))
    ]


@chapters
def test_every_cell_was_run_from_the_top(path):
    cells = code_cells(path)
    assert unexecuted(cells) == []
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not any(o.output_type == "error" for c in cells for o in c.outputs)
    assert not any(o.get("name") == "stderr" for c in cells for o in c.outputs)


@chapters
def test_every_picture_has_a_number_beneath_it(path):
    assert pictures_without_number(code_cells(path)) == []


@chapters
def test_every_picture_has_caption_name_and_alt_text(path):
    for cell in filter(has_picture, code_cells(path)):
        book = cell.metadata.get("mystnb", {})
        assert book.get("image", {}).get("alt"), cell.source
        assert book.get("figure", {}).get("caption"), cell.source
        assert book.get("figure", {}).get("name", "").startswith("fig-"), cell.source


@chapters
def test_cells_are_short(path):
    """Not counting what a stub says of its shapes."""
    sources = []
    for cell in code_cells(path):
        stub = "exercise-stub" in cell.metadata.get("tags", [])
        told = re.sub(r'\n +""".*?"""', "", cell.source, flags=re.S)
        sources.append((told if stub else cell.source).splitlines())
        assert [line for line in cell.source.splitlines() if len(line) > 79] == []
    assert median(map(len, sources)) <= 8
    assert max(map(len, sources)) <= 30


@chapters
def test_metadata_is_tidy(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name", "pygments_lexer"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "mystnb"}, cell.source


def test_the_checks_see_a_cell_that_was_never_run_and_a_picture_without_number():
    never_run = nbformat.v4.new_code_cell("1 + 1")
    picture = nbformat.v4.new_code_cell(
        "plot()", outputs=[nbformat.v4.new_output("display_data", {"image/png": ""})]
    )
    number = nbformat.v4.new_code_cell(
        "print(1)", outputs=[nbformat.v4.new_output("stream", text="1\n")]
    )
    assert unexecuted([never_run]) == ["1 + 1"]
    assert pictures_without_number([picture]) == ["plot()"]
    assert pictures_without_number([picture, never_run, number]) == ["plot()"]
    assert pictures_without_number([picture, number]) == []
