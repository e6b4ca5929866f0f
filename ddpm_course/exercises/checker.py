"""What an exercise is, and how an answer is judged.

Only what an answer evaluates to counts (see ``values``), not its form. It is right if
it evaluates to the same as the reference, and a known mistake if it evaluates to the
same as that mistake.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_course.exercises.values import Trouble, Values, describe, evaluate


@dataclass(frozen=True)
class Mistake:
    """A common wrong answer, and a hint that helps."""

    answer: Any
    hint: str


@dataclass(frozen=True)
class Exercise:
    """An exercise: an answer is compared with the reference, then with the mistakes.

    Args:
        number: Such as "1.2".
        title: As in the chapter.
        difficulty: "easy", "medium" or "hard".
        minutes: About how long it takes.
        reference: A SymPy expression, a number, an array or a function.
        meaning: What a right answer says, printed with it.
        hint: Printed for a wrong answer that is no known mistake.
        mistakes: The known mistakes, by name.
        inputs: If the reference is a function: tuples of arguments to run it on.
    """

    number: str
    title: str
    difficulty: str
    minutes: int
    reference: Any
    meaning: str
    hint: str
    mistakes: dict[str, Mistake]
    inputs: tuple[tuple, ...] = ()


def examine(exercise: Exercise, answer: Any) -> tuple[bool, str]:
    """Judge an answer. Never raises.

    Args:
        exercise: The exercise.
        answer: Anything.

    Returns:
        Whether the answer is right, and the text to print.
    """
    try:
        correct, text = _judge(exercise, answer)
    except Trouble as trouble:
        correct, text = False, str(trouble)
    except Exception as error:  # whatever an answer does, the student gets a sentence
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
    """(True, "") if right, (False, hint) if wrong, (False, "") if not attempted."""
    kind, inputs = exercise.reference, exercise.inputs
    if answer is ...:
        return False, ""
    got = evaluate(kind, answer, inputs)
    if any(one is ... for one in got):
        return False, ""
    want = evaluate(kind, exercise.reference, inputs)
    if all(map(agree, got, want)):
        return True, ""
    for mistake in exercise.mistakes.values():
        if all(map(agree, got, evaluate(kind, mistake.answer, inputs))):
            return False, mistake.hint
    return False, _diagnose(exercise, got, want)


def agree(left: Values | Trouble, right: Values | Trouble) -> bool:
    """Equal up to rounding. Two calls that fail agree if they fail in the same way."""
    if isinstance(left, Trouble) or isinstance(right, Trouble):
        return (
            isinstance(left, Trouble)
            and isinstance(right, Trouble)
            and left.kind == right.kind
        )
    mine = left.array
    if mine.size == right.array.size == 1:  # one number, of any shape
        mine = mine.reshape(right.array.shape)
    if mine.shape != right.array.shape:
        return False
    whole = right.dtype.startswith("int")  # a count allows no rounding
    rtol = 1e-5 if whole else max(left.rtol, right.rtol)
    scale = np.abs(right.array[np.isfinite(right.array)]).max(initial=0)
    # a mistake may give nan somewhere and is recognized by it; a reference never does
    return np.allclose(mine, right.array, rtol=rtol, atol=rtol * scale, equal_nan=True)


def _diagnose(exercise: Exercise, got: list, want: list) -> str:
    """What to say about a wrong answer that is no known mistake."""
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
            f"your answer has dtype {got[0].dtype}, which holds only whole numbers: "
            "use float32 or float64."
        )
    factor = _factor(got, want)
    if factor is not None and np.isclose(factor, -1):
        return "right except for the sign: yours is flipped."
    if factor is not None:
        return f"right up to a constant factor: yours is {factor:.4g} times as large."
    if len(wrong) < len(got):
        return (
            f"{places[wrong[0]]}your answer is off; it is right in "
            f"{len(got) - len(wrong)} of {len(got)} trials. {exercise.hint}"
        )
    return exercise.hint


def _factor(got: list[Values], want: list[Values]) -> float | None:
    """c if the answer is c times the right one; for a single number, only -1."""
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
