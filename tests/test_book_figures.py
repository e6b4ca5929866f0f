"""Each figure shows what it should; figures.py says what, and drawn.py how it is read.

While a chapter runs, chapters.py and test_book_student.py ask ``fault``.
"""

import base64
import io
import pickle
from copy import deepcopy

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from dataflow import drawn_and_printed
from drawn import KIND, picture
from figures import CHECKS, fault, name_of
from PIL import Image, ImageOps
from rerun import pictures_stored, strangers
from witnesses import BY_NUMBER, CHAPTERS, NOTEBOOKS, PAGES

#: The pages whose figures are read back.
PICTURED = [*CHAPTERS, PAGES["F"]]


def cells(path):
    return nbformat.read(path, as_version=4).cells


def test_each_figure_has_its_check():
    names = [name_of(cell) for path in PICTURED for cell in cells(path)]
    assert sorted(filter(None, names)) == sorted(CHECKS)


#: Figures whose numbers come from elsewhere, and why. No line is to be added here.
FROM_ELSEWHERE = {
    "fig-twenty-noise": "what the caption speaks of: the share of the variance",
    "fig-twenty-new": "distances of the drawn pictures, from the cell before",
    "fig-forward-step": "mean and deviation, of which the bells are made",
    "fig-forward-photo": "the signal-to-noise ratio under each schedule",
    "fig-forward-small": "the signal-to-noise ratio under each schedule",
    "fig-posterior-slide": "mean and deviation, of which the bells are made",
    "fig-posterior-opinions": "the weights and the mean, of which the bells are made",
    "fig-x0-turn": "the two angles that are drawn, and one between them",
    "fig-x0-score": "the tips of the arrows, as draw_score returns them",
    "fig-unet-field": "sizes of what is drawn, and costs that no picture shows",
    "fig-unet-time": "the losses; their ratios are drawn",
    "fig-training-batch": "the factor of the clean picture in each noisy one",
    "fig-training-ring": "floors of 2000 points, of which 60 are drawn",
    "fig-training-unseen": "errors of a hundred pictures, of which two are drawn",
}


def figures_and_sources():
    """Each figure's name and cell, with the next one if it is that which prints."""
    for path in PICTURED:
        code = [cell for cell in cells(path) if cell.cell_type == "code"]
        for k, cell in enumerate(code):
            if name_of(cell):
                prints = any(o.output_type == "stream" for o in cell.outputs)
                both = code[k : k + 1 if prints else k + 2]
                yield name_of(cell), "\n".join(c.source for c in both)


def test_numbers_under_a_figure_come_from_what_is_drawn():
    elsewhere = {
        name for name, source in figures_and_sources() if not drawn_and_printed(source)
    }
    assert elsewhere == FROM_ELSEWHERE.keys()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plt.plot(x, y)\nprint(y.max())", {"y"}),
        ("plt.plot(x, y)\nprint(z.max())", set()),
        ("plt.plot(x, -y)\nz = y.max()\nprint(f'{z:.2f}')", {"y"}),
        ("y = f(z)\nplt.plot(x, y)\nprint(z.max())", set()),
        ("for y in ys:\n    plt.plot(x, y)\nprint(ys[0])", {"ys"}),
        ("for n, y in zip(ns, ys):\n    plt.plot(x, y)\nprint(ns)", set()),
        ("rows.append([x, 2 * y])\nimage_grid(rows)\nprint(x, y)", {"x"}),
        ("y = [1, 2]\nplt.plot(x, y)\nprint(y)", set()),
    ],
)
def test_the_way_of_a_number_is_found(source, expected):
    assert drawn_and_printed(source) == expected


# --- a check that sees nothing is no check ----------------------------------------


def logarithm(sign=1, names=("$u - 1$", r"$\log\,u$")):
    """A figure like fig-elbo-log."""
    _, ax = plt.subplots()
    u = np.linspace(0.1, 3)
    for color, y, name in zip(("C0", "C1"), (u - 1, np.log(u)), names, strict=True):
        ax.plot(u, sign * y, color=color)
        ax.text(2, y[-1], name, color=color)
    return ax.figure


def outcome(figure, name="fig-elbo-log"):
    data = {KIND: base64.b64encode(pickle.dumps(figure)).decode()}
    plt.close("all")
    return fault(name, [{"data": data}])


def test_a_curve_turned_around_or_a_wrong_label_is_found():
    assert outcome(logarithm()) is None
    assert "follows" in outcome(logarithm(sign=-1))
    assert "follows" in outcome(logarithm(names=(r"$\log\,u$", "$u - 1$")))
    assert "ValueError" in outcome(logarithm(names=("$u$", r"$\log\,u$")))
    assert "Error" in outcome(logarithm(), "fig-elbo-kl")


@pytest.mark.parametrize("origin", ["upper", "lower"])
@pytest.mark.parametrize("extent", [None, (2, 5, -1, 1), (2, 5, 1, -1)])
@pytest.mark.parametrize("turned", [(), "x", "y", "xy"])
def test_an_image_is_read_as_it_is_seen(origin, extent, turned):
    figure, ax = plt.subplots(figsize=(2, 2), dpi=50)
    ax.set_position((0, 0, 1, 1))
    ax.imshow([[0, 1], [2, 3]], "gray", origin=origin, extent=extent, aspect="auto")
    for direction in turned:
        getattr(ax, f"invert_{direction}axis")()
    ax.axis("off")
    figure.canvas.draw()
    seen = np.asarray(figure.canvas.buffer_rgba())[25::50, 25::50, 0]
    assert np.array_equal(picture(ax), np.round(seen / 85))
    plt.close(figure)


def turned(png):
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        ImageOps.flip(image).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.slow
def test_a_stored_picture_of_another_figure_or_turned_around_is_found():
    chapter = nbformat.read(BY_NUMBER[6], as_version=4)
    run, figures = deepcopy(chapter), {name_of(cell): cell for cell in chapter.cells}
    assert strangers(chapter, run) == []
    data = [
        next(o.data for o in figures[f"fig-training-{name}"].outputs if "data" in o)
        for name in ("uniform", "targets", "game")
    ]
    data[0]["image/png"] = data[1]["image/png"]
    data[2]["image/png"] = turned(data[2]["image/png"])
    wrong = {"fig-training-uniform", "fig-training-targets", "fig-training-game"}
    assert set(strangers(chapter, run)) == wrong
    lost = next(cell for cell in run.cells if name_of(cell) == "fig-training-pull")
    lost.outputs.clear()
    assert set(strangers(chapter, run)) == {*wrong, "fig-training-pull"}
    run.cells.remove(lost)  # as a student notebook lacks solutions
    assert set(strangers(chapter, run)) == wrong


def test_every_figure_of_a_chapter_stores_its_picture():
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        names = {name_of(cell) for cell in notebook.cells} - {None}
        assert names == pictures_stored(path).keys(), path
