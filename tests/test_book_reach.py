"""The site is within reach of keyboards, screen readers, phones, slow lines, paper."""

import re
import sys
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import urljoin
from xml.etree import ElementTree

import pytest
import yaml
from helpers import ROOT
from test_book_pages import findings
from test_book_site import Visit, follow

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from course import meta
from course import site as addresses

FIRST, SECOND = "book/01_forward_process.html", "book/02_elbo.html"


@pytest.mark.slow
def test_every_icon_is_there(browser, site):
    """Each has a glyph in the fonts that are left, not a box."""
    with Visit(browser, urljoin(site, FIRST), 1280, "light") as (page, trouble):
        icons = page.evaluate(
            """async () => {
              await document.fonts.ready;
              return [...document.querySelectorAll("[class*='fa-']")].map(e => {
                const style = getComputedStyle(e, "::before");
                return [e.className, style.content];
              });
            }"""
        )
        assert len(icons) > 5
        assert [name for name, content in icons if not _is_glyph(content)] == []
        faces = {style: _characters(site, page, name) for style, name in FACES.items()}
    for name, content in icons:
        style = next((s for s in FACES if s in name.split()), "fas")
        assert content[1] in faces[style], name
    assert trouble == []


FACES = {"fas": "solid-900", "fa-solid": "solid-900", "fa-regular": "regular-400"}
FACES |= {"far": "regular-400", "fab": "brands-400", "fa-brands": "brands-400"}


def _is_glyph(content):
    return len(content) == 3 and "\ue000" <= content[1] <= "\uf8ff"


def _characters(site, page, name):
    from io import BytesIO

    from fontTools.ttLib import TTFont

    urls = page.evaluate("performance.getEntriesByType('resource').map(r => r.name)")
    url = next(u for u in urls if f"fa-{name}.woff2" in u)
    font = TTFont(BytesIO(page.request.get(url).body()))
    return {chr(code) for code in font.getBestCmap()}


# --- what others see of the site ----------------------------------------------------


def tags(html):
    """The page's <meta> tags, by name or property."""
    found = re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', html)
    return dict(found)


@pytest.mark.slow
def test_no_id_stands_on_a_page_twice(built_book):
    for path in built_book.glob("book/*.html"):
        html = path.read_text(encoding="utf-8")
        html = re.sub(r"<template.*?</template>", "", html, flags=re.DOTALL)
        ids = re.findall(r'\sid="([^"]+)"', html)
        assert sorted(ids) == sorted(set(ids)), path.name


@pytest.mark.slow
def test_every_page_says_what_it_is(built_book):
    told = {}
    for path in [*built_book.glob("book/*.html"), built_book / "search.html"]:
        found = tags(path.read_text(encoding="utf-8"))
        assert 20 <= len(found["description"]) <= 200, path
        assert not re.search(r"\\|Project name|&lt;", found["description"]), path
        assert found["og:description"] == found["description"], path
        assert {"og:title", "og:type", "og:site_name"} <= set(found), path
        told[path.name] = found
    assert len({found["description"] for found in told.values()}) == len(told)


@pytest.mark.slow
def test_no_address_is_told_before_there_is_one(built_book):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    app = fake(config["repository"]["url"], config["html"]["baseurl"])
    html = (built_book / FIRST).read_text(encoding="utf-8")
    published = addresses.is_published(app)
    assert ("og:url" in tags(html)) == ("og:image" in tags(html)) == published
    assert ('rel="canonical"' in html) == published
    assert (built_book / "sitemap.xml").exists() == published
    if published:
        assert tags(html)["og:url"] == addresses.address(app) + FIRST


def fake(url, baseurl=""):
    config = SimpleNamespace(
        html_theme_options={"repository_url": url},
        html_baseurl=baseurl,
        html_title="The course",
        root_doc="book/index",
    )
    builder = SimpleNamespace(get_target_uri=lambda name: f"{name}.html", images={})
    return SimpleNamespace(config=config, builder=builder)


@pytest.mark.parametrize(
    ("url", "baseurl", "home"),
    [
        ("https://github.com/me/it", "", "https://me.github.io/it/"),
        ("https://github.com/me/it", "https://a.example", "https://a.example/"),
        ("https://github.com/ORGANISATION/REPOSITORY", "", None),
        (
            "https://github.com/ORGANISATION/REPOSITORY",
            "https://a.example/x/",
            "https://a.example/x/",
        ),
    ],
)
def test_the_address_is_the_one_in_the_configuration(url, baseurl, home):
    app, context = fake(url, baseurl), {"title": "A <em>chapter</em>", "metatags": ""}
    meta.set_address(app, app.config)
    assert app.config.html_baseurl == (home or "")
    meta.describe(app, "book/x", "", context, None)
    found = tags(context["metatags"])
    assert found.get("og:url") == (f"{home}book/x.html" if home else None)
    assert found["og:title"] == "A chapter"
    assert found["description"] == "A chapter, of the course The course."


def test_the_sitemap_lists_the_pages():
    xml = meta.sitemap("https://a.example/", ["book/a.html", "b&c.html"])
    found = [e.text for e in ElementTree.fromstring(xml).iter() if "loc" in e.tag]
    assert found == ["https://a.example/book/a.html", "https://a.example/b&c.html"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["404.html", "lost", "book/lost", "a/b/c/lost.html"])
@pytest.mark.parametrize("root", ["/", "own"])
def test_a_lost_visitor_finds_home(browser, built_book, place, root):
    """From any depth, at the host's root and in the repository's folder."""
    text = (built_book / "404.html").read_text(encoding="utf-8")
    own = re.search(r'<base href="(.+?)">', text)[1]
    home = f"https://host.example{own if root == 'own' else root}"
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(body=text, content_type="text/html"))
    page.goto(home + place)
    links = page.eval_on_selector_all("a", "all => all.map(a => a.href)")
    assert links == [home + p for p in ("index.html", "search.html", "genindex.html")]
    page.close()
    for link in links:
        assert (built_book / link.rsplit("/", 1)[1]).is_file()


# --- previews -----------------------------------------------------------------------

#: A link of each kind, on the page of chapter 2, and what its preview holds.
KINDS = {
    "equation": ('a.internal[href^="#equation-"]', "mjx-container"),
    "equation-elsewhere": ('a.internal[href*="html#equation-"]', "mjx-container"),
    "figure": ('a.internal[href^="#fig-"]', "img"),
    "term": ('a.internal[href*="glossary.html#term-"]', "dd"),
    "citation": ('a.internal[href*="bibliography.html#"]', ".citation"),
}


@pytest.fixture(scope="module")
def second(browser, built_book):
    """The second chapter, opened as a file."""
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.goto((built_book / SECOND).as_uri())
    page.evaluate("window.MathJax.startup.promise")
    yield page
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_link_shows_what_it_leads_to(second, kind):
    """With the mouse and with the keyboard, even if the page is opened as a file."""
    page, (link_, content) = second, KINDS[kind]
    page.bring_to_front()
    box, link = page.locator("#preview"), page.locator(f"article {link_}:visible").first
    assert not box.is_visible()
    link.hover()
    box.locator(content).first.wait_for(state="visible", timeout=5000)
    assert box.locator("a, [id], [tabindex]").count() == 0
    where, size = box.bounding_box(), page.viewport_size
    assert where["x"] >= 0 and where["x"] + where["width"] <= size["width"]
    assert where["y"] >= 0 and where["y"] + where["height"] <= size["height"]
    box.hover()  # it stays, so that its text can be selected
    page.wait_for_timeout(400)
    assert box.is_visible()
    page.keyboard.press("Escape")
    assert not box.is_visible()

    page.mouse.move(0, 0)
    page.keyboard.press("Tab")  # from now on the focus is the keyboard's
    link.focus()
    box.wait_for(state="visible", timeout=5000)
    assert link.get_attribute("aria-describedby") == box.get_attribute("id")
    assert box.get_attribute("role") == "tooltip"
    assert "\\" not in box.inner_text()  # formulas are typeset
    page.keyboard.press("Tab")
    assert link.get_attribute("aria-describedby") is None
    page.mouse.move(0, 0)
    page.keyboard.press("Escape")


@pytest.mark.slow
def test_a_preview_is_legible(browser, site):
    url = urljoin(site, SECOND)
    with Visit(browser, url, 1280, "light", formulas=False) as (page, trouble):
        for scheme in ("light", "dark"):
            follow(page, scheme)
            page.locator('article a[href*="glossary.html#term-"]').first.hover()
            page.locator("#preview").wait_for(state="visible")
            assert findings(page, "#preview") == []
    assert trouble == []


@pytest.mark.slow
def test_a_touch_screen_has_no_previews(browser, site):
    context = browser.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.route("**/mathjax/**", lambda route: route.abort())
    page.goto(urljoin(site, SECOND))
    link = page.locator('article a[href*="glossary.html#term-"]').first
    link.tap()
    page.wait_for_url("**/glossary.html#term-*")
    context.close()


# --- pictures, margin notes, the course map -----------------------------------------

LOOKS = """() => [...document.querySelectorAll("article img, figure.slider")].map(e => {
  const s = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    ground: s.backgroundColor, filter: s.filter, padding: parseFloat(s.paddingLeft),
    radius: parseFloat(s.borderRadius), width: box.width,
    wide: e.matches(".wide, .wide *, .opening"),
  };
})"""


@pytest.mark.slow
def test_pictures_stand_on_white_or_on_black(browser, site):
    looks, url = {}, urljoin(site, FIRST)
    with Visit(browser, url, 1900, "light", formulas=False) as (page, _):
        for scheme in ("light", "dark"):
            follow(page, scheme)
            looks[scheme] = page.evaluate(LOOKS)
    assert len(looks["light"]) == len(looks["dark"]) > 4
    for look in [*looks["light"], *looks["dark"]]:
        assert look["filter"] == "none"
        assert look["wide"] or look["width"] <= 660
    for look in looks["light"]:
        assert look["ground"] == "rgba(0, 0, 0, 0)"
    for look in looks["dark"]:
        assert look["ground"] == "rgb(0, 0, 0)"
        assert look["padding"] > 4 and look["radius"] > 4


@pytest.fixture(scope="module")
def first(browser, site):
    """The first chapter, typeset."""
    with Visit(browser, urljoin(site, FIRST), 1280, "light") as (page, _):
        yield page


@pytest.mark.slow
@pytest.mark.parametrize("width", [1900, 1280, 1100, 390])
def test_margin_notes_are_small_and_in_nobodys_way(first, width):
    page = first
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("scrollTo(0, 0)")
    notes = page.locator("article aside.margin.source")
    text = page.locator("article h1").first.bounding_box()
    right = text["x"] + text["width"]
    assert notes.count() > 3
    sizes = notes.evaluate_all("all => all.map(e => getComputedStyle(e).fontSize)")
    assert set(sizes) == {"12.8px"}
    boxes = [note.bounding_box() for note in notes.all()]
    for box, below in pairwise([*boxes, None]):
        if width >= 1200:  # in the margin, beside the text
            assert right - 1 <= box["x"] <= width - box["width"]
        else:  # in the text, indented
            assert box["x"] > text["x"]
            assert box["x"] + box["width"] <= right + 1
        assert below is None or box["y"] + box["height"] <= below["y"]
    if width >= 1200:  # the contents make room for a note
        notes.nth(1).evaluate("e => e.scrollIntoView({block: 'center'})")
        page.wait_for_function(
            "getComputedStyle(document.querySelector('nav.page-toc')).opacity < 0.1"
        )


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "rows"), [(1280, 1), (390, 2)])
def test_the_course_map_is_a_slim_row(first, width, rows, scheme):
    page = first
    page.set_viewport_size({"width": width, "height": 900})
    follow(page, scheme)
    steps = page.locator(".course-map li")
    boxes = [step.bounding_box() for step in steps.all()]
    assert len({round(box["y"]) for box in boxes}) == rows
    assert all(box["height"] <= 30 for box in boxes)
    assert max(box["x"] + box["width"] for box in boxes) <= width
    arrows = steps.evaluate_all(
        "all => all.map(e => getComputedStyle(e, '::after').content)"
    )
    assert ["→" in arrow for arrow in arrows] == [True] * (len(boxes) - 1) + [False]
    color = "e => getComputedStyle(e).color"
    here = page.locator(".course-map strong").evaluate(color)
    assert here != page.locator(".course-map a").last.evaluate(color)


# --- paper --------------------------------------------------------------------------

OFF_PAPER = (
    ".bd-header-article, .bd-sidebar-primary, .bd-sidebar-secondary, .copybtn, "
    ".prev-next-footer, a.headerlink, .bd-footer, #jb-print-docs-body, #preview, "
    "details:not([open]), details.hide > summary, figure.slider input"
)


@pytest.mark.slow
def test_paper_holds_the_text_and_nothing_else(browser, site, built_book):
    url = urljoin(site, FIRST)
    with Visit(browser, url, 794, "dark", formulas=False) as (page, _):
        page.locator("details.hide").first.evaluate("e => e.open = true")
        page.evaluate(
            "addEventListener('beforeprint', () =>"
            "  document.title = document.documentElement.dataset.theme)"
        )
        assert page.pdf(format="A4").startswith(b"%PDF")
        assert page.title() == "light"  # on paper; on the screen it is dark again
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.emulate_media(media="print")
        shown = page.eval_on_selector_all(
            OFF_PAPER,
            "all => all.filter(e => e.checkVisibility()).map(e => e.className || e.id)",
        )
        assert shown == []
        assert page.locator("article h1").first.is_visible()
        assert page.locator("details.hide pre").first.is_visible()
        cut = page.evaluate(
            """() => [...document.querySelectorAll("article pre")]
              .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
              .map(e => e.textContent)"""
        )
        assert cut == []
        style = "all => all.map(e => getComputedStyle(e).breakInside)"
        assert set(page.eval_on_selector_all("article figure", style)) == {"avoid"}
        assert page.locator(".more-right").count() == 0 or (
            page.locator(".more-right").first.evaluate(
                "e => getComputedStyle(e).maskImage"
            )
            == "none"
        )
