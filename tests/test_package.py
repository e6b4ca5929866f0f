"""The package as it is published: what is in it, what it says of itself."""

import configparser
import email
import fnmatch
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

import ddpm_course

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from course import site

#: What is not of the checkout, or not of use to a build.
JUNK = (".*", "_build", "build", "dist", "*.egg-info", "__pycache__", "bench")

BUILD = """
import sys
sys.modules["torch"] = None  # the version is read without it
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PYPROJECT = tomllib.loads(text("pyproject.toml"))


class Built:
    """A source distribution, and the wheel that was built from it alone."""

    def __init__(self, folder: Path) -> None:
        self.said = ""
        self.checkout = folder / "checkout"
        ignore = shutil.ignore_patterns(*JUNK)
        shutil.copytree(ROOT, self.checkout, ignore=ignore)
        with tarfile.open(self._run("build_sdist", self.checkout, folder)) as sdist:
            self.sdist = {name.partition("/")[2] for name in sdist.getnames()}
            # Python 3.11 before 3.11.4 knows no filter
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            sdist.extractall(folder / "source", **safely)
        (source,) = (folder / "source").iterdir()
        with zipfile.ZipFile(self._run("build_wheel", source, folder)) as wheel:
            self.wheel = set(wheel.namelist())
            info = f"ddpm_course-{ddpm_course.__version__}.dist-info"
            self.metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
            self.entry_points = wheel.read(f"{info}/entry_points.txt").decode()

    def _run(self, hook: str, source: Path, out: Path) -> Path:
        command = [sys.executable, "-W", "error", "-c", BUILD, hook, str(out)]
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(
            command, cwd=source, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.said += done.stdout + done.stderr
        return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    return Built(tmp_path_factory.mktemp("built"))


@pytest.mark.slow
def test_the_build_warns_of_nothing(built):
    assert not [line for line in built.said.splitlines() if "warn" in line.lower()]


@pytest.mark.slow
def test_the_wheel_holds_the_whole_package_and_nothing_else(built):
    package = {
        path.relative_to(built.checkout).as_posix()
        for path in (built.checkout / "ddpm_course").rglob("*")
        if path.is_file()
    }
    assert {name for name in built.wheel if ".dist-info/" not in name} == package
    assert "ddpm_course/py.typed" in package
    assert "ddpm_course/weights/fashion_mnist.pt" in package
    assert fnmatch.filter(package, "ddpm_course/lab/*.py")


@pytest.mark.slow
def test_the_source_distribution_needs_nothing_else_and_has_no_tests(built):
    assert {"_config.yml", "setup.py", "README.md", "LICENSE"} <= built.sdist
    assert "CHANGELOG.md" in built.sdist
    assert not fnmatch.filter(built.sdist, "tests*")


@pytest.mark.slow
def test_the_addresses_are_those_of_config(built):
    config = yaml.safe_load(text("_config.yml"))
    repository = site.parse(config["repository"]["url"])
    branch = config["repository"]["branch"]
    urls = dict(u.split(", ", 1) for u in built.metadata.get_all("Project-URL"))
    assert urls == {
        "Homepage": repository.pages,
        "Documentation": repository.pages,
        "Source": repository.url,
        "Issues": f"{repository.url}/issues",
        "Changelog": f"{repository.url}/blob/{branch}/CHANGELOG.md",
    }
    written = "".join(text(name) for name in ("pyproject.toml", "setup.py"))
    assert repository.owner not in written


@pytest.mark.slow
def test_the_readme_has_no_link_that_leads_nowhere_on_pypi(built):
    """PyPI resolves no relative address."""
    links = re.compile(r"(!?)\[[^]]*\]\(([^)]*)\)")
    here = links.findall(text("README.md"))
    there = links.findall(built.metadata.get_payload())
    assert len(there) == len(here) > 3
    assert built.metadata["Description-Content-Type"].startswith("text/markdown")
    branch = yaml.safe_load(text("_config.yml"))["repository"]["branch"]
    for (picture, relative), (_, absolute) in zip(here, there, strict=True):
        assert absolute.startswith(("https://", "#"))
        if relative != absolute:
            assert (ROOT / relative).is_file()
            host = "raw.githubusercontent.com" if picture else "github.com"
            assert absolute.startswith(f"https://{host}/")
            assert absolute.endswith(f"/{branch}/{relative}")


@pytest.mark.slow
def test_the_command_is_installed(built):
    found = configparser.ConfigParser()
    found.read_string(built.entry_points)
    module, _, name = found["console_scripts"]["ddpm-course"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.slow
def test_what_the_package_says_of_itself(built):
    assert built.metadata["Version"] == ddpm_course.__version__
    assert built.metadata["License-Expression"] == "MIT"
    assert built.metadata.get_all("License-File") == ["LICENSE"]
    assert built.metadata["Keywords"]
    classifiers = built.metadata.get_all("Classifier")
    assert "Typing :: Typed" in classifiers
    oldest = built.metadata["Requires-Python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {oldest}" in classifiers


# --- said once, or the same everywhere --------------------------------------------


def test_version_and_date_agree():
    citation = yaml.safe_load(text("CITATION.cff"))
    release = re.search(r"^## \[?(\d[\w.]*)\]? - (\S+)$", text("CHANGELOG.md"), re.M)
    assert release[1] == citation["version"] == ddpm_course.__version__
    assert release[2] == str(citation["date-released"])
    assert "version" not in PYPROJECT["project"]


def test_licenses_are_their_plain_text_so_that_tools_recognize_them():
    mit, by = text("LICENSE"), text("LICENSE-CC-BY-4.0")
    assert mit.startswith("MIT License\n\nCopyright (c) 2026 ")
    assert mit.endswith("OTHER DEALINGS IN THE\nSOFTWARE.\n")
    assert by.startswith("Attribution 4.0 International\n\n====")
    assert by.endswith("Creative Commons may be contacted at creativecommons.org.\n")
    assert yaml.safe_load(text("CITATION.cff"))["license"] == ["MIT", "CC-BY-4.0"]


def test_pythons_that_are_promised_are_tested():
    prefix = "Programming Language :: Python :: 3."
    promised = [
        c.removeprefix(prefix)
        for c in PYPROJECT["project"]["classifiers"]
        if c.startswith(prefix)
    ]
    workflow = yaml.safe_load(text(".github/workflows/course.yml"))
    tested = workflow["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert [f"3.{minor}" for minor in promised] == tested


def test_hooks_use_the_tools_that_the_tests_use():
    hooks = text(".pre-commit-config.yaml")
    pins = set(re.findall(r"\bruff==[\d.]+", hooks))
    assert pins == {
        line for line in text("constraints.txt").split() if line.startswith("ruff==")
    }
    repos = yaml.safe_load(hooks)["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}


def test_the_readme_names_the_two_commands():
    for session in ("book", "tests"):
        assert f"\npip install nox && nox -s {session}\n" in text("README.md")
