"""Log densities of a whole path x_0, …, x_T: the bound before its expectation.

A path has shape (T + 1, …): x_0 first, x_T last. Everything is in nats, in float64,
and summed over all coordinates. The density of the path under q, given x_0, is
``log_q_path``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from ddpm_course.bound import Denoise, per_image
from ddpm_course.checks import check_path
from ddpm_course.parameterization import mean_from_x0
from ddpm_course.posterior import posterior_mean, posterior_variance, reverse_variance
from ddpm_course.schedules import NoiseSchedule, along_batch, coefficient


def log_q_path(schedule: NoiseSchedule, path: Tensor) -> Tensor:
    """log q(x_1, …, x_T | x_0) of a whole path (equation ``forward-path``).

    ``path`` has shape (T + 1, …): x_0 first, x_T last. Returns a scalar, in nats,
    summed over all coordinates. Raises ValueError for another length.
    """
    check_path(schedule, path)
    t = torch.arange(1, schedule.T + 1, device=path.device)
    x, x_prev = path[1:], path[:-1]
    mean = coefficient((1 - schedule.beta).sqrt(), t, x) * x_prev
    return Normal(mean, coefficient(schedule.beta.sqrt(), t, x)).log_prob(x).sum()


def log_q_marginals(schedule: NoiseSchedule, path: Tensor) -> Tensor:
    """log q(x_t | x_0) for t = 1 … T along a path (equation ``marginal``).

    ``path`` has shape (T + 1, …). Returns (T,). Raises ValueError for another
    length.
    """
    check_path(schedule, path)
    abar, x = schedule.alpha_bar[1:], path.double()
    return _log_normal(x[1:], along_batch(abar.sqrt(), x) * x[:1], 1 - abar)


def log_p_path(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    path: Tensor,
    variance: str = "beta",
) -> Tensor:
    """log p_θ(x_0, …, x_T) of a whole path (equation ``reverse-path``).

    ``denoiser(x_t, t)`` gives x̂_0 for a batch of times; ``path`` has shape
    (T + 1, …). σ_t² is ``variance``, "beta" or "beta_tilde", but β_1 at t = 1.
    Returns a scalar. Raises ValueError for another length or name.
    """
    check_path(schedule, path)
    prior = Normal(0.0, 1.0).log_prob(path[-1].double()).sum()
    return prior + _log_p_steps(denoiser, schedule, path, variance).sum()


def log_ratios(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    path: Tensor,
    variance: str = "beta",
) -> Tensor:
    """What is inside the expectations L_0 … L_T, on one path: shape (T + 1,).

    Their sum is log q(x_1, …, x_T | x_0) - log p_θ(x_0, …, x_T) (equation
    ``bound-split``); the mean of entry k over paths is L_k. Arguments as those of
    ``log_p_path``.
    """
    check_path(schedule, path)
    t = torch.arange(2, schedule.T + 1, device=path.device)
    x = path.double()
    mean = posterior_mean(schedule, x[:1].expand_as(x[2:]), x[2:], t)
    back = _log_normal(x[1:-1], mean, posterior_variance(schedule, t))
    steps = _log_p_steps(denoiser, schedule, path, variance)
    last = log_q_marginals(schedule, path)[-1:]
    prior = Normal(0.0, 1.0).log_prob(x[-1]).sum()
    return torch.cat([-steps[:1], back - steps[1:], last - prior])


def _log_p_steps(
    denoiser: Denoise, schedule: NoiseSchedule, path: Tensor, variance: str
) -> Tensor:
    """log p_θ(x_{t-1} | x_t) for t = 1 … T: float64 (T,)."""
    t = torch.arange(1, schedule.T + 1, device=path.device)
    x, x0_hat = path.double(), denoiser(path[1:], t).double()
    var = reverse_variance(schedule, t, variance)
    var = torch.cat([schedule.beta[1:2], var[1:]])  # β_1 at t = 1, whichever σ_t²
    return _log_normal(x[:-1], mean_from_x0(schedule, x[1:], t, x0_hat), var)


def _log_normal(x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return per_image(Normal(mean, along_batch(var.sqrt(), mean)).log_prob(x))
