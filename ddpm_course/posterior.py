"""The posterior q(x_{t-1} | x_t, x_0): the step back, for one who knows x_0.

With ᾱ_0 = 1 the step t = 1 needs no special case: there the mean is x_0 and the
variance 0, both to the last bit. For this β_t is computed as 1 - α_t: at t = 1 it
is then the very number 1 - ᾱ_t, and their quotient is 1.

Every function takes an earlier time ``s`` too, an int or an int64 tensor (batch,) in
0 … t - 1, for the posterior q(x_s | x_t, x_0) of a step that skips the times between.
The steps from s to t are together one step with α = ᾱ_t / ᾱ_s, and the formulas stay.
"""

from __future__ import annotations

from torch import Tensor

from ddpm_course.checks import check_data, check_earlier, check_time
from ddpm_course.schedules import NoiseSchedule, along_batch


def posterior_mean(
    schedule: NoiseSchedule,
    x0: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    s: int | Tensor | None = None,
) -> Tensor:
    """The mean μ̃_t (equation ``posterior-mean``; slides, reverse process 9).

    ``x0`` and ``x_t`` have one shape (batch, …), float32 or float64; ``t`` is an
    int or an int64 tensor (batch,) in 1 … T. Returns the mean of x_{t-1}, or of x_s,
    of that shape. Raises TypeError or ValueError for anything else.
    """
    check_data(schedule, x0=x0, x_t=x_t)
    check_time(schedule, t, x0)
    if s is not None:
        check_time(schedule, s, x0, first=0, name="s")
    on_x0, on_x_t = mean_coefficients(schedule, t, s)
    return along_batch(on_x0, x0) * x0 + along_batch(on_x_t, x_t) * x_t


def mean_coefficients(
    schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What μ̃_t multiplies x_0 and x_t with: float64, of the shape of t.

    The range of ``t`` is the caller's to check (``check_time``).
    """
    alpha, abar, abar_prev = _step(schedule, t, s)
    on_x0 = (1 - alpha) * abar_prev.sqrt() / (1 - abar)
    on_x_t = (1 - abar_prev) * alpha.sqrt() / (1 - abar)
    return on_x0, on_x_t


def _step(
    schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """α of the step that leads to t, ᾱ_t, and ᾱ where the step began."""
    abar = schedule.alpha_bar[t]
    if s is None:
        return schedule.alpha[t], abar, schedule.alpha_bar[t - 1]
    check_earlier(schedule, t, s)
    abar_s = schedule.alpha_bar[s]
    return abar / abar_s, abar, abar_s


def _long_beta(schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor) -> Tensor:
    """The variance of the noise of all steps from s to t together."""
    return 1 - _step(schedule, t, s)[0]


def posterior_variance(
    schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor | None = None
) -> Tensor:
    """The variance β̃_t (equation ``posterior-variance``; slides, reverse process 8).

    ``t`` is an int or an int64 tensor (batch,) in 1 … T. Returns float64 of the
    shape of t; 0 for a step to the clean data. Raises TypeError or ValueError for
    anything else.
    """
    check_time(schedule, t)
    alpha, abar, abar_prev = _step(schedule, t, s)
    return (1 - abar_prev) / (1 - abar) * (1 - alpha)


def reverse_variance(
    schedule: NoiseSchedule,
    t: int | Tensor,
    variance: str,
    s: int | Tensor | None = None,
) -> Tensor:
    """σ_t² of the model's step p_θ(x_{t-1} | x_t): "beta" or "beta_tilde".

    Equation ``posterior-variance``; slides, reverse process 1. ``t`` is an int or
    an int64 tensor (batch,) in 1 … T. For a step to s, "beta" is the variance of the
    noise of all steps from s to t. Returns float64 of the shape of t. Raises
    ValueError for another name or time.
    """
    check_time(schedule, t)
    if variance == "beta":
        return schedule.beta[t] if s is None else _long_beta(schedule, t, s)
    if variance == "beta_tilde":
        return posterior_variance(schedule, t, s)
    raise ValueError(
        f"variance={variance!r}: no such choice of σ_t². Use 'beta' or 'beta_tilde'"
    )
