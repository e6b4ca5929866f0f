"""The posterior q(x_{t-1} | x_t, x_0): the reverse step when x_0 is known.

With ᾱ_0 = 1 the step t = 1 needs no special case: there the mean is x_0 and the
variance 0, both to the last bit.

Every function also takes an earlier time ``s``, an int or an int64 tensor (batch,) in
0 … t - 1, for the posterior q(x_s | x_t, x_0) of a step that skips the times between.
The steps from s to t are together one step with α = ᾱ_t / ᾱ_s, so the formulas stay
the same. Without ``s`` it is t - 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_course.checks import check_data, check_earlier, check_time
from ddpm_course.schedules import NoiseSchedule, along_batch

VARIANCES = ("beta", "beta_tilde")


def posterior_mean(
    schedule: NoiseSchedule,
    x0: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    s: int | Tensor | None = None,
) -> Tensor:
    """The mean μ̃_t (equation ``posterior-mean``; slides, reverse process 9).

    Args:
        schedule: The noise schedule.
        x0: Clean data, shape (batch, …), float32 or float64.
        x_t: Noisy data of that shape.
        t: An int, or int64 (batch,), in 1 … T.
        s: An earlier time, if not t - 1.

    Returns:
        The mean of x_s, of the shape of ``x0``.

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range.
    """
    check_data(schedule, x0=x0, x_t=x_t)
    check_time(schedule, t, x0)
    if s is not None:
        check_time(schedule, s, x0, first=0, name="s")
        check_earlier(schedule, t, s)
    on_x0, on_x_t = mean_coefficients(schedule, t, s)
    return along_batch(on_x0, x0) * x0 + along_batch(on_x_t, x_t) * x_t


def mean_coefficients(
    schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor | None = None
) -> tuple[float | Tensor, float | Tensor]:
    """The coefficients of x_0 and of x_t in μ̃_t.

    Numbers for int times, float64 tensors (batch,) for a batch of times. The times are
    the caller's to check (``check_time``, ``check_earlier``).
    """
    abar_t, abar_s = _both_ends(schedule, t, s)
    alpha = abar_t / abar_s
    on_x0 = (1 - alpha) * abar_s**0.5 / (1 - abar_t)
    on_x_t = (1 - abar_s) * alpha**0.5 / (1 - abar_t)
    return on_x0, on_x_t


def posterior_variance(
    schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor | None = None
) -> Tensor:
    """The variance β̃_t (equation ``posterior-variance``; slides, reverse process 8).

    Args:
        schedule: The noise schedule.
        t: An int, or int64 (batch,), in 1 … T.
        s: An earlier time, if not t - 1.

    Returns:
        float64 of the shape of ``t``; 0 for a step to the clean data.

    Raises:
        TypeError, ValueError: If a time is of another type or out of range.
    """
    return reverse_variance(schedule, t, "beta_tilde", s)


def reverse_variance(
    schedule: NoiseSchedule,
    t: int | Tensor,
    variance: str,
    s: int | Tensor | None = None,
) -> Tensor:
    """σ_t² of the model's step p_θ(x_{t-1} | x_t) (slides, reverse process 1).

    Args:
        schedule: The noise schedule.
        t: An int, or int64 (batch,), in 1 … T.
        variance: "beta", the variance of the noise added from s to t, or "beta_tilde",
            that of the posterior (equation ``posterior-variance``).
        s: An earlier time, if not t - 1.

    Returns:
        float64 of the shape of ``t``.

    Raises:
        TypeError, ValueError: If a time is of another type or out of range, or there
            is no variance of that name.
    """
    check_time(schedule, t)
    if s is not None:
        check_earlier(schedule, t, s)
    value = step_variance(schedule, t, variance, s)
    return torch.as_tensor(value, dtype=torch.float64, device=schedule.beta.device)


def step_variance(
    schedule: NoiseSchedule,
    t: int | Tensor,
    variance: str,
    s: int | Tensor | None = None,
) -> float | Tensor:
    """``reverse_variance`` as a number for int times, like ``mean_coefficients``."""
    abar_t, abar_s = _both_ends(schedule, t, s)
    beta = 1 - abar_t / abar_s
    if variance == "beta":
        return beta
    if variance == "beta_tilde":
        return (1 - abar_s) / (1 - abar_t) * beta
    raise ValueError(
        f"variance={variance!r}: no such choice of σ_t². Use 'beta' or 'beta_tilde'"
    )


def _both_ends(
    schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor | None
) -> tuple[float | Tensor, float | Tensor]:
    """ᾱ at both ends of the step from t to s."""
    return schedule.abar(t), schedule.abar(t - 1 if s is None else s)
