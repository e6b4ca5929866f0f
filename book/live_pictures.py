"""Takes the pictures that stand where a toy would, without JavaScript and in notebooks.

``python book/live_pictures.py [NAME …]`` opens each toy in Chromium and writes the part
without controls, as it looks at first, to ``_static/live/pictures/NAME.png``.
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

BOOK = Path(__file__).parent
FOLDER = BOOK / "_static" / "live"
WIDTH = 660

sys.path.insert(0, str(BOOK / "_ext"))
from course.live import scripts  # noqa: E402

#: Gray text and no ground: legible on white and on black, like the book's figures.
STYLE = """
body { margin: 0; width: 660px; font-family: system-ui, sans-serif; }
.live { --pst-color-text-base: #757575; --pst-color-text-muted: #757575; }
.live { border: 0 !important; margin: 0 !important; background: none !important; }
.live-stage { padding-bottom: 4px; color: #757575; }
"""

#: What is pressed before the picture is taken, in order, and what that loads.
PLAYED = {"draw": (["draw", "nearest"], ["fashion_mnist", "held_out"])}


def toys() -> list[str]:
    """The names of all toys."""
    return sorted(path.stem for path in FOLDER.glob("toys/*.js"))


def stand(page: Page, toy: str, folder: Path = FOLDER) -> None:
    """Open a toy by itself, on an otherwise empty page."""
    page.set_content(f'<body><div class="live" data-toy="{toy}"></div></body>')
    page.add_style_tag(path=folder / "live.css")
    page.add_style_tag(content=STYLE)
    for name in scripts([toy]):
        page.add_script_tag(path=folder / f"{name}.js")
    page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
    page.wait_for_selector(".live-started")
    buttons, data = PLAYED.get(toy, ([], []))
    for name in data:
        page.add_script_tag(path=folder / "data" / f"{name}.js")
    for name in buttons:
        button = page.locator(f"button[data-control={name}]")
        button.click()
        page.wait_for_selector(".live:not([aria-busy=true])", timeout=120_000)
    page.wait_for_timeout(300)


def take(browser: Browser, toy: str) -> Image.Image:
    """The stage of a toy as it looks at first, in 256 colors."""
    page = browser.new_page(device_scale_factor=2)
    stand(page, toy)
    shot = page.locator(".live-stage").screenshot(omit_background=True)
    page.close()
    return Image.open(BytesIO(shot)).quantize(256, Image.Quantize.FASTOCTREE)


def main() -> None:
    """Write the pictures."""
    (FOLDER / "pictures").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for toy in sys.argv[1:] or toys():
            path = FOLDER / "pictures" / f"{toy}.png"
            take(browser, toy).save(path, optimize=True)
            print(path.name, f"{path.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
