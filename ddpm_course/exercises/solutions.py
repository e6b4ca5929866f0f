"""Where a solution is, and what it is."""

import inspect
from importlib import metadata
from typing import Any, NamedTuple

import sympy as sp

from ddpm_course.exercises import expressions

#: So many wrong answers, and there is a link to the solution.
ENOUGH = 3


class Group(NamedTuple):
    """Where a group of exercises is: its module here, and its page in the book."""

    module: str
    page: str


#: The groups of exercises: chapters have numbers, other pages letters.
GROUPS = {
    "1": Group("chapter_1", "01_forward_process"),
    "2": Group("chapter_2", "02_elbo"),
    "3": Group("chapter_3", "03_posterior_mean"),
    "4": Group("chapter_4", "04_x0_and_noise"),
    "5": Group("chapter_5", "05_unet"),
    "6": Group("chapter_6", "06_training"),
    "7": Group("chapter_7", "07_sampling"),
    "8": Group("chapter_8", "08_fewer_steps"),
    "9": Group("chapter_9", "09_guidance"),
    "B": Group("build", "build_your_own"),
    "F": Group("find_the_bug", "find_the_bug"),
}


def link(number: str) -> str:
    """A sentence that says where the solution of an exercise is."""
    place = ""
    if group := GROUPS.get(number.partition(".")[0]):
        label = number.lower().replace(".", "-")
        place = f" {_site()}book/{group.page}.html#ex-{label},"
    return f'The solution is below the exercise,{place} or in solution("{number}").'


def _site() -> str:
    """The address of the book, as the installed package knows it."""
    try:
        urls = metadata.metadata("ddpm_course").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return named.get("Documentation", "")


def source(reference: Any) -> str:
    """A reference as code: a function's source, an expression, or a number."""
    if isinstance(reference, sp.Expr):
        return expressions.text(reference)
    if isinstance(reference, tuple):
        return "\n\n".join(map(source, reference))
    if not callable(reference):
        return str(reference)
    try:
        return inspect.getsource(reference)
    except (OSError, TypeError):
        return "The solution is below the exercise, in the book."
