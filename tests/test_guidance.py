"""Guidance, against mixtures of which every conditional is known exactly."""

import math
from functools import partial

import pytest
import torch
from helpers import COSINE, LINEAR, normal, seeded
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
)

from ddpm_course.forward import q_sample
from ddpm_course.guidance import (
    classifier_guided,
    guided,
    labeled,
    measured,
    x0_per_score,
)
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import Denoiser, x0_from_score
from ddpm_course.sampling import sample
from ddpm_course.schedules import make_schedule
from ddpm_course.unet import UNet

#: Four components in the plane; the class that is asked for has two of them.
WEIGHTS = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
MEANS, STDS = 1.5 * normal(4, 2, seed=3), torch.tensor([0.3, 0.5, 0.2, 0.7]).double()
ASKED = [1, 3]
SHARE = WEIGHTS[ASKED].sum()
ALL = GaussianMixture(WEIGHTS, MEANS, STDS)
CLASS = GaussianMixture(WEIGHTS[ASKED] / SHARE, MEANS[ASKED], STDS[ASKED])
UNTOLD, TOLD = ALL.denoiser(LINEAR), CLASS.denoiser(LINEAR)
X0 = ALL.sample(40, seeded())
TIMES = (1, 30, 300, 700, 999, torch.arange(1, 1000, 25))
every_t = pytest.mark.parametrize("t", TIMES, ids=str)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def noisy(t):
    return q_sample(LINEAR, X0, t, normal(40, 2, seed=1))


def log_density(components, x_t, t):
    """log Σ_k w_k N(x_t; √ᾱ_t m_k, v_k I) over some components, by torch."""
    abar = LINEAR.alpha_bar[t].reshape(-1, 1)
    weights, means, stds = (v[components] for v in (WEIGHTS, MEANS, STDS))
    spread = (abar * stds**2 + 1 - abar).sqrt().expand(len(x_t), -1)[..., None]
    each = Independent(Normal(abar[..., None].sqrt() * means, spread), 1)
    which = Categorical(weights.expand(len(x_t), -1))
    return MixtureSameFamily(which, each).log_prob(x_t)


def log_class(x_t, t):
    """log p(y | x_t), the exact classifier of noisy points: Bayes' rule."""
    joint = SHARE.log() + log_density(ASKED, x_t, t)
    return joint - log_density([0, 1, 2, 3], x_t, t)


def gradient(function, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]


# --- classifier guidance ----------------------------------------------------------


@every_t
def test_an_exact_classifier_at_scale_1_gives_the_conditional_mean(t):
    x_t = noisy(t)
    close(classifier_guided(UNTOLD, log_class, LINEAR)(x_t, t), TOLD(x_t, t))
    close(classifier_guided(UNTOLD, log_class, LINEAR, 0)(x_t, t), UNTOLD(x_t, t))


@every_t
@pytest.mark.parametrize("w", [0.5, 1, 3.0])
def test_guidance_adds_scores(t, w):
    """∇ log q(x_t) + w ∇ log p(y | x_t), both by autograd from torch's densities."""
    x_t = noisy(t)
    score = gradient(
        lambda x: log_density([0, 1, 2, 3], x, t) + w * log_class(x, t), x_t
    )
    wanted = x0_from_score(LINEAR, x_t, t, score)
    close(guided(TOLD, UNTOLD, w)(x_t, t), wanted)
    close(classifier_guided(UNTOLD, log_class, LINEAR, w)(x_t, t), wanted)


@every_t
def test_by_how_much_a_score_moves_x0(t):
    x_t, score = noisy(t), normal(40, 2, seed=2)
    nothing = torch.zeros_like(score)
    moved = x0_from_score(LINEAR, x_t, t, score) - x0_from_score(
        LINEAR, x_t, t, nothing
    )
    close(x0_per_score(LINEAR, x_t, t) * score, moved)


def test_samplers_take_it_and_nothing_remembers_the_gradient():
    """In a loop without gradients: point by point, the samples of the class."""
    schedule = make_schedule("cosine", T=50)
    told, untold = CLASS.denoiser(schedule), ALL.denoiser(schedule)

    def log_prob(x_t, t):
        joint = SHARE.log() + CLASS.log_prob_t(schedule, x_t, t)
        return joint - ALL.log_prob_t(schedule, x_t, t)

    def draw(denoiser):
        options = {"dtype": torch.float64, "generator": seeded()}
        return sample(denoiser, schedule, (20, 2), **options)

    x = draw(classifier_guided(untold, log_prob, schedule))
    assert not x.requires_grad
    torch.testing.assert_close(x, draw(told), rtol=1e-8, atol=1e-8)
    assert (x - draw(untold)).abs().max() > 0.1


# --- classifier-free guidance -----------------------------------------------------


@every_t
def test_scale_0_is_unconditional_and_1_conditional(t):
    x_t = noisy(t)
    assert torch.equal(guided(TOLD, UNTOLD, 0)(x_t, t), UNTOLD(x_t, t))
    assert torch.equal(guided(TOLD, UNTOLD, 1)(x_t, t), TOLD(x_t, t))


def test_only_between_two_times():
    denoiser, always = guided(TOLD, UNTOLD, 3, (30, 300)), guided(TOLD, UNTOLD, 3)
    for t in (1, 29, 30, 300, 301, 999):
        x_t = noisy(t)
        wanted = always if 30 <= t <= 300 else TOLD
        assert torch.equal(denoiser(x_t, t), wanted(x_t, t))
    t = torch.tensor([29, 30, 300, 301]).repeat(10)
    each = torch.cat(
        [denoiser(x, int(s)) for x, s in zip(noisy(t).split(1), t, strict=True)]
    )
    close(denoiser(noisy(t), t), each)


def test_outside_it_asks_once():
    asked = []

    def untold(x_t, t):
        asked.append(t)
        return UNTOLD(x_t, t)

    denoiser = guided(TOLD, untold, 3, (30, 300))
    for t in (1, 100, 999):
        denoiser(noisy(t), t)
    assert asked == [100]


def test_clip_holds_after_guidance():
    inside = [
        Denoiser(lambda x, t, d=d: d(x, t), LINEAR, "x0", clip=1)
        for d in (TOLD, UNTOLD)
    ]
    x_t = noisy(100)
    assert guided(*inside, 4)(x_t, 100).abs().max() > 1.2
    clipped = guided(*inside, 4, clip=1)(x_t, 100)
    assert torch.equal(clipped, guided(*inside, 4)(x_t, 100).clamp(-1, 1))


@pytest.mark.parametrize(
    "guide",
    [
        partial(guided, TOLD, UNTOLD, 1),
        partial(classifier_guided, UNTOLD, log_class, LINEAR),
        partial(measured, UNTOLD, LINEAR, lambda x: 3 - x, 1),
    ],
)
def test_each_clips_its_result(guide):
    x_t = noisy(100)
    free, clipped = guide()(x_t, 100), guide(clip=0.5)(x_t, 100)
    assert free.abs().max() > 1 and torch.equal(clipped, free.clamp(-0.5, 0.5))
    with pytest.raises(ValueError, match="clip=-1: expected a number > 0"):
        guide(clip=-1)


# --- measurements -----------------------------------------------------------------

M, S, SIGMA, Y = torch.tensor([0.4, -0.3]).double(), 0.8, 0.25, 1.1
PRIOR = GaussianMixture([1.0], M[None], [S])


def residual(x0_hat):
    """The first coordinate is measured, with noise of standard deviation SIGMA."""
    return Y - x0_hat[:, :1]


def exact_strength(t):
    """1 / (2 (σ² + Var[x_0 | x_t]))."""
    abar = LINEAR.alpha_bar[t]
    return 1 / (2 * (SIGMA**2 + (1 - abar) * S**2 / (abar * S**2 + 1 - abar)))


def given_y(x_t, t):
    """E[x_0 | x_t, y]: the measured coordinate has another mean and spread."""
    variance = 1 / (1 / S**2 + 1 / SIGMA**2)
    mean = variance * (M[0] / S**2 + Y / SIGMA**2)
    first = GaussianMixture([1.0], [[mean]], [math.sqrt(variance)])
    second = GaussianMixture([1.0], M[1:, None], [S])
    columns = zip((first, second), x_t.split(1, dim=1), strict=True)
    return torch.cat([p.x0_mean(LINEAR, x, t) for p, x in columns], dim=1)


@every_t
def test_a_measured_gaussian_has_its_exact_posterior(t):
    x_t, prior = noisy(t), PRIOR.denoiser(LINEAR)
    close(measured(prior, LINEAR, residual, exact_strength)(x_t, t), given_y(x_t, t))
    close(measured(prior, LINEAR, residual, 0)(x_t, t), prior(x_t, t))


def test_dps_trusts_x0_hat_too_much_where_it_is_uncertain():
    """A strength of 1 / (2 σ²) is right at t = 1 and overshoots at t = T."""
    dps = measured(PRIOR.denoiser(LINEAR), LINEAR, residual, 1 / (2 * SIGMA**2))
    error = {
        t: (dps(noisy(t), t) - given_y(noisy(t), t)).abs().max() for t in (1, 1000)
    }
    assert error[1] < 0.01 and error[1000] > 3


def test_a_measurement_is_a_classifier():
    def log_prob(x_t, t):
        return -3 * residual(UNTOLD(x_t, t)).square().flatten(1).sum(1)

    x_t = noisy(300)
    wanted = classifier_guided(UNTOLD, log_prob, LINEAR)(x_t, 300)
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients):
            result = measured(UNTOLD, LINEAR, residual, 3)(x_t, 300)
        close(result, wanted)
        assert not result.requires_grad


# --- labels -----------------------------------------------------------------------


def test_a_network_with_its_label_is_a_network():
    network = UNet(channels=8, classes=3)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(0.2 * torch.randn(p.shape, generator=seeded(p.numel())))
    x, y = torch.randn(2, 1, 8, 8), torch.tensor([2, -1])
    told = Denoiser(labeled(network, y), COSINE, "v")(x, 40)
    for row, label in enumerate([2, -1]):
        alone = Denoiser(labeled(network, label), COSINE, "v")(x, 40)
        assert torch.allclose(told[row], alone[row], atol=1e-5)
    assert torch.allclose(told[1], Denoiser(network, COSINE, "v")(x, 40)[1], atol=1e-5)
    assert (told[0] - Denoiser(network, COSINE, "v")(x, 40)[0]).abs().max() > 1e-3


# --- errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: guided(TOLD, None, 1), TypeError, "untold is a NoneType"),
        (lambda: guided(0, TOLD, 1), TypeError, "told is a int: expected a function"),
        (lambda: guided(TOLD, UNTOLD, -1), ValueError, "w=-1: expected a number >= 0"),
        (lambda: guided(TOLD, UNTOLD, math.nan), ValueError, "w=nan"),
        (lambda: guided(TOLD, UNTOLD, True), ValueError, "w=True"),
        (lambda: guided(TOLD, UNTOLD, 1, (9, 3)), ValueError, "times=(9, 3): expected"),
        (lambda: guided(TOLD, UNTOLD, 1, 9), ValueError, "times=9"),
        (lambda: guided(TOLD, UNTOLD, 1, (0.0, 9)), ValueError, "times=(0.0, 9)"),
        (lambda: guided(TOLD, UNTOLD, 1, clip=0), ValueError, "clip=0: expected"),
        (
            lambda: guided(TOLD, lambda x, t: x[:1], 2)(noisy(3), 3),
            ValueError,
            "untold(x_t, t) has shape (1, 2), x_t has (40, 2)",
        ),
        (
            lambda: guided(lambda x, t: 0, UNTOLD, 1)(noisy(3), 3),
            TypeError,
            "told(x_t, t) returned a int",
        ),
        (
            lambda: classifier_guided(UNTOLD, None, LINEAR),
            TypeError,
            "log_prob is a NoneType",
        ),
        (
            lambda: classifier_guided(UNTOLD, log_class, 7),
            TypeError,
            "schedule is a int",
        ),
        (
            lambda: classifier_guided(UNTOLD, lambda x, t: x, LINEAR)(noisy(3), 3),
            ValueError,
            "log_prob(x_t, t) is (40, 2): expected log p(y | x_t) of each",
        ),
        (
            lambda: classifier_guided(UNTOLD, log_class, LINEAR)(noisy(3), 1001),
            ValueError,
            "t=1001 is outside 1 … 1000",
        ),
        (
            lambda: x0_per_score(
                make_schedule("linear", zero_terminal_snr=True), noisy(3), 1000
            ),
            ValueError,
            "alpha_bar is 0 there",
        ),
        (
            lambda: measured(UNTOLD, LINEAR, residual, -1),
            ValueError,
            "strength=-1: expected a number >= 0",
        ),
        (lambda: measured(UNTOLD, LINEAR, 3, 1), TypeError, "residual is a int"),
        (lambda: labeled(UNet(channels=8), 1.0), TypeError, "label=1.0 is a float"),
        (lambda: labeled(None, 1), TypeError, "network is a NoneType"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


def test_a_scale_keeps_its_digits_at_many_times():
    told, untold = lambda x, t: x + 1, lambda x, t: x
    x, t = torch.zeros(2, 3, dtype=torch.float64), torch.tensor([5, 500])
    found = guided(told, untold, 1.1, times=(1, 100))(x, t)
    expected = torch.tensor([1.1, 1.0], dtype=torch.float64)[:, None].expand(2, 3)
    assert torch.equal(found, expected)


def test_a_guess_of_another_shape_or_without_gradient_is_refused():
    x = torch.zeros(3, 2, dtype=torch.float64)
    narrow, still = lambda x, t: x[:, :1], lambda x, t: torch.zeros_like(x)
    likely = lambda x, t: -x.square().sum(1)  # noqa: E731
    for denoiser in (
        classifier_guided(narrow, likely, LINEAR),
        measured(narrow, LINEAR, lambda x0: x0, 1.0),
    ):
        with pytest.raises(ValueError, match=r"denoiser\(x_t, t\)"):
            denoiser(x, 500)
    with pytest.raises(ValueError, match="has no gradient: look for no_grad"):
        measured(still, LINEAR, lambda x0: x0, 1.0)(x, 500)
