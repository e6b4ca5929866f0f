"""Chapter 5, the U-Net: how it is told the time, and how it keeps its scale."""

import sympy as sp

from ddpm_course.equations.entry import Equation
from ddpm_course.equations.symbols import (
    d,
    h,
    j,
    longest,
    mean_h,
    omega_j,
    s,
    t,
    var_h,
)

EQUATIONS = [
    Equation(
        "time-embedding",
        5,
        "e_j(t)",
        sp.sin(t * longest ** (-j / (d / 2 - 1))),
        ("slides/unet/position", "training/3/embedding"),
        "unet.time_embedding(torch.tensor([t]).double(), d, longest)[:, j]",
    ),
    Equation(
        "time-similarity",
        5,
        "c_j(t, s)",
        sp.cos(omega_j * (t - s)),
        (),
        # sine and cosine of frequency j stand half the vector apart
        "torch.mul(unet.time_embedding(torch.tensor([t]).double(), d, longest), "
        "unet.time_embedding(torch.tensor([s]).double(), d, longest))"
        "[:, j :: d // 2].sum(1)",
    ),
    Equation(
        "group-norm",
        5,
        r"\mathrm{GN}(h)",
        (h - mean_h) / sp.sqrt(var_h + sp.Rational(1, 100_000)),
        ("slides/unet/groupnorm",),
        # eight channels make two groups: the first four are one
        "unet.group_norm(8).double()(group).detach()[0, :4, 0]",
    ),
]
