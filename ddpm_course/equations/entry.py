"""What an entry of the ledger holds."""

from dataclasses import dataclass

import sympy as sp

from ddpm_course.equations.symbols import eps


@dataclass(frozen=True)
class Gaussian:
    """N(x; mean, variance I). Two are equal if mean and variance are."""

    x: sp.Expr
    mean: sp.Expr
    variance: sp.Expr

    @property
    def draw(self) -> sp.Expr:
        """A draw from it: mean + √variance ε."""
        return self.mean + sp.sqrt(self.variance) * eps

    @property
    def density(self) -> sp.Expr:
        """The density in one dimension."""
        square = (self.x - self.mean) ** 2
        return sp.exp(-square / (2 * self.variance)) / sp.sqrt(
            2 * sp.pi * self.variance
        )


@dataclass(frozen=True)
class Equation:
    """``lhs = rhs``, or ``lhs ≤ rhs``, with what its witnesses need.

    A squared norm stands for the square of one coordinate.

    Args:
        label: The label of the printed formula.
        lhs: The left side, as LaTeX.
        rhs: The right side: a SymPy expression, or a Gaussian.
        code: A call that computes it, ``module.function(...)``, on the Python names of
            the symbols, ``schedule`` and ``path``. For a Gaussian, it returns a draw;
            or give two calls, for the mean and the variance. Where the equation holds
            an average over paths, it returns the value for one ``path``.
        sources: Where it comes from: ids of rows in ``book/concordance.yml``.
        first: The first t at which it holds.
        relation: "=" or "≤".
        chapter: The chapter that proves and prints it. The ledger sets it.
    """

    label: str
    lhs: str
    rhs: sp.Expr | Gaussian
    code: str | tuple[str, str]
    sources: tuple[str, ...] = ()
    first: int = 1
    relation: str = "="
    chapter: int = 0
