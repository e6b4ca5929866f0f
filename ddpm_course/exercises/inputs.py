"""Tensors for exercises that ask for a function: what goes in, and what comes out."""

from typing import Any

import torch
from torch import Tensor

from ddpm_course.exercises.trouble import a


def float64(*numbers: float) -> Tensor:
    """A vector of these numbers."""
    return torch.tensor(numbers, dtype=torch.float64)


def randn(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, always the same for a shape and a seed.

    They have one decimal, so that a failing case is short when it is printed.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return numbers.round(decimals=1) + 0.0  # no -0.0


def no_tensor(result: Any) -> str:
    """Why later cells can't go on with a result, or "" if it is a tensor."""
    if isinstance(result, Tensor):
        return ""
    return f"later cells need a tensor, and yours returns {a(result)}"
