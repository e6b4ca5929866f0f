"""The exercises: ``check("1.2", answer)`` tells whether an answer is right.

The exercises are data, in one module per chapter: for each, the reference and the
well-known mistakes, with a hint for every mistake. A chapter is loaded when you ask for
one of its exercises.
"""

import os
import textwrap
from importlib import import_module
from typing import Any

from ddpm_course.equations import CHAPTERS
from ddpm_course.exercises.checker import Exercise, examine


def check(number: str, answer: Any) -> None:
    """Print whether an answer is right, or a hint.

    Args:
        number: The number of the exercise, such as "1.2".
        answer: What the exercise asks for: a SymPy expression, a number, an array or
            tensor, or a function. ``...`` means "not attempted yet".

    Raises:
        AssertionError: Only if the environment variable DDPM_STRICT is 1, with the text
            that is otherwise printed, for anything but a right answer.
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
    """The answer that ``check`` compares with.

    Args:
        number: The number of the exercise, such as "1.2".

    Returns:
        An expression, number, array or function, as the exercise asks.

    Raises:
        KeyError: If there is no such exercise.
    """
    return find(number).reference


def find(number: str) -> Exercise:
    """The exercise with this number. Raises KeyError, listing the known ones."""
    chapter = str(number).partition(".")[0]
    exercises = in_chapter(chapter) if chapter in map(str, CHAPTERS) else {}
    if str(number) not in exercises:
        known = ", ".join(n for c in CHAPTERS for n in in_chapter(c))
        raise KeyError(
            f"{number}: there is no such exercise. Write the number as a string, "
            f"one of {known}."
        )
    return exercises[str(number)]


def in_chapter(chapter: int | str) -> dict[str, Exercise]:
    """The exercises of a chapter, by number."""
    module = import_module(f"ddpm_course.exercises.chapter_{chapter}")
    return {exercise.number: exercise for exercise in module.EXERCISES}
