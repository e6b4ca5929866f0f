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
        1,
        "x_t",
        sp.sqrt(1 - beta_t) * x_prev + sp.sqrt(beta_t) * eps,
        ("slides/forward-2/step-sample",),
        "forward.q_step(schedule, x_prev, t, eps)",
    ),
    Equation(
        "forward-density",
        1,
        r"q(x_t \mid x_{t-1})",
        Gaussian(x_t, sp.sqrt(1 - beta_t) * x_prev, beta_t),
        ("slides/forward-1/step", "slides/forward-2/step"),
        "forward.q_step(schedule, x_prev, t, eps)",
    ),
    Equation(
        "forward-path",
        1,
        r"q(x_{1:T} \mid x_0)",
        sp.Product(q_s(s), (s, 1, T)),
        ("slides/forward-2/path",),
        "torch.exp(trajectories.log_q_path(schedule, path))",
    ),
    Equation(
        "alpha",
        1,
        r"\alpha_t",
        1 - beta_t,
        ("slides/forward-2/alpha", "elbo/2/alpha"),
        "schedule.alpha[t]",
    ),
    Equation(
        "two-steps",
        1,
        "x_t",
        sp.sqrt(alpha_t * alpha_prev) * x_prev2
        + sp.sqrt(1 - alpha_t * alpha_prev) * eps,
        ("slides/forward-2/two-steps",),
        # two steps at once are the closed form of a schedule of two steps
        "forward.q_sample(two_steps, x_prev2, 2, eps)",
    ),
    Equation(
        "alpha-bar",
        1,
        r"\bar\alpha_t",
        sp.Product(alpha(s), (s, 1, t)),
        (
            "slides/forward-2/alpha-bar",
            "slides/reverse-8/alpha-bar",
            "training/2/alpha-bar",
            "elbo/2/alpha-bar",
        ),
        "schedule.alpha_bar[t]",
    ),
    Equation(
        "alpha-bar-recursion",
        1,
        r"\bar\alpha_t",
        alpha_t * abar_prev,
        ("slides/reverse-11/alpha-bar", "slides/reverse-12/alpha-bar"),
        "schedule.alpha_bar[t]",
    ),
    Equation(
        "closed-form",
        1,
        "x_t",
        sp.sqrt(abar_t) * x_0 + sp.sqrt(1 - abar_t) * eps,
        ("slides/forward-2/closed-form", "training/2/sample", "training/math/1"),
        "forward.q_sample(schedule, x_0, t, eps)",
    ),
    Equation(
        "marginal",
        1,
        r"q(x_t \mid x_0)",
        Gaussian(x_t, sp.sqrt(abar_t) * x_0, 1 - abar_t),
        ("slides/forward-2/marginal", "training/2/marginal"),
        "forward.q_sample(schedule, x_0, t, eps)",
    ),
    Equation(
        "snr",
        1,
        r"\mathrm{SNR}_t",
        abar_t / (1 - abar_t),
        (),
        "schedule.snr[t]",
    ),
    Equation(
        "linear-schedule",
        1,
        r"\beta_t",
        beta_1 + _progress * (beta_T - beta_1),
        ("slides/forward-1/linear",),
        "schedules.linear_betas(T, beta_1, beta_T)[t - 1]",
    ),
    Equation(
        "quadratic-schedule",
        1,
        r"\beta_t",
        (sp.sqrt(beta_1) + _progress * (sp.sqrt(beta_T) - sp.sqrt(beta_1))) ** 2,
        ("slides/forward-1/schedules",),
        "schedules.quadratic_betas(T, beta_1, beta_T)[t - 1]",
    ),
    Equation(
        "sigmoid-schedule",
        1,
        r"\beta_t",
        beta_1 + (beta_T - beta_1) / (1 + sp.exp(-steepness * (2 * _progress - 1))),
        ("slides/forward-1/schedules", "slides/schedulers-1/sigmoid"),
        "schedules.sigmoid_betas(T, beta_1, beta_T, steepness)[t - 1]",
    ),
    Equation(
        "cosine-schedule",
        1,
        r"\bar\alpha_t",
        _cosine**2 / _cosine.subs(t, 0) ** 2,
        ("slides/forward-1/schedules", "slides/schedulers-1/cosine"),
        "schedules.cosine_alpha_bar(T, offset)[t]",
    ),
    Equation(
        "beta-from-alpha-bar",
        1,
        r"\beta_t",
        1 - abar_t / abar_prev,
        (),
        "schedules.betas_from_alpha_bar(schedule.alpha_bar)[t - 1]",
    ),
]
