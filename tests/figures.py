"""What each figure must show, whatever its cell computes.

A cell could draw its curves upside down, or exchange two labels, and store that. So
while a chapter runs, ``RECORD`` keeps its figures, and ``fault`` reads back from
matplotlib what was drawn: curves, bars, images as they are seen, and the texts that
name them. A function below, one for each figure, holds that against what it computes
itself. Here is nothing about colors, sizes or places that only please the eye.
"""

import traceback
from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from drawn import (
    alpha_bar,
    at,
    bars,
    color,
    curve,
    curves,
    equal,
    falling,
    follows,
    grid,
    hill,
    is_clothes,
    like,
    number_in,
    picture,
    place,
    points,
    recorded,
    rising,
    shown,
    signal,
    tiles,
    where,
)
from helpers import COSINE, LINEAR, seeded
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from nbformat import NotebookNode
from scipy.stats import norm

from ddpm_course import data
from ddpm_course.lab.classifier import predict
from ddpm_course.lab.pretrained import load_classifier
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import loss_weight
from ddpm_course.plotting import SCHEDULE_STYLE
from ddpm_course.posterior import (
    mean_coefficients,
    posterior_mean,
    posterior_variance,
)
from ddpm_course.schedules import NoiseSchedule, linear_betas, make_schedule
from ddpm_course.unet import UNet

CHECKS: dict[str, Callable[[Figure], None]] = {}


def shows(check: Callable[[Figure], None]) -> Callable[[Figure], None]:
    """The check of the figure that the function is named after."""
    CHECKS["fig-" + check.__name__.replace("_", "-")] = check
    return check


def name_of(cell: NotebookNode) -> str | None:
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("name")


def drawn_in(chapter: NotebookNode, run: NotebookNode) -> dict[str, list[dict]]:
    """The outputs of the cells that draw the chapter's figures, in a run of it."""
    names = {cell.id: name_of(cell) for cell in chapter.cells if name_of(cell)}
    return {names[c.id]: c.outputs for c in run.cells if c.id in names}


def faults(chapter: NotebookNode, run: NotebookNode) -> list[str]:
    """What is wrong with the figures in a run that began with RECORD."""
    found = [fault(*figure) for figure in drawn_in(chapter, run).items()]
    return [line for line in found if line]


def fault(name: str, outputs: list[dict]) -> str | None:
    """What is wrong with the figure that a cell has drawn, if anything is known."""
    if name not in CHECKS:
        return None
    try:
        (figure,) = recorded(outputs)
        CHECKS[name](figure)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].line
        return f"{name}: {line} ({type(error).__name__} {error})"
    finally:
        plt.close("all")
    return None


ALL = {name: make_schedule(name) for name in SCHEDULE_STYLE}
SHORT = NoiseSchedule.from_betas(linear_betas(20, 5e-3, 0.5))  # chapters 2 and 3
ORANGE, PINK, BLUE, GREEN = (style["color"] for style in SCHEDULE_STYLE.values())


# --- chapter 1 --------------------------------------------------------------------


@shows
def forward_idea(figure):
    tops, bottoms = figure.axes[:4], figure.axes[4:]
    photo = data.photo(128)
    clean = shown(photo)
    assert all(place(a)[1] > place(b)[1] for a, b in zip(tops, bottoms, strict=True))
    assert np.array_equal(picture(tops[0]), clean) or equal(picture(tops[0]), clean)
    assert falling([like(picture(ax), clean) for ax in tops])
    assert all(
        like(picture(ax), clean) > like(picture(ax), clean[::-1]) for ax in tops[:3]
    )
    for t, top, bottom in zip([0, 100, 300, 1000], tops, bottoms, strict=True):
        assert top.get_title() == f"t = {t}"
        abar = alpha_bar(LINEAR, t).item()
        center, height = bars(bottom)
        mean = np.average(center, weights=height)
        assert abs(mean - abar**0.5 * photo.mean().item()) < 0.02
        std = np.average((center - mean) ** 2, weights=height) ** 0.5
        assert abs(std - (1 - abar + abar * photo.var().item()) ** 0.5) < 0.03
        assert follows(bottom.lines[0], norm.pdf)


@shows
def forward_step(figure):
    for beta in (0.02, 0.1, 0.3, 0.9):
        law = norm(2 * (1 - beta) ** 0.5, beta**0.5)
        assert follows(curve(figure.axes[0], rf"$\beta_t$ = {beta}"), law.pdf)
    assert points(figure.axes[0].lines[-1])[0][0] == 2


@shows
def forward_walk(figure):
    _, titles, ((boot, *rest),) = grid(figure)
    assert titles == [f"$x_{{{n}}}$" for n in (0, 1, 2, 4, 6, 10)]
    assert is_clothes(boot) and falling([like(boot, image) for image in (boot, *rest)])


@shows
def forward_walks(figure):
    (ax,) = figure.axes
    walkers, times = ax.lines[:12], np.arange(1001)
    assert all(points(walker)[1][0] == 1 for walker in walkers)
    abar = alpha_bar(LINEAR, times)
    center, std = abar**0.5, (1 - abar) ** 0.5
    off = np.mean([points(walker)[1] for walker in walkers], 0) - center
    assert (np.abs(off) <= 4.5 * std / 12**0.5).all()
    assert equal(points(curve(ax, "mean"))[1], center)
    low, high = sorted(curves(ax, "+ 2 std"), key=lambda line: at(line, 1000))
    assert equal(points(high)[1], center + 2 * std)
    assert equal(points(low)[1], center - 2 * std)
    heights = {text.get_text(): where(text)[1] for text in ax.texts}
    assert heights["− 2 std"] < heights["mean"] < heights["+ 2 std"]


@shows
def forward_angle(figure):
    for ax in figure.axes:
        abar = alpha_bar(ALL[ax.get_title()], np.arange(1001))
        way = np.array([abar**0.5, (1 - abar) ** 0.5])
        arc, dots = ax.lines
        assert equal(points(arc), way) and equal(points(dots), way[:, ::100])
        for text in ax.texts:
            t = int(number_in(text.get_text()))
            x, y = where(text)
            assert abs(np.arctan2(y, x) - np.arctan2(*way[::-1, t])) < 0.2
    left, right = figure.axes
    assert "image" in left.get_xlabel() and "noise" in left.get_ylabel()
    assert color(left.lines[1]) != color(right.lines[1])


@shows
def forward_schedules(figure):
    for name, schedule in ALL.items():
        views = schedule.beta, schedule.alpha_bar, schedule.snr.log()
        for ax, view in zip(figure.axes, views, strict=True):
            assert equal(points(curve(ax, name))[1], view[1:])
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == [r"$\beta_t$", r"$\bar\alpha_t$", r"$\log\,\mathrm{SNR}_t$"]


def fades(figure: Figure, clean: np.ndarray) -> None:
    """Each row under its own schedule, each column at its own time."""
    names, titles, images = grid(figure)
    for name, row in zip(names, images, strict=True):
        for title, image in zip(titles, row, strict=True):
            expected = signal(clean, ALL[name], int(number_in(title)))
            assert abs(like(image, clean) - expected) < 0.07


@shows
def forward_photo(figure):
    fades(figure, shown(data.photo(96)))
    _, _, rows = grid(figure)
    assert rising([like(row[2], shown(data.photo(96))) for row in rows[:3]])


@shows
def forward_small(figure):
    fades(figure, shown(data.fashion_mnist_held_out()[9]))


@shows
def forward_resolution(figure):
    names, titles, (noisy, averaged) = grid(figure)
    assert names == ["noisy", "averaged"]
    assert [f"{len(image)} pixels" for image in noisy] == titles
    assert {len(image) for image in averaged} == {40}
    clean = shown(data.photo(40))
    assert falling([like(image, clean) for image in averaged])
    assert like(averaged[0], clean) > 0.9
    for image in noisy:
        whole = shown(data.photo(len(image)))
        assert like(image, whole) > 1.5 * like(image, whole[::-1])


@shows
def forward_steepness(figure):
    (ax,) = figure.axes

    def half_life(steepness):
        abar = make_schedule("sigmoid", steepness=steepness).alpha_bar
        return int((abar < 0.5).nonzero()[0])

    assert follows(curve(ax, "sigmoid"), lambda kappas: [*map(half_life, kappas)])
    assert at(curve(ax, "linear"), 0) == int((LINEAR.alpha_bar < 0.5).nonzero()[0])


# --- chapter 2 --------------------------------------------------------------------

TOY = GaussianMixture([0.3, 0.7], [[-0.9], [0.6]], stds=0.15)
DATA_NLL = -TOY.log_prob(torch.tensor([[0.6]])).item()


def toy_density(x):
    return 0.3 * norm.pdf(x, -0.9, 0.15) + 0.7 * norm.pdf(x, 0.6, 0.15)


def cloud_means(ax: Axes) -> np.ndarray:
    """The mean of each column of a cloud."""
    counts = picture(ax)
    low, high = ax.images[0].get_extent()[2:]
    edges = np.linspace(high, low, len(counts) + 1)
    return (edges[1:] + edges[:-1]) @ counts / counts.sum(0) / 2


def ahead(ax: Axes) -> set[bool]:
    """Whether the arrowheads of axes point to the right."""
    return {bool(text.xy[0] > text.xyann[0]) for text in ax.texts}


@shows
def elbo_paths(figure):
    top, bottom = figure.axes
    assert place(top)[1] > place(bottom)[1]
    assert "forward" in top.get_title() and "model" in bottom.get_title()
    assert {at(line, 0) for line in top.lines} == {0.6}
    times = np.arange(21)
    off = cloud_means(top) - 0.6 * alpha_bar(SHORT, times) ** 0.5
    assert np.abs(off).max() < 0.05
    assert abs(cloud_means(bottom)[0] - 0.15) < 0.05  # of the data
    assert picture(top).min() == picture(bottom).min() == 0  # counts
    ends = {BLUE: [], "#757575": []}
    for line in bottom.lines:
        ends[color(line)].append(abs(at(line, 0) - 0.6) < 0.05)
    assert ends == {BLUE: [True] * 2, "#757575": [False] * 3}
    assert ahead(top) == {True} and ahead(bottom) == {False}


@shows
def elbo_small_steps(figure):
    words = ["one of our 20 steps", "a third of it", "a tenth of it"]
    assert [ax.texts[0].get_text() for ax in figure.axes] == words
    named = {t.get_text(): color(t) for t in figure.axes[0].texts[1:]}
    assert named == {"exact": ORANGE, "Gaussian": BLUE}
    common = []
    for ax in figure.axes:
        (filled,), (dashed, mark) = ax.collections, ax.lines
        assert to_hex(filled.get_facecolor()[0]) == ORANGE
        assert color(dashed) == BLUE and points(mark)[0][0] == -0.1
        x, gaussian = points(dashed)
        path = filled.get_paths()[0].vertices
        exact = np.array([path[path[:, 0] == at_x, 1].max() for at_x in x])
        width = x[1] - x[0]
        assert abs(exact.sum() * width - 1) < 0.01
        mean = (x * exact).sum() * width
        std = ((x - mean) ** 2 * exact).sum() * width
        assert equal(gaussian, norm.pdf(x, mean, std**0.5), absolute=0.01)
        common.append(np.minimum(exact, gaussian).sum() * width)
    assert equal(common, [0.714, 0.935, 0.989], absolute=0.01)
    assert place(figure.axes[0])[1] > place(figure.axes[2])[1]


@shows
def elbo_density(figure):
    (ax,) = figure.axes
    model, dot = curves(ax, r"the model, $p_\theta(x_0)$")
    truth = curve(ax, "the data, $q(x_0)$")
    assert follows(truth, toy_density)
    x, p = points(model)
    assert (p >= 0).all() and abs(p.sum() * (x[1] - x[0]) - 1) < 1e-3
    assert points(dot)[0][-1] == 0.6 and equal(points(dot)[1][-1], at(model, 0.6))
    assert all(at(model, peak) < at(truth, peak) for peak in (-0.9, 0.6))
    assert abs(at(model, 0.6) - 1.35) < 0.02


@shows
def elbo_kl(figure):
    top, bottom = figure.axes
    q, p = norm(0, 1).pdf, norm(1.5, 1.3).pdf
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("density", r"$q\,\log\,(q/p)$")
    assert follows(curve(top, "$q$"), q) and follows(curve(top, "$p$"), p)
    assert follows(bottom.lines[0], lambda x: q(x) * np.log(q(x) / p(x)))
    plus, minus = (c.get_paths()[0].vertices[:, 1] for c in bottom.collections)
    assert plus.min() == 0 == minus.max() and plus.max() > 0.3 and minus.min() < -0.1
    signs = {text.get_text(): text.get_position() for text in bottom.texts}
    assert signs["+"][1] > 0 > signs["−"][1] and signs["+"][0] < signs["−"][0]


@shows
def elbo_log(figure):
    (ax,) = figure.axes
    assert follows(curve(ax, "$u - 1$"), lambda u: u - 1)
    assert follows(curve(ax, r"$\log\,u$"), np.log)


@shows
def elbo_gap(figure):
    (ax,) = figure.axes
    theta, bound = points(curve(ax, "the bound"))
    _, exact = points(curve(ax, r"$-\log\,p_\theta(0.6)$"))
    assert (bound > exact).all() and (bound - exact)[-1] > (bound - exact)[0]
    assert abs(theta[bound.argmin()] - 0.6) < 0.11 > abs(theta[exact.argmin()] - 0.6)
    assert bound.min() < 0 and min(bound[0], bound[-1], exact[0], exact[-1]) > 3


@shows
def elbo_expectation(figure):
    (ax,) = figure.axes
    center, height = bars(ax)
    exact = points(curve(ax, r"$-\log\,p_\theta(x_0)$"))[0][0]
    bound = points(curve(ax, "the mean:\nthe bound"))[0][0]
    assert abs(np.average(center, weights=height) - bound) < 0.03
    assert abs(height[center < exact].sum() / 10_000 - 0.29) < 0.02
    assert exact < bound and height.sum() <= 10_000
    assert skewed_left(center, height)
    strong = {bool(p.get_alpha() > 0.5) for p in ax.patches if p.get_x() < exact - 0.1}
    assert strong == {True} and ax.patches[-1].get_alpha() < 0.5


def skewed_left(center, height):
    mean = np.average(center, weights=height)
    return np.average((center - mean) ** 3, weights=height) < 0


@shows
def elbo_terms(figure):
    (ax,) = figure.axes
    states = sorted(range(5), key=lambda n: ax.images[n].get_extent()[0])
    clean, *rest = (picture(ax, n) for n in states)
    assert is_clothes(clean) and falling([like(clean, state) for state in rest])
    names = {where(t)[0]: t.get_text() for t in ax.texts[:5]}
    names = [name for _, name in sorted(names.items())]
    assert names == ["$x_0$", "$x_1$", "$x_{t-1}$", "$x_t$", "$x_T$"]
    height = {t.get_text(): where(t)[1] for t in ax.texts}
    assert height[r"$q(x_T \mid x_0)$"] > 0 > height[r"$\mathcal{N}(0, \mathbf{I})$"]


@shows
def elbo_decoder(figure):
    (ax,) = figure.axes
    level, height = bars(ax)
    edges = np.array([-np.inf, *(np.arange(16) / 8 - 15 / 16), np.inf])
    mass = np.diff(norm.cdf(edges, 0.2, 0.1))
    assert equal(level, np.arange(17) / 8 - 1) and equal(
        height, 8 * mass, absolute=1e-4
    )
    assert follows(ax.lines[0], norm(0.2, 0.1).pdf)
    for text in ax.texts[:-1]:
        n = round(8 * where(text)[0]) + 8
        assert text.get_text() == f"{mass[n]:.3f}"
    fills = [to_hex(p.get_facecolor()) for p in ax.patches]
    assert fills[10] == BLUE and fills.count(BLUE) == 1


@shows
def elbo_scatter(figure):
    (ax,) = figure.axes
    opposite, aligned, averaged, mean = (
        points(curve(ax, name))[1]
        for name in ("opposite", "aligned", "averaged", "the mean, $L_{t-1}$")
    )
    assert (np.abs(opposite - 0.6) < 0.2).all() and abs(aligned[-1] - 0.02) < 0.005
    assert averaged[-1] < 1e-4 and (averaged[9:] < mean[9:]).all() and mean[0] > 0.5
    assert (averaged[1:6] > mean[1:6]).all() and falling(mean)


@shows
def elbo_bits(figure):
    top, middle, strip = figure.axes[:3]
    _, bits = points(curve(top, "$L_{t-1}$"))
    ratio = (
        posterior_variance(LINEAR, torch.arange(2, 1001)) / LINEAR.beta[2:]
    ).numpy()
    unequal = (ratio - 1 - np.log(ratio)) / 2 / np.log(2)
    assert equal(points(curve(top, "unequal\nvariances"))[1], unequal, absolute=1e-9)
    assert (bits > unequal).all() and equal(points(middle.lines[0])[1], bits.cumsum())
    assert "each" in top.get_title() and "all" in middle.get_title()
    images = [inset.images[0] for inset in strip.child_axes]
    bag = picture(strip.child_axes[0])
    assert is_clothes_nearly(bag) and len(images) == 7
    assert falling([like(bag, picture(ax)) for ax in strip.child_axes])
    times = [number_in(ax.get_xlabel()) for ax in strip.child_axes]
    assert times == [1, 3, 10, 30, 100, 300, 1000]


def is_clothes_nearly(image: np.ndarray) -> bool:
    """Upright, with little noise."""
    every = data.fashion_mnist_held_out()
    return max(like(image, shown(clean)) for clean in every[:100]) > 0.99


@shows
def elbo_costs(figure):
    (ax,) = figure.axes
    ticks = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    label = {y: text.get_text() for y, text in ticks}
    cost = {
        label[round(p.get_y() + p.get_height() / 2)]: p.get_width() for p in ax.patches
    }
    order = ["table of levels", "last step 0.063", "last step 0.032"]
    order += ["plain, 17 levels", "usual schedule"]
    assert sorted(cost, key=cost.get) == order
    assert equal(cost["plain, 17 levels"], np.log2(17))
    texts = [float(text.get_text()) for text in ax.texts]
    assert equal(texts, list(cost.values()), absolute=0.006)


@shows
def elbo_steps(figure):
    (ax,) = figure.axes
    T, bound = points(curve(ax, "the bound"))
    _, exact = points(curve(ax, r"$-\log\,p_\theta(0.6)$"))
    assert T.tolist() == [20, 40, 80, 160]
    assert falling(bound) and falling(exact) and falling(bound - exact)
    truth = curve(ax, r"$-\log\,q(0.6)$, the data")
    assert equal(at(truth, 0), DATA_NLL) and (bound > exact).all()
    assert (exact > DATA_NLL).all()


# --- chapter 3 --------------------------------------------------------------------


def tick_labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def law_of_posterior(
    x0: float, x_t: float, t: int, schedule=SHORT
) -> tuple[float, float]:
    """Mean and standard deviation."""
    pair = torch.tensor([[x0], [x_t]]).double()
    mean = posterior_mean(schedule, *pair, t).item()
    return mean, posterior_variance(schedule, t).sqrt().item()


HALF_WIDTH = 2 * (2 * np.log(2)) ** 0.5  # of a bell at half its height, in std


def is_bell(filled, row: int, mean: float, std: float) -> bool:
    top, base, _, width = hill(filled)
    return base == row and equal([top, width / HALF_WIDTH], [mean, std], absolute=0.02)


@shows
def posterior_slide(figure):
    (ax,) = figure.axes
    times = range(2, 21, 3)
    assert tick_labels(ax) == [f"t = {t}" for t in times]
    for row, (t, filled) in enumerate(zip(times, ax.collections, strict=True)):
        assert is_bell(filled, row, *law_of_posterior(1, -1, t))
    marks = {text.get_text(): where(text)[0] for text in ax.texts}
    assert marks == {"$x_0 = 1$": 1, "$x_t = -1$": -1}


@shows
def posterior_opinions(figure):
    for t, ax in zip([3, 8], figure.axes, strict=True):
        assert ax.get_title() == f"t = {t}"
        alpha, abar = SHORT.alpha[t].item(), SHORT.alpha_bar[t - 1].item()
        laws = {
            "$x_t$ says": (-0.2 / alpha**0.5, ((1 - alpha) / alpha) ** 0.5),
            "$x_0$ says": (abar**0.5, (1 - abar) ** 0.5),
            "posterior": law_of_posterior(1, -0.2, t),
        }
        for name, law in laws.items():
            assert follows(curve(ax, name), norm(*law).pdf)


@shows
def posterior_image(figure):
    names, titles, (noisy, mean, draw) = grid(figure)
    assert names == ["$x_t$", "mean", "draw"]
    assert titles == [f"t = {t}" for t in (1, 3, 8, 20)]
    boot = mean[0]
    assert is_clothes(boot) and equal(draw[0], boot)
    assert all(falling([like(x, boot) for x in row]) for row in (noisy, mean, draw))
    for k in (1, 2):
        assert like(mean[k], boot) > like(noisy[k], boot) + 0.03
        assert like(mean[k], boot) > like(draw[k], boot) + 0.01


@shows
def posterior_weights(figure):
    (ax,) = figure.axes
    on_x0, on_x_t = mean_coefficients(LINEAR, torch.arange(1, 1001))
    assert equal(points(curve(ax, "of $x_0$"))[1], on_x0, absolute=1e-5)
    assert equal(points(curve(ax, "of $x_t$"))[1], on_x_t, absolute=1e-5)


@shows
def posterior_last(figure):
    (ax,) = figure.axes
    times = [1, 2, 3, 5]
    assert tick_labels(ax) == [f"t = {t}" for t in times]
    dots = [points(line) for line in ax.lines if line.get_marker() == "o"]
    for row, (t, (x, y)) in enumerate(zip(times, dots, strict=True)):
        abar = alpha_bar(LINEAR, t).item()
        assert equal([x[0], y[0]], [0.5 * abar**0.5 + 1.5 * (1 - abar) ** 0.5, row])
    named = {text.get_text(): text for text in ax.texts}
    assert color(named["$x_t$"]) == ORANGE and where(named["$x_0$"])[0] == 0.5
    spike, *bells = ax.collections
    assert equal(spike.get_segments()[0][:, 0], 0.5)
    for row, filled in enumerate(bells, 1):
        law = law_of_posterior(0.5, dots[row][0][0], times[row], LINEAR)
        top, base, _, width = hill(filled)
        assert base == row and equal([top, width / HALF_WIDTH], law, absolute=1e-3)


@shows
def posterior_variances(figure):
    (ax,) = figure.axes
    for steps in (1000, 50, 10):
        t, ratio = points(curve(ax, f"{steps} steps"))
        every = 1000 // steps
        noise = 1 - alpha_bar(LINEAR, [t - every, t])
        assert len(t) == steps and equal(ratio, noise[0] / noise[1])


@shows
def posterior_mixture(figure):
    (ax,) = figure.axes
    assert tick_labels(ax) == ["t = 3", "t = 5", "t = 10"]
    for row, t in enumerate((3, 5, 10)):
        filled, mark = ax.collections[2 * row : 2 * row + 2]
        path = filled.get_paths()[0].vertices
        x = np.unique(path[:, 0])
        height = np.array([path[path[:, 0] == v, 1].max() for v in x]) - row
        mean = mark.get_segments()[0][0, 0]
        assert abs(np.average(x, weights=height) - mean) < 0.01
        (high, std), (low, _) = (law_of_posterior(s, 0.05, t) for s in (1, -1))
        abar = alpha_bar(SHORT, t).item()
        odds = 1 / (1 + np.exp(-2 * abar**0.5 * 0.05 / (1 - abar)))
        law = odds * norm.pdf(x, high, std) + (1 - odds) * norm.pdf(x, low, std)
        assert equal(height / height.max(), law / law.max(), absolute=0.01)


# --- chapter 4 --------------------------------------------------------------------

POINT = np.array([0.7, 1.1])  # a pixel and its noise
EPS = r"$\varepsilon$"


def axes_of_plane(t: int) -> dict[str, np.ndarray]:
    """Unit vectors along which each of the four is measured."""
    c, s = alpha_bar(LINEAR, t) ** 0.5, (1 - alpha_bar(LINEAR, t)) ** 0.5
    return {"$x_0$": (1, 0), EPS: (0, 1), "$x_t$": (c, s), "$v$": (-s, c)}


@shows
def x0_plane(figure):
    (ax,) = figure.axes
    ways = {name: np.array(way) for name, way in axes_of_plane(160).items()}
    spots = {t.get_text(): np.array(where(t)) for t in ax.texts if t.get_text()}
    feet = [
        np.concatenate(points(line))
        for line in ax.lines
        if line.get_marker() == "o" and line.get_markersize() < 10
    ]
    for (name, way), foot in zip(ways.items(), feet, strict=True):
        value = way @ POINT
        assert equal(foot, value * way)
        assert equal(spots[name] / np.linalg.norm(spots[name]), way)
        assert np.linalg.norm(spots[f"{value:.2f}"] - foot) < 0.5
    arrows = [t for t in ax.texts if t.get_text() == ""]
    for way, arrow in zip(ways.values(), arrows, strict=True):
        assert np.dot(arrow.xy, way) > 0 > np.dot(arrow.xyann, way)


@shows
def x0_turn(figure):
    for t, ax in zip((70, 500), figure.axes, strict=True):
        assert ax.get_title() == f"t = {t}"
        c, s = axes_of_plane(t)["$x_t$"]
        by_width = {line.get_linewidth(): [] for line in ax.lines}
        for line in ax.lines:
            by_width[line.get_linewidth()].append(points(line))
        (x, y) = POINT[:, None] + 0.6 * np.array([[s, -s], [-c, c]])
        low = ax.get_xlim()[0]
        assert equal(by_width[5], [[x, y]])
        assert equal(by_width[8], [[x, [low, low]], [[low, low], y]])
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("$x_0$", EPS)
    assert place(left)[0] < place(right)[0]


@shows
def x0_weights(figure):
    steps = torch.arange(1, 1001)
    names = {"x0": "$x_0$", "eps": EPS, "v": "$v$ and $x_0$"}
    for ax in figure.axes:
        for kind, name in names.items():
            weight = loss_weight(ALL[ax.get_title()], steps, kind, "beta")
            assert equal(points(curve(ax, name))[1], weight, absolute=0)
    assert [ax.get_title() for ax in figure.axes] == ["linear", "cosine"]


@shows
def x0_shared(figure):
    (ax,) = figure.axes
    pair = torch.tensor([10, 500])
    best = (1 - LINEAR.alpha_bar[pair]).sqrt().numpy()
    bound = loss_weight(LINEAR, pair, "eps", "beta").numpy()
    snr = LINEAR.snr[pair].numpy()
    weights = {"bound": bound, f"simple {EPS}": np.ones(2)}
    weights |= {"simple $v$": (snr + 1) / snr, "simple $x_0$": 1 / snr}
    for name, weight in weights.items():
        theta = points(curve(ax, name))[0][0]
        assert equal(theta, (weight @ best) / weight.sum())
    marks = [line for line in ax.lines if color(line) == "#757575"]
    assert equal([points(line)[0][0] for line in marks], best)
    for t, at_t in zip(pair.tolist(), best, strict=True):
        (text,) = (x for x in ax.texts if x.get_text() == f" best at t = {t}")
        assert equal(where(text)[0], at_t)


@shows
def x0_losses(figure):
    strip, ax = figure.axes
    clean = shown(data.photo(64))
    photos = tiles(picture(strip), 5)
    for t, photo in zip(range(100, 1000, 200), photos, strict=True):
        assert abs(like(photo, clean) - signal(clean, LINEAR, t, 3)) < 0.07
    assert falling([like(photo, clean) for photo in photos])
    snr = LINEAR.snr[1:].numpy()
    bound = loss_weight(LINEAR, torch.arange(1, 1001), "x0", "beta")
    truths = {f"simple {EPS}": snr, "simple $v$": snr + 1, "bound": bound}
    truths |= {"simple $x_0$": np.ones(1000), "min-SNR": snr.clip(max=5)}
    for name, truth in truths.items():
        line = max(curves(ax, name), key=lambda line: len(points(line)[0]))
        assert equal(points(line)[1], truth, absolute=0)


@shows
def x0_score(figure):
    centers = torch.tensor([[-1.2, -0.7], [1.3, -0.5], [0.1, 1.2]]).double()
    clusters = GaussianMixture([0.4, 0.3, 0.3], centers, stds=0.15)
    for t, ax in zip((100, 300), figure.axes, strict=True):
        assert ax.get_title() == f"t = {t}"
        (arrows,) = (c for c in ax.collections if hasattr(c, "U"))
        start = np.asarray(arrows.get_offsets(), float)
        root = alpha_bar(LINEAR, t) ** 0.5
        tips = root * clusters.x0_mean(LINEAR, torch.tensor(start), t).numpy()
        assert equal(start + np.stack([arrows.U, arrows.V], 1), tips, absolute=1e-3)
        assert equal(np.stack(points(ax.lines[0]), 1), root * centers.numpy())
    assert place(figure.axes[0])[1] > place(figure.axes[1])[1]


MIXTURE = GaussianMixture([0.4, 0.6], [[-1.0], [0.8]], stds=[0.1, 0.3])
VARIANCE = 0.4 * (1 + 0.1**2) + 0.6 * (0.64 + 0.3**2) - 0.08**2


@shows
def x0_mixture(figure):
    top, below = figure.axes
    x, mean = points(curve(top, r"$\mathbb{E}[x_0 \mid x_t]$"))
    x = torch.tensor(x)[:, None]
    assert equal(mean, MIXTURE.x0_mean(LINEAR, x, 260)[:, 0])
    noisy, clean = points(top.lines[0])
    best = MIXTURE.x0_mean(LINEAR, torch.tensor(noisy)[:, None], 260)[:, 0].numpy()
    floor = ((clean - best) ** 2).mean()
    assert abs(floor - 0.433) < 0.05
    assert (top.get_xlabel(), top.get_ylabel()) == ("$x_t$", "$x_0$")
    assert top.get_title() == "t = 260"
    band = top.collections[0].get_paths()[0].vertices
    std = MIXTURE.x0_variance(LINEAR, torch.zeros(1, 1).double(), 260).sqrt().item()
    at_0 = band[np.abs(band[:, 0]) < 1e-6, 1]
    assert equal(np.ptp(at_0), 2 * std)
    t, error = points(below.lines[0])
    assert rising(error) and 0 <= error[0] < 0.01
    assert abs(error[-1] - VARIANCE) < 0.002 > abs(at(below.lines[1], 0) - VARIANCE)
    assert abs(np.interp(260, t, error) - floor) < 0.06


@shows
def x0_optimal(figure):
    (ax,) = figure.axes
    floor = at(ax.lines[-1], 0)
    assert abs(floor - 0.433) < 0.001
    second_moment = VARIANCE + 0.08**2 - floor  # of the best answer
    for name, size in [("shift", 1), ("stretch", second_moment), ("wave", 0.5)]:
        delta, error = points(curve(ax, name))
        assert equal(error, floor + size * delta**2, absolute=0.005)


@shows
def x0_finite(figure):
    names, titles, (noisy, answers) = grid(figure)
    assert names == ["$x_t$", "answer"]
    assert titles == [f"t = {t}" for t in (100, 400, 500, 600, 700, 1000)]
    boot = answers[0]
    assert is_clothes(boot) and falling([like(boot, x) for x in noisy[:5]])
    for answer, x_t in zip(answers[1:], noisy[1:], strict=True):
        assert like(boot, answer) > like(boot, x_t)
    for image in (*answers[:4], *noisy[:3]):
        assert like(boot, image) > like(boot[::-1], image)
    average = shown(data.fashion_mnist_held_out().mean(0))
    assert like(answers[-1], average) > 0.98 > 0.9 > abs(like(noisy[-1], average))


@shows
def x0_conditioning(figure):
    to_x0, to_eps = figure.axes
    assert to_x0.get_title().endswith("to $x_0$")
    assert to_eps.get_title().endswith(f"to {EPS}")
    named = {line.get_label(): line for line in to_x0.lines}
    assert [t.get_text() for t in to_x0.get_legend().get_texts()] == list(ALL)
    for name, schedule in ALL.items():
        root = schedule.snr[1:].sqrt().numpy()
        assert equal(points(named[name])[1], 1 / root, absolute=0)
        (other,) = (x for x in to_eps.lines if x.get_label() == name)
        assert equal(points(other)[1], root, absolute=0)
        assert color(other) == color(named[name]) == SCHEDULE_STYLE[name]["color"]
    abar = ALL["cosine"].alpha_bar[1:].numpy()
    for ax, square in zip(figure.axes, (1 - abar, abar), strict=True):
        (from_v,) = (line for line in ax.lines if line.get_linestyle() == ":")
        assert equal(points(from_v)[1], square**0.5)


@shows
def x0_recovered(figure):
    names, titles, (from_eps, from_v, best) = grid(figure)
    assert names == [f"from {EPS}", "from $v$", "best possible"]
    assert titles == [f"t = {t}" for t in (100, 500, 900, 980, 1000)]
    bag = shown(data.fashion_mnist_held_out()[30])
    assert all(like(image, bag) > 0.99 for image in from_v)
    assert like(from_eps[0], bag) > 0.99 and like(from_eps[-1], bag) < 0.3
    assert all(like(image, bag) > like(image, bag[::-1]) for image in from_eps[:4])
    assert equal(best[0], bag) and falling([like(x, bag) for x in best[1:]])
    assert (
        len(np.unique(from_eps[-1].round(2))) < 30 < len(np.unique(best[-1].round(2)))
    )


@shows
def x0_floors(figure):
    (ax,) = figure.axes
    t, of_v = points(curve(ax, "$x_0$ and $v$"))
    of_eps = points(curve(ax, EPS))[1]
    abar = alpha_bar(ALL["cosine"], t)
    size = data.fashion_mnist_held_out().double().pow(2).mean().item()
    of_x0, unit = points(ax.lines[0])[1], (abar + (1 - abar) * size) ** 0.5
    # one ignorance in three units
    assert equal(of_eps, of_v * unit * abar**0.5, 0.01)
    assert equal(of_x0, of_v * unit * ((1 - abar) / size) ** 0.5, 0.01)
    assert rising(of_v[:-1]) and 0.6 < of_v[-1] < 0.8 and of_eps[-1] < 1e-4
    assert at(ax.lines[-1], 0) == 0.01


@shows
def x0_one_call(figure):
    names, _, (first, middle, last) = grid(figure)
    assert names == ["1 call", "400 calls", "1000 calls"]
    assert min(like(first[0], image) for image in first) > 0.98
    assert all(map(is_clothes, last)) and not any(map(is_clothes, middle))
    alike = [like(x, y) for x, y in zip(middle, last, strict=True)]
    turned = [like(x[::-1], y) for x, y in zip(middle, last, strict=True)]
    assert min(alike) > 0.5 and sum(alike) > sum(turned)


# --- chapter 0 --------------------------------------------------------------------


def upright(images: list[np.ndarray]) -> bool:
    """Whether clothes, new ones too, have their soles below and their straps above."""
    average = shown(data.fashion_mnist_held_out().mean(0))
    mean = np.mean(images, 0)
    return like(mean, average) > max(0.5, like(mean[::-1], average))


def grain(images: list[np.ndarray]) -> float:
    """Mean difference between a pixel and its neighbor."""
    return np.mean([np.abs(np.diff(image, axis=1)).mean() for image in images])


@shows
def twenty_data(figure):
    images = tiles(picture(figure.axes[0]), 8)
    assert len(images) == 24 and all(map(is_clothes, images))


@shows
def twenty_noise(figure):
    _, titles, rows = grid(figure)
    assert titles == [f"t = {t}" for t in (0, 15, 40, 80, 120, 200)]
    for row in rows:
        assert is_clothes(row[0]) and falling([like(row[0], x) for x in row[:5]])
        assert all(like(row[0], x) > like(row[0][::-1], x) for x in row[:4])


@shows
def twenty_curve(figure):
    (ax,) = figure.axes
    smooth, *dots = ax.lines
    step, loss = points(smooth)
    assert loss[0] > 0.9 and loss[-1] < 0.08 and step[-1] > 850
    assert falling(loss[[0, 100, 200, 400, 800]])
    for dot, text in zip(dots, ax.texts, strict=True):
        x, y = points(dot)
        assert equal(y, at(smooth, x[0])) and equal(text.xy, [x[0], y[0]])
        assert text.get_text() == f"{y[0]:.2f}"


@shows
def twenty_stages(figure):
    names, _, rows = grid(figure)
    assert names == ["0", "120", "200", "400", "900"]
    assert falling([grain(row) for row in rows]) and upright(rows[-1])
    assert np.mean(rows[0]) > 0.45 > 0.4 > np.mean(rows[-1])


@shows
def twenty_new(figure):
    images = tiles(picture(figure.axes[0]), 8)
    assert len(images) == 24 and upright(images) and not any(map(is_clothes, images))


# --- chapter 5 --------------------------------------------------------------------


@shows
def unet_field(figure):
    plain, unet, window, whole, _ = figure.axes
    assert (plain.get_title(), unet.get_title()) == ("plain", "U-Net")
    sides = [int((picture(ax) > -11).any(0).sum()) for ax in (plain, unet)]
    assert sides == [37, 64]
    for ax in (plain, unet):
        y, x = np.unravel_index(picture(ax).argmax(), (64, 64))
        assert max(abs(y - 32), abs(x - 32)) <= 2 and abs(picture(ax).max()) < 1e-6
        assert equal(points(ax.lines[0]), 32)
    clean, seen = shown(data.photo(64)), slice(32 - 18, 32 + 19)
    assert like(picture(whole), clean) > 0.5 > like(picture(whole), clean[::-1]) + 0.1
    assert equal(picture(window)[seen, seen], picture(whole)[seen, seen])
    assert (picture(window) > 0).sum() <= 37**2


@shows
def unet_embedding(figure):
    top, bottom, _ = figure.axes
    table, t = picture(top), np.arange(1, 1001)
    assert equal(table[0], np.sin(t), absolute=1e-3)
    assert equal(table[32], np.cos(t), absolute=1e-3)
    turns = [(np.diff(np.sign(hand)) != 0).sum() for hand in table]
    assert turns[:32] == sorted(turns[:32], reverse=True) and turns[31] < 3
    assert top.get_ylim() == (64, 0) and top.get_ylabel() == "coordinate"
    similar = table.T @ table / 32
    for start, line in zip((200, 700), bottom.lines, strict=True):
        assert equal(points(line), [t, similar[start - 1]], absolute=1e-3)
        (text,) = (x for x in bottom.texts if x.get_text() == f"to t = {start}")
        assert 0 < where(text)[0] - start < 50


@shows
def unet_attention(figure):
    for top, bottom in zip(figure.axes[:3], figure.axes[3:], strict=True):
        assert place(top)[1] > place(bottom)[1]
        clean, look = picture(bottom), picture(bottom, 1)
        assert is_clothes(clean) and not is_clothes(picture(top))
        assert like(clean, picture(top)) > like(clean[::-1], picture(top))
        assert equal(points(bottom.lines[0]), 13.5)
        assert look.shape == (7, 7) and equal(look.sum(), 1) and look.min() > 0
    trousers = picture(figure.axes[4], 1).sum(0)
    assert trousers.argmax() in (2, 3, 4)


@shows
def unet_alike(figure):
    names, _, (noisy, near, alike, clean) = grid(figure)
    assert names == ["noisy", "near", "alike", "clean"]
    assert all(map(is_clothes, clean))
    off = [
        [np.abs(row[k].astype(float) - truth).mean() for row in (noisy, near, alike)]
        for k, truth in enumerate(clean)
    ]
    before, blurred, attended = np.mean(off, 0)
    assert attended < 0.8 * blurred < 0.8 * before
    assert like(near[1], clean[1]) > like(near[1][::-1], clean[1])


@shows
def unet_power(figure):
    (ax,) = figure.axes
    assert follows(curve(ax, "attention"), lambda n: 2 * 64 * n**4 / 1e6)
    assert follows(curve(ax, "convolution"), lambda n: 9 * 64**2 * n**2 / 1e6)


def bar_chart(ax: Axes) -> dict[str, float]:
    """The length of each horizontal bar, by what stands beside it; from the top."""
    ticks = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    label = {round(y): text.get_text() for y, text in ticks}
    boxes = {round(p.get_y() + p.get_height() / 2): p.get_width() for p in ax.patches}
    down = sorted(boxes, reverse=not ax.yaxis_inverted())
    return {label[y]: boxes[y] for y in down}


@shows
def unet_cost(figure):
    parameters, work = (bar_chart(ax) for ax in figure.axes)
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "parameters",
        "million multiply-adds",
    ]
    assert list(parameters) == list(work)
    assert [name.split()[0] for name in work] == ["28", "14", "7", "time"]
    count = sum(p.numel() for p in UNet().parameters())
    assert sum(parameters.values()) == count
    assert rising(list(parameters.values())[:3]) and falling(list(work.values()))
    for ax, chart in zip(figure.axes, (parameters, work), strict=True):
        texts = [float(text.get_text().replace(",", "")) for text in ax.texts]
        assert equal(texts, list(chart.values()), absolute=0.06)


@shows
def unet_parts(figure):
    (ax,) = figure.axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    dots = {names[int(y[0])]: x for x, y in map(points, ax.lines)}
    assert len(names) == len(dots) == 8 and list(dots) == names
    assert all((points(line)[1] >= 0).all() for line in ax.lines)
    assert rising([x.sum() for x in dots.values()])
    assert equal(dots["the whole"], 0) and np.abs(dots["no attention"]).max() < 8
    assert dots["no long skips"].min() > 20 and dots["no norm"].min() > 20


@shows
def unet_time(figure):
    (ax,) = figure.axes
    for name, low, high in [("no long skips", 4, 12), ("no time", 1.35, 3)]:
        t, ratio = points(curve(ax, name))
        assert low < ratio[-1] < high and 1 < ratio[0] < 1.5 and falling(-ratio[-3:])
        assert equal(t, np.arange(62, 1000, 125))
    assert at(ax.lines[-1], 0) == 1


# --- chapter 6 --------------------------------------------------------------------

RING = GaussianMixture.ring()


def words(label: str) -> str:
    return " ".join(label.split())


@shows
def training_samples(figure):
    top, *rows = figure.axes
    dots, line = top.lines
    step, loss = points(line)
    assert equal(loss, np.convolve(points(dots)[1], np.ones(20) / 20, "valid"))
    assert loss[0] > 0.6 and loss[-1] < 0.35 and step[-1] == 390
    assert [words(ax.get_ylabel()) for ax in rows] == [
        f"after {step}" for step in (0, 50, 100, 200, 400)
    ]
    assert falling([place(ax)[1] for ax in figure.axes])
    images = [tiles(picture(ax), 8) for ax in rows]
    assert falling([grain(row) for row in images]) and upright(images[-1])


@shows
def training_batch(figure):
    names, titles, (noisy, clean, noise) = grid(figure)
    assert names == ["$x_t$", "$x_0$", EPS]
    times = [int(number_in(title)) for title in titles]
    assert times == [50, 200, 350, 500, 650, 800]
    assert all(map(is_clothes, clean))
    for t, x_t, x_0, eps in zip(times, noisy, clean, noise, strict=True):
        abar = alpha_bar(COSINE, t)
        mixed = abar**0.5 * (2 * x_0 - 1) + (1 - abar) ** 0.5 * (2 * eps - 1)
        assert like(x_t, ((mixed + 1) / 2).clip(0, 1)) > 0.9


@shows
def training_ring(figure):
    for t, ax in zip((100, 400), figure.axes, strict=True):
        assert ax.get_title() == f"t = {t}"
        dots, *ways, best = ax.lines
        radius = np.hypot(*points(dots))
        assert abs(radius.mean() - 1) < 0.02 and radius.std() < 0.1
        ends = np.array([points(way) for way in ways])  # (point, coordinate, end)
        start = torch.tensor(ends[:, :, 0])
        assert equal(ends[:, :, 1], RING.x0_mean(LINEAR, start, t), absolute=1e-3)
        assert equal(np.stack(points(best), 1), ends[:, :, 1])
        assert color(best) == ORANGE


@shows
def training_uniform(figure):
    (ax,) = figure.axes
    small, large, every = (curve(ax, n) for n in ("t up to 150", "t from 400", "all t"))
    assert at(small, 800) > 10 * at(every, 800)
    assert at(large, 50) > 10 * at(every, 50)
    assert max(at(every, t) for t in (50, 800)) < 0.05
    assert at(small, 1000) > at(small, 5) and at(large, 1000) < at(large, 5)
    assert all((points(line)[1] > 0).all() for line in (small, large, every))


def band(filled, x: float) -> tuple[float, float]:
    """The lower and the upper end of a filled band at a place."""
    path = filled.get_paths()[0].vertices
    y = path[np.isclose(path[:, 0], x), 1]
    return y.min(), y.max()


@shows
def training_pull(figure):
    top, bottom = figure.axes
    floor, excess = top.collections
    named = {text.get_text(): text for text in top.texts}
    assert to_hex(excess.get_facecolor()[0]) == ORANGE
    assert color(named["excess"]) == ORANGE
    assert band(floor, 800)[1] > 0.4 > 0.05 > np.ptp(band(excess, 800))
    assert np.ptp(band(excess, 10)) > 5 * band(floor, 10)[1]
    assert equal(band(excess, 800)[0], band(floor, 800)[1])
    pull, noise = curve(bottom, "pull"), curve(bottom, "noise")
    assert at(pull, 10) > 20 * at(pull, 800) and at(pull, 10) > at(noise, 10)
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("loss", "gradient")
    assert at(noise, 800) > at(noise, 5)
    assert at(noise, 800) > at(pull, 800) and 0.05 < at(noise, 10) < 0.5


@shows
def training_own(figure):
    (ax,) = figure.axes
    t, learned = points(curve(ax, "learned"))
    m = data.digits().double().square().mean().item()
    bar = make_schedule("cosine").alpha_bar[1:].numpy()
    best = np.sqrt(bar) * m / (bar * m + 1 - bar)
    assert equal(t, np.arange(1, 1001)) and equal(points(curve(ax, "best"))[1], best)
    off = np.abs(learned - best)
    assert 0 < off.mean() < 0.05 and off[:100].mean() < 0.01 < off[600:].mean()


def nearness(images: list[np.ndarray]) -> float:
    """How much images are like the clothes they resemble most, on average."""
    every = data.fashion_mnist_held_out()[:, 0].flatten(1).numpy()
    every = (every - every.mean(1, keepdims=True)) / every.std(1, keepdims=True)
    flat = np.stack(images).reshape(len(images), -1)
    flat = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    return float((flat @ every.T / every.shape[1]).max(1).mean())


@shows
def training_weight(figure):
    plain, weighted = figure.axes
    labels = [words(ax.get_ylabel()) for ax in figure.axes]
    assert labels == ["weight 1", "weight $w_t$"]
    assert place(plain)[1] > place(weighted)[1]
    images = [tiles(picture(ax), 8) for ax in figure.axes]
    assert nearness(images[0]) > nearness(images[1]) and upright(images[0])


@shows
def training_curve(figure):
    (ax,) = figure.axes
    dots, running, floor = ax.lines
    steps, loss = points(running)
    each = points(dots)[1]
    assert equal(loss, np.convolve(each, np.ones(100) / 100, "valid"))
    assert steps[0] == 99 and len(each) == 1200
    named = {text.get_text(): color(text) for text in ax.texts}
    assert named == {
        "one step": color(dots),
        "average of 100": color(running),
        "floor": color(floor),
    }
    assert 1 < loss[-200:].mean() / at(floor, 0) < 1.15 and loss[0] > loss[-1]


@shows
def training_by_time(figure):
    (ax,) = figure.axes
    floor, whole = curve(ax, "floor"), curve(ax, "this network")
    t, least = points(floor)
    total = points(whole)[1]
    assert (total > least * 0.999).all() and total[t == 50] > 1.5 * least[t == 50]
    assert (total[t >= 200] < 1.05 * least[t >= 200]).all() and 0.4 < least[-1] < 0.6


@shows
def training_targets(figure):
    (ax,) = figure.axes
    x0, eps, v = (
        points(curve(ax, f"predicts {name}"))[1] for name in ("$x_0$", EPS, "$v$")
    )
    assert eps[-1] > 1 > 0.05 > max(x0.max(), v.max())
    assert x0[0] > 10 * max(v[0], eps[0]) and x0[0] > x0[-1] and v.min() > 0


@shows
def training_ema(figure):
    (ax,) = figure.axes
    weights, average, cold = (
        points(curve(ax, name))[1] for name in ("weights", "average", "no warm-up")
    )
    assert average[-30:].mean() < weights[-30:].mean()
    assert 10 * average[-30:].mean() < cold[-30:].mean() and falling(cold[::10])
    assert min(weights.min(), average.min(), cold.min()) > 0
    jumps = [np.abs(np.diff(np.log(y[-30:]))).mean() for y in (weights, average)]
    assert jumps[0] > 3 * jumps[1]


@shows
def training_noise(figure):
    scatter = {}
    for ax in figure.axes:
        values = points(ax.lines[0])[1]
        assert (values > 0).all()
        scatter[ax.get_xlabel()] = values.std() / values.mean(), len(values)
    (point, n), (batch, m) = scatter["point"], scatter["batch of 256"]
    assert point > 1 > 0.2 > batch > 0.1 and (n, m) == (256, 100)


@shows
def training_game(figure):
    (ax,) = figure.axes
    turn = (1 + 0.1j) ** np.arange(61)
    game, bowl = curve(ax, "two players"), curve(ax, "a bowl")
    assert equal(points(game), [turn.real, turn.imag])
    assert equal(points(bowl), [0.9 ** np.arange(61), np.zeros(61)])


@shows
def training_unseen(figure):
    names, titles, rows = grid(figure)
    assert names == ["$x_t$", r"$\hat x_0$"] * 2
    assert titles == [*(f"t = {t}" for t in (100, 300, 500, 700, 900)), "$x_0$"]
    for noisy, guesses in (rows[:2], rows[2:]):
        clean = noisy[-1]
        assert is_clothes(clean) and equal(guesses[-1], clean)
        assert falling([like(clean, x) for x in noisy[:-1]])
        assert falling([like(clean, x) for x in guesses[:-1:2]])
        for title, x_t in zip(titles[:-1], noisy, strict=False):
            expected = signal(clean, COSINE, int(number_in(title)))
            assert abs(like(clean, x_t) - expected) < 0.07
        for x_t, guess in zip(noisy[:-1], guesses[:-1], strict=True):
            assert like(clean, guess) > like(clean, x_t) and grain([guess]) < 0.2


# --- chapter 7 --------------------------------------------------------------------


def nearest_mode(xy) -> np.ndarray:
    """The index of the mode of the ring that is nearest to each point."""
    return torch.cdist(torch.tensor(np.stack(xy, 1)), RING.means).argmin(1).numpy()


@shows
def sampling_chain(figure):
    decided = []
    for t, ax in zip((1000, 200, 100, 50, 20, 0), figure.axes, strict=True):
        time, share = ax.get_title().split(": ")
        assert time == f"$t$ = {t}"
        decided.append(number_in(share))
        others, top, path, walker = ax.lines
        assert color(top) == ORANGE and color(path) == color(walker) == BLUE
        right = (nearest_mode(points(top)) == 2).mean()  # the mode at the top
        assert abs(right - decided[-1] / 100) < 0.12
        assert equal(np.array(points(path))[:, 0], np.array(points(walker))[:, 0]) or (
            t > 200
        )
        if t == 1000:
            start = torch.randn(2000, 2, generator=seeded()).sort(0).values
            dots = np.concatenate([points(top), points(others)], 1)
            assert equal(np.sort(dots), start.T)
    assert rising(decided[:5]) and decided[-1] == 100 and decided[0] < 20
    assert (nearest_mode(points(others)) != 2).all() and right == 1
    assert np.mean(points(top)[1]) > 0.9


@shows
def sampling_weights(figure):
    (ax,) = figure.axes
    on_x0, on_x_t = mean_coefficients(LINEAR, torch.arange(1, 1001))
    guess = curve(ax, r"weight of the guess $\hat x_0$")
    state = curve(ax, "weight of the state $x_t$")
    assert equal(points(guess)[1], on_x0, absolute=1e-5)
    assert equal(points(state)[1], on_x_t, absolute=1e-5)
    assert ax.get_xlim() == (1000, 1) and "from noise to data" in ax.get_xlabel()


@shows
def sampling_clip(figure):
    spans = {}
    for ax in figure.axes:
        mode = nearest_mode(points(ax.lines[0]))
        shares = np.bincount(mode, minlength=8) / len(mode)
        for text in ax.texts:
            (n,) = nearest_mode(np.array(where(text))[:, None])
            assert abs(number_in(text.get_text()) - 100 * shares[n]) < 0.51
        spans[ax.get_title()] = np.ptp(shares)
    assert spans["not clipped"] > 0.2 > 0.05 > spans["clipped to ±1.2"]


@shows
def sampling_paths(figure):
    way = {}
    for ax in figure.axes:
        assert equal(np.stack(points(ax.lines[-1]), 1), RING.means)
        long = [np.array(points(x)) for x in ax.lines if len(points(x)[0]) == 1001]
        way[ax.get_title()] = np.mean(
            [np.hypot(*np.diff(x, axis=1)).sum() for x in long]
        )
        starts = [np.array(points(x)) for x in ax.lines if x.get_marker() == "X"]
        assert equal([x[:, 0] for x in long], [x[:, 0] for x in starts])
        for line in (x for x in ax.lines if len(points(x)[0]) == 21):
            same = [x for x in ax.lines if color(x) == color(line)]
            (smooth,) = (points(x) for x in same if len(points(x)[0]) == 1001)
            pair = (torch.tensor(np.stack(x, 1)) for x in (points(line), smooth))
            far = torch.cdist(*pair)
            assert far.min(1).values.max() < 0.25
        ends = np.stack([x[:, -1] for x in long])
        far = torch.cdist(torch.tensor(ends), RING.means).min(1).values
        assert far.max() < 0.3
    assert way["ancestral"] > 5 * way["DDIM"]


@shows
def sampling_widths(figure):
    width, distance = figure.axes
    assert "width" in width.get_ylabel() and "distance" in distance.get_ylabel()
    beta, tilde, ddim = (
        points(curve(width, name))[1]
        for name in (r"$\beta_t$", r"$\tilde\beta_t$", "DDIM")
    )
    assert all(2.5 < y[0] < 3.5 for y in (beta, tilde, ddim))
    assert np.abs(beta[2:] - 1).max() < 0.06
    assert all(y[2] < 0.8 and rising(y[3:]) for y in (tilde, ddim))
    assert (tilde[2:] < ddim[2:]).all()
    assert points(width.lines[0])[0].tolist() == [10, 20, 50, 100, 200, 1000]
    assert all(falling(points(line)[1][:3]) for line in distance.lines)


@shows
def sampling_strip(figure):
    names, titles, rows = grid(figure)
    assert [words(name) for name in names] == [
        *("cosine $x_t$", r"$\hat x_0$") * 2,
        *("linear $x_t$", r"$\hat x_0$") * 2,
    ]
    assert titles == [f"$t$ = {t}" for t in (1000, 600, 400, 200, 100, 0)]
    average, early = shown(data.fashion_mnist_held_out().mean(0)), []
    for states, guesses in zip(rows[::2], rows[1::2], strict=True):
        assert like(guesses[0], average) > 0.8 > 0.3 > like(states[0], average)
        assert like(guesses[0], average) > like(guesses[0][::-1], average)
        assert like(states[-1], guesses[-1]) > 0.98
        assert rising([like(x, states[-1]) for x in guesses[1:4]])
        early.append(like(states[2], states[-1]))
    assert min(early[:2]) > max(early[2:])


@shows
def sampling_grid(figure):
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["cosine schedule", "linear schedule"]
    for ax in figure.axes:
        images = tiles(picture(ax), 8)
        assert len(images) == 32 and upright(images) and nearness(images) > 0.8


@shows
def sampling_grain(figure):
    names, _, rows = grid(figure)
    assert names == [r"$\beta_t$", r"$\tilde\beta_t$", "DDIM"]
    beta, tilde, ddim = rows
    assert grain(beta) > 1.25 * grain(tilde) and upright([*tilde, *ddim])
    same, other = (
        [like(*two) for two in zip(tilde, x, strict=True)] for x in rows[::2]
    )
    assert min(same) > 0.8 > 0.7 > np.mean(other)


@shows
def sampling_memory(figure):
    names, _, (samples, nearest) = grid(figure)
    assert names == ["sample", "data"] and all(map(is_clothes, nearest))
    assert equal(samples, nearest, absolute=0.02)


@shows
def sampling_labels(figure):
    kinds, labels = data.digits()[:, 0].double(), data.digit_labels()
    means = torch.stack([kinds[labels == k].mean(0) for k in range(10)])
    means = torch.nn.functional.interpolate(means[None], 28, mode="bicubic")[0].numpy()
    variety = {}
    for ax in figure.axes:
        images = np.stack(tiles(picture(ax), 10)).reshape(4, 10, 28, 28)
        guess = [
            [np.argmax([like(image, mean) for mean in means]) for image in row]
            for row in images
        ]
        assert (np.array(guess) == np.arange(10)).mean() > 0.7
        variety[ax.get_title()] = images.var(0).mean()
    assert variety["$w = 1$"] > 1.1 * variety["$w = 3$"]
    assert place(figure.axes[0])[1] > place(figure.axes[1])[1]


# --- find the bug -----------------------------------------------------------------


@shows
def bugs_widths(figure):
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    steps, repaired = points(curve(ax, "both repaired"))
    narrow, wide = (points(curve(ax, name))[1] for name in ("F.1", "F.9"))
    assert steps.tolist() == [10, 20, 50, 100, 200, 500]
    assert rising(repaired) and equal(repaired[-1], 1, 0.02)
    assert falling(narrow) and rising(wide) and (narrow < repaired).all()
    assert (repaired < wide).all() and narrow[-1] < 0.1 and wide[-1] > 3
    variance = 1.0  # ten steps with β̃, in plain numbers
    levels = alpha_bar(LINEAR, range(0, 1001, 100))
    for b, a in zip(levels[-2::-1], levels[:0:-1], strict=True):
        exact = a**0.5 * 0.25 / (a * 0.25 + 1 - a)
        gain = b**0.5 * (1 - a / b) * exact + (a / b) ** 0.5 * (1 - b)
        variance = (gain / (1 - a)) ** 2 * variance
        variance += (1 - a / b) * (1 - b) / (1 - a)
    assert equal(repaired[0], variance**0.5 / 0.5)


@shows
def bugs_clouds(figure):
    cells = {
        (s.rowspan.start, s.colspan.start): ax
        for s, ax in ((ax.get_subplotspec(), ax) for ax in figure.axes)
    }
    assert [cells[0, i].get_title() for i in range(4)] == ["F.2", "F.3", "F.8", "F.10"]
    assert [cells[i, 0].get_ylabel() for i in range(2)] == ["as it is", "repaired"]
    (top, bottom) = (
        [np.array(points(cells[row, i].lines[0])) for i in range(4)] for row in (0, 1)
    )
    right = [(cloud[0][0] > 0).mean() for cloud in (top, bottom)]
    assert right[0] < 0.67 < 0.72 < right[1] < 0.76  # it is 0.74
    for i, spread in ((1, 0.12), (2, 0.2)):
        bad, good = (nearest_of_ring(cloud[i]).mean() for cloud in (top, bottom))
        assert bad > 1.2 * good and good < spread
    edge = [(abs(abs(x[3]).max(0) - 1) < 0.01).mean() for x in (top, bottom)]
    assert edge[0] > 0.9 > 0.6 > edge[1]
    off = [abs(np.hypot(*x[3]) - 1).mean() for x in (top, bottom)]
    assert off[0] > 0.2 > 0.02 > off[1]


def nearest_of_ring(cloud: np.ndarray) -> np.ndarray:
    """How far points are from the nearest of the eight means of the ring."""
    means = GaussianMixture.ring().means.numpy()
    return np.linalg.norm(cloud.T[:, None] - means, axis=2).min(1)


@shows
def bugs_average(figure):
    clean = shown(data.photo(64))
    _, titles, (images,) = grid(figure)
    assert titles == ["1 step", "300 steps", "1000 steps", "3000 steps"]
    assert rising([like(image, clean) for image in images])
    assert like(images[0], clean) < 0.1 and like(images[-1], clean) > 0.95
    assert all(like(image, clean) > like(image, clean[::-1]) for image in images[1:])


@shows
def bugs_quiet(figure):
    (ax,) = figure.axes
    spread, one = ax.lines
    assert (points(one)[1] == 1).all()
    names = {text.get_text(): text for text in ax.texts}
    assert color(names[r"$\hat{\varepsilon}$"]) == color(spread)
    assert ax.get_xlabel() == r"$\bar\alpha_t$"
    pair = GaussianMixture.of_points(torch.tensor([[1.0], [-1.0]]))
    x = torch.linspace(-6, 6, 2001, dtype=torch.float64)
    for abar in (0.1, 0.3, 0.6, 0.9):
        t = int((LINEAR.alpha_bar - abar).abs().argmin())
        a = LINEAR.alpha_bar[t].item()
        density = norm.pdf(x, a**0.5, (1 - a) ** 0.5)
        hat = pair.eps_mean(LINEAR, x[:, None], t)[:, 0].numpy()
        # the mirror image of a mode has the same square
        square = (density * hat**2).sum() * (x[1] - x[0]).item()
        assert equal(at(spread, a), square**0.5, 0.02)


# --- chapter 8 --------------------------------------------------------------------

LINE = GaussianMixture([0.4, 0.6], [[-1.0], [1.0]], [0.15, 0.3])


@shows
def steps_idea(figure):
    rough = {}
    for ax in figure.axes:
        assert ax.get_xlim() == (1000, 0) and ax.get_xlabel() == "$t$"
        seen = np.asarray(ax.images[0].get_alpha())  # the opacity is the density
        x = torch.linspace(-3, 3, 240, dtype=torch.float64)[:, None]
        for t, column in ((1, seen[:, 0]), (501, seen[:, 100])):
            truth = LINE.log_prob_t(COSINE, x, t).exp().flip(0)
            assert like(column, truth.numpy()) > 0.999
        ways = [np.array(points(line)) for line in ax.lines]
        for line, (t, y) in zip(ax.lines, ways, strict=True):
            assert t[0] == 1000 and t[-1] == 0
            assert color(line) == (ORANGE if y[-1] > 0 else BLUE)
        rough[ax.get_title()] = np.mean([np.abs(np.diff(y)).sum() for _, y in ways])
    order = np.argsort([y[0] for _, y in ways])  # of the smooth ones: no crossing
    assert (np.diff([ways[i][1] for i in order], axis=0) > 0).all()
    assert rough["fresh noise"] > 5 * rough["no noise"]


@shows
def steps_straight(figure):
    bends = []
    for ax in figure.axes:
        dashed = next(line for line in ax.lines if line.get_linestyle() == "--")
        x, y = points(dashed)
        chord = y[0] + (x - x[0]) / (x[-1] - x[0]) * (y[-1] - y[0])
        bends.append(np.abs(y - chord).max())
        solid = [points(line)[1] for line in ax.lines if line is not dashed]
        assert len(solid) == 9 and rising([y[0] for y in solid])
        assert rising([y[-1] for y in solid]) and equal(y[-1], solid[2][-1], 0, 0.02)
        assert ax.get_xlim()[0] > ax.get_xlim()[1]  # from noise to data
    assert bends[0] > 0.2 and max(bends[1:]) < 1e-3
    ends = [ax.get_title().split(" over ")[1] for ax in figure.axes]
    assert ends == ["$t$", r"$\sigma$", r"$\tau$"]


@shows
def steps_exchange(figure):
    names, _, (flow, ddim) = grid(figure)
    assert names == ["flow", "DDIM"] and equal(flow, ddim, absolute=1e-3)
    assert upright(flow)


@shows
def steps_orders(figure):
    even, uneven = figure.axes
    assert (even.get_title(), uneven.get_title()) == ("even in log-snr", "even in time")
    for name, order in (("DDIM", 1), ("Heun", 2), ("multistep", 2)):
        calls, error = points(curve(even, name))
        assert abs(np.polyfit(np.log(calls), np.log(error), 1)[0] + order) < 0.2
    for line in uneven.lines:  # all are held up by the last step
        calls, error = points(line)
        assert falling(error)
        assert np.polyfit(np.log(calls), np.log(error), 1)[0] > -1.7
    calls, error = points(curve(even, "Heun"))
    assert calls.tolist() == [31, 63, 127, 255, 511]


@shows
def steps_times(figure):
    left, right = figure.axes
    assert "error" in right.get_title() and left.get_xlabel() == r"$\lambda_t$"
    assert [t.get_text() for t in left.get_yticklabels()] == [
        "time",
        "log-snr",
        "karras",
    ]
    ticks = [points(line)[0] for line in left.lines]
    assert all(len(x) == 20 and rising(x) for x in ticks)
    assert equal(ticks[0][0], torch.logit(COSINE.alpha_bar[1000]))
    times = torch.arange(1000, 0, -50)
    assert equal(ticks[0], torch.logit(COSINE.alpha_bar[times]), absolute=1e-3)
    for x in (ticks[1], np.exp(-ticks[2] / 14)):  # spread evenly, but for the first
        even = np.linspace(x[1], x[-1], 19)
        assert np.abs(x[1:] - even).max() < np.abs(np.diff(even)).max()
    _, heights = bars(right)
    assert len(heights) == 9 and np.argmin(heights) == 5


@shows
def steps_clothes(figure):
    assert [ax.get_title() for ax in figure.axes] == ["DDIM", "Heun", "multistep"]
    blocks = [tiles(picture(ax), 3) for ax in figure.axes]
    assert all(len(block) == 12 and upright(block[9:]) for block in blocks)
    best = [np.stack([block[9 + k] for block in blocks]).mean(0) for k in range(3)]
    for block in blocks:
        far = [
            np.mean([np.abs(block[3 * r + k] - best[k]).mean() for k in range(3)])
            for r in range(4)
        ]
        assert falling(far)


@shows
def steps_frechet(figure):
    (ax,) = figure.axes
    floor = next(line for line in ax.lines if len(set(points(line)[1])) == 1)
    for name in ("DDIM", "Heun", "multistep"):
        calls, distance = points(curve(ax, name))
        assert calls.tolist() == [5, 10, 20, 50] and falling(distance)
        assert min(distance) > points(floor)[1][0] > 0.1
    assert "calls" in ax.get_xlabel() and "distance" in ax.get_ylabel()


@shows
def steps_dark(figure):
    plain, rescaled, counts = figure.axes
    spans = {}
    for ax in (plain, rescaled):
        light = [image.mean() for image in tiles(picture(ax), 16)]
        assert rising(light) and len(light) == 16
        spans[ax.get_ylabel()] = np.ptp(light)
    assert spans["rescaled"] > 1.05 * spans["plain"]
    legend = counts.get_legend()
    assert {t.get_text() for t in legend.get_texts()} == {"plain", "rescaled", "data"}


@shows
def steps_walk(figure):
    names, _, (codes, pixels) = grid(figure)
    assert names == ["codes", "pixels"] and all(map(is_clothes, (pixels[0], pixels[6])))
    middle = (pixels[0] + pixels[6]) / 2
    assert equal(pixels[3], middle, absolute=1e-2)
    assert all(equal(codes[k], pixels[k], absolute=0.05) for k in (0, 6))
    assert codes[3].std() > pixels[3].std()


@shows
def steps_likelihood(figure):
    axis = torch.linspace(-1.7, 1.7, 40, dtype=torch.float64)
    soft = GaussianMixture.ring(std=0.2)
    truth = soft.log_prob(torch.cartesian_prod(axis, axis)).exp()
    truth = truth.reshape(40, 40).T.flip(0).numpy()
    for ax, title in zip(figure.axes, ("formula", "flow"), strict=True):
        assert ax.get_title() == title
        assert equal(picture(ax), truth, absolute=0.01)


# --- chapter 9 --------------------------------------------------------------------

#: The classes of the line, the labeled one first: weights, means, widths.
LABELED = ([0.25, 0.25], [0.0, 1.5], [0.3, 0.3])
OTHER = ([0.5], [-0.6], [0.5])
EVERY = tuple(a + b for a, b in zip(LABELED, OTHER, strict=True))


def bells(x: np.ndarray, parts: tuple, a: float = 1.0) -> np.ndarray:
    """The sum of Gaussians, diffused until a is left of the variance, at x."""
    return sum(
        w * norm.pdf(x, a**0.5 * m, (a * s**2 + 1 - a) ** 0.5)
        for w, m, s in zip(*parts, strict=True)
    )


def tilted_density(x: np.ndarray, w: float) -> np.ndarray:
    """The density of all, times the power w of the label's probability."""
    labeled, other = bells(x, LABELED), bells(x, OTHER)
    mass = (labeled + other) * (labeled / (labeled + other)) ** w
    return mass / np.trapezoid(mass, x)


def seen_as(images: list[np.ndarray], name: str = "fashion-mnist") -> np.ndarray:
    """The classes that the package's classifier sees."""
    batch = torch.tensor(np.stack(images)).float()[:, None] * 2 - 1
    return predict(load_classifier(name), batch).numpy()


@shows
def guidance_idea(figure):
    names, _, rows = grid(figure)
    assert names == ["$w$ = 0", "$w$ = 1", "$w$ = 3"]
    right = [(seen_as(row) == np.arange(10)).sum() for row in rows]
    assert rising(right) and right[0] <= 4 and right[2] >= 7


@shows
def guidance_tilted(figure):
    widths, ahead = [], []
    for ax, w in zip(figure.axes, (1, 2, 4, 8), strict=True):
        assert ax.get_title() == f"$w$ = {w}"
        edge = ax.collections[0].get_paths()[0].vertices
        x, y = edge[np.argsort(edge[:, 0], kind="stable")].T
        top = y > 0  # the outline also runs along the axis
        assert equal(y[top], tilted_density(x, w)[top], 0.01, 0.002)
        place, density = points(ax.lines[0])
        mass = density * np.gradient(place)
        mean = (mass * place).sum() / mass.sum()
        ahead.append(mean - np.trapezoid(x[top] * y[top], x[top]))
        widths.append(((mass * (place - mean) ** 2).sum() / mass.sum()) ** 0.5)
        if w == 1:  # the control
            assert np.abs(density - tilted_density(place, 1)).max() < 0.03
    assert abs(ahead[0]) < 0.02 and rising(ahead) and falling(widths)


def noisy_tilted(x: np.ndarray, w: float, a: float) -> np.ndarray:
    """The tilted density, diffused: a sum over clean points."""
    clean = np.linspace(-4, 5, 9001)[:, None]
    kernel = norm.pdf(x, a**0.5 * clean, (1 - a) ** 0.5)
    return (tilted_density(clean[:, 0], w)[:, None] * kernel).sum(0)


def log_slope(density: Callable, x: np.ndarray, h: float = 1e-4) -> np.ndarray:
    return (np.log(density(x + h)) - np.log(density(x - h))) / (2 * h)


@shows
def guidance_scores(figure):
    for ax, t in zip(figure.axes, (700, 400, 50), strict=True):
        assert ax.get_title() == f"$t$ = {t}" and ax.get_xlabel() == "$x_t$"
        a = COSINE.alpha_bar[t].item()
        (x, tilted), (_, guided) = map(points, ax.lines)
        low, high = ax.get_xlim()
        seen = (x >= low) & (x <= high)
        x, tilted, guided = x[seen], tilted[seen], guided[seen]
        labeled = log_slope(partial(bells, parts=LABELED, a=a), x)
        every = log_slope(partial(bells, parts=EVERY, a=a), x)
        assert equal(guided, -3 * every + 4 * labeled, 1e-3, 1e-3)
        truth = log_slope(partial(noisy_tilted, w=4, a=a), x)
        assert equal(tilted, truth, 0.01, 0.02)
    first = figure.axes[0]
    assert color(first.lines[1]) == color(curve(first, "guided"))


@shows
def guidance_other(figure):
    names, _, rows = grid(figure)
    assert names == ["original", "replaced", "gradient", "7 × 7", "sharpened"]
    rows = dict(zip(names, map(np.stack, rows), strict=True))
    original = rows["original"]
    assert all(map(is_clothes, original))
    for name in ("replaced", "gradient"):
        assert np.abs(rows[name] - original)[:, :14].mean() < 0.03
        assert np.abs(rows[name] - original)[:, 14:].mean() > 0.03

    def blocks(images):
        return images.reshape(6, 7, 4, 7, 4).mean((2, 4))

    assert equal(blocks(rows["7 × 7"]), blocks(original), absolute=1e-3)
    assert np.ptp(rows["7 × 7"].reshape(6, 7, 4, 7, 4), axis=(2, 4)).max() == 0
    assert np.abs(blocks(rows["sharpened"]) - blocks(original)).mean() < 0.05


@shows
def guidance_clothes(figure):
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("diversity", "accuracy")
    diversity, accuracy = points(next(x for x in ax.lines if len(x.get_xdata()) > 1))
    assert rising(accuracy) and falling(diversity[:3]) and len(accuracy) == 4
    assert diversity[3] < diversity[1]
    named = {text.get_text(): text.xy for text in ax.texts}
    for w, *spot in zip((1, 2, 4, 8), diversity, accuracy, strict=True):
        assert equal(named[f"$w$ = {w}"], spot)
    real = named["real clothes"]
    inside = next(xy for name, xy in named.items() if "interval" in name)
    for x, y in (real, inside):  # on the better side of the curve
        assert x > np.interp(y, accuracy, diversity)


@shows
def guidance_digits(figure):
    names, _, rows = grid(figure)
    assert names == ["$w$ = 0", "$w$ = 1", "$w$ = 2", "$w$ = 4"]
    right = [(seen_as(row, "digits") == np.arange(10)).sum() for row in rows]
    assert right[0] <= 4 and min(right[1:]) >= 8
    assert rows[0][0].shape == (8, 8)


@shows
def guidance_words(figure):
    cells = [(ax.get_title(), picture(ax)) for ax in figure.axes]
    for row, wording in ((cells[:6], "above"), (cells[6:], "below")):
        (_, image), *maps = row
        assert [t for t, _ in maps] == ["a", "1st noun", wording, "a", "2nd noun"]
        assert image.shape == (32, 16) and image[:16].mean() > image[16:20].mean()
        looks = dict(maps)
        lean = [looks[f"{n} noun"] for n in ("1st", "2nd")]
        lean = [m[:4].sum() / m.sum() for m in lean]  # toward the upper half
        assert rising(lean) if wording == "below" else falling(lean)
        assert equal(sum(m for _, m in maps), np.ones((8, 4)), absolute=1e-3)


@shows
def guidance_latent(figure):
    names, _, rows = grid(figure)
    assert names == ["784", "196", "49", "8"] and all(map(is_clothes, rows[0]))
    off = [np.mean([like(a, b) for a, b in zip(r, rows[0], strict=True)]) for r in rows]
    assert falling(off) and off[0] > 0.999 and off[3] > 0.6


@shows
def guidance_interval(figure):
    names, _, rows = grid(figure)
    assert names == ["never", "100-700", "always"]
    right = [(seen_as(row) == 2).sum() for row in rows]
    spread = [np.std(row, axis=0).mean() for row in rows]
    assert right[0] < right[1] <= right[2]
    assert spread[2] < 0.9 * min(spread[:2])
