"""The exact denoiser: data whose E[x_0 | x_t] is known without any network.

For a mixture of Gaussians, everything a network is trained to predict has a closed
form. Given its component k, x_0 ~ N(m_k, s_k² I) and x_t are jointly Gaussian, so
x_t ~ N(√ᾱ_t m_k, v_k I) with v_k = ᾱ_t s_k² + 1 - ᾱ_t, and

    E[x_0 | x_t, k]   = ((1 - ᾱ_t) m_k + √ᾱ_t s_k² x_t) / v_k,
    Var[x_0 | x_t, k] = (1 - ᾱ_t) s_k² / v_k        for every coordinate.

What remains is an average over r_k = P(k | x_t), a softmax over the components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ddpm_course.checks import check_data, check_schedule, check_time
from ddpm_course.parameterization import Denoise, score_from_eps
from ddpm_course.schedules import NoiseSchedule, along_batch, is_real


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """The density Σ_k w_k N(m_k, s_k² I), and everything that follows when it diffuses.

    Methods take x of shape (batch, D) or (batch, …), float32 or float64, compute in
    float64 and answer in the dtype of x. ``t`` is an int or an int64 tensor (batch,) in
    1 … T. Anything else raises TypeError or ValueError.

    Args:
        weights: Shape (K,), >= 0, with sum 1.
        means: Shape (K, D), or (K, …) with the shape of an image.
        stds: Shape (K,), >= 0, or one number for all; 0 makes a component a point.

    Raises:
        TypeError: If one of them is not made of real numbers.
        ValueError: If a shape is wrong or a number out of range.
    """

    weights: Tensor
    means: Tensor
    stds: Tensor

    def __post_init__(self) -> None:
        means = _as_float64("means", self.means)
        weights = _as_float64("weights", self.weights).to(means.device)
        stds = _as_float64("stds", self.stds).to(means.device)
        _check_mixture(weights, means, stds)
        parts = {"weights": weights, "means": means, "stds": stds.expand(len(weights))}
        for name, values in parts.items():
            # copies: the caller's tensors may change, a value does not
            object.__setattr__(self, name, values.clone())

    @classmethod
    def of_points(cls, points: Tensor) -> GaussianMixture:
        """A finite data set, (N, D) or (N, …), every point equally likely.

        Its exact denoiser answers with an average of the points themselves.
        """
        points = _as_float64("means", points)
        weights = points.new_ones(points.shape[:1])
        return cls(weights / weights.numel(), points, points.new_zeros(()))

    @classmethod
    def ring(
        cls, modes: int = 8, radius: float = 1.0, std: float = 0.05
    ) -> GaussianMixture:
        """Equal Gaussians on a circle in the plane, the first at (radius, 0)."""
        _check_count("modes", modes)
        for name, value in (("radius", radius), ("std", std)):
            if not (is_real(value) and 0 <= value < math.inf):
                raise ValueError(f"{name}={value!r}: expected a number >= 0")
        k = torch.arange(modes, dtype=torch.float64, device="cpu")
        angle = 2 * math.pi / modes * k
        means = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
        return cls(torch.full_like(angle, 1 / modes), means, means.new_tensor(std))

    def to(self, device: torch.device | str) -> GaussianMixture:
        """The same mixture with its tensors on another device."""
        return GaussianMixture(
            self.weights.to(device), self.means.to(device), self.stds.to(device)
        )

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent draws of x_0: float64, shape (n, D) or (n, …)."""
        _check_count("n", n)
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        means = self.means[k]
        eps = torch.empty_like(means).normal_(generator=generator)
        return means + along_batch(self.stds[k], means) * eps

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x_0) in nats, shape (batch,).

        Raises:
            ValueError: If a std is 0, since a point has no density.
        """
        self._check_x("x", x)
        if (self.stds == 0).any():
            raise ValueError(
                "stds contains 0: a point has no density. Use larger stds, or "
                "log_prob_t, the density of x_t, at t >= 1"
            )
        log_joint, _ = self._log_joint(x, self.weights.new_ones(1, 1))
        return log_joint.logsumexp(dim=1).to(x.dtype)

    def log_prob_t(
        self, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor
    ) -> Tensor:
        """log q(x_t) in nats, shape (batch,): Σ_k w_k N(x_t; √ᾱ_t m_k, v_k I)."""
        log_joint, _ = self._log_joint(x_t, self._alpha_bar(schedule, x_t, t))
        return log_joint.logsumexp(dim=1).to(x_t.dtype)

    def x0_mean(self, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor) -> Tensor:
        """E[x_0 | x_t] = Σ_k r_k E[x_0 | x_t, k], of the shape of x_t.

        No function of (x_t, t) has a smaller E‖x_0 - x̂_0‖².
        """
        x, abar, r, v = self._posterior(schedule, x_t, t)
        on_x_t = abar.sqrt() * (r / v) @ self.stds[:, None] ** 2
        mean = (1 - abar) * (r / v) @ self.means.flatten(1) + on_x_t * x
        return mean.to(x_t.dtype).reshape(x_t.shape)

    def x0_variance(
        self, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor
    ) -> Tensor:
        """Var[x_0 | x_t] of every coordinate, of the shape of x_t.

        The law of total variance: Σ_k r_k (Var[x_0 | x_t, k] + (E[x_0 | x_t, k] -
        E[x_0 | x_t])²). Averaged over x_t, it is the floor of the x_0 loss: what
        remains when the network is perfect.
        """
        x, abar, r, v = self._posterior(schedule, x_t, t)
        mean = self.x0_mean(schedule, x_t.double(), t).flatten(1)
        variance = torch.zeros_like(x)
        # one component at a time: (batch, K, D) at once may not fit in memory
        for k, (m, s) in enumerate(zip(self.means.flatten(1), self.stds, strict=True)):
            r_k, v_k = r[:, k, None], v[:, k, None]
            mean_k = ((1 - abar) * m + abar.sqrt() * s**2 * x) / v_k
            variance = variance + r_k * ((1 - abar) * s**2 / v_k + (mean_k - mean) ** 2)
        return variance.to(x_t.dtype).reshape(x_t.shape)

    def eps_mean(self, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor) -> Tensor:
        """E[ε | x_t] = Σ_k r_k √(1 - ᾱ_t) (x_t - √ᾱ_t m_k) / v_k, shaped like x_t."""
        x, abar, r, v = self._posterior(schedule, x_t, t)
        center = abar.sqrt() * (r / v) @ self.means.flatten(1)
        eps = (1 - abar).sqrt() * ((r / v).sum(dim=1, keepdim=True) * x - center)
        return eps.to(x_t.dtype).reshape(x_t.shape)

    def score(self, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor) -> Tensor:
        """∇ log q(x_t), of the shape of x_t (equation ``score``, averaged over x_0).

        Equation ``tweedie`` turns it into E[x_0 | x_t].
        """
        return score_from_eps(schedule, t, self.eps_mean(schedule, x_t, t))

    def denoiser(self, schedule: NoiseSchedule) -> Denoise:
        """``x0_mean`` as a function (x_t, t) → x̂_0, all that samplers need."""
        check_schedule(schedule)
        return partial(self.x0_mean, schedule)

    def _posterior(
        self, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x_t as (batch, D), ᾱ_t as (batch or 1, 1), r_k and v_k; float64."""
        abar = self._alpha_bar(schedule, x_t, t)
        log_joint, v = self._log_joint(x_t, abar)
        return x_t.double().flatten(1), abar, log_joint.softmax(dim=1), v

    def _alpha_bar(
        self, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor
    ) -> Tensor:
        """ᾱ_t as (batch, 1), or (1, 1) for all, after checking the arguments."""
        check_data(schedule, x_t=x_t)
        check_time(schedule, t, x_t)
        self._check_x("x_t", x_t)
        return schedule.alpha_bar[t].reshape(-1, 1)

    def _log_joint(self, x: Tensor, abar: Tensor) -> tuple[Tensor, Tensor]:
        """log w_k N(x; √ᾱ m_k, v_k I), (batch, K), and v_k, (batch or 1, K)."""
        v = abar * self.stds**2 + (1 - abar)
        means = self.means.flatten(1)
        # ‖x - √ᾱ m‖ = √ᾱ ‖x / √ᾱ - m‖, so one set of means serves the whole batch. The
        # faster way, by a matrix product, would lose the digits of near points.
        signal = abar.sqrt().clamp(min=1e-100)  # also where ᾱ_T is 0
        distance = signal * torch.cdist(
            x.double().flatten(1) / signal,
            means,
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        log_normal = -(distance**2 / v + means.shape[1] * (2 * math.pi * v).log()) / 2
        return self.weights.log() + log_normal, v

    def _check_x(self, name: str, x: Tensor) -> None:
        if not isinstance(x, Tensor) or x.dtype not in (torch.float32, torch.float64):
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"{name} is {kind}: expected a float32 or float64 tensor")
        if x.shape[1:] != self.means.shape[1:]:
            wanted = ", ".join(map(str, ("batch", *self.means.shape[1:])))
            raise ValueError(
                f"{name} has shape {tuple(x.shape)}: expected ({wanted}), since the "
                f"means have shape {tuple(self.means.shape)}"
            )
        if x.device != self.means.device:
            raise ValueError(
                f"{name} is on {x.device}, the mixture on {self.means.device}: "
                f"use mixture.to({name}.device)"
            )


def _as_float64(name: str, values: object) -> Tensor:
    """A tensor where it is; a list, array or number on the CPU."""
    if not isinstance(values, Tensor):
        try:
            values = torch.tensor(np.asarray(values), device="cpu")
        except (TypeError, ValueError):
            raise TypeError(
                f"{name}={values!r:.60} is not made of numbers: expected a tensor, "
                "array or list of them"
            ) from None
    if values.is_complex():
        raise TypeError(f"{name} has dtype {values.dtype}: expected real numbers")
    return values.double()


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r}: expected an int >= 1")


def _check_mixture(weights: Tensor, means: Tensor, stds: Tensor) -> None:
    if means.ndim < 2 or 0 in means.shape:
        raise ValueError(
            f"means has shape {tuple(means.shape)}: expected (K, D) or (K, …), one row "
            "for each component; for numbers on a line use means[:, None]"
        )
    K = len(means)
    for name, values, also in (("weights", weights, (K,)), ("stds", stds, ())):
        if values.shape not in ((K,), also):
            raise ValueError(
                f"{name} has shape {tuple(values.shape)}: expected ({K},), one for "
                "each row of means; only stds may be one number for all"
            )
    if means.device.type == "meta":  # it has no values
        return
    for name, values in (("weights", weights), ("stds", stds)):
        if not (values >= 0).all():  # true for nan as well
            raise ValueError(f"{name} contains {values.min():g}: expected numbers >= 0")
    for name, values in (("means", means), ("stds", stds)):
        if not values.isfinite().all():
            raise ValueError(f"{name} contains nan or inf: expected finite numbers")
    if not abs(weights.sum() - 1) < 1e-6:
        raise ValueError(
            f"weights sum to {weights.sum():g}: expected 1; use weights / weights.sum()"
        )
