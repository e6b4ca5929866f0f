"""Log densities of whole paths: against sums over steps, and against the bound."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers import COSINE, LINEAR, exact, halved, normal
from scipy.stats import norm
from torch.distributions import Normal

from ddpm_course.bound import decoder_nll, vlb_term
from ddpm_course.schedules import make_schedule
from ddpm_course.trajectories import log_p_path, log_q_marginals, log_q_path, log_ratios

SHORT = make_schedule("linear", 100, beta_1=1e-3, beta_T=0.2)


def test_log_q_path_is_the_sum_of_the_steps():
    schedule = make_schedule("linear", T=20, beta_1=0.01, beta_T=0.6)
    path, beta = normal(21, 3, 2), schedule.beta.numpy()
    x = path.numpy()
    expected = sum(
        norm.logpdf(x[t], np.sqrt(1 - beta[t]) * x[t - 1], np.sqrt(beta[t])).sum()
        for t in range(1, 21)
    )
    got = log_q_path(schedule, path)
    assert got.shape == () and got.item() == pytest.approx(expected, rel=1e-13)


def forward_path(schedule, shape, seed=0, dtype=torch.float64):
    path = [normal(*shape, seed=seed)]
    for t in range(1, schedule.T + 1):
        beta = schedule.beta[t]
        eps = normal(*shape, seed=1000 * seed + t)
        path.append((1 - beta).sqrt() * path[-1] + beta.sqrt() * eps)
    return torch.stack(path).to(dtype)


@pytest.mark.parametrize("schedule", [LINEAR, SHORT, COSINE])
def test_for_a_normal_every_path_gives_the_log_density_itself(schedule):
    """With the exact denoiser and σ² = β the model's paths are those of q."""
    for seed, shape in enumerate([(1,), (2, 3)]):
        path = forward_path(schedule, shape, seed)
        nll = -Normal(0.0, 1.0).log_prob(path[0]).sum()
        whole = log_q_path(schedule, path) - log_p_path(exact(schedule), schedule, path)
        split = log_ratios(exact(schedule), schedule, path)
        assert whole == pytest.approx(nll.item(), abs=1e-8)
        assert split.sum() == pytest.approx(nll.item(), abs=1e-8)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_ratios_of_a_path_one_by_one(variance):
    path, denoiser = forward_path(SHORT, (2, 2), seed=4), halved(SHORT)
    found = log_ratios(denoiser, SHORT, path, variance)
    # the whole by steps: what is split must be what was there
    whole = log_q_path(SHORT, path) - log_p_path(denoiser, SHORT, path, variance)
    assert found.sum() == pytest.approx(whole.item(), rel=1e-10)
    x0_hat = denoiser(path[1:2], torch.tensor([1]))
    first = decoder_nll(SHORT, path[:1], x0_hat, decoder="continuous")
    assert found[0] == pytest.approx(first.item())
    abar = SHORT.alpha_bar[-1]
    end = Normal(abar.sqrt() * path[0], (1 - abar).sqrt()).log_prob(path[-1])
    last = (end - Normal(0.0, 1.0).log_prob(path[-1])).sum()
    assert found[-1] == pytest.approx(last.item())
    assert log_q_marginals(SHORT, path)[-1] == pytest.approx(end.sum().item())
    assert len(found) == 101 and len(log_q_marginals(SHORT, path)) == 100


def test_a_path_of_one_step_has_a_first_and_a_last_ratio():
    one = make_schedule("linear", 1, beta_1=0.995, beta_T=0.995)
    path = forward_path(one, (2, 3), seed=5)
    first, last = log_ratios(halved(one), one, path)
    x0_hat = halved(one)(path[1:], torch.tensor([1]))
    nll = decoder_nll(one, path[:1], x0_hat, decoder="continuous")
    assert first == pytest.approx(nll.item())
    whole = log_q_path(one, path) - log_p_path(halved(one), one, path)
    assert first + last == pytest.approx(whole.item(), rel=1e-10)


@pytest.mark.slow
def test_the_mean_of_a_ratio_over_paths_is_the_term():
    n = 1000
    start = torch.full((1, n), 0.7, dtype=torch.float64)
    short = make_schedule("linear", 10, beta_1=0.01, beta_T=0.9)
    path = [start]
    for t in range(1, 11):
        beta = short.beta[t]
        path.append((1 - beta).sqrt() * path[-1] + beta.sqrt() * normal(1, n, seed=t))
    path = torch.cat(path)
    ratios = torch.stack([log_ratios(halved(short), short, p) for p in path.T])
    for t in range(2, 11):
        x_t = path[t][:, None]
        x0_hat = halved(short)(x_t, torch.tensor([t]))
        off = ratios[:, t - 1] - vlb_term(short, path[0][:, None], x_t, t, x0_hat)
        assert off.mean().abs() < 5 * off.std() / n**0.5 < 0.4


def test_paths_in_float32_are_summed_in_float64():
    path = forward_path(SHORT, (2, 2)).float()
    for call in (
        lambda p: log_q_marginals(SHORT, p),
        lambda p: log_p_path(lambda x, t: 0 * x, SHORT, p),
        lambda p: log_ratios(lambda x, t: 0 * x, SHORT, p),
    ):
        assert call(path).dtype == torch.float64
        assert (call(path) == call(path.double())).all()


PATH = torch.zeros(101, 2)


@pytest.mark.parametrize(
    "call",
    [
        log_q_path,
        log_q_marginals,
        partial(log_p_path, halved(SHORT)),
        partial(log_ratios, halved(SHORT)),
    ],
    ids=["log_q_path", "log_q_marginals", "log_p_path", "log_ratios"],
)
def test_a_bad_path_is_named_with_value_and_remedy(call):
    for path in (PATH[1:], torch.zeros(102, 2)):
        message = rf"path has {len(path)} entries: expected T \+ 1 = 101"
        with pytest.raises(ValueError, match=message):
            call(SHORT, path)
    with pytest.raises(TypeError, match=r"path has dtype torch\.float16"):
        call(SHORT, PATH.half())


@pytest.mark.parametrize("function", [log_p_path, log_ratios])
def test_another_variance_is_refused(function):
    with pytest.raises(ValueError, match="variance='learned'"):
        function(halved(SHORT), SHORT, PATH, "learned")
