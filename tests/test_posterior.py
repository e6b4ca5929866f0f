"""The posterior, against Bayes' rule on a grid and the laws of total moments."""

import math

import numpy as np
import pytest
import torch
from helpers import EVERY_T, LINEAR, normal
from scipy.stats import norm

from ddpm_course.posterior import (
    mean_coefficients,
    posterior_mean,
    posterior_variance,
    reverse_variance,
)
from ddpm_course.schedules import SCHEDULES, NoiseSchedule, make_schedule


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return make_schedule(request.param)


def exact_arrays(schedule):
    """α, β, ᾱ, 1 - ᾱ from the betas alone, with no digit lost near 1."""
    beta = schedule.beta.numpy()
    log_abar = np.cumsum(np.log1p(-beta))
    return 1 - beta, beta, np.exp(log_abar), -np.expm1(log_abar)


def test_posterior_is_bayes_rule_on_a_grid(schedule):
    """q(x_t | x) q(x | x_0) / q(x_t | x_0) on a fine grid of x, at every t > 1.

    The trapezoidal rule integrates a Gaussian to machine precision.
    """
    alpha, beta, abar, noise = exact_arrays(schedule)
    t = np.arange(2, 1001)
    x0, eps = normal(999).numpy(), normal(999, seed=1).numpy()
    x_t = np.sqrt(abar[t]) * x0 + np.sqrt(noise[t]) * eps
    # as a function of x both factors are bells; the grid covers the narrower one
    centres = np.stack([np.sqrt(abar[t - 1]) * x0, x_t / np.sqrt(alpha[t])])
    widths = np.sqrt(np.stack([noise[t - 1], beta[t] / alpha[t]]))
    narrow = widths.argmin(axis=0), np.arange(len(t))
    u = np.linspace(-14, 14, 1001)[:, None]
    x, step = centres[narrow] + widths[narrow] * u, widths[narrow] * (u[1] - u[0])

    product = norm.pdf(x_t, np.sqrt(alpha[t]) * x, np.sqrt(beta[t])) * norm.pdf(
        x, centres[0], widths[0]
    )
    evidence = norm.pdf(x_t, np.sqrt(abar[t]) * x0, np.sqrt(noise[t]))
    # the normalisation is q(x_t | x_0): Bayes' rule holds with its constant
    np.testing.assert_allclose((product * step).sum(0), evidence, rtol=1e-10)
    density = product / evidence
    mean = (x * density * step).sum(0)
    variance = ((x - mean) ** 2 * density * step).sum(0)

    times = torch.from_numpy(t)
    got_mean = posterior_mean(
        schedule, torch.from_numpy(x0), torch.from_numpy(x_t), times
    ).numpy()
    got_variance = posterior_variance(schedule, times).numpy()
    np.testing.assert_allclose(got_mean, mean, rtol=0, atol=1e-10)
    np.testing.assert_allclose(got_variance, variance, rtol=1e-10)
    # and it is Gaussian: the whole density agrees, in units of its height
    deviation = np.sqrt(got_variance)
    np.testing.assert_allclose(
        density * deviation,
        norm.pdf(x, got_mean, deviation) * deviation,
        rtol=0,
        atol=1e-10,
    )


def test_at_t_1_the_posterior_is_x0_to_the_last_bit(schedule):
    for dtype in (torch.float32, torch.float64):
        x0, x_t = normal(50).to(dtype), normal(50, seed=1).to(dtype)
        assert torch.equal(posterior_mean(schedule, x0, x_t, 1), x0)
    assert posterior_variance(schedule, 1) == 0
    assert (posterior_variance(schedule, EVERY_T)[1:] > 0).all()


def test_total_mean_and_variance(schedule):
    """Averaged over q(x_t | x_0), the posterior gives back q(x_{t-1} | x_0)."""
    _, _, abar, noise = (torch.from_numpy(a) for a in exact_arrays(schedule))
    t = EVERY_T
    on_x0, on_x_t = mean_coefficients(schedule, t)
    torch.testing.assert_close(
        on_x0 + on_x_t * abar[t].sqrt(), abar[t - 1].sqrt(), rtol=1e-11, atol=0
    )
    variance = on_x_t**2 * noise[t] + posterior_variance(schedule, t)
    torch.testing.assert_close(variance, noise[t - 1], rtol=1e-11, atol=1e-15)


def test_by_hand():
    schedule = NoiseSchedule.from_betas([0.36, 0.75, 0.99])  # ᾱ = 0.64, 0.16, 0.0016
    # t = 2: √ᾱ_1 β_2 / (1 - ᾱ_2) = 0.8 · 0.75 / 0.84, √α_2 (1 - ᾱ_1) / (1 - ᾱ_2)
    on_x0, on_x_t = mean_coefficients(schedule, 2)
    assert on_x0 == pytest.approx(0.6 / 0.84, rel=1e-14)
    assert on_x_t == pytest.approx(0.5 * 0.36 / 0.84, rel=1e-14)
    x0, x_t = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]])
    torch.testing.assert_close(
        posterior_mean(schedule, x0, x_t, 2), (0.6 * x0 + 0.18 * x_t) / 0.84
    )
    assert posterior_variance(schedule, 2) == pytest.approx(0.27 / 0.84, rel=1e-14)


def test_posterior_variance_is_below_beta_and_nears_it(schedule):
    ratio = posterior_variance(schedule, EVERY_T) / schedule.beta[1:]
    assert (ratio < 1).all() and (ratio.diff() > 0).all()
    assert ratio[-1] > 0.99


def test_reverse_variance_has_two_choices(schedule):
    for t in (1, 7, EVERY_T):
        torch.testing.assert_close(
            reverse_variance(schedule, t, "beta"), schedule.beta[t], rtol=1e-10, atol=0
        )
        assert torch.equal(
            reverse_variance(schedule, t, "beta_tilde"), posterior_variance(schedule, t)
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_int_and_tensor_times_agree(dtype):
    x0, x_t = normal(4, 3, 8, 8).to(dtype), normal(4, 3, 8, 8, seed=1).to(dtype)
    t = torch.tensor([1, 2, 500, 1000])
    mixed = posterior_mean(LINEAR, x0, x_t, t)
    assert mixed.shape == x0.shape and mixed.dtype == dtype
    variance = posterior_variance(LINEAR, t)
    assert variance.shape == (4,) and variance.dtype == torch.float64
    for i, time in enumerate(t.tolist()):
        alone = posterior_mean(LINEAR, x0[i : i + 1], x_t[i : i + 1], time)
        torch.testing.assert_close(mixed[i : i + 1], alone)
        one = posterior_variance(LINEAR, time)
        assert one.shape == () and one == variance[i] and one.dtype == torch.float64


def test_the_order_of_the_arguments_matters():
    x0, x_t = normal(4), normal(4, seed=1)
    # late in the process x_{t-1} is near x_t, and x_0 says little
    assert (posterior_mean(LINEAR, x0, x_t, 1000) - x_t).abs().max() < 0.05
    assert (posterior_mean(LINEAR, x_t, x0, 1000) - x0).abs().max() < 0.05


def test_everything_stays_on_its_device_and_nothing_is_read():
    moved, x = LINEAR.to("meta"), torch.zeros(4, 3, 8, 8, device="meta")
    for t in (1, torch.ones(4, dtype=torch.int64, device="meta")):
        assert posterior_mean(moved, x, x, t).device.type == "meta"
        assert posterior_variance(moved, t).device.type == "meta"
        assert reverse_variance(moved, t, "beta").device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_host_never_waits():
    schedule, t = LINEAR.to("cuda"), torch.tensor([1, 10, 100, 1000])
    x0, x_t = normal(4, 3, 8, 8), normal(4, 3, 8, 8, seed=1)
    on_gpu = [v.cuda() for v in (x0, x_t, t)]
    torch.cuda.set_sync_debug_mode("error")
    try:
        mean = posterior_mean(schedule, *on_gpu)
        variance = posterior_variance(schedule, on_gpu[2])
        posterior_mean(schedule, on_gpu[0], on_gpu[1], 3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(mean.cpu(), posterior_mean(LINEAR, x0, x_t, t))
    torch.testing.assert_close(variance.cpu(), posterior_variance(LINEAR, t))


X = torch.zeros(3, 2)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: posterior_mean(LINEAR, X.half(), X, 1),
            TypeError,
            r"x0 has dtype torch.float16: .*use x0.float\(\)",
        ),
        (
            lambda: posterior_mean(LINEAR, X, X[:1], 1),
            ValueError,
            r"x_t has shape \(1, 2\), x0 has \(3, 2\): expected the same shape",
        ),
        (
            lambda: posterior_mean(LINEAR, X, X * math.nan, 1),
            ValueError,
            "x_t contains nan or inf",
        ),
        (lambda: posterior_mean(LINEAR, X, X, 0), ValueError, "t=0 is outside 1 … 100"),
        (
            lambda: posterior_mean(LINEAR, X, X, torch.tensor([1, 2])),
            ValueError,
            r"t has shape \(2,\) for data of shape \(3, 2\)",
        ),
        (lambda: posterior_variance(LINEAR, 0), ValueError, "t=0 is outside 1 … 1000"),
        (lambda: posterior_variance(LINEAR, 1001), ValueError, "t=1001 is outside"),
        (
            lambda: posterior_variance(LINEAR, torch.tensor([5, 0])),
            ValueError,
            "t=0 is outside",
        ),
        (lambda: posterior_variance(LINEAR, 1.0), TypeError, "t=1.0 is a float"),
        (
            lambda: posterior_variance(LINEAR, torch.tensor(1)),
            ValueError,
            r"t has shape \(\): expected an int, or an int64 tensor of shape \(batch",
        ),
        (lambda: reverse_variance(LINEAR, 0, "beta"), ValueError, "t=0 is outside"),
        (
            lambda: reverse_variance(LINEAR, 1, "learned"),
            ValueError,
            "variance='learned': no such choice of σ_t². Use 'beta' or 'beta_tilde",
        ),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(call, error, message):
    with pytest.raises(error, match=message):
        call()
