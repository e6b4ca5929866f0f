"""The probability flow: against densities and flows that are known exactly."""

import pytest
import torch
from helpers import COSINE, LINEAR, normal, seeded

from ddpm_course.flows import (
    flow_step,
    flow_velocity,
    log_likelihood,
    straight,
    transport,
    x0_from_flow,
)
from ddpm_course.forward import q_sample
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import (
    Denoiser,
    eps_from_v,
    eps_from_x0,
    v_from_x0_eps,
    x0_from_score,
    x0_from_v,
)
from ddpm_course.sampling import ddim_step, sample
from ddpm_course.schedules import NoiseSchedule, make_schedule
from ddpm_course.solvers import spaced_times

RING = GaussianMixture.ring(std=0.2)
TIMES = (1, 30, 300, 700, 999)
close = torch.testing.assert_close


@pytest.mark.parametrize("t", TIMES)
def test_velocity_score_eps_and_v_of_the_exact_denoiser_agree(t):
    x = q_sample(LINEAR, RING.sample(50, seeded()), t, normal(50, 2, seed=1))
    x0, eps = RING.x0_mean(LINEAR, x, t), RING.eps_mean(LINEAR, x, t)
    v = v_from_x0_eps(LINEAR, x0, t, eps)
    velocity = flow_velocity(LINEAR, x, t, x0)
    others = {
        "eps": eps - x0,
        "v": eps_from_v(LINEAR, x, t, v) - x0_from_v(LINEAR, x, t, v),
        "score": -((1 - LINEAR.alpha_bar[t]) ** 0.5) * RING.score(LINEAR, x, t)
        - x0_from_score(LINEAR, x, t, RING.score(LINEAR, x, t)),
    }
    for name, other in others.items():
        close(velocity, other, rtol=1e-10, atol=1e-10, msg=name)
    back = x0_from_flow(LINEAR, x, t, velocity)
    close(back, x0, rtol=1e-10, atol=1e-10)
    tensor = torch.full((50,), t)
    close(flow_velocity(LINEAR, x, tensor, x0), velocity, rtol=1e-12, atol=1e-12)
    close(x0_from_flow(LINEAR, x, tensor, velocity), back, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("t", [*TIMES, torch.tensor(TIMES)])
def test_the_path_is_a_straight_line(t):
    x0, eps = normal(5, 2), normal(5, 2, seed=1)
    z, tau = straight(COSINE, q_sample(COSINE, x0, t, eps), t)
    close(z, (1 - tau) * x0 + tau * eps, rtol=1e-12, atol=1e-12)


def test_its_time_grows_from_data_to_noise():
    taus = [straight(COSINE, torch.zeros(1), t)[1] for t in range(1, 1001)]
    assert taus == sorted(taus) and taus[0] < 0.01 and taus[-1] > 0.99


@pytest.mark.parametrize(("t", "s"), [(700, 300), (300, 700), (5, 0), (1000, 999)])
def test_a_step_is_eulers_method_along_the_straight_line(t, s):
    x, x0_hat = normal(6, 3), normal(6, 3, seed=1)
    velocity = eps_from_x0(LINEAR, x, t, x0_hat) - x0_hat
    abar_s = LINEAR.alpha_bar[s]
    scale = abar_s.sqrt() + (1 - abar_s).sqrt()
    z, tau = straight(LINEAR, x, t)
    expected = scale * (z + ((1 - abar_s).sqrt() / scale - tau) * velocity)
    found = flow_step(LINEAR, x, x0_hat, t, s)
    close(found, expected, rtol=1e-10, atol=1e-10)
    if s < t:
        ddim = ddim_step(LINEAR, x, x0_hat, t, s, torch.zeros_like(x))
        close(found, ddim, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:alpha_bar")
@pytest.mark.parametrize("tau", [0.05, 0.3, 0.6, 0.95])
def test_the_velocity_carries_the_density(tau):
    """∂ log p/∂τ + ∇·v + v·∇ log p = 0, with p in closed form."""

    def density(tau):  # of y = (1 - τ) x_0 + τ ε
        stds = ((1 - tau) ** 2 * RING.stds**2 + tau**2).sqrt()
        return GaussianMixture(RING.weights, (1 - tau) * RING.means, stds)

    abar = 1 / (1 + (tau / (1 - tau)) ** 2)
    one = NoiseSchedule.from_betas([1 - abar])
    z = normal(20, 2).requires_grad_()

    def velocity(z):
        x = z * (abar**0.5 + (1 - abar) ** 0.5)
        return flow_velocity(one, x, 1, RING.x0_mean(one, x, 1))

    (score,) = torch.autograd.grad(density(tau).log_prob(z).sum(), z)
    v, h = velocity(z), 1e-5
    divergence = sum(
        torch.autograd.grad(v[:, i].sum(), z, retain_graph=True)[0][:, i]
        for i in range(2)
    )
    change = density(tau + h).log_prob(z) - density(tau - h).log_prob(z)
    residual = change / (2 * h) + divergence + (v * score).sum(1)
    assert residual.abs().max() < 1e-6 * divergence.abs().max()


@pytest.mark.parametrize("up", [True, False])
def test_a_gaussian_is_shifted_and_scaled(up):
    mean, std = 0.8, 0.3
    denoiser = GaussianMixture([1.0], [[mean]], std).denoiser(COSINE)
    times = spaced_times(COSINE, 300, "log-snr")[:-1]
    times = times[::-1] if up else times
    x = normal(20, 1)
    abar = COSINE.alpha_bar[[times[0], times[-1]]]
    width, center = (abar * std**2 + 1 - abar).sqrt(), abar.sqrt() * mean
    expected = center[1] + width[1] / width[0] * (x - center[0])
    found = transport(denoiser, COSINE, x, times)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_what_is_encoded_is_decoded():
    x, denoiser = RING.sample(200, seeded()), RING.denoiser(COSINE)
    times = spaced_times(COSINE, 200, "log-snr")[:-1]
    code = transport(denoiser, COSINE, x, times[::-1])
    assert (code - x).abs().mean() > 0.2  # it is somewhere else
    assert (transport(denoiser, COSINE, code, times) - x).abs().max() < 1e-3


def test_the_likelihood_is_that_of_the_mixture():
    x, denoiser = RING.sample(40, seeded()), RING.denoiser(COSINE)
    errors = []
    for steps in (100, 200):
        times = spaced_times(COSINE, steps, "log-snr")[-2::-1]
        found = log_likelihood(denoiser, COSINE, x, times)
        errors.append((found - RING.log_prob_t(COSINE, x, 1)).abs().mean())
    assert found.shape == (40,) and errors[1] < 0.005
    assert errors[0] / errors[1] == pytest.approx(4, abs=1)  # of second order


def test_the_likelihood_of_a_normal():
    """Its flow does not move."""
    x, abar = normal(7, 3), LINEAR.alpha_bar
    found = log_likelihood(
        lambda x_t, t: abar[t].sqrt() * x_t, LINEAR, x, range(1, 1001)
    )
    wanted = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    close(found, wanted, rtol=0, atol=5e-3)


def test_a_network_of_one_kind_serves_as_the_other():
    """The same samples, whether it is asked for ε or for the velocity."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Tanh())
    network.append(torch.nn.Linear(32, 2)).double()

    def velocity(x, t):  # of flow matching, made from ε
        x0_hat = Denoiser(lambda x, t: network(x), COSINE, "eps")(x, t)
        return flow_velocity(COSINE, x, t, x0_hat)

    def from_flow(x, t):
        return x0_from_flow(COSINE, x, t, velocity(x, t))

    from_eps = Denoiser(lambda x, t: network(x), COSINE, "eps")
    options = {"step": ddim_step, "steps": 20, "dtype": torch.float64}
    one, other = (
        sample(d, COSINE, (50, 2), generator=seeded(), **options)
        for d in (from_eps, from_flow)
    )
    close(one, other, rtol=1e-6, atol=1e-6)


def test_the_velocity_is_known_where_no_data_are_left():
    zero, x = make_schedule("linear", zero_terminal_snr=True), normal(3, 2)
    velocity = flow_velocity(zero, x, 1000, torch.ones_like(x))
    close(velocity, x - 1)
    close(x0_from_flow(zero, x, 1000, velocity), torch.ones_like(x))


@pytest.mark.parametrize(
    ("times", "x", "message"),
    [
        ([1, 500], normal(3, 2), "rise to T = 1000"),
        ([1000, 1], normal(3, 2), "rise to T = 1000"),
        ([1, 500, 500, 1000], normal(3, 2), "rise to T = 1000"),
        ([1, 1000], normal(3, 2, 2), r"expected points, \(batch, D\)"),
        ([1, 1000], normal(3, 2) * float("nan"), "nan"),
    ],
)
def test_likelihoods_that_cannot_be(times, x, message):
    with pytest.raises(ValueError, match=message):
        log_likelihood(lambda x, t: x, LINEAR, x, times)


def test_times_and_shapes_are_checked():
    x = normal(3, 2)
    with pytest.raises(ValueError, match="s=1001 is outside"):
        flow_step(LINEAR, x, x, 5, 1001)
    with pytest.raises(ValueError, match="velocity has shape"):
        x0_from_flow(LINEAR, x, 5, x[:1])
    with pytest.raises(ValueError, match=r"alpha_bar\[T\] is 0"):
        zero = make_schedule("linear", zero_terminal_snr=True)
        log_likelihood(lambda x, t: x, zero, x, [1, 1000])


@pytest.mark.slow
def test_the_likelihood_has_the_digits_of_float64():
    """At the center of a standard normal the flow rests, at one density."""
    normal_data = GaussianMixture([1.0], [[0.0, 0.0]], 1.0)
    x = torch.zeros(1, 2, dtype=torch.float64)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    times = list(range(1, 1001))
    found = log_likelihood(normal_data.denoiser(LINEAR), LINEAR, x, times)
    close(found, expected, rtol=0, atol=5e-5)  # the sum itself is 3e-5 off


def test_nothing_is_kept_for_a_gradient():
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    x = normal(3, 2)
    assert not transport(lambda x, t: weight * x, COSINE, x, [1, 500]).requires_grad
    times = [1, 500, 1000]
    found = log_likelihood(lambda x, t: weight * x / 2, COSINE, x, times)
    assert not found.requires_grad


@pytest.mark.parametrize("times", [[], [5]])
def test_one_time_leads_nowhere(times):
    denoiser, x = RING.denoiser(COSINE), normal(3, 2)
    for follow in (transport, log_likelihood):
        with pytest.raises(ValueError, match="expected two times or more"):
            follow(denoiser, COSINE, x, times)


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"denoiser\(x_t, t\)"):
        transport(lambda x, t: x[:, :1], COSINE, normal(3, 2), [5, 9])
