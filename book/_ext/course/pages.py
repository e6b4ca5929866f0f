"""Pieces of pages that are made from data: tables, source notes, the map."""

import json
import re
from functools import cache
from html import escape
from itertools import cycle, groupby
from operator import itemgetter
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sphinx_book_theme.directives import Margin

from ddpm_course.equations import LEDGER, NOTATION

from . import bibliography as bibliography  # its style is used by bibliography.md

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
    "slides": "slides",
    "elbo": "lecture on the ELBO",
    "training": "lecture on training",
    "sampling": "lecture on sampling",
}
#: The steps of the course map, one a chapter.
STEPS = (
    *("Forward", "Bound", "Posterior", "Noise", "Network", "Loss", "Sampling"),
    *("Fewer steps", "Guidance"),
)


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


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
    """``{concordance} slides``: all rows of one document, a section for each place.

    ``{concordance} equations``: every equation of the ledger and its witnesses.
    """

    required_arguments = 1

    def lines(self) -> list[str]:
        return witness_table()

    def run(self) -> list:
        """The sections, with an anchor and a label for each row."""
        document = self.arguments[0]
        if document == "equations":
            return super().run()
        rows = [row for row in rows_of_concordance() if row["document"] == document]
        if not rows:
            raise self.error(f"no document {document!r} in {CONCORDANCE.name}")
        places = groupby(rows, key=itemgetter("place"))
        return [self.section(document, place, list(rows)) for place, rows in places]

    def section(self, document: str, place: str, rows: list[dict]) -> nodes.section:
        """One place: what a reader looks for, then a fold with the small print."""
        anchor = f"{document}-{nodes.make_id(place)}"
        section = nodes.section("", ids=[anchor], classes=["concordance"])
        title, _ = self.state.inline_text(typeset(place), self.lineno)
        section += nodes.title("", "", *title)
        shown = [row for row in rows if not row.get("minor")]
        folded = [row for row in rows if row.get("minor")]
        section += self.rows(shown)
        if folded:
            more = "1 more line" if len(folded) == 1 else f"{len(folded)} more lines"
            opening = f'<details class="minor"><summary>{more}</summary>'
            section += nodes.raw("", opening, format="html")
            section += self.rows(folded)
            section += nodes.raw("", "</details>", format="html")
        return section

    def rows(self, rows: list[dict]) -> list:
        """A list of rows, each with its id as an anchor and a label."""
        text = [
            line for row in rows for line in (f"- {quote(row)}\\", f"  → {_where(row)}")
        ]
        container = nodes.container()
        source, _ = self.get_source_info()
        self.state.nested_parse(StringList(text, source=source), 0, container)
        labels = self.env.get_domain("std").anonlabels
        for row, item in zip(rows, container.findall(nodes.list_item), strict=True):
            anchor = nodes.make_id(row["id"])
            item["ids"].append(anchor)
            if "$" in row["quote"] or row["kind"] != "equation":
                item["classes"].append("words")
            for label in {row["id"], row["id"].lower()}:  # {ref} ignores case
                labels[label] = self.env.docname, anchor
        return container.children


class Source(Margin):
    """``{source} slides/forward-1/data``: what the documents say, folded in the margin.

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
        (note,) = super().run()
        heading, *text = note.children
        summary = f"<details><summary>{escape(heading.astext())}</summary>"
        note.children = []
        note += [_html(summary), *text, _html("</details>")]
        return [note]


def source(ids: str) -> tuple[str, str]:
    """(title, Markdown links to the rows and their notes). KeyError: no such row."""
    by_id = {row["id"]: row for row in rows_of_concordance()}
    rows = [by_id[i] for i in ids.split()]
    names = dict.fromkeys(DOCUMENTS[row["document"]] for row in rows)
    places = {row["place"]: row for row in reversed(rows)}  # its first row
    links = [_link_to(row) for row in reversed(places.values())]
    notes = [row.get(key) for row in rows for key in ("slip", "note")]
    links += [f"Note: {{ref}}`{note}`" for note in dict.fromkeys(filter(None, notes))]
    return f"Source: {', '.join(names)}", " · ".join(links)


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
    """``{course-map}``: the steps of the course, this chapter's emphasized."""

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


#: Symbols in the headings of the documents.
_SYMBOL = re.compile(r"([μx])_([qθt])(\(x_t, t\))?")


def typeset(place: str) -> str:
    """The Markdown of a heading, with its symbols as formulas."""
    greek = {"μ": r"\mu", "θ": r"\theta"}
    return _SYMBOL.sub(
        lambda m: f"${greek.get(m[1], m[1])}_{greek.get(m[2], m[2])}{m[3] or ''}$",
        place,
    )


def quote(row: dict) -> str:
    """The Markdown of what a document says: a formula, or words with formulas in $."""
    text = " ".join(row["quote"].split())
    if row["kind"] == "equation" and "$" not in text:
        return rf"$\displaystyle {text}$"
    pieces = [
        f"${piece}$" if is_formula else _text(piece)
        for is_formula, piece in zip(cycle([False, True]), text.split("$"))
    ]
    return _opening(row) + "".join(pieces)


#: What a quote that describes a picture says of itself.
_PICTURE = re.compile(
    "picture|diagram|flowchart|figure|screenshot|plot|visual|slide", re.I
)


def _opening(row: dict) -> str:
    """ "Figure: " or the like, if the quote would not be understood without it."""
    kind = row["kind"].capitalize()
    if kind == "Figure" and _PICTURE.search(row["quote"]):
        return ""
    if kind not in ("Figure", "Algorithm", "Question") or row["quote"].startswith(kind):
        return ""
    return f"{kind}: "


def witness_table() -> list[str]:
    """Every equation of the ledger, and what in the documents is compared with it."""
    rows = rows_of_concordance()
    found = {
        label: [row for row in rows if LEDGER[label] in row["equations"]]
        for label in formulas()  # in the order of their numbers
        if label in LEDGER
    }
    agree = sum(any(map(is_source, there)) for there in found.values())
    lines = [
        f"All {len(found)} numbered equations have a proof, a printed formula and "
        f"code. For {agree} of them the documents have the same formula.",
        "",
        "| equation | the same formula in the documents |",
        "|---|---|",
    ]
    for label, there in found.items():
        places = {row["place"]: _in_document(row) for row in there if is_source(row)}
        slips = [row for row in there if row["kind"] == "equation" and "slip" in row]
        if not places and slips:
            places = {"": f"after a correction: {_in_document(slips[0])}"}
        if not places and there:
            places = {"": f"in words only: {_in_document(there[0])}"}
        lines.append(f"| {{eq}}`{label}` | {', '.join(places.values()) or '–'} |")
    return lines


def is_source(row: dict) -> bool:
    """Whether the row is a formula that a test finds equal to the ledger's."""
    is_compared = row["kind"] == "equation" and bool(row["equations"])
    return is_compared and "slip" not in row


def _in_document(row: dict) -> str:
    return f"{row['document']}, {_link_to(row)}"


def _link_to(row: dict) -> str:
    """A link with the name of the place, less its symbols, which it can't typeset."""
    place = re.sub(rf"(\({_SYMBOL.pattern}\)|{_SYMBOL.pattern}) ?", "", row["place"])
    return f"{{ref}}`{place.strip()} <{row['id']}>`"


def _in_table(latex: str) -> str:
    """LaTeX without the bar that would end a cell of a Markdown table."""
    return latex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")


def _where(row: dict) -> str:
    """Links to the equation, section, exercise, figure, reference or note.

    The check mark says that a test finds the formula equal to the equation's.
    """
    written = [e for e in row["equations"] if e.chapter in CHAPTERS]
    check = " ✓" if is_source(row) else ""
    links = [f"{{eq}}`{equation.label}`{check}" for equation in written]
    if "to" in row:
        links.append(_link(row["to"]))
    if "cite" in row:
        links.append(f"{{cite:t}}`{row['cite']}`")
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
    before = "".join(f"chapter {n}, " for n in chapters)
    if "$" in titles().get(label, ""):  # {ref} would print it as it is
        return f"{before}[{titles()[label]}]({label})"
    return f"{before}{{ref}}`{label}`"


@cache
def titles() -> dict[str, str]:
    """The Markdown of every labeled heading of the chapters."""
    cells = [cell for text in CHAPTERS.values() for cell in json.loads(text)["cells"]]
    text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return dict(re.findall(r"^\((sec-[\w-]+)\)=\n#+ (.+)$", text, re.M))
