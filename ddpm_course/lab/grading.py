"""Run the notebooks that students hand in, and say which exercises are solved.

Each notebook runs from the top in a kernel of its own, with a progress file of its own.
That file is the grade. Notebooks are programs: run what others have written in a
container, or on a machine that holds nothing of value.
"""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ddpm_course.exercises import record

#: The number in a call of ``check`` or ``use``, and in what a right answer prints.
_CHECKS = re.compile(r"^[^#\n]*\b(?:check|use)\(\s*[\"']([A-Z]?\d*\.\d+)[\"']", re.M)
_CORRECT = re.compile(r"^([A-Z]?\d*\.\d+): correct\.", re.M)


@dataclass(frozen=True)
class Grade:
    """What one notebook came to.

    Args:
        name: The notebook's path in the folder.
        states: "solved", "tried" or "open", for each exercise that it checks.
        trouble: Why it stopped before its end, or the first error of a cell; or "".
    """

    name: str
    states: dict[str, str]
    trouble: str = ""

    @property
    def solved(self) -> int:
        """How many exercises are solved."""
        return list(self.states.values()).count("solved")


def grade(folder: Path, seconds: int = 1200) -> Iterator[Grade]:
    """Run each notebook in a folder and its subfolders, in order of their names.

    Args:
        folder: Where the notebooks are.
        seconds: The time limit for one cell.

    Yields:
        The grade of each.

    Raises:
        ValueError: If there are no notebooks.
        ImportError: If nbclient or ipykernel is missing.
    """
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "grading runs notebooks, which needs two more packages: "
            "pip install nbclient ipykernel"
        ) from error
    paths = sorted(
        path
        for path in folder.rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    )
    if not paths:
        raise ValueError(f"{folder}: expected a folder that holds notebooks (.ipynb)")
    for path in paths:
        yield grade_one(path, path.relative_to(folder).as_posix(), seconds)


def grade_one(path: Path, name: str, seconds: int) -> Grade:
    """Run one notebook, in an empty folder, to its end whatever its cells do."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises what its parsers raise
        return Grade(name, {}, f"not a notebook: {type(error).__name__}")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    numbers = dict.fromkeys(n for source in code for n in _CHECKS.findall(source))
    kept: record.Record = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        try:  # whatever one notebook does, the others get their grades
            trouble = _run(notebook, place, seconds)
            kept = record.read(Path(place) / "progress.json")
        except Exception as error:
            trouble = f"{type(error).__name__}: {error}".partition("\n")[0]
    states = {n: record.state(kept.get(n)) for n in numbers}
    if any(states.get(n) != "solved" for n in _said_to_be_right(notebook)):
        trouble = trouble or "its progress file is lost or changed: look at the outputs"
    return Grade(name, states, trouble)


def _said_to_be_right(notebook) -> list[str]:
    """The exercises that a check has called correct while the notebook ran."""
    printed = (
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    )
    return [number for text in printed for number in _CORRECT.findall(text)]


def _run(notebook, place: str, seconds: int) -> str:
    """Run a notebook with a progress file in this folder; what went wrong first."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    client = NotebookClient(
        notebook,
        timeout=seconds,
        allow_errors=True,
        kernel_name="python3",
        resources={"metadata": {"path": place}},
    )
    settings = {"DDPM_PROGRESS": f"{place}/progress.json", "DDPM_STRICT": "0"}
    try:
        client.execute(env=os.environ | settings | {"MPLBACKEND": "agg"})
    except CellTimeoutError:
        return f"a cell took longer than {seconds} seconds"
    except DeadKernelError:
        return "the kernel died"
    errors = (
        f"{output.ename}: {output.evalue}".partition("\n")[0]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    )
    return next(errors, "")


def table(grades: list[Grade]) -> str:
    """The grades as CSV: a row for each notebook, a column for each exercise."""
    numbers = sorted({n for grade in grades for n in grade.states}, key=_order)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["notebook", "solved", "of", *numbers, "trouble"])
    for one in grades:
        states = [one.states.get(n, "") for n in numbers]
        counts = (one.solved, len(one.states))
        writer.writerow([one.name, *counts, *states, one.trouble])
    return text.getvalue()


def _order(number: str) -> tuple[bool, str, int]:
    """Chapters by number, then pages by letter."""
    group, _, n = number.partition(".")
    return (not group.isdigit(), group.rjust(3), int(n))
