"""What an exercise is, and how an answer to it is judged.

An answer is judged by what it evaluates to (``values``): it is right if that is
what the reference evaluates to, and a known mistake is recognised because the
answer evaluates to the same as the mistaken one. No form is preferred.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_course.exercises.values import Trouble, Values, describe, evaluate


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people do give: its name, itself, and what helps."""

    name: str
    answer: Any
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One exercise: ``answer`` is compared with ``reference``, then the mistakes.

    ``reference`` is a SymPy expression, a number, an array or a function, which is
    run on each tuple of arguments in ``inputs``. ``meaning`` is said of a right
    answer, ``hint`` of a wrong one that is not recognised. ``accepted`` holds right
    answers in other forms, for the tests.
    """

    number: str
    title: str
    difficulty: str
    minutes: int
    reference: Any
    meaning: str
    hint: str
    mistakes: tuple[Mistake, ...]
    accepted: tuple[Any, ...] = ()
    inputs: tuple[tuple, ...] = ()


def examine(exercise: Exercise, answer: Any) -> tuple[bool, str]:
    """Whether the answer is right, and the text to print. Never raises."""
    try:
        correct, text = _judge(exercise, answer)
    except Trouble as trouble:
        correct, text = False, str(trouble)
    except Exception as error:  # whatever an answer does, a student sees a sentence
        correct, text = (
            False,
            f"your answer cannot be read ({type(error).__name__}, from a "
            f"{type(answer).__name__}).",
        )
    if correct:
        return True, f"{exercise.number}: correct. {exercise.meaning}"
    if not text:
        return False, (
            f"{exercise.number}: not attempted yet. Put your answer in the place of "
            "the three dots, run that cell, then this one."
        )
    return False, f"{exercise.number}: not yet. {text[0].upper()}{text[1:]}"


def _judge(exercise: Exercise, answer: Any) -> tuple[bool, str]:
    """(True, "") if right, (False, a hint) if not, (False, "") if not attempted."""
    kind, inputs = exercise.reference, exercise.inputs
    if answer is ...:
        return False, ""
    got = evaluate(kind, answer, inputs)
    if any(one is ... for one in got):
        return False, ""
    want = evaluate(kind, exercise.reference, inputs)
    if all(map(agree, got, want)):
        return True, ""
    for mistake in exercise.mistakes:
        if all(map(agree, got, evaluate(kind, mistake.answer, inputs))):
            return False, mistake.hint
    return False, _diagnose(exercise, got, want)


def agree(left: Values | Trouble, right: Values | Trouble) -> bool:
    """Equal but for rounding; two calls that fail agree if they fail alike."""
    if isinstance(left, Trouble) or isinstance(right, Trouble):
        return (
            isinstance(left, Trouble)
            and isinstance(right, Trouble)
            and left.kind == right.kind
        )
    mine = left.array
    if mine.size == right.array.size == 1:  # one number, whatever its axes
        mine = mine.reshape(right.array.shape)
    if mine.shape != right.array.shape:
        return False
    whole = right.dtype.startswith("int")  # a count has no rounding to forgive
    rtol = 1e-5 if whole else max(left.rtol, right.rtol)
    scale = np.abs(right.array[np.isfinite(right.array)]).max(initial=0)
    # a mistake may give nan somewhere, and is then known by it; a reference never does
    return np.allclose(
        mine, right.array, rtol=rtol, atol=0.1 * rtol * scale, equal_nan=True
    )


def _diagnose(exercise: Exercise, got: list, want: list) -> str:
    """What can be said of a wrong answer that is no known mistake."""
    wrong = [i for i in range(len(got)) if not agree(got[i], want[i])]
    places = {
        i: describe(exercise.reference, exercise.inputs[i : i + 1]) for i in wrong
    }
    for i, place in places.items():
        if isinstance(got[i], Trouble):
            return f"{place}{got[i]}"
        mine, right = got[i].array, want[i].array
        if mine.shape != right.shape:
            return f"{place}your answer has shape {mine.shape}, expected {right.shape}."
        if not np.isfinite(mine).all():
            return f"{place}your answer contains nan or inf. {exercise.hint}"
    if got[0].dtype.startswith("int") and not want[0].dtype.startswith("int"):
        return (
            f"your answer has dtype {got[0].dtype}, which keeps whole numbers only: "
            "use float32 or float64."
        )
    factor = _factor(got, want)
    if factor is not None and np.isclose(factor, -1):
        return "right but for the sign: yours is flipped."
    if factor is not None:
        return f"right up to a constant factor: yours is {factor:.4g} times as large."
    if len(wrong) < len(got):
        return (
            f"{places[wrong[0]]}your answer is off; it is right in "
            f"{len(got) - len(wrong)} of {len(got)} trials. {exercise.hint}"
        )
    return exercise.hint


def _factor(got: list[Values], want: list[Values]) -> float | None:
    """c if the answer is c times the right one; of a single number, only -1."""
    mine = np.concatenate([one.array.ravel() for one in got])
    right = np.concatenate([one.array.ravel() for one in want])
    if not (right @ right and mine @ mine):
        return None
    factor = float(mine @ right / (right @ right))
    if mine.size == 1 and not np.isclose(factor, -1):
        return None
    rtol = max(one.rtol for one in got)
    close = np.allclose(mine, factor * right, rtol=rtol, atol=rtol * np.abs(mine).max())
    return factor if close else None
