"""Sampling steps of second order, and times to place them at.

All follow the probability flow of chapter 8, and each is a ``ddim_step`` with a better
guess. In the variables u = x_t / √(1 - ᾱ_t) and w = √(ᾱ_t / (1 - ᾱ_t)) the flow is
du/dw = x̂_0, and a DDIM step is Euler's method: it takes the guess at the beginning of
the step for the guess all along it. ``heun_step`` takes the mean of the guesses at both
ends, ``Multistep`` extrapolates from the step before to the middle.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddpm_course.flows import mean_guess
from ddpm_course.parameterization import Denoise
from ddpm_course.sampling import ddim_step, sparse_times
from ddpm_course.schedules import NoiseSchedule

SPACINGS = ("time", "log-snr", "karras")


def heun_step(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    x_t: Tensor,
    x0_hat: Tensor,
    t: int,
    s: int,
    z: Tensor,
) -> Tensor:
    """To x_s with the mean of the guesses at t and s (equation ``heun``).

    A step for ``sample`` with its denoiser bound, ``partial(heun_step, denoiser)``. It
    calls the denoiser once more, except in the step to s = 0, where the guess at t is
    the answer. The other arguments, the result and the errors are those of
    ``ddim_step``.
    """
    guess = mean_guess(denoiser, schedule, x_t, x0_hat, t, s)
    return ddim_step(schedule, x_t, guess, t, s, z)


class Multistep:
    """A step that remembers the last guess (equation ``multistep``).

    The guess is extrapolated along a straight line in the log-SNR, through this guess
    and the last one, to the middle of the step: DPM-Solver++ (2M) of Lu et al. (2022).
    One call of the denoiser a step. Make a new one for each chain: it goes on where its
    last step ended, and anywhere else it starts anew, with a ``ddim_step``.
    """

    def __init__(self) -> None:
        self._last: tuple[int, int, Tensor] | None = None

    def __call__(
        self,
        schedule: NoiseSchedule,
        x_t: Tensor,
        x0_hat: Tensor,
        t: int,
        s: int,
        z: Tensor,
    ) -> Tensor:
        """x_s; arguments, result and errors are those of ``ddim_step``."""
        guess = x0_hat
        if self._last and self._last[1] == t and s > 0:
            before, _, x0_before = self._last
            log_snrs = [log_snr(schedule, time) for time in (before, t, s)]
            guess = extrapolate(x0_before, x0_hat, *log_snrs)
        self._last = (t, s, x0_hat)
        return ddim_step(schedule, x_t, guess, t, s, z)


def extrapolate(
    x0_before: Tensor, x0_hat: Tensor, before: float, here: float, there: float
) -> Tensor:
    """The guess in the middle of the step ahead (equation ``multistep``).

    It is read off the line through the last two guesses, at the log-SNRs ``before`` and
    ``here``; the step leads from ``here`` to ``there``.
    """
    return x0_hat + (there - here) / (2 * (here - before)) * (x0_hat - x0_before)


def log_snr(schedule: NoiseSchedule, t: int) -> float:
    """λ_t = log(ᾱ_t / (1 - ᾱ_t)) at t in 1 … T (equation ``log-snr``).

    It is -inf where ᾱ_t is 0.
    """
    abar = schedule.numbers[t]
    return math.log(abar) - math.log1p(-abar) if abar else -math.inf


def spaced_times(
    schedule: NoiseSchedule, steps: int, spacing: str, sigma_max: float = math.inf
) -> list[int]:
    """Times T, …, 1, 0 for a chain of ``steps`` steps, ``steps + 1`` falling ints.

    Args:
        schedule: The noise schedule.
        steps: How many steps, in 2 … T.
        spacing: What is spread evenly: "time", from T to 0; "log-snr", from T to 1; or
            with "karras" the seventh root of σ = √((1 - ᾱ_t) / ᾱ_t), from T to 1, as
            Karras et al. (2022) do.
        sigma_max: Noisier times are passed in the first step, if they aren't spread
            evenly in time. Karras et al. take 80.

    Raises:
        ValueError: For another spacing or number of steps.
    """
    if spacing not in SPACINGS:
        known = ", ".join(map(repr, SPACINGS))
        raise ValueError(f"spacing={spacing!r}: expected one of {known}")
    if not (isinstance(steps, int) and 2 <= steps <= schedule.T):
        raise ValueError(f"steps={steps}: expected 2 … T = {schedule.T}")
    if not sigma_max > 0:
        raise ValueError(f"sigma_max={sigma_max}: expected a number > 0, such as 80")
    if spacing == "time":
        return sparse_times(schedule.T, steps)
    every = (log_snr(schedule, t) for t in range(1, schedule.T + 1))
    kept = [value for value in every if value >= -2 * math.log(sigma_max)]
    if not kept or kept[-1] == -math.inf:
        raise ValueError(
            f"sigma_max={sigma_max}: expected noise that the schedule has, and where "
            "alpha_bar[T] is 0 a finite number, such as 80"
        )
    scale = torch.tensor(kept, dtype=torch.float64, device="cpu")
    scale = scale if spacing == "log-snr" else (-scale / 14).exp()
    first = [schedule.T] if len(kept) < schedule.T else []
    inner = torch.linspace(0, 1, steps - len(first), dtype=scale.dtype, device="cpu")
    wanted = scale[0] + inner.flip(0) * (scale[-1] - scale[0])
    times = [1 + int((scale - value).abs().argmin()) for value in wanted]
    times = [*first, *times, 0]
    for i in range(steps - 2, -1, -1):  # move apart what fell on one time
        times[i] = max(times[i], times[i + 1] + 1)
    return [min(t, schedule.T - i) for i, t in enumerate(times)]
