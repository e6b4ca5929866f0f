"""The concordance has no hole, and the reading notes stand where it says."""

import re

import jupytext
import pytest
import yaml
from witnesses import BOOK, CHAPTERS, source_disagreement

from ddpm_course.equations import LEDGER

ROWS = yaml.safe_load((BOOK / "concordance.yml").read_text(encoding="utf-8"))
NOTES = (BOOK / "reading_notes.md").read_text(encoding="utf-8")
NOTE_LABELS = re.findall(r"^\((note-[\w-]+)\)=$", NOTES, re.M)
CLAIMED = {source for equation in LEDGER.values() for source in equation.sources}

KINDS = [
    "equation",
    "algorithm",
    "figure",
    "claim",
    "question",
    "objective",
    "prerequisite",
]
REQUIRED = {"id", "document", "place", "kind", "quote"}
OPTIONAL = {"to", "chapter", "section", "slip", "note"}
VERDICTS = {"slip", "clash", "too much", "left unsaid", "damaged copy"}
QUESTIONS = {"elbo": 5, "training": 4, "sampling": 5}

#: The headings of the four documents, all that have something to treat.
PLACES = {
    "slides": [
        "Introduction (1/2)",
        "Introduction (2/2)",
        "Forward (Diffusion) Process (1/2)",
        "Forward (Diffusion) Process (2/2)",
        *(f"Reverse (Denoising) Process ({n}/15)" for n in range(1, 16)),
        "DDPM Training Process",
        "DDPM Sampling Process",
        "Neural Network (U-Net) Architecture",
        "Different Variance Schedulers (1/2)",
        "Different Variance Schedulers (2/2)",
        "Reverse Process Output Using Linear Scheduler",
        "Random Sampling Using Linear Scheduler",
    ],
    "elbo": [
        "Video Overview",
        "Learning Objectives",
        "Prerequisites",
        "Key Concepts Covered",
        "1. The Training Objective: Matching Posterior Means",
        "2. The Target: Understanding the True Posterior Mean (μ_q)",
        "3. The Model: Re-parameterizing the Predicted Mean (μ_θ)",
        "4. The Equivalence: Deriving the Denoising Objective",
        "5. Contrasting DDPMs with GANs and VAEs",
        "Self-Assessment",
    ],
    "training": [
        "Video Overview",
        "Learning Objectives",
        "Prerequisites",
        "Key Concepts Covered in This Video",
        "Core Idea: Training as a Denoising Regressor (0:27)",
        "The DDPM Training Algorithm (0:12)",
        "Step 1: Sample a Data Point and Timestep (0:48)",
        "Step 2: Generate a Noisy Sample x_t (Forward Process) (2:22)",
        "Step 3: Predict the Original Image (Denoising with U-Net) (1:34)",
        "Step 4: Calculate the Loss (1:34)",
        "Step 5: Update Network Weights (Gradient Descent) (3:33)",
        "Step 6: Repeat Until Convergence",
        "Batch Training (4:20)",
        "Visualizing the Training Process",
        "DDPM Training Loop Flowchart",
        "U-Net as a Denoising Regressor (1:34)",
        "Key Mathematical Formulations",
        "Self-Assessment",
        "Key Takeaways from This Video",
        "Visual References",
    ],
    "sampling": [
        "Video Overview",
        "Learning Objectives",
        "Prerequisites",
        "Key Concepts Covered",
        "Intuitive Foundation: From Noise to Data",
        "Mathematical Analysis of the Sampling Process",
        "1. The Iterative Sampling Chain (01:38)",
        "2. The Reverse Transition Distribution (03:45)",
        "3. Sampling with the Reparameterization Trick (04:20)",
        "4. Computing the Mean μ_θ(x_t, t) (05:08)",
        "Algorithm: DDPM Sampling (Inference)",
        "Key Takeaways from This Video",
        "Self-Assessment for This Video",
        "Visual References",
    ],
}


def labels_of_the_book() -> set[str]:
    """Every label that a page or a chapter sets, of whatever kind."""
    labels: set[str] = set()
    for path in [*BOOK.glob("*.md"), *CHAPTERS]:
        for cell in jupytext.read(path).cells:
            text = cell.source if cell.cell_type == "markdown" else ""
            labels |= set(re.findall(r"^\(([\w-]+)\)=$", text, re.M))
            labels |= set(re.findall(r"^:(?:label|name): *([\w-]+)$", text, re.M))
            labels |= set(re.findall(r"\$\$ *\(([\w-]+)\)$", text, re.M))
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            labels |= {figure["name"]} if "name" in figure else set()
    return labels


LABELS = labels_of_the_book()
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
    if row["kind"] != "equation" and len(row["quote"]) > 225:
        said.append(f"quotes {len(row['quote'])} characters: shorten it")
    if "section" in row and "chapter" not in row:
        said.append("hints at a section of no chapter")
    return said + astray(row)


def astray(row: dict) -> list[str]:
    """Where a row leads, if that is nowhere or to two places at once."""
    ways = [
        *(["the ledger"] if row["id"] in CLAIMED else []),
        *(key for key in ("to", "chapter") if key in row),
    ]
    said = []
    if len(ways) != 1:
        said.append(f"leads to {' and '.join(ways) or 'nowhere'}: one is right")
    if "to" in row and row["to"] not in LABELS:
        said.append(f"leads to {row['to']}, a label that no page has")
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
    assert list(dict.fromkeys(places)) == PLACES[document]


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
        ({"page": 3}, "unknown field"),
    ],
)
def test_a_bad_row_is_noticed(change, complaint):
    row = {key: value for key, value in (GOOD | change).items() if value is not None}
    assert faults(GOOD) == []
    assert any(complaint in said for said in faults(row))


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
            PLACES[document].index(row["place"])
            for row in ROWS
            if row["document"] == document
            and label in (row.get("slip"), row.get("note"))
        )
        for label in re.findall(r"^\((note-[\w-]+)\)=$", part, re.M)
    ]
    assert order == sorted(order)


#: What a note says is meant, for slips that the ledger can judge.
MEANT = {
    "elbo/2/alpha": [("1 ", "1 - ")],
    "slides/reverse-9/mean-1": [
        (
            r"= \frac{\sqrt{\alpha_t}}{\beta_t}x_t",
            r"= (\frac{\sqrt{\alpha_t}}{\beta_t}x_t",
        ),
        (r"x_0 \left(", r"x_0) \left("),
    ],
    "sampling/3/step": [(r"\sigma_{\alpha}", r"\sigma_q")],
    "slides/reverse-9/mean-2": [("= ", "= ("), (r"x_0 \left(", r"x_0) \left(")],
}


@pytest.mark.parametrize("source", MEANT)
def test_what_a_note_says_is_meant_agrees_with_the_ledger(source):
    (row,) = (dict(row) for row in ROWS if row["id"] == source)
    (equation,) = (e for e in LEDGER.values() if source in e.sources)
    assert row.pop("slip") in NOTE_LABELS
    assert "disagree" in source_disagreement(row, equation)
    for printed, meant in MEANT[source]:
        assert row["quote"].count(printed) == 1
        row["quote"] = row["quote"].replace(printed, meant)
    assert source_disagreement(row, equation) is None
