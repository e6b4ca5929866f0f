"""What an answer evaluates to, as arrays that can be compared.

- An expression: its values at a few random points. A point is a small random schedule
  and a time, so the relations between the symbols hold (β and α, ᾱ as a product or by
  its recursion), and equal means equal under them.
- A function: what it returns for a few fixed inputs.
- A number or an array: itself, up to axes of length 1.
"""

import copy
import inspect
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from ddpm_course import equations as eq

POINTS = range(4)


class Trouble(Exception):
    """Why an answer cannot be compared, as a sentence."""

    def __init__(self, sentence: str, kind: str = "") -> None:
        super().__init__(sentence)
        self.kind = kind or sentence


@dataclass(frozen=True)
class Values:
    """Values as float64, with the dtype that they came in."""

    array: np.ndarray
    dtype: str

    @property
    def rtol(self) -> float:
        """The relative tolerance of a comparison: 16-bit floats are coarse."""
        return 1e-2 if self.dtype in ("float16", "bfloat16") else 1e-5


def evaluate(reference: Any, answer: Any, inputs: Sequence[tuple]) -> list:
    """Evaluate an answer.

    Args:
        reference: The right answer, which shows what kind is expected.
        answer: Anything.
        inputs: The arguments of each trial of a function.

    Returns:
        Values, one for each trial. For a function, a trial that fails gives a Trouble,
        and a trial that returns ``...`` gives that.

    Raises:
        Trouble: If the answer is of another kind.
    """
    if isinstance(reference, sp.Expr):
        return [Values(np.array([_number(answer, p) for p in POINTS]), "float64")]
    if callable(reference):
        if not callable(answer) or isinstance(answer, sp.Basic):
            raise Trouble(
                f"your answer is {_a(answer)}: give the function itself, its name "
                "without parentheses."
            )
        return [_call(reference, answer, arguments) for arguments in inputs]
    values, shape = _array(answer), _array(reference).array.shape
    return [Values(_fit(values.array, shape), values.dtype)]


def _fit(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array in that shape, if axes of length 1 or broadcasting make it fit."""
    if [n for n in array.shape if n != 1] == [n for n in shape if n != 1]:
        return array.reshape(shape)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        return array


def describe(function: Any, inputs: Sequence[tuple]) -> str:
    """Which trial it was: "for t = 3, x_prev of shape (4, 2): ", or ""."""
    if not inputs:
        return ""
    parts = []
    for name, value in zip(_parameters(function), inputs[0], strict=True):
        shape = tuple(getattr(value, "shape", ()))
        parts.append(f"{name} of shape {shape}" if shape else f"{name} = {value}")
    return f"for {', '.join(parts)}: "


def _parameters(function: Callable) -> list[str]:
    return list(inspect.signature(function).parameters)


def _a(answer: Any) -> str:
    """What an answer is, in words."""
    if answer is None:
        return "None"
    if isinstance(answer, sp.Expr):
        return "a SymPy expression"
    if isinstance(answer, str):
        return "text in quotes"
    name = {"ndarray": "array", "Tensor": "tensor"}.get(
        type(answer).__name__, type(answer).__name__
    )
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


# --- numbers and arrays -----------------------------------------------------------


def _array(answer: Any) -> Values:
    """The answer (numpy, torch, a SymPy number, or a list) as a float64 array."""
    if hasattr(answer, "detach"):  # a torch tensor, of any device and dtype
        tensor, dtype = answer.detach().cpu(), str(answer.dtype).partition(".")[2]
        array = (tensor if tensor.is_complex() else tensor.double()).numpy()
    else:
        if isinstance(answer, sp.Expr) and answer.is_real and answer.is_number:
            answer = float(answer)
        array = np.asarray(answer)
        dtype = str(array.dtype)
    if array.dtype.kind not in "iufc":
        raise Trouble(f"your answer is {_a(answer)}: expected a number or an array.")
    if array.dtype.kind == "c":
        raise Trouble("your answer is complex: expected real numbers.")
    return Values(array.astype(np.float64), dtype)


# --- functions --------------------------------------------------------------------


def _call(reference: Callable, function: Callable, arguments: tuple) -> Any:
    """What the function returns: Values, ``...``, or the Trouble it runs into."""
    given = copy.deepcopy(arguments)
    wanted = _parameters(reference)
    try:
        inspect.signature(function).bind(*given)
    except TypeError:
        raise Trouble(
            f"your function takes the wrong arguments: expected ({', '.join(wanted)})."
        ) from None
    except ValueError:
        pass  # a built-in without a signature
    try:
        returned = function(*given)
        again = function(*copy.deepcopy(arguments))
    except (Exception, SystemExit) as error:
        text = str(error).partition("\n")[0]
        name = type(error).__name__
        return Trouble(f"your function raises {name}: {text}", kind=name)
    for name, before, after in zip(wanted, arguments, given, strict=True):
        if not np.array_equal(before, after):
            raise Trouble(
                f"your function changes its argument {name} in place. Make a new "
                "tensor instead: the caller may still need the old one."
            )
    if returned is ...:
        return ...
    if returned is None:
        return Trouble("your function returns None: a return is missing.")
    try:
        first, second = _array(returned), _array(again)
    except Trouble as trouble:
        return Trouble(str(trouble).replace("your answer is", "your function returns"))
    if not np.array_equal(first.array, second.array, equal_nan=True):
        raise Trouble(
            "two calls of your function with the same arguments give different "
            "results. Draw nothing inside: its arguments hold all the noise it needs."
        )
    return first


# --- expressions ------------------------------------------------------------------


def _number(answer: Any, point: int) -> float:
    """The value of an expression at a random point."""
    if isinstance(answer, sp.Equality):
        raise Trouble("your answer is an equation: give only its right side.")
    if isinstance(answer, bool) or not isinstance(
        answer, sp.Expr | int | float | np.number
    ):
        raise Trouble(
            f"your answer is {_a(answer)}: expected a SymPy expression, such as "
            "beta_t / 2, without quotes."
        )
    expression, symbols = sp.sympify(answer), _symbols(point)
    unknown = expression.free_symbols - set(symbols)
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise Trouble(
            f"the book has no symbol {names}: import the symbols that the exercise "
            "names from ddpm_course.equations."
        )
    # substitute only symbols that occur: SymPy searches the expression for each one
    expression = expression.subs(eq.RELATIONS)
    value = sp.N(
        expression.subs({x: symbols[x] for x in expression.free_symbols})
        .doit()
        .replace(
            lambda e: isinstance(e, sp.core.function.AppliedUndef),
            lambda e: _function(e, point),
        )
    )
    if not value.is_finite:
        return float("nan")
    if not value.is_real:
        raise Trouble(
            "your answer is not real: look for the root of a negative number."
        )
    return float(value)


@cache
def _symbols(point: int) -> dict[sp.Symbol, sp.Number]:
    """A value for every symbol of the book, from one schedule at one time."""
    t, T = 3 + point, 6 + 2 * point
    values = {
        n.symbol: _random(name, point)
        for name, n in eq.NOTATION.items()
        if n.symbol.is_Symbol
    }
    abar = [sp.prod(_alpha(i, point) for i in range(1, n + 1)) for n in range(T + 1)]
    return values | {
        eq.t: sp.Integer(t),
        eq.T: sp.Integer(T),
        eq.s: sp.Integer(t - 1),
        eq.alpha_t: _alpha(t, point),
        eq.alpha_prev: _alpha(t - 1, point),
        eq.beta_t: 1 - _alpha(t, point),
        eq.beta_1: 1 - _alpha(1, point),
        eq.beta_T: 1 - _alpha(T, point),
        eq.abar_t: abar[t],
        eq.abar_T: abar[T],
        eq.abar_prev: abar[t - 1],
    }


def _alpha(i: int, point: int) -> sp.Rational:
    return _random(f"alpha({i})", point) if i else sp.Integer(1)


def _function(term: sp.Expr, point: int) -> sp.Expr:
    """The value of α(i), β(i), or another function of the book."""
    name, i = type(term).__name__, term.args[0]
    if name in ("alpha", "beta") and not (i.is_Integer and i >= 0):
        raise Trouble(
            f"your answer has {name} at {i}: its times are 0, 1, 2 and so on."
        )
    if name == "beta":
        return 1 - _alpha(int(i), point)
    return _alpha(int(i), point) if name == "alpha" else _random(str(term), point)


def _random(name: str, point: int) -> sp.Rational:
    """A rational in [0.1, 0.9], always the same for a name and a point."""
    return sp.Rational(100 + zlib.crc32(f"{name}@{point}".encode()) % 801, 1000)
