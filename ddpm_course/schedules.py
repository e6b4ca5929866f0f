"""Noise schedules: how much noise each step of the forward process adds.

Time runs t = 1 … T. Every array of a schedule has length T + 1 and is indexed
by t itself; entry 0 is the clean image (ᾱ_0 = 1), so t = 1 is no special case.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

#: ᾱ_T above this leaves a tenth of the signal's amplitude in x_T, not noise.
MAX_FINAL_ALPHA_BAR = 0.01


def linear_betas(T: int, beta_1: float = 1e-4, beta_T: float = 0.02) -> Tensor:
    """β_t on a straight line from β_1 to β_T: float64, shape (T,), first entry t = 1.

    Equation ``linear-schedule``. Raises ValueError for a bad T, β_1 or β_T.
    """
    _check_ends(T, beta_1, beta_T)
    return torch.linspace(beta_1, beta_T, T, dtype=torch.float64)


def quadratic_betas(T: int, beta_1: float = 1e-4, beta_T: float = 0.02) -> Tensor:
    """√β_t on a straight line from √β_1 to √β_T: float64, shape (T,).

    Equation ``quadratic-schedule``. Raises ValueError for a bad T, β_1 or β_T.
    """
    _check_ends(T, beta_1, beta_T)
    return torch.linspace(beta_1**0.5, beta_T**0.5, T, dtype=torch.float64) ** 2


def sigmoid_betas(
    T: int, beta_1: float = 1e-4, beta_T: float = 0.02, steepness: float = 6.0
) -> Tensor:
    """β_t on a logistic curve between β_1 and β_T: float64, shape (T,).

    The curve is read from -steepness to +steepness; at 0 it is flat.
    Equation ``sigmoid-schedule``. Raises ValueError for a bad argument.
    """
    _check_ends(T, beta_1, beta_T)
    if not 0 <= steepness < math.inf:
        raise ValueError(f"steepness={steepness}: expected a number >= 0, such as 6")
    u = torch.linspace(-steepness, steepness, T, dtype=torch.float64)
    return beta_1 + (beta_T - beta_1) * torch.sigmoid(u)


def cosine_alpha_bar(T: int, s: float = 0.008) -> Tensor:
    """ᾱ_t on a squared cosine, before any clipping: float64, shape (T + 1,).

    Equation ``cosine-schedule``. Raises ValueError for a bad T or s.
    """
    _check_T(T)
    if not 0 <= s < math.inf:
        raise ValueError(f"s={s}: expected a small offset >= 0, such as 0.008")
    t = torch.arange(T + 1, dtype=torch.float64)
    f = torch.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2
    return f / f[0]


def betas_from_alpha_bar(alpha_bar: Tensor) -> Tensor:
    """β_t = 1 - ᾱ_t / ᾱ_{t-1}, shape (T,), from ᾱ_0 … ᾱ_T, shape (T + 1,).

    Equation ``beta-from-alpha-bar``.
    """
    return 1 - alpha_bar[1:] / alpha_bar[:-1]


def cosine_betas(T: int, s: float = 0.008, max_beta: float = 0.999) -> Tensor:
    """β_t of the squared cosine: float64, shape (T,).

    Its ᾱ_T is 0 and would make the last β 1: that one is clipped at max_beta.
    Equations ``cosine-schedule`` and ``beta-from-alpha-bar``. Raises ValueError
    for a bad argument.
    """
    if not 0 < max_beta < 1:
        raise ValueError(
            f"max_beta={max_beta}: expected 0 < max_beta < 1, such as 0.999"
        )
    return betas_from_alpha_bar(cosine_alpha_bar(T, s)).clamp(max=max_beta)


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A schedule as a value: float64 tensors of shape (T + 1,), index = t.

    ``alpha = 1 - beta``, ``alpha_bar`` is its running product and
    ``snr = alpha_bar / (1 - alpha_bar)``; entry 0 is the clean image:
    beta 0, alpha 1, alpha_bar 1, snr infinite.
    """

    beta: Tensor
    alpha: Tensor
    alpha_bar: Tensor
    snr: Tensor

    @classmethod
    def from_betas(cls, betas: Tensor) -> NoiseSchedule:
        """The schedule of β_1 … β_T, a 1-D tensor that does not decrease.

        Equations ``alpha``, ``alpha-bar``, ``snr``. Raises ValueError unless
        every β is inside (0, 1); warns when ᾱ_T is far from 0.
        """
        betas = torch.as_tensor(betas, dtype=torch.float64)
        _check_betas(betas)
        beta = torch.cat([betas.new_zeros(1), betas])
        alpha = 1 - beta
        alpha_bar = torch.cumprod(alpha, dim=0)
        if alpha_bar[-1] > MAX_FINAL_ALPHA_BAR:
            warnings.warn(
                f"alpha_bar[T] = {alpha_bar[-1]:.3g} with T = {len(betas)}: x_T keeps "
                f"{alpha_bar[-1] ** 0.5:.0%} of the image's amplitude and is not pure "
                "noise. Use more steps or larger betas (for linear_betas, multiply "
                "beta_1 and beta_T by 1000 / T).",
                stacklevel=2,
            )
        return cls(beta, alpha, alpha_bar, alpha_bar / (1 - alpha_bar))

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.beta) - 1

    def to(self, device: torch.device | str) -> NoiseSchedule:
        """The same schedule with its tensors on another device."""
        return NoiseSchedule(*(getattr(self, f.name).to(device) for f in fields(self)))


SCHEDULES: dict[str, Callable[..., Tensor]] = {
    "linear": linear_betas,
    "quadratic": quadratic_betas,
    "cosine": cosine_betas,
    "sigmoid": sigmoid_betas,
}


def make_schedule(name: str, T: int = 1000, **parameters: float) -> NoiseSchedule:
    """The schedule called ``name``: "linear", "quadratic", "cosine" or "sigmoid".

    ``parameters`` go to the function of that name (``linear_betas`` …). Raises
    ValueError for an unknown name.
    """
    if name not in SCHEDULES:
        known = ", ".join(repr(known) for known in SCHEDULES)
        raise ValueError(
            f"name={name!r}: no such schedule. Use one of {known}, or build your own "
            "with NoiseSchedule.from_betas."
        )
    return NoiseSchedule.from_betas(SCHEDULES[name](T, **parameters))


def coefficient(values: Tensor, t: int | Tensor, like: Tensor) -> Tensor:
    """values[t], shaped to multiply ``like`` of shape (batch, …), in its dtype.

    ``values`` has shape (T + 1,). ``t`` is an int, or an int64 tensor of shape
    (batch,); its range is the caller's to check (``check_time``).
    """
    return along_batch(values[t], like)


def along_batch(values: Tensor, like: Tensor) -> Tensor:
    """One value for all, (), or one each, (batch,), shaped to multiply ``like``."""
    return values.to(like.dtype).reshape(values.shape + (1,) * (like.ndim - 1))


def _check_T(T: int) -> None:
    if isinstance(T, bool) or not isinstance(T, int) or T < 1:
        raise ValueError(f"T={T!r}: expected the number of steps, an int >= 1")


def _check_ends(T: int, beta_1: float, beta_T: float) -> None:
    _check_T(T)
    if not 0 < beta_1 <= beta_T < 1:
        raise ValueError(
            f"beta_1={beta_1}, beta_T={beta_T}: expected 0 < beta_1 <= beta_T < 1, "
            "such as 1e-4 and 0.02"
        )


def _check_betas(betas: Tensor) -> None:
    if betas.ndim != 1 or len(betas) == 0:
        raise ValueError(
            f"betas has shape {tuple(betas.shape)}: expected (T,), one variance a step"
        )
    bad = ~((betas > 0) & (betas < 1))  # true for nan as well
    if bad.any():
        i = int(bad.nonzero()[0])
        raise ValueError(
            f"betas[{i}] = {betas[i]:g} (t = {i + 1}): expected 0 < beta < 1, since "
            "beta is a variance and 1 - beta must stay positive"
        )
    falls = betas.diff() < 0
    if falls.any():
        i = int(falls.nonzero()[0])
        raise ValueError(
            f"betas falls from {betas[i]:g} to {betas[i + 1]:g} at t = {i + 2}: "
            "expected a schedule that never decreases; sort it, or check for a "
            "reversed order"
        )
