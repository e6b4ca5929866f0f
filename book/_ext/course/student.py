"""Student notebooks: each chapter as a plain notebook, without its solutions.

Written while the book is built, because the build knows every number and link.
Colab shows Markdown and MathJax, but no MyST: directives become plain Markdown,
equation numbers become literal and cross-references become links to the site.
"""

import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

from . import site
from .plain import Unresolved, to_plain
from .references import References

log = logging.getLogger(__name__)

#: Tags that mean something to a student; all others are the book's own.
KEPT_TAGS = {"exercise-stub", "exercise-check", "setup"}
#: Tags of cells that MyST-NB folds on the page; Colab folds them too.
FOLDED_TAGS = {"hide-input", "hide-cell"}


def write_all(app: Sphinx, exception: Exception | None) -> None:
    """Write ``notebooks/<chapter>.ipynb`` into the built site."""
    if exception or app.builder.name != "html":
        return
    for docname in site.chapters(app):
        source = nbformat.read(app.env.doc2path(docname), as_version=4)
        try:
            notebook = convert(source, References(app, docname), site.archive(app))
        except Unresolved as error:
            raise ExtensionError(f"student notebook of {docname}: {error}") from error
        path = Path(app.outdir) / site.notebook(docname)
        path.parent.mkdir(exist_ok=True)
        text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")
        log.info("student notebook: %s", path.name)


def convert(source, references: References, archive: str):
    """A chapter as a student notebook. Raises Unresolved where it cannot be."""
    cells, in_solution = [_page_cell(references)], False
    for number, cell in enumerate(source.cells):
        if cell.cell_type == "markdown":
            try:
                text, in_solution = to_plain(cell.source, references, in_solution)
            except Unresolved as error:
                raise Unresolved(f"cell {number}: {error}") from error
            if text:
                cells.append(_markdown(text, cell.id))
        elif not in_solution:
            if not any(c.cell_type == "code" for c in cells):
                cells.append(setup_cell(archive))
            cells += _code(cell, references)
    if in_solution:
        raise Unresolved("a solution-start has no solution-end")
    student = nbformat.v4.new_notebook(cells=cells, metadata=_metadata(source))
    nbformat.validate(student)
    return student


#: The first code cell. No ``%pip``: the notebook would go on after a failure.
SETUP = """\
# @title Setup: run this first (about a minute in Colab, longer without PyTorch)
import importlib.util
import subprocess
import sys

PACKAGE = "ddpm_course @ {archive}"

if importlib.util.find_spec("ddpm_course") is None:
    print("Installing the course's package: about a minute ...", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", PACKAGE]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            "The course's package could not be installed. Check that you are online "
            "and have Python 3.11 or newer, and run this cell again. Or install it "
            f'yourself: pip install "{{PACKAGE}}"\\n\\n'
            f"pip said:\\n{{done.stderr[-2000:]}}"
        )
    importlib.invalidate_caches()
print("Ready.")"""


def setup_cell(archive: str):
    """Installs the package of this very commit, unless there is one."""
    return _code_cell(SETUP.format(archive=archive), "setup", ["setup"], folded=True)


def _page_cell(references: References):
    text = (
        f"*This is the notebook of [a chapter of the course]({references.page()}). "
        "The page has the pictures, and the solutions of the exercises.*"
    )
    return _markdown(text, "page")


def _markdown(text: str, identity: str):
    return new_markdown_cell(text, id=identity)


def _code_cell(source: str, identity: str, tags: list[str], folded: bool = False):
    metadata = {"tags": tags} if tags else {}
    if folded:
        metadata["cellView"] = "form"  # Colab shows the form, and the code on request
    return nbformat.v4.new_code_cell(source, id=identity, metadata=metadata)


def _code(cell, references: References) -> list:
    """The code cell without outputs, and its figure's caption beneath it."""
    tags = cell.metadata.get("tags", [])
    kept = [tag for tag in tags if tag in KEPT_TAGS]
    cells = [_code_cell(cell.source, cell.id, kept, not FOLDED_TAGS.isdisjoint(tags))]
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    if "caption" in figure:
        caption, _ = to_plain(figure["caption"], references)
        number, _ = references.numbered(figure["name"])
        caption = " ".join(caption.split())
        cells.append(_markdown(f"*{number}.* {caption}", f"{cell.id}-caption"))
    return cells


def _metadata(source) -> dict:
    return {
        "kernelspec": dict(source.metadata.kernelspec),
        "language_info": {"name": "python"},
    }
