"""``{live} NAME``: a place for a toy that computes in the reader's browser.

Its content, a picture as a rule, stands there until the toy starts, without JavaScript,
and in the student notebooks. A page loads the scripts of its own toys only: each script
says what it needs in a line ``// needs: …``.
"""

import re
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).parents[2] / "_static" / "live"

_NEEDS = re.compile(r"^// needs: (.*)$", re.M)


class Place(nodes.General, nodes.Element):
    """Where a toy stands."""


class Live(SphinxDirective):
    """``{live} NAME`` with an option ``alt``, which says what the toy is about."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict] = {"alt": directives.unchanged_required}

    def run(self) -> list:
        toy = self.arguments[0]
        if not (FOLDER / "toys" / f"{toy}.js").is_file():
            raise self.error(f"no toy {toy!r} in {FOLDER / 'toys'}")
        if "alt" not in self.options:
            raise self.error("{live} needs :alt:, which says what the toy is about")
        place = Place(toy=toy, alt=self.options["alt"])
        self.state.nested_parse(self.content, self.content_offset, place)
        return [place]


def visit(translator: Any, place: Place) -> None:
    toy, alt = place["toy"], escape(place["alt"])
    translator.body.append(
        f'<div class="live" id="live-{toy}" data-toy="{toy}" role="group" '
        f'aria-label="{alt}"><div class="live-fallback">'
    )


def depart(translator: Any, _: Place) -> None:
    translator.body.append("</div></div>\n")


def scripts(toys: list[str]) -> list[str]:
    """The scripts of these toys, each after all that it needs."""
    found: list[str] = []

    def add(name: str) -> None:
        if name not in found:
            text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
            for needed in " ".join(_NEEDS.findall(text)).split():
                add(needed)
            found.append(name)

    for toy in toys:
        add(f"toys/{toy}")
    return found


def load(app: Sphinx, _: str, __: str, ___: dict, doctree: nodes.document) -> None:
    """Add to a page what its toys need."""
    toys = [place["toy"] for place in doctree.findall(Place)] if doctree else []
    for name in scripts(toys):
        app.add_js_file(f"live/{name}.js", loading_method="defer")
    if toys:
        app.add_css_file("live/live.css")
