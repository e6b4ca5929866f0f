"""The order of the tests, what they need, and fixtures that several files use."""

import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from helpers import ROOT

from ddpm_course.schedules import SCHEDULES, NoiseSchedule, make_schedule

#: The files of Debian's package dataset-fashion-mnist.
FASHION_MNIST = [
    Path("/usr/share/datasets/fashion-mnist") / f"{split}-{content}-ubyte.gz"
    for split in ("train", "t10k")
    for content in ("images-idx3", "labels-idx1")
]


#: Tests that run a whole notebook: with two workers, each goes to the one that is free.
#: The other tests of a file share a worker and what they set up.
ALONE = "test_runs_unfilled_then_solved"

#: Files that take minutes, and begin first.
EARLY = ("test_book_pages", "test_book_witnesses", "test_runs", "test_trained")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: of two workers none has a long file left at the end."""
    items.sort(key=_rank)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _rank(item: pytest.Item) -> int:
    """0 for what takes minutes, 1 for what else is slow, 2 for the rest."""
    if item.name.startswith(ALONE) or item.path.stem in EARLY:
        return 0
    return 1 if item.get_closest_marker("slow") else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For ``--dist loadfile``: by file, but for the tests that stand alone."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            alone = nodeid.partition("::")[2].startswith(ALONE)
            return nodeid if alone else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(params=SCHEDULES)
def schedule(request: pytest.FixtureRequest) -> NoiseSchedule:
    return make_schedule(request.param)


@pytest.fixture
def fashion_mnist_folder(tmp_path: Path) -> Path:
    """A data folder with the real files of Fashion-MNIST; skips without them."""
    if missing := [str(path) for path in FASHION_MNIST if not path.is_file()]:
        pytest.skip(f"needs {missing[0]}, of Debian's package dataset-fashion-mnist")
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for path in FASHION_MNIST:
        (folder / path.name).symlink_to(path)
    return tmp_path


@pytest.fixture(scope="session")
def built_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built HTML; the build fails on any warning.

    Workers share one build. DDPM_SITE, the folder of a site, saves even that one.
    """
    if site := os.environ.get("DDPM_SITE"):
        return Path(site)
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "book"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            _build(folder)
            (folder / "done").touch()
    return folder / "_build" / "html"


def _build(folder: Path) -> None:
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


@pytest.fixture(scope="session")
def pages(built_book: Path) -> list[str]:
    """The paths of the built pages."""
    found = sorted([*built_book.glob("book/*.html"), built_book / "search.html"])
    assert len(found) > 10
    return [path.relative_to(built_book).as_posix() for path in found]


@pytest.fixture(scope="session")
def browser():
    """Chromium, or a skip; only what asks for it needs playwright."""
    from playwright.sync_api import Error, sync_playwright

    program = next(
        filter(
            None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
        ),
        None,
    )
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu"]
            )
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium to look with: {str(error).splitlines()[0]}")
        yield launched
        launched.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site(built_book):
    """The address of the built book, served from this machine."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(built_book))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
