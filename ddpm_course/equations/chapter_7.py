"""Chapter 7, sampling: reverse steps of any length."""

import sympy as sp

from ddpm_course.equations.chapter_3 import on_x0, on_x_t
from ddpm_course.equations.entry import Equation, Gaussian
from ddpm_course.equations.symbols import (
    abar_s,
    abar_t,
    alpha_t,
    beta_t,
    eps_hat,
    eta,
    mu_theta,
    sigma_s,
    sigma_t,
    x0_hat,
    x_0,
    x_s,
    x_t,
    z,
)

# together, the steps from s to t are one step with α = ᾱ_t / ᾱ_s
_alpha = abar_t / abar_s
_skip_mean = (
    sp.sqrt(_alpha) * (1 - abar_s) / (1 - abar_t) * x_t
    + sp.sqrt(abar_s) * (1 - _alpha) / (1 - abar_t) * x_0
)
_skip_variance = (1 - abar_s) / (1 - abar_t) * (1 - _alpha)

_eps_hat = (x_t - sp.sqrt(abar_t) * x0_hat) / sp.sqrt(1 - abar_t)


def _step(name: str, x0_hat: str, s: str, option: str = "") -> str:
    return f"sampling.{name}(schedule, x_t, {x0_hat}, t, {s}, z{option})"


EQUATIONS = [
    Equation(
        "reverse-draw",
        "x_{t-1}",
        mu_theta + sigma_t * z,
        _step("ancestral_step", "x0_hat", "t - 1"),
        sources=("sampling/algorithm/step", "sampling/3/step"),
    ),
    Equation(
        "ancestral-step",
        "x_{t-1}",
        (x_t - beta_t / sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
        _step(
            "ancestral_step",
            "parameterization.x0_from_eps(schedule, x_t, t, eps_hat)",
            "t - 1",
        ),
        sources=(
            "slides/reverse-15/step",
            "slides/sampling/algorithm-step",
            "slides/sampling/step",
        ),
    ),
    Equation(
        "ancestral-step-x0",
        "x_{t-1}",
        on_x_t * x_t + on_x0 * x0_hat + sigma_t * z,
        _step("ancestral_step", "x0_hat", "t - 1"),
    ),
    Equation(
        "posterior-skip",
        r"q(x_s \mid x_t, x_0)",
        Gaussian(x_s, _skip_mean, _skip_variance),
        (
            "posterior.posterior_mean(schedule, x_0, x_t, t, s)",
            "posterior.posterior_variance(schedule, t, s)",
        ),
    ),
    Equation(
        "ddim-step",
        "x_s",
        sp.sqrt(abar_s) * x0_hat
        + sp.sqrt(1 - abar_s - sigma_s**2) * _eps_hat
        + sigma_s * z,
        _step("ddim_step", "x0_hat", "s", ", eta=eta"),
    ),
    Equation(
        "ddim-sigma",
        r"\sigma_s^2",
        eta**2 * _skip_variance,
        "eta**2 * posterior.posterior_variance(schedule, t, s)",
    ),
]
