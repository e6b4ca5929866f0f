"""Addresses: of the repository, the published site, and its student notebooks."""

from urllib.parse import urlsplit

from sphinx.application import Sphinx


def repository(app: Sphinx) -> str:
    """The repository's address, from ``_config.yml``."""
    return app.config.html_theme_options["repository_url"].rstrip("/")


def address(app: Sphinx) -> str:
    """Where the site is published: html.baseurl, else the repository's GitHub pages."""
    if app.config.html_baseurl:
        return app.config.html_baseurl.rstrip("/") + "/"
    owner, name = urlsplit(repository(app)).path.strip("/").split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def notebook(docname: str) -> str:
    """The student notebook of a chapter, relative to the root of the site."""
    return f"notebooks/{docname.rsplit('/', 1)[-1]}.ipynb"


def chapters(app: Sphinx) -> list[str]:
    """Pages that are notebooks, and so have a student notebook."""
    return [
        docname
        for docname in sorted(app.env.found_docs)
        if app.env.doc2path(docname).endswith(".ipynb")
    ]
