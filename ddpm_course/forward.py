"""The forward process q: from data to noise, in one step or all at once."""

from __future__ import annotations

from torch import Tensor

from ddpm_course.checks import check_data, check_time
from ddpm_course.schedules import NoiseSchedule, coefficient


def q_step(
    schedule: NoiseSchedule, x_prev: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """One step x_{t-1} → x_t (equation ``forward-step``; slides, forward process 2).

    ``x_prev`` and the standard normal ``eps`` have one shape (batch, …), float32
    or float64; ``t`` is an int or an int64 tensor (batch,) in 1 … T. Returns x_t
    of that shape. Raises TypeError or ValueError for anything else.
    """
    check_data(schedule, x_prev=x_prev, eps=eps)
    check_time(schedule, t, x_prev)
    beta = schedule.beta
    return (
        coefficient((1 - beta).sqrt(), t, x_prev) * x_prev
        + coefficient(beta.sqrt(), t, x_prev) * eps
    )


def q_sample(
    schedule: NoiseSchedule, x0: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """All steps at once, x_0 → x_t (equation ``closed-form``; slides, forward 2).

    ``x0`` and the standard normal ``eps`` have one shape (batch, …), float32 or
    float64; ``t`` is an int or an int64 tensor (batch,) in 1 … T. Returns x_t of
    that shape. Raises TypeError or ValueError for anything else.
    """
    check_data(schedule, x0=x0, eps=eps)
    check_time(schedule, t, x0)
    alpha_bar = schedule.alpha_bar
    return (
        coefficient(alpha_bar.sqrt(), t, x0) * x0
        + coefficient((1 - alpha_bar).sqrt(), t, x0) * eps
    )
