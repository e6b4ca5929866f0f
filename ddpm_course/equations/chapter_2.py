"""Chapter 2, the ELBO.

Everything is written for one coordinate: the density of an image is a product over
its coordinates, and each term of the bound is a sum over them.
"""

import sympy as sp

from ddpm_course.equations.entry import Equation, Gaussian
from ddpm_course.equations.symbols import (
    KL,
    D,
    E,
    L_s,
    T,
    abar_T,
    alpha_t,
    beta_1,
    beta_t,
    betatilde_t,
    mean_1,
    mean_2,
    mu_theta,
    mu_tilde,
    p_joint,
    p_path,
    p_s,
    p_T,
    p_x0,
    q_0,
    q_back,
    q_marginal,
    q_path,
    q_reverse,
    q_s,
    s,
    sigma_t,
    t,
    var_1,
    var_2,
    x0_hat_1,
    x_0,
    x_prev,
    x_t,
)

_average = r"\mathbb E_{q(x_{1:T} \mid x_0)}"
_p_over_q = r"\frac{p_\theta(x_{0:T})}{q(x_{1:T} \mid x_0)}"
_q_over_p = r"\frac{q(x_{1:T} \mid x_0)}{p_\theta(x_{0:T})}"
_log_ratio = (
    "trajectories.log_q_path(schedule, path)"
    " - trajectories.log_p_path(denoiser, schedule, path)"
)
_one_step = (  # the path of a schedule that has only this step
    "torch.exp(trajectories.log_q_path(one_step, path[t - 1:t + 1]))"
)
_path_ratio = r"\log \left(\frac{q(x_{1:T} \mid x_0)}{p_\theta(x_{0:T})}\right)"
_telescope = (
    r"\sum_{t=2}^T \log \left(\frac{q(x_t \mid x_0)}{q(x_{t-1} \mid x_0)}\right)"
)
_kl = (
    r"D_{KL}\left(\mathcal N(\mu_1, \sigma_1^2) \,\|\,"
    r" \mathcal N(\mu_2, \sigma_2^2)\right)"
)
_matching = (
    r"D_{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t)\right)"
)
_ratio = betatilde_t / sigma_t**2
_continuous = "decoder='continuous', variance"

EQUATIONS = [
    Equation(
        "reverse-step",
        r"p_\theta(x_{t-1} \mid x_t)",
        Gaussian(x_prev, mu_theta, sigma_t**2),
        (
            "parameterization.mean_from_x0(schedule, x_t, t, x0_hat)",
            "posterior.reverse_variance(schedule, t, 'beta')",
        ),
        sources=(
            "slides/reverse-1/model",
            "slides/reverse-14/reverse",
            "sampling/2/model",
        ),
    ),
    Equation(
        "mirrored-step",
        r"q(x_{t-1} \mid x_t)",
        Gaussian(x_prev, sp.sqrt(alpha_t) * x_t, beta_t),
        (  # the best guess for standard normal data is √ᾱ_t x_t
            "parameterization.mean_from_x0("
            "schedule, x_t, t, schedule.alpha_bar[t]**0.5 * x_t)",
            "posterior.reverse_variance(schedule, t, 'beta')",
        ),
    ),
    Equation(
        "reverse-path",
        r"p_\theta(x_{0:T})",
        p_T * sp.Product(p_s(s), (s, 1, T)),
        "torch.exp(trajectories.log_p_path(denoiser, schedule, path))",
        sources=("slides/reverse-4/joint",),
    ),
    Equation(
        "bound-gap",
        rf"{_average}\left[\log {_q_over_p}\right]",
        KL(q_path, p_path) - sp.log(p_x0),
        _log_ratio,
    ),
    Equation(
        "bound-average",
        r"-\log p_\theta(x_0)",
        E(q_path, sp.log(q_path / p_joint)),
        _log_ratio,
        sources=("slides/reverse-4/vlb",),
        relation="≤",
    ),
    Equation(
        "likelihood-average",
        r"p_\theta(x_0)",
        E(q_path, p_joint / q_path),
        f"torch.exp(-({_log_ratio}))",
    ),
    Equation(
        "bound-jensen",
        rf"-\log {_average}\left[{_p_over_q}\right]",
        E(q_path, -sp.log(p_joint / q_path)),
        _log_ratio,
        relation="≤",
    ),
    Equation(
        "bound-paths",
        _path_ratio,
        -sp.log(p_T) + sp.Sum(sp.log(q_s(s) / p_s(s)), (s, 1, T)),
        _log_ratio,
        sources=("slides/reverse-4/first-term", "slides/reverse-4/product"),
    ),
    Equation(
        "bayes-step",
        r"q(x_t \mid x_{t-1})",
        q_reverse(t) * q_marginal(t) / q_marginal(t - 1),
        _one_step,
        sources=("slides/reverse-5/bayes",),
    ),
    Equation(
        "bayes-x0",
        r"q(x_t \mid x_{t-1})",
        q_back(t) * q_0(t) / q_0(t - 1),
        _one_step,
        sources=("slides/reverse-5/bayes-x0",),
        first=2,  # q(x_0 | x_0) has no density
    ),
    Equation(
        "telescope",
        _telescope,
        sp.log(q_0(T) / q_0(1)),
        "trajectories.log_q_marginals(schedule, path).diff().sum()",
        sources=("slides/reverse-6/telescope",),
    ),
    Equation(
        "bound-split",
        _path_ratio,
        sp.log(q_0(T) / p_T)
        + sp.Sum(sp.log(q_back(s) / p_s(s)), (s, 2, T))
        - sp.log(p_s(1)),
        "trajectories.log_ratios(denoiser, schedule, path).sum()",
        sources=(
            "slides/reverse-5/substituted",
            "slides/reverse-5/split",
            "slides/reverse-6/substituted",
            "slides/reverse-6/collected",
            "slides/reverse-7/logs",
        ),
    ),
    Equation(
        "bound",
        r"-\log p_\theta(x_0)",
        L_s(T) + sp.Sum(L_s(s - 1), (s, 2, T)) + L_s(0),
        "trajectories.log_ratios(denoiser, schedule, path).sum()",
        sources=("slides/reverse-7/terms",),
        relation="≤",
    ),
    Equation("prior-term", "L_T", KL(q_0(T), p_T), "bound.prior_kl(schedule, x_0)"),
    Equation(
        "matching-term",
        "L_{t-1}",
        E(q_0(t), KL(q_back(t), p_s(t))),
        "bound.vlb_term(schedule, x_0, x_t, t, denoiser(x_t, t))",
        first=2,
    ),
    Equation(
        "decoder-term",
        "L_0",
        E(q_0(1), -sp.log(p_s(1))),
        f"bound.decoder_nll(schedule, x_0, denoiser(path[1:2], 1), {_continuous}=None)",
    ),
    Equation(
        "gaussian-kl",
        _kl,
        (sp.log(var_2 / var_1) + (var_1 + (mean_1 - mean_2) ** 2) / var_2 - 1) / 2,
        "bound.gaussian_kl(mean_1, var_1, mean_2, var_2)",
    ),
    Equation(
        "gaussian-kl-equal",
        _kl.replace(r"\sigma_1^2", r"\sigma_t^2").replace(r"\sigma_2^2", r"\sigma_t^2"),
        (mean_1 - mean_2) ** 2 / (2 * sigma_t**2),
        # how much -log density at μ_1 rises when the mean moves from μ_1 to μ_2
        f"bound.decoder_nll(schedule, mean_1, mean_2, {_continuous}=sigma_t**2)"
        f" - bound.decoder_nll(schedule, mean_1, mean_1, {_continuous}=sigma_t**2)",
    ),
    Equation(
        "prior-kl",
        "L_T",
        (abar_T * x_0**2 - abar_T - sp.log(1 - abar_T)) / 2,
        "bound.prior_kl(schedule, x_0)",
    ),
    Equation(
        "bound-term",
        _matching,
        (mu_tilde - mu_theta) ** 2 / (2 * sigma_t**2)
        + (_ratio - 1 - sp.log(_ratio)) / 2,
        "bound.vlb_term(schedule, x_0, x_t, t, x0_hat, 'beta')",
        first=2,  # at t = 1 the posterior is a point, and L_0 is not a divergence
    ),
    Equation(
        "decoder-continuous",
        r"-\log p_\theta(x_0 \mid x_1)",
        sp.log(2 * sp.pi * beta_1) / 2 + (x_0 - x0_hat_1) ** 2 / (2 * beta_1),
        f"bound.decoder_nll(schedule, x_0, x0_hat_1, {_continuous}=beta_1)",
    ),
    Equation(
        "bits-per-dim",
        r"\mathrm{bits}",
        sp.Sum(L_s(s), (s, 0, T)) / (D * sp.log(2)),
        "bound.bits_per_dim(torch.sum(terms), D)",
    ),
]
