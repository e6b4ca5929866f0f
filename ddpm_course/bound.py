"""The variational bound on -log p_θ(x_0): L_T + Σ L_{t-1} + L_0.

Every term is summed over the coordinates of an image, in nats, and computed in float64:
the terms are small differences, and a thousand of them add up.

L_0 is not a divergence: at t = 1 the posterior is a point with variance 0. There the
model's variance is β_1, whatever σ_t² is elsewhere, and its mean is x̂_0.

Arguments of the wrong type, shape or range raise TypeError or ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.special import log_ndtr

from ddpm_course.checks import (
    check_answer,
    check_callable,
    check_data,
    check_time,
    is_finite,
)
from ddpm_course.forward import q_sample
from ddpm_course.parameterization import Denoise, mean_from_x0
from ddpm_course.posterior import posterior_mean, posterior_variance, reverse_variance
from ddpm_course.schedules import NoiseSchedule, along_batch


def _of_real_tensors(kl: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Check the arguments out of sight: chapter 2 prints the body of ``kl``."""

    @wraps(kl)
    def checked(mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor) -> Tensor:
        _check_real(mean_1=mean_1, var_1=var_1, mean_2=mean_2, var_2=var_2)
        shapes = {
            "mean_1": mean_1.shape,
            "var_1": var_1.shape,
            "mean_2": mean_2.shape,
            "var_2": var_2.shape,
        }
        try:
            torch.broadcast_shapes(*shapes.values())
        except RuntimeError:
            told = ", ".join(f"{name} {tuple(s)}" for name, s in shapes.items())
            raise ValueError(
                f"the shapes {told} do not broadcast: expected one shape"
            ) from None
        return kl(mean_1, var_1, mean_2, var_2)

    return checked


@_of_real_tensors
def gaussian_kl(mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor) -> Tensor:
    """D_KL(N(mean_1, var_1) ‖ N(mean_2, var_2)) (equation ``gaussian-kl``).

    Args:
        mean_1: A real tensor, which broadcasts with the other three.
        var_1: Variances, > 0.
        mean_2: The other mean.
        var_2: Its variances, > 0.

    Returns:
        The divergence of each coordinate, in nats.

    Raises:
        TypeError: If an argument isn't a real tensor.
        ValueError: If one isn't finite, or a variance isn't > 0 (not read on a GPU).
    """
    _check_variance(var_1=var_1, var_2=var_2)
    ratio = (var_1 + (mean_1 - mean_2) ** 2) / var_2
    return (torch.log(var_2 / var_1) + ratio - 1) / 2


def prior_kl(schedule: NoiseSchedule, x0: Tensor) -> Tensor:
    """L_T, how far x_T is from N(0, I) (equation ``prior-kl``).

    No network takes part. ``x0`` has shape (batch, …), float32 or float64; the result
    is float64, shape (batch,), in nats.
    """
    check_data(schedule, x0=x0)
    abar = schedule.alpha_bar[-1]
    return per_image((abar * x0.double() ** 2 - abar - torch.log1p(-abar)) / 2)


def vlb_term(
    schedule: NoiseSchedule,
    x0: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    x0_hat: Tensor,
    variance: str = "beta",
) -> Tensor:
    """L_{t-1}, the posterior against the model (equation ``bound-term``).

    Args:
        schedule: The noise schedule.
        x0: Clean data, shape (batch, …), float32 or float64.
        x_t: Noisy data of that shape.
        t: An int, or int64 (batch,), in 2 … T; for t = 1 use ``decoder_nll``.
        x0_hat: The prediction x̂_0, of that shape.
        variance: σ_t²: "beta" or "beta_tilde".

    Returns:
        float64, shape (batch,), in nats.
    """
    check_data(schedule, x0=x0, x_t=x_t, x0_hat=x0_hat)
    check_time(schedule, t, x0, first=2)
    x0, x_t, x0_hat = x0.double(), x_t.double(), x0_hat.double()
    kl = gaussian_kl(
        posterior_mean(schedule, x0, x_t, t),
        along_batch(posterior_variance(schedule, t), x0),
        mean_from_x0(schedule, x_t, t, x0_hat),
        along_batch(reverse_variance(schedule, t, variance), x0),
    )
    return per_image(kl)


def decoder_nll(
    schedule: NoiseSchedule,
    x0: Tensor,
    x0_hat: Tensor,
    *,
    decoder: str = "discrete",
    variance: float | None = None,
    bins: int = 256,
) -> Tensor:
    """L_0 = -log p_θ(x_0 | x_1).

    Args:
        schedule: The noise schedule.
        x0: Clean data, shape (batch, …), float32 or float64.
        x0_hat: The prediction x̂_0 from x_1, of that shape.
        decoder: "continuous" is the density (equation ``decoder-continuous``),
            "discrete" the probability of the bin around x_0.
        variance: Of the decoder; β_1 unless given.
        bins: Number of bins on [-1, 1]; the outermost two are open.

    Returns:
        float64, shape (batch,), in nats.

    Raises:
        ValueError: If x_0 isn't at the centers of bins, as 8-bit images are.
    """
    check_data(schedule, x0=x0, x0_hat=x0_hat)
    if variance is not None:
        _check_variance(variance=torch.as_tensor(variance, device="cpu"))
    var = schedule.beta[1] if variance is None else schedule.beta.new_tensor(variance)
    x0, x0_hat, std = x0.double(), x0_hat.double(), var.sqrt()
    if decoder == "continuous":
        return -per_image(Normal(x0_hat, std).log_prob(x0))
    if decoder == "discrete":
        return -per_image(_log_bin_mass(x0, x0_hat, std, bins))
    raise ValueError(
        f"decoder={decoder!r}: no such decoder. Use 'discrete' or 'continuous'"
    )


def _log_bin_mass(x0: Tensor, mean: Tensor, std: Tensor, bins: int) -> Tensor:
    """log probability of the bin around x_0; the outermost bins are open."""
    if not isinstance(bins, int) or bins < 2:
        raise ValueError(f"bins={bins}: expected an int >= 2, such as 256")
    half = 1 / (bins - 1)
    place = (x0 + 1) / (2 * half)
    k = place.round()  # 0 … bins - 1, so that neighbors share an edge to the last bit
    off = ((place - k).abs() > 0.01) | (k < 0) | (k > bins - 1)
    if off.device.type != "meta" and off.any():  # a GPU waits, once a call
        raise ValueError(
            f"x0 is not at the centers of {bins} bins on [-1, 1]: scale 8-bit images "
            "by x / 127.5 - 1, give another bins=, or use decoder='continuous'"
        )
    lower = ((2 * k - 1) * half - 1 - mean) / std
    upper = ((2 * k + 1) * half - 1 - mean) / std
    lower = lower.masked_fill(k == 0, -math.inf)
    upper = upper.masked_fill(k == bins - 1, math.inf)
    return _log_normal_mass(lower, upper)


def _log_normal_mass(lower: Tensor, upper: Tensor) -> Tensor:
    """log(Φ(upper) - Φ(lower)), accurate far out in both tails."""
    # Φ(b) - Φ(a) = Φ(-a) - Φ(-b), and Φ keeps its digits in the lower tail
    above = lower + upper > 0
    a, b = torch.where(above, -upper, lower), torch.where(above, -lower, upper)
    log_b = log_ndtr(b)
    return log_b + torch.log(-torch.expm1(log_ndtr(a) - log_b))


def bits_per_dim(nats: Tensor, dims: int) -> Tensor:
    """Nats of an image of ``dims`` coordinates as bits each (``bits-per-dim``)."""
    if not isinstance(dims, int) or dims < 1:
        raise ValueError(f"dims={dims}: expected an int >= 1, the size of an image")
    if not isinstance(nats, Tensor | float | int):
        raise TypeError(
            f"nats is a {type(nats).__name__}: expected a tensor or a number"
        )
    return nats / (dims * math.log(2))


def per_image(nats: Tensor) -> Tensor:
    """The sum over all but the batch: (batch, …) → (batch,)."""
    return nats.flatten(1).sum(1) if nats.ndim > 1 else nats


def _check_real(**tensors: Tensor) -> None:
    for name, value in tensors.items():
        if not isinstance(value, Tensor) or value.is_complex():
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(
                f"{name} is of type {kind}: expected a real tensor; use "
                f"torch.as_tensor({name})"
            )
        if not is_finite(value):
            raise ValueError(f"{name} contains nan or inf: expected finite numbers")


def _check_variance(**variances: Tensor) -> None:
    for name, var in variances.items():
        if var.device.type == "cpu" and not (var > 0).all():  # a GPU would have to wait
            raise ValueError(
                f"{name} has the entry {float(var.min()):g}: expected variances > 0"
            )


@dataclass(frozen=True, eq=False)
class Bound:
    """The bound on -log p_θ(x_0) and its parts, averaged over a batch of images.

    Attributes:
        prior: L_T, in nats an image.
        matching: The sum of L_{t-1} over t = 2 … T, in nats an image.
        decoder: L_0, in nats an image.
        total: The sum of the three.
        bits_per_dim: ``total`` in bits a coordinate.
        standard_error: Of ``bits_per_dim``, from the spread over images; nan for one.
        terms: L_0 … L_T, float64 (T + 1,); None where times were drawn.
    """

    prior: float
    matching: float
    decoder: float
    total: float
    bits_per_dim: float
    standard_error: float
    terms: Tensor | None


@torch.no_grad()
def variational_bound(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    x0: Tensor,
    *,
    generator: torch.Generator,
    variance: str = "beta",
    decoder: str = "discrete",
    bins: int = 256,
    times: int | None = None,
) -> Bound:
    """The bound for a batch of images: the sum over t, not the mean.

    Args:
        denoiser: A callable (x_t, t) → x̂_0 for int64 times (batch,).
        schedule: The noise schedule.
        x0: Clean data, shape (batch, …), float32 or float64.
        generator: Draws noise and times; must live on the device of ``x0``.
        variance: σ_t²: "beta" or "beta_tilde".
        decoder: "discrete" or "continuous", as in ``decoder_nll``.
        bins: Number of bins of the discrete decoder.
        times: Number of random times for each image: unbiased, with a larger standard
            error. Every t is visited unless it is given.
    """
    prior = prior_kl(schedule, x0)  # looks at x0 first
    if times is not None and (not isinstance(times, int) or times < 1):
        raise ValueError(f"times={times}: expected an int >= 1, or None for every t")
    check_callable("denoiser", denoiser)
    if len(x0) == 0:
        raise ValueError(f"x0 has shape {tuple(x0.shape)}: expected at least one image")
    n, T, device = len(x0), schedule.T, x0.device

    def look(t: Tensor) -> tuple[Tensor, Tensor]:
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=device)
        x_t = q_sample(schedule, x0, t, eps)
        x0_hat = denoiser(x_t, t)
        check_answer("denoiser(x_t, t)", x0_hat, x_t)
        return x_t, x0_hat

    if times is None:
        weight = 1.0
        draws = (torch.full((n,), t, device=device) for t in range(2, T + 1))
    else:
        weight = (T - 1) / times
        draws = (
            torch.randint(2, T + 1, (n,), generator=generator, device=device)
            for _ in range(times if T > 1 else 0)
        )

    _, x0_hat = look(torch.ones(n, dtype=torch.int64, device=device))
    last = decoder_nll(schedule, x0, x0_hat, decoder=decoder, bins=bins)
    matching, terms = torch.zeros_like(prior), [last.mean()]
    for t in draws:
        x_t, x0_hat = look(t)
        term = vlb_term(schedule, x0, x_t, t, x0_hat, variance)
        matching += weight * term
        terms.append(term.mean())

    images = prior + matching + last
    bits = bits_per_dim(images, x0[0].numel())
    error = bits.std().item() / n**0.5 if n > 1 else math.nan
    return Bound(
        prior=prior.mean().item(),
        matching=matching.mean().item(),
        decoder=last.mean().item(),
        total=images.mean().item(),
        bits_per_dim=bits.mean().item(),
        standard_error=error,
        terms=torch.stack([*terms, prior.mean()]) if times is None else None,
    )
