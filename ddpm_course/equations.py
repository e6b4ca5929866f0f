"""The ledger: every labelled equation of the book, once.

An entry holds the label, the SymPy expression, the places in the documents that
the equation comes from, and the call that computes it in torch. The tests compare
four witnesses with it: the proof in the chapter, the printed formula, the code,
and the documents' own formula.

This module imports SymPy and nothing else.
"""

from dataclasses import dataclass

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits


@dataclass(frozen=True)
class Notation:
    """One symbol of the book: its LaTeX, its SymPy form, what it means."""

    latex: str
    symbol: sp.Basic
    meaning: str


#: Every symbol that stands in a labelled equation, by its Python name.
NOTATION: dict[str, Notation] = {}


def _symbol(name: str, latex: str, meaning: str, **assumptions: bool) -> sp.Symbol:
    symbol = sp.Symbol(latex, **assumptions)
    NOTATION[name] = Notation(latex, symbol, meaning)
    return symbol


def _function(name: str, latex: str, index: sp.Symbol, meaning: str) -> type[sp.Function]:
    """A quantity with a running index; ``latex`` shows it at that index."""
    function = sp.Function(name, positive=True)
    NOTATION[name] = Notation(latex, function(index), meaning)
    return function


# Time
t = _symbol("t", "t", "time: 0 is the clean image, T the noise", integer=True, positive=True)
T = _symbol("T", "T", "number of steps", integer=True, positive=True)
s = _symbol("s", "s", "an earlier time, or a running index", integer=True, positive=True)

# Schedule
beta_t = _symbol("beta_t", r"\beta_t", "variance of the noise of step t", positive=True)
beta_1 = _symbol("beta_1", r"\beta_1", "variance of the first step", positive=True)
beta_T = _symbol("beta_T", r"\beta_T", "variance of the last step", positive=True)
alpha_t = _symbol("alpha_t", r"\alpha_t", "share of the variance kept by step t", positive=True)
alpha_prev = _symbol("alpha_prev", r"\alpha_{t-1}", "the same, one step earlier", positive=True)
abar_t = _symbol("abar_t", r"\bar\alpha_t", "share of the variance kept up to t", positive=True)
abar_prev = _symbol("abar_prev", r"\bar\alpha_{t-1}", "the same, one step earlier", positive=True)
snr_t = _symbol("snr_t", r"\mathrm{SNR}_t", "signal-to-noise ratio at t", positive=True)
steepness = _symbol("steepness", r"\kappa", "steepness of the sigmoid schedule", positive=True)
offset = _symbol("offset", r"\delta", "offset of the cosine schedule", positive=True)
alpha = _function("alpha", r"\alpha_s", s, "share of the variance kept by step s")
beta = _function("beta", r"\beta_s", s, "variance of the noise of step s")

# Data and noise
x_0 = _symbol("x_0", "x_0", "clean data", real=True)
x_t = _symbol("x_t", "x_t", "noisy data at time t", real=True)
x_prev = _symbol("x_prev", "x_{t-1}", "one step less noisy", real=True)
x_prev2 = _symbol("x_prev2", "x_{t-2}", "two steps less noisy", real=True)
eps = _symbol("eps", r"\varepsilon", "standard normal noise of the forward process", real=True)

# Densities
q_s = _function("q_s", r"q(x_s \mid x_{s-1})", s, "density of one forward step")


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
        return sp.exp(-square / (2 * self.variance)) / sp.sqrt(2 * sp.pi * self.variance)


@dataclass(frozen=True)
class Equation:
    """``lhs = rhs``, with its witnesses.

    ``lhs`` is LaTeX as printed; ``rhs`` a SymPy expression or a Gaussian.
    ``sources`` are ids of rows in ``book/concordance.yml``. ``code`` calls the
    package (``module.function(...)``) on the names of NOTATION, ``schedule`` and
    ``path``; for a Gaussian it gives a draw, or a pair: mean and variance.
    """

    label: str
    chapter: int
    lhs: str
    rhs: sp.Expr | Gaussian
    sources: tuple[str, ...]
    code: str | tuple[str, str]

    @property
    def latex(self) -> str:
        """The equation as LaTeX, made from the expression."""
        if isinstance(self.rhs, Gaussian):
            x, mean, variance = map(sp.latex, (self.rhs.x, self.rhs.mean, self.rhs.variance))
            return rf"{self.lhs} = \mathcal N\left({x};\; {mean},\; \left({variance}\right) I\right)"
        return f"{self.lhs} = {sp.latex(self.rhs)}"


_progress = (t - 1) / (T - 1)  # 0 at the first step, 1 at the last
_cosine = sp.cos((t / T + offset) / (1 + offset) * sp.pi / 2)

LEDGER: dict[str, Equation] = {
    equation.label: equation
    for equation in [
        Equation(
            "forward-step",
            1,
            "x_t",
            sp.sqrt(1 - beta_t) * x_prev + sp.sqrt(beta_t) * eps,
            ("slides/forward-2/step-sample",),
            "forward.q_step(schedule, x_prev, t, eps)",
        ),
        Equation(
            "forward-density",
            1,
            r"q(x_t \mid x_{t-1})",
            Gaussian(x_t, sp.sqrt(1 - beta_t) * x_prev, beta_t),
            ("slides/forward-1/step", "slides/forward-2/step"),
            "forward.q_step(schedule, x_prev, t, eps)",
        ),
        Equation(
            "forward-path",
            1,
            r"q(x_{1:T} \mid x_0)",
            sp.Product(q_s(s), (s, 1, T)),
            ("slides/forward-2/path",),
            "torch.exp(forward.log_q_path(schedule, path))",
        ),
        Equation(
            "alpha",
            1,
            r"\alpha_t",
            1 - beta_t,
            ("slides/forward-2/alpha", "elbo/2/alpha"),
            "schedule.alpha[t]",
        ),
        Equation(
            "two-steps",
            1,
            "x_t",
            sp.sqrt(alpha_t * alpha_prev) * x_prev2 + sp.sqrt(1 - alpha_t * alpha_prev) * eps,
            ("slides/forward-2/two-steps",),
            # two steps at once are the closed form of a schedule of two steps
            "forward.q_sample(two_steps, x_prev2, 2, eps)",
        ),
        Equation(
            "alpha-bar",
            1,
            r"\bar\alpha_t",
            sp.Product(alpha(s), (s, 1, t)),
            ("slides/forward-2/alpha-bar", "training/2/alpha-bar", "elbo/2/alpha-bar"),
            "schedule.alpha_bar[t]",
        ),
        Equation(
            "alpha-bar-recursion",
            1,
            r"\bar\alpha_t",
            alpha_t * abar_prev,
            ("slides/reverse-8/alpha-bar", "slides/reverse-11/alpha-bar"),
            "schedule.alpha_bar[t]",
        ),
        Equation(
            "closed-form",
            1,
            "x_t",
            sp.sqrt(abar_t) * x_0 + sp.sqrt(1 - abar_t) * eps,
            ("slides/forward-2/closed-form", "training/2/sample", "training/math/1"),
            "forward.q_sample(schedule, x_0, t, eps)",
        ),
        Equation(
            "marginal",
            1,
            r"q(x_t \mid x_0)",
            Gaussian(x_t, sp.sqrt(abar_t) * x_0, 1 - abar_t),
            ("slides/forward-2/marginal", "training/2/marginal"),
            "forward.q_sample(schedule, x_0, t, eps)",
        ),
        Equation(
            "snr",
            1,
            r"\mathrm{SNR}_t",
            abar_t / (1 - abar_t),
            (),
            "schedule.snr[t]",
        ),
        Equation(
            "linear-schedule",
            1,
            r"\beta_t",
            beta_1 + _progress * (beta_T - beta_1),
            ("slides/forward-1/linear",),
            "schedules.linear_betas(T, beta_1, beta_T)[t - 1]",
        ),
        Equation(
            "quadratic-schedule",
            1,
            r"\beta_t",
            (sp.sqrt(beta_1) + _progress * (sp.sqrt(beta_T) - sp.sqrt(beta_1))) ** 2,
            ("slides/forward-1/schedules",),
            "schedules.quadratic_betas(T, beta_1, beta_T)[t - 1]",
        ),
        Equation(
            "sigmoid-schedule",
            1,
            r"\beta_t",
            beta_1 + (beta_T - beta_1) / (1 + sp.exp(-steepness * (2 * _progress - 1))),
            ("slides/forward-1/schedules", "slides/schedulers-1/sigmoid"),
            "schedules.sigmoid_betas(T, beta_1, beta_T, steepness)[t - 1]",
        ),
        Equation(
            "cosine-schedule",
            1,
            r"\bar\alpha_t",
            _cosine**2 / _cosine.subs(t, 0) ** 2,
            ("slides/forward-1/schedules", "slides/schedulers-1/cosine"),
            "schedules.cosine_alpha_bar(T, offset)[t]",
        ),
        Equation(
            "beta-from-alpha-bar",
            1,
            r"\beta_t",
            1 - abar_t / abar_prev,
            (),
            "schedules.betas_from_alpha_bar(schedule.alpha_bar)[t - 1]",
        ),
    ]
}

#: What holds by definition: with these, α_t and ᾱ_{t-1} are enough to write all.
RELATIONS = {beta_t: 1 - alpha_t, abar_t: alpha_t * abar_prev}


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
        raise KeyError(f"no equation {label!r} in the ledger; labels: {', '.join(LEDGER)}")
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
