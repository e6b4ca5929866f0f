"""Every labeled equation has four witnesses, and each of them is awake."""

import ast
import importlib
import inspect
import re
import textwrap
from collections import defaultdict
from dataclasses import replace

import chain
import numpy as np
import pytest
import sympy as sp
import witnesses
from witnesses import BY_NUMBER

from ddpm_course import equations
from ddpm_course.equations import LEDGER, NOTATION, Gaussian, prove

by_label = pytest.mark.parametrize("equation", LEDGER.values(), ids=lambda e: e.label)


averages = pytest.mark.parametrize(
    "equation",
    [e for e in LEDGER.values() if chain.holds_an_average(e)],
    ids=lambda e: e.label,
)


# --- the witnesses agree ----------------------------------------------------------


@by_label
def test_print(equation):
    assert witnesses.print_disagreement(equation) is None


def test_every_printed_label_is_in_the_ledger():
    assert witnesses.without_entry() == []


@by_label
def test_code(equation):
    assert witnesses.code_disagreement(equation) is None


@pytest.mark.slow
@pytest.mark.parametrize("chapter", BY_NUMBER)
def test_proof(chapter):
    assert witnesses.proof_disagreements(chapter) == []


@pytest.mark.slow
@by_label
def test_source(equation):
    rows = witnesses.concordance()
    assert set(equation.sources) <= set(rows)
    for source in equation.sources:
        assert witnesses.source_disagreement(rows[source], equation) is None


#: Lines that lead to a section or an exercise, and yet say an equation.
ELSEWHERE = {
    "elbo/4/simple": "sample-loss",
    "slides/reverse-14/simple-xt": "noise-loss",  # the slip is on its left side
    "training/self-assessment/4-total": "batch-loss",
}


@pytest.mark.parametrize("source", ELSEWHERE)
def test_a_formula_elsewhere(source):
    row, equation = witnesses.concordance()[source], LEDGER[ELSEWHERE[source]]
    assert "to" in row and source not in equation.sources
    if "meant" in row:
        assert witnesses.source_disagreement(row, equation) is None
    else:
        agreeing = {**row, "slip": None}
        # the lecture calls by this name what the book calls J
        agreeing["quote"] = row["quote"].replace("L_{simple}", r"J_\theta")
        assert witnesses.source_disagreement(agreeing, equation) is None


#: Equations that the documents say in words only.
IN_WORDS = {
    *("linear-schedule", "quadratic-schedule", "sigmoid-schedule", "cosine-schedule"),
    *("time-embedding", "group-norm"),
}
#: Equations of ours, which the documents lack.
OURS = {
    *("snr", "beta-from-alpha-bar", "bound-gap", "likelihood-average", "bound-jensen"),
    "mirrored-step",
    *("prior-term", "matching-term", "decoder-term", "gaussian-kl", "prior-kl"),
    *("gaussian-kl-equal", "bound-term", "decoder-continuous", "bits-per-dim"),
    *("loss-snr", "eps-from-x0", "eps-error", "v", "x0-from-v", "eps-from-v"),
    *("v-error", "loss-v", "score", "tweedie", "time-similarity"),
    *("ancestral-step-x0", "posterior-skip", "ddim-step", "ddim-sigma"),
    *(e.label for e in LEDGER.values() if e.chapter >= 8),  # beyond the documents
}


def test_every_other_equation_is_compared_with_a_formula_of_the_documents():
    kinds = {
        label: {witnesses.concordance()[source]["kind"] for source in e.sources}
        for label, e in LEDGER.items()
    }
    assert {label for label, found in kinds.items() if not found} == OURS
    words = {label for label, found in kinds.items() if found - {"equation"} == found}
    assert words - OURS == IN_WORDS


SLIPS = [
    (witnesses.concordance()[source], equation)
    for equation in LEDGER.values()
    for source in equation.sources
    if "slip" in witnesses.concordance()[source]
]


@pytest.mark.slow
@pytest.mark.parametrize(("row", "equation"), SLIPS, ids=[r["id"] for r, _ in SLIPS])
def test_a_slip_is_one_and_says_what_is_meant(row, equation):
    said = witnesses.source_disagreement({**row, "quote": row["meant"]}, equation)
    assert said == f"{row['id']} is called a slip, but agrees"
    for latex in flipped_latex(row["meant"], equation.relation):
        assert witnesses.source_disagreement({**row, "meant": latex}, equation)
    silent = {key: value for key, value in row.items() if key != "meant"}
    said = witnesses.source_disagreement(silent, equation)
    assert said == f"{row['id']} is a slip: say what is meant"


@averages
def test_chain(equation):
    assert witnesses.chain_disagreement(equation) is None


# --- no entry is weaker than it looks -----------------------------------------------


def is_circular(label: str, read: frozenset[str], proven: set[str]) -> bool:
    """Whether a proof reads an entry that stands at it or after it in the book."""
    return any(
        LEDGER[other].chapter >= LEDGER[label].chapter and other not in proven
        for other in read
    )


@pytest.mark.slow
@pytest.mark.parametrize("chapter", equations.CHAPTERS)
def test_a_proof_reads_only_what_is_proven(chapter):
    derivations, _ = witnesses.derivations(chapter)
    proven: set[str] = set()
    for label, proof in derivations.items():
        assert not is_circular(label, proof.read, proven), (label, proof.read)
        proven.add(label)


def test_a_circular_proof_is_noticed():
    assert is_circular("alpha", frozenset({"alpha"}), set())  # its own side
    assert is_circular("alpha", frozenset({"snr"}), {"alpha-bar"})  # a later one
    assert not is_circular("snr", frozenset({"alpha"}), {"alpha"})
    assert not is_circular("prior-term", frozenset({"alpha"}), set())


#: Calls and attributes that write an expression, or rewrite it, and derive nothing.
WRITING = {
    *("Symbol", "symbols", "Function", "Integer", "Rational", "Sum", "Product", "Eq"),
    *("sqrt", "log", "exp", "sin", "cos", "sum", "dict", "fraction", "prove"),
    *("expand", "simplify", "factor", "together", "cancel", "expand_log"),
    *vars(equations),
}


def is_derived(node: ast.AST, derived: set[str]) -> bool:
    """Whether code derives something: by a call, from another entry, or from names."""

    def name(node: ast.AST) -> str:
        return getattr(node, "id", getattr(node, "attr", ""))

    return any(
        (isinstance(part, ast.Call) and name(part.func) not in WRITING)
        or (isinstance(part, ast.Subscript) and name(part.value) == "LEDGER")
        or (isinstance(part, ast.Attribute) and part.attr in ("density", "draw"))
        or (isinstance(part, ast.Name) and part.id in derived)
        for part in ast.walk(node)
    )


def typed_in(source: str) -> list[str]:
    """The labels whose proof has typed in what it claims to derive."""
    derived: set[str] = set()
    found = []
    for line in ast.parse(source).body:
        if isinstance(line, ast.Assign | ast.AugAssign):
            targets = getattr(line, "targets", None) or [line.target]
            names = {n.id for t in targets for n in ast.walk(t) if hasattr(n, "id")}
            if is_derived(line.value, derived):
                derived |= names
            elif isinstance(line, ast.Assign):
                derived -= names
        for call in ast.walk(line):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "prove":
                label, *ends = call.args
                if not any(is_derived(end, derived) for end in ends):
                    found.append(label.value)
    return found


def proofs(chapter: int) -> str:
    """The proof cells of a chapter, in one."""
    code = witnesses.cells(BY_NUMBER[chapter], "code")
    tagged = [c.source for c in code if "proof" in c.metadata.get("tags", [])]
    return "\n".join(tagged)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", equations.CHAPTERS)
def test_a_proof_derives_what_it_proves(chapter):
    assert typed_in(proofs(chapter)) == []


@pytest.mark.parametrize(
    "end",
    [
        "abar_prev * alpha_t",
        "sp.simplify(sp.expand(abar_prev * alpha_t))",
        "a.subs(abar_prev, 1)",
    ],
)
def test_a_typed_in_proof_is_noticed(end):
    source = f"a = sp.sqrt(alpha_t)\nb = {end}\nprove('alpha-bar-recursion', b)"
    assert typed_in(source) == ([] if "subs" in end else ["alpha-bar-recursion"])
    assert typed_in(source.replace("b)", "LEDGER['alpha'].rhs)")) == []


def holds_before(equation) -> bool:
    """Whether the equation holds one step before its ``first``, all of it finite."""
    earlier = replace(equation, first=equation.first - 1)
    try:
        with np.errstate(divide="raise", invalid="raise"):
            return witnesses.code_disagreement(earlier) is None
    except (FloatingPointError, ValueError):
        return False


LATER = [e for e in LEDGER.values() if e.first > 1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("equation", LATER, ids=lambda e: e.label)
def test_an_equation_holds_as_early_as_it_can(equation):
    assert not holds_before(equation)


@pytest.mark.parametrize("first", [2, 99, 1000])
def test_an_equation_that_holds_earlier_is_noticed(first):
    assert holds_before(replace(LEDGER["closed-form"], first=first))
    assert holds_before(replace(LEDGER["bound-gap"], first=first))


def on_a_wrong_package(equation, monkeypatch) -> str | None:
    """What the witness says if the functions that the code calls return the double."""

    def doubled(function):
        return lambda *args, **kwargs: 2 * function(*args, **kwargs)

    for module, name in witnesses.functions(str(equation.code)):
        module = importlib.import_module(f"ddpm_course.{module}")
        monkeypatch.setattr(module, name, doubled(getattr(module, name)))
    return witnesses.code_disagreement(equation)


def reads_the_schedule(equation) -> bool:
    """Whether the code is a value that ``NoiseSchedule.from_betas`` has computed."""
    return bool(re.fullmatch(r"schedule\.(alpha|alpha_bar|snr)\[t\]", equation.code))


CALLING = [e for e in LEDGER.values() if witnesses.functions(str(e.code))]


@by_label
def test_the_code_is_code_of_the_package(equation):
    assert equation in CALLING or reads_the_schedule(equation)


@pytest.mark.slow
@pytest.mark.parametrize("equation", CALLING, ids=lambda e: e.label)
def test_what_the_code_calls_matters(equation, monkeypatch):
    assert on_a_wrong_package(equation, monkeypatch)


def test_code_that_does_without_the_package_is_noticed(monkeypatch):
    typed_in = replace(LEDGER["snr"], code="abar_t / (1 - abar_t)")
    assert witnesses.code_disagreement(typed_in) is None
    assert not witnesses.functions(typed_in.code) and not reads_the_schedule(typed_in)
    call = "0 * schedules.cosine_alpha_bar(T, offset)[t] + abar_t / (1 - abar_t)"
    idle = replace(typed_in, code=call)
    assert witnesses.functions(call)
    assert on_a_wrong_package(idle, monkeypatch) is None


# --- each witness says what is missing ----------------------------------------------

FAKE = replace(LEDGER["alpha"], label="fake")


def test_an_entry_that_is_never_printed():
    said = witnesses.print_disagreement(FAKE)
    assert said == "'fake' is printed in no chapter: its entry says chapter 1"


def test_an_entry_in_the_wrong_chapter():
    said = witnesses.print_disagreement(replace(LEDGER["alpha"], chapter=2))
    assert said == "'alpha' is printed in chapter 1: its entry says chapter 2"


def test_a_printed_label_without_an_entry(monkeypatch):
    monkeypatch.delitem(LEDGER, "alpha")
    (said,) = witnesses.without_entry()
    assert "'alpha' is printed in chapter 1, but has no entry in the ledger" in said
    assert "chapter_1.py" in said


def test_an_entry_that_is_never_proven(monkeypatch):
    monkeypatch.setitem(LEDGER, "fake", replace(FAKE, chapter=5))
    monkeypatch.setitem(LEDGER, "group-norm", replace(LEDGER["group-norm"], chapter=6))
    assert witnesses.proof_disagreements(5) == [
        f"'fake' is proven in no cell tagged proof of {BY_NUMBER[5].name}",
        f"'group-norm' is proven in {BY_NUMBER[5].name}: its entry says chapter 6",
    ]


def test_a_symbol_without_a_test_value(monkeypatch):
    monkeypatch.setitem(NOTATION, "foo", NOTATION["eps"])
    with pytest.raises(LookupError, match="no test value for symbol 'foo': add it to"):
        witnesses.environments.__wrapped__()


@pytest.mark.parametrize(
    ("latex", "command"),
    [
        (r"\operatorname{sigmoid}(t)", r"\operatorname"),
        (r"\mathrm{sigmoid}(t)", r"\mathrm"),
        (r"1 - \text{noise}", r"\text"),
        (r"\frac{\tanh t}{2}", r"\tanh"),
        (r"\gamma_t", r"\gamma"),
    ],
)
def test_a_command_that_cannot_be_read(latex, command):
    formula = rf"\alpha_t = {latex}"
    said = witnesses.formula_disagreement("print", formula, LEDGER["alpha"])
    assert said.startswith("print and ledger disagree on 'alpha'")
    assert said.endswith(f"unknown command {command}")


# --- each witness notices a flipped sign ------------------------------------------


def flipped_latex(latex: str, relation: str = "=") -> list[str]:
    """Copies of ``lhs = rhs`` with one sign of the right side flipped."""
    start = re.search(r"=" if relation == "=" else r"\\le(?![a-z])", latex).end()
    signs = [m.start() for m in re.finditer(r"[+-]", latex) if m.start() > start]
    # a minus in an index, as in x_{t-1}, is a sign of the formula too
    return [
        latex[:i] + ("-" if latex[i] == "+" else "+") + latex[i + 1 :] for i in signs
    ] or [latex[:start] + "-" + latex[start:]]


@pytest.mark.slow
@by_label
def test_print_notices_a_flipped_sign(equation):
    printed = witnesses.printed()[equation.label][1]
    for latex in flipped_latex(printed, equation.relation):
        said = witnesses.formula_disagreement("print", latex, equation)
        assert said and "print and ledger disagree" in said and equation.label in said


def flipped_expressions(expression: sp.Expr) -> list[sp.Expr]:
    """Copies with the sign of one term of one sum flipped; at least the negative."""
    return [
        expression.xreplace({node: node - 2 * term})
        for node in sp.preorder_traversal(expression)
        if node.is_Add
        for term in node.args
    ] or [-expression]


def flipped_entries(equation):
    rhs = equation.rhs
    if isinstance(rhs, Gaussian):
        for mean in flipped_expressions(rhs.mean):
            yield replace(equation, rhs=replace(rhs, mean=mean))
        for variance in flipped_expressions(rhs.variance):
            yield replace(equation, rhs=replace(rhs, variance=variance))
    else:
        for expression in flipped_expressions(rhs):
            yield replace(equation, rhs=expression)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@by_label
def test_a_flipped_sign_in_the_ledger_is_noticed_by_all(equation, monkeypatch):
    label, (chapter, latex) = equation.label, witnesses.printed()[equation.label]
    derivations, _ = witnesses.derivations(chapter)
    quotes = [witnesses.concordance()[source] for source in equation.sources]
    for flipped in flipped_entries(equation):
        assert "print and ledger disagree" in witnesses.formula_disagreement(
            "print", latex, flipped
        )
        assert "code and ledger disagree" in witnesses.code_disagreement(flipped)
        if chain.holds_an_average(flipped):
            assert "disagree on the chain" in witnesses.chain_disagreement(flipped)
        for row in quotes:
            if row["kind"] == "equation":
                said = witnesses.source_disagreement(row, flipped)
                assert "source and ledger disagree" in said
        monkeypatch.setitem(LEDGER, label, flipped)
        with pytest.raises(AssertionError, match=f"{label}: proof and ledger disagree"):
            prove(label, *derivations[label].end)


def test_a_flipped_sign_in_the_ledger_is_reported(monkeypatch):
    *_, flipped = flipped_entries(LEDGER["time-similarity"])
    monkeypatch.setitem(LEDGER, "time-similarity", flipped)
    (said,) = witnesses.proof_disagreements(5)
    assert said.startswith("time-similarity: proof and ledger disagree")


INEQUALITIES = [e for e in LEDGER.values() if e.relation == "≤"]


@pytest.mark.parametrize("equation", INEQUALITIES, ids=lambda e: e.label)
def test_a_flipped_inequality_is_noticed(equation):
    printed = witnesses.printed()[equation.label][1]
    for other in (r"\ge", "="):
        flipped = re.sub(r"\\le(?![a-z])", lambda _, other=other: other, printed)
        said = witnesses.formula_disagreement("print", flipped, equation)
        assert said and "print and ledger disagree" in said
    left = witnesses.read_expression(equation.lhs)
    for rhs in (left, left - 1, equation.rhs + sp.Rational(1, 100)):
        wrong = replace(equation, rhs=rhs)  # no gap, below, or not tight
        assert "disagree on the chain" in witnesses.chain_disagreement(wrong)


class _Flip(ast.NodeTransformer):
    """Flip the n-th + or - of a function, except in f-strings; counts them."""

    def __init__(self, n: int):
        self.left = n

    def visit_JoinedStr(self, node):
        return node

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.Sub):
            if self.left == 0:
                node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            self.left -= 1
        return node


def flipped_functions(module, name):
    """Copies of a function of the package, each with one sign flipped."""
    function = getattr(module, name)
    source = textwrap.dedent(inspect.getsource(function))
    counter = _Flip(0)
    counter.visit(ast.parse(source))
    signs = -counter.left
    for n in range(signs):
        copy = ast.fix_missing_locations(_Flip(n).visit(ast.parse(source)))
        namespace = dict(vars(module))
        exec(compile(copy, "<flipped>", "exec"), namespace)
        yield namespace[name]
    if not signs:
        yield lambda *args, **kwargs: -function(*args, **kwargs)


#: The equations whose code calls a function of the package. A class has methods that
#: no equation needs.
CALLERS = defaultdict(list)
for equation in LEDGER.values():
    for function in sorted(witnesses.functions(str(equation.code))):
        module = importlib.import_module(f"ddpm_course.{function[0]}")
        if not inspect.isclass(getattr(module, function[1])):
            CALLERS[function].append(equation)


@pytest.mark.slow
@pytest.mark.parametrize("function", CALLERS, ids=".".join)
def test_a_flipped_sign_in_the_code_is_noticed(function, monkeypatch):
    module = importlib.import_module(f"ddpm_course.{function[0]}")
    for n, flipped in enumerate(flipped_functions(module, function[1]), start=1):
        with monkeypatch.context() as patch:
            patch.setattr(module, function[1], flipped)
            noticed = any(map(witnesses.code_disagreement, CALLERS[function]))
        assert noticed, f"no equation notices sign {n} of {'.'.join(function)}"


@pytest.mark.slow
@by_label
def test_a_flipped_sign_of_a_call_is_noticed(equation):
    code = equation.code if isinstance(equation.code, tuple) else (equation.code,)
    flipped = tuple(f"-({call})" for call in code)
    flipped = replace(equation, code=flipped if len(code) == 2 else flipped[0])
    assert "code and ledger disagree" in witnesses.code_disagreement(flipped)
