"""The exercises: ``check("1.2", answer)`` tells whether an answer is right.

``use("B.2", answer)`` does the same, and returns the answer if it is right, else ours.

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

#: The module of each group of exercises: chapters have numbers, other pages letters.
GROUPS = {str(chapter): f"chapter_{chapter}" for chapter in CHAPTERS}
GROUPS |= {"B": "build", "F": "find_the_bug"}


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
    _tell(number, answer)


def use(number: str, answer: Any) -> Any:
    """``check`` an answer; what follows in the notebook goes on with the result.

    Args:
        number, answer: As in ``check``.

    Returns:
        The answer itself if it is right, else the reference.

    Raises:
        AssertionError: As ``check`` does.
        KeyError: If there is no such exercise.
    """
    correct = _tell(number, answer)
    ours = "Going on with ours until yours is right."
    print("Going on with your own." if correct else ours)
    return answer if correct else reference(number)


def _tell(number: str, answer: Any) -> bool:
    """Print whether an answer is right, or a hint; in strict mode raise that."""
    try:
        correct, text = examine(find(number), answer)
    except KeyError as error:
        correct, text = False, error.args[0]
    text = textwrap.fill(text, 79, break_long_words=False, break_on_hyphens=False)
    if os.environ.get("DDPM_STRICT") == "1" and not correct:
        raise AssertionError(text)
    print(text)
    return correct


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
    group = str(number).partition(".")[0]
    exercises = in_chapter(group) if group in GROUPS else {}
    if str(number) not in exercises:
        known = ", ".join(n for group in GROUPS for n in in_chapter(group))
        raise KeyError(
            f"{number}: there is no such exercise. Write the number as a string, "
            f"one of {known}."
        )
    return exercises[str(number)]


def in_chapter(chapter: int | str) -> dict[str, Exercise]:
    """The exercises of a chapter, or of a page with a letter, by number."""
    module = import_module(f"ddpm_course.exercises.{GROUPS[str(chapter)]}")
    return {exercise.number: exercise for exercise in module.EXERCISES}
