"""Chapter 5, the U-Net: how it learns the time, and how it keeps its scale."""

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
        "e_j(t)",
        sp.sin(t * longest ** (-j / (d / 2 - 1))),
        "unet.time_embedding(torch.tensor([t]).double(), d, longest)[:, j]",
        sources=("slides/unet/position", "training/3/embedding"),
    ),
    Equation(
        "time-similarity",
        "c_j(t, s)",
        sp.cos(omega_j * (t - s)),
        # the sine and cosine of frequency j are half a vector apart
        "torch.mul(unet.time_embedding(torch.tensor([t]).double(), d, longest), "
        "unet.time_embedding(torch.tensor([s]).double(), d, longest))"
        "[:, j :: d // 2].sum(1)",
    ),
    Equation(
        "group-norm",
        r"\mathrm{GN}(h)",
        (h - mean_h) / sp.sqrt(var_h + sp.Rational(1, 100_000)),
        # eight channels make two groups; this is the first
        "unet.group_norm(8).double()(group).detach()[0, :4, 0]",
        sources=("slides/unet/groupnorm",),
    ),
]
