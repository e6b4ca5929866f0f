"""What a keyboard or a screen reader stumbles over in the HTML that others write."""

import re
from typing import Any

from sphinx.application import Sphinx


def mend(_: Sphinx, __: str, ___: str, context: dict[str, Any], ____: Any) -> None:
    """Drop roles that contradict the structure, and ids that stand on a page twice."""
    body = context.get("body", "")
    body = re.sub(r' id="(exercise|solution)-content"', "", body)
    body = body.replace('<div role="list" class="citation-list">', "<div>")
    context["body"] = body.replace(' role="doc-biblioentry"', "")
