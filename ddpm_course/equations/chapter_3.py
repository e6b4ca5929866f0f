"""Chapter 3, the posterior q(x_{t-1} | x_t, x_0)."""

import sympy as sp

from ddpm_course.equations.entry import Equation, Gaussian
from ddpm_course.equations.symbols import (
    abar_prev,
    abar_t,
    alpha_t,
    beta_t,
    eps,
    x_0,
    x_prev,
    x_t,
)

# completing the square in x_{t-1}: precision x_{t-1}² - 2 linear x_{t-1} + …
_precision = alpha_t / beta_t + 1 / (1 - abar_prev)
_linear = sp.sqrt(alpha_t) / beta_t * x_t + sp.sqrt(abar_prev) / (1 - abar_prev) * x_0

# the coefficients of the posterior mean
on_x_t = sp.sqrt(alpha_t) * (1 - abar_prev) / (1 - abar_t)
on_x0 = sp.sqrt(abar_prev) * beta_t / (1 - abar_t)

_mean = on_x_t * x_t + on_x0 * x_0
_variance = (1 - abar_prev) / (1 - abar_t) * beta_t

EQUATIONS = [
    Equation(
        "posterior-variance-precision",
        r"\tilde\beta_t",
        1 / _precision,
        "posterior.posterior_variance(schedule, t)",
        sources=("slides/reverse-8/beta-tilde",),
        first=2,  # at t = 1 the precision of x_0 is infinite
    ),
    Equation(
        "posterior-variance",
        r"\tilde\beta_t",
        _variance,
        "posterior.posterior_variance(schedule, t)",
        sources=("slides/reverse-1/beta-tilde", "slides/reverse-8/beta-tilde-result"),
    ),
    Equation(
        "posterior-mean-precision",
        r"\tilde\mu_t(x_t, x_0)",
        _linear / _precision,
        "posterior.posterior_mean(schedule, x_0, x_t, t)",
        sources=("slides/reverse-9/mean-1", "slides/reverse-9/mean-2"),
        first=2,
    ),
    Equation(
        "posterior-mean",
        r"\tilde\mu_t(x_t, x_0)",
        _mean,
        "posterior.posterior_mean(schedule, x_0, x_t, t)",
        sources=(
            "slides/reverse-9/mean",
            "slides/reverse-10/mean",
            "elbo/2/mean",
            "sampling/4/mean",
        ),
    ),
    Equation(
        "posterior",
        r"q(x_{t-1} \mid x_t, x_0)",
        Gaussian(x_prev, _mean, _variance),
        (
            "posterior.posterior_mean(schedule, x_0, x_t, t)",
            "posterior.posterior_variance(schedule, t)",
        ),
        sources=("slides/reverse-7/q-gaussian",),
    ),
    Equation(
        "x0-from-eps",
        "x_0",
        (x_t - sp.sqrt(1 - abar_t) * eps) / sp.sqrt(abar_t),
        "parameterization.x0_from_eps(schedule, x_t, t, eps)",
        sources=("slides/reverse-10/x0",),
    ),
    Equation(
        "coefficient-A",
        "A",
        1 / sp.sqrt(alpha_t),
        # the mean when ε = 0, where x_0 = x_t / √ᾱ_t
        "posterior.posterior_mean(schedule, x_t / schedule.alpha_bar[t]**0.5, x_t, t)"
        " / x_t",
        sources=(
            "slides/reverse-11/A",
            "slides/reverse-11/A-2",
            "slides/reverse-11/A-3",
            "slides/reverse-11/A-4",
            "slides/reverse-11/A-5",
            "slides/reverse-11/A-6",
            "slides/reverse-12/A",
        ),
    ),
    Equation(
        "coefficient-B",
        "B",
        beta_t / (sp.sqrt(alpha_t) * sp.sqrt(1 - abar_t)),
        "-parameterization.mean_from_eps(schedule, 0 * x_t, t, eps) / eps",
        sources=(
            "slides/reverse-12/B",
            "slides/reverse-12/B-2",
            "slides/reverse-12/B-3",
            "slides/reverse-12/B-4",
            "slides/reverse-12/B-5",
            "slides/reverse-12/B-result",
        ),
    ),
    Equation(
        "posterior-mean-eps",
        r"\tilde\mu_t(x_t, x_0)",
        (x_t - beta_t / sp.sqrt(1 - abar_t) * eps) / sp.sqrt(alpha_t),
        "parameterization.mean_from_eps(schedule, x_t, t, eps)",
        sources=(
            "slides/reverse-10/substituted",
            "slides/reverse-10/collected",
            "slides/reverse-12/mean-split",
            "slides/reverse-12/mean-eps",
        ),
    ),
]
