"""Random forms of right answers are accepted, and random errors are rejected."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
import torch
from catch_rate import HEAD, caught, row, written
from every_exercise import ALL, FUNCTIONS, SYMBOLIC, examine
from exercise_inputs import INPUTS, inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from wrong_answers import same_expression, wrong_answers

from ddpm_course import equations as eq
from ddpm_course.exercises import find
from ddpm_course.exercises.checker import judge

pytestmark = pytest.mark.slow

NUMBERS = [e for e in ALL if e not in SYMBOLIC and e not in FUNCTIONS]
COUNTS = ("5.1", "5.3")

quick = settings(max_examples=10, deadline=None, derandomize=True, database=None)


def each(exercises):
    return pytest.mark.parametrize("exercise", exercises, ids=lambda e: e.number)


# --- expressions ------------------------------------------------------------------

POSITIVE = [eq.alpha_t, eq.abar_prev, eq.beta_t, eq.sigma_t, eq.T, eq.alpha(2)]
REWRITTEN: list[Callable[[sp.Expr, sp.Expr], sp.Expr]] = [
    lambda e, x: sp.expand(e),
    lambda e, x: sp.factor(e),
    lambda e, x: sp.together(e),
    lambda e, x: sp.expand(e * (1 + x)) / (1 + x),
    lambda e, x: sp.expand(e + x**2) - x**2,
    lambda e, x: e + x * (eq.abar_t - eq.alpha_t * eq.abar_prev),
    lambda e, x: e * (eq.alpha_t + eq.beta_t),
    lambda e, x: e * (eq.beta_t + eq.alpha_t * x) / (1 + eq.alpha_t * (x - 1)),
    lambda e, x: e * eq.abar_t / eq.abar_prev / (1 - eq.beta_t),
    lambda e, x: e.subs(eq.abar_t, sp.Product(eq.alpha(eq.s), (eq.s, 1, eq.t))),
    lambda e, x: e.subs(eq.RELATIONS),
    lambda e, x: e.subs(eq.alpha_t, 1 - eq.beta_t),
    lambda e, x: e.replace(eq.alpha, lambda i: 1 - eq.beta(i)),
    lambda e, x: e * sp.sqrt(x**3) / x / sp.sqrt(x),
    lambda e, x: sp.log(sp.exp(e * x)) / x,
    lambda e, x: e.xreplace({eq.beta_t: sp.Symbol("beta_t"), eq.x_t: sp.Symbol("x_t")}),
    lambda e, x: 1.0 * e,
]


@each(SYMBOLIC)
@quick
@given(st.data())
def test_a_rewritten_expression_is_accepted(exercise, data):
    answer = exercise.reference
    for _ in range(data.draw(st.integers(1, 3))):
        rewrite = data.draw(st.sampled_from(REWRITTEN))
        answer = rewrite(answer, data.draw(st.sampled_from(POSITIVE)))
    assert examine(exercise, answer)[0], answer


@st.composite
def errors(draw) -> sp.Rational:
    """A relative error of at least a thousandth."""
    size = draw(st.integers(1, 1000))
    return sp.Rational(draw(st.sampled_from([-size, size])), 1000)


PERTURBED: list[Callable[[sp.Expr, sp.Expr, sp.Rational], sp.Expr]] = [
    lambda e, x, by: e * (1 + by),
    lambda e, x, by: e + by,
    lambda e, x, by: e + by * x,
    lambda e, x, by: e * x**by,
    lambda e, x, by: e / (1 + by * x),
]


@each(SYMBOLIC)
@quick
@given(st.sampled_from(PERTURBED), st.sampled_from(POSITIVE), errors())
def test_a_perturbed_expression_is_rejected(exercise, perturb, x, by):
    answer = perturb(exercise.reference, x, by)
    assert not same_expression(answer, exercise.reference)
    correct, text = examine(exercise, answer)
    assert not correct
    assert "cannot be read" not in text


# --- functions --------------------------------------------------------------------

FORMS: list[Callable] = [
    lambda x: x,
    lambda x: x.float(),
    lambda x: x.numpy(),
    lambda x: x.tolist(),
    lambda x: x.clone().requires_grad_(),
    lambda x: torch.nn.Parameter(x),
    lambda x: (x + 1000) - 1000,
    lambda x: x * 7 / 7,
    lambda x: x * (1 + 1e-8),
    lambda x: [row.clone().requires_grad_() for row in x] if x.ndim else x,
]


@each(FUNCTIONS)
@quick
@given(st.sampled_from(FORMS), st.booleans())
def test_a_result_of_another_kind_is_accepted(exercise, form, gradient):
    def answer(*arguments):
        if gradient:
            for x in arguments:
                if torch.is_tensor(x) and x.is_floating_point():
                    x.requires_grad_()
        result = torch.as_tensor(exercise.reference(*arguments), dtype=torch.float64)
        if exercise.number in COUNTS:
            return int(result)
        return form(result.detach())

    assert examine(exercise, answer)[0]


@each(FUNCTIONS)
@quick
@given(st.data())
def test_one_wrong_number_in_one_trial_is_enough(exercise, data):
    trial = data.draw(st.integers(0, len(exercise.inputs) - 1))
    by = float(data.draw(errors()))
    place = data.draw(st.integers(0, 10**6))
    largest = max(
        np.abs(np.asarray(exercise.reference(*copy.deepcopy(i)))).max()
        for i in exercise.inputs
    )
    calls = -1

    def answer(*arguments):
        nonlocal calls
        calls += 1
        x = torch.as_tensor(exercise.reference(*arguments), dtype=torch.float64)
        flat = x.clone().flatten()
        if calls // 2 == trial:  # each trial is run twice
            flat[place % len(flat)] += by * (
                1 if exercise.number in COUNTS else largest
            )
        return flat.reshape(x.shape)

    assert not examine(exercise, answer)[0]


@each(FUNCTIONS)
def test_the_draws_are_what_the_prompt_allows(exercise):
    """The reference takes them, and returns finite numbers."""
    for seed in range(20):
        returned = np.asarray(exercise.reference(*inputs(exercise.number, seed)))
        assert np.isfinite(returned).all()


def test_every_function_has_draws():
    assert INPUTS.keys() == {exercise.number for exercise in FUNCTIONS}


# --- numbers ----------------------------------------------------------------------


@each(NUMBERS)
@quick
@given(st.integers(-2000, 2000) | st.floats(allow_nan=True) | st.booleans())
def test_only_the_number_itself_is_accepted(exercise, number):
    right = not isinstance(number, bool) and abs(number - exercise.reference) < 1e-6
    assert examine(exercise, number)[0] == right


# --- changed answers --------------------------------------------------------------


@each(ALL)
def test_wrong_answers_are_rejected_and_get_a_case(exercise):
    """At least eight by name or form, and a failing case for all that have none."""
    answers = wrong_answers(exercise)
    some = answers[:: max(1, len(answers) // 10)]  # the catch rate is that of all
    verdicts = [judge(exercise, answer) for _, answer in some]
    assert all(verdict.wrong for verdict in verdicts)
    assert len(answers) >= 8 and len(exercise.mistakes) >= 8
    for verdict in verdicts:
        if verdict.state == "unknown" and exercise not in NUMBERS:
            texts = [verdict.say(level) for level in (1, 2, 3)]
            assert "    expected: " in texts[2] and "    got:      " in texts[2]
            assert len({*texts}) == 3


def test_the_catch_rate_is_stated_for_every_exercise():
    rows = written().removeprefix(HEAD).splitlines()
    assert [r.split(" | ")[0] for r in rows] == [f"| {e.number}" for e in ALL] + [
        "| all"
    ]


@pytest.mark.parametrize("number", ["1.1", "2.1", "3.2", "5.1", "6.5", "7.6"])
def test_the_catch_rate_is_the_one_that_is_stated(number):
    assert row(number, caught(find(number))) in written()
