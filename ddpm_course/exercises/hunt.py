"""Exercises with two answers: an experiment that exposes a bug, and a repair.

An experiment takes a program, runs it, and returns True if it has the bug. It is tried
on suspects, some guilty and some not, and is right if it is right about all of them.
The repair is compared with a reference, like any other function.
"""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ddpm_course.exercises.chance import seeded, states
from ddpm_course.exercises.checker import Exercise, Mistake, Verdict, named, weigh
from ddpm_course.exercises.trouble import Trouble, a
from ddpm_course.exercises.values import raised


@dataclass(frozen=True)
class Suspect:
    """A program, whether it has the bug, and what it is in words."""

    program: Callable
    guilty: bool
    what: str


PAGE = "the program on the page"
EXAMPLE = "the program in the example"


def lineup(
    page: Callable, repaired: Callable, example: Callable, *others: Suspect
) -> list[Suspect]:
    """The suspects of a hunt, if the program on the page has the bug.

    Args:
        page: The program on the page.
        repaired: The repaired one.
        example: The program in the example of the stub.
        others: More suspects.
    """
    return [
        Suspect(page, True, PAGE),
        Suspect(repaired, False, "the repaired program"),
        Suspect(example, True, EXAMPLE),
        *others,
    ]


@dataclass(frozen=True)
class Experiment:
    """The first part of an exercise.

    Args:
        reference: A right experiment.
        suspects: The programs that an experiment is tried on; the page's comes first.
        blind: The hint for an experiment that never says True.
        mistakes: Known wrong experiments, each with other verdicts than the others.
    """

    reference: Callable
    suspects: Sequence[Suspect]
    blind: str
    mistakes: dict[str, Mistake]

    @property
    def errors(self) -> dict[str, Mistake]:
        """The known wrong experiments, with the two that every exercise has."""
        never = Mistake(lambda program: False, f"It never says True. {self.blind}")
        always = Mistake(
            lambda program: True,
            "It says True whatever it is given. Try it on a program that is right.",
        )
        return {"never": never, "always": always} | self.mistakes

    @cached_property
    def verdicts(self) -> list[tuple[str, list]]:
        """The hint of each known mistake, and what that says of each suspect."""
        return [
            (mistake.hint, [says(mistake.answer, suspect) for suspect in self.suspects])
            for mistake in self.errors.values()
        ]

    def judge(self, answer: Any) -> Verdict:
        """Try an experiment on the suspects."""
        try:
            said = [steadily(answer, suspect) for suspect in self.suspects]
        except Trouble as trouble:
            return named(str(trouble))
        if any(one is ... for one in said):
            return Verdict("open")
        off = [
            suspect
            for suspect, one in zip(self.suspects, said, strict=True)
            if one != suspect.guilty
        ]
        if not off:
            return Verdict("right")
        for hint, verdicts in self.verdicts:
            if said == verdicts:
                return named(hint)
        return Verdict("unknown", lambda level: _about(off[0], level), (*said,))


def steadily(experiment: Any, suspect: Suspect) -> Any:
    """What it says with every seed. Raises Trouble if that depends on the seed."""
    said, drew = _asked(experiment, suspect, seed=0)
    if drew and any(_asked(experiment, suspect, n)[0] != said for n in range(1, 6)):
        raise Trouble(
            f"it depends on chance: asked about {suspect.what}, it says True with one "
            "seed and False with another. Ask for something that holds whatever is "
            "drawn, or draw more and widen the tolerance."
        )
    return said


def says(experiment: Any, suspect: Suspect) -> Any:
    """What an experiment says of a program: True, False or ``...``. Raises Trouble."""
    return _asked(experiment, suspect, seed=0)[0]


def _asked(experiment: Any, suspect: Suspect, seed: int) -> tuple[Any, bool]:
    """What it says with this seed, and whether anything was drawn."""
    if not callable(experiment):
        raise Trouble(
            f"it is {a(experiment)}: give the function itself, its name without "
            "parentheses."
        )
    try:
        with seeded(seed):
            before = states()
            answer = experiment(suspect.program)
            drew = states() != before
    except (Exception, SystemExit) as error:
        raise Trouble(f"with {suspect.what}, {raised(error, 'it')}") from None
    if isinstance(answer, torch.Tensor | np.ndarray) and answer.shape in ((), (1,)):
        answer = answer.item()
    if answer is None:
        raise Trouble("it returns None: a return is missing.")
    if answer is not ... and not isinstance(answer, bool | np.bool_):
        raise Trouble(f"it returns {a(answer)}: expected True or False.")
    return (answer if answer is ... else bool(answer)), drew


def _about(suspect: Suspect, level: int) -> str:
    """What is said about a suspect whose verdict is wrong."""
    guilty = suspect.guilty
    act, truth = ("clears", "has the bug") if guilty else ("accuses", "is right")
    if level == 1:
        return f"It {act} a program that {truth}."
    sentence = f"It {act} {suspect.what}, which {truth}"
    if level == 2:
        return f"{sentence}."
    source = textwrap.dedent(inspect.getsource(suspect.program))
    return f"{sentence}:\n{textwrap.indent(source, '    ')}"


# --- both parts -------------------------------------------------------------------


def hunt(
    number: str,
    title: str,
    difficulty: str,
    minutes: int,
    experiment: Experiment,
    repair: Callable,
    meaning: str,
    hint: str,
    mistakes: dict[str, Mistake],
    inputs: tuple[tuple, ...],
    trial: Callable | None = None,
) -> Exercise:
    """An exercise whose answer is a pair: an experiment and a repair.

    Args:
        number, title, difficulty, minutes, meaning: As in ``Exercise``.
        experiment: The first part.
        repair: The repaired program.
        hint, mistakes, inputs, trial: As in ``Exercise``, of the repair.
    """
    head = (number, title, difficulty, minutes)
    mend = Exercise(*head, repair, meaning, hint, mistakes, inputs, trial)

    def judged(answer: Any) -> Verdict:
        if answer is ...:
            answer = (..., ...)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise Trouble(
                f"your answer is {a(answer)}: expected two functions in parentheses, "
                "the experiment and the repaired program."
            )
        first, second = answer
        found = Verdict("open") if first is ... else experiment.judge(first)
        return _both(found, weigh(mend, second))

    pairs = {
        f"experiment: {name}": Mistake(
            (mistake.answer, repair), _sentence("known", mistake.hint, "right", "")
        )
        for name, mistake in experiment.errors.items()
    } | {
        f"repair: {name}": Mistake(
            (experiment.reference, mistake.answer),
            _sentence("right", "", "known", mistake.hint),
        )
        for name, mistake in mistakes.items()
    }
    reference = (experiment.reference, repair)
    return Exercise(*head, reference, meaning, hint, pairs, judged=judged)


def _both(experiment: Verdict, repair: Verdict) -> Verdict:
    """One verdict on both parts."""
    states = {experiment.state, repair.state}
    if states in ({"right"}, {"open"}):
        return repair
    if not experiment.wrong and not repair.wrong:
        done = (
            "Your experiment is right about every program it was tried on. Now repair "
            "the one on the page."
            if repair.state == "open"
            else "Your repair is right. Now write an experiment that finds the bug."
        )
        return Verdict("open", lambda level: f"half done. {done}")

    def say(level: int) -> str:
        found, mend = experiment.say(level), repair.say(level)
        return _sentence(experiment.state, found, repair.state, mend)

    state = "unknown" if "unknown" in states else "known"
    return Verdict(state, say, (experiment.values, repair.values))


def _sentence(experiment: str, found: str, repair: str, mend: str) -> str:
    """What is said of both parts; one at least is wrong."""
    wrong = ("known", "unknown")
    if experiment in wrong and repair in wrong:
        return f"Your experiment: {found}\nYour repair: {mend}"
    if experiment in wrong:
        other = "is right" if repair == "right" else "is still missing"
        return f"Your repair {other}; look at your experiment. {found}"
    other = "is right" if experiment == "right" else "is still missing"
    return f"Your experiment {other}; look at your repair. {mend}"
