"""The ledger: every labeled equation of the book, once.

An entry holds the label, the SymPy expression, the call that computes it in torch, and
the places in the documents that it comes from. The tests compare four witnesses with
it: the proof in the chapter, the printed formula, the code, and, where the documents
have it, their own formula.

The entries are in one module per chapter. Nothing but SymPy is imported here.
"""

from dataclasses import replace
from importlib import import_module

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits

from ddpm_course.equations.entry import Equation, Gaussian
from ddpm_course.equations.symbols import *  # noqa: F403, the chapters' vocabulary
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

#: The chapters. Each has a module ``chapter_N`` here, and one in ``exercises``.
CHAPTERS = range(1, 10)

#: Every labeled equation, by its label, in the order of the book.
LEDGER: dict[str, Equation] = {
    equation.label: replace(equation, chapter=chapter)
    for chapter in CHAPTERS
    for equation in import_module(f"{__name__}.chapter_{chapter}").EQUATIONS
}

#: What holds by definition: with these, α_t and ᾱ_{t-1} suffice to write everything.
RELATIONS = {
    beta_t: 1 - alpha_t,
    abar_t: alpha_t * abar_prev,
    snr_t: alpha_t * abar_prev / (1 - alpha_t * abar_prev),
    snr_prev: abar_prev / (1 - abar_prev),
}


def residual(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """The difference of two expressions, simplified under ``RELATIONS``.

    Args:
        left: An expression in the symbols of the book.
        right: Another one.

    Returns:
        left - right. It is 0 if and only if they are equal.
    """
    difference = (
        sp.expand(sp.sympify(left) - sp.sympify(right))
        .replace(beta, lambda i: 1 - alpha(i))
        .subs(RELATIONS)
        # the name of a sum's index does not matter
        .replace(lambda e: isinstance(e, ExprWithLimits), lambda e: e.as_dummy())
    )
    return sp.simplify(sp.expand(difference))


def prove(label: str, *derived: sp.Expr) -> None:
    """End a derivation: compare its result with the ledger, and print that they agree.

    Args:
        label: The label of the equation.
        *derived: The expression that the derivation ends in; for a Gaussian, its mean
            and its variance.

    Raises:
        AssertionError: If they differ; the message shows the difference.
        KeyError: If no equation has this label.
        TypeError: If the number of expressions is wrong.
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
