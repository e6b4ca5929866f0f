"""The four witnesses of an equation, each compared with the ledger.

What SymPy can't prove has a fifth: both sides of an equation with an average in it are
evaluated on chains that can be solved exactly (``chain``).

A function ``..._disagreement`` returns None if the witness agrees, and otherwise a
sentence that names the witness, the equation and the difference.
"""

import importlib
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import chain
import jupytext
import numpy as np
import sympy as sp
import torch
import yaml
from scipy.stats import norm
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef
from sympy.parsing.latex import parse_latex
from sympy.parsing.latex.errors import LaTeXParsingError

from ddpm_course import equations, schedules
from ddpm_course.equations import (
    KL,
    LEDGER,
    NOTATION,
    E,
    Equation,
    Gaussian,
    residual,
)

BOOK = Path(__file__).parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
BY_NUMBER = {int(path.name[:2]): path for path in CHAPTERS}
#: All notebooks: the chapters, and pages that have a letter or no exercises.
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
#: The page of each group of exercises, "1", "2" … and "B".
PAGES = {str(number): path for number, path in BY_NUMBER.items() if number}
PAGES |= {"B": BOOK / "build_your_own.ipynb", "F": BOOK / "find_the_bug.ipynb"}


@cache  # reading is slow, and many tests ask
def cells(path: Path, kind: str) -> list:
    return [c for c in jupytext.read(path).cells if c.cell_type == kind]


# --- print, and the documents' own formulas: read from LaTeX ----------------------

#: LaTeX that only arranges or emphasizes.
_DECORATION = re.compile(
    r"\\(left|right|[bB]igg?[lr]?|displaystyle|boldsymbol|mathbf|bm|boxed)(?![A-Za-z])"
    r"|\\[,;!:\s]|\\q?quad(?![A-Za-z])|&|\\\\|\\(begin|end)\{aligned\}|\\nonumber"
)
_SYNONYMS = {r"\epsilon": r"\varepsilon", r"\odot": "", r"\cdot": "", "|": r"\mid "}
_SYNONYMS |= {r"\le": "≤", r"\leq": "≤", r"\ge": "≥", r"\geq": "≥"}

#: The commands that may stand beside symbols. SymPy's parser would read any other as a
#: symbol, or even letter by letter.
_COMMAND = re.compile(r"\\(frac|sqrt|sum|prod|log|exp|sin|cos|pi)")


def tidy(latex: str) -> str:
    """One spelling for formulas that look alike: x_{t} and x_t, ``epsilon`` etc."""
    latex = re.sub(r"\\[lr]?Vert(?![A-Za-z])", r"\\|", latex)
    # a squared norm stands for the square of one coordinate
    latex = re.sub(r"\\\|(.*?)\\\|(_\{?2\}?)?", r" (\1) ", latex, flags=re.S)
    latex = latex.replace(r"\|", r"\parallel ")  # what is left stands in a divergence
    latex = re.sub(
        r"\\underbrace\{(.*?)\}_\{\\text\{.*?\}\}", r" \1 ", latex, flags=re.S
    )
    latex = _DECORATION.sub(" ", latex)
    for old, new in _SYNONYMS.items():
        word = r"(?![A-Za-z])" if old[-1].isalpha() else ""
        latex = re.sub(re.escape(old) + word, lambda _, new=new: new, latex)
    latex = re.sub(
        r"\\(bar|hat|tilde|mathcal)\s*\{\s*(\\?[A-Za-z]+)\s*\}", r"\\\1 \2", latex
    )
    latex = re.sub(r"\{\s*([A-Za-z])\s*\}", r"{\1}", latex)
    latex = re.sub(r"([_^])\{(\w)\}", r"\1\2", latex)
    latex = re.sub(r"_\{(\\[A-Za-z]+)\}", r"_\1 ", latex)  # \mu_{\theta}
    latex = re.sub(
        r"\{\s*([xz]|\\mu|\\varepsilon)\s*\}(?=_)", r"\1", latex
    )  # \mathbf{x}_t
    latex = re.sub(r"\s+", " ", latex).strip(" .,")
    # a space matters only between a command and a letter
    latex = re.sub(r"(\\[A-Za-z]+) (?=[A-Za-z])", r"\1~", latex).replace(" ", "")
    return latex.replace("~", " ")


def _at(latex: str, index: str) -> str:
    """The LaTeX of a quantity with the running index s, at another index."""
    before = {"T": "T-1", "1": "0"}.get(index, f"{index}-1")
    latex = latex.replace("s-1", before)
    return re.sub(r"(?<![A-Za-z\\])s(?![A-Za-z])", lambda _: f"{{{index}}}", latex)


@cache
def _table() -> dict[str, sp.Basic]:
    table = {tidy(n.latex): n.symbol for n in NOTATION.values()}
    # the first step is all of the first steps: q(x_1 | x_0) is read as q_0(1)
    functions = [n for n in NOTATION.values() if isinstance(n.symbol, sp.Function)]
    functions.sort(key=lambda n: n.symbol.func != equations.q_0)
    s, t = equations.s, equations.t
    running = {"t": t} | {i: sp.Symbol(i) for i in "ijm"}
    ends = {"s-1": s - 1, "t-1": t - 1, "T": equations.T}
    ends |= {str(n): n for n in range(5)}
    for notation in functions:  # under other running indices, and at the ends
        for index, at in (running | ends).items():
            if not (index.endswith("-1") and "s-1" in notation.latex):
                spelled = tidy(_at(notation.latex, index))
                table.setdefault(spelled, notation.symbol.func(at))
    table.setdefault("i", sp.Symbol("i"))
    return dict(sorted(table.items(), key=lambda item: -len(item[0])))


def read_expression(latex: str) -> sp.Expr:
    """The SymPy expression of LaTeX in the book's notation.

    Raises LaTeXParsingError for anything else.
    """
    latex, found, out, at = tidy(latex), {}, "", 0
    # an average is read by itself and stands for one symbol
    table = dict(_averages(latex)) | _table()
    while at < len(latex):
        for token, symbol in table.items():
            if latex.startswith(token, at):
                letters = "zz" + "".join(chr(97 + int(d)) for d in str(len(found)))
                name = next((n for n, s in found.items() if s == symbol), letters)
                found[name] = symbol
                script = out.endswith(("^", "_"))
                out += rf"{{\mathit{{{name}}}}}" if script else rf"\mathit{{{name}}} "
                at += len(token)
                if latex.startswith("(", at) and not script:
                    out += r"\cdot "  # A(x) is a product, not a function
                break
        else:
            piece = re.compile(r"\\[A-Za-z]+|.", re.S).match(latex, at).group()
            if len(piece) > 1 and not _COMMAND.fullmatch(piece):
                raise LaTeXParsingError(f"unknown command {piece}")
            out += piece + (" " if len(piece) > 1 else "")
            at += len(piece)
    parsed = parse_latex(out, backend="antlr")
    constants = {sp.Symbol("pi"): sp.pi, sp.Symbol("e"): sp.E}
    return parsed.xreplace(constants | {sp.Symbol(n): s for n, s in found.items()})


def _averages(latex: str) -> Iterator[tuple[str, sp.Expr]]:
    """The averages and divergences in a formula, with what they are."""
    over = r"(?P<over>([^{}]|\{[^{}]*\})*)"
    begins = rf"\\mathbb E_\{{{over}\}}(?=\[)|D_\{{KL\}}(?=\()"
    for begin in re.finditer(begins, latex):
        # up to the bracket that closes the one after it
        depth, end = 0, begin.end()
        for end in range(begin.end(), len(latex)):
            depth += (latex[end] in "({[") - (latex[end] in ")}]")
            if depth == 0:
                break
        inside = latex[begin.end() + 1 : end]
        if begin["over"]:
            found = E(read_expression(begin["over"]), read_expression(inside))
        elif len(pair := re.split(r"\\parallel ?", inside)) == 2:
            found = KL(*map(read_expression, pair))
        else:
            raise LaTeXParsingError(f"no two densities in {inside}")
        yield latex[begin.start() : end + 1], found


def split(latex: str, at: str) -> list[str]:
    """Split at a character, except inside brackets."""
    parts, depth = [""], 0
    for character in latex:
        depth += (character in "({[") - (character in ")}]")
        if depth == 0 and character == at:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@cache
def read_side(latex: str) -> tuple[sp.Expr, ...]:
    """(expression,), or (x, mean, variance) of \\mathcal N(x; mean, variance I)."""
    latex = tidy(latex)
    gaussian = re.fullmatch(r"\\mathcal N\((.*)\)", latex)
    if gaussian is None:
        return (read_expression(latex),)
    x, moments = split(gaussian[1], ";")
    mean, variance = split(moments, ",")
    variance = re.sub(r"\{?I\}?$", "", variance)
    return read_expression(x), read_expression(mean), read_expression(variance)


def spelled_out(expression: sp.Expr) -> sp.Expr:
    """The terms of the bound and the posterior's moments, by their own entries."""

    def term(k: sp.Expr) -> sp.Expr:
        ends = {equations.T: "prior-term", sp.S.Zero: "decoder-term"}
        if k in ends:
            return LEDGER[ends[k]].rhs
        return LEDGER["matching-term"].rhs.subs(equations.t, k + 1)

    mean, variance = LEDGER["posterior-mean"].rhs, LEDGER["posterior-variance"].rhs
    moments = {equations.mu_tilde: mean, equations.betatilde_t: variance}
    return expression.replace(equations.L_s, term).xreplace(moments)


def what_is_left(got: sp.Expr, want: sp.Expr) -> sp.Expr:
    """The difference of two expressions: symbolic, or for sums and products in numbers.

    If it is not 0, the names in both are spelled out.
    """
    left = residual(got, want)
    if left != 0 and (spelled_out(got), spelled_out(want)) != (got, want):
        left = residual(spelled_out(got), spelled_out(want))
    known = {n.symbol for n in NOTATION.values()}
    if left.has(ExprWithLimits) and not left.has(E, KL) and left.free_symbols <= known:
        sides = _numbers(got), _numbers(want)
        some = environments()[_CONSTANTS["T"] // 2 :: _CONSTANTS["T"]]
        if all(np.isclose(*(f(env) for f in sides), rtol=1e-9, atol=0) for env in some):
            return sp.S.Zero
    return left


def formula_disagreement(witness: str, latex: str, equation: Equation) -> str | None:
    """Compare each side of a formula, ``lhs = rhs = …``, with the ledger."""
    lhs, *sides = split(tidy(latex), equation.relation)
    wanted = (
        (equation.rhs.x, equation.rhs.mean, equation.rhs.variance)
        if isinstance(equation.rhs, Gaussian)
        else (equation.rhs,)
    )
    name = f"{witness} and ledger disagree on {equation.label!r}"
    if lhs != tidy(equation.lhs):
        return f"{name}: the left side is {lhs}, the ledger has {equation.lhs}"
    for side in sides:
        try:
            read = read_side(side)
        except LaTeXParsingError as error:
            return f"{name}: cannot read {side}: {error}"
        if len(read) != len(wanted):
            return f"{name}: {side} is not the same kind of thing as {equation.rhs}"
        for got, want in zip(read, wanted, strict=True):
            difference = what_is_left(got, want)
            if difference != 0:
                return (
                    f"{name}: {side} is {got}, the ledger has {want}: "
                    f"off by {difference}"
                )
    return None if sides else f"{name}: there is no right side in {latex}"


@cache
def printed() -> dict[str, tuple[int, str]]:
    """(chapter, LaTeX) of every labeled formula of the book, by its label."""
    formula = r"\$\$((?:(?!\$\$).)+)\$\$\s*\(([\w-]+)\)"
    return {
        label: (chapter, latex)
        for chapter, path in BY_NUMBER.items()
        for cell in cells(path, "markdown")
        for latex, label in re.findall(formula, cell.source, re.S)
    }


def print_disagreement(equation: Equation) -> str | None:
    """Compare the printed formula with the ledger."""
    label, home = equation.label, equation.chapter
    if label not in printed():
        return f"{label!r} is printed in no chapter: its entry says chapter {home}"
    chapter, latex = printed()[label]
    if chapter != home:
        return (
            f"{label!r} is printed in chapter {chapter}: its entry says chapter {home}"
        )
    return formula_disagreement("print", latex, equation)


def without_entry() -> list[str]:
    """What is printed, but missing from the ledger."""
    return [
        f"{label!r} is printed in chapter {chapter}, but has no entry in the ledger: "
        f"add it to equations/chapter_{chapter}.py"
        for label, (chapter, _) in printed().items()
        if label not in LEDGER
    ]


# --- source: the concordance ------------------------------------------------------


@cache
def concordance() -> dict[str, dict]:
    rows = yaml.safe_load((BOOK / "concordance.yml").read_text(encoding="utf-8"))
    return {row["id"]: row for row in rows}


#: What the documents call by another name than the book, as ``tidy`` spells it.
_RENAMED = {
    r"\{\\theta\^\*\}": r"\\theta",  # the trained parameters
    r"\\theta\(x_t\)": r"\\theta(x_t,t)",  # a network without its time
    r"\\hat x_0": r"\\hat x_\\theta(x_t,t)",
    r"\\mu_q": r"\\tilde\\mu_t",
    r"\\sigma_q": r"\\sigma_t",
    r"\\Sigma_\\theta\(x_t,t\)": r"\\sigma_t^2",  # which their next line says
    r"\\sigma_t\\varepsilon$": r"\\sigma_tz",  # the noise of a step back
    r"^L_t(?=\W)": r"L_{t-1}",  # the term of the step from t to t - 1
    r"^J_\\theta\(q\)": r"J_\\theta",  # there is no q on the right
    re.escape(r"\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\varepsilon,t"): "x_t,t",
    # the loss of image m of a batch
    re.escape(r"(\hat x_\theta(x_t^{(m)},t^{(m)})-x_0^{(m)})^2"): "J_m",
}


def source_disagreement(row: dict, equation: Equation) -> str | None:
    """Compare the formula of a document with the ledger.

    A row that has a ``slip`` must disagree, and what is ``meant`` must agree.
    """
    if row["kind"] != "equation":
        return None
    said = _quote_disagreement(row["quote"], equation)
    if row.get("slip"):
        if not said:
            return f"{row['id']} is called a slip, but agrees"
        if "meant" not in row:
            return f"{row['id']} is a slip: say what is meant"
        said = _quote_disagreement(row["meant"], equation)
    return said and f"{said} (row {row['id']})"


def _quote_disagreement(quote: str, equation: Equation) -> str | None:
    quote = tidy(quote)
    for theirs, ours in _RENAMED.items():
        quote = re.sub(theirs, ours, quote)
    if r"\propto" in quote:
        return _disproportion(*quote.split(r"\propto"), equation)
    sides, wanted = split(quote, equation.relation), tidy(equation.lhs)
    if wanted in sides:  # a chain may begin with another name for it
        sides = sides[sides.index(wanted) + 1 :]
    elif len(sides) == 1 or not sides[0]:  # a line may continue the last
        sides = [side for side in sides if side]
    else:
        wanted, *sides = sides
    quote = equation.relation.join([wanted, *sides])
    return formula_disagreement("source", quote, equation)


def _disproportion(lhs: str, rhs: str, equation: Equation) -> str | None:
    """The same for "proportional to": the factor may depend on σ_t alone."""
    factor = read_expression(rhs) / equation.rhs
    factor = sp.simplify(factor.subs(equations.RELATIONS))
    if lhs == tidy(equation.lhs) and factor.free_symbols <= {equations.sigma_t}:
        return None
    name = f"source and ledger disagree on {equation.label!r}"
    return f"{name}: {lhs} is {rhs}, {factor} times {equation.lhs}"


# --- code: the test values of all symbols, and the package's functions on them -------

_CONSTANTS = {
    "T": 100,
    "beta_1": 1e-3,
    "beta_T": 0.2,
    "steepness": 4.0,
    "offset": 0.01,
    "eta": 0.6,
    "D": 3,
    "M": 7,
    "d": 8,
    "j": 2,
    "longest": 1e4,
    "omega_j": 1e4 ** (-2 / 3),
    "scale": 1.7,
    "var_rho": 0.3,
    "var_all": 1.3,
    "var_y": 0.25,
}

#: Free data: three random numbers, new ones at each time.
_RANDOM = (
    *("x_0", "x_t", "x_prev", "x_prev2", "x_s", "eps", "z", "v", "score"),
    *("x0_hat", "x0_hat_1", "eps_hat", "v_hat", "mean_1", "mean_2"),
    *("x0_hat_s", "x0_hat_r", "ydot", "ydot_hat", "y", "x0_hat_y", "eps_hat_y"),
    *("score_y", "pull", "power_pull"),
)


def _test_values(betas: torch.Tensor, generator: torch.Generator) -> Iterator[dict]:
    """A test value for every symbol, at each t of a schedule; and what calls need.

    The value of a symbol with a running index is a function.
    """

    def randn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    T, eta = _CONSTANTS["T"], _CONSTANTS["eta"]
    schedule = _schedule(betas)
    beta = np.concatenate([[0.0], betas.numpy()])
    alpha, abar = 1 - beta, np.cumprod(1 - beta)
    before = np.roll(abar, 1)  # ᾱ, one step earlier
    with np.errstate(divide="ignore", invalid="ignore"):  # at time 0
        snr = abar / (1 - abar)
        betatilde = beta * (1 - before) / (1 - abar)
        # the coefficients of the posterior mean
        on_x0 = np.sqrt(before) * beta / (1 - abar)
        on_x_t = np.sqrt(alpha) * (1 - before) / (1 - abar)
    x = randn(T + 1).numpy()
    for t in range(1, T + 1):  # a likely path: the density of others underflows
        x[t] = np.sqrt(alpha[t]) * x[t - 1] + np.sqrt(beta[t]) * x[t]
    path = torch.from_numpy(x)[:, None]
    group = torch.linspace(-1, 2, 8).double().reshape(1, 8, 1) ** 2

    def normal(s: int, mean: float, variance: float) -> float:
        return norm.pdf(x[s], mean, np.sqrt(variance))

    def posterior(s: int, x0: float, variance: float) -> float:
        return normal(s - 1, on_x0[s] * x0 + on_x_t[s] * x[s], variance)

    def marginal(s: int) -> tuple[float, float]:
        """Mean and variance of x_s, for Gaussian data."""
        return np.sqrt(abar[s]) * 0.3, abar[s] * 0.5 + 1 - abar[s]

    def reverse(s: int) -> float:
        """Of a Gaussian pair: the mean of x_{s-1} is linear in x_s."""
        (mean, variance), (mean_s, variance_s) = marginal(s - 1), marginal(s)
        slope = np.sqrt(alpha[s]) * variance / variance_s
        rest = variance - slope**2 * variance_s
        return normal(s - 1, mean + slope * (x[s] - mean_s), rest)

    of_schedule = {
        "alpha": lambda s: alpha[s],
        "beta": lambda s: beta[s],
        "q_s": lambda s: normal(s, np.sqrt(alpha[s]) * x[s - 1], beta[s]),
        "q_0": lambda s: normal(s, np.sqrt(abar[s]) * x[0], 1 - abar[s]),
        "q_back": lambda s: posterior(s, x[0], betatilde[s]),
        "p_s": lambda s: posterior(s, x[s] / (1 + s / T), beta[s]),
        "q_marginal": lambda s: normal(s, *marginal(s)),
        "q_reverse": reverse,
        "L_s": lambda s: x[s] ** 2,
        "J_s": lambda s: x[s] ** 2,
        "p_T": norm.pdf(x[T]),
        "abar_1": abar[1],
        "abar_T": abar[T],
        "h": group[0, :4, 0],
        "mean_h": group[0, :4].mean(),
        "var_h": group[0, :4].var(correction=0),
        # not symbols, but arguments of the calls
        "schedule": schedule,
        "path": path,
        "terms": path[:, 0] ** 2,
        "group": group,
        # not the best denoiser, but one with its own coefficient at each t
        "denoiser": lambda x_t, t: x_t / (1 + t.double()[:, None] / T),
    }
    for t in range(1, T + 1):
        s = t // 2  # any earlier time
        skipped = (1 - abar[s]) / (1 - abar[t]) * (1 - abar[t] / abar[s])
        data = {name: randn(3) for name in _RANDOM}
        # of two points, -1 and 1: the guess is tanh of this
        lean = np.sqrt(abar[t]) * data["x_t"] / (1 - abar[t])
        # the same if 1 has the probability 0.7
        x0_told = torch.tanh(lean + np.log(0.7 / 0.3) / 2)
        with np.errstate(divide="ignore"):  # at s = 0
            log_snr = np.log(snr[[t, s]])
        at_t = {
            "t": t,
            "s": s,
            "beta_t": beta[t],
            "alpha_t": alpha[t],
            "alpha_prev": alpha[t - 1],
            "abar_t": abar[t],
            "abar_prev": abar[t - 1],
            "abar_s": abar[s],
            "snr_t": snr[t],
            "snr_prev": snr[t - 1],
            "betatilde_t": betatilde[t],
            "sigma_t": np.sqrt(beta[t]),  # the choice "beta"
            "sigma_s": eta * np.sqrt(skipped),
            "lambda_t": log_snr[0],
            "lambda_s": log_snr[1],
            "lambda_r": log_snr[0] - 0.3,
            "w_t": np.exp(log_snr[0] / 2),
            "w_s": np.exp(log_snr[1] / 2),
            "tau_t": 1 / (1 + np.exp(log_snr[0] / 2)),
            "var_x0": 1 / torch.cosh(lean) ** 2,
            "x0_mean": torch.tanh(lean),
            "x0_told": x0_told,
            "eps_told": (data["x_t"] - np.sqrt(abar[t]) * x0_told)
            / np.sqrt(1 - abar[t]),
            "div_x0": randn(1).item(),
            "mu_tilde": on_x0[t] * data["x_0"] + on_x_t[t] * data["x_t"],
            "mu_theta": on_x0[t] * data["x0_hat"] + on_x_t[t] * data["x_t"],
            "var_1": randn(3) ** 2 + 0.1,
            "var_2": randn(3) ** 2 + 0.1,
            "one_step": _schedule(betas[t - 1 : t]),
            "two_steps": _schedule(betas[[max(t - 2, 0), t - 1]]),  # from t = 2 on
        }
        yield _CONSTANTS | of_schedule | data | at_t


def _schedule(betas: torch.Tensor) -> schedules.NoiseSchedule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may end far from noise: fine here
        return schedules.NoiseSchedule.from_betas(betas)


@cache
def environments() -> list[dict]:
    """The test values for each schedule, at each t."""
    generator = torch.Generator().manual_seed(0)
    T, ends = _CONSTANTS["T"], (_CONSTANTS["beta_1"], _CONSTANTS["beta_T"])
    found = [
        values
        for betas in (
            schedules.linear_betas(T, *ends),
            schedules.quadratic_betas(T, *ends),
            schedules.sigmoid_betas(T, *ends, _CONSTANTS["steepness"]),
            schedules.cosine_betas(T, _CONSTANTS["offset"]),
        )
        for values in _test_values(betas, generator)
    ]
    for name in NOTATION:
        if name not in found[0] and name not in chain.DENSITIES:
            raise LookupError(
                f"no test value for symbol {name!r}: add it to _CONSTANTS, _RANDOM or "
                "_test_values in tests/witnesses.py"
            )
    return found


def _numbers(expression: sp.Expr) -> Callable[[dict], np.ndarray | float]:
    """A function from an environment to the value of the expression."""
    names = {n.symbol: name for name, n in NOTATION.items() if n.symbol.is_Symbol}
    if expression.has(AppliedUndef):

        def value(env):
            index = {getattr(equations, n): env[n] for n in ("t", "T", "M")}
            spelled = expression.subs(index).doit()
            terms = {
                term: env[type(term).__name__](int(term.args[0]))
                for term in spelled.atoms(AppliedUndef)
            } | {symbol: env[names[symbol]] for symbol in spelled.free_symbols}
            return float(
                spelled.xreplace({k: sp.Float(v, 17) for k, v in terms.items()})
            )

        return value
    symbols = sorted(expression.free_symbols, key=str)
    function = sp.lambdify(symbols, expression, "numpy")
    return lambda env: function(*(np.asarray(env[names[symbol]]) for symbol in symbols))


def code_disagreement(equation: Equation) -> str | None:
    """Run the package's function and the expression on the same numbers, float64."""
    if chain.holds_an_average(equation):
        return _code_disagreement_on_average(equation)
    name = f"code and ledger disagree on {equation.label!r}"
    rhs, calls = equation.rhs, equation.code
    if isinstance(calls, tuple):
        pairs = list(zip(calls, (rhs.mean, rhs.variance), strict=True))
    else:
        pairs = [(calls, rhs.draw if isinstance(rhs, Gaussian) else rhs)]
    for call, expression in pairs:
        modules = {
            m: importlib.import_module(f"ddpm_course.{m}") for m, _ in functions(call)
        }
        expected, compiled = _numbers(expression), compile(call, "<ledger>", "eval")
        every = 9 if expression.has(equations.t) else 99
        T = _CONSTANTS["T"]
        for number, env in enumerate(environments()):
            if env["t"] < equation.first:
                continue
            # one schedule at each t, the others at some and at both ends
            if number >= T and env["t"] % 11 != 1 and env["t"] != 2:
                continue
            # sums and products term by term are slow
            if expression.has(AppliedUndef) and env["t"] % every != 1:
                continue
            try:
                result = eval(compiled, {"torch": torch} | modules | env)
            except Exception as error:
                return f"{name}: {call} raises {type(error).__name__}: {error}"
            got = torch.as_tensor(result).numpy()
            want = expected(env)
            if got.dtype != np.float64:
                return f"{name}: {call} is {got.dtype}, not float64"
            finite = np.isfinite(want).all()  # two infinities agree on nothing
            if not (finite and np.allclose(got, want, rtol=1e-9, atol=1e-12)):
                return (
                    f"{name} at t = {env['t']}: {call} gives {got}, "
                    f"{expression} gives {want}"
                )
    return None


def _code_disagreement_on_average(equation: Equation) -> str | None:
    """The same for a call that gives the value for one path."""
    compiled = compile(equation.code, "<ledger>", "eval")
    modules = {"torch": torch} | {
        m: importlib.import_module(f"ddpm_course.{m}")
        for m, _ in functions(equation.code)
    }
    values = chain.code_values(equation, lambda env: eval(compiled, modules | env))
    for t, got, want in values:
        if got.dtype != torch.float64 or not np.allclose(got, want, rtol=1e-9):
            return (
                f"code and ledger disagree on {equation.label!r} at t = {t}: "
                f"{equation.code} is {got} on average, {equation.rhs} gives {want}"
            )
    return None


def chain_disagreement(equation: Equation) -> str | None:
    """Compare both sides of an equation with an average, on chains solved exactly."""
    return chain.disagreement(equation, read_expression(equation.lhs))


def functions(call: str) -> set[tuple[str, str]]:
    """(module, name) of the package's functions in a call."""
    return set(re.findall(r"\b(?!torch|schedule\.)([a-z_]+)\.(\w+)\(", call))


# --- proof ------------------------------------------------------------------------


class _Read(dict):
    """A ledger that remembers which entries were looked up."""

    def __init__(self, entries: dict[str, Equation]):
        super().__init__(entries)
        self.labels: set[str] = set()

    def __getitem__(self, label: str) -> Equation:
        self.labels.add(label)
        return super().__getitem__(label)


@dataclass(frozen=True)
class Derivation:
    """What a proof ends in, and the entries that were read before it."""

    end: tuple[sp.Expr, ...]
    read: frozenset[str]


@cache  # some cells take seconds
def derivations(chapter: int) -> tuple[dict[str, Derivation], list[str]]:
    """The derivation of each equation of a chapter, and what its cells assert in vain.

    The cells are run as they stand, except that ``prove`` only takes notes.
    """
    ledger, found, failed = _Read(LEDGER), {}, []

    def note(label: str, *end: sp.Expr) -> None:
        found[label] = Derivation(end, frozenset(ledger.labels))

    namespace: dict = {"sp": sp}  # all that these cells may take for granted
    with patch.multiple(equations, LEDGER=ledger, prove=note):
        for cell in cells(BY_NUMBER[chapter], "code"):
            if "proof" in cell.metadata.get("tags", []):
                try:
                    exec(cell.source, namespace)
                except AssertionError as error:
                    failed.append(f"an assertion fails in {cell.source}: {error}")
    return found, failed


def proof_disagreements(chapter: int) -> list[str]:
    """Compare the derivations of a chapter with the ledger, and say what is wrong."""
    path, (proven, failed) = BY_NUMBER[chapter], derivations(chapter)
    failed = list(failed)
    for label, derivation in proven.items():
        try:
            with redirect_stdout(StringIO()):
                equations.prove(label, *derivation.end)
        except AssertionError as error:
            failed.append(str(error))
    wanted = {e.label for e in LEDGER.values() if e.chapter == chapter}
    return [
        *failed,
        *(
            f"{label!r} is proven in no cell tagged proof of {path.name}"
            for label in sorted(wanted - set(proven))
        ),
        *(
            f"{label!r} is proven in {path.name}: its entry says chapter "
            f"{LEDGER[label].chapter}"
            for label in sorted(set(proven) - wanted)
        ),
    ]
