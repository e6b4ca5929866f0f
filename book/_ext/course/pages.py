"""Pieces of pages that are made from data: tables, source notes, the map."""

import json
import re
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sphinx_book_theme.directives import Margin

from ddpm_course.equations import LEDGER, NOTATION

BOOK = Path(__file__).parents[2]
CONCORDANCE = BOOK / "concordance.yml"
#: The text of the chapters that stand in the book; the ledger may be ahead of them.
CHAPTERS = {
    int(path.name[:2]): path.read_text(encoding="utf-8")
    for path in BOOK.glob("[0-9][0-9]_*.ipynb")
}


_LABELED = re.compile(
    r"\$\$(?P<latex>(?:(?!\$\$).)+)\$\$[ \t]*\((?P<label>[\w-]+)\)", re.S
)
#: How a source note names the documents.
DOCUMENTS = {
    "slides": "the slides",
    "elbo": "the lecture on the ELBO",
    "training": "the lecture on training",
    "sampling": "the lecture on sampling",
}
#: The steps of the course map, one a chapter.
STEPS = ("Forward", "Bound", "Posterior", "Noise", "Network", "Loss", "Sampling")


class _FromMarkdown(SphinxDirective):
    """A directive that writes Markdown from data and lets MyST read it."""

    def run(self) -> list:
        lines = StringList(self.lines(), source=self.get_source_info()[0])
        container = nodes.container(classes=[self.name])
        self.state.nested_parse(lines, self.content_offset, container)
        return [container]

    def lines(self) -> list[str]:
        raise NotImplementedError


class NotationTable(_FromMarkdown):
    """``{notation}``: every symbol of the ledger."""

    def lines(self) -> list[str]:
        rows = [
            f"| ${_in_table(n.latex)}$ | `{name}` | {_in_table(n.meaning)} |"
            for name, n in NOTATION.items()
        ]
        return ["| symbol | in Python | meaning |", "|---|---|---|", *rows]


class Concordance(_FromMarkdown):
    """``{concordance} slides``: all rows of one document, by place."""

    required_arguments = 1

    def lines(self) -> list[str]:
        rows = [r for r in rows_of_concordance() if r["document"] == self.arguments[0]]
        if not rows:
            raise self.error(f"no document {self.arguments[0]!r} in {CONCORDANCE.name}")
        lines = []
        for place, there in groupby(rows, key=itemgetter("place")):
            lines += ["", f"**{_text(place)}**", ""]
            for row in there:
                lines += [f"- {_quote(row)}\\", f"  → {_where(row)}"]
        return lines

    def run(self) -> list:
        """The rows, each with its id as an anchor and a label."""
        (container,) = super().run()
        rows = [r for r in rows_of_concordance() if r["document"] == self.arguments[0]]
        labels = self.env.get_domain("std").anonlabels
        for row, item in zip(rows, container.findall(nodes.list_item), strict=True):
            anchor = nodes.make_id(row["id"])
            item["ids"].append(anchor)
            labels[row["id"]] = self.env.docname, anchor
        return [container]


class Source(Margin):
    """``{source} slides/forward-1/data``: what the documents say, in the margin.

    The arguments are ids of rows of ``concordance.yml``; links to the rows and to their
    reading notes follow the text.
    """

    def run(self) -> list:
        try:
            title, links = source(self.arguments[0])
        except KeyError as error:
            raise self.error(f"no row {error} in {CONCORDANCE.name}") from None
        self.arguments[0] = title
        self.options["class"] = ["source"]
        self.content += StringList(["", links], source=CONCORDANCE.name)
        return super().run()


def source(ids: str) -> tuple[str, str]:
    """(title, Markdown links to the rows and their notes). KeyError: no such row."""
    by_id = {row["id"]: row for row in rows_of_concordance()}
    rows = [by_id[i] for i in ids.split()]
    names = dict.fromkeys(DOCUMENTS[row["document"]] for row in rows)
    places = {row["place"]: row["id"] for row in reversed(rows)}  # its first row
    links = [f"{{ref}}`{place} <{row}>`" for place, row in reversed(places.items())]
    notes = [row.get(key) for row in rows for key in ("slip", "note")]
    links += [f"Note: {{ref}}`{note}`" for note in dict.fromkeys(filter(None, notes))]
    return f"In {' and '.join(names)}", " · ".join(links)


class Formula(_FromMarkdown):
    """``{formula} closed-form``: an equation of a chapter, printed again elsewhere.

    It is copied from the chapter, so that it stands in one place only.
    """

    required_arguments = 1

    def lines(self) -> list[str]:
        label = self.arguments[0]
        try:
            latex = formulas()[label]
        except KeyError:
            raise self.error(f"no chapter has an equation {label!r}") from None
        return ["$$", *latex.strip().splitlines(), "$$"]


@cache
def formulas() -> dict[str, str]:
    """The LaTeX of every labeled equation, as its chapter prints it."""
    cells = [
        cell["source"]
        for text in CHAPTERS.values()
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "markdown"
    ]
    found = _LABELED.finditer("\n\n".join("".join(source) for source in cells))
    return {match["label"]: match["latex"] for match in found}


class CourseMap(_FromMarkdown):
    """``{course-map}``: the seven steps of the course, this chapter's emphasized."""

    def lines(self) -> list[str]:
        here = Path(self.env.docname).name[:2]
        lines = []
        for number, step in enumerate(STEPS, start=1):
            (path,) = BOOK.glob(f"{number:02}_*.ipynb")
            text = f"**{step}**" if here == path.name[:2] else step
            lines.append(f"{number}. [{text}]({path.name})")
        return lines


@cache
def rows_of_concordance() -> list[dict]:
    """The rows of ``concordance.yml``, each with the labels of the ledger's entries."""
    rows = yaml.safe_load(CONCORDANCE.read_text(encoding="utf-8"))
    for row in rows:
        row["equations"] = [e for e in LEDGER.values() if row["id"] in e.sources]
    return rows


def _text(text: str) -> str:
    """Plain text, safe inside Markdown."""
    for character in "\\`*_{}[]<>#$|~":
        text = text.replace(character, "\\" + character)
    return text


def _quote(row: dict) -> str:
    is_formula = row["kind"] == "equation" and "\\" in row["quote"]
    if not is_formula:
        return f"*{row['kind']}*: {_text(row['quote'])}"
    return f"$\\displaystyle {' '.join(row['quote'].split())}$"


def _in_table(latex: str) -> str:
    """LaTeX without the bar that would end a cell of a Markdown table."""
    return latex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")


def _where(row: dict) -> str:
    """Links to the equation, section, exercise, figure or note.

    An equation's first three witnesses always hold, or a test would fail; the
    fourth, the document, may have slipped.
    """
    written = [e for e in row["equations"] if e.chapter in CHAPTERS]
    links = [f"{{eq}}`{equation.label}`" for equation in written]
    if links and row["kind"] == "equation":
        source = "but not this source" if "slip" in row else "source"
        links[-1] += f" (proof, print, code, {source})"
    if "to" in row:
        links.append(_link(row["to"]))
    if not links:
        to_come = {row.get("chapter"), *(e.chapter for e in row["equations"])} - {None}
        links.append(f"chapter {min(to_come)}, to come")
    notes = {row.get("slip"), row.get("note")} - {None}
    return ", ".join(links + [f"note: {{ref}}`{note}`" for note in sorted(notes)])


def _link(label: str) -> str:
    if label in LEDGER:
        return f"{{eq}}`{label}`"
    if label.startswith(("fig-", "ex-")):
        return f"{{numref}}`{label}`"
    # sections of different chapters may have one name
    chapters = [n for n, text in CHAPTERS.items() if f"({label})=" in text]
    return "".join(f"chapter {n}, " for n in chapters) + f"{{ref}}`{label}`"
