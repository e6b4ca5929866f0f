"""The exercises: ``check("1.2", answer)`` tells whether an answer is right.

``use("B.2", answer)`` does the same, and returns the answer if it is right, else ours.
``hint`` and ``solution`` help, and ``progress`` says what is left.

The exercises are data, in one module per chapter: for each, the reference and the
well-known mistakes, with a hint for every mistake. A chapter is loaded when you ask for
one of its exercises.
"""

import difflib
import os
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ddpm_course.exercises import record, session
from ddpm_course.exercises.checker import Exercise, Verdict, judge
from ddpm_course.exercises.solutions import GROUPS


def check(
    number: str, answer: Any, hint: int | None = None, seconds: float = 20.0
) -> None:
    """Print whether an answer is right, or a hint.

    A well-known mistake is named at once. Of any other wrong answers, the first gets a
    nudge, the second something specific, and the third the smallest case in which it
    fails, with the place of the solution. The same answer again gets the same again.

    Args:
        number: The number of the exercise, such as "1.2".
        answer: What the exercise asks for: a SymPy expression, a number, an array or
            tensor, or a function. ``...`` means "not attempted yet".
        hint: The level of help, 1, 2 or 3, if you don't want to wait for it.
        seconds: The time limit. It can't stop a single long call of a library that is
            written in C before that call ends.

    Raises:
        AssertionError: Only if the environment variable DDPM_STRICT is 1, with the text
            that is otherwise printed, for anything but a right answer.
    """
    _tell(number, answer, hint, seconds)


def use(
    number: str, answer: Any, hint: int | None = None, seconds: float = 20.0
) -> Any:
    """``check`` an answer; what follows in the notebook goes on with the result.

    Args:
        number, answer, hint, seconds: As in ``check``.

    Returns:
        The answer itself if it is right and later cells can work with it, else the
        reference.

    Raises:
        AssertionError: As ``check`` does.
        KeyError: If there is no such exercise.
    """
    verdict = _tell(number, answer, hint, seconds)
    if verdict.state != "right":
        print("Going on with ours until yours is right.")
    elif verdict.unfit:
        print(session.wrapped(f"Going on with ours: {verdict.unfit}."))
    else:
        print("Going on with your own.")
        return answer
    return reference(number)


def _tell(number: str, answer: Any, hint: int | None, seconds: float) -> Verdict:
    """Print whether an answer is right, or a hint; in strict mode raise that."""
    try:
        exercise = find(number)
    except KeyError as error:
        verdict, text = Verdict("open"), error.args[0]
    else:
        verdict = judge(exercise, answer, seconds)
        text = session.answer_to(exercise, verdict, hint)
    text = session.wrapped(text)
    if os.environ.get("DDPM_STRICT") == "1" and verdict.state != "right":
        raise AssertionError(text)
    print(text)
    return verdict


def hint(number: str, level: int | None = None) -> None:
    """Print the next hint for your last answer.

    Args:
        number: The number of the exercise, such as "1.2".
        level: 1 a nudge, 2 something specific, 3 the smallest failing case. If None,
            one more than you have seen.
    """
    _print(number, lambda one: session.wrapped(session.next_hint(one, level)))


def solution(number: str) -> None:
    """Print a solution, once you have solved the exercise or tried it three times.

    Args:
        number: The number of the exercise, such as "1.2".
    """
    _print(number, session.solution)


def progress() -> record.Progress:
    """Which exercises you have solved or tried, and how many minutes are left.

    It is kept in ``~/.ddpm_course/progress.json``, which you may delete. The variable
    DDPM_PROGRESS of the environment names another file; if it is empty, nothing is
    kept.

    Returns:
        A picture in a notebook, text elsewhere: ``print(progress())``.
    """
    return record.Progress({group: [*in_chapter(group).values()] for group in GROUPS})


def _print(number: str, say: Callable[[Exercise], str]) -> None:
    """Print what there is to say about an exercise, or that there is none."""
    try:
        text = say(find(number))
    except KeyError as error:
        text = session.wrapped(error.args[0])
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
    """The exercise with this number. Raises KeyError, naming those that are near."""
    group = str(number).partition(".")[0]
    exercises = in_chapter(group) if group in GROUPS else {}
    if str(number) not in exercises:
        raise KeyError(f"{number}: there is no such exercise. {_meant(str(number))}")
    return exercises[str(number)]


def _meant(number: str) -> str:
    """Which exercise may be meant by a number that is none."""
    known = [n for group in GROUPS for n in in_chapter(group)]
    usual = re.sub("[^0-9A-Z]+", ".", number.upper())
    if near := difflib.get_close_matches(usual, known, n=1, cutoff=0.8):
        return f'Did you mean "{near[0]}"?'
    return f"Write the number as a string, one of {', '.join(known)}."


def in_chapter(chapter: int | str) -> dict[str, Exercise]:
    """The exercises of a chapter, or of a page with a letter, by number."""
    module = import_module(f"ddpm_course.exercises.{GROUPS[str(chapter)].module}")
    return {exercise.number: exercise for exercise in module.EXERCISES}
