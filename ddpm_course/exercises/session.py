"""The attempts of this session, and the text that an attempt gets."""

import textwrap
from dataclasses import dataclass

from ddpm_course.exercises.checker import Exercise, Verdict
from ddpm_course.exercises.solutions import ENOUGH, link, source

#: What is said at most: a nudge, something specific, the smallest failing case.
LEVELS = (1, 2, 3)


@dataclass
class Attempts:
    """What this session knows of an exercise."""

    wrong: int = 0
    right: bool = False
    level: int = 0
    last: Verdict | None = None


ATTEMPTS: dict[str, Attempts] = {}


def of(exercise: Exercise) -> Attempts:
    """The attempts at an exercise so far."""
    return ATTEMPTS.setdefault(exercise.number, Attempts())


def answer_to(exercise: Exercise, verdict: Verdict, level: int | None) -> str:
    """Count an attempt, and say what its level of help says."""
    attempts = of(exercise)
    attempts.wrong += verdict.wrong
    attempts.right |= verdict.state == "right"
    if not verdict.wrong:
        return verdict.say(1)
    attempts.last = verdict
    attempts.level = level if level in LEVELS else min(attempts.wrong, LEVELS[-1])
    text = verdict.say(attempts.level)
    if attempts.level == LEVELS[-1] or attempts.wrong >= ENOUGH:
        return f"{text}\n{link(exercise.number)}"
    if verdict.state == "unknown":
        return f'{text}\nFor more help run hint("{exercise.number}").'
    return text


def next_hint(exercise: Exercise, level: int | None) -> str:
    """The next level of help for the last wrong answer, or the exercise's own hint."""
    attempts = of(exercise)
    if attempts.last is None:
        return (
            f"{exercise.number}: {exercise.hint}\nRun the check on a wrong answer for "
            "a more specific hint."
        )
    attempts.level = level if level in LEVELS else min(attempts.level + 1, LEVELS[-1])
    return attempts.last.say(attempts.level)


def solution(exercise: Exercise) -> str:
    """A solution, after a right answer or enough wrong ones."""
    attempts = of(exercise)
    if attempts.right or attempts.wrong >= ENOUGH:
        return source(exercise.reference)
    left = ENOUGH - attempts.wrong
    return wrapped(
        f"{exercise.number}: after {left} more wrong answer{'s' * (left > 1)}, or a "
        f'right one, this shows a solution. Until then: hint("{exercise.number}").'
    )


def wrapped(text: str) -> str:
    """The text in lines of at most 79 characters; indented lines stay as they are."""
    return "\n".join(
        line
        if line.startswith(" ")
        else textwrap.fill(line, 79, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )
