"""Figures in one style, legible in dark mode and to the color-blind.

Images are floats in [-1, 1], channels first, with one channel (gray) or three (color).
Anything else raises TypeError or ValueError before a figure is made.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from IPython.display import HTML

#: Text. Contrast 4.6 on white, and on the black ground of figures in dark mode.
GREY = "#757575"
#: A color and a dash for each schedule; either alone tells them apart. The colors are
#: as bright as GREY, so that text can have them too.
SCHEDULE_STYLE: dict[str, dict] = {
    "linear": {"color": "#c25500", "linestyle": "-"},
    "quadratic": {"color": "#a46085", "linestyle": "--"},
    "cosine": {"color": "#277bb4", "linestyle": "-."},
    "sigmoid": {"color": "#008661", "linestyle": (0, (5, 1))},
}


def use_style() -> None:
    """Set matplotlib's defaults for the book: transparent, gray text, light grid.

    Text of 11 points is legible on a phone in figures up to 6 inches wide. In a
    notebook figures get twice the pixels, for sharp screens.
    """
    colors = [style["color"] for style in SCHEDULE_STYLE.values()]
    plt.rcParams.update(
        {
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "figure.figsize": (6, 3.5),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.edgecolor": GREY,
            "axes.labelcolor": GREY,
            "axes.titlecolor": GREY,
            "axes.titlesize": 11,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "text.color": GREY,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": GREY,
            "grid.alpha": 0.25,
            "lines.linewidth": 2,
            "legend.frameon": False,
            "axes.prop_cycle": plt.cycler(color=colors),
        }
    )
    if "ipykernel" in sys.modules:  # in a notebook
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def to_pixels(images: Tensor) -> Tensor:
    """Images (…, C, H, W) as (…, H, W, C) in [0, 1], clipped, on the CPU."""
    if not isinstance(images, Tensor) or images.ndim < 3 or images.is_complex():
        what = tuple(images.shape) if isinstance(images, Tensor) else type(images)
        raise TypeError(f"images is {what}: expected a real tensor (…, C, H, W)")
    images = images.detach().cpu()
    return ((images + 1) / 2).clamp(0, 1).movedim(-3, -1)


def show_image(ax: Axes, image: Tensor) -> None:
    """Draw one image (C, H, W), without axes."""
    _check_images("image", image, 3)
    pixels = to_pixels(image).numpy()
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def image_grid(
    rows: Sequence[Sequence[Tensor]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    size: float = 1.25,
) -> Figure:
    """Images in rows and columns.

    Args:
        rows: Rows of the same length, of images (C, H, W).
        row_labels: Written to the left of the rows.
        column_labels: Written above the columns.
        size: Of an image, in inches.
    """
    lengths = [len(row) for row in rows]
    if not lengths or lengths[0] == 0 or len(set(lengths)) > 1:
        raise ValueError(
            f"rows has lengths {lengths}: expected rows of one length >= 1"
        )
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            _check_images(f"rows[{i}][{j}]", image, 3)
    shape = len(rows), lengths[0]
    figure, axes = plt.subplots(
        *shape, figsize=(size * shape[1] + 0.3, size * shape[0] + 0.2), squeeze=False
    )
    for ax, image in zip(axes.flat, (x for row in rows for x in row), strict=True):
        show_image(ax, image)
    for ax, label in zip(axes[:, 0], row_labels, strict=False):
        ax.set_ylabel(label)
    for ax, label in zip(axes[0], column_labels, strict=False):
        ax.set_title(label)
    return figure


def tiled(images: Tensor, columns: int = 8) -> Tensor:
    """Images (n, C, H, W) as one (C, H', W'), row by row, a white pixel between."""
    _check_images("images", images, 4)
    if not isinstance(columns, int) or columns < 1:
        raise ValueError(f"columns={columns}: expected an int >= 1")
    padded = F.pad(images, (0, 1, 0, 1), value=1.0)
    padded = F.pad(padded, (0,) * 7 + (-len(images) % columns,), value=1.0)
    rows = padded.unflatten(0, (-1, columns))  # (rows, columns, C, H + 1, W + 1)
    whole = rows.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)
    return whole[:, :-1, :-1]


def gallery(images: Tensor, columns: int = 8, width: float = 6.0) -> Figure:
    """Many images (n, C, H, W) as one picture, ``width`` inches wide."""
    whole = tiled(images, columns)
    height = width * whole.shape[1] / whole.shape[2]
    figure, ax = plt.subplots(figsize=(width, height))
    show_image(ax, whole)
    return figure


def slider(frames: Tensor, labels: Sequence[str], alt: str) -> HTML:
    """A picture with a slider that runs through frames, without a kernel.

    The page holds all frames as one JPEG, stacked; the slider moves the window.

    Args:
        frames: Images (N, C, H, W), N >= 2.
        labels: What to write below each frame.
        alt: Says what the picture shows, for readers who can't see it.
    """
    _check_images("frames", frames, 4)
    if not len(labels) == len(frames) >= 2:
        raise ValueError(
            f"there are {len(frames)} frames and {len(labels)} labels: expected a "
            "label for each frame, and at least two"
        )
    from IPython.display import HTML  # every notebook has it, nothing else needs it

    pixels = to_pixels(frames).flatten(0, 1).expand(-1, -1, 3).numpy()
    buffer = BytesIO()
    plt.imsave(buffer, pixels, format="jpeg", pil_kwargs={"quality": 70})
    data = base64.b64encode(buffer.getvalue()).decode()
    step = 100 / (len(frames) - 1)
    move = (
        "const f=this.closest('figure'),v=+this.value;"
        f"f.querySelector('div').style.backgroundPosition='0 '+v*{step}+'%';"
        "f.querySelector('output').textContent=this.dataset.labels.split('|')[v]"
    )
    return HTML(
        '<figure class="slider" style="max-width:320px;margin:0 auto">'
        f'<div role="img" aria-label="{escape(alt)}" style="width:100%;aspect-ratio:'
        f"{frames.shape[-1]}/{frames.shape[-2]};border-radius:6px;"
        f"background:url(data:image/jpeg;base64,{data}) 0 0/100% auto;"
        'image-rendering:pixelated"></div>'
        f'<input type="range" min="0" max="{len(frames) - 1}" value="0" '
        f'aria-label="time" style="width:100%" data-labels="{escape("|".join(labels))}"'
        f' oninput="{move}"><output style="display:block;text-align:center">'
        f"{escape(labels[0])}</output></figure>"
    )


def _check_images(name: str, images: Tensor, ndim: int) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(
            f"{name} is of type {type(images).__name__}: expected a torch tensor"
        )
    if images.ndim != ndim or images.numel() == 0 or images.shape[-3] not in (1, 3):
        raise ValueError(
            f"{name} has shape {tuple(images.shape)}: expected "
            f"({', '.join('nCHW'[-ndim:])}), none 0, with C = 1 for gray or 3 for color"
        )
    if not images.is_floating_point():
        raise TypeError(
            f"{name} has dtype {images.dtype}: expected floats in [-1, 1]; scale 8-bit "
            "images by x / 127.5 - 1"
        )
