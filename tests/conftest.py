"""The order of the tests, and the book, built once for those that look at it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow ones first: of two workers none has a long file left at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def built_book(tmp_path_factory) -> Path:
    """The folder of the built HTML; the build fails on any warning."""
    folder = tmp_path_factory.mktemp("book")
    program = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    command = [program, "build", ROOT, "--all", "-W", "--keep-going"]
    done = subprocess.run(
        [*command, "--path-output", folder],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "_build" / "html"
