"""Chapter 9, conditions and guidance: what a label adds, and what guidance draws."""

import sympy as sp

from ddpm_course.equations.entry import Equation
from ddpm_course.equations.symbols import (
    abar_t,
    eps_hat,
    eps_hat_y,
    eps_told,
    power_pull,
    pull,
    scale,
    score,
    score_y,
    var_all,
    var_rho,
    var_x0,
    var_y,
    x0_hat,
    x0_hat_y,
    x0_mean,
    x0_told,
    y,
)

_all_t = abar_t * var_all + 1 - abar_t
_y_t = abar_t * var_y + 1 - abar_t

#: Two points as data, all of it and that with a label, and a Gaussian with a variance.
_points = "oracle.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.0)"
_labeled = "oracle.GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], 0.0)"


def _gaussian(variance: str) -> str:
    return f"oracle.GaussianMixture([1.0], [[0.0]], ({variance})**0.5)"


def _always(value: str) -> str:
    return f"lambda x, time: {value}"


def _at(score: str) -> str:
    """A denoiser with this score."""
    return _always(f"parameterization.x0_from_score(schedule, x, time, {score})")


def _with_noise(eps: str) -> str:
    """A denoiser with this guess of the noise."""
    return _always(f"parameterization.x0_from_eps(schedule, x, time, {eps})")


def _by_classifier(denoiser: str, pull: str, scale: str) -> str:
    log_prob = f"lambda x, time: {pull} * x"
    return f"guidance.classifier_guided({denoiser}, {log_prob}, schedule, {scale})"


def _guided(told: str, untold: str) -> str:
    return f"guidance.guided({told}, {untold}, scale)"


def _noise_of(denoiser: str) -> str:
    return f"parameterization.eps_from_x0(schedule, x_t, t, {denoiser}(x_t, t))"


def _score_of(denoiser: str) -> str:
    return f"parameterization.score_from_eps(schedule, t, {_noise_of(denoiser)})"


def _expansion(denoiser: str) -> str:
    return f"flows.expansion({denoiser}, schedule, x_t[:, None], t)"


_gaussians = _guided(
    f"{_gaussian('var_y')}.denoiser(schedule)",
    f"{_gaussian('var_all')}.denoiser(schedule)",
)
_tilted = _gaussian("1 / ((1 - scale) / var_all + scale / var_y)")


EQUATIONS = [
    Equation(
        "best-told",
        r"\varepsilon^*(x_t, t, y)",
        eps_told,
        f"{_labeled}.eps_mean(schedule, x_t[:, None], t)[:, 0]",
    ),
    Equation(
        "bayes-score",
        r"\nabla_{x_t} \log q(x_t \mid y)",
        score + pull,
        _score_of(_by_classifier(_at("score"), "pull", "1.0")),
    ),
    Equation(
        "classifier-guidance",
        r"\hat x_w(x_t, t, y)",
        x0_hat + scale * (1 - abar_t) / sp.sqrt(abar_t) * pull,
        f"{_by_classifier(_always('x0_hat'), 'pull', 'scale')}(x_t, t)",
    ),
    Equation(
        "hidden-classifier",
        r"\nabla_{x_t} \log p(y \mid x_t)",
        sp.sqrt(abar_t) / (1 - abar_t) * (x0_told - x0_mean),
        f"({_labeled}.score(schedule, x_t[:, None], t)"
        f" - {_points}.score(schedule, x_t[:, None], t))[:, 0]",
    ),
    Equation(
        "guided-x0",
        r"\hat x_w(x_t, t, y)",
        x0_hat + scale * (x0_hat_y - x0_hat),
        f"{_guided(_always('x0_hat_y'), _always('x0_hat'))}(x_t, t)",
    ),
    Equation(
        "guided-eps",
        r"\hat\varepsilon_w(x_t, t, y)",
        eps_hat + scale * (eps_hat_y - eps_hat),
        _noise_of(_guided(_with_noise("eps_hat_y"), _with_noise("eps_hat"))),
    ),
    Equation(
        "guided-score",
        "s_w(x_t, t)",
        (1 - scale) * score + scale * score_y,
        _score_of(_guided(_at("score_y"), _at("score"))),
    ),
    Equation(
        "tilted-score",
        r"\nabla_{x_t} \log q_w(x_t)",
        score + power_pull,
        _score_of(_by_classifier(_at("score"), "power_pull", "1.0")),
    ),
    Equation(
        "guided-precision",
        r"-\frac{\partial}{\partial x_t} s_w(x_t, t)",
        (1 - scale) / _all_t + scale / _y_t,
        f"(1 - {_expansion(_gaussians)}) / (1 - abar_t)",
    ),
    Equation(
        "tilted-precision",
        r"-\frac{\partial}{\partial x_t} \nabla_{x_t} \log q_w(x_t)",
        1 / (abar_t / ((1 - scale) / var_all + scale / var_y) + 1 - abar_t),
        f"(1 - {_expansion(f'{_tilted}.denoiser(schedule)')}) / (1 - abar_t)",
    ),
    Equation(
        "guided-width",
        r"\frac{d \log \sigma_u}{d \lambda}",
        abar_t / 2 * ((1 - scale) * var_all / _all_t + scale * var_y / _y_t),
        f"{_expansion(_gaussians)} / 2",
    ),
    Equation(
        "measurement",
        r"\hat x_y(x_t, t)",
        x0_mean + var_x0 / (var_rho + var_x0) * (y - x0_mean),
        f"guidance.measured({_points}.denoiser(schedule), schedule, "
        "lambda x: y[:, None] - x, lambda time: 1 / (2 * (var_rho + var_x0)))"
        "(x_t[:, None], t)[:, 0]",
    ),
]
