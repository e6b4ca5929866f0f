"""The toys of the exact denoiser and of guidance: what they compute and show."""

import json
import random
import re
import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import ROOT, normal, seeded
from PIL import Image
from test_book_pages import findings
from test_front_page import script
from test_live import (
    FOCUSED,
    FRAMES,
    KEY,
    close,
    numbers,
    open_pages,
    quiet_schedule,
)
from torch.distributions import Normal
from witnesses import CHAPTERS

from ddpm_course import flows, metrics
from ddpm_course.guidance import guided
from ddpm_course.oracle import GaussianMixture
from ddpm_course.sampling import (
    ancestral_step,
    ddim_step,
    reverse_process,
    sparse_times,
)
from ddpm_course.schedules import make_schedule
from ddpm_course.solvers import Multistep, heun_step, spaced_times

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from course.live import FOLDER, scripts

pytestmark = pytest.mark.slow

#: Where each toy stands.
PLACES = {
    "guess": "04_x0_and_noise",
    "sampler": "07_sampling",
    "rules": "08_fewer_steps",
    "guidance": "09_guidance",
}
LIVE_DATA = script("live_data")
STEPS = ["beta", "beta_tilde", "ddim", "heun", "multistep"]


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def step_of(name, denoiser, eta=0.0):
    return {
        "beta": ancestral_step,
        "beta_tilde": partial(ancestral_step, variance="beta_tilde"),
        "ddim": partial(ddim_step, eta=eta),
        "heun": partial(heun_step, denoiser),
        "multistep": Multistep(),
    }[name]


# --- formulas against the package -----------------------------------------------------

#: Every function, at each setting; the same names as ``computed_here``.
EVALUATE = """void (window.computed = ([source, settings]) => {
  const Live = new Function(source + "; return Live;")();
  const { ancestralStep, ddimStep, sparseTimes, reverseProcess } = Live.sampling;
  const { heunStep, multistep, spacedTimes } = Live.solvers;
  const { GaussianMixture } = Live.oracle;
  return settings.map((it) => {
    const [xt, z] = [it.xt, it.z].map((values) => Float64Array.from(values));
    const { t, s, w, eta, D } = it;
    const schedule = Live.schedules.make(it.schedule, it.T);
    const mixture = new GaussianMixture(it.weights, it.means, it.stds);
    const untold = GaussianMixture.ofPoints(it.means).denoiser(schedule);
    const told = mixture.denoiser(schedule);
    const guess = told(xt, t);
    const equal = new GaussianMixture(it.weights, it.means, it.means.map(() => 0.1));
    const steps = {
      beta: ancestralStep("beta"),
      beta_tilde: ancestralStep("beta_tilde"),
      ddim: ddimStep(eta),
      heun: heunStep(told),
      multistep: multistep(),
    };
    const times = it.spacing === "even" ? sparseTimes(it.T, it.steps)
      : spacedTimes(schedule, it.steps, it.spacing, it.sigmaMax);
    const chain = reverseProcess(told, schedule, xt, {
      step: steps[it.step], times, noise: (i) => Float64Array.from(it.noise[i]),
    });
    const found = {
      x0_mean: guess,
      log_prob: mixture.logProb(schedule, xt, t),
      shares: mixture.shares(schedule, xt, t),
      guided: Live.guidance.guided(told, untold, w, it.guideTimes)(xt, t),
      width: [Live.metrics.modeWidth(xt, equal)],
      energy: [Live.metrics.energyDistance(xt, z, D)],
      nearest: Live.metrics.nearestDistance(xt, z, D),
      times,
      chain: [...chain].flatMap((x) => [...x]),
    };
    for (const name of ["beta", "beta_tilde", "ddim", "heun"]) {
      found[name] = steps[name](schedule, xt, guess, t, s, z);
    }
    return Object.fromEntries(Object.entries(found).map(([k, v]) => [k, [...v]]));
  });
})"""


def draw_settings(n, seed=0):
    """Random mixtures, schedules, times, states, steps and chains with their noise."""
    draw = random.Random(seed)
    found = []
    for _ in range(n):
        K, D, N = draw.randint(1, 6), draw.choice([1, 2]), 3 * draw.choice([2, 4])
        weights = [draw.uniform(0.1, 1) for _ in range(K)]
        T, steps = draw.choice([10, 50, 200, 1000]), draw.randint(3, 8)
        t = draw.choice([1, T, draw.randint(1, T)])

        def gauss(n, draw=draw):
            return [draw.gauss(0, 1) for _ in range(n)]

        found.append(
            {
                "schedule": draw.choice(["linear", "cosine", "sigmoid"]),
                "T": T,
                "t": t,
                "s": draw.choice([0, t - 1, draw.randrange(t)]),
                "D": D,
                "weights": [w / sum(weights) for w in weights],
                "means": [gauss(D) for _ in range(K)],
                "stds": [draw.choice([0, draw.uniform(0, 1)]) for _ in range(K)],
                "xt": gauss(N * D),
                "z": gauss(N * D),
                "eta": draw.choice([0, 1, draw.random()]),
                "w": draw.choice([0, 1, draw.uniform(0, 8)]),
                "guideTimes": draw.choice(
                    [None, sorted([draw.randint(0, T), draw.randint(0, T)])]
                ),
                "step": draw.choice(STEPS),
                "steps": steps,
                "spacing": draw.choice(["even", "time", "log-snr"]),
                "sigmaMax": draw.choice([80, 1e9]),
                "noise": [gauss(N * D) for _ in range(steps)],
            }
        )
    return found


def computed_here(it):
    schedule = quiet_schedule(it["schedule"], it["T"])
    t, s, D = it["t"], it["s"], it["D"]
    xt, z = (double(it[k]).reshape(-1, D) for k in ("xt", "z"))
    mixture = GaussianMixture(it["weights"], it["means"], it["stds"])
    equal = GaussianMixture(it["weights"], it["means"], 0.1)
    untold = GaussianMixture.of_points(mixture.means).denoiser(schedule)
    told = mixture.denoiser(schedule)
    guess = told(xt, t)
    spacing = it["spacing"]
    times = (
        sparse_times(it["T"], it["steps"])
        if spacing == "even"
        else spaced_times(schedule, it["steps"], spacing, it["sigmaMax"])
    )
    abar = schedule.alpha_bar[t]
    std = (abar * mixture.stds**2 + 1 - abar).sqrt()[:, None]
    log_normal = Normal(abar.sqrt() * mixture.means, std).log_prob(xt[:, None]).sum(2)
    found = {
        "x0_mean": guess,
        "log_prob": mixture.log_prob_t(schedule, xt, t),
        "shares": (mixture.weights.log() + log_normal).softmax(1),
        "guided": guided(told, untold, it["w"], it["guideTimes"])(xt, t),
        "width": torch.tensor([metrics.mode_width(xt, equal)]),
        "energy": torch.tensor([metrics.energy_distance(xt, z)]),
        "nearest": torch.cdist(xt, z).amin(1) / D**0.5,  # the package has float32
        "times": torch.tensor(times),
        "chain": chain_here(it, told, schedule, xt, times),
    }
    for name in STEPS[:-1]:
        step = step_of(name, told, it["eta"])
        found[name] = step(schedule, xt, guess, t, s, z)
    return {name: value.flatten().double().numpy() for name, value in found.items()}


def chain_here(it, denoiser, schedule, x, times):
    """All states, by the package's own loop, which draws the recorded noise."""
    noise = iter(double(it["noise"]).reshape(-1, *x.shape))
    step = step_of(it["step"], denoiser, it["eta"])

    def recorded(schedule, x_t, x0_hat, t, s, z):
        given = next(noise) if s > 0 else torch.zeros_like(z)
        return step(schedule, x_t, x0_hat, t, s, given)

    run = reverse_process(denoiser, schedule, x, step=recorded, steps=times)
    return torch.stack([x_s for _, x_s, _ in run])


def source(planted=None):
    """The scripts of the formulas, one of them perhaps with an error."""
    names = [n for n in scripts(["guidance", "sampler"]) if not n.startswith("toys/")]
    drawn = {"controls", "plot", "plane", "datasets", "chain", "rules", "tilted"}
    texts = []
    for name in names:
        text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
        if planted and planted[0] == name:
            _, right, wrong = planted
            assert text.count(right) == 1, planted
            text = text.replace(right, wrong)
        texts += [] if name in drawn else [text]
    return "\n".join(texts)


@pytest.fixture(scope="module")
def settings():
    return draw_settings(220)


@pytest.fixture(scope="module")
def here(settings):
    return [computed_here(setting) for setting in settings]


@pytest.fixture(scope="module")
def empty(browser):
    page = browser.new_page()
    page.evaluate(EVALUATE)
    yield page
    page.close()


def test_formulas_agree_with_the_package(empty, settings, here):
    computed = empty.evaluate("computed", [source(), settings])
    for ours, theirs in zip(here, computed, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            got = np.array(theirs[name])
            assert got.shape == value.shape, name
            assert np.allclose(got, value, rtol=1e-6, atol=1e-8), name


#: Whether anything differs from what is right by more than 1e-6.
DIFFERS = """(source) => computed([source, settings]).some((found, i) =>
  Object.entries(right[i]).some(([name, values]) =>
    found[name].length !== values.length || values.some((value, j) =>
      !(Math.abs(found[name][j] - value) <= 1e-6 + 1e-6 * Math.abs(value)))))"""


PLANTED = [
    ("oracle", "abar * std ** 2 + 1 - abar", "abar * std ** 2 + 1"),
    ("oracle", "- (D * Math.log(2 * Math.PI * vk)) / 2", "- (Math.log(vk)) / 2"),
    ("oracle", "Math.log(weights[k]) -", "Math.log(weights[k]) +"),
    ("oracle", "- signal * means[k][d]) ** 2", "- means[k][d]) ** 2"),
    ("oracle", "- square / (2 * v[k])", "+ square / (2 * v[k])"),
    ("oracle", "found[i] = largest + Math", "found[i] = largest - Math"),
    ("oracle", "r[i * K + k] /= sum", "r[i * K + k] /= K"),
    ("oracle", "(r / v[k]) * signal * stds", "(r / v[k]) * stds"),
    ("oracle", "signal * stds[k] ** 2", "signal * stds[k]"),
    ("oracle", "(r / v[k]) * (1 - abar)", "(r / v[k]) * (1 + abar)"),
    ("oracle", "+ onXt * x[i * D + d]", "- onXt * x[i * D + d]"),
    ("oracle", "points.map(() => 0)", "points.map(() => 1)"),
    ("sampling", "1 - alphaBar[t] / alphaBar[s]", "1 + alphaBar[t] / alphaBar[s]"),
    ("sampling", "((1 - alphaBar[s]) / (1 - alphaBar[t])) * beta", "beta"),
    ("sampling", "((1 - alpha) * Math.sqrt(alphaBar[s]))", "(1 - alpha)"),
    ("sampling", "((1 - alphaBar[s]) * Math.sqrt(alpha))", "(1 - alphaBar[s])"),
    ("sampling", "eta ** 2 * step", "eta * step"),
    ("sampling", "(1 - alphaBar[s] - variance)", "(1 - alphaBar[s] + variance)"),
    ("sampling", "- onXt * Math.sqrt(alphaBar[t])", "+ onXt * Math.sqrt(alphaBar[t])"),
    ("sampling", "onX0, Math.sqrt(variance)]", "onX0, variance]"),
    ("sampling", "+ sigma * z[i]", "- sigma * z[i]"),
    ("sampling", "x - low === 0.5", "false"),
    ("sampling", "s > 0 ? noise(i)", "s >= 0 ? noise(i)"),
    ("sampling", "denoiser(x, t), t, s", "denoiser(x, s), t, s"),
    ("solvers", "(x + there[i]) / 2", "there[i]"),
    ("solvers", "if (s === 0) return", "if (s < 0) return"),
    ("solvers", "denoiser(firstTry, s)", "denoiser(firstTry, t)"),
    ("solvers", "- Math.log1p(-", "+ Math.log1p(-"),
    ("solvers", "/ (2 * (here - first))", "/ (here - first)"),
    ("solvers", "share * (x - before[i])", "share * (x + before[i])"),
    ("solvers", "last.s === t && s > 0", "last.s === t"),
    ("solvers", "-2 * Math.log(sigmaMax)", "-Math.log(sigmaMax)"),
    ("solvers", "least + (most", "least - (most"),
    ("solvers", "Math.max(times[i], times[i + 1] + 1)", "times[i]"),
    ("metrics", "2 * meanDistance(x, y, D) -", "meanDistance(x, y, D) -"),
    ("metrics", "- meanDistance(y, y, D)", "+ meanDistance(y, y, D)"),
    ("metrics", "if (count[k]) free -= 1;", ""),
    ("metrics", "squares -= sum[k * D + d] ** 2", "squares -= sum[k * D + d]"),
    ("metrics", "(free * D)", "free"),
    ("metrics", "/ stds[0]", ""),
    ("metrics", "Math.sqrt(least / D)", "Math.sqrt(least)"),
    ("guidance", "x0 + w * (x0Told[i] - x0)", "x0Told[i] + w * (x0Told[i] - x0)"),
    ("guidance", "w * (x0Told[i] - x0)", "w * (x0Told[i] + x0)"),
    ("guidance", "t <= times[1]", "t < times[1]"),
]


def test_a_planted_error_is_noticed(empty, settings, here):
    right = [{k: v.tolist() for k, v in values.items()} for values in here[:60]]
    given = {"right": right, "settings": settings[:60]}
    empty.evaluate("(given) => void Object.assign(window, given)", given)
    assert not empty.evaluate(DIFFERS, source())
    assert [p for p in PLANTED if not empty.evaluate(DIFFERS, source(p))] == []


def test_the_data_are_those_of_the_chapters():
    stored = LIVE_DATA.oracle()
    text = {path.stem: path.read_text(encoding="utf-8") for path in CHAPTERS}
    assert "ring = GaussianMixture.ring()" in text["07_sampling"]
    assert stored["ring"]["stds"] == [0.05] * 8
    # what real data of this size would score, from other draws
    ring, held_out = GaussianMixture.ring(), held_out_points()
    real = [
        metrics.energy_distance(ring.sample(300, seeded(1000 + i)), held_out)
        for i in range(20)
    ]
    error = torch.tensor(real).std().item() * (2 / 20) ** 0.5
    assert abs(sum(real) / 20 - stored["floor"]) < 4 * error
    cells = json.loads(text["09_guidance"])["cells"]
    (code,) = ("".join(c["source"]) for c in cells if "told = " in c["source"][0])
    names = {"GaussianMixture": GaussianMixture}
    exec(code.split("asked, unasked")[0], names)
    for name in ("told", "every"):
        for part, values in LIVE_DATA.guidance()[name].items():
            assert getattr(names[name], part).tolist() == values


def test_the_floor_of_a_finite_set_is_what_draws_from_it_score():
    """Drawn n times from m points: the mean distance of two points, over n."""
    points = normal(7, 2)
    pairs = torch.cdist(points, points).mean().item()
    draws = [points[torch.randint(7, (30,), generator=seeded(i))] for i in range(400)]
    scores = torch.tensor([metrics.energy_distance(x, points) for x in draws])
    error = scores.std().item() / 20
    assert abs(scores.mean().item() - pairs / 30) < 4 * error


def held_out_points():
    return double(LIVE_DATA.oracle()["held_out"]).reshape(-1, 2)


# --- the built pages ------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(browser, built_book):
    """The page of each toy, opened from the disk."""
    toys = {place: [toy] for toy, place in PLACES.items()}
    for pages in open_pages(browser, built_book, toys):
        yield {toy: pages[place] for toy, place in PLACES.items()}


def data_of(name, own=()):
    """The mixture of a toy."""
    stored = LIVE_DATA.oracle()
    if name == "ring":
        return GaussianMixture.ring()
    return GaussianMixture.of_points(double([*stored[name], *own]))


#: All that a chain was made of: its times, its states, and the noise of each step.
RECORD = """async (e) => {
  const toy = Live.core.started.get(e);
  const { times, seed, states } = toy.state();
  while (states.length < times.length) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return [times, seed, states.map((x) => [...x])];
}"""


def normals(n, seed):
    """The draws of random.js: mulberry32, then Box and Muller."""
    low = np.uint64(2**32 - 1)
    z = (np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * 0x6D2B79F5) & low
    z = ((z ^ z >> 15) * (z | 1)) & low
    z ^= (z + (((z ^ z >> 7) * (z | 61)) & low)) & low
    u = ((z ^ z >> 14) + 0.5) / 2.0**32
    radius, angle = np.sqrt(-2 * np.log(u[::2])), 2 * np.pi * u[1::2]
    pairs = [radius * np.cos(angle), radius * np.sin(angle)]
    return torch.from_numpy(np.stack(pairs, 1).ravel())


def record(page, toy):
    """The times, the states, and the noise of each step."""
    times, seed, states = page.toy(toy).evaluate(RECORD)
    states = double(states).unflatten(1, (-1, 2))
    n = states[0].numel()
    assert torch.allclose(states[0].flatten(), normals(n, 7919 * seed))
    steps = range(1, len(times))
    return times, states, torch.stack([normals(n, 7919 * seed + i) for i in steps])


def check_chain(it, mixture, schedule, times, states, noise):
    """The states are those of the package, with the same noise."""
    it = it | {"noise": noise.tolist()}
    denoiser = mixture.denoiser(schedule)
    expected = chain_here(it, denoiser, schedule, states[0], times)
    assert torch.allclose(states[1:], expected, 1e-6, 1e-6)


@pytest.mark.parametrize(
    ("data", "rule", "steps", "eta", "schedule"),
    [
        ("ring", "beta", 50, 0, "linear"),
        ("ring", "ddim", 20, 0.5, "cosine"),
        ("moons", "beta_tilde", 100, 0, "linear"),
        ("own", "ddim", 10, 0, "linear"),
    ],
)
def test_the_numbers_of_sampler(opened, data, rule, steps, eta, schedule):
    page = opened["sampler"]
    page.set("sampler", data=data, rule=rule, steps=steps, schedule=schedule, eta=eta)
    page.set("sampler", t=steps)
    times, states, noise = record(page, "sampler")
    assert times == sparse_times(1000, steps)
    mixture, it = data_of(data), {"step": rule, "eta": eta}
    check_chain(it, mixture, make_schedule(schedule), times, states, noise)
    page.set("sampler", t=steps)
    for at in (steps, steps * 9 // 10):
        page.set("sampler", t=at)
        shown, x = page.shown("sampler"), states[at]
        held_out = held_out_points() if data == "ring" else mixture.means
        expected = {
            "t": times[at],
            "energy": metrics.energy_distance(x, held_out),
            "calls": at,
        }
        if rule == "ddim":
            expected["eta"] = eta
        if data == "ring":
            expected["floor"] = LIVE_DATA.oracle()["floor"]
            expected["width"] = metrics.mode_width(x, mixture)
        else:
            pairs = torch.cdist(mixture.means, mixture.means).mean().item()
            expected["floor"] = pairs / 300
            near = metrics.nearest_distance(x, mixture.means).mean().item()
            expected["nearest"] = near
        if data == "own":
            expected |= {"x": 0, "y": 0}
        close(shown, expected)
        said = numbers(page.said("sampler"))
        if at == steps:
            away = torch.cdist(mixture.means, mixture.means).fill_diagonal_(9)
            compared = (
                [expected["width"], expected["energy"] / expected["floor"]]
                if data == "ring"
                else [expected["nearest"], away.amin(1).mean().item() / 2**0.5]
            )
            assert said == pytest.approx(compared, rel=0.05, abs=1e-9)
            assert said[0] == pytest.approx(compared[0], rel=5.1e-3, abs=1e-9)
        else:
            assert said == [times[at]]


@pytest.mark.parametrize(
    ("rule", "steps", "spacing", "schedule"),
    [
        ("ddim", 10, "time", "cosine"),
        ("heun", 8, "log-snr", "cosine"),
        ("multistep", 20, "log-snr", "linear"),
        ("ddim", 2, "log-snr", "cosine"),  # as few as there can be
    ],
)
def test_the_numbers_of_rules(opened, rule, steps, spacing, schedule):
    page = opened["rules"]
    page.set("rules", rule=rule, steps=steps, spacing=spacing, schedule=schedule)
    page.set("rules", t=steps)
    times, states, noise = record(page, "rules")
    process = make_schedule(schedule)
    assert times == spaced_times(process, steps, spacing, 80)
    mixture = GaussianMixture.ring()
    check_chain({"step": rule, "eta": 0}, mixture, process, times, states, noise)
    fine = spaced_times(process, 200, "log-snr", 80)
    flow = flows.transport(mixture.denoiser(process), process, states[0], fine)
    error = (states[-1] - flow).square().mean().sqrt().item()
    calls = 2 * steps - 1 if rule == "heun" else steps
    page.page.wait_for_timeout(200)
    expected = {"t": 0, "width": metrics.mode_width(states[-1], mixture)}
    close(page.shown("rules"), expected | {"error": error, "calls": calls})
    assert numbers(page.said("rules")) == pytest.approx([calls, error], rel=5.1e-3)


@pytest.mark.parametrize(
    ("data", "t", "x", "y"),
    [("ring", 200, -1.3, 0.4), ("moons", 600, 0.5, 1), ("own", 40, -0.9, 0.75)],
)
def test_the_numbers_of_guess(opened, data, t, x, y):
    page, linear = opened["guess"], make_schedule("linear")
    page.set("guess", data=data, t=t, x_t=x, y_t=y)
    mixture, at = data_of(data), double([[x, y]])
    v = linear.alpha_bar[t] * mixture.stds**2 + 1 - linear.alpha_bar[t]
    square = (at - linear.alpha_bar[t].sqrt() * mixture.means).square().sum(1)
    shares = (-square / (2 * v)).softmax(0)  # all v and all weights are equal
    mix = torch.special.entr(shares).sum().exp().item()
    guess = mixture.x0_mean(linear, at, t)[0].tolist()
    expected = {
        "t": t,
        "x_t": x,
        "y_t": y,
        "guess_x": guess[0],
        "guess_y": guess[1],
        "mix": mix,
        "log_q": mixture.log_prob_t(linear, at, t).item(),
    }
    if data == "own":
        expected |= {"x": 0, "y": 0}
    close(page.shown("guess"), expected)
    said, most = numbers(page.said("guess")), shares.max().item()
    assert said == ([] if most > 0.99 else pytest.approx([mix, 100 * most], rel=5.1e-3))


def the_line():
    """Chapter 9's: all labels, the label, and the logarithm of p(y | x_0)."""
    told = GaussianMixture([0.5, 0.5], [[0.0], [1.5]], 0.3)
    every = GaussianMixture([0.25, 0.25, 0.5], [[0.0], [1.5], [-0.6]], [0.3, 0.3, 0.5])
    return told, every


def tilted_quantiles(w):
    told, every = the_line()
    axis = torch.linspace(-3, 4, 7001, dtype=torch.float64)[:, None]
    log_every = every.log_prob(axis)
    log_label = told.log_prob(axis) + np.log(0.5) - log_every
    mass = (log_every + w * log_label).softmax(0)
    share = (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    return axis[torch.searchsorted(mass.cumsum(0), share), 0], share


@pytest.mark.parametrize(
    ("w", "first", "last", "sampler"),
    [
        (4, 0, 1000, "flow"),
        (8, 0, 1000, "flow"),
        (1, 0, 1000, "flow"),
        (3, 0, 500, "flow"),
        (6, 400, 700, "noise"),
    ],
)
def test_the_numbers_of_guidance(opened, w, first, last, sampler):
    page, cosine = opened["guidance"], make_schedule("cosine")
    page.set("guidance", w=w, until=first, sampler=sampler)
    page.set("guidance", **{"from": last})
    told, every = (mixture.denoiser(cosine) for mixture in the_line())
    y, share = tilted_quantiles(w)
    times = None if (first, last) == (0, 1000) else (first, last)
    denoiser = guided(told, every, w, times)
    place = page.toy("guidance")
    x = place.evaluate(
        """async (e) => {
          const state = () => Live.core.started.get(e).state();
          while (!state().isDone) await new Promise(requestAnimationFrame);
          return [...state().x];
        }"""
    )
    page.page.wait_for_timeout(250)
    x = double(x)
    if sampler == "flow":
        start = torch.special.ndtri(share)[:, None]
        flow_times = spaced_times(cosine, 200, "log-snr")
        expected = flows.transport(denoiser, cosine, start, flow_times)[:, 0]
    else:
        start, *noise = (normals(500, 7919 + i)[:, None] for i in range(1000))
        state = start
        for i, (t, s) in enumerate(pairwise(range(1000, -1, -1))):
            z = noise[i] if s else torch.zeros_like(state)
            state = ancestral_step(cosine, state, denoiser(state, t), t, s, z)
        expected = state[:, 0]
    assert torch.allclose(x, expected, 1e-6, 1e-6)
    away = (x.sort().values - y.sort().values).abs().mean().item()
    shown = {
        "w": w,
        "from": last,
        "until": first,
        "mean": x.mean().item(),
        "tilted_mean": y.mean().item(),
        "width": x.std().item(),
        "tilted_width": y.std().item(),
        "distance": away,
    }
    close({k: round(v, 12) for k, v in page.shown("guidance").items()}, shown)
    said = numbers(page.said("guidance"))
    ratio = (x.std() / y.std()).item()
    assert said == pytest.approx([ratio, away], rel=5.1e-3, abs=1e-4)


def test_guidance_begins_before_it_ends(opened):
    """One slider pushes the other."""
    page = opened["guidance"]
    page.set("guidance", **{"from": 1000, "until": 0})
    for moved, value in [("until", 600), ("from", 400), ("until", 900)]:
        page.set("guidance", **{moved: value})
        shown = page.shown("guidance")
        ends = [shown["from"], shown["until"]]
        assert ends == {600: [1000, 600], 400: [400, 400], 900: [900, 900]}[value]
    page.set("guidance", **{"from": 1000})
    page.set("guidance", until=0)


#: The guided curves, colors and alphas, of a drawing while it computes.
WHILE = """(place) => {
  const { prototype } = Live.plot.Plot;
  const { curve } = prototype;
  const seen = [];
  prototype.curve = function (xs, ys, color, style) {
    if (color === "1") seen.push([xs.length, style.alpha]);
    curve.call(this, xs, ys, color, style);
  };
  const w = place.querySelector("[data-control=w]");
  w.value = w.value === "5" ? 6 : 5;
  w.dispatchEvent(new Event("input"));
  const toy = Live.core.started.get(place);
  toy.paint();
  const { isDone } = toy.state();
  prototype.curve = curve;
  return [isDone, seen];
}"""


def test_the_last_guided_curve_stays_pale_until_the_next(opened):
    page = opened["guidance"]
    place = page.toy("guidance")
    page.page.wait_for_function(
        "e => Live.core.started.get(e).state().isDone", arg=place.element_handle()
    )
    page.page.evaluate(FRAMES)
    isDone, [(length, alpha)] = place.evaluate(WHILE)
    assert not isDone and length > 100 and alpha < 0.5


def test_the_circles_are_explained(opened):
    for toy in ("guess", "sampler", "rules"):
        page = opened[toy]
        for data, what in [("ring", "two standard deviations"), ("moons", "points")]:
            page.set(toy, data=data)
            said = page.toy(toy).locator(".live-key").text_content()
            assert said.startswith("Circles: ") and what in said


def test_rules_open_where_second_order_pays(browser):
    """Before anything is touched: even in the log-SNR, 32 steps."""
    page = browser.new_page()
    script("live_pictures").stand(page, "rules")
    chosen = "[...document.querySelectorAll('select')].map((e) => e.value)"
    assert page.evaluate(chosen) == ["ring", "ddim", "32", "log-snr", "cosine"]
    page.close()


def test_points_are_added_by_tap_and_by_keyboard(opened):
    page = opened["sampler"]
    page.set("sampler", data="own", rule="ddim", steps=20, schedule="linear", eta=0)
    page.set("sampler", t=20)
    toy = page.toy("sampler")
    toy.locator("canvas").click(position={"x": 60, "y": 60})
    page.page.evaluate(FRAMES)
    page.set("sampler", x=-0.5, y=-0.5)
    page.control("sampler", "add").focus()
    page.page.keyboard.press("Enter")
    times, states, noise = record(page, "sampler")
    box = toy.locator("canvas").bounding_box()
    unit = min(box["width"], box["height"]) / 4  # REACH of plane.js is 2
    tapped = [(60 - box["width"] / 2) / unit, (box["height"] / 2 - 60) / unit]
    mixture = data_of("own", [tapped, [-0.5, -0.5]])
    it, linear = {"step": "ddim", "eta": 0}, make_schedule("linear")
    check_chain(it, mixture, linear, times, states, noise)
    for _ in range(9):  # one point stays
        page.control("sampler", "undo").click()
    times, states, noise = record(page, "sampler")
    last = GaussianMixture.of_points(data_of("own").means[:1])
    check_chain(it, last, linear, times, states, noise)


def test_play_runs_to_the_end_and_pauses(opened):
    page = opened["sampler"]
    page.set("sampler", data="ring", steps=20)
    page.set("sampler", t=0)
    play = page.control("sampler", "play")
    play.click()
    assert play.text_content() == "Pause"
    output = "document.querySelector('#live-sampler [data-quantity=t]').value"
    page.page.wait_for_function(f"{output} !== 't = 1000'")
    play.click()
    held = page.shown("sampler")["t"]
    assert play.text_content() == "Play" and held > 500
    page.page.wait_for_timeout(400)
    assert page.shown("sampler")["t"] == held
    page.set("sampler", t=19)
    play.click()
    page.page.wait_for_function(f"{output} === 't = 0'")
    page.page.evaluate(FRAMES)
    assert play.text_content() == "Play"
    play.click()  # once more, from the beginning
    page.page.wait_for_function(f"+{output}.slice(4) > 500")
    play.click()


def test_each_control_works_by_keyboard_alone(opened):
    for toy, page in opened.items():
        if toy != "guidance":
            page.set(toy, data="own")
            page.set(toy, t=400 if toy == "guess" else 5)
        reached = set()
        page.toy(toy).locator("[data-control]").first.focus()
        while name := page.page.evaluate(FOCUSED, toy):
            control = page.control(toy, name)
            before = page.look(toy)
            page.page.keyboard.press(control.evaluate(KEY))
            page.page.evaluate(FRAMES)
            assert page.look(toy) != before, (toy, name)
            outline = control.evaluate("e => getComputedStyle(e).outlineStyle")
            assert outline == "solid", (toy, name)
            reached.add(name)
            if name == "data":
                page.set(toy, data="own")
            if name in ("steps", "t"):
                page.set(toy, t=5)
            page.page.keyboard.press("Tab")
        controls = page.toy(toy).locator("[data-control]").all()
        visible = {c.get_attribute("data-control") for c in controls if c.is_visible()}
        assert reached >= visible and len(reached) >= 4, toy


def test_a_frame_of_300_particles_takes_less_than_8_ms(opened):
    """One step, one drawing, the numbers. The best of many: the machine may be busy."""
    for toy, page in opened.items():
        best = page.toy(toy).evaluate(
            """async (e) => {
              const toy = Live.core.started.get(e);
              const t = e.querySelector("[data-control=t]") ??
                e.querySelector("[data-control=w]");
              const times = [];
              for (let i = 0; i < 30; i++) {
                t.value = +t.min + ((i % 15) * (t.max - t.min)) / 15;
                t.dispatchEvent(new Event("input"));
                await new Promise(requestAnimationFrame);
                const start = performance.now();
                toy.paint();
                times.push(performance.now() - start);
              }
              return Math.min(...times);
            }"""
        )
        assert best < 8, toy


CYCLE = """async () => {
  const control = (name) => document.querySelector(`[data-control=${name}]`);
  control("fresh").click();
  control("t").value = 50;
  control("t").dispatchEvent(new Event("input"));
  const [toy] = Live.core.started.values();
  while (toy.state().states.length < 51) await new Promise(requestAnimationFrame);
  control("play").click();
  await new Promise((f) => setTimeout(f, 700));
  control("play").click();
  await new Promise(requestAnimationFrame);
}"""


def test_memory_does_not_grow_while_it_plays(browser):
    page = browser.new_page()
    script("live_pictures").stand(page, "sampler")
    session = page.context.new_cdp_session(page)

    def play():
        page.evaluate(CYCLE)
        session.send("HeapProfiler.collectGarbage")
        usage = session.send("Runtime.getHeapUsage")
        return usage["usedSize"] + usage["backingStorageSize"]

    play()
    first = play()
    play()
    assert play() - first < 200_000  # a chain has 51 states of 4800 bytes
    page.close()


def test_a_phone_has_room_and_nothing_breaks(opened):
    for toy, page in opened.items():
        page.page.set_viewport_size({"width": 390, "height": 844})
        page.page.wait_for_timeout(100)
        over = page.toy(toy).evaluate(
            "e => [...e.querySelectorAll('*')]"
            ".filter(e => e.getBoundingClientRect().right > innerWidth)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        page.page.set_viewport_size({"width": 1280, "height": 900})
        assert (over, page.trouble) == ([], []), toy


def test_a_picture_stands_in_each_place(browser, built_book):
    """What readers see without JavaScript, and in student notebooks."""
    live_pictures = script("live_pictures")
    for toy, place in PLACES.items():
        html = (built_book / f"book/{place}.html").read_text(encoding="utf-8")
        _, after = html.split(f'id="live-{toy}"')
        assert re.search(rf'^[^§]{{,900}}<img alt="[^"]{{40,}}"[^>]*{toy}\.png', after)
        notebook = built_book / "notebooks" / f"{place}.ipynb"
        assert f"#live-{toy})" in notebook.read_text(encoding="utf-8")
        stored = Image.open(FOLDER / "pictures" / f"{toy}.png").convert("RGBA")
        taken = live_pictures.take(browser, toy).convert("RGBA").resize(stored.size)
        away = np.abs(np.asarray(taken, float) - np.asarray(stored, float)).mean()
        assert away < 0.03 * 255, f"run live_pictures.py {toy}"


def test_axe_finds_nothing(opened):
    for page in opened.values():
        for scheme in ("light", "dark"):
            page.page.emulate_media(color_scheme=scheme)
            page.page.wait_for_selector(f"html[data-theme={scheme}]", state="attached")
            page.page.wait_for_timeout(200)
            assert findings(page.page, ".live") == []
