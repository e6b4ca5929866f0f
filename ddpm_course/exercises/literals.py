"""Values as Python that can be pasted."""

import textwrap
from typing import Any

import numpy as np


def literal(value: Any) -> str:
    """A number, a tuple or a tensor as you would type it."""
    if isinstance(value, float):
        text = f"{value:.6g}"
        return text if set(text) & set(".en") else f"{text}.0"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if hasattr(value, "tolist"):
        return f"torch.tensor({literal(value.tolist())})"
    return repr(value)


def assignments(names: list[str], values: tuple) -> list[str]:
    """One line for each argument, such as ``t = 3``, indented."""
    pairs = zip(names, values, strict=True)
    return [indented(f"{name} = {literal(value)}") for name, value in pairs]


def indented(line: str) -> str:
    """A line of code, indented, and continued where it is too long."""
    return textwrap.fill(
        line,
        79,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )


def size(values: tuple) -> int:
    """How many numbers these are."""
    return sum(int(np.prod(getattr(value, "shape", ()))) for value in values)
