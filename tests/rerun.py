"""Does a chapter survive a reader who steps back?

After *Run all*, each cell is run again: alone, and after its two predecessors, each
time with the names as they were at the end. What it prints may differ; it must not
fail. (A cell that takes a while runs again once, alone.) On the way, each picture is
compared with the one that is stored: nbval doesn't. And figures.py looks whether it
shows what it should. (An object that a cell changes in place stays changed.)

``python tests/rerun.py book/05_unet.ipynb ...`` prints the cells that fail.
"""

import base64
import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
from drawn import RECORD
from figures import drawn_in, fault, name_of
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from nbformat import NotebookNode
from PIL import Image
from witnesses import NOTEBOOKS

SAVE = "_at_the_end = dict(globals())"
RESTORE = """
_saved = _at_the_end
for _name in [n for n in globals() if n not in _saved and not n.startswith("_")]:
    del globals()[_name]
globals().update(_saved)
"""


#: A cell of more seconds runs again alone, and before no other.
LONG = 0.3

#: Pictures are compared in blocks of so many pixels; 1 is black against white.
BLOCK, TOLERANCE = 8, 0.1


class Kernel:
    """Runs cells, and keeps what the last one has shown."""

    def __init__(self, client: BlockingKernelClient):
        self.client, self.outputs = client, []

    def run(self, source: str) -> str | None:
        """Run a cell; return its error."""
        self.outputs = []
        reply = self.client.execute_interactive(
            source, timeout=600, output_hook=self._keep, allow_stdin=False
        )["content"]
        failed = reply["status"] == "error"
        return f"{reply['ename']}: {reply['evalue']}" if failed else None

    def _keep(self, message: dict) -> None:
        self.outputs.append(message["content"])


@contextmanager
def started() -> Iterator[Kernel]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def code_of(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """The code cells, with their places in the notebook."""
    return [(i, c) for i, c in enumerate(notebook.cells) if c.cell_type == "code"]


def failures(path: Path) -> list[str]:
    """A line for each cell that fails when it is run again, or draws something else."""
    failed, code = [], code_of(nbformat.read(path, as_version=4))
    with started() as kernel:
        assert kernel.run(RECORD) is None
        for i, cell in code:
            if error := kernel.run(cell.source):
                return [f"cell {i}: {error}"]
            failed += drawn_otherwise(i, cell, kernel.outputs)
            if (name := name_of(cell)) and (wrong := fault(name, kernel.outputs)):
                failed.append(f"cell {i} draws something wrong: {wrong}")
        return failed + steps_back(code, kernel)


def drawn_otherwise(i: int, cell: NotebookNode, outputs: list[dict]) -> list[str]:
    """A line if a cell has drawn another picture than the stored one."""
    difference = apart(pictures_in(cell.outputs), pictures_in(outputs))
    return [f"cell {i} draws another picture: {difference}"] if difference else []


def steps_back(code: list[tuple[int, NotebookNode]], kernel: Kernel) -> list[str]:
    """A line for each cell that fails when it is run again, after all of them."""
    failed, long = [], set()
    assert kernel.run(SAVE) is None
    for k, (i, cell) in enumerate(code):
        began = time.perf_counter()
        if error := kernel.run(cell.source):
            failed.append(f"cell {i} alone: {error}")
        if time.perf_counter() - began > LONG:
            long.add(i)
        kernel.run(RESTORE)
        if i in long:
            continue
        for j, before in code[max(0, k - 2) : k]:
            if j not in long:
                kernel.run(before.source)
        if k and (error := kernel.run(cell.source)):
            failed.append(f"cell {i} after two: {error}")
        kernel.run(RESTORE)
    return failed


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


def strangers(chapter: NotebookNode, run: NotebookNode) -> list[str]:
    """The figures that look less like the stored picture than like another one.

    The others are those of all other figures, and the stored picture turned around. A
    cell that only stores a picture, or only draws one, is a stranger, too.
    """
    stored, drawn = pictures_of(chapter, chapter), pictures_of(chapter, run)
    known = {k: v for path in NOTEBOOKS for k, v in pictures_stored(path).items()}
    found = [k for k in drawn_in(chapter, run) if (k in stored) != (k in drawn)]
    for name in stored.keys() & drawn.keys():
        own, now = stored[name], drawn[name]
        others = [other for key, other in (known | stored).items() if key != name]
        others += [own[::-1], own[:, ::-1], own[::-1, ::-1]]
        if distance(now, own) >= min(distance(now, other) for other in others):
            found.append(name)
    return found


@cache
def pictures_stored(path: Path) -> dict[str, np.ndarray]:
    """The picture of each figure of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    return pictures_of(notebook, notebook)


def pictures_of(chapter: NotebookNode, run: NotebookNode) -> dict[str, np.ndarray]:
    """The picture of each figure of a chapter, in a run of it."""
    pictures = {name: pictures_in(o) for name, o in drawn_in(chapter, run).items()}
    return {name: pixels(*pngs) for name, pngs in pictures.items() if pngs}


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return np.abs(one - other).mean() if one.shape == other.shape else np.inf


@cache
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
