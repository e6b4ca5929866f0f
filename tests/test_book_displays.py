"""Formulas without a number: all that can be read are compared, in numbers.

A side that an entry of the ledger has for its left side stands for that entry. All
other sides are evaluated at the test values.
"""

import re
from functools import cache
from itertools import product

import chain
import numpy as np
import pytest
import sympy as sp
import witnesses
from sympy.core.function import AppliedUndef
from sympy.parsing.latex.errors import LaTeXParsingError
from witnesses import BY_NUMBER, cells, read_side, split, tidy

from ddpm_course import equations
from ddpm_course.equations import LEDGER, NOTATION, Gaussian

#: What stands for what one step earlier.
EARLIER = {
    equations.abar_t: equations.abar_prev,
    equations.alpha_t: equations.alpha_prev,
    equations.x_t: equations.x_prev,
    equations.x_prev: equations.x_prev2,
}
KNOWN = {n.symbol for n in NOTATION.values()}


def parts(rhs: sp.Expr | Gaussian) -> tuple[sp.Expr, ...]:
    if isinstance(rhs, Gaussian):
        return rhs.x, rhs.mean, rhs.variance
    return (rhs,)


@cache
def entries() -> dict[str, list[tuple[sp.Expr, ...]]]:
    """What each left side of the ledger may stand for, also one step earlier."""
    found: dict[str, list] = {}
    for entry in LEDGER.values():
        found.setdefault(tidy(entry.lhs), []).append(parts(entry.rhs))
    for label in ("closed-form", "marginal"):
        earlier = tuple(e.xreplace(EARLIER) for e in parts(LEDGER[label].rhs))
        lhs = LEDGER[label].lhs.replace("x_t", "x_{t-1}")
        found.setdefault(tidy(lhs), []).append(earlier)
    three = sp.prod(equations.alpha(s) for s in (1, 2, 3))
    found["x_3"] = [(LEDGER["closed-form"].rhs.subs(equations.abar_t, three),)]
    return found


def merged(expression: sp.Expr) -> sp.Expr:
    """Independent noises e_1, e_2, … as one: their variances add."""
    noises = [x for x in expression.free_symbols if re.match(r"e_\{\d", x.name)]
    if not noises:
        return expression
    expression = sp.expand(expression)
    shares = [expression.coeff(e) for e in noises]
    if any(share.could_extract_minus_sign() for share in shares):
        return expression  # as good, but not what the book would write
    spread = sp.sqrt(sum(share**2 for share in shares))
    return expression.subs(dict.fromkeys(noises, 0)) + spread * equations.eps


def multiplied(expression: sp.Expr) -> sp.Expr:
    """``p (1 - a)`` is a product, unless the book has a function p."""

    def is_letter(e: sp.Basic) -> bool:
        return (
            isinstance(e, AppliedUndef)
            and len(type(e).__name__) == 1
            and e not in KNOWN
        )

    return expression.replace(
        is_letter, lambda e: sp.Symbol(type(e).__name__) * e.args[0]
    )


def readings(side: str) -> list[tuple[sp.Expr, ...]]:
    """What a side may mean: an entry of the ledger, or itself.

    Raises LaTeXParsingError if nothing.
    """
    found = list(entries().get(side, []))
    try:
        side = re.sub(r"\\varepsilon_(\d)", r"{e_\1}", side)
        side = re.sub(r"\\bar\\alpha_(\d)", r"(\\prod_{s=1}^\1\\alpha_s)", side)
        side = re.sub(r"\\frac(\d)(\w)", r"\\frac{\1}{\2}", side)
        found.append(tuple(merged(multiplied(e)) for e in read_side(side)))
    except (LaTeXParsingError, ValueError, TypeError):
        if not found:
            raise LaTeXParsingError(f"cannot read {side}") from None
    return found


def values(expression: sp.Expr) -> list[np.ndarray]:
    """The values of an expression: on the chains if it needs them, or at test values.

    Symbols that the book has not introduced get any numbers.
    """
    expression = expression.subs(equations.beta_1, 1 - equations.alpha(1))
    if expression.has(AppliedUndef):
        expression = expression.subs(equations.s, equations.t)
    unknown = sorted(expression.free_symbols - KNOWN, key=str)
    numbers = {x: sp.Float(0.3 + sum(map(ord, x.name)) % 17 / 10) for x in unknown}
    expression = expression.xreplace(numbers)
    if expression.has(*(getattr(equations, name) for name in chain.DENSITIES)):
        chains = product((chain.BEST, chain.POOR), chain.STATES)
        return [np.asarray(c.at(expression, 2, x)) for c, x in chains]
    if expression.is_number and not expression.has(AppliedUndef):
        return [np.asarray(float(expression))] * 4
    compute, some = witnesses._numbers(expression), witnesses.environments()[49::100]
    if expression.has(AppliedUndef):  # one number instead of three
        some = [{k: first_of_three(v) for k, v in env.items()} for env in some]
    return [np.asarray(compute(env)) for env in some]


def first_of_three(value):
    return float(value[0]) if getattr(value, "shape", ()) == (3,) else value


def same(left: tuple[sp.Expr, ...], right: tuple[sp.Expr, ...]) -> bool:
    """Whether two readings have the same values."""
    return len(left) == len(right) and all(
        np.allclose(a, b, rtol=1e-8, atol=1e-12)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(values(one), values(other), strict=True)
    )


_BELL = r"{\frac{1}{\sqrt{2\pi\sigma_1^2}} e^{-\frac{(x - \mu_1)^2}{2\sigma_1^2}}}"
_AT_1 = r"{e^{-(x_t - \sqrt{\bar\alpha_t})^2 / (2 - 2 \bar\alpha_t)}}"
_TWEEDIE = r"\frac{1}{\sqrt{\bar\alpha_t}} (x_t - \frac{(1 - \bar\alpha_t) x_t}{w})"
#: What a formula leaves to the text around it: old and new LaTeX, by its beginning.
WHERE = {
    r"x_t = a\, x_{t-1}": [(r"a\,", r"\sqrt{\alpha_t}")],
    r"\bar\alpha_t = \frac{f(t)}{f(0)}": [
        (r"s}{1 + s}", r"\delta}{1 + \delta}"),
        (r"\frac{f(t)}{f(0)}, \qquad f(t) =", ""),
        (
            r"\right), \qquad",
            r"\right) / \cos^2(\frac{\delta}{1 + \delta} \cdot \frac{\pi}{2}), \qquad",
        ),
    ],
    # two choices
    r"\sigma_t^2 = \beta_t": [(r"\sigma_t^2 = \tilde", r"\tilde")],
    r"\log \frac{q(x)}{p(x)}": [
        ("{q(x)}", _BELL),
        ("{p(x)}", _BELL.replace("_1", "_2")),
    ],
    # x_0 says nothing more about x_t
    r"q(x_{t-1} \mid x_t, x_0) = \frac": [(r", x_0)\, q", ")q")],
    r"\begin{aligned} \text{likelihood}": [("x_{t-1}, x_0) =", "x_{t-1}) =")],
    r"\frac{(x - m_1)^2}{v_1}": [
        (r"\dots", r"\frac{m_1^2}{v_1} + \frac{m_2^2}{v_2}"),
        *(("v_1", "u"), ("v_2", "w"), ("m_1", "a"), ("m_2", "b")),
    ],
    # what the variance of the entry is at η = 1
    r"\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}": [
        (
            r"\frac{1 - \bar\alpha_s}",
            r"\frac{\sigma_s^2}{\eta^2} = \frac{1 - \bar\alpha_s}",
        )
    ],
    # by Bayes' rule, the ratio of two densities
    r"\frac{q(x_0 = 1 \mid x_t)}": [
        (r"{q(x_0 = 1 \mid x_t)}", _AT_1),
        (r"{q(x_0 = -1 \mid x_t)}", _AT_1.replace("x_t -", "x_t +")),
    ],
    # from that ratio, where the probabilities add up to 1
    r"\mathbb E[x_0 \mid x_t] = q(x_0 = 1": [
        (r"\mathbb E[x_0 \mid x_t] =", ""),
        (r"q(x_0 = 1 \mid x_t)", r"\frac{1}{1 + e^{-2a}}"),
        (r"q(x_0 = -1 \mid x_t)", r"\frac{1}{1 + e^{2a}}"),
        (r"\frac{\sqrt{\bar\alpha_t}\, x_t}{1 - \bar\alpha_t}", "a"),
        (r"\tanh\left(a\right)", r"\frac{e^{a} - e^{-a}}{e^{a} + e^{-a}}"),
    ],
    r"L_\mathrm{simple} =": [
        (
            r"\sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon,\ t",
            "x_t, t",
        )
    ],
    # Tweedie, with the score of a Gaussian
    r"\hat x_0 = k_t x_t": [
        (r"\hat x_0 = k_t x_t, \qquad k_t =", rf"{_TWEEDIE} = x_t"),
        ("{w}", r"{\bar\alpha_t w + 1 - \bar\alpha_t}"),
        *((r"\, v", "w"), (" v", " w")),
    ],
    # if the guess is right
    r"x_t = \sqrt{\bar\alpha_t}\, \hat x_0": [
        (r"\hat x_0", "x_0"),
        (r"\hat\varepsilon", r"\varepsilon"),
    ],
}


def explained(latex: str) -> str:
    """The formula with what its surroundings say."""
    for start, meaning in WHERE.items():
        if latex.startswith(start):
            for old, new in meaning:
                latex = latex.replace(old, new)
    return latex


def statements(latex: str) -> list[str]:
    """The equations of one formula."""
    latex = explained(latex)
    pieces = re.split(r"\\qquad|\\text\{[\w ]*\}|(?<=[^\\]),\s*(?=\\q?quad)", latex)
    return [tidy(piece).strip(",") for piece in pieces if re.search("=|propto", piece)]


def disagreement(statement: str) -> str | None:
    """Compare the sides of one equation. Raises LaTeXParsingError."""
    if r"\propto" in statement:
        return disproportion(*statement.split(r"\propto"))
    first, *others = [readings(side) for side in split(statement, "=")]
    if not others:
        raise LaTeXParsingError(f"no equation: {statement}")
    for other in others:
        if not any(same(a, b) for a, b in product(first, other)):
            return f"{statement}: {first} is not {other}"
    return None


def disproportion(lhs: str, rhs: str) -> str | None:
    """The same for densities that agree up to a constant, free of any data."""
    ((right,),) = readings(rhs)
    density = Gaussian(*entries()[lhs][0]).density
    ratio = sp.expand_log(sp.log(right) - sp.log(density), force=True)
    slopes = [
        sp.diff(ratio, x) for x in (equations.x_prev, equations.x_t, equations.x_0)
    ]
    return (
        None if all(same((d,), (sp.S.Zero,)) for d in slopes) else f"{lhs}: not {rhs}"
    )


def unnumbered() -> list[tuple[int, str]]:
    formula = r"\$\$((?:(?!\$\$).)+)\$\$[ \t]*(\([\w-]+\))?"
    return [
        (chapter, " ".join(latex.split()))
        for chapter, path in BY_NUMBER.items()
        for cell in cells(path, "markdown")
        for latex, label in re.findall(formula, cell.source, re.S)
        if not label
    ]


def flips(latex: str) -> list[str]:
    """Copies of a formula with one sign of a right side flipped."""
    relation = re.search(r"=|\\propto", latex)
    signs = re.finditer("[+-]", latex)
    start = relation.end() if relation else 0
    at = [m.start() for m in signs if m.start() > start]
    return [latex[:i] + "-+"[latex[i] == "-"] + latex[i + 1 :] for i in at]


# --- displays -----------------------------------------------------------------------

#: Displays that aren't compared, by their beginning, and why. The list may only shrink.
EXCEPT = {
    r"q(x_{1:T} \mid x_0) = \prod": "the chain rule of probability, for any densities",
    r"p_\theta(x_0) = \int": "an integral over paths: the sum rule of probability",
    r"\begin{aligned} D_{KL}(q \,\|\, p) &= \mathbb E_{x": "a definition",
    r"\begin{aligned} D_{KL}(q \,\|\, p) &= \mathbb E_q": "a bound for any densities",
    r"-\log p_\theta(x_0) \le \log": "a false claim, which the text refutes",
    r"q(x_t \mid x_{t-1}) = q(x_t": "what makes a Markov chain",
    r"\frac12 \log \frac{1 - \bar\alpha_t}": "a value for normal data: see the proof",
    r"L_T + \sum_{t=2}^{T}": "the same: a proof cell asserts it",
    r"\prod_{s=3}^{T}": "the question of an exercise",
    r"\frac{\sqrt{\alpha_t}}{\beta_t} x_t": "the slip of a slide, for an exercise",
    r"\varepsilon_\theta(x_t, t) \approx": "an approximation",
    "w_{ij} = ": "the definition of attention",
    r"\mathbb E \left\| x_0": "an average over the data: chapter 4 proves it",
    r"\bar\theta \leftarrow": "an assignment",
    r"x_s = \sqrt{\bar\alpha_s}\, \hat x_0 + \text": "words",
}
UNNUMBERED = unnumbered()
READ = [f for f in UNNUMBERED if not f[1].startswith(tuple(EXCEPT))]
names = [f"{chapter}-{n}" for n, (chapter, _) in enumerate(READ)]


def faults(latex: str) -> list[str]:
    """What is wrong with the equations of a formula."""
    try:
        found = [disagreement(statement) for statement in statements(latex)]
    except LaTeXParsingError as error:
        return [str(error)]
    return list(filter(None, found)) if found else [f"no equation: {latex}"]


@pytest.mark.slow
@pytest.mark.parametrize(("chapter", "latex"), READ, ids=names)
def test_a_display_without_a_number_is_right(chapter, latex):
    assert faults(latex) == []


@pytest.mark.parametrize("start", EXCEPT)
def test_an_exception_is_one_formula_that_cannot_be_compared(start):
    (formula,) = {latex for _, latex in UNNUMBERED if latex.startswith(start)}
    assert faults(formula)


def test_the_exceptions_only_shrink():
    assert len(EXCEPT) <= 15


@pytest.mark.parametrize("start", WHERE)
def test_what_the_surroundings_say_is_needed(start):
    (formula,) = {latex for _, latex in UNNUMBERED if latex.startswith(start)}
    assert all(old in formula for old, _ in WHERE[start][:1])


@pytest.mark.slow
@pytest.mark.parametrize(("chapter", "latex"), READ, ids=names)
def test_a_flipped_sign_is_noticed(chapter, latex):
    for flipped in flips(latex):
        assert faults(flipped), flipped


# --- relations in running text --------------------------------------------------------

#: A choice: times, and a number for a symbol.
CHOICE = re.compile(
    r"[tsT]\s*=.*|(x_\w|[Mvuw]|\\(eta|delta|kappa|lambda|theta|varepsilon|beta_\w))\s*=\s*"
    r"-?[\d.]+"
)
#: Relations that aren't compared, and why. The list may only shrink.
IN_TEXT = {
    r"\operatorname{Var}[x_t] = c^2 \cdot 1 + \beta_t": "a variance: chapter 1",
    r"c^2 = 1 - \beta_t": "the solution for c of the line before",
    r"\hat x_0 = \sqrt{\bar\alpha_t}\, x_t": "the best guess for normal data",
    r"p(x_T) = \mathcal N(0, \mathbf I)": "a definition",
    r"\propto": "a symbol, not a relation",
    r"\sigma_t^2 = \tilde\beta_t": "the other choice of a variance",
    r"\sqrt{\beta_1} = 0.01": "for one value of a symbol",
    r"64 \log 17 = 181": "a rounded number: tested below",
    r"\log_2 17 = 4.09": "a rounded number: tested below",
    r"n > \ln 2 / (-\ln 0.999) = 692.8": "a rounded number: tested below",
    r"r = \tilde\beta_t / \beta_t": "a definition",
    r"u = p(x) / q(x)": "a definition",
    r"x_t / \sqrt{\alpha_t} = \sqrt{\bar\alpha_{t-1}}\, x_0": "only without noise",
    r"x_t = \sqrt{\bar\alpha_t}\, x_0": "only without noise",
    r"L_0 = -\log p_\theta(x_0 \mid x_1)": "for one image, without its average",
    r"\cos\varphi = \sqrt{\bar\alpha_t}": "a definition",
    r"x_t = \cos\varphi\, x_0 + \sin\varphi\, \varepsilon": "by that definition",
    r"\mathbb E[x_0^2 \mid x_t] = m^2 + s^2": "the definition of a variance",
    r"c = m": "where a square is least: chapter 4 proves it",
    r"\tilde\mu_1 = x_0": "at t = 1: chapter 3 asserts it",
    r"\tilde\beta_1 = 0": "at t = 1: chapter 3 asserts it",
    r"\sigma_1 = 0": "the same, for one choice of the variance",
    r"\varepsilon_\theta(x_t, t) = \theta\, x_t": "a definition",
    r"q(x_t) = \int q(x_0)\, q(x_t \mid x_0)\, \mathrm dx_0": "the sum rule",
    r"\hat\varepsilon = \sqrt{1 - \bar\alpha_t}\, x_t + \sqrt{\bar\alpha_t}\, v": (
        "an exercise; eps-from-v is compared"
    ),
    r"f = (a^2 + b^2) / 2": "the exercise's own function",
    r"f(a, b) = ab": "the exercise's own function",
    r"x_{t-1} = g_t x_t + \sigma_t z": "a definition",
    r"\mathrm{Var}[x_{t-1}] = g_t^2\, \mathrm{Var}[x_t] + \sigma_t^2": "a variance",
}


@cache
def in_text() -> list[str]:
    """The relations in the text of the chapters, once each."""
    prose = [
        re.sub(r"\$\$.*?\$\$|```\{code.*?```", "", cell.source, flags=re.S)
        for path in BY_NUMBER.values()
        for cell in cells(path, "markdown")
    ]
    inline = r"`[^`]*`|(?<![\\$])\$(?![$\s])([^$`]+)\$(?!\$)"
    found = (" ".join(f.split()) for text in prose for f in re.findall(inline, text))
    return list(dict.fromkeys(f for f in found if re.search(r"=|\\propto", f)))


COMPARED = [f for f in in_text() if f not in IN_TEXT and not CHOICE.fullmatch(f)]


def text_faults(latex: str) -> list[str]:
    try:
        return list(filter(None, [disagreement(tidy(latex))]))
    except (LaTeXParsingError, KeyError) as error:
        return [str(error)]


@pytest.mark.parametrize("latex", COMPARED)
def test_a_relation_in_the_text_is_right(latex):
    assert text_faults(latex) == []


@pytest.mark.slow
@pytest.mark.parametrize("latex", COMPARED)
def test_a_flipped_sign_in_the_text_is_noticed(latex):
    relation = latex.index("=") + 1
    negative = f"{latex[:relation]} -({latex[relation:]})"
    is_odd = "mathcal" in latex or latex.endswith("= 0") or latex == "x_0 = x_0"
    for flipped in flips(latex) if is_odd else [negative, *flips(latex)]:
        assert text_faults(flipped), flipped


@pytest.mark.parametrize("latex", IN_TEXT)
def test_an_exception_in_the_text_is_one(latex):
    assert latex in in_text() and text_faults(latex)


def test_the_exceptions_in_the_text_only_shrink():
    assert len(IN_TEXT) <= 30


@pytest.mark.parametrize(
    ("latex", "value"),
    [
        (r"64 \log 17 = 181", 64 * np.log(17)),
        (r"\log_2 17 = 4.09", np.log2(17)),
        (r"n > \ln 2 / (-\ln 0.999) = 692.8", -np.log(2) / np.log(0.999)),
        (r"\sqrt{\beta_1} = 0.01", np.sqrt(1e-4)),
    ],
)
def test_a_rounded_number_in_the_text(latex, value):
    assert latex in in_text()
    number = latex.rsplit("= ")[1]
    assert number == f"{value:.{len(number.partition('.')[2])}f}"
