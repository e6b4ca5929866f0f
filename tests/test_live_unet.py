"""The network in the page: what the browser draws is what torch draws."""

import re
from base64 import b64encode
from functools import partial

import numpy as np
import pytest
import torch
from helpers import ROOT
from PIL import Image
from test_book_pages import findings
from test_front_page import script
from test_live import FOLDER, FRAMES, POLICY, READ, SET, number, numbers

from ddpm_course import data, metrics
from ddpm_course.guidance import guided
from ddpm_course.lab import pretrained
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import ddim_step, reverse_process
from ddpm_course.schedules import make_schedule
from ddpm_course.unet import UNet

pytestmark = pytest.mark.slow

PAGES = "book/index.html", "book/07_sampling.html"
COSINE = make_schedule("cosine")

# --- formulas against the package -----------------------------------------------------

NEEDED = ["data/settings", "schedules", "oracle", "sampling", "guidance", "load"]
OURS = ["layers", "unet", "network", "parameterization", "clothes"]


def source(planted=None):
    """The scripts, one of them perhaps with an error."""
    texts = []
    for name in ["live", *NEEDED, *OURS]:
        text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
        if planted and planted[0] == name:
            _, right, wrong = planted
            assert text.count(right) == 1, planted
            text = text.replace(right, wrong)
        texts.append(text)
    return "\n".join(texts)


def base64(x):
    return b64encode(x.detach().numpy().tobytes()).decode()


def in_full(network):
    """Its parameters in 32 bits; those of live_data.py have 16."""
    weights = network.state_dict()
    return {
        "patch": network.patch,
        "parameters": [" ".join(map(str, (k, *w.shape))) for k, w in weights.items()],
        "values": base64(torch.cat([w.flatten() for w in weights.values()])),
    }


ANSWERS = """([source, packed, questions]) => {
  const { unet } = new Function(source + "; return Live;")();
  const floats = (text) =>
    new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const network = packed.bytes
    ? unet.unpack(packed)
    : unet.assemble(packed.parameters, floats(packed.values));
  return questions.map(([x, side, t, label]) => {
    const picture = { values: floats(x), channels: 1, side };
    return [...unet.forward(network, packed.patch, picture, t, label).values];
  });
}"""


def away(page, network, questions, packed=None, planted=None):
    """The largest difference between the page's answers and torch's."""
    asked = [[base64(x), x.shape[-1], t, label] for x, t, label in questions]
    arguments = [source(planted), packed or in_full(network), asked]
    there = torch.tensor(page.evaluate(ANSWERS, arguments))
    with torch.no_grad():
        here = [
            network(
                x, torch.tensor([t]), *([torch.tensor([y])] * bool(network.classes))
            )
            for x, t, y in questions
        ]
    return (there - torch.stack(here).flatten(1)).abs().max().item()


def noise(side, seed):
    return torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def empty(browser):
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def small():
    """Labels, three levels, an odd number of pixels, and no layer that is 0."""
    torch.manual_seed(0)
    network = UNet(channels=8, attention_levels=(2,), blocks=1, patch=2, classes=3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion_mnist_by_class"])
def test_the_network_answers_as_in_torch(empty, name):
    network = getattr(pretrained, name)().network
    questions = [(noise(28, t), t, t % 11 - 1) for t in (1, 120, 500, 1000)]
    assert away(empty, network, questions) < 1e-4
    packed = getattr(script("live_data"), name)()
    if name == "fashion_mnist":
        assert 1e-5 < away(empty, network, questions[2:3], packed) < 5e-3  # 16 bits
    else:
        assert away(empty, network, questions[2:3], packed) < 1e-4  # as it is stored


QUESTIONS = [
    (noise(24, i), t, y) for i, (t, y) in enumerate([(1, 0), (700, 2), (30, -1)])
]


def test_a_small_network_with_labels_answers_as_in_torch(empty, small):
    assert away(empty, small, QUESTIONS) < 1e-4


PLANTED = [
    ("layers", "value + y.values[i]", "value - y.values[i]"),
    ("layers", "Math.exp(-x)", "Math.exp(x)"),
    ("layers", "a0 += a * x0", "a0 -= a * x0"),
    ("layers", "d1 += d * x1", "d1 -= d * x1"),
    ("layers", "c0 += c * x0", "c0 += c * x1"),
    ("layers", "(kernel - 1) / 2", "(kernel + 1) / 2"),
    ("layers", "% side) * stride - reach", "% side) * stride + reach"),
    ("layers", "y >= 0 && y < from", "y >= 0"),
    ("layers", "(value - mean) ** 2", "(value + mean) ** 2"),
    ("layers", "(x.values[i] - mean)", "(x.values[i] + mean)"),
    ("layers", "+ bias[channel]", "- bias[channel]"),
    ("layers", "variance + 1e-5", "variance + 1e-1"),
    ("layers", "x.channels / 4", "x.channels / 2"),
    ("layers", "(column >> 1)", "(column % side)"),
    ("layers", "row * patch + dy", "row * patch - dy"),
    ("layers", "values[place] = h.values[i]", "values[i] = h.values[place]"),
    ("unet", "-Math.log(10000)", "Math.log(10000)"),
    ("unet", "(half - 1)", "half"),
    ("unet", "i < half ? Math.sin", "i >= half ? Math.sin"),
    ("unet", "value + shift", "value - shift"),
    ("unet", "value + row[i]", "value - row[i]"),
    ("unet", "(label + 1)", "label"),
    ("unet", "/ Math.sqrt(channels)", "/ channels"),
    ("unet", "Math.exp(score - largest)", "Math.exp(largest - score)"),
    ("unet", "concatenate(h, skip)", "concatenate(skip, h)"),
    ("unet", "? conv(skip, x) : x", "? conv(skip, x) : h"),
]


def test_a_planted_error_is_noticed(empty, small):
    unnoticed = [
        p for p in PLANTED if away(empty, small, QUESTIONS[:2], None, p) < 1e-3
    ]
    assert unnoticed == []


def test_16_bits_are_read_as_numpy_reads_them(empty):
    halves = np.arange(2**16, dtype="<u2")
    halves = halves[(halves >> 10 & 31) < 31]  # neither infinite nor nan
    packed = {
        "parameters": [f"all.weight {len(halves)}"],
        "bytes": b64encode(halves.tobytes()).decode(),
    }
    unpack = """([source, packed]) => {
      const { unet } = new Function(source + "; return Live;")();
      return [...unet.unpack(packed).all.weight];
    }"""
    read = empty.evaluate(unpack, [source(), packed])
    assert (np.array(read) == halves.view("<f2")).all()


# --- denoisers and chains -------------------------------------------------------------

#: A chain of ``Live.clothes``, its denoiser a small function of x and t.
CHAIN = """async ([source, xT, z, times, eta, w, limit]) => {
  const Live = new Function(source + "; return Live;")();
  const { clothes, parameterization, sampling } = Live;
  const schedule = Live.schedules.make("cosine");
  Live.data.fashion_mnist_by_class = {};
  Live.network.start = () => async (x, t, label) =>
    x.map((value, i) => Math.sin(3 * value + i) - t / 1000 + label / 9);
  const run = clothes.reverseProcess(
    await clothes.trained(schedule, limit, 4, w), schedule, Float64Array.from(xT),
    { step: sampling.ddimStep(eta), times, noise: (i) => Float64Array.from(z[i]) });
  const found = [];
  for await (const { x, guess } of run) found.push([[...x], [...guess]]);
  return found;
}"""


def chains(page, planted=None):
    """The largest difference between the page's chains and the package's."""
    found = []
    for i, (eta, w, limit) in enumerate([(0, 1, 1), (0.7, 3, 1), (1, 0.5, 100)]):
        times = [1000, 820, 300, 7, 0]
        draws = np.random.default_rng(i).normal(size=(5, 6))
        draws[-1] = 0  # the last step adds none
        given = [draws[0].tolist(), draws[1:].tolist(), times, eta, w, limit]
        there = page.evaluate(CHAIN, [source(planted), *given])

        def network(x, t, label):
            waves = (3 * x + torch.arange(x.shape[1])).sin()
            return waves - t[:, None].double() / 1000 + label / 9

        told, untold = (
            Denoiser(partial(network, label=y), COSINE, "v", clip=limit)
            for y in (4, -1)
        )
        fresh = iter(torch.tensor(draws[1:])[:, None])

        def step(schedule, x, x0_hat, t, s, z, eta=eta, fresh=fresh):
            return ddim_step(schedule, x, x0_hat, t, s, next(fresh), eta=eta)

        states = reverse_process(
            guided(told, untold, w, clip=limit),
            COSINE,
            torch.tensor(draws[:1]),
            step=step,
            steps=times,
        )
        here = [[x[0].tolist(), guess[0].tolist()] for _, x, guess in states]
        found.append(np.abs(np.array(there) - np.array(here)).max())
    return np.max(found)  # nan if there is one


PLANTED_IN_CHAINS = [
    ("parameterization", "signal * x - noise", "signal * x + noise"),
    ("parameterization", "Math.sqrt(1 - alphaBar[t])", "Math.sqrt(1 + alphaBar[t])"),
    ("parameterization", "Math.max(x, -limit)", "x"),
    ("clothes", "await guess(x, t, -1)", "await guess(x, t, label)"),
    ("clothes", "clip(both(x, t), limit)", "both(x, t)"),
    ("clothes", "w === 1", "true"),
    ("clothes", "s > 0 ? noise(i)", "s > 0 ? noise(i + 1)"),
    ("clothes", "[times[i], times[i + 1]]", "[times[i + 1], times[i]]"),
]


def test_chains_with_labels_and_guidance_are_those_of_the_package(empty):
    assert chains(empty) < 1e-10
    unnoticed = [p for p in PLANTED_IN_CHAINS if chains(empty, p) < 1e-3]
    assert unnoticed == []


# --- the built page -------------------------------------------------------------------


class Opened:
    """A page with the toy, and what it asked for."""

    def __init__(self, context, address):
        self.page, self.asked, self.trouble = context.new_page(), [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.goto(address)
        self.page.evaluate("window.MathJax?.startup?.promise")
        self.toy = self.page.locator("#live-draw")
        self.toy.scroll_into_view_if_needed()
        self.page.wait_for_selector("#live-draw.live-started")
        self.page.evaluate(FRAMES)

    def press(self, name):
        self.toy.locator(f"button[data-control={name}]").click()
        self.settle()

    def settle(self):
        self.page.evaluate(FRAMES)
        self.page.wait_for_selector("#live-draw[aria-busy=false]", timeout=60_000)
        self.page.wait_for_timeout(200)  # the sentence stands back a little
        self.page.evaluate(FRAMES)

    def set(self, **values):
        self.toy.evaluate(SET, {name: str(value) for name, value in values.items()})
        self.settle()

    def read(self):
        outputs, said = self.toy.evaluate(READ)
        return {name: text for name, text in outputs}, said

    def pictures(self):
        """Rows of three, as numbers in [-1, 1]."""
        seen = self.toy.evaluate(
            """e => [...e.querySelectorAll("canvas")].map((c) => [
              ...c.getContext("2d").getImageData(0, 0, 28, 28).data,
            ])"""
        )
        return np.array(seen).reshape(2, 3, 784, 4)[..., 0] / 127.5 - 1

    def look(self):
        """All that can be seen to change."""
        is_open = self.toy.locator("details").evaluate("e => e.open")
        return is_open, self.read(), self.pictures().tobytes()


@pytest.fixture(scope="module")
def opened(browser, built_book):
    """The toy alone, on a page from the disk, before anything was pressed."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route("**/mathjax/**", lambda route: route.abort())
    opened = Opened(context, (built_book / PAGES[0]).as_uri())
    opened.page.evaluate(
        "document.querySelector('article')"
        ".replaceChildren(document.querySelector('#live-draw'))"
    )
    yield opened
    context.close()


LARGE = re.compile(r"data/(fashion_mnist|held_out)\S*\.js")


def test_nothing_is_loaded_or_computed_before_the_button(opened):
    assert not any(LARGE.search(url) for url in opened.asked)
    assert opened.page.workers == []
    shown, said = opened.read()
    assert said == "Draw loads 3 MB, then computes here, in your browser."
    files = [FOLDER / "data" / f"{name}.js" for name in ("fashion_mnist", "held_out")]
    assert round(sum(path.stat().st_size for path in files) / 1e6) == 3
    assert shown["milliseconds"] == shown["network_distance"] == "–"
    for name in ("nearest", "look"):  # there is nothing to look at
        assert opened.toy.locator(f"[data-control={name}]").is_disabled()


def test_the_network_draws_what_it_draws_in_torch(opened):
    """From the disk, in a worker, in twenty steps, with and without a label."""
    opened.press("draw")
    assert sum(bool(LARGE.search(url)) for url in opened.asked) == 2
    assert len(opened.page.workers) == 1
    assert opened.toy.locator("[data-control=look]").is_enabled()
    model, held_out = pretrained.fashion_mnist(), data.fashion_mnist_held_out()
    start = opened.page.evaluate("[...Live.random.normal(784, 23)]")
    x = torch.tensor(start).reshape(1, 1, 28, 28)
    memory = GaussianMixture.of_points(held_out).denoiser(COSINE)

    def torch_draws(denoiser, steps, x):
        *_, (_, x0, _) = reverse_process(
            denoiser, COSINE, x, step=ddim_step, steps=steps
        )
        return x0

    for denoiser, (state, guess, _) in zip(
        (model.denoiser(), memory), opened.pictures(), strict=True
    ):
        drawn = torch_draws(denoiser, 20, x).flatten().clip(-1, 1).numpy()
        assert np.abs(state - drawn).max() < 1e-2 + 1 / 127.5
        assert (state == guess).all()

    labeled = pretrained.fashion_mnist_by_class()
    asked = guided(labeled.denoiser(9), labeled.denoiser(), 3.0, clip=1)
    opened.set(steps=5, w=3, label="boot")
    assert len(opened.page.workers) == 2
    drawn = torch_draws(asked, 5, x).flatten().clip(-1, 1).numpy()
    assert np.abs(opened.pictures()[0, 0] - drawn).max() < 1e-2 + 1 / 127.5
    opened.set(label="none", steps=10)
    assert not opened.toy.locator("[data-control=w]").is_visible()


def test_the_perfect_denoiser_and_the_nearest_image_are_exact(opened):
    held_out = data.fashion_mnist_held_out()
    memory = GaussianMixture.of_points(held_out)
    x = noise(28, 3).double()
    for t, near in [(1000, 0.0), (600, 0.5), (40, 1.0)]:
        abar = COSINE.alpha_bar[t]
        x_t = abar.sqrt() * near * held_out[t - 1].double() + (1 - abar).sqrt() * x
        there, distance = opened.page.evaluate(
            """async ([x, t]) => {
              const cosine = Live.schedules.make("cosine");
              const known = await Live.clothes.pictures();
              const perfect = Live.clothes.perfect(cosine, known);
              const guess = await perfect(Float64Array.from(x), t);
              const near = Live.clothes.nearest(Float64Array.from(x), known);
              return [[...guess], near.distance];
            }""",
            [x_t.flatten().tolist(), t],
        )
        here = memory.x0_mean(COSINE, x_t, t).flatten()
        assert (torch.tensor(there) - here).abs().max() < 1e-6
        nearest = metrics.nearest_distance(x_t, held_out).item()
        assert distance == pytest.approx(nearest, rel=1e-6)


def test_the_numbers_are_those_of_the_pictures(opened):
    opened.press("nearest")
    held_out = data.fashion_mnist_held_out().flatten(1).numpy()
    far = {}
    for k in (10, 4):
        opened.set(look=k)
        shown, said = opened.read()
        for name, (_, guess, near) in zip(
            ("network", "perfect"), opened.pictures(), strict=True
        ):
            squares = ((held_out - guess) ** 2).mean(1)
            assert np.abs(held_out[squares.argmin()] - near).max() < 1 / 127.5
            far[name] = number(shown[f"{name}_distance"])
            assert far[name] == pytest.approx(squares.min() ** 0.5, abs=5e-3)
        if k == 10:
            assert "repeats one of its 1000 images" in said and far["perfect"] < 1e-3
            assert numbers(said)[-2] == far["network"] > 0.1
        else:
            assert numbers(said)[:3] == [4, far["network"], far["perfect"]]
        assert said.endswith(
            "root mean square over the pixels, where black and white are 2 apart.)"
        )
    assert number(shown["milliseconds"]) > 1
    captions = opened.toy.locator("figcaption").all_text_contents()
    assert captions[::3] == ["x600"] * 2


def test_another_is_another_and_a_click_stops_it(opened):
    before = opened.pictures()
    opened.press("draw")
    opened.set(look=10)
    assert np.abs(opened.pictures() - before)[:, 0].mean(1).min() > 0.05
    opened.toy.evaluate(  # two clicks, before the first step can be over
        """e => {
          const button = e.querySelector("[data-control=draw]");
          button.click();
          button.click();
        }"""
    )
    opened.settle()
    assert opened.read()[1] == "Stopped after step 0 of 10."


def test_a_late_answer_is_not_taken_for_another(opened):
    """A drawing that is overtaken by the next one leaves no trace."""
    opened.press("draw")
    alone = opened.pictures()
    opened.toy.evaluate(
        """async (e) => {
          const steps = e.querySelector("[data-control=steps]");
          const restart = () => steps.dispatchEvent(new Event("change"));
          restart();
          await new Promise((f) => setTimeout(f, 30));
          restart();
        }"""
    )
    opened.settle()
    assert (opened.pictures() == alone).all()


def test_each_control_works_by_keyboard_alone(opened):
    opened.set(steps=5, label="bag")
    opened.toy.locator("[data-control=draw]").focus()
    keys = dict.fromkeys(("draw", "nearest", "more"), "Enter") | {"look": "ArrowLeft"}
    keys |= dict.fromkeys(("eta", "w", "steps"), "ArrowRight")
    keys |= dict.fromkeys(("clip", "label"), "ArrowDown")
    visited = []
    while (
        name := opened.page.evaluate("document.activeElement.dataset.control")
    ) in keys:
        before = opened.look()
        opened.page.keyboard.press(keys[name])
        opened.settle()
        assert opened.look() != before, name
        visited.append(name)
        opened.page.keyboard.press("Tab")
    assert sorted(visited) == sorted(keys)


def test_it_fits_a_phone_and_axe_finds_nothing(opened):
    opened.page.set_viewport_size({"width": 390, "height": 844})
    opened.page.wait_for_timeout(100)
    over = opened.page.evaluate(
        "[...document.querySelectorAll('#live-draw, #live-draw *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth"
        " || e.scrollWidth > e.clientWidth + 1 && e.matches('figcaption'))"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert over == []
    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        opened.page.wait_for_selector(f"html[data-theme={scheme}]", state="attached")
        opened.page.wait_for_timeout(200)
        assert findings(opened.page, "#live-draw") == []
    assert [text for text in opened.trouble if "Live" in text] == []


def test_it_keeps_to_itself_under_a_policy_and_stands_still(browser, site):
    """A policy that allows nothing from outside, less motion, and a file missing."""
    context = browser.new_context(reduced_motion="reduce")
    missing = ["held_out"]

    def answer(route):
        if any(name in route.request.url for name in missing):
            return route.abort()
        response = route.fetch()
        headers = response.headers | {"content-security-policy": POLICY}
        return route.fulfill(response=response, headers=headers)

    context.route("**/*", answer)
    opened = Opened(context, site + PAGES[1])
    opened.press("draw")
    said = "That did not work: its data can't be loaded. Press Draw to try again."
    assert opened.read()[1] == said
    assert opened.toy.locator(".live-warning").count() == 1
    missing.clear()
    opened.toy.evaluate(
        """e => {
          window.seen = new Set();
          const look = e.querySelector("[data-control=look]");
          setInterval(() => seen.add(+look.value), 5);
        }"""
    )
    opened.set(steps=5)
    opened.press("draw")
    assert opened.page.evaluate("[...seen].sort()") == [0, 5]
    assert all(url.startswith((site, "data:", "blob:")) for url in opened.asked)
    assert [t for t in opened.trouble if "Content Security" in t] == []
    context.close()


def test_without_javascript_a_picture_stands_in_its_place(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for place in PAGES:
        page.goto(site + place)
        picture = page.locator("#live-draw img")
        picture.scroll_into_view_if_needed()
        assert picture.is_visible() and len(picture.get_attribute("alt")) > 40
    context.close()


def test_the_labels_are_in_the_order_of_chapter_9():
    toy = (FOLDER / "toys" / "draw.js").read_text(encoding="utf-8")
    (names,) = re.findall(r'"(T-shirt .+)"\.split', toy)
    chapter = (ROOT / "book" / "09_guidance.ipynb").read_text(encoding="utf-8")
    assert f"From the left: {', '.join(names.split())}." in chapter
    assert len(names.split()) == pretrained.fashion_mnist_by_class().network.classes


def test_the_picture_is_that_of_the_toy(browser):
    stored = Image.open(FOLDER / "pictures" / "draw.png").convert("RGBA")
    taken = script("live_pictures").take(browser, "draw").convert("RGBA")
    there = np.asarray(taken.resize(stored.size), dtype=float)
    away = np.abs(there - np.asarray(stored, dtype=float)).mean() / 255
    assert away < 0.03, "run live_pictures.py draw"
