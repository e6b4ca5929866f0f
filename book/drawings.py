"""Turns the drawings into PNG, for the student notebooks: Colab shows no SVG.

``python book/drawings.py`` writes ``_static/png/NAME.png`` for each drawing of the
pages, twice as large as it is seen there. Needs playwright and a Chromium.
"""

import hashlib
import io
import shutil
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

STATIC = Path(__file__).parent / "_static"
DRAWINGS = sorted(
    path for path in STATIC.glob("*.svg") if path.stem not in ("logo", "favicon")
)
WIDTH = 660


def png(drawing: Path) -> Path:
    """Where the PNG of a drawing is."""
    return STATIC / "png" / f"{drawing.stem}.png"


def digest(drawing: Path) -> str:
    """What a PNG remembers of its SVG, so that a test knows when it is out of date."""
    return hashlib.sha256(drawing.read_bytes()).hexdigest()


def main() -> None:
    """Write all PNGs."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(device_scale_factor=2)
        page.set_content(f'<img width="{WIDTH}" alt="">')
        for drawing in DRAWINGS:
            picture = page.locator("img")
            picture.evaluate(
                """(img, svg) => new Promise(done => {
                    img.onload = done
                    img.src = 'data:image/svg+xml,' + encodeURIComponent(svg)
                })""",
                drawing.read_text(encoding="utf-8"),
            )
            shot = picture.screenshot(omit_background=True)
            image = Image.open(io.BytesIO(shot)).quantize(128)
            made_from = PngInfo()
            made_from.add_text("made from", digest(drawing))
            png(drawing).parent.mkdir(exist_ok=True)
            image.save(png(drawing), optimize=True, pnginfo=made_from)
            print(png(drawing).name, image.size, png(drawing).stat().st_size)
        browser.close()


if __name__ == "__main__":
    main()
