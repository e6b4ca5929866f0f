"""What a keyboard or a screen reader stumbles over in the HTML that others write."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

_PROOF = re.compile(r'(<details class="proof">)<summary>(.*?)</summary>(.*)', re.DOTALL)


class ProofLinks(SphinxPostTransform):
    """Move the links of a proof's summary below it: a button must not hold a link."""

    default_priority = 201  # after folds.Proofs
    formats = ("html",)

    def run(self, **_) -> None:
        for html in list(self.document.findall(nodes.raw)):
            if match := _PROOF.fullmatch(html.astext()):
                start, title, rest = match.groups()
                links = " and ".join(re.findall(r"<a .*?</a>", title))
                back = f'<p class="back">Back to {links}</p>' if links else ""
                title = re.sub(r"</?a\b.*?>", "", title)
                text = f"{start}<summary>{title}</summary>{rest}{back}"
                html.replace_self(nodes.raw("", text, format="html"))


def mend(_: Sphinx, __: str, ___: str, context: dict[str, Any], ____: Any) -> None:
    """Drop roles that contradict the structure: references that are no list items."""
    body = context.get("body", "")
    body = body.replace('<div role="list" class="citation-list">', "<div>")
    context["body"] = body.replace(' role="doc-biblioentry"', "")
