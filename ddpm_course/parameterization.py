"""x_0, ε, v and the score: four views of one quantity, given x_t and t.

Each says where on the line x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε the noisy x_t stands, so a
network may predict any of them. Samplers need only x̂_0: ``Denoiser`` turns a network
of any kind into a function (x_t, t) → x̂_0.

Below, all data have one shape (batch, …), float32 or float64, and ``t`` is an int or
an int64 tensor (batch,) in 1 … T; anything else raises TypeError or ValueError. The
result has the shape of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_course.checks import (
    check_data,
    check_form,
    check_network,
    check_shape,
    check_signal,
    check_time,
    is_finite,
)
from ddpm_course.posterior import mean_coefficients, posterior_mean, reverse_variance
from ddpm_course.schedules import (
    NoiseSchedule,
    along_batch,
    is_real,
    signal_and_noise,
)

KINDS = ("eps", "x0", "v")

#: A denoiser: any callable (x_t, t) → x̂_0, such as a ``Denoiser``, the exact one of
#: ``oracle``, or a function of your own. ``t`` is an int or an int64 tensor (batch,).
Denoise = Callable[[Tensor, "int | Tensor"], Tensor]


def x0_from_eps(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """x_0 from x_t and ε (equation ``x0-from-eps``; slides, reverse process 10).

    Errors of ε are multiplied by √((1 - ᾱ_t) / ᾱ_t): ill-conditioned near t = T.
    """
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, eps=eps)
    check_signal(schedule, t)
    return (x_t - noise * eps) / signal


def eps_from_x0(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, x0: Tensor
) -> Tensor:
    """ε from x_t and x_0 (equation ``eps-from-x0``).

    Errors of x_0 are multiplied by √(ᾱ_t / (1 - ᾱ_t)): ill-conditioned near t = 1.
    """
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, x0=x0)
    return (x_t - signal * x0) / noise


def v_from_x0_eps(
    schedule: NoiseSchedule, x0: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """The velocity v = √ᾱ_t ε - √(1 - ᾱ_t) x_0 (equation ``v``)."""
    signal, noise = _signal_and_noise(schedule, t, x0=x0, eps=eps)
    return signal * eps - noise * x0


def x0_from_v(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, v: Tensor
) -> Tensor:
    """x_0 from x_t and v (equation ``x0-from-v``): well-conditioned at every t."""
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, v=v)
    return signal * x_t - noise * v


def eps_from_v(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, v: Tensor
) -> Tensor:
    """ε from x_t and v (equation ``eps-from-v``): well-conditioned at every t."""
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, v=v)
    return noise * x_t + signal * v


def score_from_eps(schedule: NoiseSchedule, t: int | Tensor, eps: Tensor) -> Tensor:
    """∇ log q(x_t | x_0), or of q(x_t) for ε = E[ε | x_t] (equation ``score``)."""
    _, noise = _signal_and_noise(schedule, t, eps=eps)
    return -eps / noise


def x0_from_score(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, score: Tensor
) -> Tensor:
    """x_0 from x_t and the score (equation ``tweedie``)."""
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, score=score)
    check_signal(schedule, t)
    return (x_t + noise**2 * score) / signal


def _signal_and_noise(
    schedule: NoiseSchedule, t: int | Tensor, **data: Tensor
) -> tuple[float | Tensor, float | Tensor]:
    """√ᾱ_t and √(1 - ᾱ_t), shaped to multiply the data, after checking it."""
    check_data(schedule, **data)
    like = next(iter(data.values()))
    check_time(schedule, t, like)
    return signal_and_noise(schedule, t, like)


def mean_from_x0(
    schedule: NoiseSchedule,
    x_t: Tensor,
    t: int | Tensor,
    x0_hat: Tensor,
    s: int | Tensor | None = None,
) -> Tensor:
    """The model's mean of x_{t-1}, from a predicted x_0 (equation ``mean-x0``).

    The posterior mean with x̂_0 in place of x_0 (elbo, section 3). With an earlier time
    ``s`` it is the mean of x_s.
    """
    check_data(schedule, x_t=x_t, x0_hat=x0_hat)
    return posterior_mean(schedule, x0_hat, x_t, t, s)


def mean_from_eps(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, eps_hat: Tensor
) -> Tensor:
    """The model's mean of x_{t-1}, from a predicted ε (equation ``mean-eps``).

    Slides, reverse process 13.
    """
    check_data(schedule, x_t=x_t, eps_hat=eps_hat)
    check_time(schedule, t, x_t)
    check_signal(schedule, t)
    on_eps = schedule.beta[t] / (1 - schedule.alpha_bar[t]).sqrt()
    kept = schedule.alpha[t].sqrt()
    return (x_t - along_batch(on_eps, x_t) * eps_hat) / along_batch(kept, x_t)


def loss_weight(
    schedule: NoiseSchedule, t: int | Tensor, kind: str, variance: str
) -> Tensor:
    """The weight w_t in L_{t-1} = w_t ‖target - prediction‖².

    Equations ``loss-eps``, ``loss-x0``, ``loss-v``, ``loss-snr``. With "beta", the part
    of L_{t-1} that no network can change is left out. At t = 1, where L_0 takes the
    place of a KL divergence, the weight is that of -log p_θ(x_0 | x_1); with
    "beta_tilde" it is infinite, since p_θ is then a point.

    Args:
        schedule: The noise schedule.
        t: An int, or int64 (batch,), in 1 … T.
        kind: What the network predicts: "eps", "x0" or "v".
        variance: σ_t²: "beta" or "beta_tilde".

    Returns:
        float64 of the shape of ``t``, in nats.

    Raises:
        TypeError, ValueError: If a time, kind or variance makes no sense.
    """
    check_kind(kind)
    sigma2 = reverse_variance(schedule, t, variance)
    on_x0, _ = mean_coefficients(schedule, t)
    return on_x0**2 / (2 * sigma2) * _x0_error(schedule, t, kind)


def _x0_error(schedule: NoiseSchedule, t: int | Tensor, kind: str) -> Tensor:
    """‖x_0 - x̂_0‖² over the squared error of a prediction of that kind."""
    abar = schedule.alpha_bar[t]
    if kind == "eps":
        return (1 - abar) / abar
    return 1 - abar if kind == "v" else torch.ones_like(abar)


@dataclass(frozen=True, eq=False)
class Denoiser:
    """A network of any kind as a function (x_t, t) → x̂_0, all that samplers need.

    A value: to change anything, make another one.

    Args:
        network: Called as ``network(x_t, t)`` with x_t (batch, …) and int64 times
            (batch,); returns its prediction, of the shape of x_t.
        schedule: The noise schedule that it was trained with.
        kind: What it predicts: "eps", "x0" or "v".
        clip: Keeps x̂_0 inside (low, high), the range of the data; a number c means
            (-c, c). None leaves it alone.

    Raises:
        TypeError, ValueError: For another kind, an empty range, a schedule on another
            device, or, when called, an answer that is no tensor of the right shape or
            not finite.
    """

    network: Callable[[Tensor, Tensor], Tensor]
    schedule: NoiseSchedule
    kind: str = "eps"
    clip: float | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_kind(self.kind)
        check_network(self.network, self.schedule)
        limits = _limits(self.clip)
        if limits and not (all(map(is_real, limits)) and limits[0] < limits[1]):
            raise ValueError(
                f"clip={self.clip}: expected low < high, the range of the data, such "
                "as (-1, 1), or one number > 0"
            )

    def __call__(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """x̂_0, of the shape and dtype of ``x_t`` (batch, …)."""
        check_form(self.schedule, x_t=x_t)
        check_time(self.schedule, t, x_t)
        prediction = self.network(x_t, as_batch(t, x_t))
        check_shape("network(x_t, t)", prediction, x_t)
        # under autocast the network answers in 16 bits; the arithmetic is in x_t's
        prediction = prediction.to(x_t.dtype)
        signal, noise = signal_and_noise(self.schedule, t, x_t)
        if self.kind == "eps":
            check_signal(self.schedule, t)
            x0_hat = (x_t - noise * prediction) / signal  # as in x0_from_eps
        elif self.kind == "v":
            x0_hat = signal * x_t - noise * prediction  # as in x0_from_v
        else:
            x0_hat = prediction
        if not is_finite(x0_hat):  # one look instead of two; now name the one to blame
            check_data(self.schedule, **{"x_t": x_t, "network(x_t, t)": prediction})
        limits = _limits(self.clip)
        return x0_hat.clamp(*limits) if limits else x0_hat


def _limits(clip: float | tuple[float, float] | None) -> tuple[float, float] | None:
    if clip is None or (isinstance(clip, tuple | list) and len(clip) == 2):
        return clip
    return (-clip, clip) if is_real(clip) else (math.nan, math.nan)


def as_batch(t: int | Tensor, x: Tensor) -> Tensor:
    """The time of each element of ``x`` (batch, …): int64, shape (batch,).

    A time that all share is one number in memory, expanded, so that a network may look
    it up once.
    """
    if isinstance(t, Tensor):
        return t
    return torch.full((1,), t, dtype=torch.int64, device=x.device).expand(len(x))


def check_kind(kind: str) -> None:
    """Raise ValueError unless ``kind`` is "eps", "x0" or "v"."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"kind={kind!r}: a network predicts one of {', '.join(map(repr, KINDS))}"
        )
