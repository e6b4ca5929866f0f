"""The four views of one quantity, against a Gaussian whose denoiser is known."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from helpers import COSINE, EVERY_T, LINEAR, normal
from torch.distributions import Normal, kl_divergence

from ddpm_course.forward import q_sample
from ddpm_course.parameterization import (
    Denoiser,
    eps_from_v,
    eps_from_x0,
    loss_weight,
    mean_from_eps,
    mean_from_x0,
    score_from_eps,
    v_from_x0_eps,
    x0_from_eps,
    x0_from_score,
    x0_from_v,
)
from ddpm_course.posterior import posterior_mean, posterior_variance
from ddpm_course.schedules import SCHEDULES, NoiseSchedule, make_schedule

KINDS, VARIANCES = ("eps", "x0", "v"), ("beta", "beta_tilde")


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return make_schedule(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def signal_and_noise(schedule):
    """√ᾱ_t and √(1 - ᾱ_t) at every t from 1 on, shaped for data (1000, n)."""
    abar = schedule.alpha_bar[1:, None]
    return abar.sqrt(), (1 - abar).sqrt()


def consistent(schedule, dtype=torch.float64):
    """x_0, ε and x_t of one forward draw at every t: shape (1000, 20)."""
    x0, eps = normal(1000, 20).to(dtype), normal(1000, 20, seed=1).to(dtype)
    return x0, eps, q_sample(schedule, x0, EVERY_T, eps)


# --- by hand ----------------------------------------------------------------------

HAND = NoiseSchedule.from_betas([0.64, 0.9999])  # √ᾱ_1 = 0.6, √(1 - ᾱ_1) = 0.8


@pytest.mark.parametrize(
    "function, first, second, expected",
    [
        (x0_from_eps, 5.0, 2.0, (5 - 0.8 * 2) / 0.6),
        (eps_from_x0, 5.0, 2.0, (5 - 0.6 * 2) / 0.8),
        (v_from_x0_eps, 5.0, 2.0, 0.6 * 2 - 0.8 * 5),
        (x0_from_v, 5.0, 2.0, 0.6 * 5 - 0.8 * 2),
        (eps_from_v, 5.0, 2.0, 0.8 * 5 + 0.6 * 2),
        (x0_from_score, 5.0, 2.0, (5 + 0.64 * 2) / 0.6),
        (mean_from_eps, 5.0, 2.0, (5 - 0.64 / 0.8 * 2) / 0.6),
        (mean_from_x0, 5.0, 2.0, 2.0),
    ],
)
def test_by_hand_at_t_1(function, first, second, expected):
    first, second = torch.tensor([first]).double(), torch.tensor([second]).double()
    assert function(HAND, first, 1, second).item() == pytest.approx(expected, rel=1e-14)


def test_score_by_hand():
    assert score_from_eps(HAND, 1, torch.tensor([2.0])).item() == pytest.approx(-2.5)


# --- round trips, at every t of every schedule ------------------------------------


def test_x0_and_eps_round_trip_as_well_as_their_condition_allows(schedule, dtype):
    """x_0 of ε divides by √ᾱ_t, ε of x_0 by √(1 - ᾱ_t): so do the rounding errors.

    |x| stays below 6 here; ten roundings of numbers of that size are allowed.
    """
    x0, eps, x_t = consistent(schedule, dtype)
    signal, noise = signal_and_noise(schedule)
    allowed = 10 * 6 * torch.finfo(dtype).eps
    assert max(v.abs().max() for v in (x0, eps, x_t)) < 6
    there_and_back = x0_from_eps(
        schedule, x_t, EVERY_T, eps_from_x0(schedule, x_t, EVERY_T, x0)
    )
    assert ((there_and_back - x0).abs() * signal <= allowed).all()
    back_and_there = eps_from_x0(
        schedule, x_t, EVERY_T, x0_from_eps(schedule, x_t, EVERY_T, eps)
    )
    assert ((back_and_there - eps).abs() * noise <= allowed).all()
    # and from the forward draw itself
    assert ((x0_from_eps(schedule, x_t, EVERY_T, eps) - x0).abs() * signal).max() < (
        allowed
    )
    assert ((eps_from_x0(schedule, x_t, EVERY_T, x0) - eps).abs() * noise).max() < (
        allowed
    )


def test_v_round_trips_at_every_t_without_loss(schedule, dtype):
    """v is a rotation of (x_0, ε): its condition number is 1 everywhere."""
    x0, eps, x_t = consistent(schedule, dtype)
    v = v_from_x0_eps(schedule, x0, EVERY_T, eps)
    allowed = dict(rtol=0, atol=10 * 6 * torch.finfo(dtype).eps)
    torch.testing.assert_close(x0_from_v(schedule, x_t, EVERY_T, v), x0, **allowed)
    torch.testing.assert_close(eps_from_v(schedule, x_t, EVERY_T, v), eps, **allowed)
    # x_t and v are x_0 and ε turned by an angle: the length stays
    torch.testing.assert_close(
        x_t**2 + v**2, x0**2 + eps**2, rtol=20 * torch.finfo(dtype).eps, atol=0
    )


def test_score_and_x0_round_trip(schedule):
    x0, eps, x_t = consistent(schedule)
    signal, _ = signal_and_noise(schedule)
    score = score_from_eps(schedule, EVERY_T, eps)
    back = x0_from_score(schedule, x_t, EVERY_T, score)
    assert ((back - x0).abs() * signal).max() < 1e-14


def test_errors_of_eps_are_amplified_twenty_thousand_times():
    """Cosine, t = T: what x̂_0 must be clipped for. For v the factor is at most 1."""
    x, error = torch.zeros(1).double(), torch.ones(1).double()
    for schedule, factor in ((COSINE, 20_000), (LINEAR, 157)):
        amplified = x0_from_eps(schedule, x, 1000, error).abs().item()
        assert amplified == pytest.approx(factor, rel=0.03)
        assert x0_from_v(schedule, x, 1000, error).abs().item() < 1
    # and those of x_0, in ε, near the clean image: √(ᾱ_1 / β_1)
    assert eps_from_x0(LINEAR, x, 1, error).abs().item() == pytest.approx(100, rel=1e-3)


# --- Gaussian data: every view is known exactly -----------------------------------

MEAN, STD = 0.7, 0.3


def gaussian_views(schedule, x_t):
    """E[x_0 | x_t] and what it is as ε, v and score, for data N(0.7, 0.3²)."""
    signal, noise = signal_and_noise(schedule)
    variance = signal**2 * STD**2 + noise**2  # of x_t
    score = -(x_t - signal * MEAN) / variance
    # conditioning of joint Gaussians: mean + covariance / variance · deviation
    x0 = MEAN + signal * STD**2 / variance * (x_t - signal * MEAN)
    eps = noise / variance * (x_t - signal * MEAN)
    return {"x0": x0, "eps": eps, "v": signal * eps - noise * x0, "score": score}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_denoiser_in_any_view_gives_the_same_x0(schedule, kind):
    x_t = 2 * normal(1000, 20)
    views = gaussian_views(schedule, x_t)
    signal, _ = signal_and_noise(schedule)
    denoiser = Denoiser(lambda x, t: views[kind], schedule, kind)
    error = (denoiser(x_t, EVERY_T) - views["x0"]).abs()
    assert (error * (signal if kind == "eps" else 1) < 1e-13).all()


def test_tweedie_the_score_gives_the_posterior_mean_of_x0(schedule):
    x_t = 2 * normal(1000, 20)
    views, (signal, _) = gaussian_views(schedule, x_t), signal_and_noise(schedule)
    x0 = x0_from_score(schedule, x_t, EVERY_T, views["score"])
    assert ((x0 - views["x0"]).abs() * signal < 1e-13).all()
    torch.testing.assert_close(
        score_from_eps(schedule, EVERY_T, views["eps"]),
        views["score"],
        rtol=1e-11,
        atol=1e-13,
    )


def test_score_is_the_gradient_of_the_log_density(schedule):
    x0, eps, x_t = consistent(schedule)
    signal, noise = signal_and_noise(schedule)
    x_t.requires_grad_()
    Normal(signal * x0, noise).log_prob(x_t).sum().backward()
    # x_t - √ᾱ x_0 loses digits where the noise is small
    torch.testing.assert_close(
        score_from_eps(schedule, EVERY_T, eps), x_t.grad, rtol=1e-9, atol=1e-9
    )


# --- the mean of the model's step -------------------------------------------------


def test_mean_from_eps_is_the_posterior_mean(schedule):
    x0, eps, x_t = consistent(schedule)
    torch.testing.assert_close(
        mean_from_eps(schedule, x_t, EVERY_T, eps),
        posterior_mean(schedule, x0, x_t, EVERY_T),
        rtol=0,
        atol=1e-11,  # at t = T of the cosine 1 / √α_T is 32
    )


def test_mean_from_x0_is_the_posterior_mean_of_the_prediction(schedule):
    x0_hat, _, x_t = consistent(schedule)
    assert torch.equal(
        mean_from_x0(schedule, x_t, EVERY_T, x0_hat),
        posterior_mean(schedule, x0_hat, x_t, EVERY_T),
    )


# --- the weights of the bound -----------------------------------------------------


def two_predictions(schedule, kind):
    """A target and a prediction of that kind, and the x̂_0 that it stands for."""
    x0, eps, x_t = consistent(schedule)
    signal, noise = signal_and_noise(schedule)
    x0_hat = x0 + normal(1000, 20, seed=2)
    eps_hat = (x_t - signal * x0_hat) / noise
    views = {
        "x0": (x0, x0_hat),
        "eps": (eps, eps_hat),
        "v": (signal * eps - noise * x0, signal * eps_hat - noise * x0_hat),
    }
    return x0, x0_hat, x_t, *views[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variance", VARIANCES)
def test_loss_weight_is_the_kl_divergence_of_two_gaussians(schedule, kind, variance):
    """Less its value for a perfect prediction: 0 for β̃, a constant for β."""
    x0, x0_hat, x_t, target, prediction = two_predictions(schedule, kind)
    tilde = posterior_variance(schedule, EVERY_T)[1:, None]
    sigma2 = tilde if variance == "beta_tilde" else schedule.beta[2:, None]
    mean, mean_hat = (
        posterior_mean(schedule, x, x_t, EVERY_T)[1:] for x in (x0, x0_hat)
    )
    q = Normal(mean, tilde.sqrt())
    kl = kl_divergence(q, Normal(mean_hat, sigma2.sqrt()))
    least = kl_divergence(q, Normal(mean, sigma2.sqrt()))
    weight = loss_weight(schedule, EVERY_T, kind, variance)
    assert weight.shape == (1000,) and weight.dtype == torch.float64
    loss = weight[1:, None] * (target - prediction)[1:] ** 2
    torch.testing.assert_close(loss, kl - least, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_at_t_1_the_weight_is_that_of_the_decoder(schedule, kind):
    """-log N(x_0; x̂_0, β_1) for "beta"; for "beta_tilde" the decoder is a point."""
    x0, x0_hat, _, target, prediction = two_predictions(schedule, kind)
    decoder = Normal(x0_hat[0], schedule.beta[1].sqrt())
    best = Normal(x0[0], schedule.beta[1].sqrt())
    nll = best.log_prob(x0[0]) - decoder.log_prob(x0[0])
    weight = loss_weight(schedule, 1, kind, "beta")
    assert weight.shape == ()
    torch.testing.assert_close(
        weight * (target - prediction)[0] ** 2, nll, rtol=1e-6, atol=1e-12
    )
    assert loss_weight(schedule, 1, kind, "beta_tilde") == math.inf


def test_the_weights_are_differences_of_the_snr(schedule):
    """With β̃ the x_0 weights telescope: their sum is ½ (SNR_1 - SNR_T)."""
    weight = loss_weight(schedule, EVERY_T, "x0", "beta_tilde")
    snr = schedule.snr
    torch.testing.assert_close(
        weight[1:], (snr[1:-1] - snr[2:]) / 2, rtol=1e-8, atol=1e-14
    )
    assert weight[1:].sum() == pytest.approx((snr[1] - snr[-1]).item() / 2, rel=1e-11)


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_three_losses_differ_by_snr(schedule, variance):
    """ε-MSE = SNR · x_0-MSE, v-MSE = (SNR + 1) · x_0-MSE: weights go inversely."""
    w = {k: loss_weight(schedule, EVERY_T, k, variance)[1:] for k in KINDS}
    snr = schedule.snr[2:]
    torch.testing.assert_close(w["eps"] * snr, w["x0"], rtol=1e-12, atol=0)
    torch.testing.assert_close(w["v"] * (snr + 1), w["x0"], rtol=1e-12, atol=0)


# --- Denoiser ---------------------------------------------------------------------


def test_an_int_time_reaches_the_network_as_a_batch():
    seen = []

    def network(x, t):
        seen.append(t)
        return x

    x = normal(3, 1, 4, 4).float()
    one = Denoiser(network, LINEAR, "v")(x, 7)
    assert seen[0].tolist() == [7, 7, 7] and seen[0].dtype == torch.int64
    many = Denoiser(network, LINEAR, "v")(x, torch.full((3,), 7))
    torch.testing.assert_close(one, many)
    assert one.shape == x.shape and one.dtype == x.dtype


@pytest.mark.parametrize("field", ["kind", "schedule", "network", "clip"])
def test_a_denoiser_is_frozen(field):
    denoiser = Denoiser(lambda x, t: x, LINEAR)
    with pytest.raises(FrozenInstanceError):
        setattr(denoiser, field, getattr(denoiser, field))


def test_denoiser_predicts_eps_unless_told_otherwise():
    x, network = normal(3, 2), lambda x, t: torch.ones_like(x)
    torch.testing.assert_close(
        Denoiser(network, LINEAR)(x, 9),
        x0_from_eps(LINEAR, x, 9, torch.ones_like(x)),
        rtol=1e-14,
        atol=1e-14,
    )


@pytest.mark.parametrize(
    "clip, expected",
    [
        (None, [-3.0, -0.5, 0.2, 3.0]),
        (1, [-1.0, -0.5, 0.2, 1.0]),
        (0.25, [-0.25, -0.25, 0.2, 0.25]),
        ((0, 2.5), [0.0, 0.0, 0.2, 2.5]),
    ],
)
def test_clip_keeps_x0_in_the_range_of_the_data(clip, expected):
    x0 = torch.tensor([-3.0, -0.5, 0.2, 3.0])[:, None].double()
    x_t = normal(4, 1)
    for kind, prediction in (
        ("x0", x0),
        ("eps", eps_from_x0(LINEAR, x_t, 500, x0)),
    ):
        denoiser = Denoiser(lambda x, t, p=prediction: p, LINEAR, kind, clip)
        assert denoiser(x_t, 500).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_network_under_autocast_leaves_the_arithmetic_in_float32(kind, dtype):
    denoiser = Denoiser(lambda x, t: x.to(dtype), LINEAR, kind)
    for t in (5, torch.tensor([1, 7, 1000])):
        assert denoiser(normal(3, 2).float(), t).dtype == torch.float32


def test_gradients_flow_through_the_denoiser():
    layer = torch.nn.Linear(2, 2).double()
    Denoiser(lambda x, t: layer(x), LINEAR)(normal(3, 2), 5).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


# --- shapes, devices, errors ------------------------------------------------------

TWO = [x0_from_eps, eps_from_x0, v_from_x0_eps, x0_from_v, eps_from_v]
TWO += [x0_from_score, mean_from_eps, mean_from_x0]
SECOND = ["eps", "x0", "eps", "v", "v", "score", "eps_hat", "x0_hat"]


def one_score(schedule, x, t, eps):
    return score_from_eps(schedule, t, eps)


@pytest.mark.parametrize("function", [*TWO, one_score])
def test_int_and_tensor_times_agree(function, dtype):
    x, y = normal(4, 3, 8, 8).to(dtype), normal(4, 3, 8, 8, seed=1).to(dtype)
    t = torch.tensor([1, 2, 500, 1000])
    mixed = function(LINEAR, x, t, y)
    assert mixed.shape == x.shape and mixed.dtype == dtype
    for i, time in enumerate(t.tolist()):
        alone = function(LINEAR, x[i : i + 1], time, y[i : i + 1])
        # to rounding, which x_0 from ε or the score multiplies by up to 157
        unit = torch.finfo(dtype).eps
        torch.testing.assert_close(
            mixed[i : i + 1], alone, rtol=10 * unit, atol=1000 * unit
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variance", VARIANCES)
def test_int_and_tensor_weights_agree(kind, variance):
    t = torch.tensor([1, 2, 500, 1000])
    weights = loss_weight(LINEAR, t, kind, variance)
    for weight, time in zip(weights, t.tolist(), strict=True):
        torch.testing.assert_close(loss_weight(LINEAR, time, kind, variance), weight)


@pytest.mark.parametrize("function", [*TWO, one_score])
def test_everything_stays_on_its_device_and_nothing_is_read(function):
    moved, x = LINEAR.to("meta"), torch.zeros(4, 3, 8, 8, device="meta")
    for t in (1, torch.ones(4, dtype=torch.int64, device="meta")):
        assert function(moved, x, t, x).device.type == "meta"


@pytest.mark.parametrize("kind", KINDS)
def test_weights_stay_on_their_device(kind):
    moved = LINEAR.to("meta")
    for t in (1, torch.ones(4, dtype=torch.int64, device="meta")):
        assert loss_weight(moved, t, kind, "beta_tilde").device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu_the_host_never_waits(kind):
    schedule, t = LINEAR.to("cuda"), torch.tensor([1, 10, 100, 1000])
    x = normal(4, 3, 8, 8)
    x_gpu, t_gpu = x.cuda(), t.cuda()
    denoiser = Denoiser(lambda x, t: x, schedule, kind, clip=3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        got, weight = denoiser(x_gpu, t_gpu), loss_weight(schedule, t_gpu, kind, "beta")
        denoiser(x_gpu, 3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    same = Denoiser(lambda x, t: x, LINEAR, kind, clip=3)
    torch.testing.assert_close(got.cpu(), same(x, t))
    torch.testing.assert_close(weight.cpu(), loss_weight(LINEAR, t, kind, "beta"))


X = torch.zeros(3, 2)


@pytest.mark.parametrize("function, name", list(zip(TWO, SECOND, strict=True)))
def test_bad_data_and_times_are_named(function, name):
    with pytest.raises(TypeError, match=rf"{name} has dtype .* use {name}\.float\(\)"):
        function(LINEAR, X, 1, X.half())
    with pytest.raises(ValueError, match="contains nan or inf"):
        function(LINEAR, X * math.nan, 1, X)
    with pytest.raises(ValueError, match=r"\(3, 1\)"):
        function(LINEAR, X, 1, X[:, :1])
    with pytest.raises(ValueError, match="t=1001 is outside 1 … 1000"):
        function(LINEAR, X, 1001, X)
    with pytest.raises(ValueError, match=r"t has shape \(1,\) for data of shape"):
        function(LINEAR, X, torch.tensor([1]), X)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: score_from_eps(LINEAR, 0, X), ValueError, "t=0 is outside"),
        (lambda: score_from_eps(LINEAR, 1, X.long()), TypeError, "eps has dtype"),
        (
            lambda: loss_weight(LINEAR, 1, "epsilon", "beta"),
            ValueError,
            "kind='epsilon': a network predicts one of 'eps', 'x0', 'v'",
        ),
        (
            lambda: loss_weight(LINEAR, 1, "eps", "betatilde"),
            ValueError,
            "variance='betatilde': no such choice of σ_t². Use 'beta' or 'beta_tilde'",
        ),
        (lambda: loss_weight(LINEAR, 0, "eps", "beta"), ValueError, "t=0 is outside"),
        (
            lambda: Denoiser(torch.add, LINEAR, "noise"),
            ValueError,
            "kind='noise': a network predicts one of",
        ),
        (
            lambda: Denoiser(torch.add, LINEAR, clip=-1.0),
            ValueError,
            r"clip=-1.0: expected low < high, the range of the data, such as \(-1, 1\),"
            " or one number > 0",
        ),
        (lambda: Denoiser(torch.add, LINEAR, clip=0), ValueError, "clip=0: expected"),
        (
            lambda: Denoiser(torch.add, LINEAR, clip=(1, 1)),
            ValueError,
            r"clip=\(1, 1\): expected low < high",
        ),
        (
            lambda: Denoiser(torch.add, LINEAR, clip=math.nan),
            ValueError,
            "clip=nan: expected",
        ),
        (
            lambda: Denoiser(lambda x, t: x[:, :1], LINEAR, "x0")(X, 1),
            ValueError,
            r"network\(x_t, t\) has shape \(3, 1\), x_t has \(3, 2\)",
        ),
        (
            lambda: Denoiser(lambda x, t: X, LINEAR)(X * math.nan, 1),
            ValueError,
            "x_t contains nan or inf",
        ),
        (
            lambda: Denoiser(lambda x, t: x * math.nan, LINEAR, "x0")(X, 1),
            ValueError,
            r"network\(x_t, t\) contains nan or inf",
        ),
        (
            lambda: Denoiser(lambda x, t: None, LINEAR)(X, 1),
            TypeError,
            r"network\(x_t, t\) returned a NoneType",
        ),
        (
            lambda: Denoiser(lambda x, t: (x, x), LINEAR)(X, 1),
            TypeError,
            r"network\(x_t, t\) returned a tuple",
        ),
        (
            lambda: Denoiser(torch.add, LINEAR.beta),
            TypeError,
            "schedule is a Tensor: expected a NoiseSchedule",
        ),
        (lambda: Denoiser(torch.add, LINEAR)(X.half(), 1), TypeError, "x_t has dtype"),
        (lambda: Denoiser(torch.add, LINEAR)(X, 0), ValueError, "t=0 is outside"),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(call, error, message):
    with pytest.raises(error, match=message):
        call()
