"""Where a solution is, and what it is."""

import inspect
from importlib import metadata
from typing import Any

import sympy as sp

from ddpm_course.exercises import expressions

#: So many wrong answers, and there is a link to the solution.
ENOUGH = 3

#: The page of each group of exercises, for the links.
PAGES = {
    "1": "01_forward_process",
    "2": "02_elbo",
    "3": "03_posterior_mean",
    "4": "04_x0_and_noise",
    "5": "05_unet",
    "6": "06_training",
    "7": "07_sampling",
    "8": "08_fewer_steps",
    "B": "build_your_own",
    "F": "find_the_bug",
}


def link(number: str) -> str:
    """A sentence that says where the solution of an exercise is."""
    place = ""
    if page := PAGES.get(number.partition(".")[0]):
        label = number.lower().replace(".", "-")
        place = f" {_site()}book/{page}.html#ex-{label},"
    return (
        f"The solution is below the exercise,{place} or in "
        f'ddpm_course.exercises.solution("{number}").'
    )


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
