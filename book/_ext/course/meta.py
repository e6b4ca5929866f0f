"""What others see of the site: search engines, previews of links, a lost visitor."""

import re
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from . import site

#: What a description may be long; search engines show about as much.
LONGEST = 200


def set_address(app: Sphinx, config: Config) -> None:
    """Tell Sphinx where the site is published, if it is: canonical addresses."""
    if site.is_published(app):
        config.html_baseurl = site.address(app)


def describe(
    app: Sphinx,
    pagename: str,
    _: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Give a page its description and its Open Graph tags."""
    project = app.config.html_title
    title = re.sub("<.*?>", "", context.get("title") or project)
    text = description(doctree) or f"{title}, of the course {project}."
    is_home = pagename == app.config.root_doc
    tags = {
        "og:title": title,
        "og:type": "website" if is_home else "article",
        "og:site_name": project,
        "og:description": text,
    }
    if site.is_published(app):  # before, an address would lie
        home = site.address(app)
        tags["og:url"] = home + app.builder.get_target_uri(pagename)
        if picture := _first_picture(app, doctree):
            tags["og:image"] = f"{home}{app.builder.imagedir}/{picture}"
    lines = [f'<meta name="description" content="{escape(text)}">']
    lines += [f'<meta property="{k}" content="{escape(v)}">' for k, v in tags.items()]
    if 'name="description"' in context.get("metatags", ""):  # the page has its own
        lines = lines[1:]
    context["metatags"] = context.get("metatags", "") + "\n".join(lines) + "\n"


def description(doctree: nodes.document | None) -> str:
    """The first sentences of a page's text, or "" if there are none to show."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        if isinstance(paragraph.parent, nodes.section):
            found = ""
            words = " ".join(paragraph.astext().split())
            for sentence in re.split(r"(?<=[.!?]) ", words):
                if "\\" in sentence or len(f"{found} {sentence}") > LONGEST:
                    break
                found = f"{found} {sentence}".strip()
            if found:
                return found
    return ""


def _first_picture(app: Sphinx, doctree: nodes.document | None) -> str | None:
    """The name of the first picture of a page that others can show: no SVG."""
    for image in doctree.findall(nodes.image) if doctree else ():
        name = app.builder.images.get(image["uri"], "")
        if name.endswith((".png", ".jpg", ".jpeg")):
            return name
    return None


def write_all(app: Sphinx, exception: Exception | None) -> None:
    """Write ``404.html`` and, for a published site, ``sitemap.xml``."""
    if exception or app.builder.name != "html":
        return
    out, home = Path(app.outdir), site.address(app)
    title, root = escape(app.config.html_title), urlsplit(home).path
    (out / "404.html").write_text(not_found(title, root), encoding="utf-8")
    if site.is_published(app):
        pages = [
            app.builder.get_target_uri(name) for name in sorted(app.env.found_docs)
        ]
        (out / "sitemap.xml").write_text(sitemap(home, pages), encoding="utf-8")


def sitemap(home: str, pages: list[str]) -> str:
    """All pages, for search engines. ``home`` ends with a slash."""
    urls = "".join(f"<url><loc>{escape(home + page)}</loc></url>\n" for page in pages)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{urls}</urlset>\n"
    )


def not_found(title: str, root: str) -> str:
    """A page that needs no other file: it may stand for an address at any depth.

    Its links start at the site's root, which is ``root``, or where the page itself is
    if it was opened as a file, or the host's root if the site is served from there.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="description" content="This page does not exist.">
<title>Page not found — {title}</title>
<base href="{root}">
<script>
  const path = location.pathname;
  if (path.endsWith("/404.html")) document.querySelector("base").href = "./";
  else if (!path.startsWith("{root}")) document.querySelector("base").href = "/";
</script>
<style>
  :root {{ color-scheme: light dark; font: 1.1rem/1.6 system-ui, sans-serif; }}
  body {{ max-width: 36rem; margin: 20vh auto 0; padding: 0 1.5rem; }}
</style>
</head>
<body>
<main>
<h1>All noise, no page</h1>
<p>There is nothing at this address. Maybe the page has moved.</p>
<p><a href="index.html">Start of the course</a> · <a href="search.html">Search</a> ·
<a href="genindex.html">Index</a></p>
</main>
</body>
</html>
"""
