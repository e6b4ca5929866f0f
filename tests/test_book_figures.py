"""Each figure shows what it should; figures.py says what, and drawn.py how it is read.

While the chapters run, test_book_rerun.py and test_book_student.py ask ``fault``.
"""

import base64
import io
import pickle
from copy import deepcopy

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from drawn import KIND, picture
from figures import CHECKS, fault, name_of
from PIL import Image, ImageOps
from rerun import strangers
from witnesses import BY_NUMBER, NOTEBOOKS


def cells(path):
    return nbformat.read(path, as_version=4).cells


def test_each_figure_has_its_check():
    names = [name_of(cell) for path in NOTEBOOKS for cell in cells(path)]
    assert sorted(filter(None, names)) == sorted(CHECKS)


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
    assert "KeyError" in outcome(logarithm(), "fig-unknown")


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
