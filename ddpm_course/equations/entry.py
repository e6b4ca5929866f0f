"""What an entry of the ledger is."""

from dataclasses import dataclass

import sympy as sp

from ddpm_course.equations.symbols import eps


@dataclass(frozen=True)
class Gaussian:
    """N(x; mean, variance I): compared by its mean and its variance."""

    x: sp.Expr
    mean: sp.Expr
    variance: sp.Expr

    @property
    def sample(self) -> sp.Expr:
        """mean + √variance ε, a draw from it."""
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
    """``lhs = rhs``, with its witnesses.

    ``lhs`` is LaTeX as printed; ``rhs`` a SymPy expression or a Gaussian.
    ``sources`` are ids of rows in ``book/concordance.yml``. ``code`` calls the
    package (``module.function(...)``) on the names of NOTATION, ``schedule`` and
    ``path``; for a Gaussian it gives a draw, or a pair: mean and variance.
    A squared norm stands for one coordinate's square. ``first`` is the first t at
    which the equation holds.
    """

    label: str
    chapter: int
    lhs: str
    rhs: sp.Expr | Gaussian
    sources: tuple[str, ...]
    code: str | tuple[str, str]
    first: int = 1
