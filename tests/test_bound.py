"""The bound: its terms against integration, and against what it is exactly."""

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from helpers import COSINE, LINEAR, exact, halved, no_waiting, normal, seeded
from scipy.integrate import quad
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from ddpm_course.bound import (
    bits_per_dim,
    decoder_nll,
    gaussian_kl,
    prior_kl,
    variational_bound,
    vlb_term,
)
from ddpm_course.oracle import GaussianMixture
from ddpm_course.schedules import make_schedule

SHORT = make_schedule("linear", 100, beta_1=1e-3, beta_T=0.2)
NORMAL_BITS = math.log2(2 * math.pi * math.e) / 2  # the entropy of N(0, 1)


# --- the divergence of two Gaussians ----------------------------------------------

MOMENTS = [(0.3, 0.5, -0.4, 2.0), (1.0, 2.0, 1.0, 0.7), (0.0, 1.0, 3.0, 1.0)]


@pytest.mark.parametrize("moments", MOMENTS)
def test_gaussian_kl_is_the_integral(moments):
    mean_1, var_1, mean_2, var_2 = moments
    q, p = norm(mean_1, var_1**0.5), norm(mean_2, var_2**0.5)
    integral, _ = quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), -20, 20)
    kl = gaussian_kl(*(torch.tensor(m, dtype=torch.float64) for m in moments))
    assert kl == pytest.approx(integral, rel=1e-9)


def test_gaussian_kl_coordinate_by_coordinate():
    mean_1, mean_2 = normal(5, 1), normal(4, seed=1)
    var_1, var_2 = normal(4, seed=2).exp(), normal(5, 4, seed=3).exp()
    torch.testing.assert_close(
        gaussian_kl(mean_1, var_1, mean_2, var_2),
        kl_divergence(Normal(mean_1, var_1.sqrt()), Normal(mean_2, var_2.sqrt())),
    )
    assert gaussian_kl(mean_1, var_1, mean_1, var_1).abs().max() < 1e-15


# --- L_T --------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [LINEAR, SHORT, COSINE])
def test_prior_kl_is_the_divergence_summed_over_an_image(schedule):
    x0, abar = normal(3, 2, 4, 4), schedule.alpha_bar[-1]
    kl = kl_divergence(Normal(abar.sqrt() * x0, (1 - abar).sqrt()), Normal(0.0, 1.0))
    torch.testing.assert_close(
        prior_kl(schedule, x0), kl.sum(dim=(1, 2, 3)), rtol=1e-9, atol=1e-14
    )


def test_prior_kl_of_the_linear_schedule_is_1e_5_bits():
    bits = bits_per_dim(prior_kl(LINEAR, torch.ones(1, 1000)), 1000).item()
    assert 1e-5 < bits < 1e-4
    assert bits == pytest.approx(0.00635**2 / 2 / math.log(2), rel=1e-2)


def test_float32_images_lose_no_digits():
    x0, x0_hat = normal(4, 100).float(), normal(4, 100, seed=1).float()
    x_t, t = normal(4, 100, seed=2).float(), torch.tensor([2, 10, 500, 1000])
    wide = [v.double() for v in (x0, x_t, x0_hat)]
    term = vlb_term(LINEAR, x0, x_t, t, x0_hat)
    assert term.dtype == torch.float64
    assert (term == vlb_term(LINEAR, wide[0], wide[1], t, wide[2])).all()
    assert (prior_kl(LINEAR, x0) == prior_kl(LINEAR, wide[0])).all()


# --- L_{t-1} ----------------------------------------------------------------------


def one_step_back(schedule, t, x0, n):
    """x_{t-1} and x_t by the forward process; log q(x_{t-1} | x_t, x_0) by Bayes."""
    beta, abar = schedule.beta, schedule.alpha_bar
    at = Normal(abar[t - 1].sqrt() * x0, (1 - abar[t - 1]).sqrt())
    x_prev = at.mean + at.stddev * normal(n, 1, seed=t)
    step = Normal((1 - beta[t]).sqrt() * x_prev, beta[t].sqrt())
    x_t = step.mean + step.stddev * normal(n, 1, seed=t + 5000)
    after = Normal(abar[t].sqrt() * x0, (1 - abar[t]).sqrt())
    back = step.log_prob(x_t) + at.log_prob(x_prev) - after.log_prob(x_t)
    return x_prev, x_t, back


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
@pytest.mark.parametrize("t", [2, 3, 10, 60, 100])
def test_a_term_is_the_mean_log_ratio(t, variance):
    n, beta, abar = 200_000, SHORT.beta[t], SHORT.alpha_bar
    x0 = torch.full((n, 1), 0.7, dtype=torch.float64)
    x_prev, x_t, back = one_step_back(SHORT, t, x0, n)
    x0_hat = halved(SHORT)(x_t, torch.tensor([t]))
    # the model's step, written out: the posterior that takes x̂_0 for x_0
    precision = (1 - beta) / beta + 1 / (1 - abar[t - 1])
    signal = (1 - beta).sqrt() / beta * x_t
    signal += abar[t - 1].sqrt() / (1 - abar[t - 1]) * x0_hat
    sigma2 = beta if variance == "beta" else 1 / precision
    ratio = back - Normal(signal / precision, sigma2.sqrt()).log_prob(x_prev)
    off = ratio[:, 0] - vlb_term(SHORT, x0, x_t, t, x0_hat, variance)
    assert off.mean().abs() < 5 * off.std() / n**0.5
    assert off.std() / n**0.5 < 0.05


def test_the_first_and_last_term_are_mean_log_ratios():
    n, abar = 200_000, SHORT.alpha_bar[-1]
    end = Normal(abar.sqrt() * 0.7, (1 - abar).sqrt())
    x_T = end.mean + end.stddev * normal(n)
    off = end.log_prob(x_T) - Normal(0.0, 1.0).log_prob(x_T)
    off -= prior_kl(SHORT, torch.full((1, 1), 0.7, dtype=torch.float64))
    assert off.mean().abs() < 5 * off.std() / n**0.5 < 1e-3


def test_terms_of_different_times_in_one_batch():
    x0, x_t, x0_hat = (normal(4, 1, 3, 3, seed=i) for i in range(3))
    t = torch.tensor([2, 7, 50, 100])
    together = vlb_term(SHORT, x0, x_t, t, x0_hat, "beta_tilde")
    for i in range(4):
        one = [v[i : i + 1] for v in (x0, x_t, x0_hat)]
        alone = vlb_term(SHORT, one[0], one[1], int(t[i]), one[2], "beta_tilde")
        assert together[i] == pytest.approx(alone.item(), rel=1e-12)


def test_without_an_error_only_the_variances_cost():
    x0, x_t = normal(2, 5), normal(2, 5, seed=1)
    ratio = (1 - SHORT.alpha_bar[6]) / (1 - SHORT.alpha_bar[7])  # β̃_7 / β_7
    cost = 5 / 2 * (ratio - 1 - ratio.log())
    same = vlb_term(SHORT, x0, x_t, 7, x0, "beta_tilde")
    assert same.abs().max() < 1e-14
    torch.testing.assert_close(vlb_term(SHORT, x0, x_t, 7, x0), cost.expand(2))


# --- L_0 --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("variance", [1e-4, 1e-3, 0.05, 1.0])
@pytest.mark.parametrize("bins", [256, 17])
def test_the_bins_sum_to_one(bins, variance, dtype):
    centers = torch.linspace(-1, 1, bins, dtype=dtype)[:, None]
    for mean in (-1.3, -1.0, -0.2, 0.0, 1 / 255, 0.999, 1.0, 2.0):
        x0_hat = torch.full_like(centers, mean)
        nll = decoder_nll(LINEAR, centers, x0_hat, variance=variance, bins=bins)
        assert (-nll).exp().sum() == pytest.approx(1, abs=1e-12)


def log_mass(k, mean, variance):
    """log probability of bin k, in 50 digits."""
    with mpmath.workdps(50):
        std = mpmath.sqrt(variance)
        lower = -mpmath.inf if k == 0 else (mpmath.mpf(2 * k - 1) / 255 - 1 - mean)
        upper = mpmath.inf if k == 255 else (mpmath.mpf(2 * k + 1) / 255 - 1 - mean)
        if lower > 0:  # the digits of the upper tail
            lower, upper = -upper, -lower
        mass = mpmath.ncdf(upper / std) - mpmath.ncdf(lower / std)
        return float(mpmath.log(mass))


@pytest.mark.parametrize("variance", [1e-4, 0.02, 1.0])
@pytest.mark.parametrize("k", [0, 1, 20, 127, 128, 200, 254, 255])
def test_a_bin_has_the_mass_of_its_interval(k, variance):
    for mean in (-1.0, -0.25, 0.0, 0.5):
        x0 = torch.tensor([[2 * k / 255 - 1]], dtype=torch.float64)
        nll = decoder_nll(LINEAR, x0, torch.full_like(x0, mean), variance=variance)
        assert -nll.item() == pytest.approx(log_mass(k, mean, variance), rel=1e-9)


def test_decoders_sum_over_an_image_and_take_beta_1():
    x0 = (torch.arange(24).reshape(2, 3, 4) * 10 / 127.5 - 1).double()
    x0_hat = x0 + 0.01 * normal(2, 3, 4)
    for options in ({}, {"decoder": "continuous"}):
        given = decoder_nll(LINEAR, x0, x0_hat, variance=1e-4, **options)
        torch.testing.assert_close(decoder_nll(LINEAR, x0, x0_hat, **options), given)
        pixels = decoder_nll(
            LINEAR, x0.reshape(-1, 1), x0_hat.reshape(-1, 1), **options
        )
        torch.testing.assert_close(given, pixels.reshape(2, 12).sum(1))


def test_the_continuous_decoder_is_a_density():
    grid = np.linspace(-1, 1, 5)
    nll = decoder_nll(
        LINEAR,
        torch.tensor(grid),
        torch.full((5,), 0.2, dtype=torch.float64),
        decoder="continuous",
        variance=0.3,
    )
    np.testing.assert_allclose(nll, -norm.logpdf(grid, 0.2, 0.3**0.5), rtol=1e-12)


def test_fine_bins_are_the_density_times_their_width():
    x0 = torch.full((1, 1), 0.2, dtype=torch.float64)
    for bins in (10_001, 100_001):
        fine = decoder_nll(LINEAR, x0, x0 + 0.1, bins=bins, variance=0.02)
        density = decoder_nll(LINEAR, x0, x0 + 0.1, decoder="continuous", variance=0.02)
        assert fine - density == pytest.approx(-math.log(2 / (bins - 1)), abs=1e-5)


# --- the whole --------------------------------------------------------------------


def gauss_hermite(schedule):
    """Nodes of x_0 and ε for every t, and weights: exact for what is quadratic."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    nodes, weights = torch.tensor(nodes), torch.tensor(weights / weights.sum())
    x0, eps = torch.cartesian_prod(nodes, nodes)[:, :, None].unbind(1)
    weights = torch.outer(weights, weights).flatten()
    times = torch.arange(1, schedule.T + 1)
    return x0.repeat(schedule.T, 1), eps.repeat(schedule.T, 1), times, weights


@pytest.mark.parametrize("schedule", [LINEAR, SHORT, COSINE])
def test_the_exact_denoiser_of_a_normal_reaches_its_entropy(schedule):
    x0, eps, times, weights = gauss_hermite(schedule)
    t = times.repeat_interleave(9)
    abar = schedule.alpha_bar[t][:, None]
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    x0_hat = exact(schedule)(x_t, t)
    matching = vlb_term(schedule, x0[9:], x_t[9:], t[9:], x0_hat[9:])
    decoder = decoder_nll(schedule, x0[:9], x0_hat[:9], decoder="continuous")
    nats = torch.cat([decoder + prior_kl(schedule, x0[:9]), matching])
    total = (nats.reshape(-1, 9) * weights).sum()
    assert bits_per_dim(total, 1).item() == pytest.approx(NORMAL_BITS, abs=1e-9)
    assert pytest.approx(2.0470955852, abs=1e-10) == NORMAL_BITS


@pytest.mark.parametrize("options", [{}, {"times": 3}, {"times": 200}])
def test_the_bound_of_a_normal_within_its_standard_error(options):
    bound = variational_bound(
        exact(SHORT),
        SHORT,
        normal(4000, 1),
        generator=seeded(1),
        decoder="continuous",
        **options,
    )
    assert abs(bound.bits_per_dim - NORMAL_BITS) < 4 * bound.standard_error < 1


def test_drawn_times_agree_with_all_times():
    x0 = normal(200, 3, 2, 2, dtype=torch.float32)
    draw = {"generator": seeded(3), "decoder": "continuous"}
    every = variational_bound(halved(SHORT), SHORT, x0, variance="beta_tilde", **draw)
    drawn = variational_bound(
        halved(SHORT), SHORT, x0, variance="beta_tilde", times=50, **draw
    )
    error = math.hypot(every.standard_error, drawn.standard_error)
    assert abs(every.bits_per_dim - drawn.bits_per_dim) < 4 * error
    assert every.standard_error < drawn.standard_error < every.bits_per_dim / 10
    assert drawn.terms is None


@pytest.mark.slow
@pytest.mark.parametrize("times", [None, 4])
def test_the_standard_error_is_the_spread_of_repetitions(times):
    generator = seeded(5)
    found, errors = [], []
    for seed in range(40):
        bound = variational_bound(
            exact(SHORT),
            SHORT,
            normal(50, 2, seed=100 + seed),
            generator=generator,
            decoder="continuous",
            times=times,
        )
        found.append(bound.bits_per_dim)
        errors.append(bound.standard_error)
    assert 0.65 < np.std(found) / np.sqrt(np.mean(np.square(errors))) < 1.4
    assert abs(np.mean(found) - NORMAL_BITS) < 4 * np.std(found) / 40**0.5


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_parts_of_the_bound_for_one_known_image(variance):
    """A denoiser that knows the image: of all terms only constants remain."""
    x0 = (torch.arange(12).reshape(1, 1, 3, 4) * 20 / 127.5 - 1).double()
    x0 = x0.expand(5, 1, 3, 4)
    bound = variational_bound(
        lambda x_t, t: x0,
        SHORT,
        x0,
        generator=seeded(),
        variance=variance,
    )
    ratio = (1 - SHORT.alpha_bar[1:-1]) / (1 - SHORT.alpha_bar[2:])
    constants = 12 * (ratio - 1 - ratio.log()) / 2
    if variance == "beta_tilde":
        constants = 0 * constants
    torch.testing.assert_close(bound.terms[1:-1], constants)
    assert bound.matching == pytest.approx(constants.sum().item(), abs=1e-12)
    assert bound.prior == pytest.approx(prior_kl(SHORT, x0)[0].item())
    assert bound.terms[-1].item() == bound.prior
    assert bound.decoder == pytest.approx(decoder_nll(SHORT, x0, x0)[0].item())
    assert bound.terms[0].item() == bound.decoder
    assert bound.total == pytest.approx(bound.terms.sum().item())
    assert bound.bits_per_dim == pytest.approx(bound.total / 12 / math.log(2))
    assert bound.standard_error == pytest.approx(0, abs=1e-12)


def test_the_denoiser_sees_what_belongs_to_its_time():
    """Times count 1, 2, … T, each with x_t of its own variance."""
    seen = {}

    def denoiser(x_t, t):
        assert x_t.dtype == torch.float32 and t.dtype == torch.int64
        seen[int(t[0])] = x_t.var().item()
        assert (t == t[0]).all()
        return x_t

    bound = variational_bound(
        denoiser,
        SHORT,
        torch.zeros(3000, 1),
        generator=seeded(),
        decoder="continuous",
    )
    assert list(seen) == list(range(1, 101))
    variances = (1 - SHORT.alpha_bar[1:]).numpy()
    np.testing.assert_allclose(list(seen.values()), variances, rtol=0.15)
    assert len(bound.terms) == 101


def test_drawn_times_are_those_of_the_terms():
    drawn = []

    def denoiser(x_t, t):
        drawn.append(t)
        return x_t

    variational_bound(
        denoiser,
        SHORT,
        torch.zeros(500, 1),
        generator=seeded(),
        times=20,
        decoder="continuous",
    )
    first, *others = drawn
    assert (first == 1).all() and len(others) == 20
    assert set(torch.cat(others).tolist()) == set(range(2, 101))


@pytest.mark.parametrize("times", [None, 1])
def test_one_image_has_a_bound_but_no_standard_error(times):
    draw = {"generator": seeded(), "decoder": "continuous"}
    draw["times"] = times
    bound = variational_bound(exact(SHORT), SHORT, normal(1, 4), **draw)
    assert math.isnan(bound.standard_error) and math.isfinite(bound.bits_per_dim)
    two = variational_bound(exact(SHORT), SHORT, normal(2, 4), **draw)
    assert two.standard_error > 0


def test_one_step_has_no_terms_between():
    with pytest.warns(UserWarning, match="is not pure noise"):
        one = make_schedule("linear", 1, beta_1=0.9, beta_T=0.95)
    for times in (None, 5):
        bound = variational_bound(
            exact(one),
            one,
            normal(3, 4),
            generator=seeded(),
            decoder="continuous",
            times=times,
        )
        assert bound.matching == 0
        assert bound.total == pytest.approx(bound.prior + bound.decoder)


@pytest.mark.parametrize("times", [None, 1, 3])
def test_with_two_steps_the_only_time_is_drawn(times):
    two = make_schedule("linear", 2, beta_1=0.9, beta_T=0.99)
    x0 = normal(4, 3)
    bound = variational_bound(
        lambda x_t, t: x0,
        two,
        x0,
        generator=seeded(),
        decoder="continuous",
        times=times,
    )
    ratio = (1 - two.alpha_bar[1]) / (1 - two.alpha_bar[2])
    constant = 3 * (ratio - 1 - ratio.log()) / 2
    assert bound.matching == pytest.approx(constant.item(), rel=1e-12)


def test_a_better_denoiser_has_a_smaller_bound():
    mixture = GaussianMixture.ring(std=0.1)
    x0 = mixture.sample(300, seeded())
    best, blurred = (
        variational_bound(
            denoiser,
            SHORT,
            x0,
            generator=seeded(1),
            decoder="continuous",
        )
        for denoiser in (mixture.denoiser(SHORT), halved(SHORT))
    )
    nll = bits_per_dim(-mixture.log_prob(x0), 2).mean()
    assert nll - 3 * best.standard_error < best.bits_per_dim < blurred.bits_per_dim


# --- devices and errors -----------------------------------------------------------

X = torch.zeros(3, 2)


def test_everything_stays_on_its_device_and_nothing_is_read():
    moved, x = LINEAR.to("meta"), torch.zeros(4, 3, 8, 8, device="meta")
    t = torch.full((4,), 5, device="meta")
    assert prior_kl(moved, x).shape == (4,)
    assert vlb_term(moved, x, x, t, x, "beta_tilde").device.type == "meta"
    assert vlb_term(moved, x, x, 5, x).shape == (4,)
    assert decoder_nll(moved, x, x).device.type == "meta"


@pytest.mark.gpu
def test_on_a_gpu_the_host_never_waits():
    x0 = (normal(4, 3, 8, 8).sigmoid() * 255).round() / 127.5 - 1
    x_t, t = normal(4, 3, 8, 8, seed=1), torch.tensor([2, 10, 100, 1000])
    schedule, on_gpu = LINEAR.to("cuda"), [v.cuda() for v in (x0, x_t, t)]
    with no_waiting():
        term = vlb_term(schedule, *on_gpu, on_gpu[1])
        prior = prior_kl(schedule, on_gpu[0])
    decoder = decoder_nll(schedule, *on_gpu[:2])  # waits: it looks at the data once
    torch.testing.assert_close(term.cpu(), vlb_term(LINEAR, x0, x_t, t, x_t))
    torch.testing.assert_close(prior.cpu(), prior_kl(LINEAR, x0))
    torch.testing.assert_close(decoder.cpu(), decoder_nll(LINEAR, x0, x_t))


class SaysCuda(torch.Tensor):
    """A tensor on the CPU that says it is on a GPU."""

    @property
    def device(self):
        return torch.device("cuda:0")


@pytest.mark.parametrize("x0", [X, X + 1 + 2 / 255, X - 1 - 2 / 255])
def test_data_between_the_bins_are_found_on_a_gpu_too(x0):
    """The wrong scale would give a wrong number of bits, and nothing would say so."""
    x0 = x0.as_subclass(SaysCuda)
    schedule = replace(LINEAR, beta=LINEAR.beta.as_subclass(SaysCuda))
    with pytest.raises(ValueError, match="x0 is not at the centers of 256 bins"):
        decoder_nll(schedule, x0, x0)
    with pytest.raises(ValueError, match="variance has the entry -1"):
        decoder_nll(schedule, x0, x0, decoder="continuous", variance=-1.0)


RNG = torch.Generator()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: gaussian_kl(X, torch.tensor([1.0, 0.0]), X, X + 1),
            ValueError,
            "var_1 has the entry 0: expected variances > 0",
        ),
        (
            lambda: gaussian_kl(X, X + 1, X, torch.tensor([1.0, math.nan])),
            ValueError,
            "var_2 contains nan or inf",
        ),
        (
            lambda: gaussian_kl(X, X + 1, X * math.nan, X + 1),
            ValueError,
            "mean_2 contains nan or inf: expected finite numbers",
        ),
        (
            lambda: gaussian_kl(X + 0j, X + 1, X, X + 1),
            TypeError,
            "mean_1 is of type torch.complex64: expected a real tensor",
        ),
        (
            lambda: gaussian_kl(X, X + 1, X, X + 1j),
            TypeError,
            "var_2 is of type torch.complex64",
        ),
        (
            lambda: gaussian_kl(X, 1.0, X, X + 1),
            TypeError,
            r"var_1 is of type float: expected .*use torch.as_tensor\(var_1\)",
        ),
        (
            lambda: bits_per_dim(X, 0),
            ValueError,
            "dims=0: expected an int >= 1, the size of an image",
        ),
        (
            lambda: bits_per_dim(X, 2.5),
            ValueError,
            "dims=2.5: expected an int",
        ),
        (
            lambda: decoder_nll(LINEAR, X, X, bins=1),
            ValueError,
            "bins=1: expected an int >= 2, such as 256",
        ),
        (lambda: prior_kl(LINEAR, X.half()), TypeError, "x0 has dtype torch.float16"),
        (
            lambda: vlb_term(LINEAR, X, X, 1, X),
            ValueError,
            "t=1 is outside 2 … 1000",
        ),
        (
            lambda: vlb_term(LINEAR, X, X, torch.tensor([2, 3]), X),
            ValueError,
            r"t has shape \(2,\) for data of shape \(3, 2\)",
        ),
        (
            lambda: vlb_term(LINEAR, X, X, 2, X[:1]),
            ValueError,
            r"x0_hat has shape \(1, 2\), x0 has \(3, 2\)",
        ),
        (
            lambda: vlb_term(LINEAR, X, X[:1], 2, X),
            ValueError,
            r"x_t has shape \(1, 2\), x0 has \(3, 2\)",
        ),
        (
            lambda: vlb_term(LINEAR, X, X, 2, X, "learned"),
            ValueError,
            "variance='learned': no such choice",
        ),
        (
            lambda: decoder_nll(LINEAR, X + 1, X[:, :1]),
            ValueError,
            r"x0_hat has shape \(3, 1\)",
        ),
        (
            lambda: decoder_nll(LINEAR, X, X),
            ValueError,
            "x0 is not at the centers of 256 bins .* or use decoder='continuous'",
        ),
        (
            lambda: decoder_nll(LINEAR, X + 1 + 2 / 255, X),
            ValueError,
            "x0 is not at the centers",
        ),
        (
            lambda: decoder_nll(LINEAR, X - 1 - 2 / 255, X),
            ValueError,
            "x0 is not at the centers",
        ),
        (
            lambda: decoder_nll(LINEAR, X, X, decoder="laplace"),
            ValueError,
            "decoder='laplace': no such decoder. Use 'discrete' or 'continuous'",
        ),
        (
            lambda: decoder_nll(LINEAR, X, X, decoder="continuous", variance=0.0),
            ValueError,
            "variance has the entry 0",
        ),
        (
            lambda: variational_bound(
                halved(LINEAR), LINEAR, X, generator=RNG, times=0
            ),
            ValueError,
            "times=0: expected an int >= 1, or None for every t",
        ),
        (
            lambda: variational_bound(
                halved(LINEAR), LINEAR, X, generator=RNG, times=2.5
            ),
            ValueError,
            "times=2.5: expected an int >= 1",
        ),
        (
            lambda: variational_bound(halved(LINEAR), LINEAR, X.numpy(), generator=RNG),
            TypeError,
            r"x0 is a ndarray: expected a torch tensor; use torch.as_tensor\(x0\)",
        ),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(call, error, message):
    with pytest.raises(error, match=message):
        call()
