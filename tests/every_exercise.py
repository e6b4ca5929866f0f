"""The exercises of the chapters, and those that ask for functions or expressions."""

import pytest
import sympy as sp

from ddpm_course.exercises import CHAPTERS, in_chapter

ALL = [exercise for chapter in CHAPTERS for exercise in in_chapter(chapter).values()]
FUNCTIONS = [e for e in ALL if e.inputs]
SYMBOLIC = [e for e in ALL if isinstance(e.reference, sp.Expr)]

each_function = pytest.mark.parametrize("exercise", FUNCTIONS, ids=lambda e: e.number)
each_expression = pytest.mark.parametrize("exercise", SYMBOLIC, ids=lambda e: e.number)
