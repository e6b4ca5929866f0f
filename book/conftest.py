"""For ``pytest --nbval book/``: see ``tests/chapters.py``."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(parent):
    """Collect notebooks as ``Chapter``, which looks at figures and exercises, too."""
    collected = yield
    if not parent.config.option.nbval:
        return collected
    from chapters import Chapter

    return [Chapter.from_parent(parent, path=file.path) for file in collected]
