"""The exercises: ``check("1.2", answer)`` says whether an answer is right.

One module a chapter, ``chapter_N``, holds the exercises as data: the reference,
the well-known mistakes with a hint for each. A chapter is loaded when one of its
exercises is asked for.
"""

import os
import pkgutil
import textwrap
from importlib import import_module
from typing import Any

from ddpm_course.exercises.checker import Exercise, examine


def check(number: str, answer: Any) -> None:
    """Print whether ``answer`` to exercise ``number`` ("1.2") is right, or a hint.

    An answer is a SymPy expression, a number, an array or a tensor, or a function,
    as the exercise asks; ``...`` means not attempted yet. Never raises, unless the
    environment variable DDPM_STRICT is 1: then everything but a right answer
    raises AssertionError with the text that is printed otherwise.
    """
    try:
        correct, text = examine(find(number), answer)
    except KeyError as error:
        correct, text = False, error.args[0]
    text = textwrap.fill(text, 79, break_long_words=False, break_on_hyphens=False)
    if os.environ.get("DDPM_STRICT") == "1" and not correct:
        raise AssertionError(text)
    print(text)


def reference(number: str) -> Any:
    """The answer that exercise ``number`` is compared with.

    Raises KeyError for an unknown number.
    """
    return find(number).reference


def find(number: str) -> Exercise:
    """The exercise ``number``. Raises KeyError, naming the known ones."""
    chapter = str(number).partition(".")[0]
    exercises = _of_chapter(chapter) if chapter in chapters() else {}
    if str(number) not in exercises:
        known = ", ".join(n for c in chapters() for n in _of_chapter(c))
        raise KeyError(
            f"{number}: there is no such exercise. Write the number as a string, "
            f"one of {known}."
        )
    return exercises[str(number)]


def chapters() -> list[str]:
    """The numbers of the chapters that have exercises."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    numbers = (n.removeprefix("chapter_") for n in names if n.startswith("chapter_"))
    return sorted(numbers, key=int)


def _of_chapter(chapter: str) -> dict[str, Exercise]:
    module = import_module(f"ddpm_course.exercises.chapter_{chapter}")
    return {exercise.number: exercise for exercise in module.EXERCISES}
