"""``repository.url`` in ``_config.yml``: every usual spelling, or a clear error."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from helpers import ROOT
from sphinx.errors import ConfigError

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from course import site

GOOD = {
    "https://github.com/Owner/name": ("Owner", "name"),
    "https://github.com/Owner/name/": ("Owner", "name"),
    "https://github.com/Owner/name//": ("Owner", "name"),
    " https://github.com/Owner/name\n": ("Owner", "name"),
    "https://github.com/Owner/name.git": ("Owner", "name"),
    "https://github.com/Owner/name.git/": ("Owner", "name"),
    "http://github.com/Owner/name": ("Owner", "name"),
    "https://www.github.com/Owner/name": ("Owner", "name"),
    "https://GitHub.com/Owner/name": ("Owner", "name"),
    "github.com/Owner/name": ("Owner", "name"),
    "https://me@github.com/Owner/name.git": ("Owner", "name"),
    "git@github.com:Owner/name.git": ("Owner", "name"),
    "ssh://git@github.com/Owner/name.git": ("Owner", "name"),
    "https://github.com/own-er/a.b_c-d.git": ("own-er", "a.b_c-d"),
    "https://github.com/me/me.github.io.git": ("me", "me.github.io"),
    "https://github.com/ORGANISATION/REPOSITORY": ("ORGANISATION", "REPOSITORY"),
}
BAD = [
    "https://gitlab.com/owner/name",
    "https://github.com.example.org/owner/name",
    "https://notgithub.com/owner/name",
    "git@gitlab.com:owner/name.git",
    "https://github.com/owner",
    "https://github.com/owner/",
    "https://github.com/owner/.git",
    "https://github.com/owner/..",
    "https://github.com/owner/name/tree/main",
    "https://github.com/owner/name?tab=readme",
    "https://github.com/owner/my name",
    "owner/name",
    "name",
    "",
    None,
    7,
]


@pytest.mark.parametrize(("given", "expected"), GOOD.items())
def test_every_usual_spelling_is_understood(given, expected):
    repository = site.parse(given)
    assert repository == expected
    assert repository.url == f"https://github.com/{expected[0]}/{expected[1]}"


@pytest.mark.parametrize("given", BAD)
def test_anything_else_is_an_error_that_says_what_is_expected(given):
    with pytest.raises(ValueError) as error:
        site.parse(given)
    said = str(error.value)
    assert "repository.url" in said and "_config.yml" in said
    assert repr(given) in said
    assert "https://github.com/OWNER/NAME" in said


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://github.com/Owner/Name.git", "https://owner.github.io/Name/"),
        ("https://github.com/me/me.github.io", "https://me.github.io/"),
        ("git@github.com:Me/me.GitHub.io.git", "https://me.github.io/"),
        ("https://github.com/me/you.github.io", "https://me.github.io/you.github.io/"),
    ],
)
def test_the_site_is_at_the_pages_of_the_repository(given, address):
    assert site.address(app(given)) == address
    own = app(given, baseurl="https://course.example")
    assert site.address(own) == "https://course.example/"


def app(url, baseurl=""):
    options = {} if url is None else {"repository_url": url}
    config = SimpleNamespace(html_theme_options=options, html_baseurl=baseurl)
    return SimpleNamespace(config=config)


def test_the_theme_gets_the_spelling_that_it_understands():
    given = app("git@github.com:Owner/name.git")
    site.check(given, given.config)
    assert site.repository(given) == "https://github.com/Owner/name"


#: What Jupyter Book fills in where ``_config.yml`` says nothing.
NOT_GIVEN = "https://github.com/executablebooks/jupyter-book"


@pytest.mark.parametrize("given", ["https://github.com/owner", None, NOT_GIVEN])
def test_the_build_stops_at_the_start(given):
    stopped = app(given)
    with pytest.raises(ConfigError, match=r"repository\.url"):
        site.check(stopped, stopped.config)


# --- a small book, built ----------------------------------------------------------


def build(folder: Path, url: str) -> subprocess.CompletedProcess:
    """Build a book of two pages with this address."""
    config = {
        "only_build_toc_files": True,
        "execute": {"execute_notebooks": "off"},
        "repository": {"url": url, "branch": "main"},
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
        "html": {"use_issues_button": True, "use_repository_button": True},
        "sphinx": {
            "extra_extensions": ["sphinx.ext.autodoc"],
            "local_extensions": {"course": str(ROOT / "book" / "_ext")},
        },
    }
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters: [{file: chapter}]\n"
    )
    (folder / "index.md").write_text("# A book\n")
    cell = {"id": "a", "metadata": {}, "source": "# A chapter\n\n{doc}`index`"}
    code = {"id": "b", "metadata": {}, "source": "1", "outputs": []}
    notebook = {
        "cells": [
            {"cell_type": "markdown"} | cell,
            {"cell_type": "code", "execution_count": 1} | code,
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "chapter.ipynb").write_text(json.dumps(notebook))
    program = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    return subprocess.run(
        [program, "build", folder, "--all", "-W"],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.slow
def test_what_a_clone_button_copies_makes_a_site_whose_links_work(tmp_path):
    done = build(tmp_path, "https://github.com/Me/Me.github.io.git")
    assert done.returncode == 0, done.stdout + done.stderr
    html = tmp_path / "_build" / "html"
    page = (html / "chapter.html").read_text(encoding="utf-8")
    student = (html / "notebooks" / "chapter.ipynb").read_text(encoding="utf-8")
    colab = "https://colab.research.google.com/github/Me/Me.github.io/blob/gh-pages/"
    assert f"{colab}notebooks/chapter.ipynb" in page
    assert 'href="https://github.com/Me/Me.github.io"' in page
    assert "https://github.com/Me/Me.github.io/issues/new" in page
    assert "ddpm_course @ https://github.com/Me/Me.github.io/archive/" in student
    assert "(https://me.github.io/index.html)" in student
    assert ".git/" not in page + student and '.git"' not in page + student


@pytest.mark.slow
def test_an_unusable_address_stops_the_build_before_any_page_is_read(tmp_path):
    done = build(tmp_path, "https://gitlab.com/owner/name")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "repository.url in _config.yml is 'https://gitlab.com/owner/name'" in said
    assert "reading sources" not in said
