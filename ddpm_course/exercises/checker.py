"""What an exercise is, and how an answer is judged.

Only what an answer evaluates to counts (see ``values``), not its form. It is right if
it evaluates to the same as the reference, and a known mistake if it evaluates to the
same as that mistake.
"""

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import Any

from ddpm_course.exercises import diagnosis
from ddpm_course.exercises.time_limit import TimeUp, within
from ddpm_course.exercises.trouble import Trouble
from ddpm_course.exercises.values import Values, agree, evaluate, ours, scale_of


@dataclass(frozen=True)
class Mistake:
    """A common wrong answer, and a hint that helps."""

    answer: Any
    hint: str


@dataclass(frozen=True)
class Exercise:
    """An exercise: an answer is compared with the reference, then with the mistakes.

    Args:
        number: Such as "1.2".
        title: As in the chapter.
        difficulty: "easy", "medium" or "hard".
        minutes: About how long it takes.
        reference: A SymPy expression, a number, an array or a plain function, whose
            source ``solution`` prints.
        meaning: What a right answer says, printed with it.
        hint: The first hint for a wrong answer that is no known mistake.
        mistakes: The known mistakes, by name.
        inputs: If the reference is a function: tuples of arguments to run it on, the
            smallest first. They are printed, so keep their numbers short.
        trial: Called as ``trial(answer, *inputs)`` to run an answer that is not simply
            called on the inputs: a class, or a function that changes a network.
        unfit: Says why later cells can't go on with a right answer, or "".
        judged: Called as ``judged(answer)`` if the answer has parts to be judged one by
            one (see ``hunt``).
    """

    number: str
    title: str
    difficulty: str
    minutes: int
    reference: Any
    meaning: str
    hint: str
    mistakes: dict[str, Mistake]
    inputs: tuple[tuple, ...] = ()
    trial: Callable | None = None
    unfit: Callable[[Any], str] = lambda answer: ""
    judged: Callable[[Any], "Verdict"] | None = None

    @cached_property
    def truth(self) -> list[Values]:
        """What the reference evaluates to, in each trial or at each point."""
        return ours(self.reference, self.reference, self.inputs)

    @cached_property
    def errors(self) -> list[tuple[str, list]]:
        """The hint of each mistake, and what the mistake evaluates to."""
        return [
            (mistake.hint, ours(self.reference, mistake.answer, self.inputs))
            for mistake in self.mistakes.values()
        ]

    @cached_property
    def plain(self) -> "Exercise":
        """The same exercise, about functions of the inputs alone."""
        mistakes = {
            name: Mistake(self.on_inputs(mistake.answer), mistake.hint)
            for name, mistake in self.mistakes.items()
        }
        reference = self.on_inputs(self.reference)
        return replace(self, reference=reference, mistakes=mistakes, trial=None)

    def on_inputs(self, answer: Any) -> Any:
        """The answer as a function of the inputs alone, if it is to be tried."""
        if not self.trial or not callable(answer):
            return answer
        trial = self.trial

        def tried(*inputs: Any) -> Any:
            return trial(answer, *inputs)

        _, *others = inspect.signature(trial).parameters.values()
        tried.__signature__ = inspect.Signature(others)  # type: ignore[attr-defined]
        return tried


@dataclass(frozen=True)
class Verdict:
    """What the checker thinks of an answer.

    Args:
        state: "right", "open" (not attempted yet), "known" (a mistake that has a name)
            or "unknown" (any other wrong answer).
        say: The text for a level of help: 1 a nudge, 2 something specific, 3 the
            smallest failing case. Only what is unknown has more than one text.
        values: What an unknown answer evaluates to: the same answer, run again, has
            the same.
        unfit: Why later cells can't go on with a right answer, or "".
    """

    state: str
    say: Callable[[int], str] = lambda level: ""
    values: Hashable = None
    unfit: str = ""

    @property
    def wrong(self) -> bool:
        """Whether this was an attempt, and not right."""
        return self.state in ("known", "unknown")


def judge(exercise: Exercise, answer: Any, seconds: float = 20.0) -> Verdict:
    """Judge an answer. Never raises.

    Args:
        exercise: The exercise.
        answer: Anything.
        seconds: The time limit. A single long call of a library written in C can't be
            stopped, and ends late.

    Returns:
        The verdict.
    """
    if not isinstance(seconds, Real) or not seconds > 0:
        sentence = "not judged: seconds must be a number above 0, such as 20."
        return Verdict("open", lambda level: sentence)
    limit = float(min(seconds, 10**9))
    try:
        return within(limit, lambda: weigh(exercise, answer))
    except TimeUp:
        return named(
            f"your answer takes longer than {limit:g} seconds, so it was stopped. "
            "Is there a loop that never ends, or an expression that never simplifies?"
        )


def weigh(exercise: Exercise, answer: Any) -> Verdict:
    """Judge an answer without a time limit. Raises nothing but TimeUp."""
    try:
        verdict = _compared(exercise, answer)
    except Trouble as trouble:
        return named(str(trouble))
    except Exception as error:  # whatever an answer does, the student gets a sentence
        return named(
            f"your answer cannot be read ({type(error).__name__}, from a "
            f"{type(answer).__name__})."
        )
    if verdict.state == "right":
        return replace(verdict, unfit=_unfit(exercise, answer))
    return verdict


def named(sentence: str) -> Verdict:
    """The verdict on a mistake that has a name."""
    sentence = _capital(sentence)
    return Verdict("known", lambda level: sentence)


def _unfit(exercise: Exercise, answer: Any) -> str:
    """Why later cells can't go on with a right answer, or ""."""
    try:
        return exercise.unfit(answer)
    except TimeUp:
        return "yours takes too long there"
    except (Exception, SystemExit) as error:
        return f"there yours raises {type(error).__name__}"


def _compared(exercise: Exercise, answer: Any) -> Verdict:
    if exercise.judged:
        return exercise.judged(answer)
    if exercise.trial:
        answer, exercise = exercise.on_inputs(answer), exercise.plain
    got: list = [...]
    if answer is not ...:
        got = [*evaluate(exercise.reference, answer, exercise.inputs)]
    if any(one is ... for one in got):
        return Verdict(
            "open",
            lambda level: (
                "not attempted yet. Put your answer in the place of the three dots, "
                "run that cell, then this one."
            ),
        )
    want, scale = exercise.truth, scale_of(exercise.truth)

    def same(values: list) -> bool:
        return all(agree(g, v, scale) for g, v in zip(got, values, strict=True))

    if same(want):
        return Verdict("right", lambda level: f"correct. {exercise.meaning}")
    for hint, values in exercise.errors:
        if same(values):
            raised = [g.where for g in got if isinstance(g, Trouble) and g.where]
            return named("\n".join([hint, *raised[:1]]))
    case = diagnosis.Case(exercise, answer, got, want, scale)
    if sentence := diagnosis.form(case):
        return named(sentence)
    bits = tuple(one.array.tobytes() for one in got)
    return Verdict("unknown", lambda level: _capital(_help(case, level)), bits)


def _help(case: diagnosis.Case, level: int) -> str:
    """The help of a level, or the exercise's hint where there is none."""
    try:
        return case.say(level)
    except Exception:  # whatever an answer holds, the student gets a sentence
        return case.exercise.hint


def _capital(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}"
