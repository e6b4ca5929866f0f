"""The help that an attempt gets, one level after the other."""

import textwrap
from collections.abc import Hashable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from ddpm_course.exercises import record
from ddpm_course.exercises.checker import Exercise, Verdict
from ddpm_course.exercises.solutions import ENOUGH, link, source

#: What is said at most: a nudge, something specific, the smallest failing case.
LEVELS = (1, 2, 3)


@dataclass
class Help:
    """What this session has said about an exercise. Attempts are in the record.

    Args:
        last: The verdict on the last attempt.
        unknown: What the wrong answers without a name evaluate to. Each new one gets
            the next level.
        level: The level of what was said last.
        linked: Whether the way to the solution was shown.
        imported: Whether the import of ``hint`` and ``solution`` was shown.
    """

    last: Verdict | None = None
    unknown: set[Hashable] = field(default_factory=set)
    level: int = 0
    linked: bool = False
    imported: bool = False


HELP: dict[str, Help] = {}


def of(exercise: Exercise) -> Help:
    """The help with an exercise so far."""
    return HELP.setdefault(exercise.number, Help())


def told(exercise: Exercise, verdict: Verdict, level: int = 1) -> str:
    """A verdict in words."""
    return f"{exercise.number}: {'not yet. ' * verdict.wrong}{verdict.say(level)}"


def answer_to(exercise: Exercise, verdict: Verdict, level: Any) -> str:
    """Record an attempt, and say what its level of help says."""
    if verdict.state == "open":
        return told(exercise, verdict)
    record.note(exercise.number, verdict.state == "right")
    so_far = of(exercise)
    again = so_far.last is not None and so_far.last.values == verdict.values
    so_far.last = verdict
    if verdict.state == "right":
        return told(exercise, verdict)
    if verdict.state == "known":
        so_far.level = LEVELS[0]
    elif not again:
        so_far.unknown.add(verdict.values)
        so_far.level = min(len(so_far.unknown), LEVELS[-1])
    text, more = _at_level(exercise, verdict, level, so_far.level)
    if more and not any(one.imported for one in HELP.values()):
        so_far.imported = True
        more += (
            "\nImport it first:\n    from ddpm_course.exercises import hint, solution"
        )
    return f"{text}{more}"


def next_hint(exercise: Exercise, level: Any) -> str:
    """The next level of help for the last wrong answer, or the exercise's own hint."""
    so_far, number = of(exercise), exercise.number
    if so_far.last is None:
        return (
            f"{number}: {exercise.hint}\nRun the check on a wrong answer for a more "
            "specific hint."
        )
    if so_far.last.state == "right":
        return f'{number}: you have solved it. solution("{number}") shows ours.'
    own = min(so_far.level + 1, LEVELS[-1])
    return "".join(_at_level(exercise, so_far.last, level, own))


def _at_level(
    exercise: Exercise, verdict: Verdict, wanted: Any, own: int
) -> tuple[str, str]:
    """What a verdict says at the wanted or its own level, and where to find more."""
    so_far, number = of(exercise), exercise.number
    valid = isinstance(wanted, Real) and wanted in LEVELS
    so_far.level = int(wanted) if valid else own
    text, more = told(exercise, verdict, so_far.level), ""
    if wanted is not None and not valid:
        text += "\nThere is no such level of help: the levels are 1, 2 and 3."
    if verdict.state == "unknown" and so_far.level < LEVELS[-1]:
        more += f'\nFor more help run hint("{number}").'
    if so_far.level == LEVELS[-1] or record.of(number)["tries"] >= ENOUGH:
        so_far.linked = True
        more += f"\n{link(number)}"
    return text, more


def solution(exercise: Exercise) -> str:
    """A solution, after a right answer or enough wrong ones."""
    number, kept = exercise.number, record.of(exercise.number)
    left = ENOUGH - kept["tries"]
    if kept["solved"] or left <= 0 or of(exercise).linked:
        return source(exercise.reference)
    return wrapped(
        f"{number}: after {left} more wrong answer{'s' * (left > 1)}, or a right one, "
        f'this shows a solution. Until then: hint("{number}").'
    )


def wrapped(text: str) -> str:
    """The text in lines of at most 79 characters; indented lines stay as they are."""
    return "\n".join(
        line
        if line.startswith(" ")
        else textwrap.fill(line, 79, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )
