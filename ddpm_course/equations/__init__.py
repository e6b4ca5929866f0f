"""The ledger: every labelled equation of the book, once.

An entry holds the label, the SymPy expression, the places in the documents that
the equation comes from, and the call that computes it in torch. The tests compare
four witnesses with it: the proof in the chapter, the printed formula, the code,
and the documents' own formula.

One module a chapter holds the entries. SymPy is all that is imported here.
"""

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits

from ddpm_course.equations import (
    chapter_1,
    chapter_2,
    chapter_3,
    chapter_4,
    chapter_5,
    chapter_6,
    chapter_7,
)
from ddpm_course.equations.entry import Equation, Gaussian
from ddpm_course.equations.symbols import *  # noqa: F403, the chapters' vocabulary
from ddpm_course.equations.symbols import (
    NOTATION as NOTATION,
)
from ddpm_course.equations.symbols import (
    abar_prev,
    abar_t,
    alpha,
    alpha_t,
    beta,
    beta_t,
    snr_prev,
    snr_t,
)

#: Every labelled equation, by its label, in the order of the book.
LEDGER: dict[str, Equation] = {
    equation.label: equation
    for chapter in (
        chapter_1,
        chapter_2,
        chapter_3,
        chapter_4,
        chapter_5,
        chapter_6,
        chapter_7,
    )
    for equation in chapter.EQUATIONS
}

#: What holds by definition: with these, α_t and ᾱ_{t-1} are enough to write all.
RELATIONS = {
    beta_t: 1 - alpha_t,
    abar_t: alpha_t * abar_prev,
    snr_t: alpha_t * abar_prev / (1 - alpha_t * abar_prev),
    snr_prev: abar_prev / (1 - abar_prev),
}


def residual(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """left - right, simplified under RELATIONS: 0 if and only if they are equal."""
    difference = (
        sp.expand(sp.sympify(left) - sp.sympify(right))
        .replace(beta, lambda i: 1 - alpha(i))
        .subs(RELATIONS)
        # two sums that differ only in the name of their index are one
        .replace(lambda e: isinstance(e, ExprWithLimits), lambda e: e.as_dummy())
    )
    return sp.simplify(sp.expand(difference))


def prove(label: str, *derived: sp.Expr) -> None:
    """End a derivation: compare it with the ledger and say that they agree.

    ``derived`` is the expression that the derivation ended in; for a Gaussian,
    its mean and its variance. Raises AssertionError with the difference, or
    KeyError for an unknown label.
    """
    if label not in LEDGER:
        raise KeyError(
            f"no equation {label!r} in the ledger; labels: {', '.join(LEDGER)}"
        )
    rhs = LEDGER[label].rhs
    expected = (rhs.mean, rhs.variance) if isinstance(rhs, Gaussian) else (rhs,)
    if len(derived) != len(expected):
        raise TypeError(
            f"{label}: got {len(derived)} expressions, expected {len(expected)}"
            + (" (mean and variance)" if len(expected) == 2 else "")
        )
    for got, want in zip(derived, expected, strict=True):
        difference = residual(got, want)
        if difference != 0:
            raise AssertionError(
                f"{label}: proof and ledger disagree. The derivation ends in {got}, "
                f"the ledger has {want}; their difference is {difference}"
            )
    print(f"{label}: proven, residual 0")
