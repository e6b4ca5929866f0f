"""The variational bound on -log p_θ(x_0): L_T + Σ L_{t-1} + L_0.

Every term is a sum over the coordinates of an image, in nats, and is computed in
float64: terms are small differences, and a thousand of them are added.

L_0 has no divergence: at t = 1 the posterior is a point, its variance 0. So there
the model's variance is β_1 whatever σ_t² is elsewhere, and its mean is x̂_0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.special import log_ndtr

from ddpm_course.checks import check_data, check_time
from ddpm_course.forward import q_sample
from ddpm_course.parameterization import Denoise, mean_from_x0
from ddpm_course.posterior import posterior_mean, posterior_variance, reverse_variance
from ddpm_course.schedules import NoiseSchedule, along_batch


def gaussian_kl(mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor) -> Tensor:
    """D_KL(N(mean_1, var_1) ‖ N(mean_2, var_2)) (equation ``gaussian-kl``).

    Coordinate by coordinate, in nats; tensors that broadcast, variances > 0.
    Raises ValueError for a variance that is not.
    """
    _check_variance(var_1=var_1, var_2=var_2)
    ratio = (var_1 + (mean_1 - mean_2) ** 2) / var_2
    return (torch.log(var_2 / var_1) + ratio - 1) / 2


def prior_kl(schedule: NoiseSchedule, x0: Tensor) -> Tensor:
    """L_T, how far x_T is from N(0, I) (equation ``prior-kl``): float64, (batch,).

    ``x0`` has shape (batch, …), float32 or float64. No network has a part in it.
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
    """L_{t-1}, posterior against model (equation ``bound-term``): float64, (batch,).

    ``x0``, ``x_t`` and the prediction ``x0_hat`` have one shape (batch, …); ``t``
    is an int or an int64 tensor (batch,) in 2 … T (for t = 1: ``decoder_nll``);
    ``variance`` is σ_t², "beta" or "beta_tilde". Raises TypeError or ValueError
    for anything else.
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
    """L_0 = -log p_θ(x_0 | x_1): float64, (batch,); x̂_0 is predicted from x_1.

    "continuous" is the density (equation ``decoder-continuous``), "discrete" the
    probability of the bin of x_0 among ``bins`` on [-1, 1], whose outermost two
    are open; x_0 must then be centres of bins, as 8-bit images are. ``variance``
    is β_1 unless given. Raises ValueError for another decoder, a variance that is
    not > 0, or data that are no centres.
    """
    check_data(schedule, x0=x0, x0_hat=x0_hat)
    var = schedule.beta[1] if variance is None else schedule.beta.new_tensor(variance)
    _check_variance(variance=var)
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
    half = 1 / (bins - 1)
    place = (x0 + 1) / (2 * half)
    # 0 … bins - 1; an edge of k's is then the neighbour's to the last bit
    k = place.round()
    if x0.device.type == "cpu" and (
        (place - k).abs().max() > 0.01 or k.min() < 0 or k.max() > bins - 1
    ):
        raise ValueError(
            f"x0 is not made of the centres of {bins} bins on [-1, 1]: scale 8-bit "
            "images by x / 127.5 - 1, give other bins=, or use decoder='continuous'"
        )
    lower = ((2 * k - 1) * half - 1 - mean) / std
    upper = ((2 * k + 1) * half - 1 - mean) / std
    lower = lower.masked_fill(k == 0, -math.inf)
    upper = upper.masked_fill(k == bins - 1, math.inf)
    return _log_normal_mass(lower, upper)


def _log_normal_mass(lower: Tensor, upper: Tensor) -> Tensor:
    """log(Φ(upper) - Φ(lower)), exact far out in either tail."""
    # Φ(b) - Φ(a) = Φ(-a) - Φ(-b): in the lower tail Φ keeps its digits
    above = lower + upper > 0
    lower, upper = (
        torch.where(above, -upper, lower),
        torch.where(above, -lower, upper),
    )
    log_upper = log_ndtr(upper)
    return log_upper + torch.log(-torch.expm1(log_ndtr(lower) - log_upper))


def bits_per_dim(nats: Tensor, dims: int) -> Tensor:
    """Nats of a whole image as bits a coordinate (equation ``bits-per-dim``)."""
    return nats / (dims * math.log(2))


def per_image(nats: Tensor) -> Tensor:
    """The sum over all but the batch: (batch, …) → (batch,)."""
    return nats.flatten(1).sum(1) if nats.ndim > 1 else nats


def _check_variance(**variances: Tensor) -> None:
    for name, var in variances.items():
        if var.device.type == "cpu" and not (var > 0).all():  # no look at a GPU
            raise ValueError(
                f"{name} has the entry {float(var.min()):g}: expected variances > 0"
            )


@dataclass(frozen=True, eq=False)
class Bound:
    """The bound on -log p_θ(x_0) and its parts, means over a batch of images.

    ``prior`` (L_T), ``matching`` (the sum of L_{t-1} over t = 2 … T), ``decoder``
    (L_0) and their sum ``total`` are in nats an image. ``standard_error`` is that
    of ``bits_per_dim``, from the differences between the images' own estimates:
    nan for one image. ``terms`` has entry k = L_k, float64 (T + 1,); None where t
    was drawn.
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
    times: int | None = None,
    **decoder_options: Any,
) -> Bound:
    """The bound for the images ``x0`` (batch, …): the sum over t, not the mean.

    ``denoiser(x_t, t)`` gives x̂_0 for int64 times (batch,). It is asked at every t,
    or, where ``times`` is a number, at that many random t for each image: unbiased,
    and of a larger error. Noise and times are drawn from ``generator``; ``decoder``
    and its options are those of ``decoder_nll``. Raises TypeError or ValueError as
    the functions above do.
    """
    prior = prior_kl(schedule, x0)  # looks at x0 first
    if times is not None and times < 1:
        raise ValueError(f"times={times}: expected an int >= 1, or None for every t")
    n, T, device = len(x0), schedule.T, x0.device

    def look(t: Tensor) -> tuple[Tensor, Tensor]:
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=device)
        x_t = q_sample(schedule, x0, t, eps)
        return x_t, denoiser(x_t, t)

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
    last = decoder_nll(schedule, x0, x0_hat, decoder=decoder, **decoder_options)
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
