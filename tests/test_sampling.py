"""Samplers against moments by recursion, each other, and the exact denoiser."""

import math
import subprocess
import sys
from functools import partial
from itertools import pairwise

import pytest
import torch
from helpers import COSINE, LINEAR, normal, seeded

from ddpm_course import sampling
from ddpm_course.forward import q_sample
from ddpm_course.metrics import mode_width
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import Denoiser, eps_from_x0
from ddpm_course.sampling import (
    ancestral_coefficients,
    ancestral_step,
    ddim_coefficients,
    ddim_step,
    reverse_process,
    sample,
    sparse_times,
)
from ddpm_course.schedules import NoiseSchedule, linear_betas, make_schedule
from ddpm_course.unet import MLP, UNet

SHORT = make_schedule("cosine", T=50)
TILDE = partial(ancestral_step, variance="beta_tilde")
STEPS = {"beta": ancestral_step, "beta_tilde": TILDE, "ddim": ddim_step}
STRIDES = [1, 3, 10, 50, 1000]
by_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def one_gaussian(variance, mean=0.0):
    std = torch.tensor(variance**0.5)
    return GaussianMixture(torch.ones(1), torch.tensor([[mean]]), std)


# --- the sampler's own error, without Monte Carlo ---------------------------------


def final_variance(step, schedule, data_variance, times):
    """Var x_0 of the sampler with the exact denoiser of N(0, data_variance).

    That denoiser is x_t times a number, so each step is x_s = gain x_t + noise z.
    """
    denoise = one_gaussian(data_variance).denoiser(schedule)
    one, zero = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    variance = 1.0
    for t, s in pairwise(times):
        gain = step(schedule, one, denoise(one, t), t, s, zero).item()
        noise = step(schedule, zero, zero, t, s, one).item() if s > 0 else 0.0
        variance = gain**2 * variance + noise**2
    return variance


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data_variance", "step", "expected"),
    [  # recomputed independently: the table of known values for T = 1000
        (0.25, "beta", 0.250752),
        (0.25, "beta_tilde", 0.246125),
        (0.25, "ddim", 0.248498),
        (1.0, "beta", 0.999900),
        (1.0, "beta_tilde", 0.991067),
        (1.0, "ddim", 0.996252),
    ],
)
def test_variance_of_the_samples_by_recursion(data_variance, step, expected):
    times = range(1000, -1, -1)
    got = final_variance(STEPS[step], LINEAR, data_variance, times)
    assert got == pytest.approx(expected, abs=1e-6)


@by_step
@pytest.mark.parametrize("steps", [7, 100])
def test_samples_have_the_moments_of_the_recursion(step, steps):
    """The loop does what its steps do: mean and variance within Monte Carlo error."""
    n, mixture = 40_000, one_gaussian(0.25)
    denoise = mixture.denoiser(COSINE)
    x = sample(denoise, COSINE, (n, 1), step=step, steps=steps, generator=seeded())
    expected = final_variance(step, COSINE, 0.25, sparse_times(1000, steps))
    assert x.var().item() == pytest.approx(expected, rel=5 * (2 / n) ** 0.5)
    assert abs(x.mean().item()) < 5 * (expected / n) ** 0.5


@pytest.mark.slow
def test_the_exact_denoiser_of_a_point_is_hit_by_every_sampler():
    """For one point the posterior is the model: beta_tilde and DDIM end in it."""
    point = GaussianMixture.of_points(torch.tensor([[0.3, -0.7]]))
    for step in STEPS.values():
        x = sample(
            point.denoiser(LINEAR), LINEAR, (5, 2), step=step, generator=seeded()
        )
        assert torch.allclose(x, torch.tensor([0.3, -0.7]).expand(5, 2), atol=1e-6)


@pytest.mark.parametrize("t, s", [(1000, 999), (500, 3), (7, 0), (1, 0)])
def test_a_step_with_the_true_x0_draws_from_the_posterior(t, s):
    """Bayes on a grid: p(x_s | x_t, x_0) ∝ q(x_t | x_s) q(x_s | x_0)."""
    x_t, x0, one, zero = torch.tensor([-0.9, 0.4, 1, 0], dtype=torch.float64).split(1)
    mean = TILDE(LINEAR, x_t, x0, t, s, zero).item()
    std = TILDE(LINEAR, x_t, x0, t, s, one).item() - mean
    if s == 0:
        assert mean == pytest.approx(0.4, abs=1e-12) and std == 0
        return
    abar_t, abar_s = LINEAR.alpha_bar[t].item(), LINEAR.alpha_bar[s].item()
    alpha = abar_t / abar_s
    grid = mean + torch.linspace(-9, 9, 20_001).double() * std
    log_p = -((-0.9 - math.sqrt(alpha) * grid) ** 2) / (2 * (1 - alpha))
    log_p = log_p - (grid - math.sqrt(abar_s) * 0.4) ** 2 / (2 * (1 - abar_s))
    p = log_p.softmax(0)
    by_bayes = (p * grid).sum().item()
    assert mean == pytest.approx(by_bayes, abs=1e-9)
    second = (p * (grid - by_bayes) ** 2).sum().item()
    assert std**2 == pytest.approx(second, rel=1e-6)


# --- steps among each other -------------------------------------------------------


@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize("stride", STRIDES)
def test_ddim_with_eta_1_is_the_ancestral_step_with_beta_tilde(schedule, stride):
    t = torch.arange(stride, 1001, stride)
    s = t - stride
    x_t, x0, z = normal(3, len(t), 4)
    ours = TILDE(schedule, x_t, x0, t, s, z)
    ddim = ddim_step(schedule, x_t, x0, t, s, z, eta=1.0)
    torch.testing.assert_close(ours, ddim, rtol=1e-9, atol=1e-9)


@by_step
def test_steps_leave_the_marginals_alone_when_x0_is_known(step):
    """A mean of x_s given x_0 that is √ᾱ_s x_0, and for DDIM and beta_tilde
    variance 1 - ᾱ_s: what the forward process has."""
    t, s = torch.tensor([900, 500, 40]), torch.tensor([880, 100, 0])
    one, zero = torch.ones(3).double(), torch.zeros(3).double()
    x0 = torch.tensor([0.5, -1.0, 2.0]).double()
    mean = step(LINEAR, LINEAR.alpha_bar[t].sqrt() * x0, x0, t, s, zero)
    torch.testing.assert_close(mean, LINEAR.alpha_bar[s].sqrt() * x0)
    on_x_t, on_z = (
        step(LINEAR, a, zero, t, s, b) for a, b in [(one, zero), (zero, one)]
    )
    variance = on_x_t**2 * (1 - LINEAR.alpha_bar[t]) + on_z**2
    if step is ancestral_step:
        assert (variance > 1 - LINEAR.alpha_bar[s]).all()
    else:
        torch.testing.assert_close(
            variance, 1 - LINEAR.alpha_bar[s], rtol=1e-9, atol=1e-12
        )


def test_a_stride_of_one_is_the_documents_step():
    t = torch.arange(1, 1001)
    x_t, x0, z = normal(3, 1000, 2)
    alpha, abar, beta = (
        v[1:, None] for v in (LINEAR.alpha, LINEAR.alpha_bar, LINEAR.beta)
    )
    eps = (x_t - abar.sqrt() * x0) / (1 - abar).sqrt()
    slides = (x_t - (1 - alpha) / (1 - abar).sqrt() * eps) / alpha.sqrt()
    ours = ancestral_step(LINEAR, x_t, x0, t, t - 1, z)
    torch.testing.assert_close(ours, slides + beta.sqrt() * z, rtol=1e-8, atol=1e-8)


def test_many_steps_of_the_posterior_are_one_long_one():
    """x_0 known, two strides with beta_tilde give the law of one: means compose."""
    x0, x_t, zero = normal(3, 1)[:, None].unbind()
    x_t, x0, zero = x_t.reshape(1, 1), x0.reshape(1, 1), 0 * zero.reshape(1, 1)
    direct = TILDE(LINEAR, x_t, x0, 700, 200, zero)
    half = TILDE(LINEAR, x_t, x0, 700, 450, zero)
    torch.testing.assert_close(TILDE(LINEAR, half, x0, 450, 200, zero), direct)


def test_eta_takes_the_noise_in_between():
    x_t, x0, z = normal(3, 1, 1)
    moved = [
        (
            ddim_step(LINEAR, x_t, x0, 500, 400, z, eta)
            - ddim_step(LINEAR, x_t, x0, 500, 400, 0 * z, eta)
        )
        .abs()
        .item()
        for eta in (0.0, 0.5, 1.0)
    ]
    assert moved[0] == 0 and moved[1] == pytest.approx(moved[2] / 2)


# --- the loop ---------------------------------------------------------------------

MIXTURE = GaussianMixture.ring()


def ring_sample(schedule=LINEAR, seed=0, n=50, **options):
    denoise = MIXTURE.denoiser(schedule)
    return sample(denoise, schedule, (n, 2), generator=seeded(seed), **options)


def test_the_loop_is_algorithm_2_written_out():
    generator = seeded()
    x = torch.empty(50, 2).normal_(generator=generator)
    for t in range(1000, 0, -1):
        x0_hat = MIXTURE.x0_mean(LINEAR, x, t)
        z = torch.empty_like(x).normal_(generator=generator) if t > 1 else 0 * x
        x = ancestral_step(LINEAR, x, x0_hat, t, t - 1, z)
    torch.testing.assert_close(ring_sample(), x, rtol=1e-4, atol=1e-5)


@by_step
def test_same_seed_same_samples_other_seed_others(step):
    options = {"step": step, "steps": 20}
    assert torch.equal(ring_sample(**options), ring_sample(**options))
    assert not torch.equal(ring_sample(**options), ring_sample(seed=1, **options))


@pytest.mark.parametrize("chunk", [1, 7, 49, 50, 1000])
def test_the_samples_do_not_depend_on_the_chunks(chunk):
    whole = ring_sample(steps=30)
    torch.testing.assert_close(ring_sample(steps=30, chunk=chunk), whole)


def test_no_call_is_larger_than_the_chunk_and_the_default_is_bounded(monkeypatch):
    sizes = []

    def denoise(x, t):
        sizes.append(len(x))
        return 0 * x

    sample(denoise, LINEAR, (10, 1, 4, 4), steps=2, chunk=4)
    assert sizes == [4, 4, 2] * 2
    sizes.clear()
    monkeypatch.setattr(sampling, "CALL_SIZE", 48)
    sample(denoise, LINEAR, (10, 1, 4, 4), steps=1)
    assert sizes == [3, 3, 3, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.slow
def test_memory_is_bounded_by_the_chunk():
    """800 images in small chunks take far less than all at once."""
    code = """
import sys, torch
from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import sample
from ddpm_course.schedules import make_schedule
from ddpm_course.unet import UNet
torch.manual_seed(0)
schedule = make_schedule("cosine")
denoise = Denoiser(UNet(channels=8, blocks=1).eval(), schedule, "v")
def peak():
    # not ru_maxrss, which begins with the peak of the process that forked this one
    (line,) = (x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    return int(line.split()[1])
before = peak()
sample(denoise, schedule, (800, 1, 28, 28), steps=1, chunk=int(sys.argv[1]))
print((peak() - before) // 1024)
"""
    small, whole = (
        int(subprocess.check_output([sys.executable, "-c", code, chunk]))
        for chunk in ("50", "800")
    )
    assert small < whole / 3, (small, whole)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 1, 8, 8), (2, 3, 5, 7), (0, 2)])
def test_any_shape(shape):
    x = sample(lambda x, t: x / 2, LINEAR, shape, steps=5, generator=seeded())
    assert x.shape == shape and x.dtype == torch.float32


def test_the_dtype_is_asked_for():
    x = sample(lambda x, t: x / 2, LINEAR, (3, 2), steps=5, dtype=torch.float64)
    assert x.dtype == torch.float64


def test_the_trajectory():
    x_T = normal(4, 2)
    states = list(reverse_process(MIXTURE.denoiser(LINEAR), LINEAR, x_T, steps=10))
    assert [s for s, _, _ in states] == list(range(900, -1, -100))
    x, kept = x_T, x_T.clone()
    generator = seeded()
    for s, x_s, x0_hat in reverse_process(
        MIXTURE.denoiser(LINEAR),
        LINEAR,
        x_T,
        steps=10,
        step=ddim_step,
        generator=generator,
    ):
        expected = MIXTURE.x0_mean(LINEAR, x, s + 100)
        torch.testing.assert_close(x0_hat, expected)
        x = x_s
    assert torch.equal(x_T, kept)  # what was given is left alone
    torch.testing.assert_close(x, x0_hat)  # the last step returns x̂_0


def test_states_on_the_way_are_the_callers_to_keep():
    states = [
        x for _, x, _ in reverse_process(lambda x, t: x / 2, LINEAR, normal(2, 2))
    ]
    assert len(states) == 1000
    assert not torch.equal(states[0], states[1])


def test_no_noise_is_added_at_the_end():
    """With beta the step at t = 1 has a sigma of 0.01, which would be seen."""
    x = ring_sample(n=3)
    point = sample(
        lambda x, t: 0 * x + 0.25,
        LINEAR,
        x.shape,
        steps=[1000, 1, 0],
        generator=seeded(),
    )
    assert torch.allclose(point, torch.full((3, 2), 0.25), atol=1e-6)


def test_the_network_is_asked_once_for_each_time():
    asked = []

    def denoise(x, t):
        asked.append(t)
        return 0 * x

    sample(denoise, LINEAR, (2, 2), steps=4)
    assert asked == [1000, 750, 500, 250]
    asked.clear()
    sample(denoise, LINEAR, (2, 2), steps=[1000, 10, 0])
    assert asked == [1000, 10]
    asked.clear()
    sample(denoise, LINEAR, (2, 2))
    assert asked == list(range(1000, 0, -1))


def test_sparse_times_are_even_and_reach_both_ends():
    for T, steps in [(1000, 7), (1000, 1000), (10, 3), (5, 1)]:
        times = sparse_times(T, steps)
        assert times[0] == T and times[-1] == 0 and len(times) == steps + 1
        gaps = [t - s for t, s in pairwise(times)]
        assert max(gaps) - min(gaps) <= 1 and min(gaps) >= 1


def test_nothing_is_recorded_for_gradients():
    network = MLP(2, 8)
    denoise = Denoiser(network, LINEAR)
    for _, x, x0_hat in reverse_process(denoise, LINEAR, normal(2, 2).float(), steps=3):
        assert not x.requires_grad and not x0_hat.requires_grad
        assert torch.is_grad_enabled()  # the caller's own setting is not touched


def test_progress_is_shown_when_asked_for(capsys):
    ring_sample(steps=3)
    assert capsys.readouterr().err == ""
    ring_sample(steps=3, progress=True)
    assert "3/3" in capsys.readouterr().err


# --- steps of your own ------------------------------------------------------------

DRIFT = torch.tensor([0.01, -0.02])
KNOWN = torch.tensor([1.0, 0.0])  # the mask of inpainting: the first coordinate


def algorithm_2(schedule, x_t, x0_hat, t, s, z):
    """As the slides print it, with the noise left out in the last step."""
    eps = eps_from_x0(schedule, x_t, t, x0_hat)
    alpha, abar = schedule.alpha[t].item(), schedule.alpha_bar[t].item()
    mean = (x_t - (1 - alpha) / math.sqrt(1 - abar) * eps) / math.sqrt(alpha)
    return mean + schedule.beta[t].sqrt() * (z if t > 1 else 0)


def with_item(schedule, x_t, x0_hat, t, s, z):
    beta = schedule.beta[t].item()
    return math.sqrt(1 - beta) * x0_hat + math.sqrt(beta) * z


def inpainting(schedule, x_t, x0_hat, t, s, z):
    known = KNOWN * 0.7
    return KNOWN * known + (1 - KNOWN) * ancestral_step(schedule, x_t, x0_hat, t, s, z)


def with_drift(schedule, x_t, x0_hat, t, s, z):
    return ancestral_step(schedule, x_t, x0_hat, t, s, z) + DRIFT


def centered(schedule, x_t, x0_hat, t, s, z):
    return ancestral_step(schedule, x_t, x0_hat - x0_hat.mean(0), t, s, z)


def clamped(schedule, x_t, x0_hat, t, s, z):
    return ddim_step(schedule, x_t, x0_hat, t, s, z).clamp(-1, 1)


OWN = torch.Generator()


def own_noise(schedule, x_t, x0_hat, t, s, z):
    z = torch.randn(x_t.shape, generator=OWN)
    return ancestral_step(schedule, x_t, x0_hat, t, s, z)


LOG = []


def logging(schedule, x_t, x0_hat, t, s, z):
    LOG.append((t, s, x_t.shape, x0_hat.shape, z.shape))
    return ancestral_step(schedule, x_t, x0_hat, t, s, z)


@pytest.mark.parametrize(
    "step",
    [
        algorithm_2,
        with_item,
        inpainting,
        with_drift,
        centered,
        clamped,
        own_noise,
        logging,
    ],
    ids=lambda step: step.__name__,
)
@pytest.mark.parametrize("start", ["sample", "reverse_process"])
def test_a_step_of_your_own_is_called_as_it_is_written(step, start):
    """The truth is the loop written out, which calls that very function."""
    T, denoise = 50, MIXTURE.denoiser(SHORT)
    OWN.manual_seed(7)
    generator = seeded()
    x = x_T = torch.empty(20, 2).normal_(generator=generator)
    for t in range(T, 0, -1):
        z = torch.empty_like(x)
        z = z.normal_(generator=generator) if t > 1 else torch.zeros_like(x)
        x = step(SHORT, x, denoise(x, t), t, t - 1, z)
    OWN.manual_seed(7)
    LOG.clear()
    if start == "sample":
        got = sample(denoise, SHORT, (20, 2), step=step, generator=seeded())
    else:
        generator = seeded()
        torch.empty(20, 2).normal_(generator=generator)  # that of x_T
        states = reverse_process(denoise, SHORT, x_T, step=step, generator=generator)
        *_, (_, got, _) = states
    torch.testing.assert_close(got, x, rtol=1e-5, atol=1e-5)
    if step is logging:
        times = range(T, 0, -1)
        assert [(t, t - 1, (20, 2), (20, 2), (20, 2)) for t in times] == LOG


def test_the_slides_step_gives_the_samples_of_the_built_in_one():
    denoise = MIXTURE.denoiser(SHORT)
    ours, theirs = (
        sample(denoise, SHORT, (20, 2), step=step, generator=seeded())
        for step in (ancestral_step, algorithm_2)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_step_that_branches_at_a_large_value_is_not_tried_on_other_values():
    """Nothing but the data of the chain reaches a step."""
    largest = []

    def watch(schedule, x_t, x0_hat, t, s, z):
        largest.append(max(v.abs().max().item() for v in (x_t, x0_hat, z)))
        return ancestral_step(schedule, x_t, x0_hat, t, s, z)

    sample(MIXTURE.denoiser(SHORT), SHORT, (20, 2), step=watch, generator=seeded())
    assert len(largest) == 50 and max(largest) < 10


def test_a_guess_of_another_shape_is_refused_whatever_the_step():
    """A step of your own would broadcast it."""

    def step(schedule, x_t, x0_hat, t, s, z):
        return 0.5 * x_t + 0.5 * x0_hat

    with pytest.raises(ValueError, match=r"denoiser\(x_t, t\) has shape \(4, 1\)"):
        sample(lambda x, t: x[:, :1], SHORT, (4, 2), step=step)


# --- coefficients -----------------------------------------------------------------


@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize(
    ("step", "coefficients", "options"),
    [
        (ancestral_step, ancestral_coefficients, {"variance": "beta"}),
        (ancestral_step, ancestral_coefficients, {"variance": "beta_tilde"}),
        (ddim_step, ddim_coefficients, {"eta": 0.0}),
        (ddim_step, ddim_coefficients, {"eta": 0.6}),
    ],
)
def test_coefficients_of_all_times_at_once_are_those_of_each_step(
    schedule, step, coefficients, options
):
    times = torch.tensor(sparse_times(1000, 40))
    t, s = times[:-1], times[1:]
    tables = coefficients(schedule, t, s, **options)
    ones = torch.eye(3).double()  # x_t, x̂_0 and z: one at a time
    for i, (one_t, one_s) in enumerate(zip(t.tolist(), s.tolist(), strict=True)):
        numbers = coefficients(schedule, one_t, one_s, **options)
        assert all(isinstance(number, float) for number in numbers)
        by_step = step(schedule, *ones[:2], one_t, one_s, ones[2], **options)
        for table, number, value in zip(tables, numbers, by_step, strict=True):
            assert table[i].item() == pytest.approx(number, rel=1e-12, abs=1e-15)
            assert value.item() == pytest.approx(number, rel=1e-12, abs=1e-15)


# --- widths: what the two variances and DDIM do with few steps --------------------


def rescaled_linear(T):
    """The linear schedule in T steps, so that it ends in noise as with 1000."""
    return NoiseSchedule.from_betas(linear_betas(T, 0.1 / T, 20 / T))


@pytest.mark.slow
def test_both_variances_are_right_with_many_steps_and_wrong_with_few():
    """A ring of narrow modes, exact denoiser: β too wide, β̃ and DDIM too narrow."""
    width = {}
    for T in (100, 1000):
        schedule = rescaled_linear(T)
        for name, step in STEPS.items():
            x = ring_sample(schedule, n=4000, step=step)
            width[T, name] = mode_width(x, MIXTURE)
    assert all(abs(width[1000, name] - 1) < 0.1 for name in STEPS)
    assert width[100, "beta"] > 1.05
    assert width[100, "beta_tilde"] < 0.82
    assert width[100, "beta_tilde"] + 0.05 < width[100, "ddim"] < 0.92


# --- errors -----------------------------------------------------------------------

X = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ddim_step(LINEAR, X, X, 5, 4, X, eta=2), ValueError, "eta=2"),
        (lambda: ancestral_step(LINEAR, X, X, 5, 5, X), ValueError, "not earlier"),
        (lambda: ancestral_step(LINEAR, X, X, 5, 7, X), ValueError, "not earlier"),
        (lambda: ancestral_step(LINEAR, X, X, 0, -1, X), ValueError, "t=0 is outside"),
        (lambda: ancestral_step(LINEAR, X, X, 5, -1, X), ValueError, "s=-1 is outside"),
        (lambda: ancestral_step(LINEAR, X, X, 5, 4.0, X), TypeError, "s=4.0"),
        (lambda: ancestral_step(LINEAR, X, X[:2], 5, 4, X), ValueError, "x0_hat has"),
        (
            lambda: ancestral_step(LINEAR, X, X, 5, 4, X, "b"),
            ValueError,
            "variance='b'",
        ),
        (lambda: ddim_step(LINEAR, X, X, 5, 4, X.half()), TypeError, "z has dtype"),
        (lambda: sparse_times(10, 11), ValueError, "steps=11"),
        (lambda: sample(torch.add, LINEAR, (1, 2), steps=0), ValueError, "steps=0"),
        (
            lambda: sample(torch.add, LINEAR, (1, 2), steps=[5, 0]),
            ValueError,
            "T = 1000",
        ),
        (lambda: sample(torch.add, LINEAR, (1, 2), chunk=0), ValueError, "chunk=0"),
        (
            lambda: ancestral_step(
                LINEAR, X[:1], X[:1], 500, torch.tensor([1, 2]), X[:1]
            ),
            ValueError,
            "s has shape (2,)",
        ),
        (
            lambda: ddim_step(LINEAR, X[:1], X[:1], 500, torch.tensor([1, 2]), X[:1]),
            ValueError,
            "s has shape (2,)",
        ),
        (
            lambda: ancestral_step(
                LINEAR, X, X, torch.tensor([5, 6, 7]), torch.tensor([4, 6, 6]), X
            ),
            ValueError,
            "not earlier",
        ),
        (
            lambda: sample(torch.add, LINEAR, (1, 2), step=lambda *a: None),
            TypeError,
            "step(...) returned a NoneType",
        ),
        (
            lambda: sample(torch.add, LINEAR, (3, 2), step=lambda *a: a[1][:, :1]),
            ValueError,
            "step(...) has shape (3, 1), x_t has (3, 2)",
        ),
        (
            lambda: sample(torch.add, LINEAR.beta, (3, 2)),
            TypeError,
            "schedule is a Tensor: expected a NoiseSchedule",
        ),
        (
            lambda: sample(Denoiser(torch.add, COSINE), LINEAR, (1, 2)),
            ValueError,
            "another schedule",
        ),
        (
            lambda: sample(Denoiser(torch.add, LINEAR), LINEAR.to("meta"), (1, 2)),
            ValueError,
            "sample with denoiser.schedule",
        ),
        (
            lambda: sample(lambda x, t: x * math.nan, LINEAR, (1, 2), steps=2),
            ValueError,
            "nan or inf",
        ),
        (
            lambda: sample(lambda x, t: x[:, :1], LINEAR, (1, 2), steps=2),
            ValueError,
            "shape",
        ),
        (
            lambda: Denoiser(MLP(2, 8, T=10), LINEAR),
            ValueError,
            "up to T = 10",
        ),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


@pytest.mark.parametrize("bad_time", [1000, 500, 1])
def test_a_network_that_fails_at_one_time_is_seen(bad_time):
    network = lambda x, t: x / (t != bad_time)[:, None]  # noqa: E731
    with pytest.raises(ValueError, match="contains nan or inf"):
        sample(Denoiser(network, LINEAR), LINEAR, (2, 2))


def test_a_denoiser_with_a_call_of_its_own_is_asked_at_every_step():
    class Counting(Denoiser):
        calls = 0

        def __call__(self, x_t, t):
            self.calls += 1
            return super().__call__(x_t, t)

    denoiser = Counting(lambda x, t: x, LINEAR)
    sample(denoiser, LINEAR, (2, 1), steps=5)
    assert denoiser.calls == 5


def test_dropout_that_is_on_is_warned_of():
    network = UNet(1, 8, (1, 2), attention_levels=(), dropout=0.5)
    options = {"steps": 2, "generator": seeded()}
    with pytest.warns(UserWarning, match="call network.eval"):
        sample(Denoiser(network, LINEAR), LINEAR, (1, 1, 8, 8), **options)
    sample(Denoiser(network.eval(), LINEAR), LINEAR, (1, 1, 8, 8), **options)


@pytest.mark.parametrize("network", [MLP(2, 16), UNet(1, 8, (1, 2), 1, (1,), patch=2)])
def test_a_time_that_all_share_is_the_time_of_each(network):
    """An int t is looked up once and broadcast; the answer is that of a batch of t."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x = normal(3, 2) if isinstance(network, MLP) else normal(3, 1, 8, 8)
    denoiser = Denoiser(network, LINEAR, "v")
    for t in (1, 400, 1000):
        one, each = denoiser(x.float(), t), denoiser(x.float(), torch.full((3,), t))
        torch.testing.assert_close(one, each)


def test_clipping_keeps_a_bad_network_inside_the_range_of_the_data():
    """ε-prediction and the cosine schedule: errors of ε grow 20 000 times at T."""
    generator = seeded()
    x0 = MIXTURE.sample(200, generator).float()
    x_t = q_sample(COSINE, x0, 1000, torch.randn(x0.shape, generator=generator))

    def nearly_exact(x, t):
        return MIXTURE.eps_mean(COSINE, x, t) + 0.01

    wild = Denoiser(nearly_exact, COSINE)(x_t, 1000).abs().max()
    tame = Denoiser(nearly_exact, COSINE, clip=1.3)(x_t, 1000).abs().max()
    assert wild > 100 and tame <= 1.3
