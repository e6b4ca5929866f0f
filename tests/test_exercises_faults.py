"""Answers that the checker once judged wrongly, each with its whole kind."""

import inspect
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from every_exercise import SYMBOLIC, each_function, examine

from ddpm_course.equations import (
    NOTATION,
    T,
    abar_prev,
    abar_t,
    alpha_t,
    beta_t,
    eps_hat,
    mu_theta,
    mu_tilde,
    q_0,
    s,
    sigma_t,
    x_0,
    x_t,
    z,
)
from ddpm_course.exercises import find, reference


def right(number, answer) -> bool:
    return examine(find(number), answer)[0]


def said(number, answer) -> str:
    return examine(find(number), answer)[1]


# --- where the truth is 0 ---------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        lambda b, a, t: b[t] - b[t] ** 2 * a[t - 1] / (1 - a[t]),
        lambda b, a, t: b[t] * (1 - b[t] * a[t - 1] / (1 - a[t])),
        lambda b, a, t: reference("3.2")(b, a, t).clamp(min=1e-20),
        lambda b, a, t: reference("3.2")(b.float(), a.float(), t) + 1e-9,
    ],
)
def test_rounding_where_the_variance_is_0_is_no_mistake(form):
    assert right("3.2", form)


@each_function
def test_rounding_is_accepted_wherever_the_truth_is(exercise):
    """The size of the other trials counts where all of one trial is 0."""
    if isinstance(exercise.reference(*exercise.inputs[0]), int):
        return  # a count allows no rounding
    largest = max(
        torch.as_tensor(exercise.reference(*i)).abs().max()
        for i in map(fresh, exercise.inputs)
    )

    def rounded(*arguments):
        return torch.as_tensor(exercise.reference(*arguments)) + 1e-7 * largest

    assert examine(exercise, rounded)[0]


def fresh(inputs):
    return tuple(x.clone() if torch.is_tensor(x) else x for x in inputs)


@each_function
def test_no_wrong_answer_is_called_once_as_large(exercise):
    def nearly(*arguments):
        answer = torch.as_tensor(exercise.reference(*arguments), dtype=torch.float64)
        return answer * (1 + 4e-5)

    correct, text = examine(exercise, nearly)
    assert not correct
    assert "1 times" not in text


# --- special cases that swallow more than they should -----------------------------


@pytest.mark.parametrize("number", ["1.2", "3.2", "3.3", "3.5", "7.5"])
def test_no_time_is_swallowed_by_a_special_case(number):
    """At each time, the answer of the time before passes for no trial."""
    exercise = find(number)
    place = list(inspect.signature(exercise.reference).parameters).index("t")
    longest = max(len(x) for i in exercise.inputs for x in i[:1])
    for time in range(2, longest):

        def swallows(*arguments, time=time):
            changed = list(arguments)
            if arguments[place] == time:
                changed[place] = time - 1
            return exercise.reference(*changed)

        assert not examine(exercise, swallows)[0], time


@pytest.mark.parametrize(
    ("number", "special"),
    [
        ("3.2", lambda b, a, t: reference("3.2")(b, a, t) if t > 2 else 0 * b[0]),
        (
            "3.3",
            lambda a, b, x0, x, t: reference("3.3")(a, b, x0, x, t) if t > 2 else x0,
        ),
        ("3.5", lambda a, b, x, t: reference("3.5")(a, b, x, t) if t > 2 else x.sign()),
    ],
)
def test_a_special_case_for_t_up_to_2_is_wrong(number, special):
    assert not right(number, special)


@pytest.mark.parametrize("time", [1, 2, 3, 4, 5, 6])
def test_every_time_of_a_batch_counts(time):
    def swallows(alpha_bar, x0, t, eps):
        return reference("1.4")(alpha_bar, x0, torch.where(t == time, t - 1, t), eps)

    assert not right("1.4", swallows)


@pytest.mark.parametrize("label", range(-1, 10))
def test_every_label_counts(label):
    def swallows(time, table, y):
        return reference("7.6")(time, table, torch.where(y == label, (y + 3) % 10, y))

    assert not right("7.6", swallows)


def padded(rounding):
    return lambda size, n: rounding(size / 2 ** (n - 1)) * 2 ** (n - 1)


@pytest.mark.parametrize(
    "rounding",
    [
        round,
        lambda x: round(x + 0.25),
        lambda x: int(x + 0.5),
        lambda x: int(x + 0.75),
        lambda x: int(x + 0.8),
        lambda x: int(x + 1),
    ],
)
def test_only_rounding_up_makes_a_size_that_fits(rounding):
    assert right("5.1", padded(np.ceil))
    assert not right("5.1", padded(rounding))


# --- right at some T only ---------------------------------------------------------

EVEN = sp.Product(q_0(2 * s) / q_0(2 * s - 2), (s, 2, T / 2)) * sp.Product(
    q_0(2 * s - 1) / q_0(2 * s - 3), (s, 2, T / 2)
)
ODD = sp.Piecewise((reference("2.1"), sp.Eq(sp.Mod(T, 2), 1)), (q_0(T), True))


@pytest.mark.parametrize("answer", [EVEN, ODD, reference("2.1") ** ((T - 5) ** 2 % 2)])
def test_a_product_for_some_lengths_only_is_wrong(answer):
    text = said("2.1", answer)
    assert text.startswith("2.1: not yet.")
    assert "cannot be read" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "factor", [T - 2 * sp.Symbol("t", integer=True, positive=True)]
)
@pytest.mark.parametrize("exercise", SYMBOLIC, ids=lambda e: e.number)
def test_no_rule_connects_t_with_the_number_of_steps(exercise, factor):
    assert not examine(exercise, exercise.reference + factor)[0]


# --- symbols that are defined by others -------------------------------------------

beta_tilde = (1 - abar_prev) / (1 - abar_t) * beta_t
mu = (
    sp.sqrt(abar_prev) * beta_t / (1 - abar_t) * x_0
    + sp.sqrt(alpha_t) * (1 - abar_prev) / (1 - abar_t) * x_t
)


@pytest.mark.parametrize(
    "answer",
    [
        beta_tilde + (mu_tilde - mu_theta) ** 2,
        reference("2.4").subs(mu_tilde, mu),
        beta_tilde + (mu - mu_theta) ** 2,
    ],
)
def test_the_posterior_may_be_written_out(answer):
    assert right("2.4", answer)


def test_a_variance_written_out_is_recognized():
    by_name = said(
        "7.3", reference("7.3").subs(sigma_t, sp.sqrt(NOTATION["betatilde_t"].symbol))
    )
    assert said("7.3", reference("7.3").subs(sigma_t, sp.sqrt(beta_tilde))) == by_name
    assert "leaves it open" in by_name


# --- symbols of your own ----------------------------------------------------------


@pytest.mark.parametrize("exercise", SYMBOLIC, ids=lambda e: e.number)
@pytest.mark.parametrize("name", ["python", "latex"])
def test_a_symbol_of_the_same_name_is_the_books(exercise, name):
    own = {
        n.symbol: sp.Symbol(key if name == "python" else n.latex)
        for key, n in NOTATION.items()
        if n.symbol.is_Symbol
    }
    answer = exercise.reference
    assert examine(exercise, answer.xreplace(own))[0]
    wrong = (answer + sp.Symbol("beta_t")).xreplace(own)
    assert not examine(exercise, wrong)[0]


def test_other_spellings_and_strangers():
    assert right("4.3", sp.Symbol("alpha_bar_t"))
    assert right("2.4", sp.Symbol("beta_tilde_t") + (mu_tilde - mu_theta) ** 2)
    assert "no symbol sigma:" in said("7.3", sp.Symbol("sigma") * z + eps_hat)
    assert "no function f:" in said("1.1", sp.Function("f")(beta_t))


def test_a_tensor_with_one_number_is_a_number_whatever_its_axes():
    for shape in ((), (1,), (1, 1)):
        assert right("3.2", lambda *a, shape=shape: reference("3.2")(*a).reshape(shape))
    assert "shape (2,), expected ()" in said(
        "3.2", lambda *a: reference("3.2")(*a).repeat(2)
    )


# --- integers ---------------------------------------------------------------------


@pytest.mark.parametrize("number", ["2.5", "3.2"])
@pytest.mark.parametrize("value", [0, 3])
def test_a_wrong_integer_is_not_blamed_on_its_dtype(number, value):
    text = said(number, lambda *arguments: value)
    assert "dtype" not in text
    assert find(number).hint in text


@pytest.mark.parametrize("cut", [torch.round, torch.trunc])
def test_a_right_answer_cut_to_integers_is_told_of_its_dtype(cut):
    def answer(*arguments):
        return cut(reference("1.2")(*arguments)).long()

    assert "dtype int64, which holds only whole numbers" in said("1.2", answer)


# --- what an answer is made of ----------------------------------------------------


def test_a_pair_is_read_entry_by_entry():
    answer = reference("3.1")
    for pair in (
        lambda *a: tuple(torch.tensor(x, requires_grad=True) for x in answer(*a)),
        lambda *a: tuple(map(sp.Float, answer(*a))),
        lambda *a: tuple(map(Fraction, answer(*a))),
        lambda *a: (torch.tensor(answer(*a)[0]), answer(*a)[1]),
        lambda *a: (torch.tensor([answer(*a)[0]]), answer(*a)[1]),
    ):
        assert right("3.1", pair)
    for pair, what in (
        (
            lambda *a: (answer(*a)[0], None),
            "entry 1 of what your function returns is None",
        ),
        (lambda *a: ("m", 1.0), "entry 0 of what your function returns is text"),
        (lambda *a: (True, False), "a tuple of True and False"),
        (lambda *a: (torch.ones(2), 1.0), "different shapes ((2,), ())"),
    ):
        text = said("3.1", pair)
        assert what.lower() in text.lower()


@each_function
def test_tensors_of_any_kind_are_read(exercise):
    def listed(*arguments):
        answer = torch.as_tensor(exercise.reference(*arguments)).double()
        return [x.clone().requires_grad_() for x in answer] if answer.ndim else answer

    def sparse(*arguments):
        answer = torch.as_tensor(exercise.reference(*arguments)).double()
        return answer.to_sparse() if answer.ndim else answer

    assert examine(exercise, listed)[0]
    assert examine(exercise, sparse)[0]


REMEDIES = {
    "ragged": (lambda *a: [[1.0], [1.0, 2.0]], "give all of them the same shape"),
    "bool": (lambda *a: a[1] > 0, "If you meant 1 and 0, multiply by 1.0"),
    "meta": (lambda *a: torch.empty(3, device="meta"), "Make it on the CPU"),
    "text": (lambda *a: "x", "without the quotes"),
    "symbols": (lambda *a: beta_t, "Put numbers in for its symbols with .subs"),
}


@pytest.mark.parametrize(("answer", "remedy"), REMEDIES.values(), ids=REMEDIES)
def test_what_cannot_be_compared_gets_a_remedy(answer, remedy):
    assert remedy in said("1.2", answer)


def test_ragged_and_bool_numbers_get_a_remedy_too():
    assert "same shape" in said("1.5", [[1], [1, 2]])
    assert "multiply by 1.0" in said("1.5", torch.tensor([True]))
    assert right("1.5", [torch.tensor(260.0, requires_grad=True)])


# --- arguments --------------------------------------------------------------------


@each_function
def test_a_gradient_is_no_change_in_place(exercise):
    """Asking for the gradient of an argument leaves its numbers as they are."""

    def answer(*arguments):
        for x in arguments:
            if torch.is_tensor(x) and x.is_floating_point():
                x.requires_grad_(True)
        return exercise.reference(*arguments)

    assert examine(exercise, answer)[0]


@each_function
def test_a_change_in_place_is_seen_in_every_tensor(exercise):
    names = list(inspect.signature(exercise.reference).parameters)
    for i, name in enumerate(names):
        if torch.is_tensor(exercise.inputs[0][i]):

            def answer(*arguments, i=i):
                result = exercise.reference(*arguments)
                arguments[i].add_(1)
                return result

            assert (
                f"changes its argument {name} in place" in examine(exercise, answer)[1]
            )


# --- one axis too few, or in front ------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "axis"),
    [
        ([(-1, 1, 1), (1, -1, 1, 1)], "channels"),
        ([(-1, 1), (1, 1, -1, 1), (1, -1, 1)], "height"),
        ([(-1,), (1, 1, 1, -1), (1, 1, -1)], "width"),
    ],
)
def test_a_factor_on_the_wrong_axis_is_named_by_the_axis(shapes, axis):
    for shape in shapes:

        def answer(alpha_bar, x0, t, eps, shape=shape):
            abar = alpha_bar[t].reshape(shape)
            return abar.sqrt() * x0 + (1 - abar).sqrt() * eps

        text = said("1.4", answer)
        assert (
            f"lines up with the {axis} of the images" in text
            or f"images, their {axis}" in text
        )
        assert "still missing" not in text


# --- exceptions are more than their type ------------------------------------------


def test_an_index_that_is_too_large_is_not_always_the_known_one():
    def third_answer(alpha_bar, x_T, x0_hats, z):
        return torch.stack([x0_hats[3], z[0], z[1]])

    text = said("7.2", third_answer)
    assert "alpha_bar is T" not in text
    assert "x0_hats[3]" in text
    assert "IndexError: index 3 is out of bounds" in text


def test_a_known_mistake_that_raises_shows_its_line_too():
    def too_long(alpha_bar, x_T, x0_hats, z):
        return alpha_bar[len(alpha_bar)] * x_T

    text = said("7.2", too_long)
    assert "The last index of alpha_bar is T" in text
    assert "return alpha_bar[len(alpha_bar)] * x_T" in text
    assert f"line {too_long.__code__.co_firstlineno + 1} of your code" in text
