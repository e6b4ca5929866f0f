"""The probability flow: from data to noise and back without drawing anything.

The flow moves each point along a curve such that at every time t the points have the
density q(x_t). In u = x_t / √(1 - ᾱ_t) and w = √(ᾱ_t / (1 - ᾱ_t)) it is du/dw = x̂_0
(equation ``flow-u``). In y = x_t / (√ᾱ_t + √(1 - ᾱ_t)) and
τ = √(1 - ᾱ_t) / (√ᾱ_t + √(1 - ᾱ_t)) it is dy/dτ = ε̂ - x̂_0, the velocity of flow
matching (equation ``flow-velocity``), since y = (1 - τ) x_0 + τ ε is a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ddpm_course.checks import check_data, check_form, check_time
from ddpm_course.parameterization import Denoise, eps_from_x0
from ddpm_course.sampling import ddim_coefficients, like
from ddpm_course.schedules import NoiseSchedule, along_batch, signal_and_noise


def flow_step(
    schedule: NoiseSchedule, x_t: Tensor, x0_hat: Tensor, t: int, s: int
) -> Tensor:
    """Along the flow from t to s in one step of Euler's method; s may be later, too.

    For s < t it is ``ddim_step``. Times are ints, t in 1 … T and s in 0 … T; the data
    have shape (batch, …). Raises TypeError or ValueError for anything else.
    """
    check_form(schedule, x_t=x_t, x0_hat=x0_hat)
    check_time(schedule, t, x_t)
    check_time(schedule, s, x_t, first=0, name="s")
    on_x_t, on_x0, _ = ddim_coefficients(schedule, t, s)
    return along_batch(on_x_t, x_t) * x_t + along_batch(on_x0, x_t) * x0_hat


def mean_guess(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    x_t: Tensor,
    x0_hat: Tensor,
    t: int,
    s: int,
) -> Tensor:
    """Heun's guess: the mean of x̂_0 at t and where Euler's method leads at s.

    At s = 0 there is nothing to ask, and the guess at t is the answer.
    """
    if s == 0:
        return x0_hat
    x_s = flow_step(schedule, x_t, x0_hat, t, s)
    return (x0_hat + like("denoiser(x_s, s)", denoiser(x_s, s), x_s)) / 2


@torch.no_grad()
def transport(
    denoiser: Denoise, schedule: NoiseSchedule, x: Tensor, times: Sequence[int]
) -> Tensor:
    """Carry x along the flow through all ``times`` by Heun's method.

    Falling times decode noise into data, rising times encode data into noise.

    Args:
        denoiser: Any callable (x_t, t) → x̂_0 for an int t.
        schedule: The noise schedule.
        x: The state at the first of the times, (batch, …).
        times: Two or more times in 1 … T; the last may be 0.

    Returns:
        The state at the last of the times.

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range.
    """
    _check_two(times)
    for t, s in pairwise(times):
        x0_hat = like("denoiser(x_t, t)", denoiser(x, t), x)
        guess = mean_guess(denoiser, schedule, x, x0_hat, t, s)
        x = flow_step(schedule, x, guess, t, s)
    return x


def _check_two(times: Sequence[int]) -> None:
    if len(times) < 2:
        raise ValueError(f"times={list(times)}: expected two times or more")


def reverse_drift(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, score: Tensor, eta: float
) -> Tensor:
    """The mean change of x_t in a short step to t - 1 (equation ``reverse-drift``).

    With fresh noise η √β_t z beside it, the densities q(x_t) are kept for every η: 1 is
    Anderson's reverse process, 0 the probability flow.
    """
    check_data(schedule, x_t=x_t, score=score)
    check_time(schedule, t, x_t)
    return along_batch(schedule.beta[t] / 2, x_t) * (x_t + (1 + eta**2) * score)


def flow_velocity(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, x0_hat: Tensor
) -> Tensor:
    """The velocity of flow matching, ε̂ - x̂_0 (equation ``flow-velocity``).

    With x_0 itself for the guess, it is the target of training (``flow-target``).
    Arguments, result and errors are those of ``eps_from_x0``.
    """
    return eps_from_x0(schedule, x_t, t, x0_hat) - x0_hat


def x0_from_flow(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, velocity: Tensor
) -> Tensor:
    """x̂_0 from x_t and the velocity ε̂ - x̂_0 (equation ``x0-from-flow``).

    It makes a denoiser of a network that was trained by flow matching. Well-conditioned
    at every t.
    """
    check_data(schedule, x_t=x_t, velocity=velocity)
    check_time(schedule, t, x_t)
    signal, noise = signal_and_noise(schedule, t, x_t)
    return (x_t - noise * velocity) / (signal + noise)


def straight(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor
) -> tuple[Tensor, float | Tensor]:
    """(y, τ) with y = (1 - τ) x_0 + τ ε, the same point on the straight line.

    Equations ``straight-line`` and ``flow-time``. τ grows from 0, data, to 1, noise: a
    number, or shaped to multiply x_t.
    """
    check_data(schedule, x_t=x_t)
    check_time(schedule, t, x_t)
    signal, noise = signal_and_noise(schedule, t, x_t)
    return x_t / (signal + noise), noise / (signal + noise)


@torch.no_grad()
def log_likelihood(
    denoiser: Denoise, schedule: NoiseSchedule, x: Tensor, times: Sequence[int]
) -> Tensor:
    """log q(x_t) in nats at the first time, by the change-of-variables formula.

    The flow carries x through ``times`` to noise, and the density changes by the
    divergence of the velocity (equation ``flow-likelihood``). It is summed by the
    trapezoidal rule in the log-SNR. Needs D derivatives at each time: for data of few
    dimensions.

    Args:
        denoiser: A differentiable callable (x_t, t) → x̂_0 for an int t.
        schedule: The noise schedule.
        x: Points, (batch, D), float64 for many digits.
        times: Rising times from 1 … to T.

    Returns:
        Shape (batch,).

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range.
    """
    _check_two(times)
    if times[-1] != schedule.T or any(s <= t for t, s in pairwise(times)):
        raise ValueError(
            f"times={list(times)}: expected times that rise to T = {schedule.T}"
        )
    check_data(schedule, x=x)
    if not schedule.numbers[-1]:
        raise ValueError("alpha_bar[T] is 0: expected a schedule with log SNR > -inf")
    if x.ndim != 2:
        raise ValueError(f"x has shape {tuple(x.shape)}: expected points, (batch, D)")
    half_log_snr = schedule.snr.log() / 2
    gained, rate = torch.zeros_like(x[:, 0]), expansion(denoiser, schedule, x, times[0])
    halved_dim, first = x.shape[1] / 2, schedule.numbers[times[0]]
    for t, s in pairwise(times):
        x = transport(denoiser, schedule, x, (t, s))
        rate_s = expansion(denoiser, schedule, x, s)
        gained = gained + (rate + rate_s) / 2 * (half_log_snr[s] - half_log_snr[t])
        rate = rate_s
    last = -(x**2).sum(1) / 2 - halved_dim * math.log(2 * math.pi)
    shrunk = math.log1p(-schedule.numbers[-1]) - math.log1p(-first)
    return last + gained + halved_dim * shrunk


def expansion(
    denoiser: Denoise, schedule: NoiseSchedule, x_t: Tensor, t: int
) -> Tensor:
    """√ᾱ_t times the divergence of x̂_0 as a function of x_t, shape (batch,).

    The flow's log density falls by half of it per unit of the log-SNR (equation
    ``flow-likelihood``). For the exact denoiser it is SNR_t times the variance of x_0
    given x_t (equation ``tweedie-variance``).
    """
    with torch.enable_grad():
        x_t = x_t.detach().requires_grad_()
        x0_hat = denoiser(x_t, t)
        rows = (
            torch.autograd.grad(x0_hat[:, i].sum(), x_t, retain_graph=True)[0][:, i]
            for i in range(x_t.shape[1])
        )
        return schedule.numbers[t] ** 0.5 * sum(rows, torch.zeros_like(x_t[:, 0]))
