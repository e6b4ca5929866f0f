"""Addresses: of the repository, the published site, and its student notebooks.

``setup.py`` reads ``parse``, without Sphinx: it is imported only where it is needed.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

#: What Jupyter Book fills in where ``_config.yml`` has no ``repository.url``.
_JUPYTER_BOOK = "https://github.com/executablebooks/jupyter-book"

#: What ``_config.yml`` has until the course is published.
_PLACEHOLDER = ("ORGANISATION", "REPOSITORY")

_GITHUB = re.compile(
    r"((https?|ssh|git)://)?([^@/\s]+@)?(www\.)?github\.com[/:]"
    r"(?P<owner>[\w-]+)/(?P<name>[\w.-]+?)(\.git)?/*",
    re.ASCII | re.IGNORECASE,
)


class Repository(NamedTuple):
    """A repository on GitHub."""

    owner: str
    name: str

    @property
    def url(self) -> str:
        """Its address in the one spelling that all tools understand."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def pages(self) -> str:
        """The site that GitHub publishes from it."""
        host = f"{self.owner.lower()}.github.io"
        is_user_site = self.name.lower() == host
        return f"https://{host}/" if is_user_site else f"https://{host}/{self.name}/"


def parse(given: object) -> Repository:
    """The repository that ``repository.url`` means, in any usual spelling.

    Raises:
        ValueError: If it is not the address of a GitHub repository.
    """
    match = _GITHUB.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None or match["name"] in {".", "..", ".git"}:
        raise ValueError(
            f"repository.url in _config.yml is {given!r}: expected the address of a "
            "GitHub repository, https://github.com/OWNER/NAME"
        )
    return Repository(match["owner"], match["name"])


def check(app: Sphinx, config: Config) -> None:
    """Stop the build if the address is unusable; respell it for the theme if not."""
    from sphinx.errors import ConfigError

    options = config.html_theme_options
    given = options.get("repository_url")
    try:
        options["repository_url"] = parse(None if given == _JUPYTER_BOOK else given).url
    except ValueError as error:
        raise ConfigError(str(error)) from error


def repository(app: Sphinx) -> str:
    """The repository's address, from ``_config.yml``."""
    return parse(app.config.html_theme_options["repository_url"]).url


def address(app: Sphinx) -> str:
    """Where the site is published: html.baseurl, else the repository's GitHub pages."""
    if app.config.html_baseurl:
        return app.config.html_baseurl.rstrip("/") + "/"
    return parse(app.config.html_theme_options["repository_url"]).pages


def archive(app: Sphinx) -> str:
    """The archive of the commit that the site is built from, for pip.

    An archive needs no git where it is installed. Outside of a checkout, it is the
    archive of the branch that ``_config.yml`` names.
    """
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=app.srcdir, capture_output=True, text=True)
    branch = app.config.html_theme_options["repository_branch"]
    commit = branch if done.returncode else done.stdout.strip()
    return f"{repository(app)}/archive/{commit}.tar.gz"


def is_published(app: Sphinx) -> bool:
    """Whether ``_config.yml`` has an address, or still the placeholder."""
    given = parse(app.config.html_theme_options["repository_url"])
    return bool(app.config.html_baseurl) or given != _PLACEHOLDER


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
