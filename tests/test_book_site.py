"""The built pages in a browser: wide and narrow, light and dark."""

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest

pytestmark = pytest.mark.slow

#: Chromium says this of every preloaded font, about its own cache.
HARMLESS = "A preload for"


class Visit:
    """A page that was opened, and what went wrong while it was.

    To typeset a chapter takes seconds; without formulas an empty script stands in for
    MathJax.
    """

    def __init__(self, browser, url, width, scheme, formulas=True):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.trouble, home = [], urlsplit(url).netloc
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("requestfailed", lambda r: self.trouble.append(f"failed {r.url}"))
        self.page.on("response", self._response)
        self.page.on("request", lambda r: self._request(r, home))
        if not formulas:
            empty = {"body": "", "content_type": "text/javascript"}
            self.page.route("**/mathjax/**", lambda route: route.fulfill(**empty))
        self.page.goto(url, wait_until="load")
        # MathJax is done when it says so; pages without formulas do not load it
        self.page.evaluate("window.MathJax?.startup?.promise")
        self.page.wait_for_load_state("networkidle")

    def _console(self, message):
        if message.type in ("error", "warning") and HARMLESS not in message.text:
            self.trouble.append(message.text)

    def _response(self, response):
        if response.status >= 400:
            self.trouble.append(f"{response.status} {response.url}")

    def _request(self, request, home):
        if (
            urlsplit(request.url).scheme != "data"
            and urlsplit(request.url).netloc != home
        ):
            self.trouble.append(f"foreign {request.url}")

    def __enter__(self):
        return self.page, self.trouble

    def __exit__(self, *_):
        self.context.close()


CONTRAST = """(selector) => {
  const rgb = c => (c.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.9) return c;
    }
    return [255, 255, 255];
  };
  const all = [...document.querySelectorAll(selector)];
  return all.filter(e => e.textContent.trim()).map(e => {
    const pair = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  });
}"""


def follow(page, scheme):
    """Change the scheme of the system, and wait until the page has followed."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_selector(f"html[data-theme={scheme}]", state="attached")


def test_text_is_legible(browser, site, pages):
    """Contrast of at least 4.5 to 1, as WCAG asks of text."""
    chapter = next(path for path in pages if "01_" in path)
    with Visit(browser, urljoin(site, chapter), 1280, "light") as (page, _):
        for scheme in ("light", "dark"):
            follow(page, scheme)
            page.wait_for_timeout(200)  # links change their color slowly
            for selector in (
                "article p",
                "article h2",
                "article figcaption",
                "article summary",
                "article div.proven > a",
                "select.reading-mode",
                "article pre span",
                "div.cell_output pre",
                "mjx-container",
            ):
                ratios = page.evaluate(CONTRAST, selector)
                assert ratios and min(ratios) >= 4.5, (scheme, selector, ratios)


def test_the_slider_moves_without_a_kernel(browser, site):
    url = urljoin(site, "book/01_forward_process.html")
    with Visit(browser, url, 390, "light", formulas=False) as (page, _):
        slider = page.locator("figure.slider")
        before = slider.locator("div").evaluate("e => e.style.backgroundPosition")
        said = slider.locator("output").text_content()
        slider.locator("input").fill("12")
        after = slider.locator("div").evaluate("e => e.style.backgroundPosition")
        assert after != before
        assert said != slider.locator("output").text_content() != ""


def test_solutions_are_folded_and_open(browser, site):
    url = urljoin(site, "book/01_forward_process.html")
    with Visit(browser, url, 1280, "light", formulas=False) as (page, _):
        solution = page.locator(".solution").first
        code = solution.locator("pre").first
        assert not code.is_visible()
        solution.locator("summary").first.click()
        code.wait_for(state="visible")


def test_search_finds_a_term(browser, site):
    url = urljoin(site, "search.html?q=signal-to-noise")
    with Visit(browser, url, 1280, "light") as (page, trouble):
        page.wait_for_selector("#search-results li a", timeout=10_000)
        assert page.locator("#search-results li a").count() > 0
    assert trouble == []


def test_links_between_pages_lead_somewhere(site, pages, built_book):
    """Every relative link names a file of the book, and an id that is on the page."""
    found, ids = set(), {}
    for path in pages:
        html = (built_book / path).read_text(encoding="utf-8")
        html = re.sub(r"<(template|script)\b.*?</\1>", "", html, flags=re.DOTALL)
        links = re.findall(r'<a\s[^>]*?href="([^"]*)"', html)
        links = (urljoin(urljoin(site, path), unescape(link)) for link in links)
        found |= {link for link in links if link.startswith(site)}
        ids[path] = {unescape(name) for name in re.findall(r'\sid="([^"]+)"', html)}
    assert len(found) > len(pages)
    for link in found:
        path, _, anchor = link.removeprefix(site).partition("#")
        assert (built_book / (path.partition("?")[0] or "index.html")).exists(), link
        if anchor and path in ids:
            assert anchor in ids[path], link
