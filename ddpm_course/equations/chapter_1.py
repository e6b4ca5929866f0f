"""Chapter 1, the forward process."""

import sympy as sp

from ddpm_course.equations.entry import Equation, Gaussian
from ddpm_course.equations.symbols import (
    T,
    abar_prev,
    abar_t,
    alpha,
    alpha_prev,
    alpha_t,
    beta_1,
    beta_T,
    beta_t,
    eps,
    offset,
    q_s,
    s,
    steepness,
    t,
    x_0,
    x_prev,
    x_prev2,
    x_t,
)

_progress = (t - 1) / (T - 1)  # 0 at the first step, 1 at the last
_cosine = sp.cos((t / T + offset) / (1 + offset) * sp.pi / 2)

EQUATIONS = [
    Equation(
        "forward-step",
        "x_t",
        sp.sqrt(1 - beta_t) * x_prev + sp.sqrt(beta_t) * eps,
        "forward.q_step(schedule, x_prev, t, eps)",
        sources=("slides/forward-2/step-sample", "slides/forward-2/step-alpha"),
    ),
    Equation(
        "forward-density",
        r"q(x_t \mid x_{t-1})",
        Gaussian(x_t, sp.sqrt(1 - beta_t) * x_prev, beta_t),
        "forward.q_step(schedule, x_prev, t, eps)",
        sources=("slides/forward-1/step", "slides/forward-2/step"),
    ),
    Equation(
        "forward-path",
        r"q(x_{1:T} \mid x_0)",
        sp.Product(q_s(s), (s, 1, T)),
        "torch.exp(trajectories.log_q_path(schedule, path))",
        sources=("slides/forward-2/path",),
    ),
    Equation(
        "alpha",
        r"\alpha_t",
        1 - beta_t,
        "schedule.alpha[t]",
        sources=("slides/forward-2/alpha", "elbo/2/alpha"),
    ),
    Equation(
        "two-steps",
        "x_t",
        sp.sqrt(alpha_t * alpha_prev) * x_prev2
        + sp.sqrt(1 - alpha_t * alpha_prev) * eps,
        # the closed form of a schedule that has only these two steps
        "forward.q_sample(two_steps, x_prev2, 2, eps)",
        sources=("slides/forward-2/two-steps",),
        first=2,  # there is no x_{-1}
    ),
    Equation(
        "alpha-bar",
        r"\bar\alpha_t",
        sp.Product(alpha(s), (s, 1, t)),
        "schedule.alpha_bar[t]",
        sources=(
            "slides/forward-2/alpha-bar",
            "slides/reverse-8/alpha-bar",
            "training/2/alpha-bar",
            "elbo/2/alpha-bar",
        ),
    ),
    Equation(
        "alpha-bar-recursion",
        r"\bar\alpha_t",
        alpha_t * abar_prev,
        "schedule.alpha_bar[t]",
        sources=("slides/reverse-11/alpha-bar", "slides/reverse-12/alpha-bar"),
    ),
    Equation(
        "closed-form",
        "x_t",
        sp.sqrt(abar_t) * x_0 + sp.sqrt(1 - abar_t) * eps,
        "forward.q_sample(schedule, x_0, t, eps)",
        sources=(
            "slides/forward-2/dots",
            "slides/forward-2/closed-form",
            "slides/reverse-10/closed-form",
            "training/2/sample",
            "training/math/1",
            "training/self-assessment/3-formula",
        ),
    ),
    Equation(
        "marginal",
        r"q(x_t \mid x_0)",
        Gaussian(x_t, sp.sqrt(abar_t) * x_0, 1 - abar_t),
        "forward.q_sample(schedule, x_0, t, eps)",
        sources=("slides/forward-2/marginal", "training/2/marginal"),
    ),
    Equation(
        "snr",
        r"\mathrm{SNR}_t",
        abar_t / (1 - abar_t),
        "schedule.snr[t]",
    ),
    Equation(
        "linear-schedule",
        r"\beta_t",
        beta_1 + _progress * (beta_T - beta_1),
        "schedules.linear_betas(T, beta_1, beta_T)[t - 1]",
        sources=("slides/forward-1/linear",),
    ),
    Equation(
        "quadratic-schedule",
        r"\beta_t",
        (sp.sqrt(beta_1) + _progress * (sp.sqrt(beta_T) - sp.sqrt(beta_1))) ** 2,
        "schedules.quadratic_betas(T, beta_1, beta_T)[t - 1]",
        sources=("slides/forward-1/schedules",),
    ),
    Equation(
        "sigmoid-schedule",
        r"\beta_t",
        beta_1 + (beta_T - beta_1) / (1 + sp.exp(-steepness * (2 * _progress - 1))),
        "schedules.sigmoid_betas(T, beta_1, beta_T, steepness)[t - 1]",
        sources=("slides/forward-1/schedules", "slides/schedulers-1/sigmoid"),
    ),
    Equation(
        "cosine-schedule",
        r"\bar\alpha_t",
        _cosine**2 / _cosine.subs(t, 0) ** 2,
        "schedules.cosine_alpha_bar(T, offset)[t]",
        sources=("slides/forward-1/schedules", "slides/schedulers-1/cosine"),
    ),
    Equation(
        "beta-from-alpha-bar",
        r"\beta_t",
        1 - abar_t / abar_prev,
        "schedules.betas_from_alpha_bar(schedule.alpha_bar)[t - 1]",
    ),
]
