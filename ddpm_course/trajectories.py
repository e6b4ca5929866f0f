"""Log densities of a whole path x_0, …, x_T: the bound before its expectation.

A path has shape (T + 1, …): x_0 first, x_T last. Everything is in nats, in float64,
and summed over all coordinates. The density of the path under q, given x_0, is
``log_q_path``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from ddpm_course.bound import per_image
from ddpm_course.checks import check_answer, check_callable, check_path
from ddpm_course.parameterization import Denoise, mean_from_x0
from ddpm_course.posterior import posterior_mean, posterior_variance, reverse_variance
from ddpm_course.schedules import NoiseSchedule, along_batch


def log_q_path(schedule: NoiseSchedule, path: Tensor) -> Tensor:
    """log q(x_1, …, x_T | x_0) of a whole path (equation ``forward-path``).

    Args:
        schedule: The noise schedule.
        path: x_0 … x_T, shape (T + 1, …), float32 or float64.

    Returns:
        A scalar, in nats, summed over all coordinates, in the dtype of ``path``.

    Raises:
        TypeError, ValueError: If ``path`` is of another type, dtype or length.
    """
    check_path(schedule, path)
    beta, x, x_prev = schedule.beta[1:], path[1:], path[:-1]
    mean = along_batch((1 - beta).sqrt(), x) * x_prev
    return Normal(mean, along_batch(beta.sqrt(), x)).log_prob(x).sum()


def log_q_marginals(schedule: NoiseSchedule, path: Tensor) -> Tensor:
    """log q(x_t | x_0) for t = 1 … T along a path (equation ``marginal``).

    Takes a path as ``log_q_path`` does and returns float64, shape (T,).
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

    Args:
        denoiser: A callable (x_t, t) → x̂_0 for a batch of times.
        schedule: The noise schedule.
        path: x_0 … x_T, shape (T + 1, …), float32 or float64.
        variance: σ_t²: "beta" or "beta_tilde"; at t = 1 it is β_1 for both.

    Returns:
        A float64 scalar, in nats.

    Raises:
        TypeError, ValueError: If ``path`` is of another type, dtype or length, or
            there is no variance of that name.
    """
    check_path(schedule, path)
    prior = _log_prior(path)
    return prior + _log_p_steps(denoiser, schedule, path, variance).sum()


def log_ratios(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    path: Tensor,
    variance: str = "beta",
) -> Tensor:
    """What is inside the expectations L_0 … L_T, on one path.

    Their sum is log q(x_1, …, x_T | x_0) - log p_θ(x_0, …, x_T) (equation
    ``bound-split``); the mean of entry k over paths is L_k. Takes the arguments of
    ``log_p_path`` and returns float64, shape (T + 1,).
    """
    check_path(schedule, path)
    t = torch.arange(2, schedule.T + 1, device=path.device)
    x = path.double()
    mean = posterior_mean(schedule, x[:1].expand_as(x[2:]), x[2:], t)
    back = _log_normal(x[1:-1], mean, posterior_variance(schedule, t))
    steps = _log_p_steps(denoiser, schedule, path, variance)
    last = log_q_marginals(schedule, path)[-1:]
    prior = _log_prior(path)
    return torch.cat([-steps[:1], back - steps[1:], last - prior])


def _log_prior(path: Tensor) -> Tensor:
    """log p(x_T), a standard normal: a scalar."""
    x_T = path[-1].double()
    return Normal(torch.zeros_like(x_T), 1.0).log_prob(x_T).sum()


def _log_p_steps(
    denoiser: Denoise, schedule: NoiseSchedule, path: Tensor, variance: str
) -> Tensor:
    """log p_θ(x_{t-1} | x_t) for t = 1 … T: float64 (T,)."""
    check_callable("denoiser", denoiser)
    t = torch.arange(1, schedule.T + 1, device=path.device)
    x0_hat = denoiser(path[1:], t)
    check_answer("denoiser(x_t, t)", x0_hat, path[1:])
    x, x0_hat = path.double(), x0_hat.double()
    var = reverse_variance(schedule, t, variance)
    var = torch.cat([schedule.beta[1:2], var[1:]])  # β_1 at t = 1, whichever σ_t²
    return _log_normal(x[:-1], mean_from_x0(schedule, x[1:], t, x0_hat), var)


def _log_normal(x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return per_image(Normal(mean, along_batch(var.sqrt(), mean)).log_prob(x))
