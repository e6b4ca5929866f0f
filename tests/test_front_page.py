"""The front page, the derivation, the map in each chapter, and the drawings."""

import importlib.util
import json
import re
from html import unescape
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image
from witnesses import BOOK, CHAPTERS

from ddpm_course.plotting import to_pixels

NUMBERED = [path for path in CHAPTERS if not path.stem.startswith("00")]


def script(name):
    """A script of the book, as a module."""
    spec = importlib.util.spec_from_file_location(name, BOOK / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_clothes_are_drawn_by_the_network_that_ships():
    front = script("front_page")
    with Image.open(front.PICTURE) as picture:
        stored = np.asarray(picture) / 255
    drawn = to_pixels(front.frames()).flatten(0, 1)[..., 0].numpy()
    assert stored.shape == drawn.shape
    assert np.abs(stored - drawn).mean() < 0.02  # what JPEG changes


def test_the_style_sheet_knows_the_size_of_the_frames():
    front = script("front_page")
    with Image.open(front.PICTURE) as picture:
        width, height = picture.size
    frames = front.STEPS + 1
    style = (BOOK / "_static" / "course.css").read_text(encoding="utf-8")
    assert f"aspect-ratio: {width} / {height // frames};" in style
    assert f"steps({frames}, jump-none)" in style
    assert f'max="{frames - 1}"' in (BOOK / "index.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_clothes_come_out_of_noise_unless_motion_is_unwanted(browser, site, motion):
    context = browser.new_context(reduced_motion=motion)
    page = context.new_page()
    page.goto(urljoin(site, "book/index.html"))
    look = """e => {
        const style = getComputedStyle(e);
        return [style.animationName, style.backgroundPosition];
    }"""
    picture = page.locator("figure.from-noise > div")
    moves, at_the_end = picture.evaluate(look)
    assert moves == ("none" if motion == "reduce" else "from-noise")
    if motion == "reduce":
        assert at_the_end == "0px 100%"
    page.get_by_label("From noise to clothes").fill("0")
    assert picture.evaluate(look) == ["none", "0px 0%"]
    page.get_by_role("link", name="Start here").click()
    assert page.url.endswith("book/00_twenty_minutes.html")
    context.close()


def test_each_equation_of_the_derivation_is_said_to_be_derived_somewhere():
    text = (BOOK / "derivation.md").read_text(encoding="utf-8")
    steps = re.split(r"^## \d\. ", text, flags=re.MULTILINE)[1:]
    assert len(steps) == 7
    for step in steps:
        printed = re.findall(r"\{formula\} ([\w-]+)", step)
        linked = re.findall(r"\{eq\}`([\w-]+)`", step)
        assert len(printed) == 1 and printed == linked, step


def displays(path):
    """The displayed formulas of a built page, as TeX without spaces."""
    html = unescape(path.read_text(encoding="utf-8"))
    found = re.findall(r"\\\[(.*?)\\\]", html, re.DOTALL)  # those of previews, too
    return {re.sub(r"\s+", "", formula) for formula in found}


@pytest.mark.slow
def test_the_derivation_prints_what_the_chapters_print(built_book):
    printed = displays(built_book / "book" / "derivation.html")
    assert len(printed) == 7
    paths = [built_book / "book" / f"{path.stem}.html" for path in NUMBERED]
    chapters = set.union(*map(displays, paths))
    assert len(chapters) > 100 and printed <= chapters


@pytest.mark.parametrize("path", NUMBERED, ids=lambda p: p.stem)
def test_a_chapter_begins_with_its_place_on_the_map(path):
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    lines = [line for line in first.splitlines() if line and not line.startswith("(")]
    assert lines[0].startswith("# ") and lines[1] == "```{course-map}"


@pytest.mark.slow
def test_the_map_shows_where_we_are(browser, site):
    page = browser.new_page(java_script_enabled=False)
    for path in NUMBERED:
        page.goto(
            urljoin(site, f"book/{path.stem}.html"), wait_until="domcontentloaded"
        )
        steps = page.locator(".course-map li a")
        assert steps.count() == len(NUMBERED)
        (here,) = page.locator(".course-map strong").all()
        assert here.locator("xpath=ancestor::a").get_attribute("href") in (
            "#",
            f"{path.stem}.html",
        )
    page.close()


def test_every_drawing_has_its_png_for_the_notebooks():
    drawings = script("drawings")
    assert len(drawings.DRAWINGS) >= 7
    for drawing in drawings.DRAWINGS:
        with Image.open(drawings.png(drawing)) as picture:
            made_from = picture.text["made from"]
            assert picture.width == 2 * drawings.WIDTH
        assert made_from == drawings.digest(drawing), f"run drawings.py: {drawing.name}"
