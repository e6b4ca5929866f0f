"""Figures: what is drawn, and images that cannot be drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from drawn import grid, picture
from helpers import seeded

from ddpm_course.plotting import (
    gallery,
    image_grid,
    show_image,
    slider,
    tiled,
    to_pixels,
)

GRAY, COLOR = torch.zeros(5, 1, 3, 4), torch.zeros(5, 3, 3, 4)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_pixels_are_clipped_and_channels_last():
    image = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).expand(3, 2, 5)
    assert to_pixels(image).shape == (2, 5, 3)
    assert to_pixels(image)[0, :, 0].tolist() == [0, 0, 0.5, 1, 1]


def test_tiles_stand_row_by_row_with_white_between():
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 3, 4) / 10
    whole = tiled(images, columns=3)
    assert whole.shape == (1, 2 * 3 + 1, 3 * 4 + 2)
    assert whole[0, ::4, ::5].tolist() == [
        [pytest.approx(v) for v in row] for row in ([0.0, 0.1, 0.2], [0.3, 0.4, 1.0])
    ]
    assert (whole[0, 3] == 1).all() and (whole[0, :, 4] == 1).all()


@pytest.mark.parametrize("images", [GRAY, COLOR])
def test_a_gallery_has_the_shape_of_its_picture(images):
    width, height = gallery(images, columns=2, width=3).get_size_inches()
    assert width == 3 and height == pytest.approx(3 * (3 * 3 + 2) / (2 * 4 + 1))


def test_a_grid_has_labels_left_and_above():
    figure = image_grid([GRAY[:2], COLOR[:2]], ["gray", "color"], ["a", "b"])
    axes = figure.axes
    assert [ax.get_ylabel() for ax in axes] == ["gray", "", "color", ""]
    assert [ax.get_title() for ax in axes] == ["a", "b", "", ""]


def test_images_are_upright_and_beside_their_labels():
    images = torch.rand(2, 3, 1, 4, 5, generator=seeded())
    names, titles, seen = grid(image_grid(2 * images - 1, ["a", "b"], ["x", "y", "z"]))
    assert (names, titles) == (["a", "b"], ["x", "y", "z"])
    assert np.allclose(seen, images[:, :, 0])
    whole = gallery(2 * images[0] - 1, columns=2).axes[0]
    assert np.allclose(picture(whole), to_pixels(tiled(2 * images[0] - 1, 2))[..., 0])


def test_a_slider_holds_all_its_frames_in_the_page():
    page = slider(GRAY, list("abcde"), alt='a "digit" & noise').data
    assert "data:image/jpeg;base64," in page and 'max="4"' in page
    assert 'data-labels="a|b|c|d|e"' in page
    assert 'aria-label="a &quot;digit&quot; &amp; noise"' in page


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tiled(GRAY[0]), ValueError, "images has shape (1, 3, 4): expected"),
        (lambda: tiled(GRAY[:0]), ValueError, "images has shape (0, 1, 3, 4)"),
        (lambda: tiled(GRAY[..., :0]), ValueError, "images has shape (5, 1, 3, 0)"),
        (lambda: tiled(COLOR[:, :2]), ValueError, "images has shape (5, 2, 3, 4)"),
        (lambda: tiled(GRAY.numpy()), TypeError, "images is of type ndarray: expected"),
        (lambda: tiled(GRAY.byte()), TypeError, "images has dtype torch.uint8: expect"),
        (lambda: tiled(GRAY, columns=0), ValueError, "columns=0: expected an int >= 1"),
        (lambda: gallery(GRAY[0]), ValueError, "images has shape (1, 3, 4)"),
        (lambda: gallery(GRAY[:0]), ValueError, "images has shape (0, 1, 3, 4)"),
        (lambda: gallery(GRAY, 2.5), ValueError, "columns=2.5: expected an int >= 1"),
        (
            lambda: show_image(None, GRAY),
            ValueError,
            "image has shape (5, 1, 3, 4): ex",
        ),
        (lambda: image_grid([]), ValueError, "rows has lengths []: expected"),
        (lambda: image_grid([[], []]), ValueError, "rows has lengths [0, 0]: expected"),
        (lambda: image_grid([GRAY, GRAY[:2]]), ValueError, "rows has lengths [5, 2]"),
        (lambda: image_grid(GRAY), ValueError, "rows[0][0] has shape (3, 4): expected"),
        (lambda: image_grid([[GRAY[0], 3]]), TypeError, "rows[0][1] is of type int"),
        (
            lambda: slider(GRAY[:1], ["a"], "x"),
            ValueError,
            "there are 1 frames and 1 labels",
        ),
        (
            lambda: slider(GRAY, ["a"], "x"),
            ValueError,
            "there are 5 frames and 1 labels",
        ),
        (lambda: slider(GRAY[0], ["a"], "x"), ValueError, "frames has shape (1, 3, 4)"),
    ],
)
def test_what_cannot_be_drawn_leaves_no_figure(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)
    assert plt.get_fignums() == []
