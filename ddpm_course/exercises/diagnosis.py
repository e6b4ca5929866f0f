"""What to say about a wrong answer that is no known mistake.

Some things are said at once: what the form of the answer tells (a shape, a dtype, an
exception), a flipped sign, a constant factor. Otherwise the help comes in three levels:
the exercise's own hint, where the answer is right and where not, and the smallest case
in which it fails.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from ddpm_course import equations as eq
from ddpm_course.exercises import expressions
from ddpm_course.exercises.literals import assignments, indented, literal, size
from ddpm_course.exercises.time_limit import TimeUp, within
from ddpm_course.exercises.trouble import Trouble
from ddpm_course.exercises.values import Values, agree, close, parameters


@dataclass(frozen=True)
class Case:
    """A wrong answer, and what it and the reference evaluate to in each trial."""

    exercise: Any
    answer: Any
    got: list
    want: list[Values]
    scale: float

    @property
    def failing(self) -> list[int]:
        """The trials in which the answer is wrong, the smallest first."""
        inputs = self.exercise.inputs
        failing = [
            i
            for i, (mine, right) in enumerate(zip(self.got, self.want, strict=True))
            if not agree(mine, right, self.scale)
        ]
        return sorted(failing, key=lambda i: size(inputs[i])) if inputs else failing

    @property
    def first(self) -> tuple[Values, Values]:
        """What the answer and the reference give in the smallest wrong trial."""
        return self.got[self.failing[0]], self.want[self.failing[0]]

    @property
    def symbolic(self) -> bool:
        """Whether it is about an expression."""
        return isinstance(self.exercise.reference, sp.Expr)

    @property
    def pair(self) -> tuple[sp.Expr, sp.Expr]:
        """The answer and the reference, as expressions."""
        return expressions.read(self.answer), self.exercise.reference

    def say(self, level: int) -> str:
        """The help of a level, from 1 to 3."""
        if level <= 1:
            return self.exercise.hint
        return specific(self) if level == 2 else failing_case(self)


# --- said at once -----------------------------------------------------------------


def form(case: Case) -> str:
    """What is wrong with the form, the sign or the size of the answer, or ""."""
    for i in case.failing:
        mine, right = case.got[i], case.want[i]
        if isinstance(mine, Trouble):
            return f"{mine}{_with(case, i) if mine.where else ''}"
        if mine.array.shape != right.array.shape and not (
            mine.array.size == right.array.size == 1
        ):
            return (
                f"your answer has shape {mine.array.shape}, expected "
                f"{right.array.shape}.{_with(case, i)}"
            )
        if not np.isfinite(mine.array).all():
            return f"your answer contains nan or inf.{_with(case, i)}"
    got, want = case.got, case.want
    if not want[0].dtype.startswith("int") and _cut_to_integers(got, want):
        return (
            f"your answer has dtype {got[0].dtype}, which holds only whole numbers: "
            "use float32 or float64."
        )
    factor = _factor(got, want)
    if factor is not None and np.isclose(factor, -1):
        return "right except for the sign: yours is flipped."
    if factor is not None and f"{factor:.4g}" != "1":
        return f"right up to a constant factor: yours is {factor:.4g} times as large."
    return ""


def _cut_to_integers(got: Sequence[Values], want: Sequence[Values]) -> bool:
    """Whether the answer is the right one in an integer dtype, and not just 0."""
    return (
        all(mine.dtype.startswith("int") for mine in got)
        and any(mine.array.any() for mine in got)
        and any(
            all(_equal(g.array, cut(w.array)) for g, w in zip(got, want, strict=True))
            for cut in (np.round, np.trunc)
        )
    )


def _equal(mine: np.ndarray, right: np.ndarray) -> bool:
    return np.array_equal(mine.ravel(), right.ravel())


def _with(case: Case, trial: int) -> str:
    """The inputs of a trial, or the values of the symbols at a point."""
    lines = _inputs(case, trial)
    return "\n".join(["", "It happens with", *lines]) if lines else ""


def _factor(got: Sequence[Values], want: Sequence[Values]) -> float | None:
    """c if the answer is c times the right one; for a single number, only -1."""
    if any(g.array.size != w.array.size for g, w in zip(got, want, strict=True)):
        return None
    mine = np.concatenate([one.array.ravel() for one in got])
    right = np.concatenate([one.array.ravel() for one in want])
    if not (right @ right and mine @ mine):
        return None
    factor = float(mine @ right / (right @ right))
    if mine.size == 1 and not np.isclose(factor, -1):
        return None
    rtol = max(one.rtol for one in got)
    atol = rtol * np.abs(mine).max()
    return factor if np.allclose(mine, factor * right, rtol=rtol, atol=atol) else None


# --- level 2: something specific --------------------------------------------------


def specific(case: Case) -> str:
    """Where the answer is right, and which way it is off where it is wrong."""
    sentences = [_dependence(case), _share(case)]
    if not _foreign(case):
        sentences.append(_direction(case))
    return " ".join(filter(None, sentences))


def _share(case: Case) -> str:
    """In how many trials or points the answer is right."""
    total, first = len(case.got), case.failing[0]
    right = total - len(case.failing)
    if case.symbolic:
        place = expressions.place(case.exercise.reference, first)
        return f"It is right at {right} of {total} points; wrong {place}." * bool(right)
    if not case.exercise.inputs:
        return ""
    share = f"right in {right} of {total}" if right else f"wrong in all {total}"
    shapes = _shapes(case, first)
    return f"It is {share} trials. The smallest wrong one has {shapes}."


def _shapes(case: Case, trial: int) -> str:
    """Which trial it is: "x_prev of shape (4, 2), t = 3"."""
    parts = []
    names, values = parameters(case.exercise.reference), case.exercise.inputs[trial]
    for name, value in zip(names, values, strict=True):
        shape = tuple(getattr(value, "shape", ()))
        parts.append(f"{name} of shape {shape}" if shape else f"{name} = {value}")
    return ", ".join(parts)


def _direction(case: Case) -> str:
    """Whether the answer is too small or too large, and where."""
    mine, right = case.first
    off = np.argwhere(_off(case))
    place = tuple(off[0])
    low = mine.array.reshape(right.array.shape)[place] < right.array[place]
    word = "small" if low else "large"
    if right.array.size == 1:
        return f"Yours is too {word}{' there' * bool(case.exercise.inputs)}."
    return (
        f"There {len(off)} of {right.array.size} numbers are off, first the one at "
        f"[{', '.join(map(str, place))}], which is too {word}."
    )


def _off(case: Case) -> np.ndarray:
    """Which numbers of the smallest wrong trial are off."""
    mine, right = case.first
    array = mine.array.reshape(right.array.shape)
    return ~close(array, right.array, mine, right, case.scale)


def _dependence(case: Case) -> str:
    """The symbols that an expression should have and doesn't, or the other way."""
    if not case.symbolic:
        return ""
    mine, right = case.pair
    if mine.has(sp.Sum, sp.Product):
        return ""
    lacks, has = _list(_missing(right, mine)), _list(_foreign(case))
    enough = f": it can be written with {_list(_parts(right))}" * bool(_parts(right))
    return " ".join(
        [f"Yours does not depend on {lacks}."] * bool(lacks)
        + [f"Yours depends on {has}, and should not{enough}."] * bool(has)
    )


def _foreign(case: Case) -> list[sp.Expr]:
    """The symbols that an expression has and should not have."""
    if not case.symbolic:
        return []
    mine, right = case.pair
    return [] if mine.has(sp.Sum, sp.Product) else _missing(mine, right)


def _missing(of: sp.Expr, other: sp.Expr) -> list[sp.Expr]:
    """What an expression contains and the other one does not, under the relations."""
    known = set().union(*map(_reduced, _parts(other)))
    return [x for x in _parts(of) if not _reduced(x) <= known]


def _list(parts: Iterable[sp.Expr]) -> str:
    return ", ".join(sorted(map(expressions.text, parts)))


def _parts(expression: sp.Expr) -> set[sp.Expr]:
    functions = expression.atoms(sp.core.function.AppliedUndef)
    within = set().union(*(x.free_symbols for x in functions))
    return (expression.free_symbols - within) | functions


def _reduced(part: sp.Expr) -> set[sp.Expr]:
    return _parts(part.subs(eq.RELATIONS).replace(eq.beta, lambda i: 1 - eq.alpha(i)))


# --- level 3: the smallest failing case -------------------------------------------


def failing_case(case: Case) -> str:
    """Inputs that can be pasted, what was expected, what came back."""
    mine, right = case.first
    if not case.symbolic and not case.exercise.inputs and right.array.size == 1:
        return specific(case)  # what was expected is the answer itself
    place = tuple(np.argwhere(_off(case))[0])
    at = f" at [{', '.join(map(str, place))}]" if right.array.size > 1 else ""
    whole = right.array.size <= 8
    array = mine.array.reshape(right.array.shape)
    expected, got = (x if whole else x[place] for x in (right.array, array))
    first = at and ("" if whole else f"The first difference is{at}:")
    lines = [
        "A point at which yours differs, for answer.subs(point):"
        if case.symbolic
        else "The smallest case in which yours differs:",
        *_inputs(case, case.failing[0]),
        *filter(None, [first]),
        f"    expected: {_number(expected, got, right)}",
        f"    got:      {_number(got, expected, right)}",
    ]
    if whole and at:
        lines.append(f"The first difference is{at}.")
    if case.symbolic and (difference := _short_difference(case)):
        lines.append(f"Yours minus the right one is {difference}.")
    return "\n".join(lines)


def _inputs(case: Case, trial: int) -> list[str]:
    """The arguments of a trial, one a line, or a point, as a dict of symbols."""
    if case.exercise.inputs:
        names = parameters(case.exercise.reference)
        return assignments(names, case.exercise.inputs[trial])
    if not case.symbolic:
        return []
    mine, right = case.pair
    times = {
        x for x in (eq.s, eq.t, eq.T) if x in mine.free_symbols | right.free_symbols
    }
    parts = sorted(_parts(mine) | _parts(right) | times, key=str)
    values = (expressions.number(x, trial) for x in parts)
    numbers = (int(n) if x in times else n for x, n in zip(parts, values, strict=True))
    texts = map(expressions.text, parts)
    point = ", ".join(f"{x}: {literal(n)}" for x, n in zip(texts, numbers, strict=True))
    return [indented(f"point = {{{point}}}")]


def _number(value: np.ndarray, other: np.ndarray, right: Values) -> str:
    """With as many digits as it takes to see the difference."""
    mine, theirs = (np.asarray(x).tolist() for x in (value, other))
    if right.dtype.startswith("int") and float(mine).is_integer():
        return str(int(mine))
    short = literal(mine)
    return short if short != literal(theirs) else str(mine)


def _short_difference(case: Case) -> str:
    """The answer minus the right one, simplified, if that is quick and short."""
    mine, right = case.pair
    try:
        forms = within(
            3, lambda: (sp.factor(eq.residual(mine, right)), sp.factor(mine - right))
        )
    except (Exception, TimeUp):
        return ""
    text = min(map(expressions.text, forms), key=len)
    return text if len(text) <= 60 else ""
