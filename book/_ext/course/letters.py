"""Pages with a letter in place of a chapter's number: "Exercise B.1", "Figure F.2"."""

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

#: Of the pages that have one. Their exercises are checked by the same letter.
LETTERS = {"book/build_your_own": "B", "book/find_the_bug": "F"}


def renumber(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Count figures, equations and exercises anew on each of these pages.

    Comes after Sphinx has numbered everything; returns the pages, to be written.
    """
    changed = [name for name in LETTERS if name in env.toc_fignumbers]
    for name in changed:
        for numbers in env.toc_fignumbers[name].values():
            for n, anchor in enumerate(numbers, start=1):
                numbers[anchor] = (LETTERS[name], n)
    return changed
