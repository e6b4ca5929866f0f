"""The same steps as the diffusers library, where that is right."""

from functools import partial
from itertools import pairwise

import diffusers
import pytest
import torch
from helpers import normal, seeded

from ddpm_course.forward import q_sample
from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import ancestral_step, ddim_step, sample
from ddpm_course.schedules import make_schedule
from ddpm_course.solvers import Multistep

#: Their name of a schedule, ours, and what they leave out: T is 1000.
NAMES = {"linear": "linear", "squaredcos_cap_v2": "cosine"}
VARIANCES = {"fixed_large": "beta", "fixed_small": "beta_tilde"}
both = pytest.mark.parametrize("name", NAMES)
close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)


def points(seed=0):
    return normal(6, 2, seed=seed, dtype=torch.float32)


def theirs(name, kind="DDPM", **options):
    scheduler = getattr(diffusers, f"{kind}Scheduler")
    return scheduler(1000, beta_schedule=name, clip_sample=False, **options)


def exact(scheduler, schedule):
    """Their scheduler with its table in float64.

    They take β_t from quotients of ᾱ in float32, which leaves it three digits at
    small t. The tables are compared by themselves; here the steps are.
    """
    scheduler.alphas_cumprod = schedule.alpha_bar[1:].clone()
    if hasattr(scheduler, "one"):
        scheduler.one = scheduler.one.double()
    return scheduler


@both
def test_schedules(name):
    schedule = make_schedule(NAMES[name])
    close(schedule.alpha_bar[1:].float(), theirs(name).alphas_cumprod)


@both
def test_q_sample(name):
    x0, eps = points(), points(1)
    t = torch.tensor([1, 2, 30, 500, 999, 1000])
    ours = q_sample(make_schedule(NAMES[name]), x0, t, eps)
    close(ours, theirs(name).add_noise(x0, eps, t - 1))  # they count from 0


@both
@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_one_ddpm_step(name, variance, kind):
    schedule = make_schedule(NAMES[name])
    scheduler = theirs(name, variance_type=variance, prediction_type=kind)
    exact(scheduler, schedule)
    kinds = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
    # at t = T of the cosine schedule ε → x̂_0 multiplies rounding errors by 20 000
    times = [900, 500, 2, 1] if name != "linear" else [1000, 500, 2, 1]
    for t in times:
        x, output = points(t), points(t + 1)
        denoiser = Denoiser(lambda x, t, y=output: y, schedule, kinds[kind])
        step = scheduler.step(output, t - 1, x, generator=seeded(5)).prev_sample
        z = points(5) if t > 1 else torch.zeros_like(x)
        x0_hat = denoiser(x, t)
        close(
            ancestral_step(schedule, x, x0_hat, t, t - 1, z, VARIANCES[variance]), step
        )


@both
@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
def test_ddim_steps_over_a_stride(name, eta):
    """20 of 1000 times, as they space them: 951, 901, …, 1 (counted from 1)."""
    schedule = make_schedule(NAMES[name])
    scheduler = exact(theirs(name, "DDIM"), schedule)
    scheduler.set_timesteps(20)
    for index in (1, 10, 18):
        t = int(scheduler.timesteps[index]) + 1
        s = int(scheduler.timesteps[index + 1]) + 1
        x, output = points(t), points(t + 1)
        z = points(t + 2)
        step = scheduler.step(output, t - 1, x, eta=eta, variance_noise=z).prev_sample
        denoiser = Denoiser(lambda x, t, y=output: y, schedule)
        close(ddim_step(schedule, x, denoiser(x, t), t, s, z, eta), step)


def test_a_whole_ddim_chain():
    schedule, scheduler = make_schedule("linear"), theirs("linear", "DDIM")
    torch.manual_seed(0)
    network = torch.nn.Linear(2, 2)
    scheduler.set_timesteps(1000)
    x = points()
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(network(x), t, x).prev_sample
    denoiser = Denoiser(lambda x, t: network(x), schedule)
    ours = sample(denoiser, schedule, (6, 2), step=ddim_step, generator=seeded())
    torch.testing.assert_close(ours, x, rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore:__array__")  # theirs
@both
def test_a_whole_multistep_chain(name):
    """DPM-Solver++ (2M); their Heun is another rule: it averages noises, in σ."""
    schedule, options = make_schedule(NAMES[name]), {"algorithm_type": "dpmsolver++"}
    scheduler = diffusers.DPMSolverMultistepScheduler(
        1000, beta_schedule=name, final_sigmas_type="zero", **options
    )
    exact(scheduler, schedule)
    scheduler.set_timesteps(15)
    times = [*(int(t) + 1 for t in scheduler.timesteps), 0]
    times[0] = 1000
    torch.manual_seed(0)
    network, step = torch.nn.Linear(2, 2).double(), Multistep()
    x = ours = points().double()
    with torch.no_grad():
        for t, (now, then) in zip(scheduler.timesteps, pairwise(times), strict=True):
            x = scheduler.step(network(x), t, x).prev_sample
            x0_hat = Denoiser(lambda x, t: network(x), schedule)(ours, now)
            ours = step(schedule, ours, x0_hat, now, then, torch.zeros_like(ours))
            torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)


@both
def test_zero_terminal_snr(name):
    schedule = make_schedule(NAMES[name], zero_terminal_snr=True)
    wanted = theirs(name, "DDIM", rescale_betas_zero_snr=True).alphas_cumprod
    close(schedule.alpha_bar[1:].float(), wanted)
