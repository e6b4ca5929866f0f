"""Chapter 6, training: the loss of one draw and of a batch."""

import sympy as sp

from ddpm_course.equations.entry import Equation
from ddpm_course.equations.symbols import J_s, M, eps, eps_hat, s, x0_hat, x_0


def _errors(prediction: str, kind: str) -> str:
    """``squared_errors`` on a batch of numbers, with this as the network's answer."""
    return (
        f"training.squared_errors(lambda x, time: {prediction}[:, None], schedule, "
        f"x_0[:, None], torch.full(x_0.shape, t), eps[:, None], {kind!r})"
    )


EQUATIONS = [
    Equation(
        "sample-loss",
        r"J_\theta",
        (x0_hat - x_0) ** 2,
        _errors("x0_hat", "x0"),
        sources=("training/4/loss",),
    ),
    Equation(
        "noise-loss",
        r"L_\mathrm{simple}",
        (eps - eps_hat) ** 2,
        _errors("eps_hat", "eps"),
    ),
    Equation(
        "batch-loss",
        r"J_\theta",
        sp.Sum(J_s(s), (s, 1, M)) / M,
        # a network that always answers 0, on M points of a path: each loss is a square
        "training.simple_loss(lambda x, time: 0 * x, schedule, path[1 : M + 1], "
        "torch.arange(1, M + 1), path[1 : M + 1], 'x0')",
    ),
]
