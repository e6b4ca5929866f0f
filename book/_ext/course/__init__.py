"""The few Sphinx hooks that the book needs.

``pages`` makes tables, source notes and the course map, ``student`` the student
notebooks, ``buttons`` leads the reader to them, ``site`` knows the addresses.
``folds`` hides proofs and solutions until they are asked for. ``weight`` keeps pages
light, ``assistive`` within reach of a keyboard and a screen reader. ``meta`` presents
the site to search engines and lost visitors, ``previews`` what links lead to.
``live`` makes places for toys, figures that compute in the browser.
``letters`` numbers pages that aren't chapters.
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

# The ledger and the modules' docstrings are read from the checkout, so that
# ``jupyter-book build .`` works where the package is not installed.
sys.path.insert(0, str(Path(__file__).parents[3]))

from . import (
    assistive,
    buttons,
    folds,
    letters,
    live,
    meta,
    pages,
    previews,
    site,
    student,
    weight,
)


def setup(app: Sphinx) -> dict:
    app.add_directive("notation", pages.NotationTable)
    app.add_directive("concordance", pages.Concordance)
    app.add_directive("source", pages.Source)
    app.add_directive("formula", pages.Formula)
    app.add_directive("course-map", pages.CourseMap)
    app.add_directive("live", live.Live)
    app.add_node(live.Place, html=(live.visit, live.depart))
    app.add_post_transform(folds.Proofs)
    app.add_post_transform(folds.Solutions)
    app.connect("config-inited", site.check)
    app.connect("config-inited", meta.set_address)
    app.connect("config-inited", weight.slim_mathjax)
    app.connect("env-get-updated", letters.renumber, priority=900)  # after Sphinx
    app.connect("html-page-context", live.load)  # before buttons.adapt copies the list
    app.connect("html-page-context", buttons.adapt, priority=900)  # after the theme
    app.connect("html-page-context", assistive.mend)
    app.connect("html-page-context", meta.describe)
    app.connect("build-finished", student.write_all)
    app.connect("build-finished", meta.write_all)
    app.connect("build-finished", previews.keep_all)
    app.connect("build-finished", weight.shrink_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
