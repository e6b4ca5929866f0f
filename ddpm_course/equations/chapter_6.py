"""Chapter 6, training: the loss of one draw and of a batch."""

import sympy as sp

from ddpm_course.equations.chapter_4 import errors
from ddpm_course.equations.entry import Equation
from ddpm_course.equations.symbols import J_s, M, eps, eps_hat, s, x0_hat, x_0

EQUATIONS = [
    Equation(
        "sample-loss",
        r"J_\theta",
        (x0_hat - x_0) ** 2,
        errors("x0_hat", "x0"),
        sources=("training/math/2", "training/4/loss"),
    ),
    Equation(
        "noise-loss",
        r"L_\mathrm{simple}",
        (eps - eps_hat) ** 2,
        errors("eps_hat", "eps"),
        sources=("slides/training/loss", "slides/reverse-14/simple"),
    ),
    Equation(
        "batch-loss",
        r"J_\theta",
        sp.Sum(J_s(s), (s, 1, M)) / M,
        # a network that always answers 0, on M points of a path: each loss is a square
        "training.simple_loss(lambda x, time: 0 * x, schedule, path[1 : M + 1], "
        "torch.arange(1, M + 1), path[1 : M + 1], 'x0')",
        sources=("training/batch/loss", "training/math/4"),
    ),
]
