"""What a link's preview shows, if that is on another page: kept in the page itself.

A script could fetch the other page, but not where the pages are opened as files.
``previews.js`` shows what is kept, and what is on the page anyway.
"""

from pathlib import Path

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

#: Links that get a preview lead to one of these.
_TARGETS = "div.math, figure, dt, div.citation"


def keep_all(app: Sphinx, exception: Exception | None) -> None:
    """Append to each page what its links to other pages lead to."""
    if exception or app.builder.name != "html":
        return
    files = {name: Path(app.builder.get_outfilename(name)) for name in app.env.all_docs}
    pages = {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in files.values()
    }
    for path, page in pages.items():
        links = {a["href"] for a in page.select("article a.internal[href*='.html#']")}
        kept = []
        for link in sorted(links):
            name, _, anchor = link.partition("#")
            # in another folder, the addresses of pictures would be others
            other = pages.get(path.parent / name) if "/" not in name else None
            if other and (target := _target(other, anchor)):
                kept.append(f'<div data-href="{link}">{target}</div>\n')
        if kept:
            template = f'<template id="previews">\n{"".join(kept)}</template>\n</body>'
            text = path.read_text(encoding="utf-8").replace("</body>", template)
            path.write_text(text, encoding="utf-8")


def _target(page: BeautifulSoup, anchor: str) -> str | None:
    """The element with this id; of a glossary, the term with its definition."""
    found = [e for e in page.find_all(id=anchor) if e.css.match(_TARGETS)]
    if not found:
        return None
    if found[0].name == "dt":
        return f"<dl>{found[0]}{_definition(found[0])}</dl>"
    return str(found[0])


def _definition(term: Tag) -> str:
    return str(term.find_next_sibling("dd") or "")
