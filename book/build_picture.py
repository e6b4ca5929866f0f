"""Copy the clothes that build_your_own.ipynb draws to the top of its page.

Run ``python book/build_picture.py`` after the notebook has been executed anew.
"""

import base64
import json
from pathlib import Path

BOOK = Path(__file__).parent
NOTEBOOK = BOOK / "build_your_own.ipynb"
PICTURE = BOOK / "_static" / "build_your_own.png"


def drawn() -> bytes:
    """The stored output of the cell with the figure ``fig-build-clothes``, a PNG."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (cell,) = (c for c in cells if c["id"] == "clothes-figure")
    (text,) = (o["data"]["image/png"] for o in cell["outputs"] if "data" in o)
    return base64.b64decode(text)


if __name__ == "__main__":
    PICTURE.write_bytes(drawn())
