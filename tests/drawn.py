"""Reading a figure back: what matplotlib has drawn, as one sees it."""

import base64
import pickle
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ddpm_course import data
from ddpm_course.plotting import SCHEDULE_STYLE
from ddpm_course.schedules import NoiseSchedule

KIND = "application/x-figure"
#: Source of a cell. After it, what ``plt.show()`` shows is an output of this kind, too.
RECORD = f"""
def _record():
    import base64, pickle
    import matplotlib.pyplot as plt
    from IPython.display import display

    def show(show=plt.show):
        for number in plt.get_fignums():
            figure = base64.b64encode(pickle.dumps(plt.figure(number))).decode()
            display({{"{KIND}": figure}}, raw=True)
        show()

    plt.show = show

_record()
"""


def recorded(outputs: list[dict]) -> list[Figure]:
    """The figures among outputs, with the book's colors."""
    colors = [style["color"] for style in SCHEDULE_STYLE.values()]
    plt.rcParams["axes.prop_cycle"] = plt.cycler(color=colors)
    kept = [o["data"][KIND] for o in outputs if KIND in o.get("data", {})]
    return [pickle.loads(base64.b64decode(figure)) for figure in kept]


def points(line: Line2D) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.asarray(v, float).flatten() for v in line.get_data())


def at(line: Line2D, x: float) -> float:
    return float(np.interp(x, *points(line)))


def color(thing) -> str:
    return to_hex(thing.get_color())


def curves(ax: Axes, name: str) -> list[Line2D]:
    """The curves in the color of this name, in a text or beside it in the legend."""
    named = [(text, text) for text in ax.texts]
    if legend := ax.get_legend():
        named += zip(legend.get_texts(), legend.get_lines(), strict=True)
    (key,) = (key for text, key in named if text.get_text() == name)
    return [line for line in ax.lines if color(line) == color(key)]


def curve(ax: Axes, name: str) -> Line2D:
    (line,) = curves(ax, name)
    return line


def equal(drawn, truth, relative=1e-3, absolute=1e-6) -> bool:
    drawn, truth = np.asarray(drawn, float), np.asarray(truth, float)
    return np.allclose(drawn, truth, rtol=relative, atol=absolute)


def follows(line: Line2D, truth: Callable) -> bool:
    """Whether a curve is the graph of a function."""
    x, y = points(line)
    return len(x) > 1 and equal(y, truth(x))


def falling(values) -> bool:
    return bool((np.diff(np.asarray(values, float)) < 0).all())


def rising(values) -> bool:
    return falling(values[::-1])


def picture(ax: Axes, number: int = 0) -> np.ndarray:
    """An image as it is seen: the first row is at the top, the first column left."""
    image = ax.images[number]
    seen = np.asarray(image.get_array(), float)
    left, right, low, high = image.get_extent()
    if image.origin == "lower":
        low, high = high, low
    bottom, top = ax.get_ylim()
    if (high - low) * (top - bottom) < 0:
        seen = seen[::-1]
    if (right - left) * np.diff(ax.get_xlim()).item() < 0:
        seen = seen[:, ::-1]
    return gray(seen)


def gray(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(-1) if pixels.ndim == 3 else pixels


def shown(image: torch.Tensor) -> np.ndarray:
    """An image (C, H, W) in [-1, 1], as ``picture`` returns it."""
    return ((image.double().mean(0) + 1) / 2).clamp(0, 1).numpy()


def grid(figure: Figure) -> tuple[list[str], list[str], list[list[np.ndarray]]]:
    """Names of the rows and of the columns, and the images, all where they are seen."""
    cells = [(ax.get_subplotspec(), ax) for ax in figure.axes]
    cells = {(s.rowspan.start, s.colspan.start): ax for s, ax in cells}
    height, width = np.max(list(cells), 0) + 1
    rows = [[cells[y, x] for x in range(width)] for y in range(height)]
    names = [row[0].get_ylabel() for row in rows]
    titles = [ax.get_title() for ax in rows[0]]
    return names, titles, [[picture(ax) for ax in row] for row in rows]


def place(ax: Axes) -> tuple[float, float]:
    """The center of axes in the figure: to the right, and up."""
    box = ax.get_position()
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def like(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two images."""
    return float(np.corrcoef(one.flatten(), other.flatten())[0, 1])


def signal(clean: np.ndarray, schedule: NoiseSchedule, t: int, channels=1) -> float:
    """How much a noisy image is like the clean one, if nothing is clipped."""
    snr = 4 * channels * clean.var() * schedule.snr[t].item()  # of an image in [-1, 1]
    return (snr / (snr + 1)) ** 0.5


def tiles(whole: np.ndarray, columns: int) -> list[np.ndarray]:
    """The images of ``plotting.tiled``, row by row."""
    side = (whole.shape[1] + 1) // columns
    return [
        whole[y : y + side - 1, x : x + side - 1]
        for y in range(0, whole.shape[0], side)
        for x in range(0, whole.shape[1], side)
    ]


def is_clothes(image: np.ndarray) -> bool:
    """Whether it is one of the pictures of the held-out set, upright."""
    every = (data.fashion_mnist_held_out()[:, 0].double() + 1) / 2
    return bool((every - torch.tensor(image)).abs().amax((1, 2)).min() < 0.01)


def hill(filled) -> tuple[float, float, float, float]:
    """Of a filled curve: the place of its top, base, height, width at half of it."""
    x, y = filled.get_paths()[0].vertices.T
    half = x[y > (y.min() + y.max()) / 2]
    return x[y.argmax()], y.min(), np.ptp(y), np.ptp(half)


def bars(ax: Axes) -> tuple[np.ndarray, np.ndarray]:
    """Centers and heights."""
    boxes = np.array(
        [[p.get_x() + p.get_width() / 2, p.get_height()] for p in ax.patches]
    )
    return boxes.T


def where(text) -> tuple[float, float]:
    return tuple(float(v) for v in text.get_position())


def number_in(text: str) -> float:
    return float(text.split("=")[-1].strip(" $%"))


def alpha_bar(schedule: NoiseSchedule, t) -> np.ndarray:
    return schedule.alpha_bar[torch.as_tensor(np.asarray(t)).long()].numpy()
