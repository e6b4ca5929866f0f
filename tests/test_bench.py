"""The same steps as the diffusers library, where that is right."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from helpers import normal, seeded

from ddpm_course.forward import q_sample
from ddpm_course.guidance import guided, labeled
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import Denoiser, eps_from_x0
from ddpm_course.sampling import ancestral_step, ddim_step, reverse_process, sample
from ddpm_course.schedules import make_schedule
from ddpm_course.solvers import Multistep, heun_step, spaced_times

pytestmark = pytest.mark.slow  # diffusers alone takes seconds to import

#: Their name of a schedule, ours, and what they leave out: T is 1000.
NAMES = {"linear": "linear", "squaredcos_cap_v2": "cosine"}
VARIANCES = {"fixed_large": "beta", "fixed_small": "beta_tilde"}
both = pytest.mark.parametrize("name", NAMES)
quiet = pytest.mark.filterwarnings("ignore:__array__")  # theirs
close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)


def points(seed=0):
    return normal(6, 2, seed=seed, dtype=torch.float32)


def scheduler_class(kind):
    import diffusers

    return getattr(diffusers, f"{kind}Scheduler")


def theirs(name, kind="DDPM", **options):
    made = scheduler_class(kind)
    return made(1000, beta_schedule=name, clip_sample=False, **options)


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


@quiet
@both
def test_a_whole_multistep_chain(name):
    """DPM-Solver++ (2M)."""
    schedule, options = make_schedule(NAMES[name]), {"algorithm_type": "dpmsolver++"}
    scheduler = scheduler_class("DPMSolverMultistep")(
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


MIXTURE = GaussianMixture(
    *(torch.tensor(v).double() for v in ([0.3, 0.7], [[1, 0], [-1, 0.5]], [0.5, 0.3]))
)


def their_heun(schedule, times):
    """x at each call in a chain of theirs with the exact ε̂; the last is x_0.

    They keep x_t / √ᾱ_t, as a function of σ = √((1 - ᾱ_t) / ᾱ_t).
    """
    scheduler = exact(scheduler_class("HeunDiscrete")(beta_schedule="linear"), schedule)
    scheduler.set_timesteps(timesteps=[t - 1 for t in times[:-1]])
    scheduler.sigmas = scheduler.sigmas.double()
    denoiser = MIXTURE.denoiser(schedule)
    x = normal(6, 2) / schedule.alpha_bar[1000].sqrt()
    for time in scheduler.timesteps:
        t, x_t = int(time) + 1, scheduler.scale_model_input(x, time)
        yield x_t
        eps = eps_from_x0(schedule, x_t, t, denoiser(x_t, t))
        x = scheduler.step(eps, time, x).prev_sample
    yield x


@quiet
def test_their_heun_begins_and_ends_a_step_as_ours_does():
    """After the first call of a step it is at DDIM's x_s; the last x_0 is the guess.

    Between them they take the mean of both noises, along σ, and ours that of both
    guesses, along 1 / σ. So whole steps differ.
    """
    schedule, times = make_schedule("linear"), [1000, 700, 400, 100, 0]
    denoiser, states = MIXTURE.denoiser(schedule), list(their_heun(schedule, times))
    signal, sigma = schedule.alpha_bar.sqrt(), (1 / schedule.alpha_bar - 1).sqrt()
    for k, (t, s) in enumerate(pairwise(times[:-1])):
        x_t, x_s, after = states[2 * k : 2 * k + 3]
        x0_hat, z = denoiser(x_t, t), torch.zeros_like(x_t)
        close(ddim_step(schedule, x_t, x0_hat, t, s, z), x_s)
        there = eps_from_x0(schedule, x_s, s, denoiser(x_s, s))
        noise = (eps_from_x0(schedule, x_t, t, x0_hat) + there) / 2
        close((x_t / signal[t] + (sigma[s] - sigma[t]) * noise) * signal[s], after)
        ours = heun_step(denoiser, schedule, x_t, x0_hat, t, s, z)
        assert (ours - after).abs().max() > 1e-2
    close(denoiser(states[-2], 100), states[-1])


@quiet
def test_their_heun_and_ours_meet_at_second_order():
    """Twice as many steps leave a quarter of the gap, and half of DDIM's."""
    schedule, gaps = make_schedule("linear"), {}
    denoiser = MIXTURE.denoiser(schedule)
    rules = {"heun": partial(heun_step, denoiser), "ddim": ddim_step}
    for steps in (40, 80):
        times = spaced_times(schedule, steps, "log-snr")
        *_, theirs = their_heun(schedule, times)
        for name, step in rules.items():
            chain = reverse_process(
                denoiser, schedule, normal(6, 2), step=step, steps=times
            )
            *_, (_, ours, _) = chain
            gaps[name, steps] = (ours - theirs).abs().max().item()
    assert gaps["heun", 40] / gaps["heun", 80] == pytest.approx(4, rel=0.2)
    assert gaps["ddim", 40] / gaps["ddim", 80] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("w", [1.0, 3.0])
def test_guidance_as_in_their_pipelines(w, clip):
    """Their guidance_scale is our w, where it is above 1; below, they are conditional.

    If they clip x̂_0, they keep the noise of before, unless they are told to use what
    was clipped, as we do.
    """
    schedule, label = make_schedule("linear"), torch.tensor([2, 0, 1, 1, 2, 0])
    torch.manual_seed(0)
    to_eps, shifts = torch.nn.Linear(2, 2).double(), normal(4, 2, seed=3)

    def network(x, t, label):
        return to_eps(x) + shifts[label + 1]

    options = {"clip_sample": clip is not None, "timestep_spacing": "trailing"}
    scheduler = scheduler_class("DDIM")(1000, beta_schedule="linear", **options)
    exact(scheduler, schedule).set_timesteps(20)
    x = normal(6, 2)
    with torch.no_grad():
        for t in scheduler.timesteps:  # as in DiTPipeline
            both_labels = torch.cat([label, torch.full_like(label, -1)])
            told, untold = network(torch.cat([x, x]), t, both_labels).chunk(2)
            eps = untold + w * (told - untold) if w > 1 else told
            step = scheduler.step(eps, t, x, use_clipped_model_output=True)
            x = step.prev_sample

    def denoiser(label):
        return Denoiser(labeled(network, label), schedule)

    *_, (_, ours, _) = reverse_process(
        guided(denoiser(label), denoiser(-1), w, clip=clip),
        schedule,
        normal(6, 2),
        step=ddim_step,
        steps=20,
    )
    close(ours, x)


@both
def test_zero_terminal_snr(name):
    schedule = make_schedule(NAMES[name], zero_terminal_snr=True)
    wanted = theirs(name, "DDIM", rescale_betas_zero_snr=True).alphas_cumprod
    close(schedule.alpha_bar[1:].float(), wanted)
