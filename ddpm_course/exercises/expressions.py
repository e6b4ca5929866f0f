"""What an expression evaluates to at a few random points.

A point is a small random schedule and a time, so the relations between the symbols hold
(β and α, ᾱ as a product or by its recursion, β̃ and μ̃), and equal means equal under
them.
"""

import zlib
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from ddpm_course import equations as eq
from ddpm_course.exercises.trouble import Trouble, a

#: The times of the points: (s, t, T), odd and even, with no rule that connects them.
TIMES = ((1, 3, 6), (2, 4, 9), (2, 5, 8), (4, 6, 11))
POINTS = range(len(TIMES))

#: The Python name of every symbol of the book.
NAMES = {n.symbol: name for name, n in eq.NOTATION.items() if n.symbol.is_Symbol}
_FUNCTIONS = {
    type(n.symbol).__name__ for n in eq.NOTATION.values() if not n.symbol.is_Symbol
}
_BY_NAME = {name: symbol for symbol, name in NAMES.items()}
_BY_NAME |= {symbol.name: symbol for symbol in NAMES}


def read(answer: Any) -> sp.Expr:
    """The answer as an expression in the book's symbols. Raises Trouble."""
    if isinstance(answer, sp.Equality):
        raise Trouble("your answer is an equation: give only its right side.")
    number = isinstance(answer, int | float | np.number) and not isinstance(
        answer, bool
    )
    if not number and not isinstance(answer, sp.Expr):
        raise Trouble(
            f"your answer is {a(answer)}: expected a SymPy expression, such as "
            "beta_t / 2, without quotes."
        )
    expression = sp.sympify(answer)
    own = {x: _BY_NAME[_usual(x.name)] for x in unknown(expression)}
    return expression.xreplace(own) if own else expression


def unknown(expression: sp.Expr) -> list[sp.Symbol]:
    """Symbols that are not the book's, but have one of its names. Raises Trouble."""
    strange = expression.free_symbols - set(NAMES)
    nameless = sorted(x.name for x in strange if _usual(x.name) not in _BY_NAME)
    if nameless:
        raise Trouble(
            f"the book has no symbol {', '.join(nameless)}: import the symbols that "
            "the exercise names from ddpm_course.equations."
        )
    for function in expression.atoms(sp.core.function.AppliedUndef):
        if (name := type(function).__name__) not in _FUNCTIONS:
            raise Trouble(
                f"the book has no function {name}: import what the exercise names "
                "from ddpm_course.equations."
            )
    return list(strange)


def _usual(name: str) -> str:
    """The usual name of a symbol that you may have made yourself."""
    return name.replace("alpha_bar", "abar").replace("beta_tilde", "betatilde")


def text(expression: sp.Expr) -> str:
    """The expression as you would type it."""
    plain = {x: sp.Symbol(name, **x.assumptions0) for x, name in NAMES.items()}
    return str(expression.xreplace(plain))


@cache
def number(expression: sp.Expr, point: int) -> float:
    """The value of an expression at a point."""
    symbols = values(point)
    # substitute only symbols that occur: SymPy searches the expression for each one
    expression = expression.subs(eq.RELATIONS)
    value = sp.N(
        expression.subs({x: symbols[x] for x in expression.free_symbols})
        .doit()
        .replace(
            lambda e: isinstance(e, sp.core.function.AppliedUndef),
            lambda e: function(e, point),
        )
    )
    if value.has(sp.Sum, sp.Product) or value.free_symbols:
        raise Trouble(
            f"your answer has no value {place(expression, point)}: the limits of a "
            "sum or product must be whole numbers."
        )
    if not value.is_finite:
        return float("nan")
    if not value.is_real:
        raise Trouble(
            "your answer is not real: look for the root of a negative number."
        )
    return float(value)


def place(expression: sp.Expr, point: int) -> str:
    """Which point it is, by its times: "for t = 3, T = 6"."""
    times = zip((eq.s, eq.t, eq.T), TIMES[point], strict=True)
    named = [f"{x.name} = {n}" for x, n in times if expression.has(x)]
    return f"for {', '.join(named)}" if named else f"at point {point + 1}"


@cache
def values(point: int) -> dict[sp.Symbol, sp.Expr]:
    """A value for every symbol of the book, from one schedule at one time."""
    s, t, T = TIMES[point]
    chance = {x: _random(name, point) for x, name in NAMES.items()}
    alpha = [_alpha(i, point) for i in range(T + 1)]
    abar = [sp.prod(alpha[: n + 1]) for n in range(T + 1)]
    share = (1 - abar[t - 1]) / (1 - abar[t])
    x_0, x_t = chance[eq.x_0], chance[eq.x_t]
    on_x0 = sp.sqrt(abar[t - 1]) * (1 - alpha[t]) / (1 - abar[t])
    return chance | {
        eq.t: sp.Integer(t),
        eq.T: sp.Integer(T),
        eq.s: sp.Integer(s),
        eq.alpha_t: alpha[t],
        eq.alpha_prev: alpha[t - 1],
        eq.beta_t: 1 - alpha[t],
        eq.beta_1: 1 - alpha[1],
        eq.beta_T: 1 - alpha[T],
        eq.abar_t: abar[t],
        eq.abar_T: abar[T],
        eq.abar_prev: abar[t - 1],
        eq.abar_s: abar[s],
        eq.snr_t: abar[t] / (1 - abar[t]),
        eq.snr_prev: abar[t - 1] / (1 - abar[t - 1]),
        eq.betatilde_t: share * (1 - alpha[t]),
        eq.mu_tilde: on_x0 * x_0 + share * sp.sqrt(alpha[t]) * x_t,
    }


def function(term: sp.Expr, point: int) -> sp.Expr:
    """The value of α(i), β(i), or another function of the book."""
    name, i = type(term).__name__, term.args[0]
    if name in ("alpha", "beta") and not (i.is_Integer and i >= 0):
        raise Trouble(
            f"your answer has {name} at {i}: its times are 0, 1, 2 and so on."
        )
    if name == "beta":
        return 1 - _alpha(int(i), point)
    return _alpha(int(i), point) if name == "alpha" else _random(str(term), point)


def _alpha(i: int, point: int) -> sp.Rational:
    return _random(f"alpha({i})", point) if i else sp.Integer(1)


def _random(name: str, point: int) -> sp.Rational:
    """A rational in [0.1, 0.9], always the same for a name and a point."""
    return sp.Rational(10 + zlib.crc32(f"{name}@{point}".encode()) % 81, 100)
