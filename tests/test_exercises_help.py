"""What the checker says beyond right and wrong: cases, levels, limits, progress."""

import ast
import gc
import json
import re
import subprocess
import sys
import textwrap
import threading
import time
import xml.etree.ElementTree as ET
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from every_exercise import ALL, each_expression, each_function, examine, start_anew
from witnesses import PAGES as FILES
from witnesses import cells

from ddpm_course import exercises
from ddpm_course.equations import (
    LEDGER,
    NOTATION,
    T,
    abar_t,
    alpha,
    beta,
    beta_t,
    q_0,
    s,
    sigma_t,
)
from ddpm_course.exercises import (
    GROUPS,
    check,
    find,
    hint,
    in_chapter,
    progress,
    reference,
    session,
    solution,
    solutions,
    use,
)
from ddpm_course.exercises.literals import literal
from ddpm_course.exercises.time_limit import TimeUp, within


@pytest.fixture(autouse=True)
def fresh_session():
    start_anew()


def spoiled(x, by=0.5):
    """Neither right nor right up to a factor."""
    x = torch.as_tensor(x, dtype=torch.float64)
    return x * 1.25 + x.abs().sqrt() + by


def wrong(exercise, by=0.5):
    """An answer that no known mistake gives, another one for each number."""
    return lambda *arguments: spoiled(exercise.reference(*arguments), by)


# --- the smallest failing case ----------------------------------------------------


@each_function
def test_the_inputs_of_a_failing_case_can_be_pasted(exercise):
    """They are what the reference takes, and it returns what was expected."""
    text = examine(exercise, wrong(exercise), 3)[1]
    code = textwrap.dedent(text.partition(":\n")[2].partition("    expected")[0])
    names: dict = {"torch": torch}
    exec(code.partition("The first")[0], names)  # our own text
    arguments = [
        names[n] for n in exercises.checker.diagnosis.parameters(exercise.reference)
    ]
    returned = torch.as_tensor(exercise.reference(*arguments), dtype=torch.float64)
    if place := re.search(r"The first difference is at \[(.*)\]:", text):
        returned = returned[ast.literal_eval(f"({place[1]},)")]
    expected = ast.literal_eval(re.search(r"expected: (.*)", text)[1])
    got = ast.literal_eval(re.search(r"got:      (.*)", text)[1])
    np.testing.assert_allclose(returned, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(spoiled(returned), got, rtol=1e-3, atol=1e-3)


@each_function
def test_a_failing_case_is_small(exercise):
    text = examine(exercise, wrong(exercise), 3)[1]
    assert len(text.splitlines()) <= 14
    assert all(len(line) <= 79 for line in session.wrapped(text).splitlines())


@each_expression
def test_both_sides_differ_at_the_point_that_is_named(exercise):
    answer = exercise.reference + sigma_t / 3
    text = examine(exercise, answer, 3)[1]
    code = re.search(r"point = (\{.*?\})", text, re.DOTALL)[1]
    names = {name: n.symbol for name, n in NOTATION.items() if n.symbol.is_Symbol}
    names |= {"alpha": alpha, "beta": beta, "q_0": q_0}
    point = eval(code, names)
    values = [sp.N(e.subs(point)) for e in (exercise.reference, answer)]
    told = [re.search(rf"{word}: +(.*)", text)[1] for word in ("expected", "got")]
    for value, number in zip(values, told, strict=True):
        assert float(value) == pytest.approx(float(number), rel=1e-4)
    assert "Yours minus the right one is sigma_t/3." in text


def test_a_long_difference_is_left_out():
    text = examine(find("1.3"), sum(sp.sin(alpha(i)) ** i for i in range(1, 9)), 3)[1]
    assert "expected" in text and "minus" not in text


def test_the_smallest_of_the_failing_trials_is_shown():
    def at_3(beta, x_prev, t, eps):
        return reference("1.2")(beta, x_prev, t, eps) + 0.1 * (t == 3)

    def from_2(beta, x_prev, t, eps):
        return reference("1.2")(beta, x_prev, t, eps) + 0.1 * (t >= 2)

    text = examine(find("1.2"), from_2, 3)[1]
    assert "    x_prev = torch.tensor([2.0])\n    t = 2\n" in text
    text = examine(find("1.2"), at_3, 3)[1]
    assert "    t = 3\n" in text
    assert "The first difference is at [0, 0]." in text


def test_the_digits_show_the_difference():
    def nearly(beta, x_prev, t, eps):
        right = reference("1.2")(beta, x_prev, t, eps)
        return right + 2e-4 * (t == 2) * (len(x_prev) == 1)

    text = examine(find("1.2"), nearly, 3)[1]
    expected, got = (re.search(rf"{w}: +(.*)", text)[1] for w in ("expected", "got"))
    assert expected != got


def test_a_number_is_not_given_away():
    assert examine(find("1.5"), 300, 3)[1].endswith("Yours is too large.")
    assert examine(find("6.5"), 600, 3)[1].endswith("Yours is too small.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
        (3, "3"),
        ((1, 2), "(1, 2)"),
        (torch.tensor([[1, 2]]), "torch.tensor([[1, 2]])"),
        (torch.tensor([0.1, 2.0]), "torch.tensor([0.1, 2.0])"),
    ],
)
def test_values_as_you_would_type_them(value, text):
    assert literal(value) == text


# --- exceptions -------------------------------------------------------------------


def helper(t):
    return {}[t]


def test_the_line_that_raised_is_shown_with_its_number_and_message():
    def answer(beta, x_prev, t, eps):
        first = x_prev * 2
        return first[:, 0, 0, 0]

    line = answer.__code__.co_firstlineno + 2
    text = examine(find("1.2"), answer)[1]
    assert f"raises IndexError in line {line} of your code:\n" in text
    assert "    return first[:, 0, 0, 0]\nIndexError: too many indices" in text
    assert "It happens with\n    beta = torch.tensor([0.0, 0.1, 0.2])" in text


def test_the_line_is_your_own_also_where_a_library_raises():
    def by_helper(beta, x_prev, t, eps):
        return helper(t)

    def by_torch(beta, x_prev, t, eps):
        return torch.nn.functional.softmax(x_prev, dim=7)

    line = helper.__code__.co_firstlineno + 1
    text = examine(find("1.2"), by_helper)[1]
    call = by_helper.__code__.co_firstlineno + 1
    assert (
        f"in line {line} of helper:\n    return {{}}[t]\n"
        f"called from line {call} of by_helper:\n    return helper(t)\nKeyError: 1"
    ) in text
    text = examine(find("1.2"), by_torch)[1]
    assert "return torch.nn.functional.softmax(x_prev, dim=7)" in text


def test_a_long_message_is_shown_in_full():
    def answer(*arguments):
        raise ValueError("first line\nsecond line " + "x" * 200)

    text = examine(find("1.2"), answer)[1]
    assert "first line\nsecond line " + "x" * 200 in text


def test_without_source_the_number_of_the_line_is_shown():
    names: dict = {}
    exec("def answer(beta, x_prev, t, eps):\n    return 1 / 0\n", names)
    text = examine(find("1.2"), names["answer"])[1]
    assert "in line 2 of your code.\nZeroDivisionError: division by zero" in text


# --- levels -----------------------------------------------------------------------


def lines(capsys) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_help_grows_with_the_attempts(capsys):
    exercise = find("3.2")
    said = []
    for attempt in range(1, 5):
        check("3.2", wrong(exercise, attempt))
        said.append(lines(capsys))
    assert exercise.hint in said[0]
    assert "It is wrong in all 8 trials." in said[1]
    assert "torch.tensor([0.0, 0.1, 0.2])" in said[2]
    more = 'For more help run hint("3.2").'
    assert all(more in text and "solution(" not in text for text in said[:2])
    for text in said[2:]:
        assert "03_posterior_mean.html#ex-3-2" in text
        assert 'solution("3.2")' in text


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_can_be_asked_for(level, capsys):
    exercise = find("3.2")
    check("3.2", wrong(exercise), hint=level)
    expected = examine(exercise, wrong(exercise), level)[1]
    assert " ".join(expected.split()) in lines(capsys)


NO_LEVELS = [0, 4, "2", [], float("nan"), torch.tensor([1, 2])]


@pytest.mark.parametrize("level", NO_LEVELS, ids=str)
def test_a_level_that_is_none_names_the_three(level, capsys):
    check("3.2", wrong(find("3.2")), hint=level)
    said = lines(capsys)
    assert find("3.2").hint in said
    assert "no such level of help: the levels are 1, 2 and 3." in said
    hint("3.2", level)
    assert "the levels are 1, 2 and 3." in lines(capsys)
    hint("3.2")
    assert "the levels" not in lines(capsys)


def test_neither_named_mistakes_nor_the_same_answer_raise_the_level(capsys):
    exercise = find("3.2")
    for _ in range(2):
        for mistake in exercise.mistakes.values():
            check("3.2", mistake.answer)
        for _ in range(3):
            check("3.2", wrong(exercise))
    assert "trials" not in lines(capsys)
    check("3.2", wrong(exercise, 1))
    assert "wrong in all 8 trials" in lines(capsys)
    check("3.2", wrong(exercise))  # an old one
    check("3.2", wrong(exercise, 2))
    assert "expected: " in lines(capsys)


def test_the_same_answer_keeps_the_level_that_you_asked_for(capsys):
    check("3.2", wrong(find("3.2")))
    hint("3.2")
    lines(capsys)
    check("3.2", wrong(find("3.2")))
    assert "wrong in all 8 trials" in lines(capsys)


def test_a_hunt_goes_through_the_levels_too(capsys):
    repair = reference("F.4")[1]
    for by, sentence in enumerate(["look at your repair", "trials", "expected: "]):
        check("F.4", (..., lambda *a, by=by: spoiled(repair(*a), by + 1)))
        assert sentence in lines(capsys)


def test_the_import_is_shown_once(capsys):
    check("3.2", wrong(find("3.2")))
    line = "\n    from ddpm_course.exercises import hint, solution\n"
    assert line in capsys.readouterr().out
    check("3.3", wrong(find("3.3")))
    assert "import" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "meant"),
    [("F11", "F.11"), ("b.4", "B.4"), ("1,2", "1.2"), ("12", "1.2"), (" 3.2", "3.2")],
)
def test_a_slip_in_the_number_gets_the_number_that_is_meant(number, meant, capsys):
    check(number, 1)
    assert lines(capsys).endswith(f'no such exercise. Did you mean "{meant}"?')


def test_a_known_mistake_is_named_at_once_and_links_the_solution_later(capsys):
    mistake = find("3.2").mistakes["standard deviation for variance"]
    for attempt in (1, 2, 3):
        check("3.2", mistake.answer)
        text = lines(capsys)
        assert mistake.hint in text
        assert ("#ex-3-2" in text) == (attempt == 3)


def test_neither_stubs_nor_right_answers_count(capsys):
    for _ in range(4):
        check("3.2", ...)
        check("3.2", reference("3.2"))
    lines(capsys)
    check("3.2", wrong(find("3.2")))
    assert find("3.2").hint in lines(capsys)


def test_exercises_are_counted_apart(capsys):
    for _ in range(3):
        check("3.2", wrong(find("3.2")))
    lines(capsys)
    check("3.3", wrong(find("3.3")))
    assert find("3.3").hint in lines(capsys)


def test_hint_goes_one_level_on(capsys):
    hint("3.2")
    first = lines(capsys)
    assert find("3.2").hint in first
    assert "Run the check on a wrong answer for a more specific hint." in first
    check("3.2", wrong(find("3.2")))
    lines(capsys)
    for sentence in ("wrong in all 8 trials", "expected: ", "expected: "):
        hint("3.2")
        assert sentence in lines(capsys)
    hint("3.2", 2)
    assert "wrong in all 8 trials" in lines(capsys)
    check("3.2", reference("3.2"))
    lines(capsys)
    for level in (None, 3):
        hint("3.2", level)
        assert lines(capsys) == ('3.2: you have solved it. solution("3.2") shows ours.')
    hint("9.9")
    assert "there is no such exercise" in lines(capsys)


def test_what_an_expression_should_depend_on(capsys):
    says = examine(find("4.2"), abar_t / (1 - beta_t) + NOTATION["D"].symbol, 2)[1]
    assert "does not depend on sigma_t." in says
    assert "depends on D, and should not: " in says
    says = says.partition("it can be written with")[0]
    assert "abar" not in says  # by the recursion it depends on the same


@pytest.mark.parametrize(
    ("number", "enough"),
    [("3.4", "alpha(1), alpha(2), alpha(3)"), ("8.1", "tau_t")],
)
def test_a_foreign_symbol_is_named_with_those_that_are_enough(number, enough):
    says = examine(find(number), abar_t, 2)[1]
    assert says.endswith(
        f"Yours depends on abar_t, and should not: it can be written with {enough}."
    )


def test_no_text_names_a_label_of_the_ledger():
    """A student sees numbers of equations, and no labels."""
    labels = [label for label in LEDGER if "-" in label]
    assert len(labels) > 50
    for exercise in ALL:
        hints = [mistake.hint for mistake in exercise.mistakes.values()]
        for text in (exercise.meaning, exercise.hint, *hints):
            words = set(re.findall(r"[\w-]+", text))
            assert not words & set(labels), (exercise.number, text)


def test_the_equation_that_8_2_points_at_has_that_number():
    text = "\n".join(cell.source for cell in cells(FILES["8"], "markdown"))
    labels = re.findall(r"^\$\$ \((.*)\)$", text, re.MULTILINE)
    assert f"(8.{labels.index('x0-from-flow') + 1})" in find("8.2").hint


def test_where_an_expression_is_right():
    odd = reference("2.1") ** ((T - 5) ** 2 % 2)
    assert (
        "It is right at 2 of 4 points; wrong for T = 9."
        in examine(find("2.1"), odd, 2)[1]
    )


# --- solutions --------------------------------------------------------------------


def test_the_solution_comes_after_three_attempts(capsys):
    for left in (3, 2, 1):
        solution("3.2")
        assert f"after {left} more wrong answer" in lines(capsys)
        check("3.2", wrong(find("3.2")))
        lines(capsys)
    solution("3.2")
    assert "def posterior_variance(beta" in capsys.readouterr().out
    solution("9.9")
    assert "there is no such exercise" in lines(capsys)


@pytest.mark.parametrize("show", [lambda: hint("3.2", 3), lambda: check_at_3()])
def test_a_link_to_the_solution_keeps_its_promise(show, capsys):
    check("3.2", wrong(find("3.2")))
    solution("3.2")
    assert "after 2 more" in lines(capsys)
    show()
    assert 'or in solution("3.2").' in lines(capsys)
    solution("3.2")
    assert "def posterior_variance(beta" in capsys.readouterr().out


def check_at_3():
    check("3.2", wrong(find("3.2")), hint=3)


@pytest.mark.parametrize(
    "record", [{"tries": 3, "solved": False}, {"tries": 1, "solved": True}]
)
def test_a_solution_is_open_after_a_restart_too(record, kept, capsys):
    kept.parent.mkdir()
    kept.write_text(json.dumps({"3.2": record, "3.3": {"tries": 2, "solved": False}}))
    solution("3.2")
    assert "def posterior_variance(beta" in capsys.readouterr().out
    solution("3.3")
    assert "after 1 more wrong answer, or" in lines(capsys)


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.number)
def test_a_printed_solution_is_right(exercise, capsys):
    """What solution prints, run as code, is accepted."""
    check(exercise.number, exercise.reference)
    lines(capsys)
    solution(exercise.number)
    code = capsys.readouterr().out
    names = dict(vars(sys.modules[find_module(exercise)]))
    if callable(exercise.reference) and not isinstance(exercise.reference, sp.Expr):
        known = set(names)
        exec(code, names)
        (name,) = set(re.findall(r"^def (\w+)", code, re.MULTILINE))
        assert name in known
        answer = names[name]
        assert "lambda" not in code
    else:
        symbols = {name: n.symbol for name, n in NOTATION.items() if n.symbol.is_Symbol}
        symbols |= {"alpha": alpha, "beta": beta, "q_0": q_0}
        answer = eval(code, vars(sp) | symbols)
    assert examine(exercise, answer)[0]


def find_module(exercise) -> str:
    return f"ddpm_course.exercises.{GROUPS[exercise.number.partition('.')[0]].module}"


def test_the_links_lead_to_the_pages_of_the_book():
    stems = {group: path.stem for group, path in FILES.items()}
    assert stems == {name: group.page for name, group in GROUPS.items()}
    for exercise in ALL:
        page, _, label = solutions.link(exercise.number).partition("#")
        label = label.partition(",")[0]
        group = exercise.number.partition(".")[0]
        text = "\n".join(cell.source for cell in cells(FILES[group], "markdown"))
        assert f":label: {label}\n" in text
        assert f"/book/{FILES[group].stem}.html" in page


def test_without_an_installed_package_the_link_still_names_the_page(monkeypatch):
    def missing(name):
        raise solutions.metadata.PackageNotFoundError

    monkeypatch.setattr(solutions.metadata, "metadata", missing)
    assert " book/03_posterior_mean.html#ex-3-2," in solutions.link("3.2")


# --- the time limit ---------------------------------------------------------------


def endless(*arguments):
    while True:
        pass


def endless_and_stubborn(*arguments):
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


def endless_and_deaf(*arguments):
    while True:
        try:
            range(9)  # short, so that it is sometimes not in here
        except:  # noqa: E722
            continue


@pytest.fixture
def no_collector():
    """No garbage collection: the time limit may stop hypothesis's callback there."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("1.2", endless),
        ("1.2", endless_and_stubborn),
        ("1.2", endless_and_deaf),
        ("1.1", sp.Sum(sp.sqrt(beta(s)), (s, 1, 10**7))),
        ("1.3", sp.Product(alpha(s) + 1, (s, 1, 10**7))),
        ("1.2", lambda *a: sp.factorint(2**521 - 3)),
    ],
)
def test_an_answer_that_takes_too_long_is_stopped(number, answer, capsys):
    start = time.thread_time()  # a busy machine gives the answer less, and no more
    check(number, answer, seconds=0.3)
    late = 10 if answer is endless_and_deaf else 0.5  # it is told for 10 seconds
    assert time.thread_time() - start < 0.3 + late
    assert "takes longer than 0.3 seconds, so it was stopped" in lines(capsys)
    check("1.5", 260)  # and nothing comes later
    assert "correct" in lines(capsys)


@pytest.mark.parametrize("seconds", [None, "20", 0, -1, float("nan"), [], 2j])
def test_seconds_that_are_none_are_refused_in_a_sentence(seconds, capsys):
    check("1.5", 260, seconds=seconds)
    assert lines(capsys) == (
        "1.5: not judged: seconds must be a number above 0, such as 20."
    )


@pytest.mark.slow
def test_one_clock_runs_for_both_parts_of_a_hunt(capsys, monkeypatch):
    experiment, repair = reference("F.4")
    check("F.4", (experiment, endless), seconds=Fraction(1, 2))
    assert "longer than 0.5 seconds, so it was stopped" in lines(capsys)
    clocks = []

    def clock(seconds, call):
        clocks.append(seconds)
        return call()

    monkeypatch.setattr(exercises.checker, "within", clock)
    check("F.4", (experiment, repair), seconds=600)
    assert clocks == [600]
    assert "correct" in lines(capsys)


@pytest.mark.slow
@pytest.mark.usefixtures("no_collector")
def test_what_later_cells_do_with_an_answer_is_tried_in_time_and_guarded(capsys):
    def hangs_on_images(alpha_bar, x_t, x0_hat, t, s):
        return (
            endless()
            if x_t.ndim == 4
            else reference("7.5")(alpha_bar, x_t, x0_hat, t, s)
        )

    def exits_on_images(alpha_bar, x_t, x0_hat, t, s):
        return (
            sys.exit()
            if x_t.ndim == 4
            else reference("7.5")(alpha_bar, x_t, x0_hat, t, s)
        )

    for answer, sentence in (
        (hangs_on_images, "takes too long there"),
        (exits_on_images, "there yours raises SystemExit"),
    ):
        assert use("7.5", answer, seconds=1) is reference("7.5")
        said = lines(capsys)
        assert "7.5: correct." in said and sentence in said


def test_in_another_thread_too(capsys):
    thread = threading.Thread(target=lambda: check("1.2", endless, seconds=0.3))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert "takes longer" in lines(capsys)


def test_within_returns_and_raises_what_the_call_does():
    assert within(5, lambda: 3) == 3
    assert within(float("inf"), lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)
    with pytest.raises(TimeUp):
        within(0.1, endless)
    before = threading.active_count()
    for _ in range(20):
        within(5, lambda: 3)
    assert threading.active_count() == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_kernel_goes_on_after_the_time_limit():
    import nbformat
    from nbclient import NotebookClient

    sources = [
        "from ddpm_course.exercises import check, progress",
        "def loops(*arguments):\n    while True:\n        pass",
        "check('1.2', loops, seconds=1)",
        "def breaks(beta, x_prev, t, eps):\n    return beta[t] / 0 + nothing",
        "check('1.2', breaks)",
        "check('1.5', 260)",
        "progress()",
    ]
    new = nbformat.v4
    notebook = new.new_notebook(cells=[new.new_code_cell(s) for s in sources])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    said = ["".join(o.get("text", "") for o in cell.outputs) for cell in notebook.cells]
    assert "takes longer than 1 seconds" in " ".join(said[2].split())
    assert "line 2 of your code:\n    return beta[t] / 0 + nothing\n" in said[4]
    assert "NameError: name 'nothing' is not defined" in said[4]
    assert "correct" in said[5]
    assert "<svg" in notebook.cells[-1].outputs[0]["data"]["text/html"]


# --- progress ---------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file of the progress, in a folder that isn't there yet."""
    file = tmp_path / "new" / "progress.json"
    monkeypatch.setenv("DDPM_PROGRESS", str(file))
    return file


def test_progress_is_kept_and_counted(kept, capsys):
    check("3.2", wrong(find("3.2")))
    check("3.3", reference("3.3"))
    check("3.3", wrong(find("3.3")))  # solved once is solved
    check("3.4", ...)
    assert json.loads(kept.read_text()) == {
        "3.2": {"tries": 1, "solved": False},
        "3.3": {"tries": 2, "solved": True},
    }
    minutes = sum(find(n).minutes for n in ("3.1", "3.2", "3.4", "3.5"))
    row = f"Chapter 3 □▣■□□   *1 solved, 1 tried, 3 open, {minutes} min left"
    assert re.search(row, str(progress()))
    assert [p.name for p in kept.parent.iterdir()] == ["progress.json"]


def test_all_chapters_add_up(kept):
    check("1.1", reference("1.1"))
    every = [e for group in GROUPS for e in in_chapter(group).values()]
    last = str(progress()).splitlines()[-1]
    left = sum(e.minutes for e in every) - find("1.1").minutes
    assert f"1 solved, 0 tried, {len(every) - 1} open, {left} min left" in last


def test_the_picture_shows_every_exercise(kept):
    check("1.1", reference("1.1"))
    check("1.2", wrong(find("1.2")))
    picture = ET.fromstring(progress()._repr_html_())
    svg = "{http://www.w3.org/2000/svg}"
    colors = [box.get("fill") for box in picture.iter(f"{svg}rect")]
    every = sum(len(in_chapter(group)) for group in GROUPS)
    assert len(colors) == 2 * every  # in its chapter, and among all
    states = exercises.record.STATES
    counts = [colors.count(color) for color, _ in states.values()]
    assert counts == [2, 2, 2 * every - 4]
    assert "1 solved" in picture.get("aria-label")
    right = [
        float(b.get("x")) + float(b.get("width")) for b in picture.iter(f"{svg}rect")
    ]
    assert max(right) < 325  # where the words begin


DAMAGE = ["", "{", "[]", '{"1.1": 3}', '{"1.1": {}}', "\0", "[" * 10**5]
DAMAGE += ['{"1.1": {"tries": 1e999, "solved": true}}']


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda text: text[:20])
def test_a_damaged_file_is_put_aside(damage, kept, capsys):
    kept.parent.mkdir()
    for n in (1, 2):
        kept.write_text(damage + " " * n)
        assert "0 solved" in str(progress())
        assert f"it is now in {kept.with_suffix(f'.damaged-{n}')}." in lines(capsys)
        check("1.1", reference("1.1"))
        assert "damaged" not in (text := lines(capsys))
        assert "correct" in text
        assert json.loads(kept.read_text()).keys() == {"1.1"}
    for n in (1, 2):  # neither overwrites the other
        assert kept.with_suffix(f".damaged-{n}").read_text() == damage + " " * n


def test_a_deleted_file_starts_anew(kept, capsys):
    check("1.1", reference("1.1"))
    kept.unlink()
    assert "0 solved, 0 tried" in str(progress())
    solution("1.1")
    assert "after 3 more wrong answers" in lines(capsys)
    check("1.2", reference("1.2"))
    assert json.loads(kept.read_text()).keys() == {"1.2"}


def test_what_could_not_be_written_shows_and_is_written_later(kept, monkeypatch):
    check("1.1", 0)
    write = exercises.record._write

    def full(file, record):
        raise OSError("No space left on device")

    monkeypatch.setattr(exercises.record, "_write", full)
    check("1.1", reference("1.1"))
    assert "1 solved, 0 tried" in str(progress())
    assert json.loads(kept.read_text())["1.1"] == {"tries": 1, "solved": False}
    monkeypatch.setattr(exercises.record, "_write", write)
    check("1.2", reference("1.2"))
    assert json.loads(kept.read_text()) == {
        "1.1": {"tries": 2, "solved": True},
        "1.2": {"tries": 1, "solved": True},
    }


@pytest.mark.parametrize("name", ["blocked/progress.json", "folder"])
def test_a_file_that_cannot_be_written_is_no_traceback(name, kept, monkeypatch, capsys):
    kept.parent.mkdir()
    (kept.parent / "blocked").write_text("a file")
    (kept.parent / "folder").mkdir()
    monkeypatch.setenv("DDPM_PROGRESS", str(kept.parent / name))
    check("1.1", reference("1.1"))
    assert "correct" in lines(capsys)
    assert "1 solved" in str(progress())  # this session remembers


def test_without_a_home_nothing_is_kept(monkeypatch, capsys):
    monkeypatch.delenv("DDPM_PROGRESS")

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(exercises.record.Path, "home", homeless)
    check("1.1", reference("1.1"))
    assert "correct" in lines(capsys)


@pytest.mark.slow
def test_the_file_is_in_your_home(tmp_path, monkeypatch):
    monkeypatch.delenv("DDPM_PROGRESS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert exercises.record.path() == tmp_path / ".ddpm_course" / "progress.json"
    code = "from ddpm_course.exercises import check; check('1.1', 3)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / ".ddpm_course" / "progress.json").is_file()


@pytest.mark.slow
def test_two_programs_do_not_tear_the_file(kept):
    code = (
        "from ddpm_course.exercises.record import note\n"
        "for i in range(200): note(str(i), True)"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert json.loads(kept.read_text())["199"]["solved"]
    assert [p.name for p in kept.parent.iterdir()] == ["progress.json"]
