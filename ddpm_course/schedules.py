"""Noise schedules: how much noise each step of the forward process adds.

Time runs t = 1 … T. Every array of a schedule has length T + 1 and is indexed by t
itself; entry 0 is the clean image (ᾱ_0 = 1), so t = 1 needs no special case.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import overload

import torch
from torch import Tensor

#: ᾱ_T above this leaves a tenth of the signal's amplitude in x_T, not noise.
MAX_FINAL_ALPHA_BAR = 0.01


def linear_betas(T: int, beta_1: float = 1e-4, beta_T: float = 0.02) -> Tensor:
    """β_t on a straight line from β_1 to β_T (equation ``linear-schedule``).

    Args:
        T: Number of steps.
        beta_1: First variance, in (0, 1).
        beta_T: Last variance, in [beta_1, 1).

    Returns:
        float64, shape (T,); the first entry belongs to t = 1.

    Raises:
        ValueError: If an argument is out of range.
    """
    _check_ends(T, beta_1, beta_T)
    return torch.linspace(beta_1, beta_T, T, dtype=torch.float64, device="cpu")


def quadratic_betas(T: int, beta_1: float = 1e-4, beta_T: float = 0.02) -> Tensor:
    """√β_t on a straight line from √β_1 to √β_T (equation ``quadratic-schedule``).

    Arguments, result and errors are those of ``linear_betas``.
    """
    _check_ends(T, beta_1, beta_T)
    return (
        torch.linspace(beta_1**0.5, beta_T**0.5, T, dtype=torch.float64, device="cpu")
        ** 2
    )


def sigmoid_betas(
    T: int, beta_1: float = 1e-4, beta_T: float = 0.02, steepness: float = 6.0
) -> Tensor:
    """β_t on a logistic curve from β_1 to β_T (equation ``sigmoid-schedule``).

    Arguments, result and errors are those of ``linear_betas``; in addition

    Args:
        steepness: The curve is read from -steepness to +steepness, so 0 makes it flat.
    """
    _check_ends(T, beta_1, beta_T)
    if not (is_real(steepness) and 0 <= steepness < math.inf):
        raise ValueError(f"steepness={steepness}: expected a number >= 0, such as 6")
    u = torch.linspace(-steepness, steepness, T, dtype=torch.float64, device="cpu")
    return beta_1 + (beta_T - beta_1) * torch.sigmoid(u)


def cosine_alpha_bar(T: int, s: float = 0.008) -> Tensor:
    """ᾱ_t on a squared cosine, before any clipping (equation ``cosine-schedule``).

    Args:
        T: Number of steps.
        s: Small offset >= 0 that keeps the first steps from vanishing.

    Returns:
        float64, shape (T + 1,).

    Raises:
        ValueError: If an argument is out of range.
    """
    _check_T(T)
    if not (is_real(s) and 0 <= s < math.inf):
        raise ValueError(f"s={s}: expected a small offset >= 0, such as 0.008")
    t = torch.arange(T + 1, dtype=torch.float64, device="cpu")
    f = torch.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2
    return f / f[0]


def betas_from_alpha_bar(alpha_bar: Tensor) -> Tensor:
    """β_t = 1 - ᾱ_t / ᾱ_{t-1} (equation ``beta-from-alpha-bar``).

    Takes ᾱ_0 … ᾱ_T, shape (T + 1,), and returns β_1 … β_T, shape (T,).
    """
    return 1 - alpha_bar[1:] / alpha_bar[:-1]


def cosine_betas(T: int, s: float = 0.008, max_beta: float = 0.999) -> Tensor:
    """β_t of the squared cosine, clipped at ``max_beta``.

    The unclipped ᾱ_T is 0, which would make the last β equal to 1. Equations
    ``cosine-schedule`` and ``beta-from-alpha-bar``.

    Args:
        T: Number of steps.
        s: Small offset >= 0.
        max_beta: Upper limit for every β, in (0, 1).

    Returns:
        float64, shape (T,).

    Raises:
        ValueError: If an argument is out of range.
    """
    if not (is_real(max_beta) and 0 < max_beta < 1):
        raise ValueError(
            f"max_beta={max_beta}: expected 0 < max_beta < 1, such as 0.999"
        )
    return betas_from_alpha_bar(cosine_alpha_bar(T, s)).clamp(max=max_beta)


def zero_terminal_snr_betas(betas: Tensor) -> Tensor:
    """The same schedule, shifted and scaled until ᾱ_T = 0 (``zero-terminal-snr``).

    √ᾱ_t is moved down by √ᾱ_T and stretched so that √ᾱ_1 stays where it was (Lin et
    al., 2023). The last β becomes 1: step T leaves nothing of the data.

    Args:
        betas: β_1 … β_T, shape (T,) with T >= 2, each in (0, 1).

    Returns:
        float64, shape (T,).

    Raises:
        TypeError, ValueError: If the betas are of another type, shape or range.
    """
    betas = _as_betas(betas)
    if len(betas) < 2:
        raise ValueError("T=1: expected T >= 2, since the first step keeps its beta")
    signal = torch.cumprod(1 - betas, dim=0).sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return betas_from_alpha_bar(torch.cat([betas.new_ones(1), signal**2]))


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A schedule as a value: float64 tensors of shape (T + 1,), indexed by t.

    Entry 0 is the clean image: beta 0, alpha 1, alpha_bar 1, snr infinite. Build one
    with ``from_betas`` or ``make_schedule``.

    Attributes:
        beta: Variance of the noise that step t adds.
        alpha: ``1 - beta``.
        alpha_bar: Running product of ``alpha``.
        snr: ``alpha_bar / (1 - alpha_bar)``.
        numbers: ᾱ_0 … ᾱ_T once more, as plain numbers: at an int t all arithmetic
            is then ordinary float arithmetic, and a loop on a GPU never waits.
    """

    beta: Tensor
    alpha: Tensor
    alpha_bar: Tensor
    snr: Tensor
    numbers: tuple[float, ...] = field(repr=False)

    @classmethod
    def from_betas(cls, betas: Tensor) -> NoiseSchedule:
        """The schedule with these variances.

        Equations ``alpha``, ``alpha-bar``, ``snr``. Warns if ᾱ_T is far from 0, since
        x_T is then not pure noise.

        Args:
            betas: β_1 … β_T, shape (T,), each in (0, 1).

        Raises:
            TypeError: If ``betas`` is complex or not numeric.
            ValueError: If the shape is wrong, or some 1 - β is not in (0, 1).
        """
        return cls._of(_as_betas(betas))

    @classmethod
    def _of(cls, betas: Tensor) -> NoiseSchedule:
        beta = torch.cat([betas.new_zeros(1), betas])
        alpha = 1 - beta
        alpha_bar = torch.cumprod(alpha, dim=0)
        if alpha_bar[-1] > MAX_FINAL_ALPHA_BAR:
            warnings.warn(
                f"alpha_bar[T] = {alpha_bar[-1]:.3g} with T = {len(betas)}: x_T keeps "
                f"{alpha_bar[-1] ** 0.5:.0%} of the image's amplitude and is not pure "
                "noise. Use more steps or larger betas (for linear_betas, multiply "
                "beta_1 and beta_T by 1000 / T).",
                stacklevel=3,
            )
        snr = alpha_bar / (1 - alpha_bar)
        return cls(beta, alpha, alpha_bar, snr, tuple(alpha_bar.tolist()))

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.numbers) - 1

    def abar(self, t: int | Tensor) -> float | Tensor:
        """ᾱ_t: a number for an int t, float64 (batch,) for a tensor of times."""
        return self.alpha_bar[t] if isinstance(t, Tensor) else self.numbers[t]

    def to(self, device: torch.device | str) -> NoiseSchedule:
        """The same schedule with its tensors on another device."""
        return NoiseSchedule(
            self.beta.to(device),
            self.alpha.to(device),
            self.alpha_bar.to(device),
            self.snr.to(device),
            self.numbers,
        )


SCHEDULES: dict[str, Callable[..., Tensor]] = {
    "linear": linear_betas,
    "quadratic": quadratic_betas,
    "cosine": cosine_betas,
    "sigmoid": sigmoid_betas,
}


def make_schedule(
    name: str, T: int = 1000, *, zero_terminal_snr: bool = False, **parameters: float
) -> NoiseSchedule:
    """The schedule called ``name``.

    Args:
        name: "linear", "quadratic", "cosine" or "sigmoid".
        T: Number of steps.
        zero_terminal_snr: Rescale it so that ᾱ_T = 0 and x_T is noise alone
            (``zero_terminal_snr_betas``). At T no ε tells x_0 then: use a network
            that predicts v or x_0.
        parameters: Passed on to ``linear_betas`` … ``sigmoid_betas``.

    Raises:
        ValueError: If there is no schedule of that name, or an argument is out of
            range.
    """
    if not isinstance(name, str) or name not in SCHEDULES:
        known = ", ".join(repr(known) for known in SCHEDULES)
        raise ValueError(
            f"name={name!r}: no such schedule. Use one of {known}, or build your own "
            "with NoiseSchedule.from_betas."
        )
    betas = SCHEDULES[name](T, **parameters)
    if zero_terminal_snr:
        return NoiseSchedule._of(zero_terminal_snr_betas(betas))
    return NoiseSchedule.from_betas(betas)


@overload
def along_batch(value: float, like: Tensor) -> float: ...
@overload
def along_batch(value: Tensor, like: Tensor) -> Tensor: ...
@overload
def along_batch(value: float | Tensor, like: Tensor) -> float | Tensor: ...
def along_batch(value: float | Tensor, like: Tensor) -> float | Tensor:
    """A coefficient, shaped to multiply ``like`` of shape (batch, …), in its dtype.

    A number multiplies everything as it is; a tensor (batch,) has one value for each
    element of the batch.
    """
    if not isinstance(value, Tensor):
        return value
    return value.to(like.dtype).reshape(value.shape + (1,) * (like.ndim - 1))


def signal_and_noise(
    schedule: NoiseSchedule, t: int | Tensor, like: Tensor
) -> tuple[float | Tensor, float | Tensor]:
    """√ᾱ_t and √(1 - ᾱ_t), shaped to multiply ``like`` (batch, …).

    The range of ``t`` is the caller's to check (``check_time``).
    """
    abar = schedule.abar(t)
    return along_batch(abar**0.5, like), along_batch((1 - abar) ** 0.5, like)


def is_real(value: object) -> bool:
    """Whether it is a real number, of Python or numpy."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _check_T(T: int) -> None:
    if isinstance(T, bool) or not isinstance(T, int) or T < 1:
        raise ValueError(f"T={T!r}: expected the number of steps, an int >= 1")


def _check_ends(T: int, beta_1: float, beta_T: float) -> None:
    _check_T(T)
    if not (is_real(beta_1) and is_real(beta_T) and 0 < beta_1 <= beta_T < 1):
        raise ValueError(
            f"beta_1={beta_1}, beta_T={beta_T}: expected 0 < beta_1 <= beta_T < 1, "
            "such as 1e-4 and 0.02"
        )


def _as_betas(betas: Tensor) -> Tensor:
    if isinstance(betas, Tensor) and betas.is_complex():
        raise TypeError(f"betas has dtype {betas.dtype}: expected real variances")
    place = betas.device if isinstance(betas, Tensor) else "cpu"
    try:
        betas = torch.as_tensor(betas, dtype=torch.float64, device=place)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"betas is a {type(betas).__name__}: expected a tensor or a list of numbers"
        ) from None
    if betas.ndim != 1 or len(betas) == 0:
        raise ValueError(
            f"betas has shape {tuple(betas.shape)}: expected (T,), one variance a step"
        )
    alphas = 1 - betas
    bad = ~((alphas > 0) & (alphas < 1))  # true for nan as well
    if bad.any():
        i = int(bad.nonzero()[0])
        raise ValueError(
            f"betas[{i}] = {betas[i]:g} (t = {i + 1}): expected 0 < beta < 1, since "
            "beta is a variance and 1 - beta must stay positive and differ from 1 "
            "(beta >= 1e-15)"
        )
    return betas
