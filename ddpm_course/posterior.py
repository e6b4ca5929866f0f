"""The posterior q(x_{t-1} | x_t, x_0): the step back, for one who knows x_0.

With ᾱ_0 = 1 the step t = 1 needs no special case: there the mean is x_0 and the
variance 0, both to the last bit. For this β_t is computed as 1 - α_t: at t = 1 it
is then the very number 1 - ᾱ_t, and their quotient is 1.
"""

from __future__ import annotations

from torch import Tensor

from ddpm_course.checks import check_data, check_time
from ddpm_course.schedules import NoiseSchedule, along_batch


def posterior_mean(
    schedule: NoiseSchedule, x0: Tensor, x_t: Tensor, t: int | Tensor
) -> Tensor:
    """The mean μ̃_t (equation ``posterior-mean``; slides, reverse process 9).

    ``x0`` and ``x_t`` have one shape (batch, …), float32 or float64; ``t`` is an
    int or an int64 tensor (batch,) in 1 … T. Returns the mean of x_{t-1}, of that
    shape. Raises TypeError or ValueError for anything else.
    """
    check_data(schedule, x0=x0, x_t=x_t)
    check_time(schedule, t, x0)
    on_x0, on_x_t = mean_coefficients(schedule, t)
    return along_batch(on_x0, x0) * x0 + along_batch(on_x_t, x_t) * x_t


def mean_coefficients(
    schedule: NoiseSchedule, t: int | Tensor
) -> tuple[Tensor, Tensor]:
    """What μ̃_t multiplies x_0 and x_t with: float64, of the shape of t.

    The range of ``t`` is the caller's to check (``check_time``).
    """
    alpha, abar = schedule.alpha[t], schedule.alpha_bar[t]
    abar_prev = schedule.alpha_bar[t - 1]
    on_x0 = (1 - alpha) * abar_prev.sqrt() / (1 - abar)
    on_x_t = (1 - abar_prev) * alpha.sqrt() / (1 - abar)
    return on_x0, on_x_t


def posterior_variance(schedule: NoiseSchedule, t: int | Tensor) -> Tensor:
    """The variance β̃_t (equation ``posterior-variance``; slides, reverse process 8).

    ``t`` is an int or an int64 tensor (batch,) in 1 … T. Returns float64 of the
    shape of t; 0 at t = 1. Raises TypeError or ValueError for anything else.
    """
    check_time(schedule, t)
    abar, abar_prev = schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
    return (1 - abar_prev) / (1 - abar) * (1 - schedule.alpha[t])


def reverse_variance(schedule: NoiseSchedule, t: int | Tensor, variance: str) -> Tensor:
    """σ_t² of the model's step p_θ(x_{t-1} | x_t): "beta" or "beta_tilde".

    Equation ``posterior-variance``; slides, reverse process 1. ``t`` is an int or
    an int64 tensor (batch,) in 1 … T. Returns float64 of the shape of t. Raises
    ValueError for another name or time.
    """
    check_time(schedule, t)
    if variance == "beta":
        return schedule.beta[t]
    if variance == "beta_tilde":
        return posterior_variance(schedule, t)
    raise ValueError(
        f"variance={variance!r}: no such choice of σ_t². Use 'beta' or 'beta_tilde'"
    )
