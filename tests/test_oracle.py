"""The exact denoiser, against integration, block covariances and autograd."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from helpers import COSINE, EVERY_T, LINEAR, normal
from numpy.linalg import inv
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from ddpm_course.forward import q_sample
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import (
    Denoiser,
    eps_from_x0,
    mean_from_x0,
    v_from_x0_eps,
    x0_from_score,
)
from ddpm_course.posterior import reverse_variance
from ddpm_course.schedules import SCHEDULES, make_schedule

SOME_T = (1, 2, 30, 300, 700, 999, 1000)
ANSWERS = ("x0_mean", "x0_variance", "eps_mean", "score", "log_prob_t")


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return make_schedule(request.param)


@pytest.fixture(params=[1, 2, 5], ids="D={}".format)
def mixture(request):
    return some_mixture(request.param)


def some_mixture(D):
    """Three components of different weight and width, close enough to overlap."""
    return GaussianMixture([0.5, 0.2, 0.3], normal(3, D, seed=D), [0.3, 0.15, 0.6])


def diffused(schedule, mixture, t, seed=0):
    """x_t of the forward process, one for each time of t."""
    x0 = mixture.sample(len(t), torch.Generator().manual_seed(seed))
    return q_sample(schedule, x0, t, normal(*x0.shape, seed=seed + 1))


def constants(schedule, t):
    abar = float(schedule.alpha_bar[t])
    return math.sqrt(abar), 1 - abar


# --- integration and conditioning -------------------------------------------------


@pytest.mark.parametrize("t", SOME_T)
def test_bayes_on_a_grid_in_one_dimension(schedule, t):
    """E, Var and the evidence of p(x_0) q(x_t | x_0), summed over x_0."""
    w, m, s = np.array([0.6, 0.4]), np.array([-0.9, 0.5]), np.array([0.2, 0.4])
    mixture = GaussianMixture(w, m[:, None], s)
    x0 = np.linspace(-5, 5, 20_001)  # the narrowest factor has std 0.01
    x_t = np.linspace(-2.5, 2.5, 9)[:, None]
    signal, noise = constants(schedule, t)
    prior = (w * norm.pdf(x0[:, None], m, s)).sum(1)
    joint = prior * norm.pdf(x_t, signal * x0, math.sqrt(noise)) * (x0[1] - x0[0])
    evidence = joint.sum(1)
    mean = (joint * x0).sum(1) / evidence
    variance = (joint * (x0 - mean[:, None]) ** 2).sum(1) / evidence

    x = torch.from_numpy(x_t)
    got = {name: getattr(mixture, name)(schedule, x, t).numpy() for name in ANSWERS}
    np.testing.assert_allclose(got["log_prob_t"], np.log(evidence), atol=1e-10)
    np.testing.assert_allclose(got["x0_mean"][:, 0], mean, atol=1e-11)
    np.testing.assert_allclose(got["x0_variance"][:, 0], variance, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("t", (1, 300, 1000))
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_bayes_on_a_grid_in_two_dimensions(schedule, t):
    mixture = GaussianMixture.ring(modes=5, radius=0.8, std=0.2)
    axis = np.linspace(-2.5, 2.5, 1001)
    x0 = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    prior = sum(
        multivariate_normal(
            [0.8 * math.cos(math.tau * k / 5), 0.8 * math.sin(math.tau * k / 5)], 0.04
        ).pdf(x0)
        for k in range(5)
    )
    signal, noise = constants(schedule, t)
    for point in ([0.3, 0.1], [-0.7, 0.5], [1.1, -0.9]):
        bells = [norm.pdf(c, signal * axis, math.sqrt(noise)) for c in point]
        joint = prior / 5 * np.outer(*bells) * (axis[1] - axis[0]) ** 2
        evidence = joint.sum()
        mean = (joint[..., None] * x0).sum((0, 1)) / evidence
        variance = (joint[..., None] * (x0 - mean) ** 2).sum((0, 1)) / evidence

        x_t = torch.tensor([point], dtype=torch.float64)
        log_density = mixture.log_prob_t(schedule, x_t, t).item()
        assert log_density == pytest.approx(math.log(evidence), abs=1e-10)
        got = mixture.x0_mean(schedule, x_t, t)[0].numpy()
        np.testing.assert_allclose(got, mean, atol=1e-11)
        got = mixture.x0_variance(schedule, x_t, t)[0].numpy()
        np.testing.assert_allclose(got, variance, rtol=1e-9)


@pytest.mark.parametrize("t", SOME_T)
def test_conditioning_by_covariance_matrices(schedule, mixture, t):
    """Each component by Cov(x_0, x_t) Cov(x_t)⁻¹, the textbook's block formula."""
    signal, noise = constants(schedule, t)
    D = mixture.means.shape[1]
    log_joint, means, seconds = [], [], []
    x_t = 1.5 * normal(6, D, seed=9).numpy()
    for w, m, s in zip(mixture.weights, mixture.means, mixture.stds, strict=True):
        prior, m = float(s) ** 2 * np.eye(D), m.numpy()
        cross, total = signal * prior, signal**2 * prior + noise * np.eye(D)
        log_normal = multivariate_normal(signal * m, total).logpdf(x_t)
        log_joint.append(math.log(w) + log_normal)
        gain = cross @ inv(total)
        means.append(m + (x_t - signal * m) @ gain.T)
        seconds.append(means[-1] ** 2 + np.diag(prior - gain @ cross.T))
    log_evidence = logsumexp(log_joint, axis=0)
    r = np.exp(log_joint - log_evidence)[..., None]
    mean = (r * means).sum(0)
    variance = (r * seconds).sum(0) - mean**2

    x = torch.from_numpy(x_t)
    got = {name: getattr(mixture, name)(schedule, x, t).numpy() for name in ANSWERS}
    np.testing.assert_allclose(got["log_prob_t"], log_evidence, rtol=1e-10)
    np.testing.assert_allclose(got["x0_mean"], mean, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(got["x0_variance"], variance, rtol=1e-7)
    eps = (x_t - signal * mean) / math.sqrt(noise)
    np.testing.assert_allclose(got["eps_mean"], eps, rtol=1e-9, atol=1e-11)


def test_log_prob_is_the_density_of_the_data(mixture):
    x = mixture.sample(20, torch.Generator().manual_seed(1))
    D = x.shape[1]
    density = sum(
        float(w) * multivariate_normal(m.numpy(), float(s) ** 2 * np.eye(D)).pdf(x)
        for w, m, s in zip(mixture.weights, mixture.means, mixture.stds, strict=True)
    )
    np.testing.assert_allclose(mixture.log_prob(x), np.log(density), rtol=1e-12)


# --- one Gaussian -----------------------------------------------------------------


def test_one_gaussian_has_the_linear_denoiser(schedule):
    """√ᾱ s² / (ᾱ s² + 1 - ᾱ) x_t for data N(0, s² I), at every t."""
    s2 = 0.25
    mixture = GaussianMixture([1.0], torch.zeros(1, 3), 0.5)
    abar = schedule.alpha_bar[1:, None]
    x_t = 2 * normal(1000, 3)
    slope = abar.sqrt() * s2 / (abar * s2 + 1 - abar)
    torch.testing.assert_close(
        mixture.x0_mean(schedule, x_t, EVERY_T), slope * x_t, rtol=1e-12, atol=0
    )
    torch.testing.assert_close(
        mixture.x0_variance(schedule, x_t, EVERY_T),
        (1 / (1 / s2 + abar / (1 - abar))).expand(1000, 3),  # precisions add
        rtol=1e-11,
        atol=0,
    )


@pytest.mark.parametrize(
    "data_variance, variance, expected",
    [
        (0.25, "beta", 0.250752),
        (0.25, "beta_tilde", 0.246125),
        (1.0, "beta", 0.999900),
        (1.0, "beta_tilde", 0.991067),
    ],
)
def test_variance_of_the_samples_by_recursion(data_variance, variance, expected):
    """Every step is linear in x_t, so the variance needs no Monte Carlo."""
    mixture = GaussianMixture([1.0], [[0.0]], data_variance**0.5)
    denoise, one = mixture.denoiser(LINEAR), torch.ones(1, 1, dtype=torch.float64)
    total = 1.0
    for t in range(1000, 0, -1):
        slope = mean_from_x0(LINEAR, one, t, denoise(one, t)).item()
        noise = reverse_variance(LINEAR, t, variance).item() if t > 1 else 0.0
        total = slope**2 * total + noise
    assert total == pytest.approx(expected, abs=5e-7)


# --- the four views ---------------------------------------------------------------


def test_score_is_the_gradient_of_log_prob_t(schedule, mixture):
    x_t = diffused(schedule, mixture, EVERY_T).requires_grad_()
    mixture.log_prob_t(schedule, x_t, EVERY_T).sum().backward()
    score = mixture.score(schedule, x_t.detach(), EVERY_T)
    torch.testing.assert_close(score, x_t.grad, rtol=1e-9, atol=1e-9)


def test_tweedie(schedule, mixture):
    """The mean from the score, and the variance from the slope of the mean."""
    x_t = diffused(schedule, mixture, EVERY_T)
    abar = schedule.alpha_bar[1:, None]
    mean = mixture.x0_mean(schedule, x_t, EVERY_T)
    by_tweedie = x0_from_score(
        schedule, x_t, EVERY_T, mixture.score(schedule, x_t, EVERY_T)
    )
    assert ((by_tweedie - mean).abs() * abar.sqrt() < 1e-13).all()

    x_t.requires_grad_()
    mean = mixture.x0_mean(schedule, x_t, EVERY_T)
    slope = torch.stack(
        [
            torch.autograd.grad(mean[:, i].sum(), x_t, retain_graph=True)[0][:, i]
            for i in range(x_t.shape[1])
        ],
        dim=1,
    )
    # at ᾱ_T = 2.4e-9 the variance is a difference of numbers 20 000 times as large
    torch.testing.assert_close(
        mixture.x0_variance(schedule, x_t.detach(), EVERY_T),
        (1 - abar) / abar.sqrt() * slope,
        rtol=1e-9,
        atol=1e-9,
    )


def test_eps_mean_is_the_same_denoiser(schedule, mixture):
    x_t = diffused(schedule, mixture, EVERY_T)
    x0 = mixture.x0_mean(schedule, x_t, EVERY_T)
    torch.testing.assert_close(
        mixture.eps_mean(schedule, x_t, EVERY_T),
        eps_from_x0(schedule, x_t, EVERY_T, x0),
        rtol=0,
        atol=1e-12,
    )


def test_as_eps_x0_or_v_the_samplers_get_the_same_x0(schedule, mixture):
    def as_v(x_t, t):
        x0, eps = mixture.x0_mean(schedule, x_t, t), mixture.eps_mean(schedule, x_t, t)
        return v_from_x0_eps(schedule, x0, t, eps)

    views = {
        "x0": mixture.denoiser(schedule),
        "eps": lambda x_t, t: mixture.eps_mean(schedule, x_t, t),
        "v": as_v,
    }
    x_t = diffused(schedule, mixture, EVERY_T)
    signal = schedule.alpha_bar[1:, None].sqrt()
    x0 = mixture.x0_mean(schedule, x_t, EVERY_T)
    for kind, network in views.items():
        error = (Denoiser(network, schedule, kind)(x_t, EVERY_T) - x0).abs()
        assert (error * (signal if kind == "eps" else 1) < 1e-13).all(), kind


@pytest.mark.parametrize("t", (1, 100, 500, 1000))
def test_x0_variance_is_the_floor_of_the_loss(schedule, t):
    """E(x_0 - E[x_0 | x_t])² over draws; any other denoiser does worse."""
    mixture, n = some_mixture(2), 20_000
    x0 = mixture.sample(n, torch.Generator().manual_seed(3))
    x_t = q_sample(schedule, x0, t, normal(n, 2, seed=4))
    mean = mixture.x0_mean(schedule, x_t, t)
    excess = (x0 - mean) ** 2 - mixture.x0_variance(schedule, x_t, t)
    error = excess.std(dim=0) / n**0.5
    assert (excess.mean(dim=0).abs() < 5 * error).all()
    # the remainder is orthogonal to every function of x_t
    for f in (torch.ones_like(x_t), x_t, mean, x_t.sin()):
        product = (x0 - mean) * f
        assert (product.mean(dim=0).abs() < 5 * product.std(dim=0) / n**0.5).all()


# --- a finite data set ------------------------------------------------------------

POINTS = normal(40, 1, 2, 3, seed=5)  # forty images of one channel


@pytest.mark.parametrize("t", SOME_T)
def test_points_are_averaged_with_softmax_weights(schedule, t):
    mixture = GaussianMixture.of_points(POINTS)
    signal, noise = constants(schedule, t)
    x_t = signal * POINTS[:9] + math.sqrt(noise) * normal(9, 1, 2, 3, seed=6)
    square = ((x_t[:, None] - signal * POINTS) ** 2).sum((2, 3, 4)).numpy() / noise
    log_evidence = logsumexp(-square / 2, axis=1) - math.log(40)
    r = np.exp(-square / 2 - math.log(40) - log_evidence[:, None])
    mean = np.einsum("bk,k...->b...", r, POINTS.numpy())
    distance = (POINTS.numpy() - mean[:, None]) ** 2
    variance = np.einsum("bk,bk...->b...", r, distance)

    got = mixture.x0_mean(schedule, x_t, t)
    assert got.shape == x_t.shape
    np.testing.assert_allclose(got, mean, rtol=0, atol=1e-10)
    got = mixture.x0_variance(schedule, x_t, t)
    np.testing.assert_allclose(got, variance, rtol=1e-7, atol=1e-20)
    got = mixture.log_prob_t(schedule, x_t, t)
    log_evidence -= 3 * math.log(math.tau * noise)
    np.testing.assert_allclose(got, log_evidence, rtol=1e-10)


def test_points_from_the_nearest_one_to_the_mean_of_all(schedule):
    mixture = GaussianMixture.of_points(POINTS)
    x_1 = q_sample(schedule, POINTS, 1, normal(40, 1, 2, 3))
    torch.testing.assert_close(
        mixture.x0_mean(schedule, x_1, 1), POINTS, rtol=0, atol=1e-12
    )
    assert (mixture.x0_variance(schedule, x_1, 1) < 1e-20).all()
    x_T = normal(40, 1, 2, 3)
    reach = 20 * schedule.alpha_bar[-1].sqrt().item()  # 0 for pure noise
    assert (mixture.x0_mean(schedule, x_T, 1000) - POINTS.mean(0)).abs().max() < reach
    spread = POINTS.var(dim=0, correction=0)
    assert (mixture.x0_variance(schedule, x_T, 1000) - spread).abs().max() < reach


def test_far_from_the_origin_near_points_are_told_apart():
    """Moving all data by c moves x_t by √ᾱ c; distances must not lose digits."""
    near = 0.01 * POINTS
    x_1 = q_sample(LINEAR, near, 1, normal(40, 1, 2, 3))
    moved = x_1 + 1000 * LINEAR.alpha_bar[1].sqrt()
    torch.testing.assert_close(
        GaussianMixture.of_points(near + 1000).log_prob_t(LINEAR, moved, 1),
        GaussianMixture.of_points(near).log_prob_t(LINEAR, x_1, 1),
        rtol=0,
        atol=1e-8,
    )


def test_points_have_no_density_until_noise_is_added():
    mixture = GaussianMixture.of_points(POINTS)
    with pytest.raises(ValueError, match=r"stds contains 0.*log_prob_t"):
        mixture.log_prob(POINTS)
    drawn = mixture.sample(200, torch.Generator().manual_seed(0))
    assert (drawn[:, None] == POINTS).flatten(2).all(2).any(1).all()


# --- samples ----------------------------------------------------------------------


def test_moments_of_samples(mixture):
    n = 40_000
    x = mixture.sample(n, torch.Generator().manual_seed(7))
    assert x.shape == (n, mixture.means.shape[1]) and x.dtype == torch.float64
    w, m, s = mixture.weights[:, None], mixture.means, mixture.stds[:, None]
    mean = (w * m).sum(0)
    variance = (w * (s**2 + (m - mean) ** 2)).sum(0)
    deviation = x - mean
    for statistic, expected in ((deviation, 0), (deviation**2, variance)):
        error = statistic.std(dim=0) / n**0.5
        assert ((statistic.mean(dim=0) - expected).abs() < 5 * error).all()


def test_each_component_is_drawn_with_its_own_weight_and_width():
    w, s = torch.tensor([0.7, 0.1, 0.2]), torch.tensor([0.1, 0.0, 0.4])
    mixture = GaussianMixture(w, [[-9.0, 0], [0, 0], [9, 0]], s)
    x = mixture.sample(20_000, torch.Generator().manual_seed(8))
    k = (x[:, 0] / 9).round().long() + 1
    share = torch.bincount(k, minlength=3) / len(x)
    assert ((share - w).abs() < 5 * (w * (1 - w) / len(x)).sqrt()).all()
    for i in range(3):
        width = (x[k == i] - mixture.means[i]).std(dim=0)
        n = int((k == i).sum())
        assert ((width - s[i]).abs() <= 5 * s[i] / (2 * n) ** 0.5).all()


def test_samples_come_from_the_generator_and_look_like_the_data():
    mixture = GaussianMixture([0.5, 0.5], normal(2, 1, 4, 4), 0.1)
    first, again, other = (
        mixture.sample(5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (5, 1, 4, 4)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_ring():
    mixture = GaussianMixture.ring(modes=4, radius=2.0, std=0.1)
    expected = torch.tensor([[2, 0], [0, 2], [-2, 0], [0, -2]]).double()
    torch.testing.assert_close(mixture.means, expected)
    assert mixture.weights.tolist() == [0.25] * 4 and mixture.stds.tolist() == [0.1] * 4
    assert GaussianMixture.ring(modes=3).weights.tolist() == [1 / 3] * 3
    assert GaussianMixture.ring(modes=1).sample(1).shape == (1, 2)
    mixture = GaussianMixture.ring()
    assert mixture.means.shape == (8, 2) and mixture.stds.tolist() == [0.05] * 8
    torch.testing.assert_close(mixture.means.norm(dim=1), torch.ones(8).double())


# --- numbers ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("data", ["mixture", "ring", "points"])
def test_float32_is_float64_rounded_once(schedule, data, name):
    mixture = {
        "mixture": some_mixture(2),
        "ring": GaussianMixture.ring(),
        "points": GaussianMixture.of_points(normal(30, 2)),
    }[data]
    answer = getattr(mixture, name)
    x_t = diffused(schedule, mixture, EVERY_T).float()
    got, exact = answer(schedule, x_t, EVERY_T), answer(schedule, x_t.double(), EVERY_T)
    assert got.dtype == torch.float32 and exact.dtype == torch.float64
    torch.testing.assert_close(got.double(), exact, rtol=2e-7, atol=1e-30)


@pytest.mark.parametrize("name", ANSWERS)
def test_far_from_all_data_everything_stays_finite(schedule, name):
    answer = getattr(GaussianMixture.ring(std=0.0), name)
    x_t = torch.tensor([[1e4, 0.0], [0.0, 0.0], [-3e3, 5e3]]).repeat(1000, 1)
    assert answer(schedule, x_t, EVERY_T.repeat_interleave(3)).isfinite().all()


@pytest.mark.parametrize("name", ANSWERS)
def test_one_time_for_all_is_the_same_time_for_each(mixture, name):
    answer = getattr(mixture, name)
    x_t = diffused(LINEAR, mixture, EVERY_T)[:4]
    each = answer(LINEAR, x_t, torch.full((4,), 321))
    torch.testing.assert_close(answer(LINEAR, x_t, 321), each, rtol=1e-13, atol=0)


def test_images_are_flat_data_in_another_shape(schedule):
    flat = some_mixture(6)
    images = GaussianMixture(flat.weights, flat.means.reshape(3, 1, 2, 3), flat.stds)
    x_t = diffused(schedule, flat, EVERY_T)
    for name in ANSWERS:
        got = getattr(images, name)(schedule, x_t.reshape(-1, 1, 2, 3), EVERY_T)
        expected = getattr(flat, name)(schedule, x_t, EVERY_T)
        shape = (1000,) if name == "log_prob_t" else (1000, 1, 2, 3)
        assert torch.equal(got, expected.reshape(shape)), name
    got = images.log_prob(x_t.float().reshape(-1, 1, 2, 3))
    assert got.shape == (1000,) and got.dtype == torch.float32


def test_a_component_of_weight_0_is_not_there():
    mixture = GaussianMixture([1.0, 0.0], [[0.0, 0.0], [1.0, 1.0]], 0.5)
    alone = GaussianMixture([1.0], [[0.0, 0.0]], 0.5)
    x_t = normal(1000, 2)
    for name in ANSWERS:
        got, expected = (
            getattr(m, name)(COSINE, x_t, EVERY_T) for m in (mixture, alone)
        )
        torch.testing.assert_close(got, expected, rtol=1e-13, atol=0)


# --- a value, and its errors ------------------------------------------------------


def test_a_mixture_is_a_value():
    means = torch.zeros(2, 3, dtype=torch.float64)
    mixture = GaussianMixture(torch.tensor([0.5, 0.5]), means, 0.1)
    means += 1
    assert (mixture.means == 0).all()
    assert mixture.stds.tolist() == [0.1, 0.1]
    assert mixture != mixture.to("cpu")  # compared by identity, like its tensors
    for field in dataclasses.fields(mixture):
        value = getattr(mixture, field.name)
        assert value.dtype == torch.float64
        assert torch.equal(getattr(mixture.to("cpu"), field.name), value)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(mixture, field.name, value)


@pytest.mark.parametrize(
    "weights, means, stds, message",
    [
        ([0.5, 0.4], [[0.0], [1.0]], 0.1, r"weights sum to 0\.9: .*weights\.sum"),
        ([0.7, 0.4], [[0.0], [1.0]], 0.1, r"weights sum to 1\.1"),
        ([1.5, -0.5], [[0.0], [1.0]], 0.1, r"weights contains -0\.5: expected"),
        ([math.nan, 0.5], [[0.0], [1.0]], 0.1, "weights contains nan"),
        ([1.0], [[0.0], [1.0]], 0.1, r"weights has shape \(1,\): expected \(2,\)"),
        ([0.5, 0.5], [0.0, 1.0], 0.1, r"means has shape \(2,\): .*means\[:, None\]"),
        ([0.5, 0.5], [[0.0], [math.inf]], 0.1, "means contains nan or inf"),
        ([], torch.zeros(0, 2), 0.1, r"means has shape \(0, 2\)"),
        ([1.0], torch.zeros(1, 0), 0.1, r"means has shape \(1, 0\)"),
        ([0.5, 0.5], [[0.0], [1.0]], [0.1, -0.1], r"stds contains -0\.1"),
        ([0.5, 0.5], [[0.0], [1.0]], math.inf, "stds contains nan or inf"),
        ([0.5, 0.5], [[0.0], [1.0]], [0.1], r"stds has shape \(1,\): expected \(2,\)"),
        ([0.5, 0.5], [[0.0], [1.0]], [[0.1]] * 2, r"stds has shape \(2, 1\)"),
    ],
)
def test_no_such_mixture(weights, means, stds, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(weights, means, stds)


@pytest.mark.parametrize(
    "weights, means, stds, message",
    [
        ("half", [[0.0]], 0.1, "weights='half' is not made of numbers"),
        ([1.0], [[0.0], [1.0, 2.0]], 0.1, r"means=\[\[0.0\], \[1.0, 2.0\]\] is not"),
        ([1.0], [["a"]], 0.1, "means=.*is not made of numbers: expected a tensor"),
        ([1.0], [[0.0]], None, "stds=None is not made of numbers"),
        ([1.0], [[1j]], 0.1, "means has dtype torch.complex128: expected real"),
        (torch.ones(1) + 0j, [[0.0]], 0.1, "weights has dtype torch.complex64"),
    ],
)
def test_a_mixture_is_made_of_real_numbers(weights, means, stds, message):
    with pytest.raises(TypeError, match=message):
        GaussianMixture(weights, means, stds)


def test_a_finite_data_set_may_be_an_array_but_not_one_number():
    points = np.array([[0.1, 0.2], [0.3, 0.4]])
    points.flags.writeable = False
    mixture = GaussianMixture.of_points(points)
    assert torch.equal(mixture.means, torch.tensor(points.tolist(), dtype=torch.double))
    with pytest.raises(ValueError, match=r"means has shape \(\): expected"):
        GaussianMixture.of_points(torch.tensor(1.0))


@pytest.mark.parametrize("count", [0, -1, 2.0, True])
def test_no_such_count(count):
    with pytest.raises(ValueError, match=f"modes={count}: expected"):
        GaussianMixture.ring(modes=count)
    with pytest.raises(ValueError, match=f"n={count}: expected"):
        GaussianMixture.ring().sample(count)


@pytest.mark.parametrize("name", ANSWERS)
def test_no_such_question(name):
    answer = getattr(GaussianMixture.ring(), name)
    x_t = torch.zeros(3, 2)
    for wrong, message in (
        (torch.zeros(3, 4), r"x_t has shape \(3, 4\): expected \(batch, 2\)"),
        (torch.zeros(3, 2, 1), r"x_t has shape \(3, 2, 1\)"),
        (torch.full((3, 2), math.nan), "x_t contains nan"),
    ):
        with pytest.raises(ValueError, match=message):
            answer(LINEAR, wrong, 5)
    for t in (0, 1001, torch.tensor([0, 1, 2]), torch.tensor([1, 2])):
        with pytest.raises(ValueError, match="t"):
            answer(LINEAR, x_t, t)
    with pytest.raises(TypeError, match="x_t has dtype"):
        answer(LINEAR, x_t.half(), 5)
    with pytest.raises(TypeError, match="t="):
        answer(LINEAR, x_t, 5.0)


def test_no_such_density():
    mixture = GaussianMixture.ring()
    for wrong, message in (
        (torch.zeros(3, 4), r"x has shape \(3, 4\): expected \(batch, 2\)"),
        (torch.zeros(2), r"x has shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            mixture.log_prob(wrong)
    for wrong, message in ((torch.zeros(3, 2).half(), "float16"), ([0.0, 0], "list")):
        with pytest.raises(TypeError, match=f"x is .*{message}: expected"):
            mixture.log_prob(wrong)
    with pytest.raises(ValueError, match=r"x is on meta.*mixture\.to\(x\.device\)"):
        mixture.log_prob(torch.zeros(3, 2, device="meta"))
    scalars = GaussianMixture([1.0], [[0.0]], 1.0)
    with pytest.raises(ValueError, match=r"x has shape \(\)"):
        scalars.log_prob(torch.zeros(()))


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_reads_a_value(name):
    """On the meta device there are none: a GPU's host would not have to wait."""
    mixture, x_t = GaussianMixture.ring(), torch.zeros(4, 2, device="meta")
    answer, schedule = getattr(mixture.to("meta"), name), LINEAR.to("meta")
    for t in (7, torch.ones(4, dtype=torch.int64, device="meta")):
        assert answer(schedule, x_t, t).device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ANSWERS)
def test_on_a_gpu_the_host_never_waits(name):
    mixture, schedule = some_mixture(2), LINEAR.to("cuda")
    x_t = diffused(LINEAR, mixture, EVERY_T)
    answer = getattr(mixture.to("cuda"), name)
    x_gpu, t_gpu = x_t.cuda(), EVERY_T.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        got = answer(schedule, x_gpu, t_gpu)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = getattr(mixture, name)(LINEAR, x_t, EVERY_T)
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-9, atol=1e-9)
