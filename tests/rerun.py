"""Does a chapter survive a reader who steps back?

After *Run all*, each cell is run again: alone, and after its two predecessors, each
time with the names as they were at the end. What it prints may differ; it must not
fail. On the way, each picture is compared with the one that is stored: nbval doesn't.

``python tests/rerun.py book/05_unet.ipynb ...`` prints the cells that fail.
"""

import base64
import io
import sys
from pathlib import Path

import nbformat
import numpy as np
from jupyter_client.manager import start_new_kernel
from PIL import Image

SAVE = "_at_the_end = dict(globals())"
RESTORE = """
_saved = _at_the_end
for _name in [n for n in globals() if n not in _saved and not n.startswith("_")]:
    del globals()[_name]
globals().update(_saved)
"""


#: Pictures are compared in blocks of so many pixels; 1 is black against white.
BLOCK, TOLERANCE = 8, 0.1


def failures(path: Path) -> list[str]:
    """A line for each cell that fails when it is run again, or draws something else."""
    cells = nbformat.read(path, as_version=4).cells
    code = [(i, c) for i, c in enumerate(cells) if c.cell_type == "code"]
    manager, client = start_new_kernel(kernel_name="python3")
    drawn: list[str] = []

    def keep_pictures(message: dict) -> None:
        drawn.extend(pictures_in([message["content"]]))

    def run(source: str) -> str | None:
        """Run a cell; return its error."""
        drawn.clear()
        reply = client.execute_interactive(
            source, timeout=600, output_hook=keep_pictures, allow_stdin=False
        )["content"]
        failed = reply["status"] == "error"
        return f"{reply['ename']}: {reply['evalue']}" if failed else None

    try:
        failed = []
        for i, cell in code:
            if error := run(cell.source):
                return [f"cell {i}: {error}"]
            if difference := apart(pictures_in(cell.outputs), drawn):
                failed.append(f"cell {i} draws another picture: {difference}")
        run(SAVE)
        for k, (i, cell) in enumerate(code):
            if error := run(cell.source):
                failed.append(f"cell {i} alone: {error}")
            run(RESTORE)
            for _, before in code[max(0, k - 2) : k]:
                run(before.source)
            if k and (error := run(cell.source)):
                failed.append(f"cell {i} after two: {error}")
            run(RESTORE)
        return failed
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def pictures_in(outputs: list[dict]) -> list[str]:
    """The PNG pictures, in base64."""
    return [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]


def apart(stored: list[str], drawn: list[str]) -> str | None:
    """How pictures differ, if they do."""
    if len(stored) != len(drawn):
        return f"{len(stored)} are stored, {len(drawn)} were drawn"
    for before, now in zip(map(pixels, stored), map(pixels, drawn), strict=True):
        if before.shape != now.shape:
            return f"{before.shape} is stored, {now.shape} was drawn"
        if (difference := np.abs(before - now).max()) > TOLERANCE:
            return f"a block of it is {difference:.2f} brighter or darker"
    return None


def pixels(png: str) -> np.ndarray:
    """The mean of each block, in [0, 1]: red, green, blue, and opacity."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        small = image.convert("RGBA").reduce(BLOCK)
        return np.asarray(small, dtype=np.float32) / 255


def main(paths: list[Path]) -> None:
    failed = {path: failures(path) for path in paths}
    for path, lines in failed.items():
        print(path, f"{len(lines)} failures", *lines, sep="\n  ")
    sys.exit(any(failed.values()))


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
