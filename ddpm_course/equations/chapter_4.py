"""Chapter 4, x_0 and ε: what the network predicts, and how the loss weights it."""

import sympy as sp

from ddpm_course.equations.chapter_3 import on_x0, on_x_t
from ddpm_course.equations.entry import Equation
from ddpm_course.equations.symbols import (
    abar_t,
    alpha_t,
    beta_t,
    eps,
    eps_hat,
    mu_theta,
    mu_tilde,
    score,
    sigma_t,
    snr_prev,
    snr_t,
    v,
    v_hat,
    x0_hat,
    x_0,
    x_t,
)

# a network predicts ε̂ and v̂, made from x̂_0 the way ε and v are made from x_0
_x_t = "forward.q_sample(schedule, x_0, t, eps)"
_eps_hat = f"parameterization.eps_from_x0(schedule, {_x_t}, t, x0_hat)"
_v_hat = f"parameterization.v_from_x0_eps(schedule, x0_hat, t, {_eps_hat})"


def errors(prediction: str, kind: str) -> str:
    """``squared_errors`` on a batch of numbers, with this as the network's answer."""
    return (
        f"training.squared_errors(lambda x, time: ({prediction})[:, None], schedule, "
        f"x_0[:, None], torch.full(x_0.shape, t), eps[:, None], {kind!r})"
    )


def _weight(kind: str, variance: str = "beta") -> str:
    return f"parameterization.loss_weight(schedule, t, {kind!r}, {variance!r})"


EQUATIONS = [
    Equation(
        "mean-matching",
        "L_{t-1}",
        (mu_tilde - mu_theta) ** 2 / (2 * sigma_t**2),
        f"{_weight('x0')} * (x_0 - x0_hat)**2",
        sources=("slides/reverse-13/loss", "elbo/1/loss"),
    ),
    Equation(
        "mean-x0",
        r"\mu_\theta(x_t, t)",
        on_x_t * x_t + on_x0 * x0_hat,
        "parameterization.mean_from_x0(schedule, x_t, t, x0_hat)",
        sources=(
            "elbo/3/model-mean",
            "sampling/4/model-mean",
            "sampling/algorithm/mean",
        ),
    ),
    Equation(
        "loss-x0",
        "L_{t-1}",
        on_x0**2 / (2 * sigma_t**2) * (x_0 - x0_hat) ** 2,
        f"{_weight('x0')} * (x_0 - x0_hat)**2",
        sources=("elbo/4/factored",),
    ),
    Equation(
        "loss-snr",
        "L_{t-1}",
        (snr_prev - snr_t) / 2 * (x_0 - x0_hat) ** 2,
        f"{_weight('x0', 'beta_tilde')} * (x_0 - x0_hat)**2",
        first=2,  # at t = 1 the weight is infinite
    ),
    Equation(
        "mean-eps",
        r"\mu_\theta(x_t, t)",
        (x_t - beta_t / sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(alpha_t),
        "parameterization.mean_from_eps(schedule, x_t, t, eps_hat)",
        sources=("slides/reverse-13/model-mean", "slides/reverse-14/model-mean"),
    ),
    Equation(
        "loss-eps",
        "L_{t-1}",
        beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - abar_t)) * (eps - eps_hat) ** 2,
        f"{_weight('eps')} * (eps - eps_hat)**2",
        sources=("slides/reverse-13/loss-both", "slides/reverse-14/weighted"),
    ),
    Equation(
        "eps-from-x0",
        r"\varepsilon",
        (x_t - sp.sqrt(abar_t) * x_0) / sp.sqrt(1 - abar_t),
        "parameterization.eps_from_x0(schedule, x_t, t, x_0)",
    ),
    Equation(
        "eps-error",
        r"\|\varepsilon - \varepsilon_\theta(x_t, t)\|^2",
        snr_t * (x_0 - x0_hat) ** 2,
        errors(_eps_hat, "eps"),
    ),
    Equation(
        "v",
        "v",
        sp.sqrt(abar_t) * eps - sp.sqrt(1 - abar_t) * x_0,
        "parameterization.v_from_x0_eps(schedule, x_0, t, eps)",
    ),
    Equation(
        "x0-from-v",
        "x_0",
        sp.sqrt(abar_t) * x_t - sp.sqrt(1 - abar_t) * v,
        "parameterization.x0_from_v(schedule, x_t, t, v)",
    ),
    Equation(
        "eps-from-v",
        r"\varepsilon",
        sp.sqrt(1 - abar_t) * x_t + sp.sqrt(abar_t) * v,
        "parameterization.eps_from_v(schedule, x_t, t, v)",
    ),
    Equation(
        "v-error",
        r"\|v - v_\theta(x_t, t)\|^2",
        (snr_t + 1) * (x_0 - x0_hat) ** 2,
        errors(_v_hat, "v"),
    ),
    Equation(
        "loss-v",
        "L_{t-1}",
        (1 - abar_t) * on_x0**2 / (2 * sigma_t**2) * (v - v_hat) ** 2,
        f"{_weight('v')} * (v - v_hat)**2",
    ),
    Equation(
        "score",
        r"\nabla_{x_t} \log q(x_t \mid x_0)",
        -eps / sp.sqrt(1 - abar_t),
        "parameterization.score_from_eps(schedule, t, eps)",
    ),
    Equation(
        "tweedie",
        r"\mathbb E[x_0 \mid x_t]",
        (x_t + (1 - abar_t) * score) / sp.sqrt(abar_t),
        "parameterization.x0_from_score(schedule, x_t, t, score)",
    ),
]
