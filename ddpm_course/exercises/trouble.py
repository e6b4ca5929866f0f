"""Why an answer cannot be compared."""

from typing import Any

import sympy as sp


class Trouble(Exception):
    """Why an answer cannot be compared, as a sentence.

    Args:
        sentence: What is wrong, and the remedy.
        kind: Two calls of a function that run into trouble agree if this does.
        where: The line of the answer that raised, and what it raised.
    """

    def __init__(self, sentence: str, kind: str = "", where: str = "") -> None:
        super().__init__(sentence)
        self.kind = kind or sentence
        self.where = where


def a(answer: Any) -> str:
    """What an answer is, in words."""
    if answer is None or isinstance(answer, bool):
        return str(answer)
    if isinstance(answer, sp.Expr):
        return "a SymPy expression"
    if isinstance(answer, str):
        return "text in quotes"
    name = {"ndarray": "array", "Tensor": "tensor"}.get(
        type(answer).__name__, type(answer).__name__
    )
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
