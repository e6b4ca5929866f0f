"""Does a chapter survive a reader who steps back?

After *Run all*, each cell is run again: alone, and after its two predecessors, each
time with the names as they were at the end. What it prints may differ; it must not
fail.

``python tests/rerun.py book/05_unet.ipynb ...`` prints the cells that fail.
"""

import sys
from pathlib import Path

import nbformat
from jupyter_client.manager import start_new_kernel

SAVE = "_at_the_end = dict(globals())"
RESTORE = """
_saved = _at_the_end
for _name in [n for n in globals() if n not in _saved and not n.startswith("_")]:
    del globals()[_name]
globals().update(_saved)
"""


def failures(path: Path) -> list[str]:
    """A line for each cell that fails when it is run again."""
    cells = nbformat.read(path, as_version=4).cells
    code = [(i, c.source) for i, c in enumerate(cells) if c.cell_type == "code"]
    manager, client = start_new_kernel(kernel_name="python3")

    def run(source: str) -> str | None:
        """Run a cell; return its error."""
        reply = client.execute_interactive(
            source, timeout=600, output_hook=lambda _: None, allow_stdin=False
        )["content"]
        failed = reply["status"] == "error"
        return f"{reply['ename']}: {reply['evalue']}" if failed else None

    try:
        first = [f"cell {i}: {error}" for i, s in code if (error := run(s))]
        if first:
            return first
        run(SAVE)
        failed = []
        for k, (i, source) in enumerate(code):
            if error := run(source):
                failed.append(f"cell {i} alone: {error}")
            run(RESTORE)
            for _, before in code[max(0, k - 2) : k]:
                run(before)
            if k and (error := run(source)):
                failed.append(f"cell {i} after two: {error}")
            run(RESTORE)
        return failed
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def main(paths: list[Path]) -> None:
    failed = {path: failures(path) for path in paths}
    for path, lines in failed.items():
        print(path, f"{len(lines)} failures", *lines, sep="\n  ")
    sys.exit(any(failed.values()))


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
