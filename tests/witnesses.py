"""The four witnesses of an equation, each compared with the ledger.

Every function here returns None when the witness agrees, and a sentence that
names the witness, the equation and the difference when it does not.
"""

import importlib
import re
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import jupytext
import numpy as np
import sympy as sp
import torch
import yaml
from scipy.stats import norm
from sympy.core.function import AppliedUndef
from sympy.parsing.latex import parse_latex
from sympy.parsing.latex.errors import LaTeXParsingError

from ddpm_course import equations, schedules
from ddpm_course.equations import NOTATION, Equation, Gaussian, residual

BOOK = Path(__file__).parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))


@cache  # reading is slow, and the tests ask again and again
def cells(path: Path, kind: str) -> list:
    return [c for c in jupytext.read(path).cells if c.cell_type == kind]


# --- print, and the documents' own formulas: read from LaTeX ----------------------

#: LaTeX that only arranges or emphasises.
_DECORATION = re.compile(
    r"\\(left|right|[bB]igg?[lr]?|displaystyle|boldsymbol|mathbf|bm)(?![A-Za-z])"
    r"|\\[,;!:\s]|\\q?quad(?![A-Za-z])|&|\\\\|\\(begin|end)\{aligned\}|\\nonumber"
)
_SYNONYMS = {r"\epsilon": r"\varepsilon", r"\odot": "", r"\cdot": "", "|": r"\mid "}


def tidy(latex: str) -> str:
    """One spelling for what is typeset alike: x_{t} and x_t, ``epsilon`` and so on."""
    latex = re.sub(r"\\[lr]?Vert(?![A-Za-z])", r"\\|", latex)
    # the ledger has the square of one coordinate for a squared norm
    latex = re.sub(r"\\\|(.*?)\\\|(_\{?2\}?)?", r" (\1) ", latex, flags=re.S)
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
    """A quantity with the running index s, spelled at another index."""
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
    ends = {"s-1": s - 1, "t-1": t - 1, "T": equations.T, "1": 1}
    for notation in functions:  # under other running indices, and at the ends
        for index, at in (running | ends).items():
            if not (index.endswith("-1") and "s-1" in notation.latex):
                spelled = tidy(_at(notation.latex, index))
                table.setdefault(spelled, notation.symbol.func(at))
    table.setdefault("i", sp.Symbol("i"))
    return dict(sorted(table.items(), key=lambda item: -len(item[0])))


def read_expression(latex: str) -> sp.Expr:
    """The SymPy expression of a piece of LaTeX in the book's notation."""
    latex, table, found, out, at = tidy(latex), _table(), {}, "", 0
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
            piece = re.compile(r"\\[A-Za-z]+|.", re.S).match(latex, at)
            out += piece.group() + (" " if len(piece.group()) > 1 else "")
            at = piece.end()
    parsed = parse_latex(out, backend="antlr")
    constants = {sp.Symbol("pi"): sp.pi, sp.Symbol("e"): sp.E}
    return parsed.xreplace(constants | {sp.Symbol(n): s for n, s in found.items()})


def split(latex: str, at: str) -> list[str]:
    """Split at a character that stands outside all brackets."""
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


def formula_disagreement(witness: str, latex: str, equation: Equation) -> str | None:
    """Compare a formula, ``lhs = rhs = …``, with the ledger, side by side."""
    lhs, *sides = split(tidy(latex), "=")
    wanted = (
        (equation.rhs.x, equation.rhs.mean, equation.rhs.variance)
        if isinstance(equation.rhs, Gaussian)
        else (equation.rhs,)
    )
    name = f"{witness} and ledger disagree on {equation.label!r}"
    if lhs != tidy(equation.lhs):
        return f"{name}: the left side is {lhs}, the ledger has {equation.lhs}"
    for side in sides:
        read = read_side(side)
        if len(read) != len(wanted):
            return f"{name}: {side} is not of the same kind as {equation.rhs}"
        for got, want in zip(read, wanted, strict=True):
            difference = residual(got, want)
            if difference != 0:
                return (
                    f"{name}: {side} is {got}, the ledger has {want}: "
                    f"off by {difference}"
                )
    return None if sides else f"{name}: there is no right side in {latex}"


def printed(path: Path) -> Iterator[tuple[str, str]]:
    """(label, LaTeX) of each labelled formula of a chapter."""
    for cell in cells(path, "markdown"):
        for latex, label in re.findall(
            r"\$\$((?:(?!\$\$).)+)\$\$\s*\(([\w-]+)\)", cell.source, re.S
        ):
            yield label, latex


# --- source: the concordance ------------------------------------------------------


@cache
def concordance() -> dict[str, dict]:
    rows = yaml.safe_load((BOOK / "concordance.yml").read_text(encoding="utf-8"))
    return {row["id"]: row for row in rows}


#: What a document calls otherwise than the book, as ``tidy`` spells it.
_RENAMED = {
    r"\{\\theta\^\*\}": r"\\theta",  # the trained parameters
    r"\\theta\(x_t\)": r"\\theta(x_t,t)",  # a network without its time
    r"\\hat x_0": r"\\hat x_\\theta(x_t,t)",
    r"\\mu_q": r"\\tilde\\mu_t",
    r"\\sigma_q": r"\\sigma_t",
    r"\\Sigma_\\theta\(x_t,t\)": r"\\sigma_t^2",  # which their next line says
    r"\\sigma_t\\varepsilon$": r"\\sigma_tz",  # the noise of a step back
    r"^L_t(?=\W)": r"L_{t-1}",  # the term of the step from t to t - 1
}


def source_disagreement(row: dict, equation: Equation) -> str | None:
    """Compare the formula that a document prints with the ledger.

    A row with a ``slip`` is one that a reading note corrects: it must disagree.
    """
    if row["kind"] != "equation":
        return None
    quote = tidy(row["quote"])
    for theirs, ours in _RENAMED.items():
        quote = re.sub(theirs, ours, quote)
    sides, wanted = split(quote, "="), tidy(equation.lhs)
    if wanted in sides:  # a chain may begin with another name for it
        sides = sides[sides.index(wanted) + 1 :]
    elif len(sides) == 1 or not sides[0]:  # a line may continue the last
        sides = [side for side in sides if side]
    else:
        wanted, *sides = sides
    quote = "=".join([wanted, *sides])
    try:
        said = formula_disagreement("source", quote, equation)
    except LaTeXParsingError as error:
        said = f"source and ledger disagree on {equation.label!r}: unreadable, {error}"
    if row.get("slip"):
        return None if said else f"{row['id']} is called a slip, but agrees"
    return said and f"{said} (row {row['id']})"


# --- code -------------------------------------------------------------------------


@cache
def environments() -> list[dict]:
    """Numbers for every name in the ledger: each schedule, each t, random data."""
    return list(_environments())


def _environments() -> Iterator[dict]:
    generator = torch.Generator().manual_seed(0)
    parameters = {
        "beta_1": 1e-3,
        "beta_T": 0.2,
        "steepness": 4.0,
        "offset": 0.01,
        "T": 100,
    }
    T, ends = parameters["T"], (parameters["beta_1"], parameters["beta_T"])
    group = torch.linspace(-1, 2, 8).double().reshape(1, 8, 1) ** 2
    for betas in (
        schedules.linear_betas(T, *ends),
        schedules.quadratic_betas(T, *ends),
        schedules.sigmoid_betas(T, *ends, parameters["steepness"]),
        schedules.cosine_betas(T, parameters["offset"]),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some end far from noise: no matter here
            schedule = schedules.NoiseSchedule.from_betas(betas)
        beta = np.concatenate([[0.0], betas.numpy()])
        alpha, abar = 1 - beta, np.cumprod(1 - beta)
        with np.errstate(divide="ignore"):
            snr = abar / (1 - abar)
        path = torch.randn(T + 1, 1, generator=generator, dtype=torch.float64)
        for step in range(1, T + 1):  # a likely path: densities of others underflow
            path[step] *= betas[step - 1].sqrt()
            path[step] += (1 - betas[step - 1]).sqrt() * path[step - 1]
        functions = _functions(path[:, 0].numpy(), beta, alpha, abar)

        def denoiser(x_t, t):  # not the best one: its own coefficient at each t
            return x_t / (1 + t.double()[:, None] / T)

        for t in range(1, T + 1):
            data = {
                name: torch.randn(3, generator=generator, dtype=torch.float64)
                for name in NOTATION
            }
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                two = schedules.NoiseSchedule.from_betas(betas[[max(t - 2, 0), t - 1]])
                one = schedules.NoiseSchedule.from_betas(betas[t - 1 : t])
            if t == 1:  # two steps need two: t - 1 = 0 keeps everything
                two = schedules.NoiseSchedule(
                    *(v[[0, 0, 1]] for v in vars(schedule).values())
                )
            # the posterior, as the documents' last lines have it
            on_x0 = float(np.sqrt(abar[t - 1]) * beta[t] / (1 - abar[t]))
            on_x_t = float(np.sqrt(alpha[t]) * (1 - abar[t - 1]) / (1 - abar[t]))
            yield (
                data
                | parameters
                | {
                    "t": t,
                    "s": t // 2,  # any earlier time
                    "schedule": schedule,
                    "one_step": one,
                    "two_steps": two,
                    "path": path,
                    "denoiser": denoiser,
                    "terms": path[:, 0] ** 2,
                    "D": 3,
                    "M": 7,
                    "beta_t": beta[t],
                    "alpha_t": alpha[t],
                    "alpha_prev": alpha[t - 1],
                    "abar_t": abar[t],
                    "abar_prev": abar[t - 1],
                    "abar_T": abar[T],
                    "abar_s": abar[t // 2],
                    "eta": 0.6,
                    "sigma_s": 0.6
                    * np.sqrt(
                        (1 - abar[t // 2])
                        / (1 - abar[t])
                        * (1 - abar[t] / abar[t // 2])
                    ),
                    "snr_t": snr[t],
                    "snr_prev": snr[t - 1],
                    "betatilde_t": beta[t] * (1 - abar[t - 1]) / (1 - abar[t]),
                    "sigma_t": np.sqrt(beta[t]),  # the choice "beta"
                    "mu_tilde": on_x0 * data["x_0"] + on_x_t * data["x_t"],
                    "mu_theta": on_x0 * data["x0_hat"] + on_x_t * data["x_t"],
                    "var_1": data["var_1"] ** 2 + 0.1,
                    "var_2": data["var_2"] ** 2 + 0.1,
                    "p_T": norm.pdf(path[T].item()),
                    "d": 8,
                    "j": 2,
                    "longest": 1e4,
                    "omega_j": 1e4 ** (-2 / 3),
                    "group": group,
                    "h": group[0, :4, 0],
                    "mean_h": group[0, :4].mean(),
                    "var_h": group[0, :4].var(correction=0),
                    "functions": functions,
                }
            )


def _functions(x, beta, alpha, abar) -> dict:
    """The quantities with a running index; the densities are those along a path."""

    def on_x0(s):
        return np.sqrt(abar[s - 1]) * beta[s] / (1 - abar[s])

    def on_x_t(s):
        return np.sqrt(alpha[s]) * (1 - abar[s - 1]) / (1 - abar[s])

    def p_s(s):
        x0_hat = x[s] / (1 + s / (len(x) - 1))
        mean = on_x0(s) * x0_hat + on_x_t(s) * x[s]
        return norm.pdf(x[s - 1], mean, np.sqrt(beta[s]))

    def q_back(s):
        variance = beta[s] * (1 - abar[s - 1]) / (1 - abar[s])
        mean = on_x0(s) * x[0] + on_x_t(s) * x[s]
        return norm.pdf(x[s - 1], mean, np.sqrt(variance))

    return {
        "alpha": lambda s: alpha[s],
        "q_s": lambda s: norm.pdf(
            x[s], np.sqrt(1 - beta[s]) * x[s - 1], np.sqrt(beta[s])
        ),
        "q_0": lambda s: norm.pdf(x[s], np.sqrt(abar[s]) * x[0], np.sqrt(1 - abar[s])),
        "q_back": q_back,
        "p_s": p_s,
        "L_s": lambda s: x[s] ** 2,
        "J_s": lambda s: x[s] ** 2,
    }


def _numbers(expression: sp.Expr):
    """A function from an environment to the value of the expression."""
    names = {n.symbol: name for name, n in NOTATION.items() if n.symbol.is_Symbol}
    if expression.has(AppliedUndef):

        def value(env):
            index = {getattr(equations, n): env[n] for n in ("t", "T", "M")}
            spelled = expression.subs(index).doit()
            terms = {
                term: env["functions"][type(term).__name__](int(term.args[0]))
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
    name = f"code and ledger disagree on {equation.label!r}"
    rhs, calls = equation.rhs, equation.code
    if isinstance(calls, tuple):
        pairs = list(zip(calls, (rhs.mean, rhs.variance), strict=True))
    else:
        pairs = [(calls, rhs.sample if isinstance(rhs, Gaussian) else rhs)]
    for call, expression in pairs:
        modules = {
            m: importlib.import_module(f"ddpm_course.{m}") for m in _modules(call)
        }
        expected, compiled = _numbers(expression), compile(call, "<ledger>", "eval")
        every = 9 if expression.has(equations.t) else 99
        for env in environments():
            if env["t"] < equation.first:
                continue
            if expression.has(AppliedUndef) and env["t"] % every != 1:
                continue  # spelled out it is slow
            try:
                result = eval(compiled, {"torch": torch} | modules | env)
            except Exception as error:
                return f"{name}: {call} raises {type(error).__name__}: {error}"
            got = torch.as_tensor(result).numpy()
            want = expected(env)
            if got.dtype != np.float64:
                return f"{name}: {call} is {got.dtype}, not float64"
            if not np.allclose(got, want, rtol=1e-9, atol=1e-12):
                return (
                    f"{name} at t = {env['t']}: {call} gives {got}, "
                    f"{expression} gives {want}"
                )
    return None


def _modules(call: str) -> set[str]:
    return set(re.findall(r"\b([a-z_]+)\.\w+\(", call)) - {"torch", "schedule"}


# --- proof ------------------------------------------------------------------------


def proof_disagreements(
    path: Path, until: str | None = None
) -> tuple[set[str], list[str]]:
    """Run a chapter's cells tagged ``proof``; labels proven, and what failed.

    With ``until`` no further than the first failure that names this label.
    """
    namespace: dict = {"sp": sp}  # all that these cells may take for granted
    failed, output = [], StringIO()
    for cell in cells(path, "code"):
        if "proof" in cell.metadata.get("tags", []):
            try:
                with redirect_stdout(output):
                    exec(cell.source, namespace)
            except AssertionError as error:
                failed.append(str(error))
                if until and f"{until}: " in failed[-1]:
                    break
    return set(re.findall(r"^([\w-]+): proven", output.getvalue(), re.M)), failed
