"""Sampling: from noise to data, one reverse step after another.

A step leads from time t to any earlier time s. It is a plain function

    step(schedule, x_t, x0_hat, t, s, z) -> x_s

of the noisy data, the denoiser's guess x̂_0 and standard normal noise ``z`` (zeros in
the last step). ``ancestral_step`` is the one of Algorithm 2, where s = t - 1;
``ddim_step`` adds no new noise. Set options with ``functools.partial``, as in
``partial(ancestral_step, variance="beta_tilde")``, or write a step of your own: the
loop calls it at every step, as it is.

Both steps are linear, x_s = on_x_t x_t + on_x0 x̂_0 + sigma z. Their coefficients come
from a function of their own, which takes whole arrays of times too. At int times they
are plain numbers, a microsecond of arithmetic on ᾱ_t and ᾱ_s, which the schedule holds
for all times: there is nothing to look up on a GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from operator import index
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ddpm_course.checks import (
    check_callable,
    check_data,
    check_earlier,
    check_form,
    check_schedule,
    check_shape,
    check_time,
    is_finite,
)
from ddpm_course.parameterization import Denoise
from ddpm_course.posterior import mean_coefficients, step_variance
from ddpm_course.schedules import NoiseSchedule, along_batch, is_real

Step = Callable[..., Tensor]
Coefficients: TypeAlias = "tuple[float | Tensor, float | Tensor, float | Tensor]"

#: Largest number of values per denoiser call, so that its memory stays bounded: 668
#: images of 28 × 28, for which the U-Net of the book takes about a gigabyte.
CALL_SIZE = 2**19


def ancestral_coefficients(
    schedule: NoiseSchedule,
    t: int | Tensor,
    s: int | Tensor,
    variance: str = "beta",
) -> Coefficients:
    """(on_x_t, on_x0, sigma) of the ancestral step: the posterior mean, and σ.

    Numbers for int times, float64 (batch,) for tensors of times. ``variance`` is σ²,
    "beta" or "beta_tilde".
    """
    on_x0, on_x_t = mean_coefficients(schedule, t, s)
    return on_x_t, on_x0, step_variance(schedule, t, variance, s) ** 0.5


def ddim_coefficients(
    schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor, eta: float = 0.0
) -> Coefficients:
    """(on_x_t, on_x0, sigma) of the DDIM step (``ddim-step``, ``ddim-sigma``).

    The guess x̂_0 keeps its share √ᾱ_s; the noise (x_t - √ᾱ_t x̂_0) / √(1 - ᾱ_t) that x_t
    has with this guess fills the rest of the variance 1 - ᾱ_s. As
    ``ancestral_coefficients`` otherwise; ``eta`` is the share of new noise, in [0, 1].
    """
    if not (is_real(eta) and 0 <= eta <= 1):
        raise ValueError(f"eta={eta}: expected 0 (no new noise) … 1 (ancestral)")
    sigma2 = eta**2 * step_variance(schedule, t, "beta_tilde", s)
    abar_t, abar_s = schedule.abar(t), schedule.abar(s)
    on_x_t = ((1 - abar_s - sigma2) / (1 - abar_t)) ** 0.5
    return on_x_t, abar_s**0.5 - on_x_t * abar_t**0.5, sigma2**0.5


def ancestral_step(
    schedule: NoiseSchedule,
    x_t: Tensor,
    x0_hat: Tensor,
    t: int | Tensor,
    s: int | Tensor,
    z: Tensor,
    variance: str = "beta",
) -> Tensor:
    """A draw from p_θ(x_s | x_t): mean + σ z (equation ``ancestral-step``).

    Line 4 of Algorithm 2 (slides; sampling, the complete inference algorithm), whose
    mean ``mean_from_eps`` computes from ε and this step from x̂_0. The noise is added as
    it is given: at s = 0 it should be 0, as it is in ``sample``.

    Args:
        schedule: The noise schedule.
        x_t: Noisy data, shape (batch, …), float32 or float64.
        x0_hat: The denoiser's guess, of that shape.
        t: An int, or int64 (batch,), in 1 … T.
        s: An earlier time, in 0 … t - 1.
        z: Standard normal noise of that shape.
        variance: σ²: "beta" or "beta_tilde".

    Returns:
        x_s, of the shape of ``x_t``.

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range.
    """
    coefficients = partial(ancestral_coefficients, variance=variance)
    return _linear_step(schedule, x_t, x0_hat, t, s, z, coefficients)


def ddim_step(
    schedule: NoiseSchedule,
    x_t: Tensor,
    x0_hat: Tensor,
    t: int | Tensor,
    s: int | Tensor,
    z: Tensor,
    eta: float = 0.0,
) -> Tensor:
    """To x_s along the noise that x_t already has (equation ``ddim-step``).

    With ``eta`` = 0 the step adds no noise; with 1 it is the ancestral step with
    variance "beta_tilde", for every stride. The other arguments, the result and the
    errors are those of ``ancestral_step``.
    """
    coefficients = partial(ddim_coefficients, eta=eta)
    return _linear_step(schedule, x_t, x0_hat, t, s, z, coefficients)


def _linear_step(
    schedule: NoiseSchedule,
    x_t: Tensor,
    x0_hat: Tensor,
    t: int | Tensor,
    s: int | Tensor,
    z: Tensor,
    coefficients: Callable[..., Coefficients],
) -> Tensor:
    """x_s = on_x_t x_t + on_x0 x̂_0 + sigma z, between the checks."""
    check_form(schedule, x_t=x_t, x0_hat=x0_hat, z=z)
    check_time(schedule, t, x_t)
    check_time(schedule, s, x_t, first=0, name="s")
    check_earlier(schedule, t, s)
    on_x_t, on_x0, sigma = coefficients(schedule, t, s)
    x_s = (
        along_batch(on_x_t, x_t) * x_t
        + along_batch(on_x0, x_t) * x0_hat
        + along_batch(sigma, x_t) * z
    )
    if not is_finite(x_s):  # one look instead of three; now name the one to blame
        check_data(schedule, x_t=x_t, x0_hat=x0_hat, z=z)
    return x_s


def reverse_process(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    x_T: Tensor,
    *,
    step: Step = ancestral_step,
    steps: int | Sequence[int] | None = None,
    chunk: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The chain from ``x_T`` back to data: Algorithm 2, state by state.

    Args:
        denoiser: Any callable (x_t, t) → x̂_0 for an int t.
        schedule: The noise schedule.
        x_T: Where the chain starts, shape (n, …), float32 or float64.
        step: A function (schedule, x_t, x0_hat, t, s, z) → x_s.
        steps: Number of sampling steps, evenly spread, or all times from T down to 0.
            By default every time is visited.
        chunk: Maximum number of elements per denoiser call. The noise does not depend
            on it.
        generator: Draws the noise; must live on the schedule's device.
        progress: Shows a progress bar.

    Yields:
        (s, x_s, x̂_0) after each step. The chain goes on from x_s: copy it before you
        change it in place.

    Raises:
        TypeError, ValueError: At the first step, for times, devices or a schedule that
            don't fit. At any step, for a result that changes shape.
    """
    _check_loop(denoiser, schedule, x_T, step, generator)
    denoise = in_chunks(denoiser, chunk)
    x, times = x_T, visited_times(schedule.T, steps)
    for t, s in tqdm(pairwise(times), total=len(times) - 1, disable=not progress):
        with torch.no_grad():
            x0_hat = denoise(x, t)
            z = _noise(x, generator) if s > 0 else torch.zeros_like(x)
            x = like("step(...)", step(schedule, x, x0_hat, t, s, z), x)
        yield s, x, x0_hat


def sample(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    *,
    step: Step = ancestral_step,
    steps: int | Sequence[int] | None = None,
    chunk: int | None = None,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> Tensor:
    """New data from noise: the end of ``reverse_process``, whose options it shares.

    The same seed gives the same samples, to the last bit, and up to rounding for every
    ``chunk``.

    Args:
        denoiser: Any callable (x_t, t) → x̂_0 for an int t.
        schedule: The noise schedule; the samples are on its device.
        shape: (n, …).
        step, steps, chunk, generator, progress: As in ``reverse_process``; the
            generator draws x_T too.
        dtype: float32 or float64.

    Returns:
        x_0, of that shape and dtype.

    Raises:
        TypeError, ValueError: As ``reverse_process`` does, and if a sample is not
            finite.
    """
    check_schedule(schedule)
    if not isinstance(shape, Sequence) or not all(isinstance(n, int) for n in shape):
        raise TypeError(f"shape={shape!r}: expected (n, …), such as (64, 1, 28, 28)")
    x = torch.randn(
        *shape, dtype=dtype, device=schedule.beta.device, generator=generator
    )
    states = reverse_process(
        denoiser,
        schedule,
        x,
        step=step,
        steps=steps,
        chunk=chunk,
        generator=generator,
        progress=progress,
    )
    for _, x, _ in states:  # noqa: B007, the last one is the result
        pass
    if not x.isfinite().all():  # on a GPU this is the first look
        raise ValueError(
            "the samples contain nan or inf: look at the denoiser's answers with "
            "reverse_process, or clip them"
        )
    return x


def sparse_times(T: int, steps: int) -> list[int]:
    """T, …, 0 in ``steps`` steps of nearly equal length: steps + 1 falling ints.

    Raises ValueError unless 1 <= steps <= T.
    """
    if not (isinstance(steps, int) and isinstance(T, int) and 1 <= steps <= T):
        raise ValueError(f"steps={steps}: expected 1 … T = {T}")
    return [round(T * k / steps) for k in range(steps, -1, -1)]


def visited_times(T: int, steps: int | Sequence[int] | None) -> list[int]:
    """The times of a chain, from T to 0: all, that many, or those that are given.

    Raises ValueError for times that don't fall from T to 0.
    """
    if steps is None:
        return list(range(T, -1, -1))
    if isinstance(steps, Tensor | np.ndarray):
        steps = steps.tolist()
    try:
        if not isinstance(steps, Sequence):
            return sparse_times(T, index(steps))
        times = [index(t) for t in steps]
    except TypeError:
        raise TypeError(
            f"steps={steps!r}: expected a number of steps, or times that fall from "
            f"T = {T} to 0"
        ) from None
    if times[:1] != [T] or times[-1] != 0 or any(s >= t for t, s in pairwise(times)):
        raise ValueError(
            f"steps={times}: expected a number of steps, or times that fall from "
            f"T = {T} to 0"
        )
    return times


def in_chunks(denoiser: Denoise, chunk: int | None = None) -> Denoise:
    """The same denoiser, given at most ``chunk`` elements at a time.

    By default as many as make up ``CALL_SIZE`` numbers. Raises ValueError for
    chunk < 1.
    """
    if chunk is not None and not (isinstance(chunk, int) and chunk >= 1):
        raise ValueError(f"chunk={chunk}: expected how many images a call, >= 1")

    def denoise(x_t: Tensor, t: int | Tensor) -> Tensor:
        size = chunk or max(1, CALL_SIZE // max(1, x_t[:1].numel()))
        if len(x_t) <= size:
            return like("denoiser(x_t, t)", denoiser(x_t, t), x_t)
        parts = x_t.split(size)
        times = t.split(size) if isinstance(t, Tensor) else [t] * len(parts)
        return torch.cat([denoise(x, s) for x, s in zip(parts, times, strict=True)])

    return denoise


def like(call: str, result: Tensor, x_t: Tensor) -> Tensor:
    """What ``call`` returned, in the dtype of x_t. Raises unless it has its shape."""
    check_shape(call, result, x_t)
    return result.to(x_t.dtype)


def _noise(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)


def _check_loop(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    x_T: Tensor,
    step: Step,
    generator: torch.Generator | None,
) -> None:
    check_data(schedule, x_T=x_T)
    check_callable("denoiser", denoiser)
    check_callable("step", step)
    if not isinstance(generator, torch.Generator | None):
        raise TypeError(
            f"generator is a {type(generator).__name__}: expected a torch.Generator"
        )
    own = getattr(denoiser, "schedule", schedule)
    if own.beta.device != schedule.beta.device:
        raise ValueError(
            f"the denoiser's schedule is on {own.beta.device}, the other on "
            f"{schedule.beta.device}: sample with denoiser.schedule"
        )
    if own.numbers != schedule.numbers:
        raise ValueError(
            "the denoiser was made with another schedule: sample with that one"
        )
    device = schedule.beta.device.type
    if generator is not None and generator.device.type != device:
        raise ValueError(
            f"the generator is on {generator.device}, the schedule on {device}: use "
            f"torch.Generator({device!r})"
        )
    network = getattr(denoiser, "network", None)
    if isinstance(network, nn.Module) and any(
        layer.training and (isinstance(layer, _NORMS) or getattr(layer, "p", 0) > 0)
        for layer in network.modules()
        if isinstance(layer, _DROPOUTS + _NORMS)
    ):
        warnings.warn(
            "dropout is on, or a batch norm: call network.eval() first", stacklevel=3
        )


#: Layers that compute something else while training.
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
