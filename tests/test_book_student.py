"""The student notebooks: plain, complete, and executable, unfilled and solved."""

import html
import os
import re
import subprocess
import symtable
import sys
import sysconfig
import tarfile
import tomllib
import venv
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from chapters import said, solved
from drawn import RECORD
from figures import faults
from helpers import ROOT
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rerun import strangers
from witnesses import NOTEBOOKS, PAGES

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from course.letters import LETTERS, renumber
from course.plain import Unresolved, to_plain
from course.site import parse
from course.student import KEPT_TAGS, SETUP

chapters = pytest.mark.parametrize("chapter", NOTEBOOKS, ids=lambda p: p.stem)


# --- the converter ----------------------------------------------------------------


class Lookup:
    """Knows one of each kind."""

    def equation(self, label):
        return {"closed-form": "1.8"}[label]

    def equation_link(self, label):
        return f"({self.equation(label)})"

    def numbered(self, label):
        return {
            "ex-1-1": ("Exercise 1.1", "https://site/1.html#ex-1-1"),
            "fig-a": ("Figure 1.2", "https://site/1.html#fig-a"),
        }[label]

    def named(self, label):
        return "One step", "https://site/1.html#one-step"

    def document(self, path):
        return "Notation", "https://site/notation.html"

    def term(self, term):
        return f"https://site/glossary.html#{term}"

    def image(self, path):
        return {"_static/a.svg": "https://site/_static/a.svg"}[path]

    def source(self, ids):
        return f"In {ids}", "{ref}`row <sec-a>`"

    def citation(self, key, textual):
        return f"[Ho (2020)]({key})" if textual else f"[Ho, 2020]({key})"


def plain(text):
    return to_plain(text, Lookup())[0]


@pytest.mark.parametrize(
    ("myst", "expected"),
    [
        ("$$\nx = 1\n$$ (closed-form)", "$$\nx = 1 \\tag{1.8}\n$$"),
        ("$$\nx = 1\n$$", "$$\nx = 1\n$$"),
        ("by {eq}`closed-form`, see", "by (1.8), see"),
        ("{ref}`sec-a`", "[One step](https://site/1.html#one-step)"),
        ("{ref}`this <sec-a>`", "[this](https://site/1.html#one-step)"),
        ("{numref}`fig-a`", "[Figure 1.2](https://site/1.html#fig-a)"),
        ("{doc}`notation`", "[Notation](https://site/notation.html)"),
        ("{term}`SNR`", "[SNR](https://site/glossary.html#SNR)"),
        ("{term}`ratio <SNR>`", "[ratio](https://site/glossary.html#SNR)"),
        ("{cite:p}`ho, song`", "([Ho, 2020](ho); [Ho, 2020](song))"),
        ("{cite:t}`ho`", "[Ho (2020)](ho)"),
        ("{math}`x^2`", "$x^2$"),
        ("(sec-a)=\n## Title", "## Title"),
        ("+++\n% a comment\ntext", "text"),
        ("a formula $a +\nb$ here", "a formula $a + b$ here"),
        ("`{eq}` is a role", "`{eq}` is a role"),
        ("```python\n{eq}`x`\n(a)=\n```", "```python\n{eq}`x`\n(a)=\n```"),
        ("```{note}\nCareful: {eq}`closed-form`.\n```", "> **Note.** Careful: (1.8)."),
        ("```{tip} Now\n```", "> **Tip.** Now"),
        ("```{admonition} Look\n:class: tip\na\n\nb\n```", "> **Look.** a\n>\n> b"),
        ("```{margin} By the way\nb\n```", "> **By the way.** b"),
        (
            "```{source} slides/a\nThey say $a$.\n```",
            "> **In slides/a.** They say $a$.\n>\n"
            "> [row](https://site/1.html#one-step)",
        ),
        ("a\n\n```{course-map}\n```\n\nb", "a\n\nb"),
        (
            ":::{dropdown} More\ntext\n:::",
            "<details><summary>More</summary>\n\ntext\n\n</details>",
        ),
        (
            "```{exercise} Name\n:label: ex-1-1\n\nDo it.\n```",
            "### Exercise 1.1 (Name)\n\nDo it.",
        ),
        (
            "```{solution} ex-1-1\n:class: dropdown\nsecret\n```",
            "*[Exercise 1.1: the solution is folded beneath it in the book.]"
            "(https://site/1.html#ex-1-1)*",
        ),
        (
            "```{image} _static/a.svg\n:alt: A box.\n```",
            "![A box.](https://site/_static/a.svg)",
        ),
        (
            "```{figure} _static/a.svg\n:name: fig-a\n:alt: A box.\n:width: 100%\n\n"
            "A box,\nof $x$, as in {eq}`closed-form`.\n```",
            "![A box.](https://site/_static/a.svg)\n\n"
            "*Figure 1.2.* A box, of $x$, as in (1.8).",
        ),
        (
            "````{note}\n```python\nx\n```\n````",
            "> **Note.**\n>\n> ```python\n> x\n> ```",
        ),
    ],
)
def test_plain_form(myst, expected):
    assert plain(myst) == expected


@pytest.mark.parametrize(
    "myst",
    [
        "{unknown}`x`",
        "```{unknown}\n```",
        "```{note}\nnever closed",
        "```{note}\n{unknown}`x`\n```",
    ],
)
def test_what_has_no_plain_form_is_refused(myst):
    with pytest.raises(Unresolved):
        plain(myst)


@pytest.mark.parametrize(
    "myst",
    [
        "{eq}`nowhere`",
        "```{figure} _static/none.svg\n:name: fig-a\n```",
        "```{figure} _static/a.svg\n:name: fig-none\n```",
    ],
)
def test_an_unknown_label_is_refused(myst):
    with pytest.raises(KeyError):
        plain(myst)


def test_a_solution_is_left_out_over_several_cells():
    first, still_open = to_plain(
        "before\n\n```{solution-start} ex-1-1\n```\n\nsecret", Lookup()
    )
    assert still_open and "before" in first and "secret" not in first
    assert to_plain("secret", Lookup(), still_open) == ("", True)
    last, still_open = to_plain("secret\n```{solution-end}\n```\nafter", Lookup(), True)
    assert (last, still_open) == ("after", False)


# --- letters ----------------------------------------------------------------------


def test_the_letters_are_those_of_the_exercises():
    lettered = {f"book/{path.stem}": g for g, path in PAGES.items() if g.isalpha()}
    assert lettered == LETTERS


def test_a_page_with_a_letter_counts_for_itself():
    numbers = {
        "book/00_twenty_minutes": {"figure": {"a": (1,)}},
        "book/build_your_own": {
            "figure": {"b": (2,), "c": (3,)},
            "exercise": {"d": (1,)},
        },
        "book/07_sampling": {"figure": {"e": (7, 1)}},
    }
    env = SimpleNamespace(toc_fignumbers=numbers)
    assert renumber(None, env) == ["book/build_your_own"]
    assert numbers["book/build_your_own"] == {
        "figure": {"b": ("B", 1), "c": ("B", 2)},
        "exercise": {"d": ("B", 1)},
    }
    assert numbers["book/00_twenty_minutes"] == {"figure": {"a": (1,)}}
    assert numbers["book/07_sampling"] == {"figure": {"e": (7, 1)}}


# --- the notebooks of the built book ----------------------------------------------


def student_notebook(built_book, chapter):
    path = built_book / "notebooks" / chapter.name
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def texts(notebook):
    """Markdown without its code blocks and code spans."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^```.*?^```", "", cell.source, flags=re.S | re.M)
            yield re.sub(r"`[^`\n]*`", "", text)


@pytest.mark.slow
@chapters
def test_nothing_is_left_that_colab_shows_raw(built_book, chapter):
    for text in texts(student_notebook(built_book, chapter)):
        assert not re.search(r"\{[\w:-]+\}`|:::|```\{|^\([\w-]+\)=|^\+\+\+", text, re.M)
        assert not re.search(r"\$\$\s*\([\w-]+\)", text)
        outside = r"\]\((?!https://|data:image/png;base64,)"
        assert not re.search(outside, text), "a link that is not absolute"
        assert "\\eqref" not in text


@pytest.mark.slow
@chapters
def test_cells_are_empty_and_solutions_are_gone(built_book, chapter):
    source = nbformat.read(chapter, as_version=4)
    solutions = [
        c.source
        for c in source.cells
        if "exercise-solution" in c.metadata.get("tags", [])
    ]
    student = student_notebook(built_book, chapter)
    code = [c for c in student.cells if c.cell_type == "code"]
    assert solutions or chapter.stem.startswith("00")  # it has no exercises
    assert not any(c.outputs or c.execution_count for c in code)
    assert not {c.source for c in code} & set(solutions)
    assert not any("solution-start" in c.source for c in student.cells)
    assert code[0].metadata.tags == ["setup"]


@pytest.mark.slow
@chapters
def test_code_is_that_of_the_chapter_without_solutions(built_book, chapter):
    """So the run of the chapter is that of the notebook; see chapters.py."""
    setup, *student = (
        (c.source, c.metadata.get("tags", []))
        for c in student_notebook(built_book, chapter).cells
        if c.cell_type == "code"
    )
    kept = [
        (c.source, [tag for tag in c.metadata.get("tags", []) if tag in KEPT_TAGS])
        for c in nbformat.read(chapter, as_version=4).cells
        if c.cell_type == "code"
        and "exercise-solution" not in c.metadata.get("tags", [])
    ]
    assert setup[1] == ["setup"] and student == kept


@pytest.mark.slow
@chapters
def test_colab_folds_what_the_page_folds(built_book, chapter):
    folded = {
        cell.id
        for cell in nbformat.read(chapter, as_version=4).cells
        if {"hide-input", "hide-cell"} & set(cell.metadata.get("tags", []))
    }
    forms = {
        cell.id
        for cell in student_notebook(built_book, chapter).cells
        if cell.metadata.get("cellView") == "form"
    }
    assert forms == folded | {"setup"} and folded


@pytest.mark.slow
@chapters
def test_numbers_are_those_of_the_page(built_book, chapter):
    page = (built_book / "book" / f"{chapter.stem}.html").read_text(encoding="utf-8")
    page = re.sub(r"<template.*?</template>", "", page, flags=re.DOTALL)  # previews
    student = "\n".join(texts(student_notebook(built_book, chapter)))
    on_page = re.findall(r'<span class="eqno">\(([\w.]+)\)', page)
    assert re.findall(r"\\tag\{([\w.]+)\}", student) == on_page
    exercises = re.findall(r'<span class="caption-number">\s*(Exercise [\w.]+)', page)
    in_notebook = re.findall(r"^### (Exercise [\w.]+)", student, re.M)
    assert in_notebook == exercises
    # the number of an exercise is the one that its check goes by
    checks = re.findall(
        r'(?:check|use)\("([\w.]+)", (?!solution)',
        "\n".join(c.source for c in student_notebook(built_book, chapter).cells),
    )
    assert set(checks) <= {number.split()[1] for number in exercises}
    for cell in nbformat.read(chapter, as_version=4).cells:  # solutions are left out
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        if name and "exercise-solution" in cell.metadata.tags:
            page = re.sub(rf'<figure[^>]*id="{name}".*?</figure>', "", page, flags=re.S)
    figures = re.findall(r'<span class="caption-number">(Figure [\w.]+)', page)
    assert re.findall(r"^\*(Figure [\w.]+)\.\*", student, re.M) == figures


@pytest.mark.slow
@chapters
def test_links_to_the_site_lead_somewhere(built_book, chapter):
    site = site_address()
    for text in texts(student_notebook(built_book, chapter)):
        for link in re.findall(rf"\]\({re.escape(site)}([^)]*)\)", text):
            page, _, anchor = link.partition("#")
            target = (built_book / page).read_text(encoding="utf-8")
            assert not anchor or f'id="{anchor}"' in html.unescape(target), link


def repository():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return parse(config["repository"]["url"])


def site_address():
    return repository().pages


@pytest.mark.slow
@chapters
def test_buttons_and_setup_cell_lead_to_the_repository_of_config(built_book, chapter):
    url = repository().url
    page = (built_book / "book" / f"{chapter.stem}.html").read_text(encoding="utf-8")
    colab = url.replace(
        "https://github.com", "https://colab.research.google.com/github"
    )
    assert f"{colab}/blob/gh-pages/notebooks/{chapter.name}" in page
    assert f'href="../notebooks/{chapter.name}"' in page
    setup = setup_source(built_book, chapter)
    assert re.findall(r"ddpm_course @ (\S+)\"", setup)[0] == f"{url}/archive/{commit()}"


def setup_source(built_book, chapter):
    cells = student_notebook(built_book, chapter).cells
    return next(c for c in cells if c.cell_type == "code").source


def commit():
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return f"{done.stdout.strip()}.tar.gz"


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory):
    """A virtual environment with all that the package needs, but without it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    (packages,) = folder.glob("lib/python3*/site-packages")
    # pip and torch lie there; the package, installed in place, does not
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder / "bin" / "python"


def run_setup(python, source, where):
    check = "import ddpm_course.sampling\nprint(ddpm_course.__file__)"
    settings = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    return subprocess.run(
        [python, "-c", f"{source}\n{check}"],
        **{"cwd": where, "capture_output": True, "text": True},
        env=os.environ | settings,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the paths are those of Unix")
def test_the_setup_cell_installs_the_package_anywhere(
    built_book, empty_environment, tmp_path
):
    """From an empty folder; a second run has nothing to do."""
    archive = tmp_path / "course.tar.gz"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(archive, "w:gz") as tar:
        for name in filter(None, files.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                tar.add(ROOT / name, f"course/{name}")
    sources = {setup_source(built_book, path) for path in NOTEBOOKS}
    (source,) = (re.sub(r"@ http\S+gz", f"@ {archive.as_uri()}", s) for s in sources)
    (tmp_path / "empty").mkdir()
    for before in ("Installing", "Ready"):
        done = run_setup(empty_environment, source, tmp_path / "empty")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(before) and "Ready." in done.stdout
        assert str(empty_environment.parents[1]) in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the paths are those of Unix")
def test_a_failed_install_stops_the_notebook_and_says_what_to_do(tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment)
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    nowhere = SETUP.format(archive=f"file://{tmp_path}/nowhere.tar.gz")
    done = run_setup(environment / "bin" / "python", nowhere, tmp_path)
    assert done.returncode != 0 and "Ready" not in done.stdout
    for words in ("could not be installed", "pip install", "pip said", "No such file"):
        assert words in done.stderr


# --- executed ---------------------------------------------------------------------


# the client that runs a kernel speaks of its own deprecations
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@quiet
@pytest.mark.slow
@pytest.mark.long
@chapters
def test_runs_unfilled_then_solved(built_book, chapter, tmp_path, monkeypatch):
    """In an empty folder: Run all, then the exercises one after the other."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("DDPM_STRICT", "0")
    student = student_notebook(built_book, chapter)
    student.cells.insert(0, nbformat.v4.new_code_cell(RECORD))
    source, unfilled = nbformat.read(chapter, as_version=4), len(student.cells)
    student.cells += solved(student.cells, source)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(student, timeout=600, resources=where).execute()
    before, after = said(student.cells[:unfilled]), said(student.cells[unfilled:])
    assert len(before) == len(after)
    assert before or chapter.stem.startswith("00")  # it has no exercises
    assert all("not attempted yet" in text for text in before), before
    assert all(": correct" in text for text in after), after
    assert faults(source, student) == []
    assert strangers(source, student) == []


def global_names(table, bound):
    """The names that a cell takes from the notebook, or that it binds in it."""
    for symbol in table.get_symbols():
        outer = table.get_type() == "module" or symbol.is_global()
        if outer and (symbol.is_assigned() if bound else symbol.is_referenced()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from global_names(child, bound)


@chapters
def test_no_answer_changes_a_later_cell(chapter):
    """What a solution binds is read by no cell behind it but its check."""
    answers = set()
    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        tags = set(cell.metadata.get("tags", []))
        table = symtable.symtable(cell.source, chapter.stem, "exec")
        own = set(global_names(table, bound=True))
        if tags & {"exercise-stub", "exercise-solution"}:
            answers |= own
        elif "exercise-check" not in tags:
            read = set(global_names(table, bound=False)) - own
            assert not answers & read, cell.source


# --- installed in Colab -----------------------------------------------------------

#: What Colab's image of August 2026 has. To replace one would restart the runtime.
COLAB = {
    "torch": "2.11.0",
    "numpy": "2.1.3",
    "sympy": "1.14.0",
    "matplotlib": "3.10.0",
    "scikit-learn": "1.6.1",
    "tqdm": "4.67",
    "pooch": "1.9.0",
    # seen in earlier images, of 2026 and 2023; that one has these or newer ones
    "pillow": "11.3.0",
    "filelock": "3.12.4",
}


def test_installing_replaces_none_of_colabs_packages():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    assert "3.13.15" in SpecifierSet(project["requires-python"])
    requirements = [Requirement(text) for text in project["dependencies"]]
    assert {r.name for r in requirements} == set(COLAB)
    for requirement in requirements:
        assert COLAB[requirement.name] in requirement.specifier, requirement
