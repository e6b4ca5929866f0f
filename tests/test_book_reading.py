"""The machinery stays behind the page: what is folded, and how it unfolds."""

import re
from urllib.parse import urljoin

import nbformat
import pytest
from test_book_site import Visit
from witnesses import CHAPTERS, NOTEBOOKS

chapters = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
#: The chapters, but for the first pages. The pages beside them prove nothing.
PROVING = [path for path in CHAPTERS if not path.stem.startswith("00")]
proving = pytest.mark.parametrize("path", PROVING, ids=lambda p: p.stem)
FOLDED = {"hide-input", "hide-cell"}
FIRST = f"book/{PROVING[0].stem}.html"


# --- the roles of the cells -------------------------------------------------------


def tagged_cells(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            yield cell, set(cell.metadata.get("tags", []))


def is_machinery(cell):
    """Draws a figure, or does nothing but import."""
    lines = [line for line in cell.source.splitlines() if line.strip()]
    imports_alone = all(
        re.match(
            r"from |import |\)|    \w+,$|plotting\.use_style|_ = |torch\.set", line
        )
        for line in lines
    )
    draws = any("image/png" in o.get("data", {}) for o in cell.outputs)
    return imports_alone or draws


@chapters
def test_figure_code_and_imports_are_folded(path):
    open_ = [c.source for c, tags in tagged_cells(path) if not tags and is_machinery(c)]
    assert open_ == []


@chapters
def test_a_cell_has_one_role_and_every_chapter_teaches_some_code(path):
    teach = 0
    for cell, tags in tagged_cells(path):
        roles = tags & {*FOLDED, "proof", "exercise-stub", "exercise-check"}
        assert len(roles) <= 1, cell.source
        teach += not tags
    assert teach >= 3


@chapters
def test_a_check_that_nobody_has_attempted_says_nothing_on_the_page(path):
    for cell, tags in tagged_cells(path):
        assert ("exercise-check" in tags) == ("remove-output" in tags), cell.source


FENCE = re.compile(r"^(`{3,}|:{3,})\{.*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)


@chapters
def test_the_prose_speaks_of_diffusion_models_not_of_the_documents(path):
    """What they say stands in source notes, beside the text."""
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    prose = FENCE.sub("", prose)
    mentions = re.findall(r"^.*\b(?:slides?|lectures?)\b.*$", prose, re.MULTILINE)
    assert len(mentions) <= 3, "\n".join(mentions)


@proving
def test_headings_are_unique_and_say_what_is_there(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    assert len(headings) == len(set(headings)) > 5
    empty = {"A picture first", "One step", "The claims, put to the test", "Training"}
    assert not empty & set(headings[1:])


@chapters
def test_no_output_on_the_page_is_a_verdict(path):
    """A number beats True."""
    printed = [
        (cell.source, output.text)
        for cell, tags in tagged_cells(path)
        if not tags & {"proof", "exercise-check", "exercise-solution"}
        for output in cell.outputs
        if output.output_type == "stream"
        and re.search(r"\b(True|False)\b", output.text)
    ]
    assert printed == []


# --- on the page ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_check_mark_opens_its_proof(browser, site, script):
    context = browser.new_context(java_script_enabled=script, reduced_motion="reduce")
    page = context.new_page()
    page.goto(urljoin(site, FIRST))
    if script:
        page.evaluate("window.MathJax.startup.promise")
    code = page.locator("details.proof:has(#proof-closed-form) pre").first
    assert not code.is_visible()
    page.locator('a[href="#proof-closed-form"]').click()
    code.wait_for(state="visible", timeout=5000)
    assert page.locator("details.proof[open]").count() == 1
    # the summary does not end up behind the header
    summary = page.locator("details.proof[open] > summary").bounding_box()
    assert summary["y"] >= page.locator(".bd-header-article").bounding_box()["height"]
    context.close()


def unfolded(page):
    """How many folds there are of each kind, and how many are open."""
    kinds = {"code": "details.hide", "proof": "details.proof"}
    kinds["solution"] = ".solution > details"
    kinds["source"] = ".source > details"
    return {
        kind: (page.locator(f"{all_}[open]").count(), page.locator(all_).count())
        for kind, all_ in kinds.items()
    }


@pytest.mark.slow
def test_the_reading_mode_unfolds_and_is_remembered(browser, site):
    url = urljoin(site, FIRST)
    with Visit(browser, url, 1280, "light", formulas=False) as (page, trouble):
        total = {kind: n for kind, (_, n) in unfolded(page).items()}
        assert all(total.values())
        assert {kind: n for kind, (n, _) in unfolded(page).items()} == dict.fromkeys(
            total, 0
        )
        switch = page.get_by_label("Reading mode")
        switch.focus()
        page.keyboard.press("ArrowDown")
        assert switch.input_value() == "code"
        opened = {kind: n for kind, (n, _) in unfolded(page).items()}
        assert opened == dict.fromkeys(total, 0) | {"code": total["code"]}
        page.keyboard.press("ArrowDown")
        assert switch.input_value() == "everything"
        assert all(n == all_ for n, all_ in unfolded(page).values())
        page.goto(urljoin(site, f"book/{PROVING[2].stem}.html"))
        assert page.get_by_label("Reading mode").input_value() == "everything"
        assert all(n == all_ for n, all_ in unfolded(page).values())
        page.get_by_label("Reading mode").select_option("story")
        assert not any(n for n, _ in unfolded(page).values())
        page.goto(urljoin(site, "book/glossary.html"))
        assert page.get_by_label("Reading mode").count() == 0
    assert trouble == []


@pytest.mark.slow
def test_without_a_script_all_is_folded_and_within_reach(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(urljoin(site, FIRST))
    assert page.locator("select.reading-mode").count() == 0
    kinds = [
        "details.hide",
        "details.proof",
        ".solution > details",
        ".source > details",
    ]
    for kind in kinds:
        fold = page.locator(f"{kind}:is(details)").first
        inside = fold.locator("pre, p:not(summary p)").first
        assert not inside.is_visible()
        fold.locator("summary").first.click(position={"x": 3, "y": 5})
        assert inside.is_visible()
    context.close()
