"""The page "Find the bug": programs, experiments, and what is said about them."""

import ast
import inspect
import random
import re

import nbformat
import numpy as np
import pytest
import torch
from every_exercise import examine, start_anew
from helpers import LINEAR
from witnesses import PAGES, cells

from ddpm_course import posterior, sampling, schedules, training
from ddpm_course.exercises import find, find_the_bug, in_chapter, reference, solution
from ddpm_course.exercises.checker import judge
from ddpm_course.exercises.hunt import EXAMPLE, Suspect, says
from ddpm_course.oracle import GaussianMixture

ALL = list(in_chapter("F").values())
each = pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.number)


def experiment_of(exercise):
    """What an exercise knows of its first part."""
    return inspect.getclosurevars(exercise.judged).nonlocals["experiment"]


def page_program(exercise):
    """The program on the page."""
    return experiment_of(exercise).suspects[0].program


def said(number, answer, level=1):
    return examine(find(number), answer, level)[1]


# --- every exercise ---------------------------------------------------------------


def test_there_are_ten_bugs_and_a_program_that_is_right():
    assert [e.number for e in ALL] == [f"F.{n}" for n in range(1, 12)]
    right = [e.number for e in ALL if not experiment_of(e).suspects[0].guilty]
    assert right == ["F.7"]
    for exercise in ALL:  # the repair changes what is wrong, and nothing else
        correct, _ = examine(
            exercise, (reference(exercise.number)[0], page_program(exercise))
        )
        assert correct == (exercise.number == "F.7")


@each
def test_a_hunt_has_suspects_of_both_kinds_and_many_wrong_answers(exercise):
    suspects = experiment_of(exercise).suspects
    assert sum(not s.guilty for s in suspects) >= 3
    assert sum(s.guilty for s in suspects) >= 2
    assert len({s.what for s in suspects}) == len(suspects)
    wrong = list(exercise.mistakes)
    assert sum(name.startswith("experiment") for name in wrong) >= 4
    assert sum(name.startswith("repair") for name in wrong) >= 5


@each
def test_the_program_on_the_page_is_the_suspect(exercise):
    page = "\n".join(c.source for c in cells(PAGES["F"], "code"))
    source = inspect.getsource(page_program(exercise)).strip()
    assert page.count(f"{source}\n") == 1
    assert inspect.getsource(find_the_bug.Tiny).strip() in page


@each
def test_the_program_in_the_example_of_the_stub_is_a_suspect(exercise):
    name = f"experiment_{exercise.number.removeprefix('F.')}"
    stub = next(
        c.source for c in cells(PAGES["F"], "code") if f"def {name}(" in c.source
    )
    (example,) = re.findall(rf">>> {name}\((lambda .*)\)\n +True\n", stub)
    shown = ast.parse(example, mode="eval").body
    (suspect,) = [s for s in experiment_of(exercise).suspects if s.what == EXAMPLE]
    (function,) = ast.parse(inspect.getsource(suspect.program)).body
    assert suspect.guilty
    assert ast.unparse(function.args) == ast.unparse(shown.args)
    assert ast.unparse(function.body) == f"return {ast.unparse(shown.body)}"


@each
def test_both_functions_of_the_solution_are_the_reference(exercise):
    code = next(
        c.source
        for c in nbformat.read(PAGES["F"], 4).cells
        if c.cell_type == "code" and f'check("{exercise.number}", sol' in c.source
    )
    for function in reference(exercise.number):
        body = inspect.getsource(function).partition("\n")[2]
        assert body.strip() in code


@pytest.mark.slow
@each
def test_each_part_counts(exercise):
    number = exercise.number
    experiment, repair = reference(number)
    wrong_repair = next(
        m.answer[1] for n, m in exercise.mistakes.items() if n.startswith("repair")
    )
    half = {
        (experiment, ...): f"{number}: half done. Your experiment is right",
        (..., repair): f"{number}: half done. Your repair is right.",
        (lambda program: ..., repair): f"{number}: half done. Your repair is right.",
        (experiment, lambda *a: ...): f"{number}: half done. Your experiment is right",
        (lambda program: True, ...): "Your repair is still missing; look at your exp",
        (..., wrong_repair): "Your experiment is still missing; look at your repair.",
        (lambda program: False, repair): "Your repair is right; look at your experim",
        (experiment, wrong_repair): "Your experiment is right; look at your repair.",
        (lambda program: True, wrong_repair): "Your repair: ",
    }
    for answer, text in half.items():
        correct, words = examine(exercise, answer)
        assert not correct
        assert text in words
    assert said(number, ...).startswith(f"{number}: not attempted yet.")
    assert said(number, (lambda p: ..., lambda *a: ...)).startswith(
        f"{number}: not attempted yet."
    )


@each
def test_a_suspect_that_is_judged_wrongly_is_named_and_shown(exercise):
    """Experiments that are wrong about a single suspect, and no known mistake."""
    own, repair = experiment_of(exercise), reference(exercise.number)[1]
    known = [verdicts for _, verdicts in own.verdicts]
    for wrong in own.suspects:
        says = {s.program: s.guilty != (s is wrong) for s in own.suspects}
        if [*says.values()] in known:
            continue
        verdict = judge(exercise, (says.get, repair))
        act, truth = (
            ("clears", "has the bug") if wrong.guilty else ("accuses", "is right")
        )
        nudge, specific, shown = (verdict.say(level) for level in (1, 2, 3))
        assert f"It {act} a program that {truth}." in nudge
        assert f"{act} {wrong.what}, which {truth}." in specific
        source = inspect.getsource(wrong.program).strip().splitlines()
        assert all(line.strip() in shown for line in source)


# --- what an experiment may return, and how it fails ------------------------------


@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [
        (lambda program: None, "It returns None: a return is missing."),
        (lambda program: 0.3, "It returns a float: expected True or False."),
        (lambda program: torch.ones(3), "It returns a tensor: expected True"),
        (lambda program: "yes", "It returns text in quotes: expected True"),
        (lambda: True, "With the program on the page, it raises TypeError"),
        (lambda program: program(1, 2), "With the program on the page, it raises Typ"),
        (3, "It is an int: give the function itself"),
    ],
)
def test_what_is_wrong_with_an_experiment_is_said(experiment, sentence):
    text = said("F.4", (experiment, reference("F.4")[1]))
    assert sentence in text
    assert text.startswith("F.4: not yet. Your repair is right; look at your exp")


def test_the_line_of_an_experiment_that_raises_is_shown():
    def careless(program):
        return program(torch.ones(3))[5] > 1

    text = said("F.4", (careless, reference("F.4")[1]))
    assert "return program(torch.ones(3))[5] > 1" in text
    assert "IndexError: index 5 is out of bounds" in text


@pytest.mark.parametrize(
    "answer", [3, [..., ...], reference("F.1")[0], (reference("F.1")[0],)]
)
def test_what_is_no_pair_is_asked_for(answer):
    assert "expected two functions in parentheses" in said("F.1", answer)


@pytest.mark.parametrize("true", [True, np.True_, torch.tensor(True), np.array([True])])
def test_any_kind_of_truth_is_taken(true):
    assert says(lambda program: true, Suspect(len, True, "")) is True


#: A number in 0 … 1 from each of the generators that belong to nobody.
DRAWS = {
    "torch": lambda: torch.rand(()).item(),
    "numpy": lambda: np.random.rand(),  # noqa: NPY002
    "random": random.random,
}
each_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def seed():
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)


@each_draw
def test_an_experiment_may_draw_without_moving_a_generator(draw):
    seed()
    expected = [draw(), draw()]
    seed()
    drawn = [draw()]
    asked = {says(lambda program: draw() < 0.5, Suspect(len, True, "")) for _ in "123"}
    assert len(asked) == 1
    assert [*drawn, draw()] == expected


@each_draw
def test_an_experiment_that_depends_on_chance_is_told_so(draw):
    text = said("F.4", (lambda program: draw() < 0.5, ...))
    assert "It depends on chance: asked about the program on the page, it says" in text


def test_chance_in_what_an_experiment_measures_is_seen_too():
    def mean_of_many(program):
        network, x = find_the_bug.Tiny().train(), torch.ones(100)
        answers = torch.stack([program(network, x, 2) for _ in range(200)])
        return bool(abs(answers.mean() - 0.5) > 1e-3)

    assert "It depends on chance: asked about " in said("F.5", (mean_of_many, ...))


# --- what the texts of the exercises promise --------------------------------------


def test_a_schedule_is_guilty_if_for_some_T_more_than_1_percent_is_left():
    for suspect in experiment_of(find("F.2")).suspects:
        left = max(suspect.program(T)[-1] for T in (50, 100, 300, 1000))
        assert suspect.guilty == (left > 0.01)


def test_an_average_is_guilty_if_more_than_10_percent_of_the_way_is_left():
    rows = torch.tensor([0.0] + 100 * [1.0])
    for suspect in experiment_of(find("F.6")).suspects:
        assert suspect.guilty == (abs(1 - suspect.program(rows)) > 0.1)


def test_a_right_prediction_leaves_the_mode_of_the_network():
    for suspect in experiment_of(find("F.5")).suspects:
        for mode in (True, False):
            network = find_the_bug.Tiny().train(mode)
            suspect.program(network, torch.ones(3), 2)
            assert suspect.guilty or network.training == mode


def compared(start=-2.0, end=2.0, levels=(0.1, 0.5, 0.9), of=lambda x0: x0):
    """A check of a denoiser at these points and levels, or of something it gives."""

    def check(denoiser):
        x = torch.linspace(start, end, 81)
        pairs = [
            (denoiser(x, a), torch.tanh(a.sqrt() * x / (1 - a)))
            for a in torch.tensor(levels)
        ]
        return all(torch.allclose(of(x0), of(best), atol=1e-3) for x0, best in pairs)

    return check


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        (compared(levels=(0.5, 0.7, 0.9)), "is right from ᾱ = 0.5 on, and takes 0.5"),
        (compared(levels=(0.1, 0.3, 0.5)), "is right up to ᾱ = 0.5, and takes 0.5"),
        (compared(start=0), "ignores the sign of x_t"),
        (compared(of=lambda x0: x0.relu()), "is right for x_t > 0, and returns 0"),
        (compared(-1.5, 1.5), "is right up to |x_t| = 1.5, and returns 0 beyond"),
        (compared(of=lambda x0: x0.diff()), "adds 0.2 to the exact one"),
        (compared(), "returns shape (1, n) if x_t has shape (n,)"),
    ],
)
def test_a_check_is_told_the_worst_denoiser_that_it_passes(check, passed):
    """The shape comes last, though each of these checks is blind to it."""
    assert f"Your check passes a denoiser that {passed}" in said("F.11", (..., check))


def test_the_solution_shows_both_functions(capsys):
    start_anew()
    examine(find("F.4"), ...)
    from ddpm_course.exercises import check

    check("F.4", reference("F.4"))
    solution("F.4")
    shown = capsys.readouterr().out
    assert "def weight_is_wrong" in shown and "def fixed_min_snr_weight" in shown


# --- truth from outside -----------------------------------------------------------


def test_the_repaired_steps_are_those_of_the_package():
    x_t, x0, z = torch.randn(
        3, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    for t in (1, 2, 300, 1000):
        step = reference("F.1")[1](LINEAR.alpha_bar, x_t, x0, t, z)
        theirs = sampling.ancestral_step(LINEAR, x_t, x0, t, t - 1, z, "beta_tilde")
        torch.testing.assert_close(step, theirs)
    for t, s, eta in ((1, 0, 0.5), (300, 100, 1.0), (1000, 7, 0.3)):
        step = reference("F.9")[1](LINEAR.alpha_bar, x_t, x0, t, s, z, eta)
        theirs = sampling.ddim_step(LINEAR, x_t, x0, t, s, z, eta)
        torch.testing.assert_close(step, theirs)
        eps = (x_t - LINEAR.alpha_bar[t].sqrt() * x0) / (1 - LINEAR.alpha_bar[t]).sqrt()
        clipped = reference("F.10")[1](
            x_t, eps, LINEAR.alpha_bar[t], LINEAR.alpha_bar[s]
        )
        theirs = sampling.ddim_step(LINEAR, x_t, x0.clamp(-1, 1), t, s, z)
        torch.testing.assert_close(clipped, theirs, rtol=1e-4, atol=1e-5)


def test_the_repaired_samplers_are_that_of_the_package():
    schedule = schedules.NoiseSchedule.from_betas(schedules.linear_betas(20, 5e-3, 0.5))
    ring = GaussianMixture.ring()
    x, noise = torch.randn(1, 4, 2).double(), torch.randn(20, 4, 2).double()
    draws = iter(noise.flip(0))

    def step(schedule, x_t, x0_hat, t, s, z):
        z = next(draws) if s else z
        return sampling.ancestral_step(schedule, x_t, x0_hat, t, s, z)

    chain = sampling.reverse_process(ring.denoiser(schedule), schedule, x[0], step=step)
    *_, (_, theirs, _) = chain
    ours = reference("F.3")[1](ring.denoiser(schedule), schedule.alpha_bar, x[0], noise)
    torch.testing.assert_close(ours, theirs)
    smooth = sampling.reverse_process(
        ring.denoiser(schedule), schedule, x[0], step=sampling.ddim_step
    )
    *_, (_, theirs, _) = smooth

    def network(x, t):
        return ring.eps_mean(schedule, x, t + 1)

    ours = reference("F.8")[1](network, schedule.alpha_bar[1:], x[0])
    torch.testing.assert_close(ours, theirs)


def test_the_repaired_weight_schedule_and_average_are_known_ones():
    schedule = reference("F.2")[1](1000).double()
    torch.testing.assert_close(schedule, LINEAR.alpha_bar, rtol=1e-3, atol=1e-6)
    weight = reference("F.4")[1](LINEAR.snr[1:])
    assert weight[0] < 1e-3 and weight[-1] == 1  # clear, and nearly pure noise
    network = torch.nn.Linear(1, 1, bias=False)
    ema = torch.nn.Linear(1, 1, bias=False)
    rows = torch.randn(30, 1, generator=torch.Generator().manual_seed(0))
    ema.weight.data[:] = rows[0]
    for step, row in enumerate(rows[1:]):
        network.weight.data[:] = row
        training.update_ema(ema, network, step, 0.7)
    torch.testing.assert_close(ema.weight[0].detach(), reference("F.6")[1](rows, 0.7))


def test_the_quiet_noise_is_the_best_by_the_oracle():
    points = GaussianMixture.of_points(torch.tensor([[1.0], [-1.0]]))
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for t in (100, 300, 900):
        ours = find_the_bug.predicted_noise(x, LINEAR.alpha_bar[t])
        torch.testing.assert_close(ours, points.eps_mean(LINEAR, x, t))


def test_a_posterior_variance_is_what_the_first_program_has():
    variance = posterior.posterior_variance(LINEAR, 500)
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    wrong = find_the_bug.reverse_step(LINEAR.alpha_bar, zero, zero, 500, one)
    right = reference("F.1")[1](LINEAR.alpha_bar, zero, zero, 500, one)
    torch.testing.assert_close(wrong[0], variance)
    torch.testing.assert_close(right[0], variance.sqrt())


# --- the page ---------------------------------------------------------------------


def test_each_solution_says_where_such_a_mistake_stood():
    texts = [c.source for c in cells(PAGES["F"], "markdown")]
    solutions = [text for text in texts if "{solution-start}" in text]
    assert len(solutions) == len(ALL)
    for text in solutions:
        _, _, source = text.partition("**In the wild.**")
        assert re.search(r"`[\w-]+/[\w.-]+`", source)  # owner and name of a repository
