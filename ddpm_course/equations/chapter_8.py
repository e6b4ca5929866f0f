"""Chapter 8, fewer steps: the probability flow, and rules that follow it."""

import sympy as sp

from ddpm_course.equations.entry import Equation, Gaussian
from ddpm_course.equations.symbols import (
    abar_1,
    abar_s,
    abar_T,
    abar_t,
    beta_t,
    div_x0,
    eps,
    eps_hat,
    eta,
    lambda_r,
    lambda_s,
    lambda_t,
    score,
    sigma_s,
    snr_t,
    tau_t,
    var_x0,
    w_s,
    w_t,
    x0_hat,
    x0_hat_r,
    x0_hat_s,
    x_0,
    x_s,
    x_t,
    ydot,
)

_old = sp.sqrt(1 - abar_s - sigma_s**2) / sp.sqrt(1 - abar_t)
_both = sp.sqrt(abar_t) + sp.sqrt(1 - abar_t)


def _ddim(x_t: str, x_0: str, z: str) -> str:
    return f"sampling.ddim_step(schedule, {x_t}, {x_0}, t, s, {z}, eta=eta)"


def _diffused(x_0: str, eps: str) -> str:
    return f"forward.q_sample(schedule, {x_0}, t, {eps})"


def _velocity(eps: str) -> str:
    x_0 = f"parameterization.x0_from_eps(schedule, x_t, t, {eps})"
    return f"flows.flow_velocity(schedule, x_t, t, {x_0})"


def _number(call: str) -> str:
    return f"torch.tensor({call}, dtype=torch.float64)"


#: Two points as data, and their exact denoiser.
_points = "oracle.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.0)"
_guess = f"{_points}.denoiser(schedule)"


EQUATIONS = [
    Equation(
        "ddim-family",
        r"q_\eta(x_s \mid x_t, x_0)",
        Gaussian(
            x_s,
            sp.sqrt(abar_s) * x_0 + _old * (x_t - sp.sqrt(abar_t) * x_0),
            sigma_s**2,
        ),
        (
            _ddim("x_t", "x_0", "0 * z"),
            _ddim("0 * x_t", "0 * x_0", "1 + 0 * z") + "**2",
        ),
    ),
    Equation(
        "ddim-marginal",
        r"q_\eta(x_s \mid x_0)",
        Gaussian(x_s, sp.sqrt(abar_s) * x_0, 1 - abar_s),
        (
            _ddim(_diffused("x_0", "0 * eps"), "x_0", "0 * z"),
            _ddim(_diffused("0 * x_0", "1 + 0 * eps"), "0 * x_0", "0 * z")
            + "**2 + "
            + _ddim("0 * x_t", "0 * x_0", "1 + 0 * z")
            + "**2",
        ),
    ),
    Equation(
        "reverse-drift",
        r"f_\eta(x_t, t)",
        beta_t / 2 * (x_t + (1 + eta**2) * score),
        "flows.reverse_drift(schedule, x_t, t, score, eta)",
    ),
    Equation(
        "u",
        "u_t",
        x_t / sp.sqrt(1 - abar_t),
        "parameterization.eps_from_x0(schedule, x_t, t, 0 * x_t)",
    ),
    Equation(
        "w",
        "w_t",
        sp.sqrt(abar_t) / sp.sqrt(1 - abar_t),
        f"torch.exp({_number('solvers.log_snr(schedule, t)')} / 2)",
    ),
    Equation(
        "flow-u",
        r"\frac{du}{dw}",
        x0_hat,
        # the difference quotient of a step is the derivative, however long the step
        "(flows.flow_step(schedule, x_t, x0_hat, t, s) / (1 - abar_s)**0.5"
        " - x_t / (1 - abar_t)**0.5) / (w_s - w_t)",
        first=2,  # the step from 1 to 0 has no end in u
    ),
    Equation(
        "flow-time",
        r"\tau_t",
        sp.sqrt(1 - abar_t) / _both,
        _number("sum(flows.straight(schedule, x_t, t)[1:])"),
    ),
    Equation(
        "straight-line",
        "y_t",
        (1 - tau_t) * x_0 + tau_t * eps,
        f"flows.straight(schedule, {_diffused('x_0', 'eps')}, t)[0]",
    ),
    Equation(
        "flow-target",
        r"\dot y",
        eps - x_0,
        f"flows.flow_velocity(schedule, {_diffused('x_0', 'eps')}, t, x_0)",
    ),
    Equation(
        "flow-velocity",
        r"\frac{dy}{d\tau}",
        eps_hat - x0_hat,
        f"flows.flow_velocity(schedule, {_diffused('x0_hat', 'eps_hat')}, t, x0_hat)",
    ),
    Equation(
        "x0-from-flow",
        "x_0",
        (x_t - sp.sqrt(1 - abar_t) * ydot) / _both,
        "flows.x0_from_flow(schedule, x_t, t, ydot)",
    ),
    Equation(
        "flow-error",
        r"\|\dot y - \dot y_\theta(x_t, t)\|^2",
        (1 + 1 / sp.sqrt(snr_t)) ** 2 * (eps - eps_hat) ** 2,
        f"({_velocity('eps')} - {_velocity('eps_hat')})**2",
    ),
    Equation(
        "heun",
        "x_s",
        sp.sqrt(1 - abar_s)
        * (x_t / sp.sqrt(1 - abar_t) + (w_s - w_t) * (x0_hat + x0_hat_s) / 2),
        "solvers.heun_step(lambda x, time: x0_hat_s, schedule, x_t, x0_hat, t, s, z)",
        first=2,
    ),
    Equation(
        "log-snr",
        r"\lambda_t",
        sp.log(abar_t) - sp.log(1 - abar_t),
        _number("solvers.log_snr(schedule, t)"),
    ),
    Equation(
        "multistep",
        r"\hat x_{t \to s}",
        x0_hat
        + (lambda_s - lambda_t) / (2 * (lambda_t - lambda_r)) * (x0_hat - x0_hat_r),
        "solvers.extrapolate(x0_hat_r, x0_hat, lambda_r, lambda_t, lambda_s)",
        first=2,
    ),
    Equation(
        "zero-terminal-snr",
        r"\sqrt{\bar\alpha_t'}",
        (sp.sqrt(abar_t) - sp.sqrt(abar_T))
        * sp.sqrt(abar_1)
        / (sp.sqrt(abar_1) - sp.sqrt(abar_T)),
        "torch.cumprod(1 - schedules.zero_terminal_snr_betas(schedule.beta[1:]), 0)"
        "[t - 1].sqrt()",
    ),
    Equation(
        "flow-likelihood",
        r"\frac{d \log p}{d \lambda}",
        -sp.sqrt(abar_t) / 2 * div_x0,
        "-flows.expansion(lambda x, time: div_x0 * x, schedule, x_t[:, None], t) / 2",
    ),
    Equation(
        "tweedie-variance",
        r"\frac{\partial}{\partial x_t}\, \mathbb E[x_0 \mid x_t]",
        sp.sqrt(abar_t) / (1 - abar_t) * var_x0,
        f"flows.expansion({_guess}, schedule, x_t[:, None], t) / abar_t**0.5",
    ),
]
