"""The exercises of the chapters, by kind, and what the checker says."""

from typing import Any

import pytest
import sympy as sp

from ddpm_course.equations import CHAPTERS
from ddpm_course.exercises import in_chapter, record, session
from ddpm_course.exercises.checker import Exercise, judge

ALL = [exercise for chapter in CHAPTERS for exercise in in_chapter(chapter).values()]
FUNCTIONS = [e for e in ALL if e.inputs]
SYMBOLIC = [e for e in ALL if isinstance(e.reference, sp.Expr)]

each_function = pytest.mark.parametrize("exercise", FUNCTIONS, ids=lambda e: e.number)
each_expression = pytest.mark.parametrize("exercise", SYMBOLIC, ids=lambda e: e.number)


def examine(exercise: Exercise, answer: Any, level: int = 1) -> tuple[bool, str]:
    """Whether an answer is right, and what is said at this level of help."""
    verdict = judge(exercise, answer)
    return verdict.state == "right", session.told(exercise, verdict, level)


def start_anew() -> None:
    """Forget the attempts that no file keeps."""
    session.HELP.clear()
    record._unsaved.clear()
