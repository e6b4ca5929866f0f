"""The exercises of all chapters, and the checker on whatever it may be given."""

import math
import subprocess
import sys
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import sympy as sp
import torch
from accepted_answers import ACCEPTED
from every_exercise import examine, start_anew
from witnesses import BY_NUMBER, PAGES, cells

from ddpm_course import data, parameterization, posterior, schedules
from ddpm_course.equations import (
    NOTATION,
    abar_prev,
    abar_t,
    alpha,
    alpha_prev,
    alpha_t,
    beta,
    beta_1,
    beta_t,
    residual,
    s,
    sigma_t,
    snr_t,
    t,
    x_0,
)
from ddpm_course.exercises import (
    GROUPS,
    check,
    find,
    in_chapter,
    reference,
    use,
)
from ddpm_course.exercises.chance import states
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.values import agree, evaluate
from ddpm_course.forward import q_sample, q_step
from ddpm_course.oracle import GaussianMixture
from ddpm_course.unet import ResidualBlock, UNet, time_embedding

ALL = [exercise for group in GROUPS for exercise in in_chapter(group).values()]
each_exercise = pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.number)


def said(capsys) -> str:
    """What was printed, as one line."""
    return " ".join(capsys.readouterr().out.split())


def exercise_on(value, inputs: tuple = (), **mistakes: Mistake) -> Exercise:
    return Exercise("0.1", "", "easy", 1, value, "meaning", "hint", mistakes, inputs)


def hints(exercise: Exercise) -> list[str]:
    return [exercise.hint, *(mistake.hint for mistake in exercise.mistakes.values())]


@pytest.fixture(autouse=True)
def fresh_session():
    """No attempt yet."""
    start_anew()


@pytest.fixture
def schedule() -> schedules.NoiseSchedule:
    """Six steps, from little noise to much."""
    betas = torch.linspace(0.05, 0.95, 6, dtype=torch.float64)
    return schedules.NoiseSchedule.from_betas(betas)


@pytest.fixture
def randn():
    generator = torch.Generator().manual_seed(0)
    return partial(torch.randn, generator=generator, dtype=torch.float64)


def test_every_page_of_the_book_with_exercises_has_a_group():
    assert PAGES.keys() == GROUPS.keys()
    assert all(path.is_file() for path in PAGES.values())


# --- every exercise of every chapter ----------------------------------------------


@each_exercise
def test_exercise_is_complete(exercise):
    assert len(exercise.mistakes) >= 8
    assert len(ACCEPTED[exercise.number]) >= 5
    assert exercise.difficulty in ("easy", "medium", "hard")
    assert 0 < exercise.minutes <= 30
    assert exercise.title and exercise.meaning and exercise.hint
    texts = [exercise.meaning, *hints(exercise)]
    assert len(set(texts)) == len(texts)


def test_accepted_answers_belong_to_exercises():
    assert ACCEPTED.keys() == {exercise.number for exercise in ALL}


@each_exercise
def test_no_hint_gives_an_expression_away(exercise):
    if isinstance(exercise.reference, sp.Expr):
        for form in (exercise.reference, *ACCEPTED[exercise.number]):
            text = str(form).replace("\\", "")
            assert not any(text in hint for hint in hints(exercise))


@pytest.mark.slow
@each_exercise
def test_every_mistake_is_rejected_with_its_own_hint(exercise, capsys):
    for name, mistake in exercise.mistakes.items():
        start_anew()
        check(exercise.number, mistake.answer)
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 79, name
        told = f"{exercise.number}: not yet. {mistake.hint}"
        assert " ".join(text.split()) == told, name


@each_exercise
def test_a_right_answer_is_accepted_in_every_form(exercise, capsys):
    for i, answer in enumerate((exercise.reference, *ACCEPTED[exercise.number])):
        check(exercise.number, answer)
        told = f"{exercise.number}: correct. {exercise.meaning}"
        assert said(capsys) == told, f"form {i}"


@pytest.mark.slow
@each_exercise
def test_equality_is_that_of_the_ledger(exercise):
    """The checker looks at random points; the ledger's exact residual must agree."""
    if isinstance(exercise.reference, sp.Expr):
        for mistake in exercise.mistakes.values():
            assert residual(mistake.answer, exercise.reference) != 0
        accepted = ACCEPTED[exercise.number]
        assert sum(residual(a, exercise.reference) == 0 for a in accepted) >= 3


@each_exercise
def test_untouched_stub_is_not_attempted(exercise, capsys):
    check(exercise.number, ...)
    assert said(capsys).startswith(f"{exercise.number}: not attempted yet.")
    if callable(exercise.reference) and not isinstance(exercise.reference, sp.Basic):
        check(exercise.number, lambda *arguments: ...)
        assert said(capsys).startswith(f"{exercise.number}: not attempted yet.")


@pytest.mark.slow
@each_exercise
def test_strict_mode_raises_what_is_printed(exercise, capsys, monkeypatch):
    mistake, *_ = exercise.mistakes.values()
    answers = [..., None, mistake.answer]
    printed = []
    for answer in answers:
        check(exercise.number, answer)
        printed.append(capsys.readouterr().out.strip())
    monkeypatch.setenv("DDPM_STRICT", "1")
    check(exercise.number, exercise.reference)  # a right answer raises nothing
    assert ": correct." in said(capsys)
    start_anew()
    for answer, text in zip(answers, printed, strict=True):
        with pytest.raises(AssertionError) as raised:
            check(exercise.number, answer)
        assert str(raised.value) == text


@each_exercise
def test_prompt_in_the_chapter_says_the_same(exercise):
    page, number = exercise.number.split(".")
    (prompt,) = (
        cell.source
        for cell in cells(PAGES[page], "markdown")
        if f":label: ex-{page.lower()}-{number}\n" in cell.source
    )
    assert f"{{exercise}} {exercise.title}\n" in prompt
    assert f"*{exercise.difficulty.title()}, {exercise.minutes} minutes.*" in prompt


# --- whatever it may be given -----------------------------------------------------


class Hostile:
    """Anything you ask of it fails."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __eq__(self, other):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError

    __hash__ = None


def _raises(*arguments):
    raise ValueError("no\nway")


def _exits(*arguments):
    raise SystemExit


ODD = {
    "None": None,
    "text": "sp.sqrt(1 - beta_t)",
    "bytes": b"1",
    "empty list": [],
    "ragged list": [[1], [1, 2]],
    "mixed list": [1, "a", None],
    "list of dots": [..., ...],
    "dict": {"a": 1},
    "set": {1},
    "True": True,
    "nan": float("nan"),
    "inf": float("inf"),
    "complex": 2j,
    "huge integer": 10**400,
    "nan tensor": torch.full((3,), math.nan),
    "empty tensor": torch.empty(0),
    "huge array": np.ones((2000, 2000)),
    "complex tensor": torch.tensor(2j),
    "boolean tensor": torch.tensor([True]),
    "text array": np.array(["a"]),
    "object array": np.array([None, 1], dtype=object),
    "meta tensor": torch.empty(3, device="meta"),
    "sparse tensor": torch.eye(3).to_sparse(),
    "generator": (i for i in range(3)),
    "iterator": iter([1]),
    "class": Hostile,
    "hostile": Hostile(),
    "module": math,
    "exception": ValueError("x"),
    "SymPy nan": sp.nan,
    "SymPy i": sp.I,
    "SymPy zoo": sp.zoo,
    "SymPy oo": sp.oo,
    "SymPy true": sp.true,
    "equation": sp.Eq(beta_t, x_0),
    "inequality": beta_t < 1,
    "unknown symbol": sp.Symbol("beta_t"),
    "unknown function": sp.Function("f")(beta_t),
    "no time": alpha(sp.Rational(1, 2)),
    "division by zero": 1 / (alpha_t - 1 + beta_t),
    "matrix": sp.Matrix([1, 2]),
    "tuple of expressions": (beta_t, alpha_t),
    "unfinished sum": sp.Sum(alpha(s), (s, 1, sp.oo)),
    "built-in": len,
    "type": int,
    "no arguments": lambda: 1,
    "too many arguments": lambda a, b, c, d, e, f, g, h: 1,
    "returns None": lambda *a: None,
    "returns text": lambda *a: "x",
    "returns itself": lambda *a: _raises,
    "returns a generator": lambda *a: (i for i in a),
    "returns nan": lambda *a: math.nan,
    "returns its arguments": lambda *a: a,
    "returns the hostile": lambda *a: Hostile(),
    "returns something huge": lambda *a: torch.ones(1000, 1000),
    "raises": _raises,
    "exits": _exits,
    "recurses": lambda *a: ODD["recurses"](*a),
}


@pytest.mark.slow
@each_exercise
def test_checker_never_raises(exercise, capsys):
    for name, odd in ODD.items():
        check(exercise.number, odd)
        text = said(capsys).partition(" Import it first:")[0]
        assert text.startswith(f"{exercise.number}: not yet. "), name
        assert text.endswith((".", "?")) or "raises" in text, name
        assert "Traceback" not in text, name


@pytest.mark.parametrize("number", ["9.9", "1.x", "", "x", None, 1, []])
def test_unknown_number_names_the_known_ones(number, capsys, monkeypatch):
    check(number, 1)
    text = said(capsys)
    assert "there is no such exercise" in text
    assert all(e.number in text for e in ALL)
    with pytest.raises(KeyError, match=r"no such exercise.*1\.1"):
        reference(number)
    monkeypatch.setenv("DDPM_STRICT", "1")
    with pytest.raises(AssertionError, match="there is no such"):
        check(number, 1)


# --- going on with an answer ------------------------------------------------------


def test_a_right_answer_is_used_itself(capsys):
    def my_step(beta, x_prev, t, eps):
        return reference("1.2")(beta, x_prev, t, eps)

    assert use("1.2", my_step) is my_step
    text = capsys.readouterr().out
    assert text.startswith("1.2: correct.")
    assert text.endswith("\nGoing on with your own.\n")


@pytest.mark.parametrize(
    ("answer", "verdict"), [(..., "not attempted yet"), (lambda *a: a[1], "not yet")]
)
def test_the_reference_is_used_until_an_answer_is_right(answer, verdict, capsys):
    assert use("1.2", answer) is reference("1.2")
    text = capsys.readouterr().out
    assert text.startswith(f"1.2: {verdict}.")
    assert text.endswith("\nGoing on with ours until yours is right.\n")


@pytest.mark.parametrize("form", [torch.Tensor.numpy, torch.Tensor.tolist])
def test_a_right_answer_that_later_cells_could_not_use_is_not_used(form, capsys):
    def without_gradient(time, table, y):
        return form(reference("7.6")(time, table, y).detach())

    assert use("7.6", without_gradient) is reference("7.6")
    text = said(capsys)
    assert text.startswith("7.6: correct.")
    assert text.endswith(
        "Going on with ours: the table is to be learned, and yours passes no gradient."
    )
    for answer in (reference("7.6"), ACCEPTED["7.6"][1]):
        assert use("7.6", answer) is answer


def test_a_step_for_points_draws_no_images(capsys):
    def for_points(alpha_bar, x_t, x0_hat, t, s):
        _rows, _columns = x_t.shape
        return reference("7.5")(alpha_bar, x_t, x0_hat, t, s)

    assert use("7.5", for_points) is reference("7.5")
    assert "7.5: correct." in (text := said(capsys))
    assert text.endswith("yours does not take images, tensors (n, C, H, W).")
    assert use("7.5", ACCEPTED["7.5"][1]) is ACCEPTED["7.5"][1]


def code_of_cell(chapter, name):
    """The source of a cell, by its id."""
    (cell,) = (c for c in cells(BY_NUMBER[chapter], "code") if c.id == name)
    return cell.source


@pytest.mark.parametrize("answer", ACCEPTED["5.4"])
def test_chapter_5_goes_on_with_any_right_attention(answer):
    """Pixels that are all alike keep their value."""
    used = use("5.4", answer)
    assert (used is answer) == isinstance(answer(*torch.ones(3, 2, 2)), torch.Tensor)
    names = {"torch": torch, "F": torch.nn.functional, "attend": used}
    exec(code_of_cell(5, "alike-code"), names)
    image = torch.full((1, 28, 28), 0.3, dtype=torch.float64)
    cleaned = names["average_alike"](image, 0.5)
    assert cleaned.shape == image.shape
    assert (cleaned - image)[:, 4:-4, 4:-4].abs().max() < 1e-3


@pytest.mark.parametrize("answer", ACCEPTED["6.4"])
def test_chapter_6_goes_on_with_any_right_step(answer, capsys):
    names = {"torch": torch, "data": data, "cosine": schedules.make_schedule("cosine")}
    few = code_of_cell(6, "own-step-code").replace("range(400)", "range(3)")
    exec(few, ours := names | {"train_batch": reference("6.4")})
    exec(few, theirs := names | {"train_batch": use("6.4", answer)})
    assert torch.allclose(theirs["theta"], ours["theta"])
    assert theirs["theta"].numpy().any()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (torch.Tensor.numpy, "later cells need a tensor, and yours returns an array"),
        (
            torch.Tensor.float,
            "theta is float64, and your new weights are torch.float32",
        ),
        (torch.Tensor.requires_grad_, "still carry a gradient; return theta.detach()"),
        (lambda theta: theta, None),
    ],
)
def test_a_step_that_can_be_taken_once_is_not_used(form, sentence, capsys):
    def step(*arguments):
        return form(reference("6.4")(*arguments))

    assert (use("6.4", step) is step) == (sentence is None)
    assert "6.4: correct." in (text := said(capsys))
    assert (sentence or "Going on with your own.") in text


@pytest.mark.parametrize("answer", ACCEPTED["9.3"])
def test_chapter_9_goes_on_with_any_right_guidance(answer):
    told, untold = torch.ones(2, 1, 1), torch.zeros(2, 1, 1)
    guided = use("9.3", answer)(told, untold, 3.0, 10, 20, 15)
    assert torch.equal(guided.clamp(-5, 5), 3 * told)


@pytest.mark.parametrize("answer", [..., lambda *a: a[1]])
def test_strict_mode_uses_no_reference(answer, monkeypatch):
    monkeypatch.setenv("DDPM_STRICT", "1")
    with pytest.raises(AssertionError, match=r"1\.2: not"):
        use("1.2", answer)
    assert use("1.2", reference("1.2")) is reference("1.2")


# --- functions --------------------------------------------------------------------


def right_step(beta, x_prev, t, eps):
    return (1 - beta[t]).sqrt() * x_prev + beta[t].sqrt() * eps


def _mutates(beta, x_prev, t, eps):
    result = right_step(beta, x_prev, t, eps)
    x_prev.zero_()
    return result


def _draws(beta, x_prev, t, eps):
    return right_step(beta, x_prev, t, torch.randn_like(eps))


def _stops_at_the_end(beta, x_prev, t, eps):
    """Like the mistake "t off by one, forwards", but with another error."""
    if t == len(beta) - 1:
        raise ValueError("t")
    return right_step(beta, x_prev, t + 1, eps)


def _forgets_a_case(beta, x_prev, t, eps):
    return right_step(beta, x_prev, t, eps) if t < 5 else x_prev


@pytest.mark.parametrize(
    ("number", "answer", "sentence"),
    [
        *(
            ("1.2", function, sentence)
            for function, sentence in [
                (_mutates, "changes its argument x_prev in place"),
                (_draws, "two calls of your function with the same arguments"),
                (
                    _forgets_a_case,
                    find("1.2").hint,
                ),
                (lambda beta, x_prev: x_prev, "expected (beta, x_prev, t, eps)"),
                (lambda *a: None, "returns None: a return is missing"),
                (lambda *a: "x", "your function returns text in quotes"),
                (_raises, "ValueError: no way"),
                (_exits, "your function raises SystemExit"),
                (_stops_at_the_end, "your function raises ValueError"),
                (lambda *a: right_step(*a).sum(), "has shape (), expected (2, 3)"),
                (
                    lambda *a: right_step(*a)[None],
                    "has shape (1, 2, 3), expected (2, 3)",
                ),
                (lambda *a: right_step(*a).long(), "dtype int64"),
                (lambda *a: right_step(*a) / 0, "contains nan or inf"),
                (lambda *a: -right_step(*a), "except for the sign"),
                (lambda *a: 3 * right_step(*a), "yours is 3 times as large"),
                (lambda *a: right_step(*a) + 0.1, find("1.2").hint),
                (right_step(*find("1.2").inputs[0]), "give the function itself"),
            ]
        ),
        ("1.5", True, "your answer is True, as a comparison gives"),
        ("1.5", [True], "your answer is a list of True and False"),
        ("1.5", torch.tensor(260 + 0j), "your answer is complex"),
        ("1.5", sp.I, "a SymPy expression"),
        ("1.5", None, "your answer is None"),
        ("1.5", 130, find("1.5").hint),  # half of it: a factor would say how much
        ("1.5", -260, "except for the sign"),
        ("1.1", sp.Eq(beta_t, x_0), "an equation: give only its right side"),
        ("1.1", sp.Symbol("gamma"), "no symbol gamma"),
        ("1.1", sp.sqrt(-beta_t), "not real"),
        ("1.1", 1 / (alpha_t - 1 + beta_t), "nan or inf"),
        ("1.1", "beta_t", "text in quotes"),
        ("1.1", alpha(sp.Rational(1, 2)), "alpha at 1/2"),
    ],
)
def test_what_is_wrong_is_said(number, answer, sentence, capsys):
    check(number, answer)
    text = said(capsys)
    assert text.startswith(f"{number}: not yet. ")
    assert sentence.lower() in text.lower()


@pytest.mark.parametrize("number", ["B.4", "B.5", "F.5", "F.11"])
def test_checking_moves_no_global_generator(number):
    before = states()
    examine(find(number), reference(number))
    assert states() == before


def test_checking_changes_no_inputs():
    exercise = find("1.2")
    before = [x.clone() for x in exercise.inputs[-1] if isinstance(x, torch.Tensor)]
    for answer in (exercise.reference, _mutates):
        examine(exercise, answer)
    after = [x for x in exercise.inputs[-1] if isinstance(x, torch.Tensor)]
    assert all(map(torch.equal, before, after))


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16]
)
@pytest.mark.parametrize("number", ["1.2", "1.4"])
def test_any_float_type_and_library_is_accepted(number, dtype):
    exercise = find(number)

    def right(*arguments):
        return exercise.reference(*arguments).to(dtype)

    assert examine(exercise, right)[0]
    assert examine(exercise, lambda *a: right(*a).requires_grad_())[0]
    if dtype.itemsize > 2:  # a list forgets that its numbers were coarse
        assert examine(exercise, lambda *a: right(*a).tolist())[0]
    if dtype != torch.bfloat16:  # numpy has none
        assert examine(exercise, lambda *a: right(*a).numpy())[0]


# --- arrays and numbers -----------------------------------------------------------


@pytest.mark.parametrize("value", [np.arange(1.0, 5), torch.arange(1.0, 5)])
def test_arrays_of_any_broadcastable_shape(value):
    exercise = exercise_on(value, mistake=Mistake(2 * value + 1, "one more than twice"))
    right = [1.0, 2, 3, 4]
    for form in (
        right,
        tuple(right),
        np.array(right, dtype=np.float16),
        np.array(right)[:, None],
        np.array([1, 2, 3, 4]),
        torch.tensor(right)[None, :, None],
        torch.tensor(right, dtype=torch.bfloat16),
        torch.nn.Parameter(torch.tensor(right)),
    ):
        assert examine(exercise, form) == (True, "0.1: correct. meaning")
    assert examine(exercise, 2 * value + 1)[1].endswith("One more than twice")
    assert "shape (2, 2), expected (4,)" in examine(exercise, np.ones((2, 2)))[1]
    assert "sign" in examine(exercise, -value)[1]
    assert "0.5 times" in examine(exercise, value / 2)[1]
    assert examine(exercise, [1, 2, 3, 4.001])[1].endswith("Hint")
    assert examine(exercise, [0.0] * 4)[1].endswith("Hint")  # no "0 times as large"


def test_a_number_stands_for_a_constant_array():
    exercise = exercise_on(torch.full((3, 2), 0.25))
    for form in (0.25, sp.Rational(1, 4), torch.full((1, 2), 0.25), np.full(2, 0.25)):
        assert examine(exercise, form)[0]
    assert not examine(exercise, 0.26)[0]


def test_a_count_is_exact_in_every_type():
    for wrong in (np.float16(259), torch.tensor(262, dtype=torch.bfloat16), 260.01):
        assert not examine(find("1.5"), wrong)[0]
    assert examine(find("1.5"), np.float16(260))[0]


# --- expressions ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (beta_t, 1 - alpha_t),
        (abar_t, alpha_t * abar_prev),
        (abar_t, sp.Product(alpha(s), (s, 1, t))),
        (abar_prev, sp.Product(1 - beta(s), (s, 1, t - 1))),
        (alpha(t), alpha_t),
        (beta(t - 1), 1 - alpha_prev),
        (beta(1), beta_1),
        (snr_t, abar_t / (1 - abar_t)),
        (sp.sqrt(x_0**2), sp.Abs(x_0)),
        (
            sp.Sum(beta(s), (s, 1, t)),
            sp.Sum(beta(sp.Symbol("i")), (sp.Symbol("i"), 1, t)),
        ),
    ],
)
def test_expressions_are_equal_under_the_relations(left, right):
    exercise = exercise_on(left)
    assert examine(exercise, right) == (True, "0.1: correct. meaning")
    assert not examine(exercise, right + sp.Rational(1, 1000))[0]
    assert "sign" in examine(exercise, -right)[1]
    assert "3 times" in examine(exercise, 3 * right)[1]


def test_no_two_symbols_are_alike_by_chance():
    """The random points tell every two symbols apart."""
    symbols = [n.symbol for n in NOTATION.values() if n.symbol.is_Symbol]
    values = {symbol: [*evaluate(symbol, symbol, ())] for symbol in symbols}
    for left, right in combinations(symbols, 2):
        pairs = zip(values[left], values[right], strict=True)
        assert not all(agree(a, b, 1.0) for a, b in pairs), (left, right)


# --- truth from outside -----------------------------------------------------------


def test_references_of_chapter_1_agree_with_the_package(schedule, randn):
    x, eps = randn(2, 6, 1, 3, 5)
    for time in range(1, 7):
        torch.testing.assert_close(
            reference("1.2")(schedule.beta, x, time, eps),
            q_step(schedule, x, time, eps),
        )
    times = torch.tensor([3, 1, 6, 2, 2, 5])
    torch.testing.assert_close(
        reference("1.4")(schedule.alpha_bar, x, times, eps),
        q_sample(schedule, x, times, eps),
    )
    for T, offset, most in ((10, 0.008, 0.999), (1000, 0.02, 0.9)):
        torch.testing.assert_close(
            reference("1.6")(T, offset, most), schedules.cosine_betas(T, offset, most)
        )


def test_signal_and_noise_are_equal_at_t_260():
    alpha_bar, time = 1.0, 0
    while alpha_bar >= 1 - alpha_bar:
        alpha_bar *= 1 - (1e-4 + (0.02 - 1e-4) * time / 999)
        time += 1
    assert reference("1.5") == time == 260


def test_three_noises_by_their_variances():
    """Exercise 1.3 by running the three steps on variances, in plain numbers."""
    betas = {1: 0.1, 2: 0.25, 3: 0.4}
    variance = 0.0
    for b in betas.values():
        variance = (1 - b) * variance + b
    value = reference("1.3").subs({alpha(i): 1 - b for i, b in betas.items()})
    assert float(value) == pytest.approx(variance, abs=1e-15)


def test_the_factor_of_exercise_1_1_keeps_the_variance():
    factor = reference("1.1")
    assert sp.simplify(factor**2 + beta_t) == 1


def test_references_of_chapter_3_agree_with_the_package(schedule, randn):
    x0, x = randn(2, 3, 4)
    alpha, abar = schedule.alpha, schedule.alpha_bar
    for time in range(1, 7):
        variance = posterior.posterior_variance(schedule, time)
        mean = posterior.posterior_mean(schedule, x0, x, time)
        close = torch.testing.assert_close
        close(reference("3.2")(schedule.beta, abar, time), variance)
        close(reference("3.3")(alpha, abar, x0, x, time), mean)
        if time > 1:  # two opinions, of x_t and of x_0
            prior = abar[time - 1].sqrt() * x0, 1 - abar[time - 1]
            kept = alpha[time]
            product = reference("3.1")(x / kept.sqrt(), (1 - kept) / kept, *prior)
            close(product, (mean, variance))


def test_two_steps_back_by_conditioning_the_joint_gaussian():
    """Exercise 3.4 from the covariance of (x_1, x_3), given x_0, in plain numbers."""
    betas = {1: 0.1, 2: 0.25, 3: 0.4}
    own = {0: 0.0}
    for i, b in betas.items():
        own[i] = (1 - b) * own[i - 1] + b
    covariance = math.sqrt((1 - betas[2]) * (1 - betas[3])) * own[1]
    value = reference("3.4").subs({alpha(i): 1 - b for i, b in betas.items()})
    assert float(value) == pytest.approx(own[1] - covariance**2 / own[3], abs=1e-15)


@pytest.mark.parametrize("time", [2, 3, 6])
def test_without_the_clean_image_by_bayes_on_a_grid(time, schedule):
    """Exercise 3.5: q(x_{t-1} | x_t) from the mixture q(x_{t-1}), no x_0 in sight."""
    kept, abar = schedule.alpha[time], schedule.alpha_bar[time - 1]
    grid = torch.linspace(-9, 9, 200_001, dtype=torch.float64)
    prior = sum(
        torch.exp(-((grid - sign * abar.sqrt()) ** 2) / (2 * (1 - abar)))
        for sign in (1, -1)
    )
    x_t = torch.tensor([-1.3, 0.1, 0.8], dtype=torch.float64)
    step = torch.exp(-((x_t[:, None] - kept.sqrt() * grid) ** 2) / (2 * (1 - kept)))
    mean = (prior * step * grid).sum(1) / (prior * step).sum(1)
    mine = reference("3.5")(schedule.alpha, schedule.alpha_bar, x_t, time)
    torch.testing.assert_close(mine, mean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_weights_of_chapter_4_are_those_of_the_package(variance, schedule):
    """Exercises 4.2 and 4.3 against the weights of the bound, as numbers."""
    for time in range(2, 7):
        numbers = {
            alpha_t: schedule.alpha[time],
            abar_t: schedule.alpha_bar[time],
            abar_prev: schedule.alpha_bar[time - 1],
            sigma_t: posterior.reverse_variance(schedule, time, variance).sqrt(),
        }
        numbers = {symbol: float(number) for symbol, number in numbers.items()}
        w_x0, w_eps, w_v = (
            float(parameterization.loss_weight(schedule, time, kind, variance))
            for kind in ("x0", "eps", "v")
        )
        assert float(reference("4.2").subs(numbers)) == pytest.approx(w_x0, rel=1e-12)
        ratio = w_v / w_eps  # of the two errors, as both have one bound
        assert float(reference("4.3").subs(numbers)) == pytest.approx(ratio, rel=1e-12)


def test_repaired_denoiser_of_chapter_4_by_the_oracle():
    """Exercise 4.5 against the package's exact denoiser of the same mixture."""
    schedule = schedules.make_schedule("linear")
    weights, means, stds = torch.tensor(
        [[0.2, 0.5, 0.3], [-1.2, 0.1, 1.5], [0.1, 0.7, 0.3]], dtype=torch.float64
    )
    mixture = GaussianMixture(weights, means[:, None], stds)
    x = torch.linspace(-3, 3, 25, dtype=torch.float64)
    for time in (1, 10, 260, 700, 1000):
        mine = reference("4.5")(schedule.alpha_bar[time], weights, means, stds, x)
        theirs = mixture.x0_mean(schedule, x[:, None], time)[:, 0]
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_references_of_chapter_5_agree_with_the_network():
    for times, dim in find("5.2").inputs:
        ours = reference("5.2")(times, dim)
        assert torch.allclose(ours, time_embedding(times, dim))
    for c_in, c_out, c_time in find("5.3").inputs:
        block = ResidualBlock(c_in, c_out, c_time, dropout=0.0)
        counted = sum(p.numel() for p in block.parameters())
        assert reference("5.3")(c_in, c_out, c_time) == counted
    for q, k, v in find("5.4").inputs:
        ours = reference("5.4")(q, k, v)
        theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        assert torch.allclose(ours, theirs)


@pytest.mark.parametrize(("size", "levels"), [(28, 3), (28, 4), (7, 3), (5, 1)])
def test_the_size_of_exercise_5_1_is_the_first_that_a_network_takes(size, levels):
    network = UNet(1, 4, (1,) * levels, blocks=1, attention_levels=())
    side = reference("5.1")(size, levels)
    assert network(torch.zeros(1, 1, side, side), torch.ones(1)).shape[-1] == side
    for smaller in range(size, side):
        with pytest.raises(ValueError, match="pixels"):
            network(torch.zeros(1, 1, smaller, smaller), torch.ones(1))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_mistake_that_is_not_finite_is_known_by_it(value):
    mistake = Mistake(lambda x: x * value, "that one")
    exercise = exercise_on(lambda x: x, ((np.ones(2),),), mistake=mistake)
    assert examine(exercise, lambda x: x * value)[1].endswith("That one")
    assert "nan or inf" in examine(exercise, lambda x: x * -math.inf)[1]


# --- loading ----------------------------------------------------------------------


@pytest.mark.slow
def test_chapters_load_when_asked_for():
    code = (
        "import sys, ddpm_course, ddpm_course.exercises as e\n"
        "assert 'torch' not in sys.modules\n"
        "assert not any('exercises.chapter' in m for m in sys.modules)\n"
        "e.check('1.1', ...)\n"
        "assert 'ddpm_course.exercises.chapter_1' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
