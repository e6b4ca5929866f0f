"""Metadata that follows from the repository's address in ``_config.yml``.

All other metadata is in ``pyproject.toml``.
"""

import re
import runpy
from pathlib import Path

import yaml
from setuptools import setup

ROOT = Path(__file__).parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
SITE = runpy.run_path(str(ROOT / "book" / "_ext" / "course" / "site.py"))

repository = SITE["parse"](CONFIG["repository"]["url"])
branch = CONFIG["repository"]["branch"]
site = CONFIG.get("html", {}).get("baseurl") or repository.pages
files = f"{repository.url}/blob/{branch}"
raw = f"https://raw.githubusercontent.com/{'/'.join(repository)}/{branch}"


def absolute(link: re.Match) -> str:
    """A link of the README that leads somewhere on PyPI, too."""
    text, path = link.groups()
    return f"{text}({raw if text.startswith('!') else files}/{path})"


readme = (ROOT / "README.md").read_text(encoding="utf-8")
setup(
    long_description=re.sub(r"(!?\[[^]]*\])\((?!https?:|#)([^)]+)\)", absolute, readme),
    long_description_content_type="text/markdown",
    project_urls={
        "Homepage": site,
        "Documentation": site,
        "Source": repository.url,
        "Issues": f"{repository.url}/issues",
        "Changelog": f"{files}/CHANGELOG.md",
    },
)
