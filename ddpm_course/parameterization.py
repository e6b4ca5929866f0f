"""x_0, ε, v and the score: four views of one quantity, given x_t and t.

Each says where on the line x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε the noisy x_t stands, so
a network may predict any of them. A sampler asks for x̂_0 alone: ``Denoiser``
turns a network of any kind into a function (x_t, t) → x̂_0.

Everywhere below the data have one shape (batch, …), float32 or float64, and ``t``
is an int or an int64 tensor (batch,) in 1 … T; anything else raises TypeError or
ValueError. The result has the shape of the data.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_course.checks import (
    check_data,
    check_form,
    check_network,
    check_time,
)
from ddpm_course.posterior import mean_coefficients, posterior_mean, reverse_variance
from ddpm_course.schedules import NoiseSchedule, along_batch

KINDS = ("eps", "x0", "v")


def _signal_and_noise(
    schedule: NoiseSchedule, t: int | Tensor, **data: Tensor
) -> tuple[Tensor, Tensor]:
    """√ᾱ_t and √(1 - ᾱ_t), shaped to multiply the data, after checking it."""
    check_data(schedule, **data)
    like = next(iter(data.values()))
    check_time(schedule, t, like)
    abar = schedule.alpha_bar[t]
    return along_batch(abar.sqrt(), like), along_batch((1 - abar).sqrt(), like)


def x0_from_eps(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """x_0 of x_t and ε (equation ``x0-from-eps``; slides, reverse process 10).

    Errors of ε are multiplied by √((1 - ᾱ_t) / ᾱ_t): ill-conditioned near t = T.
    """
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, eps=eps)
    return (x_t - noise * eps) / signal


def eps_from_x0(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, x0: Tensor
) -> Tensor:
    """ε of x_t and x_0 (equation ``eps-from-x0``).

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
    """x_0 of x_t and v (equation ``x0-from-v``): well-conditioned at every t."""
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, v=v)
    return signal * x_t - noise * v


def eps_from_v(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, v: Tensor
) -> Tensor:
    """ε of x_t and v (equation ``eps-from-v``): well-conditioned at every t."""
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, v=v)
    return noise * x_t + signal * v


def score_from_eps(schedule: NoiseSchedule, t: int | Tensor, eps: Tensor) -> Tensor:
    """∇ log q(x_t | x_0), or of q(x_t) for ε = E[ε | x_t] (equation ``score``)."""
    _, noise = _signal_and_noise(schedule, t, eps=eps)
    return -eps / noise


def x0_from_score(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, score: Tensor
) -> Tensor:
    """x_0 of x_t and the score (equation ``tweedie``)."""
    signal, noise = _signal_and_noise(schedule, t, x_t=x_t, score=score)
    return (x_t + noise**2 * score) / signal


def mean_from_x0(
    schedule: NoiseSchedule,
    x_t: Tensor,
    t: int | Tensor,
    x0_hat: Tensor,
    s: int | Tensor | None = None,
) -> Tensor:
    """The model's mean of x_{t-1}, from a predicted x_0 (equation ``mean-x0``).

    The posterior mean with x̂_0 in the place of x_0; elbo, section 3. With ``s``, the
    mean of x_s at that earlier time.
    """
    return posterior_mean(schedule, x0_hat, x_t, t, s)


def mean_from_eps(
    schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, eps_hat: Tensor
) -> Tensor:
    """The model's mean of x_{t-1}, from a predicted ε (equation ``mean-eps``).

    Slides, reverse process 13.
    """
    check_data(schedule, x_t=x_t, eps_hat=eps_hat)
    check_time(schedule, t, x_t)
    on_eps = schedule.beta[t] / (1 - schedule.alpha_bar[t]).sqrt()
    kept = schedule.alpha[t].sqrt()
    return (x_t - along_batch(on_eps, x_t) * eps_hat) / along_batch(kept, x_t)


def loss_weight(
    schedule: NoiseSchedule, t: int | Tensor, kind: str, variance: str
) -> Tensor:
    """w_t of L_{t-1} = w_t ‖target - prediction‖², in nats: float64, shape of t.

    Equations ``loss-eps``, ``loss-x0``, ``loss-v``, ``loss-snr``. ``kind`` is what the
    network predicts, "eps", "x0" or "v"; ``variance`` is σ_t², "beta" or
    "beta_tilde". With "beta" a part of L_{t-1} that no network can change is left
    out. At t = 1, where L_0 takes the place of a KL divergence, the weight is that
    of -log p_θ(x_0 | x_1); with "beta_tilde" it is infinite: p_θ is then a point.
    Raises ValueError for another kind, variance or time.
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


class Denoiser:
    """A network of any kind as a function (x_t, t) → x̂_0, all that samplers ask for.

    ``network(x_t, t)`` gets x_t of shape (batch, …) and int64 times (batch,), and
    returns its prediction of the ``kind`` "eps", "x0" or "v", of the shape of x_t.
    ``clip`` keeps x̂_0 inside (low, high), the range of the data; a number c means
    (-c, c). Raises ValueError for another kind, an empty range, or a network whose
    output has another shape.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor], Tensor],
        schedule: NoiseSchedule,
        kind: str = "eps",
        clip: float | tuple[float, float] | None = None,
    ) -> None:
        check_kind(kind)
        check_network(network, schedule)
        limits = (-clip, clip) if isinstance(clip, int | float) else clip
        if limits is not None and not limits[0] < limits[1]:
            raise ValueError(
                f"clip={clip}: expected low < high, the range of the data, such as "
                "(-1, 1), or one number > 0"
            )
        self.network, self.schedule = network, schedule
        self.kind, self.clip = kind, limits
        # x̂_0 is linear in x_t and the prediction: its coefficients at every t, made
        # once, are what the formula makes of (1, 0) and of (0, 1)
        t = torch.arange(1, schedule.T + 1, device=schedule.beta.device)
        one, zero = torch.ones_like(t, dtype=torch.float64), 0 * schedule.beta[1:]
        both = torch.stack([self._x0_hat(one, t, zero), self._x0_hat(zero, t, one)])
        self._tables = torch.cat([both[:, :1], both], dim=1)  # index = t
        # as numbers too: an int t then costs no look at a tensor, which may wait
        self._numbers = self._tables.T.tolist()
        self._times = torch.arange(schedule.T + 1, device=t.device).unbind()

    def __call__(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """x̂_0, of the shape and dtype of ``x_t`` (batch, …)."""
        check_form(self.schedule, x_t=x_t)
        check_time(self.schedule, t, x_t)
        prediction = self._predict(x_t, t)
        answer = {"network(x_t, t)": prediction.to(x_t.dtype)}
        check_data(self.schedule, x_t=x_t, **answer)
        return self._combine(x_t, t, prediction)

    def unchecked(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """The same x̂_0 without the checks, for the inside of a loop."""
        return self._combine(x_t, t, self._predict(x_t, t))

    def _predict(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        # expanded, so that a network can see that all share one time
        times = self._times[t].expand(len(x_t)) if isinstance(t, int) else t
        return self.network(x_t, times)

    def _combine(self, x_t: Tensor, t: int | Tensor, prediction: Tensor) -> Tensor:
        # a network may answer in 16 bits, under autocast: the sum is in x_t's precision
        if isinstance(t, int):
            on_x_t, on_prediction = self._numbers[t]
            x0_hat = (on_x_t * x_t).add_(prediction, alpha=on_prediction)
        else:
            on_x_t, on_prediction = (along_batch(v[t], x_t) for v in self._tables)
            x0_hat = on_x_t * x_t + on_prediction * prediction.to(x_t.dtype)
        return x0_hat if self.clip is None else x0_hat.clamp(*self.clip)

    def _x0_hat(self, x_t: Tensor, t: Tensor, prediction: Tensor) -> Tensor:
        if self.kind == "x0":
            return prediction
        formula = x0_from_eps if self.kind == "eps" else x0_from_v
        return formula(self.schedule, x_t, t, prediction)


def check_kind(kind: str) -> None:
    """Raise ValueError unless ``kind`` is "eps", "x0" or "v"."""
    if kind not in KINDS:
        raise ValueError(
            f"kind={kind!r}: a network predicts one of {', '.join(map(repr, KINDS))}"
        )
