"""Sampling: from noise to data, by calling the denoiser again and again.

A step leads from time t to any earlier time s. It is a function
``step(schedule, x_t, x0_hat, t, s, z)`` of the noisy data, the denoiser's x̂_0 and
standard normal noise ``z``: ``ancestral_step`` is the documents', with s = t - 1;
``ddim_step`` does without new noise. Options of a step are set with
``functools.partial``, as in ``partial(ancestral_step, variance="beta_tilde")``.

``x_t``, ``x0_hat`` and ``z`` have one shape (batch, …), float32 or float64; ``t`` and
``s`` are ints or int64 tensors (batch,) with 0 <= s < t <= T. The result has the shape
of the data. Anything else raises TypeError or ValueError.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from operator import index

import torch
from torch import Tensor
from tqdm import tqdm

from ddpm_course.checks import check_data, check_time
from ddpm_course.parameterization import Denoiser, eps_from_x0, mean_from_x0
from ddpm_course.posterior import posterior_variance, reverse_variance
from ddpm_course.schedules import NoiseSchedule, along_batch

#: (x_t, t) → x̂_0 for an int t, such as a ``Denoiser``, an exact one, or any function.
Denoise = Callable[[Tensor, int], Tensor]
Step = Callable[..., Tensor]

#: Numbers given to the denoiser in one call, so that its memory stays bounded; 668
#: images of 28 × 28. The U-Net of the book then takes about a gigabyte.
CALL_SIZE = 2**19


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

    Algorithm 2 of the slides; sampling, the complete inference algorithm.
    ``variance`` is σ², "beta" or "beta_tilde". The noise is added as it is given: at
    s = 0 it should be 0, as in ``sample``.
    """
    check_data(schedule, x_t=x_t, x0_hat=x0_hat, z=z)
    mean = mean_from_x0(schedule, x_t, t, x0_hat, s)
    sigma = reverse_variance(schedule, t, variance, s).sqrt()
    return mean + along_batch(sigma, x_t) * z


def ddim_step(
    schedule: NoiseSchedule,
    x_t: Tensor,
    x0_hat: Tensor,
    t: int | Tensor,
    s: int | Tensor,
    z: Tensor,
    eta: float = 0.0,
) -> Tensor:
    """To x_s along the noise that x_t has (equation ``ddim-step``).

    With ``eta`` = 0 nothing is drawn; with 1 it is the ancestral step with variance
    "beta_tilde", whatever the stride. Raises ValueError for an eta outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta={eta}: expected 0 (no new noise) … 1 (ancestral)")
    check_data(schedule, x_t=x_t, x0_hat=x0_hat, z=z)
    # ε of the x̂_0 at hand, not of the network: x̂_0 may have been clipped
    eps_hat = eps_from_x0(schedule, x_t, t, x0_hat)
    check_time(schedule, s, x_t, first=0, name="s")
    variance = eta**2 * posterior_variance(schedule, t, s)
    abar_s = schedule.alpha_bar[s]
    return (
        along_batch(abar_s.sqrt(), x_t) * x0_hat
        + along_batch((1 - abar_s - variance).sqrt(), x_t) * eps_hat
        + along_batch(variance.sqrt(), x_t) * z
    )


def sparse_times(T: int, steps: int) -> list[int]:
    """T, …, 0 in ``steps`` steps of nearly equal length: steps + 1 ints that fall.

    Raises ValueError unless 1 <= steps <= T.
    """
    if not 1 <= steps <= T:
        raise ValueError(f"steps={steps}: expected 1 … T = {T}")
    return [round(T * k / steps) for k in range(steps, -1, -1)]


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
    """The chain from ``x_T`` (n, …) back to data: yields (s, x_s, x̂_0) at each step.

    ``denoiser(x_t, t)`` gives x̂_0 for an int t. ``steps`` is the number of steps,
    evenly spread, or all times from T down to 0; every time is visited unless it is
    given. At most ``chunk`` elements go into one call; the noise does not depend on it.

    ``step`` must be linear in x_t, x̂_0 and z. It is called once, on the CPU, for all
    times: its coefficients are what the loop uses. Raises ValueError, at the first
    step, for one that is not linear, other times or sizes, a generator on another
    device, or a denoiser of another schedule. Warns of a network whose dropout is on.
    """
    _check_loop(denoiser, schedule, generator)
    times = _times(schedule.T, steps)
    if chunk is None:
        chunk = max(1, CALL_SIZE // max(1, x_T[:1].numel()))
    if chunk < 1:
        raise ValueError(f"chunk={chunk}: expected how many images a call, >= 1")
    # nan stays nan: looking at the first and the last step is enough, and quicker
    inside = denoiser.unchecked if type(denoiser) is Denoiser else denoiser
    x, z, numbers = x_T, torch.empty_like(x_T), _coefficients(step, schedule, times)
    bar = tqdm(pairwise(times), total=len(numbers), disable=not progress)
    for (t, s), (on_x_t, on_x0, sigma) in zip(bar, numbers, strict=True):
        with torch.no_grad():  # not around the yield: it would reach the caller
            at_an_end = t == schedule.T or s == 0
            guess = denoiser if at_an_end else inside
            if len(x) <= chunk:
                x0_hat = guess(x, t)
            else:
                x0_hat = torch.cat([guess(part, t) for part in x.split(chunk)])
            if at_an_end or x0_hat.shape != x.shape:
                check_data(schedule, x_t=x, x0_hat=x0_hat)
            x = (on_x_t * x).add_(x0_hat, alpha=on_x0)
            if sigma > 0:
                x = x.add_(z.normal_(generator=generator), alpha=sigma)
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
    """New data of ``shape`` (n, …), on the schedule's device; Algorithm 2 as it stands.

    x_T and all noise are drawn from ``generator``, which must live on that device:
    the same seed gives the same samples, to the last bit, and to rounding whatever
    ``chunk`` is. The other arguments are those of ``reverse_process``, which gives the
    states on the way too. Raises ValueError if the samples are not finite.
    """
    device = schedule.beta.device
    x_T = torch.empty(*shape, dtype=dtype, device=device).normal_(generator=generator)
    states = reverse_process(
        denoiser,
        schedule,
        x_T,
        step=step,
        steps=steps,
        chunk=chunk,
        generator=generator,
        progress=progress,
    )
    x_0 = x_T
    for _, x_0, _ in states:  # noqa: B007, the last one is the result
        pass
    if not x_0.isfinite().all():  # on a GPU this is the first look
        raise ValueError(
            "the samples contain nan or inf: look at the denoiser's answers with "
            "reverse_process, or clip them"
        )
    return x_0


def _check_loop(
    denoiser: Denoise, schedule: NoiseSchedule, generator: torch.Generator | None
) -> None:
    own = getattr(denoiser, "schedule", schedule)
    if own.beta.device != schedule.beta.device:
        raise ValueError(
            f"the denoiser's schedule is on {own.beta.device}, the other on "
            f"{schedule.beta.device}: sample with denoiser.schedule"
        )
    if own is not schedule and not torch.equal(own.alpha_bar, schedule.alpha_bar):
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
    if isinstance(network, torch.nn.Module) and any(
        isinstance(layer, torch.nn.Dropout) and layer.training and layer.p > 0
        for layer in network.modules()
    ):
        warnings.warn("dropout is on: call network.eval() first", stacklevel=3)


def _times(T: int, steps: int | Sequence[int] | None) -> list[int]:
    """The times that are visited, from T to 0."""
    if steps is None:
        return list(range(T, -1, -1))
    if not isinstance(steps, Sequence):
        return sparse_times(T, index(steps))
    times = [index(t) for t in steps]
    if times[:1] != [T] or times[-1] != 0 or any(s >= t for t, s in pairwise(times)):
        raise ValueError(
            f"steps={times}: expected a number of steps, or times that fall from "
            f"T = {T} to 0"
        )
    return times


def _coefficients(
    step: Step, schedule: NoiseSchedule, times: Sequence[int]
) -> list[tuple[float, ...]]:
    """What each step multiplies x_t, x̂_0 and z with: numbers, made once.

    A step is linear in the three, so they are what it makes of (1, 0, 0), (0, 1, 0)
    and (0, 0, 1), here for all times at once. A fourth call tells whether it is. The
    last step adds no noise.
    """
    n = len(times) - 1
    t, s = (torch.tensor(part).repeat(4) for part in (times[:-1], times[1:]))
    probe = torch.tensor([[300.0], [-500.0], [700.0]])  # out of any range of clipping
    x_t, x0, z = torch.cat([torch.eye(3), probe], 1).double().repeat_interleave(n, 1)
    *rows, fourth = step(schedule.to("cpu"), x_t, x0, t, s, z).reshape(4, n)
    combined = sum(p * row for p, row in zip(probe.flatten(), rows, strict=True))
    if not torch.allclose(combined, fourth, rtol=1e-6, atol=1e-6):
        raise ValueError(
            "step is not linear in x_t, x0_hat and z: to clip the guess, use "
            "Denoiser(..., clip=1)"
        )
    rows[2][-1] = 0
    return list(zip(*(row.tolist() for row in rows), strict=True))
