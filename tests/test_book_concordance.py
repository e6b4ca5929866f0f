"""The concordance has no hole, and the reading notes stand where it says."""

import math
import re
import sys
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import jupytext
import pytest
import torch
import yaml
from helpers import ROOT
from witnesses import BOOK, CHAPTERS, NOTEBOOKS

from ddpm_course.bound import prior_kl
from ddpm_course.equations import LEDGER
from ddpm_course.metrics import energy_distance, frechet_distance, mode_width
from ddpm_course.oracle import GaussianMixture
from ddpm_course.sampling import ancestral_step, sample
from ddpm_course.schedules import make_schedule

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from course import pages

ROWS = yaml.safe_load((BOOK / "concordance.yml").read_text(encoding="utf-8"))
NOTES = (BOOK / "reading_notes.md").read_text(encoding="utf-8")
NOTE_LABELS = re.findall(r"^\((note-[\w-]+)\)=$", NOTES, re.M)
KEYS = set(
    re.findall(r"^@\w+\{(\w+),$", (BOOK / "references.bib").read_text("utf-8"), re.M)
)
CLAIMED = {source for equation in LEDGER.values() for source in equation.sources}

KINDS = [
    "equation",
    "algorithm",
    "figure",
    "claim",
    "question",
    "objective",
    "prerequisite",
    "reference",
]
REQUIRED = {"id", "document", "place", "kind", "quote"}
OPTIONAL = {"to", "cite", "chapter", "section", "slip", "meant", "note", "minor"}
VERDICTS = {"slip", "clash", "too much", "left unsaid", "damaged copy"}
QUESTIONS = {"elbo": 5, "training": 4, "sampling": 5}

#: The headings of the four documents, all that have something to treat: how many rows
#: each has, and the chapters that they lead to. A row that goes missing, or leads to
#: another chapter, has to be entered here too.
PLACES = {
    "slides": {
        "Introduction (1/2)": "3: 1",
        "Introduction (2/2)": "2: 7",
        "Forward (Diffusion) Process (1/2)": "13: 1",
        "Forward (Diffusion) Process (2/2)": "17: 1",
        "Reverse (Denoising) Process (1/15)": "10: 2 3 7",
        "Reverse (Denoising) Process (2/15)": "8: 2",
        "Reverse (Denoising) Process (3/15)": "4: 2",
        "Reverse (Denoising) Process (4/15)": "7: 1 2",
        "Reverse (Denoising) Process (5/15)": "6: 2",
        "Reverse (Denoising) Process (6/15)": "4: 2",
        "Reverse (Denoising) Process (7/15)": "6: 2 3",
        "Reverse (Denoising) Process (8/15)": "9: 1 3",
        "Reverse (Denoising) Process (9/15)": "4: 3",
        "Reverse (Denoising) Process (10/15)": "6: 1 3",
        "Reverse (Denoising) Process (11/15)": "8: 1 3",
        "Reverse (Denoising) Process (12/15)": "13: 1 3 4",
        "Reverse (Denoising) Process (13/15)": "6: 4",
        "Reverse (Denoising) Process (14/15)": "9: 2 4 6",
        "Reverse (Denoising) Process (15/15)": "7: 2 7",
        "DDPM Training Process": "10: 6",
        "DDPM Sampling Process": "11: 1 7",
        "Neural Network (U-Net) Architecture": "6: 5",
        "Different Variance Schedulers (1/2)": "5: 1",
        "Different Variance Schedulers (2/2)": "5: 1",
        "Reverse Process Output Using Linear Scheduler": "2: 7",
        "Random Sampling Using Linear Scheduler": "2: 4 7",
        "References": "5: ",
    },
    "elbo": {
        "Video Overview": "2: 4",
        "Learning Objectives": "6: 2 3 4",
        "Prerequisites": "1: ",
        "Key Concepts Covered": "5: 2 4",
        "1. The Training Objective: Matching Posterior Means": "14: 2 3 4",
        "2. The Target: Understanding the True Posterior Mean (μ_q)": "8: 1 3",
        "3. The Model: Re-parameterizing the Predicted Mean (μ_θ)": "9: 4",
        "4. The Equivalence: Deriving the Denoising Objective": "14: 4",
        "5. Contrasting DDPMs with GANs and VAEs": "7: 4 6 7",
        "Self-Assessment": "7: 2 4",
    },
    "training": {
        "Video Overview": "3: 6",
        "Learning Objectives": "6: 1 6",
        "Prerequisites": "1: ",
        "Key Concepts Covered in This Video": "1: 6",
        "Core Idea: Training as a Denoising Regressor (0:27)": "6: 6",
        "The DDPM Training Algorithm (0:12)": "3: 6",
        "Step 1: Sample a Data Point and Timestep (0:48)": "7: 1 6",
        "Step 2: Generate a Noisy Sample x_t (Forward Process) (2:22)": "13: 1",
        "Step 3: Predict the Original Image (Denoising with U-Net) (1:34)": "4: 5 6",
        "Step 4: Calculate the Loss (1:34)": "3: 6",
        "Step 5: Update Network Weights (Gradient Descent) (3:33)": "4: 6",
        "Step 6: Repeat Until Convergence": "1: 6",
        "Batch Training (4:20)": "5: 6",
        "Visualizing the Training Process": "1: 6",
        "DDPM Training Loop Flowchart": "3: 6",
        "U-Net as a Denoising Regressor (1:34)": "2: 5 6",
        "Key Mathematical Formulations": "10: 1 4 6",
        "Self-Assessment": "14: 1 6",
        "Key Takeaways from This Video": "5: 6",
        "Visual References": "4: 1 6",
    },
    "sampling": {
        "Video Overview": "2: 7",
        "Learning Objectives": "6: 7",
        "Prerequisites": "1: ",
        "Key Concepts Covered": "1: 7",
        "Intuitive Foundation: From Noise to Data": "12: 7",
        "Mathematical Analysis of the Sampling Process": "1: 7",
        "1. The Iterative Sampling Chain (01:38)": "5: 7",
        "2. The Reverse Transition Distribution (03:45)": "5: 2 7",
        "3. Sampling with the Reparameterization Trick (04:20)": "4: 7",
        "4. Computing the Mean μ_θ(x_t, t) (05:08)": "9: 3 4 5 7",
        "Algorithm: DDPM Sampling (Inference)": "11: 4 7",
        "Key Takeaways from This Video": "5: 6 7",
        "Self-Assessment for This Video": "5: 7",
        "Visual References": "4: 7",
    },
}


def labels(path: Path) -> set[str]:
    """Every label that a page or a chapter sets, of whatever kind."""
    found: set[str] = set()
    for cell in jupytext.read(path).cells:
        text = cell.source if cell.cell_type == "markdown" else ""
        found |= set(re.findall(r"^\(([\w-]+)\)=$", text, re.M))
        found |= set(re.findall(r"^:(?:label|name): *([\w-]+)$", text, re.M))
        found |= set(re.findall(r"\$\$ *\(([\w-]+)\)$", text, re.M))
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        found |= {figure["name"]} if "name" in figure else set()
    return found


#: The page of each label.
LABELS = {
    label: path.stem
    for path in [*BOOK.glob("*.md"), *NOTEBOOKS]
    for label in labels(path)
}
WRITTEN = {int(path.name[:2]) for path in CHAPTERS}


def faults(row: dict) -> list[str]:
    """What is wrong with a row, in words; nothing if nothing is."""
    if missing := REQUIRED - set(row):
        return [f"lacks {', '.join(sorted(missing))}"]
    said = [f"has an unknown field {key}" for key in set(row) - REQUIRED - OPTIONAL]
    if not row["id"].startswith(row["document"] + "/"):
        said.append(f"has an id of another document than {row['document']}")
    if row["place"] not in PLACES.get(row["document"], []):
        said.append(f"{row['document']} has no place {row['place']!r}")
    if row["kind"] not in KINDS:
        said.append(f"is of no known kind: {row['kind']}")
    if not row["quote"].strip() or "\n" in row["quote"]:
        said.append("has no quote, or one of several lines")
    words = re.sub(r"\$[^$]*\$", "x", row["quote"])  # formulas in words stand in $
    if row["kind"] != "equation" and len(words) > 225:
        said.append(f"quotes {len(words)} characters: shorten it")
    if (row["kind"] != "equation" or "$" in row["quote"]) and re.search(
        r"[\\_^{}$α-ωΑ-Ωϵ\u0300-\u036f]", words
    ):
        said.append(f"has a formula outside of $: {words}")
    if row.get("minor") and {"slip", "note"} & set(row):
        said.append("has a note, but is folded away")
    if "section" in row and "chapter" not in row:
        said.append("hints at a section of no chapter")
    return said + astray(row)


def astray(row: dict) -> list[str]:
    """Where a row leads, if that is nowhere or to two places at once."""
    ways = [
        *(["the ledger"] if row["id"] in CLAIMED else []),
        *(key for key in ("to", "cite", "chapter") if key in row),
    ]
    said = []
    if len(ways) != 1:
        said.append(f"leads to {' and '.join(ways) or 'nowhere'}: one is right")
    if "to" in row and row["to"] not in LABELS:
        said.append(f"leads to {row['to']}, a label that no page has")
    if "cite" in row and row["cite"] not in KEYS:
        said.append(f"cites {row['cite']}, which is not in references.bib")
    if row.get("chapter") in WRITTEN:
        said.append(f"calls chapter {row['chapter']} to come, but it is written")
    if row["kind"] == "question" and not row.get("to", "ex-").startswith("ex-"):
        said.append(f"is a question and leads to {row['to']}, which is no exercise")
    for key in ("slip", "note"):
        if key in row and row[key] not in NOTE_LABELS:
            said.append(f"names {row[key]}, which is no reading note")
    return said


def test_rows():
    said = [f"{row.get('id')} {fault}" for row in ROWS for fault in faults(row)]
    assert said == []


def test_ids_are_unique():
    ids = [row["id"] for row in ROWS]
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("document", PLACES)
def test_every_place_of_a_document_in_its_order(document):
    places = [row["place"] for row in ROWS if row["document"] == document]
    assert list(dict.fromkeys(places)) == list(PLACES[document])


def chapter(row: dict) -> int | None:
    """The chapter that a row leads to, if it does."""
    for equation in LEDGER.values():
        if row["id"] in equation.sources:
            return equation.chapter
    page = LABELS.get(row.get("to"), "")[:2]
    return int(page) if page.isdecimal() else None


def extent(rows: list[dict]) -> str:
    """How many rows these are, and the chapters that they lead to."""
    chapters = sorted({chapter(row) for row in rows} - {None})
    return f"{len(rows)}: {' '.join(map(str, chapters))}"


def rows_by_place() -> dict[tuple[str, str], list[dict]]:
    rows = sorted(ROWS, key=lambda row: (row["document"], row["place"]))
    return {
        place: list(of_place)
        for place, of_place in groupby(rows, itemgetter("document", "place"))
    }


def test_every_place_has_all_its_rows_and_they_lead_to_its_chapters():
    found = {place: extent(rows) for place, rows in rows_by_place().items()}
    wanted = {
        (d, p): text for d, places in PLACES.items() for p, text in places.items()
    }
    assert found == wanted


def test_a_row_that_is_lost_or_leads_elsewhere_changes_the_extent():
    place = ("slides", "Introduction (1/2)")
    rows = rows_by_place()[place]
    astray = {**rows[0], "to": "sec-sampling-idea"}
    assert extent(rows[1:]) != PLACES[place[0]][place[1]]
    assert extent([astray, *rows[1:]]) != PLACES[place[0]][place[1]]


def test_every_self_assessment_question():
    asked = [row["id"] for row in ROWS if row["kind"] == "question"]
    assert asked == [
        f"{document}/self-assessment/{n}"
        for document, number in QUESTIONS.items()
        for n in range(1, number + 1)
    ]


GOOD = next(row for row in ROWS if row["id"] == "slides/forward-1/less-noisy")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"to": "sec-nowhere"}, "a label that no page has"),
        ({"to": None}, "leads to nowhere"),
        ({"chapter": 9}, "leads to to and chapter"),
        ({"to": None, "chapter": 1}, "but it is written"),
        ({"id": "slides/forward-2/closed-form"}, "the ledger and to"),
        ({"slip": "note-nothing"}, "no reading note"),
        ({"kind": "question"}, "no exercise"),
        ({"kind": "remark"}, "no known kind"),
        ({"place": "Forward Process (3/2)"}, "has no place"),
        ({"document": "elbo"}, "another document"),
        ({"quote": " "}, "no quote"),
        ({"quote": "x" * 300}, "shorten it"),
        ({"section": "One step"}, "no chapter"),
        ({"quote": "x_{t-1} = Less noisy image"}, "outside of $"),
        ({"quote": r"$\bar\alpha_t is a product"}, "outside of $"),
        ({"cite": "nobody2020nothing", "to": None}, "not in references.bib"),
        ({"minor": True, "note": "note-count"}, "folded away"),
        ({"page": 3}, "unknown field"),
    ],
)
def test_a_bad_row_is_noticed(change, complaint):
    row = {key: value for key, value in (GOOD | change).items() if value is not None}
    assert faults(GOOD) == []
    assert any(complaint in said for said in faults(row))


# --- the page -----------------------------------------------------------------------


def test_headings_of_places_have_no_raw_symbols():
    titles = [pages.typeset(place) for places in PLACES.values() for place in places]
    words = [re.sub(r"\$[^$]*\$", "", title) for title in titles]
    assert [word for word in words if re.search(r"[\\_^{}$]|[^\x00-\x7f]", word)] == []
    assert r"4. Computing the Mean $\mu_\theta(x_t, t)$ (05:08)" in titles


@pytest.mark.parametrize(
    ("row", "markdown"),
    [
        ("slides/forward-1/mean", r"Mean ($\mu_t$): $\sqrt{1 - \beta_t}x_{t-1}$"),
        ("slides/forward-1/data-sample", r"$\displaystyle x_0 \sim q(x_0)$"),
        ("slides/forward-1/more-noisy", "$x_t$ = More noisy image"),
    ],
)
def test_a_quote_is_typeset(row, markdown):
    (row,) = (r for r in ROWS if r["id"] == row)
    assert pages.quote(row) == markdown


def test_the_page_says_which_equations_the_documents_have():
    first, *_ = table = pages.witness_table()
    lines = {line.split("`")[1]: line for line in table if line.startswith("| {eq}")}
    assert set(lines) == set(LEDGER)
    formulas = {
        label
        for label, e in LEDGER.items()
        for row in ROWS
        if row["id"] in e.sources and row["kind"] == "equation" and "slip" not in row
    }
    assert f"All {len(LEDGER)} numbered" in first and f"For {len(formulas)} of" in first
    for label, line in lines.items():
        empty, words = line.endswith("| – |"), "in words only" in line
        corrected = "after a correction" in line
        assert (label in formulas) == (not (empty or words or corrected)), line
        assert empty == (not LEDGER[label].sources), line
    assert "in words only" in lines["linear-schedule"]
    assert "after a correction" in lines["noise-loss"]


def test_a_link_to_a_section_typesets_its_title():
    title = pages.titles()["sec-posterior-bayes"]
    assert "$x_0$" in title
    assert pages._link("sec-posterior-bayes").endswith(
        f"[{title}](sec-posterior-bayes)"
    )


@pytest.mark.parametrize(
    ("row", "place"),
    [
        # each stands where the thing is, not only where it is mentioned
        ("elbo/overview/reformulation", "sec-x0-simple"),
        ("elbo/4/interpretation", "sec-x0-simple"),
        ("elbo/3/estimate", "sec-x0-x0"),
        ("training/overview/regression", "sec-training-idea"),
        ("training/1/one-image", "sec-training-steps"),
        ("training/batch/efficiency", "sec-training-batch-loss"),
        ("training/takeaways/stochastic", "sec-training-steps"),
        ("training/visual/algorithm", "sec-training-loop"),
        ("training/visual/loop", "fig-training-loop"),
        ("sampling/4/diagram", "fig-unet-idea"),
    ],
)
def test_where_a_row_leads(row, place):
    assert [r["to"] for r in ROWS if r["id"] == row] == [place]


PAGE = """<form class="concordance-filter" hidden><input type="search" name="words">
<input type="checkbox" name="notes"><output name="count"></output></form>
<section id="slides"><h2>Slides</h2><section class="concordance" id="one"><h3>One</h3>
<ul><li id="a">\\(\\beta_t\\) grows <a href="reading_notes.html#n">note</a></li>
<li id="b">the mean</li></ul></section></section>
<section id="elbo"><h2>ELBO</h2>
<section class="concordance" id="two"><h3>Two</h3>
<details class="minor"><summary>1 more line</summary>
<ul><li id="c">\\(\\beta_1\\)</li></ul></details></section></section>"""


@pytest.mark.slow
def test_the_filter(browser):
    page = browser.new_page()
    page.set_content(PAGE)
    assert page.locator("#b").is_visible() and not page.locator("form").is_visible()
    page.add_script_tag(path=BOOK / "_static" / "concordance.js")
    style = (BOOK / "_static" / "concordance.css").read_text(encoding="utf-8")
    page.add_style_tag(content=style)

    def seen():
        ids = ("slides", "one", "a", "b", "elbo", "two", "c")
        return " ".join(i for i in ids if page.locator(f"#{i}").is_visible())

    assert seen() == "slides one a b elbo two"
    page.fill("input[name=words]", "Beta")
    assert seen() == "slides one a elbo two c"  # the fold opens
    assert page.locator("output").inner_text() == "2 of 3 lines"
    page.check("input[name=notes]")
    assert seen() == "slides one a"
    page.evaluate("location.hash = 'c'")  # a link to a line that is hidden
    page.wait_for_function("!document.querySelector('form').elements.words.value")
    assert seen() == "slides one a b elbo two c"
    page.close()


# --- reading notes ----------------------------------------------------------------


def notes() -> dict[str, str]:
    pieces = re.split(r"^\((note-[\w-]+)\)=$", NOTES, flags=re.M)[1:]
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def test_notes_and_rows_name_each_other():
    named = {row[key] for row in ROWS for key in ("slip", "note") if key in row}
    assert sorted(NOTE_LABELS) == sorted(named)


@pytest.mark.parametrize("label", NOTE_LABELS)
def test_a_note_has_title_place_verdict_quote_and_text(label):
    title, body = notes()[label].strip().split("\n", 1)
    place, quote, *text = body.split("\n## ")[0].strip().split("\n\n")
    assert title.startswith("### ")
    assert re.sub(r"\s+", " ", place).strip("*").split(" · ")[1] in VERDICTS
    assert place.startswith(tuple(f"*{document}" for document in PLACES))
    assert all(line.startswith("> ") for line in quote.splitlines())
    assert text


@pytest.mark.parametrize("document", PLACES)
def test_notes_of_one_document_follow_its_places(document):
    """In the part of a document the notes stand in the order of their first rows."""
    (part,) = re.findall(
        rf"^## {document}\n(.*?)(?=^## |\Z)", NOTES, re.M | re.S | re.I
    )
    order = [
        min(
            list(PLACES[document]).index(row["place"])
            for row in ROWS
            if row["document"] == document
            and label in (row.get("slip"), row.get("note"))
        )
        for label in re.findall(r"^\((note-[\w-]+)\)=$", part, re.M)
    ]
    assert order == sorted(order)


def test_ten_notes_come_first():
    top = NOTES.split("## Across the documents")[0]
    listed = re.findall(r"^\d+\. \{ref\}`(note-[\w-]+)`: ", top, re.M)
    assert len(set(listed)) == 10 and set(listed) <= set(NOTE_LABELS)


def test_the_widths_that_a_note_gives():
    """Measured as in chapter 7."""
    schedule, ring = make_schedule("linear"), GaussianMixture.ring()

    def width(variance, steps):
        step = partial(ancestral_step, variance=variance)
        x = sample(
            ring.denoiser(schedule),
            schedule,
            (8000, 2),
            step=step,
            steps=steps,
            generator=torch.Generator().manual_seed(0),
        )
        return sum(mode_width(part, ring) for part in x.split(2000)) / 4

    note = notes()["note-similar-results"]
    for steps, *given in [
        (10, "2.89", "2.94"),
        (20, "1.74", "1.60"),
        (50, "0.97", "0.67"),
    ]:
        for variance, number in zip(("beta", "beta_tilde"), given, strict=True):
            assert number in note
            assert width(variance, steps) == pytest.approx(float(number), abs=0.03)


def test_other_numbers_of_the_notes():
    abar = make_schedule("cosine").alpha_bar[-1]
    assert ((1 - abar) / abar).sqrt().item() == pytest.approx(20_000, rel=0.03)
    assert "factor of 20 000" in notes()["note-no-clipping"].replace("\n", " ")
    white = torch.ones(1, 3, 128, 128)
    bits = prior_kl(make_schedule("quadratic"), white).item() / math.log(2)
    assert bits == pytest.approx(26, abs=0.5)
    assert "26 bits" in notes()["note-pure-noise"]


# --- notation and glossary ----------------------------------------------------------


def test_the_notation_lists_what_begins_at_2():
    text = (BOOK / "notation.md").read_text(encoding="utf-8")
    listed = text.split("begin at $t = 2$")[1].split("**One pixel")[0]
    begins = {label for label, e in LEDGER.items() if e.first == 2}
    also = {"posterior-variance", "posterior-mean"}  # they hold at t = 1
    assert set(re.findall(r"\{eq\}`([\w-]+)`", listed)) == begins | also
    assert all(LEDGER[label].first == 1 for label in also)


def test_distances_are_what_the_glossary_says():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 200, 2, generator=generator)
    assert energy_distance(x, y) > 0  # of two sets from one distribution
    assert frechet_distance(x, x + torch.tensor([3.0, 4.0])) == pytest.approx(25)
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    assert "it is not 0 even if both come from the same distribution" in text
    assert "The squared\n  distance of the two Gaussians" in text
