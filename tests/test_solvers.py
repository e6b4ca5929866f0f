"""Sampling steps of second order: against their formulas and a flow solved by hand."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import COSINE, LINEAR, exact, normal, seeded

from ddpm_course.oracle import GaussianMixture
from ddpm_course.sampling import ddim_step, reverse_process, sample, sparse_times
from ddpm_course.schedules import make_schedule
from ddpm_course.solvers import SPACINGS, Multistep, heun_step, log_snr, spaced_times

ZERO = make_schedule("linear", zero_terminal_snr=True)


def euler(schedule, x_t, slope, t, s):
    """du/dw = slope in one step, for u = x_t / √(1 - ᾱ_t) and w = √SNR."""
    abar = schedule.alpha_bar[[t, s]].numpy()
    w_t, w_s = np.sqrt(abar / (1 - abar))
    u = x_t / np.sqrt(1 - abar[0]) + (w_s - w_t) * slope
    return u * np.sqrt(1 - abar[1])


def test_heun_takes_the_mean_of_the_guesses_at_both_ends():
    x, z = normal(4, 2), torch.zeros(4, 2).double()

    def denoiser(x, t):
        return torch.sin(x + t)

    guess = denoiser(x, 700)
    end = denoiser(euler(LINEAR, x, guess, 700, 400), 400)
    expected = euler(LINEAR, x, (guess + end) / 2, 700, 400)
    found = heun_step(denoiser, LINEAR, x, guess, 700, 400, z)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_last_step_of_heun_is_the_guess_and_asks_nothing():
    x, guess = normal(4, 2), normal(4, 2, seed=1)
    found = heun_step(None, LINEAR, x, guess, 30, 0, torch.zeros_like(x))
    torch.testing.assert_close(found, guess, rtol=1e-12, atol=1e-12)


def test_multistep_extrapolates_to_the_middle_of_the_step():
    x, first, second = (normal(4, 2, seed=i) for i in range(3))
    step, z = Multistep(), torch.zeros_like(x)
    x_500 = step(LINEAR, x, first, 700, 500, z)
    torch.testing.assert_close(x_500, euler(LINEAR, x, first, 700, 500))
    at_700, at_500, at_400 = (math.log(LINEAR.snr[t]) for t in (700, 500, 400))
    # the line through both guesses, read half way between the log-SNR at 500 and 400
    middle = (at_500 + at_400) / 2
    slope = (second - first) / (at_500 - at_700)
    guess = second + slope * (middle - at_500)
    found = step(LINEAR, x_500, second, 500, 400, z)
    expected = euler(LINEAR, x_500, guess, 500, 400)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_multistep_starts_anew_where_it_did_not_end():
    x, guess = normal(4, 2), normal(4, 2, seed=1)
    step, z = Multistep(), torch.zeros_like(x)
    step(LINEAR, x, guess, 700, 500, z)
    found = step(LINEAR, x, -guess, 300, 200, z)
    assert torch.equal(found, ddim_step(LINEAR, x, -guess, 300, 200, z))


def test_the_last_step_of_multistep_is_the_guess():
    step, x, guess = Multistep(), normal(4, 2), normal(4, 2, seed=1)
    step(LINEAR, x, guess, 700, 500, torch.zeros_like(x))
    found = step(LINEAR, x, 2 * guess, 500, 0, torch.zeros_like(x))
    torch.testing.assert_close(found, 2 * guess, rtol=1e-12, atol=1e-12)


#: Times so dense that rounding to one of them doesn't matter.
FINE = make_schedule("linear", 2**14, beta_1=1e-4 / 16, beta_T=0.02 / 16)
STEPS = (32, 64, 128, 256)


def error(step, steps, spacing, mean=0.8, std=0.3):
    """Of the samples of N(mean, std²), which the flow scales and shifts."""
    data = GaussianMixture([1.0], [[mean]], std)
    denoiser = data.denoiser(FINE)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    times = spaced_times(FINE, steps, spacing)
    make = {"ddim": ddim_step, "heun": partial(heun_step, denoiser)}
    step = make.get(step) or Multistep()
    (*_, (_, before, _), (_, _, _)) = reverse_process(
        denoiser, FINE, x, step=step, steps=times
    )
    # after the step to t = 1, the last with a number: the flow keeps (x - mean) / std
    first, last = FINE.alpha_bar[[1, -1]]
    width = [(a * std**2 + 1 - a).sqrt() for a in (first, last)]
    expected = first.sqrt() * mean + width[0] / width[1] * (x - last.sqrt() * mean)
    return (before - expected).square().mean().sqrt().item()


@pytest.mark.slow
@pytest.mark.parametrize("spacing", ["log-snr", "karras"])
@pytest.mark.parametrize(
    ("step", "order", "within"),
    [("ddim", 1, 0.1), ("heun", 2, 0.2), ("multistep", 2, 0.2)],
)
def test_the_error_falls_with_the_order_of_the_rule(step, order, within, spacing):
    errors = [error(step, n, spacing) for n in STEPS]
    slope, _ = np.polyfit(np.log(STEPS), np.log(errors), 1)
    assert -slope == pytest.approx(order, abs=within)
    assert errors[0] < 0.05


@pytest.mark.parametrize("rule", ["heun", "multistep"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_samples_of_a_chain(rule, spacing):
    denoiser = exact(LINEAR)
    step = partial(heun_step, denoiser) if rule == "heun" else Multistep()
    options = {"steps": spaced_times(LINEAR, 20, spacing), "generator": seeded()}
    x = sample(denoiser, LINEAR, (4000, 1), step=step, **options)
    assert x.std().item() == pytest.approx(1, abs=0.05) and x.dtype == torch.float32


def test_a_denoiser_that_changes_the_shape_is_named():
    x = normal(3, 2)
    with pytest.raises(ValueError, match=r"denoiser\(x_s, s\) has shape"):
        heun_step(lambda x, t: x[:1], LINEAR, x, x, 30, 20, x)


# --- where the times are ------------------------------------------------------------


@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [2, 3, 10, 100, 999, 1000])
def test_times_fall_from_T_to_0(schedule, spacing, steps):
    times = spaced_times(schedule, steps, spacing)
    assert len(times) == steps + 1 and times[0] == 1000 and times[-1] == 0
    assert all(s < t for t, s in pairwise(times))
    assert spacing == "time" or times[-2] == 1
    assert spacing != "time" or times == sparse_times(1000, steps)


@pytest.mark.parametrize("schedule", [LINEAR, COSINE, ZERO])
@pytest.mark.parametrize("steps", [2, 3, 20, 1000])
def test_the_noisiest_times_are_passed_in_one_step(schedule, steps):
    times = spaced_times(schedule, steps, "karras", sigma_max=80)
    assert times[0] == 1000 and times[-2:] == [1, 0] and len(times) == steps + 1
    assert all(s < t for t, s in pairwise(times))
    if 3 <= steps <= 20:
        sigma = [math.exp(-log_snr(schedule, t) / 2) for t in times[1:3]]
        assert sigma[0] == pytest.approx(80, rel=0.3) and sigma[1] < 80


def test_there_must_be_noise_to_spread():
    with pytest.raises(ValueError, match="sigma_max=1e-09"):
        spaced_times(COSINE, 10, "log-snr", sigma_max=1e-9)


def test_log_snr_is_spread_evenly():
    half = [log_snr(FINE, t) for t in spaced_times(FINE, 21, "log-snr")[:-1]]
    gaps = np.diff(half)
    assert gaps == pytest.approx((half[-1] - half[0]) / 20, rel=0.1)
    assert half[0] == pytest.approx(FINE.snr[-1].log().item())


def test_karras_times_have_the_published_noise_levels():
    found = spaced_times(FINE, 21, "karras")[:-1]
    sigma = (1 / FINE.snr.numpy()[1:]) ** 0.5
    i = np.arange(21) / 20
    ends = sigma[-1] ** (1 / 7), sigma[0] ** (1 / 7)
    wanted = (ends[0] + i * (ends[1] - ends[0])) ** 7
    assert np.log(sigma[np.array(found) - 1]) == pytest.approx(np.log(wanted), abs=0.03)


@pytest.mark.parametrize(
    ("schedule", "steps", "spacing", "message"),
    [
        (LINEAR, 10, "even", "spacing='even'"),
        (LINEAR, 1, "log-snr", "steps=1"),
        (LINEAR, 1001, "karras", "steps=1001"),
        (LINEAR, 2.5, "log-snr", "steps=2.5"),
        (ZERO, 10, "log-snr", "sigma_max=inf: expected noise"),
    ],
)
def test_times_that_cannot_be(schedule, steps, spacing, message):
    with pytest.raises(ValueError, match=message):
        spaced_times(schedule, steps, spacing)


def test_a_chain_may_start_where_nothing_is_left_of_the_data():
    data = GaussianMixture([1.0], [[3.0]], 0.1)
    denoiser, options = data.denoiser(ZERO), {"steps": 50, "generator": seeded()}
    for step in (Multistep(), partial(heun_step, denoiser), ddim_step):
        x = sample(denoiser, ZERO, (1000, 1), step=step, **options)
        assert x.mean().item() == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize("sigma_max", [0, -1, math.nan])
def test_a_largest_noise_that_is_none(sigma_max):
    with pytest.raises(ValueError, match="expected a number > 0, such as 80"):
        spaced_times(COSINE, 5, "karras", sigma_max)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_one_step_is_too_few(spacing):
    with pytest.raises(ValueError, match="steps=1: expected 2"):
        spaced_times(COSINE, 1, spacing)
