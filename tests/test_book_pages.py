"""Every page of the built book, visited once: wide and narrow, light and dark."""

import re
from itertools import product
from urllib.parse import urljoin

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_share import shares
from test_book_reading import PROVING, tagged_cells
from test_book_site import Visit, follow

pytestmark = pytest.mark.slow

#: The notebook of each chapter's page.
CHAPTERS = {f"book/{path.stem}.html": path for path in PROVING}
FIRST = next(iter(CHAPTERS))
#: What a page and all that it loads may weigh, without its pictures, uncompressed.
HEAVIEST = 2_500_000

WEIGHT = """async () => {
  await document.fonts.ready;
  const loaded = performance.getEntriesByType("resource")
    .filter(r => !/\\.(png|jpe?g|svg|gif)\\b/.test(r.name));
  const page = performance.getEntriesByType("navigation");
  return [...page, ...loaded].reduce((sum, r) => sum + r.decodedBodySize, 0);
}"""

#: Formulas: how many, how many of them say nothing, and which are tab stops needlessly.
FORMULAS = """() => {
  const all = [...document.querySelectorAll("mjx-container")];
  const scrolls = e => e.scrollWidth > e.clientWidth + 1;
  return {
    all: all.length,
    mute: all.filter(e => !e.ariaLabel && !e.querySelector("mjx-assistive-mml math"))
      .length,
    stops: all.flatMap(e => [e, ...e.querySelectorAll("*")])
      .filter(e => e.tabIndex >= 0 && !scrolls(e)).length,
  };
}"""

#: What can be scrolled sideways, as it stands and with all that is folded.
SIDEWAYS = """async () => {
  const scrollers = () => [...document.querySelectorAll("article *")].filter(e =>
    e.clientWidth && e.scrollWidth > e.clientWidth + 1
    && ["auto", "scroll"].includes(getComputedStyle(e).overflowX));
  const frame = () => new Promise(f => requestAnimationFrame(() => setTimeout(f)));
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  await frame();
  const mask = e => getComputedStyle(e).maskImage;
  const found = scrollers(), blind = [], stuck = [];
  for (const e of found) {
    const here = e.outerHTML.slice(0, 100);
    if (!e.matches(".more-right") || mask(e) === "none") blind.push(here);
    if (e.tabIndex !== 0) stuck.push(here);
  }
  for (const e of found) e.scrollLeft = e.scrollWidth;
  await frame();
  const ends = found.filter(e => e.matches(".more-right") || !e.matches(".more-left"));
  const quiet = [...document.querySelectorAll(".more-left, .more-right")]
    .filter(e => !found.includes(e));
  return {
    found: found.length, blind, stuck,
    ends: ends.length,
    quiet: quiet.map(e => e.outerHTML.slice(0, 100)),
  };
}"""

#: What is wrong to see.
MEASURE = """() => {
  const body = document.querySelector('article') ?? document.body;
  const raw = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  const left = [];
  while (raw.nextNode()) {
    const parent = raw.currentNode.parentElement;
    if (parent.closest('pre, code, script, style, mjx-container')) continue;
    const text = raw.currentNode.data;
    if (/\\$\\$|\\\\\\(|\\\\\\[|\\\\frac/.test(text)) left.push(text);
  }
  const broken = [...body.querySelectorAll('mjx-merror, [data-mjx-error]')];
  return {
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    formulas: body.querySelectorAll('.math').length,
    typeset: body.querySelectorAll('mjx-container').length,
    broken: broken.map(e => e.textContent),
    raw: left,
    stretched: [...body.querySelectorAll('img')].filter(i => i.naturalWidth &&
      Math.abs(i.width / i.height * i.naturalHeight / i.naturalWidth - 1) > 0.03
    ).map(i => i.src.slice(-60)),
    noAlt: [...document.images].filter(i => !i.alt.trim()).map(i => i.src),
  };
}"""


PROOFS = """() => [...document.querySelectorAll("div.proven > a")].map(mark => {
  const target = document.getElementById(mark.hash.slice(1));
  const fold = target?.closest("details.proof");
  const back = [...fold?.querySelectorAll(".back a") ?? []].map(a => a.hash.slice(1));
  const equation = mark.parentElement.querySelector(".math");
  return {
    name: mark.getAttribute("aria-label"),
    number: equation.querySelector(".eqno").firstChild.data,
    folded: fold?.open === false,
    linksBack: back.includes(equation.id),
    summary: fold?.querySelector("summary").textContent,
    visible: fold?.querySelector("pre").checkVisibility(),
  };
})"""


def first_look(page):
    """What a reader of a chapter sees before anything is unfolded."""
    marks = page.evaluate(PROOFS)
    text = page.locator("article").inner_text()
    share = shares(page)
    mode = page.get_by_label("Reading mode")
    mode.select_option("everything")
    unfolded = shares(page)
    mode.select_option("story")
    return {"marks": marks, "text": text, "share": share, "unfolded": unfolded}


def findings(page, context=None, **options):
    """The rules of axe that a page breaks and that matter, with places."""
    options = {"resultTypes": ["violations"], "preload": False, **options}
    return [
        (rule["id"], [node["html"][:100] for node in rule["nodes"][:3]])
        for rule in Axe().run(page, context, options).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


#: Axe takes a minute for ten thousand elements. The insides of formulas and the colors
#: of code are tested elsewhere; of what repeats, twenty will do.
THIN_OUT = """() => {
  for (const fold of document.querySelectorAll("details")) fold.open = false;
  for (const e of document.querySelectorAll("mjx-container")) e.replaceChildren();
  for (const e of document.querySelectorAll("pre")) e.textContent = e.textContent;
  for (const many of ["dl.py", ".concordance li"]) {
    [...document.querySelectorAll(many)].slice(20).forEach(e => e.remove());
  }
}"""


#: At a new width the sidebar moves, and links change their color slowly. What scrolls
#: is found one frame later.
AT_REST = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const moves = e => e instanceof CSSTransition && e.playState === "running";
  do await frame(); while (document.getAnimations().some(moves));
  await frame();
  await frame();
}"""


@pytest.fixture(scope="module")
def seen(browser, site, pages):
    """What there is to see on each page.

    It is opened in one width and scheme, in each of the four by turns, and follows to
    the others.
    """
    results = {}
    for k, name in enumerate(pages):
        schemes = ("light", "dark")[:: 1 - 2 * (k % 2)]
        widths = (1280, 390)[:: 1 - 2 * (k // 2 % 2)]
        url = urljoin(site, name)
        with Visit(browser, url, widths[0], schemes[0]) as (page, trouble):
            found = {"trouble": trouble, "weight": page.evaluate(WEIGHT)}
            found["formulas"] = page.evaluate(FORMULAS)
            for width in widths:
                page.set_viewport_size({"width": width, "height": 900})
                if width == 1280 and name in CHAPTERS:
                    found["first"] = first_look(page)
                for scheme in schemes:
                    follow(page, scheme)
                    found[width, scheme] = page.evaluate(MEASURE)
            page.set_viewport_size({"width": 390, "height": 900})
            found["sideways"] = page.evaluate(SIDEWAYS)
            page.set_viewport_size({"width": 1280, "height": 900})
            page.evaluate(THIN_OUT)  # and fold everything again
            page.evaluate(AT_REST)
            found["axe"] = findings(page)  # in the scheme of the last look
            follow(page, schemes[0])  # contrast is the one that can differ
            page.evaluate(AT_REST)
            found["axe"] += findings(page, runOnly=["color-contrast"])
        results[name] = found
    return results


def test_nothing_is_raw_broken_or_too_wide(seen):
    for path, found in seen.items():
        for where in product((1280, 390), ("light", "dark")):
            look = found[where]
            assert look["overflow"] <= 0, (path, where)
            assert look["typeset"] >= look["formulas"], (path, where)
            assert (look["broken"], look["raw"]) == ([], []), (path, where)
            assert look["noAlt"] == [], (path, where)
            assert look["stretched"] == [], (path, where)


def test_every_proof_is_a_check_mark_and_pictures_outweigh_code(seen):
    for path, notebook in CHAPTERS.items():
        proven = [
            label
            for cell, tags in tagged_cells(notebook)
            if "proof" in tags
            for label in re.findall(r'^prove\("([\w-]+)"', cell.source, re.MULTILINE)
        ]
        first = seen[path]["first"]
        share, marks = first["share"], first["marks"]
        # folds: their closed lines
        assert share["code"] + share["folds"] <= 0.15, (path, share)
        assert share["pictures"] >= 0.15, (path, share)
        assert first["unfolded"]["code"] > 0.25  # it sees code that is there
        assert len(marks) == len(proven) > 0
        for mark in marks:
            assert mark["name"] == f"Proof of equation {mark['number']}"
            assert mark["number"] in mark["summary"], mark
            assert mark["summary"].endswith("checked with SymPy"), mark
            assert mark["folded"] and mark["linksBack"] and not mark["visible"], mark
        assert "residual 0" not in first["text"]
        assert ": not attempted yet" not in first["text"]


def test_no_page_has_trouble_or_asks_elsewhere(seen):
    assert {path: found["trouble"] for path, found in seen.items()} == {
        path: [] for path in seen
    }


def test_axe_finds_nothing_serious(seen):
    assert {path: found["axe"] for path, found in seen.items()} == {
        path: [] for path in seen
    }


def test_formulas_are_no_tab_stops_and_can_be_read_out(seen):
    for path, results in seen.items():
        formulas = results["formulas"]
        assert (formulas["stops"], formulas["mute"]) == (0, 0), path
    assert seen[FIRST]["formulas"]["all"] > 100


def test_what_scrolls_sideways_shows_it_and_is_within_reach(seen):
    for path, results in seen.items():
        sideways = results["sideways"]
        assert sideways["blind"] == [], path
        assert sideways["stuck"] == [], path
        assert sideways["quiet"] == [], path
        assert sideways["ends"] == 0, path
    assert seen[FIRST]["sideways"]["found"] > 10


def test_pages_are_light(seen):
    for path, results in seen.items():
        assert 100_000 < results["weight"] <= HEAVIEST, (path, results["weight"])
