"""What a chapter's page is made of, by height, when nothing is unfolded.

``python tests/page_share.py _build/html`` prints the percentages of code, printed
output, pictures and prose at 1280 px; prose includes formulas and tables.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTH = 1280
KINDS = ("code", "folds", "output", "pictures", "prose")

#: Heights in pixels of what can be seen.
HEIGHTS = """() => {
  const article = document.querySelector("article");
  const height = selector => [...article.querySelectorAll(selector)]
    .filter(e => e.checkVisibility({visibilityProperty: true}))
    .filter(e => !e.parentElement.closest(selector))
    .reduce((sum, e) => sum + e.getBoundingClientRect().height, 0);
  const heights = {
    code: height("div.cell_input"),
    folds: height("details > summary:not(aside summary)"),
    output: height("div.cell_output .output"),
    pictures: height("figure, img:not(figure *)"),
  };
  const all = article.getBoundingClientRect().height;
  heights.prose = all - Object.values(heights).reduce((a, b) => a + b);
  return heights;
}"""


def shares(page: Page) -> dict[str, float]:
    """The share of each of KINDS in the height of the open page."""
    page.evaluate("window.MathJax?.startup?.promise")
    heights = page.evaluate(HEIGHTS)
    total = sum(heights.values())
    return {kind: height / total for kind, height in heights.items()}


def main(built: Path) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    print(f"{'':24}" + "".join(f"{kind:>10}" for kind in KINDS))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        for path in sorted(built.resolve().glob("book/[0-9][0-9]_*.html")):
            page.goto(path.as_uri(), wait_until="load")
            share = shares(page)
            print(f"{path.stem:24}" + "".join(f"{share[kind]:10.1%}" for kind in KINDS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
