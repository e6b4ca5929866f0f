"""Conditions: a network that is told a label, and guidance toward one.

Bayes' rule for x_t says that ∇ log q(x_t | y) = ∇ log q(x_t) + ∇ log p(y | x_t), and
a score is a guess of x_0 in disguise (equation ``tweedie``):

    E[x_0 | x_t, y] = E[x_0 | x_t] + (1 - ᾱ_t) / √ᾱ_t ∇ log p(y | x_t).

So a condition shifts x̂_0, and guidance multiplies the shift by a scale w. Everywhere
w = 0 is unconditional, w = 1 is conditional, and w > 1 exaggerates. Each function makes
a denoiser (x_t, t) → x̂_0, which samplers take like any other. With ``clip`` the
result stays inside (-clip, clip), also where the shift leads out of the data's range.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_course.checks import (
    check_callable,
    check_data,
    check_schedule,
    check_shape,
    check_signal,
    check_time,
)
from ddpm_course.parameterization import Denoise, as_batch
from ddpm_course.schedules import NoiseSchedule, along_batch, is_real


def labeled(
    network: Callable[..., Tensor], label: int | Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """A network (x_t, t, label) as a function of (x_t, t), for ``Denoiser``.

    Args:
        network: Such as a ``UNet`` with classes.
        label: The class of every image, or int64 (batch,): then sample with
            ``chunk=len(x)``, all in one call. -1 means no label.

    Raises TypeError if the network can't be called, or for a label of another type.
    """
    check_callable("network", network)
    if type(label) is not int and not isinstance(label, Tensor):
        kind = type(label).__name__
        raise TypeError(f"label={label!r} is a {kind}: expected an int or int64 tensor")

    def told(x_t: Tensor, t: Tensor) -> Tensor:
        return network(x_t, t, as_batch(label, x_t))

    return told


def guided(
    told: Denoise,
    untold: Denoise,
    w: float,
    times: tuple[int, int] | None = None,
    clip: float | None = None,
) -> Denoise:
    """Classifier-free guidance: x̂_0(∅) + w (x̂_0(y) - x̂_0(∅)).

    The difference is what the condition adds. The same holds for ε̂, v̂ and the score,
    since each is an affine function of x̂_0.

    Args:
        told: The denoiser that knows the condition, x̂_0(y).
        untold: The one that doesn't, x̂_0(∅).
        w: The scale: 0 is ``untold``, 1 is ``told``.
        times: First and last time at which to guide; ``told`` answers at the others.
        clip: Limit of the result.

    Raises:
        TypeError, ValueError: If an argument is of another type or range.
    """
    check_callable("told", told)
    check_callable("untold", untold)
    _check_scale("w", w)
    _check_times(times)
    _check_clip(clip)

    def denoiser(x_t: Tensor, t: int | Tensor) -> Tensor:
        scale = _scale(w, times, t)
        x0_told = told(x_t, t)
        check_shape("told(x_t, t)", x0_told, x_t)
        if isinstance(scale, float) and scale == 1:  # half the work
            return _clipped(x0_told, clip)
        x0_untold = untold(x_t, t)
        check_shape("untold(x_t, t)", x0_untold, x_t)
        x0_hat = x0_untold + along_batch(scale, x_t) * (x0_told - x0_untold)
        return _clipped(x0_hat, clip)

    return denoiser


def classifier_guided(
    denoiser: Denoise,
    log_prob: Callable[[Tensor, int | Tensor], Tensor],
    schedule: NoiseSchedule,
    w: float = 1.0,
    clip: float | None = None,
) -> Denoise:
    """Classifier guidance: x̂_0 + w (1 - ᾱ_t) / √ᾱ_t ∇ log p(y | x_t).

    Args:
        denoiser: The unconditional one.
        log_prob: (x_t, t) → log p(y | x_t), shape (batch,), in nats: a differentiable
            classifier of noisy data, at the class that is wanted.
        schedule: The noise schedule.
        w: The scale: 0 is unconditional, 1 is Bayes' rule.
        clip: Limit of the result.

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range, or,
            when called, if ᾱ_t is 0.
    """
    check_callable("denoiser", denoiser)
    check_callable("log_prob", log_prob)
    check_schedule(schedule)
    _check_scale("w", w)
    _check_clip(clip)

    def shifted(x_t: Tensor, t: int | Tensor) -> Tensor:
        on_score = x0_per_score(schedule, x_t, t)
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            value = log_prob(x, t)
            _check_log_prob(value, x)
            (gradient,) = torch.autograd.grad(value.sum(), x)
        x0_hat = denoiser(x_t, t)
        check_shape("denoiser(x_t, t)", x0_hat, x_t)
        return _clipped(x0_hat + w * on_score * gradient, clip)

    return shifted


def measured(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    residual: Callable[[Tensor], Tensor],
    strength: float | Callable[[int | Tensor], float | Tensor],
    clip: float | None = None,
) -> Denoise:
    """Posterior sampling for a measurement y = A x_0 + noise.

    Nobody knows p(y | x_t). Take y as Gaussian around A x̂_0(x_t), so that
    log p(y | x_t) = -strength ‖y - A x̂_0(x_t)‖² up to a constant, and shift x̂_0 by
    Bayes' rule as ``classifier_guided`` does. The gradient goes through the denoiser,
    whose derivative is a covariance (equation ``tweedie-variance``): with the exact one
    x̂_0 moves by 2 strength Cov[x_0 | x_t] Aᵀ (y - A x̂_0).

    With measurement noise of variance σ², diffusion posterior sampling (DPS) takes the
    strength 1 / (2 σ²), as if x̂_0 were x_0: too much at large t. For Gaussian data and
    a number y, the strength 1 / (2 (σ² + Var[A x_0 | x_t])) is exact.

    Args:
        denoiser: A differentiable callable (x_t, t) → x̂_0, the unconditional one;
            where it clips x̂_0, there is no gradient.
        schedule: The noise schedule.
        residual: A differentiable function x̂_0 → y - A x̂_0, shape (batch, …). If
            each image has its own y, sample with ``chunk=len(x)``.
        strength: How much to trust the measurement: a number >= 0, or a function of t
            that returns one, or float64 (batch,).
        clip: Limit of the result.

    Raises:
        TypeError, ValueError: If an argument is of another type, shape or range, or,
            when called, if ᾱ_t is 0.
    """
    check_callable("denoiser", denoiser)
    check_callable("residual", residual)
    check_schedule(schedule)
    if not callable(strength):
        _check_scale("strength", strength)
    _check_clip(clip)

    def shifted(x_t: Tensor, t: int | Tensor) -> Tensor:
        on_score = x0_per_score(schedule, x_t, t)
        scale = along_batch(strength(t) if callable(strength) else strength, x_t)
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            x0_hat = denoiser(x, t)
            check_shape("denoiser(x_t, t)", x0_hat, x)
            if not x0_hat.requires_grad:
                raise ValueError("denoiser has no gradient: look for no_grad in it")
            error = residual(x0_hat).square().sum()
            (gradient,) = torch.autograd.grad(error, x)
        return _clipped(x0_hat.detach() - scale * on_score * gradient, clip)

    return shifted


def x0_per_score(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor
) -> float | Tensor:
    """(1 - ᾱ_t) / √ᾱ_t, by which x̂_0 moves if the score moves by 1.

    A number, or shaped to multiply ``x_t``. It follows from equation ``tweedie``.
    """
    check_data(schedule, x_t=x_t)
    check_time(schedule, t, x_t)
    check_signal(schedule, t)
    abar = schedule.abar(t)
    return along_batch((1 - abar) / abar**0.5, x_t)


def _scale(w: float, times: tuple[int, int] | None, t: int | Tensor) -> float | Tensor:
    """w where t is inside ``times``, else 1: a number, or a tensor like t."""
    if times is None:
        return float(w)
    first, last = times
    if isinstance(t, Tensor):
        inside = ((first <= t) & (t <= last)).double()
        return w * inside + (1 - inside)
    return float(w) if first <= t <= last else 1.0


def _check_scale(name: str, value: float) -> None:
    if not (is_real(value) and 0 <= value < float("inf")):
        raise ValueError(
            f"{name}={value!r}: expected a number >= 0, where 0 is unconditional"
        )


def _clipped(x0_hat: Tensor, clip: float | None) -> Tensor:
    return x0_hat if clip is None else x0_hat.clamp(-clip, clip)


def _check_clip(clip: float | None) -> None:
    if clip is not None and not (is_real(clip) and clip > 0):
        raise ValueError(f"clip={clip!r}: expected a number > 0, such as 1, or None")


def _check_times(times: tuple[int, int] | None) -> None:
    if times is None:
        return
    pair = isinstance(times, tuple | list) and len(times) == 2
    if not pair or any(type(t) is not int for t in times) or times[0] > times[1]:
        raise ValueError(
            f"times={times!r}: expected (first, last) with first <= last, or None"
        )


def _check_log_prob(value: Tensor, x_t: Tensor) -> None:
    if not isinstance(value, Tensor) or value.shape != x_t.shape[:1]:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        wanted = f"log p(y | x_t) of each element, shape ({len(x_t)},)"
        raise ValueError(f"log_prob(x_t, t) is {what}: expected {wanted}")
