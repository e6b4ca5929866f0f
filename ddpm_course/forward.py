"""The forward process q: from data to noise, one step at a time or all at once."""

from __future__ import annotations

from torch import Tensor

from ddpm_course.checks import check_data, check_time
from ddpm_course.schedules import NoiseSchedule, along_batch, signal_and_noise


def q_step(
    schedule: NoiseSchedule, x_prev: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """One step x_{t-1} → x_t (equation ``forward-step``; slides, forward process 2).

    Args:
        schedule: The noise schedule.
        x_prev: x_{t-1}, shape (batch, …), float32 or float64.
        t: An int, or int64 (batch,), in 1 … T.
        eps: Standard normal noise of the shape of ``x_prev``.

    Returns:
        x_t, of the shape of ``x_prev``.

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range.
    """
    check_data(schedule, x_prev=x_prev, eps=eps)
    check_time(schedule, t, x_prev)
    beta = schedule.beta[t]
    kept = along_batch((1 - beta).sqrt(), x_prev)
    return kept * x_prev + along_batch(beta.sqrt(), x_prev) * eps


def q_sample(
    schedule: NoiseSchedule, x0: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """All t steps at once, x_0 → x_t (equation ``closed-form``; slides, forward 2).

    Args:
        schedule: The noise schedule.
        x0: Clean data, shape (batch, …), float32 or float64.
        t: An int, or int64 (batch,), in 1 … T.
        eps: Standard normal noise of the shape of ``x0``.

    Returns:
        x_t, of the shape of ``x0``.

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range.
    """
    check_data(schedule, x0=x0, eps=eps)
    check_time(schedule, t, x0)
    signal, noise = signal_and_noise(schedule, t, x0)  # √ᾱ_t, √(1 - ᾱ_t)
    return signal * x0 + noise * eps
